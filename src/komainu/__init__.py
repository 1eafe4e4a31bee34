"""komainu: a high-availability cluster manager that survives its cables and explains what it does."""

__version__ = "0.1.0"

import os.path

if os.path.isdir(f"{__path__[0]}/compiled_modules"):  # noqa: PTH112 - small commands pay for no pathlib
    from pathlib import Path

    from komainu import compiled

    compiled.offer(Path(__path__[0]))
