"""Look at this machine's processors now and then: how many there are, and how loaded they are.

A shell around one file; it decides nothing. Source: proc(5), /proc/loadavg: the average of the last minute of tasks that
run, or want to, or wait for a disk.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from komainu.node.interface import MachineSeen

LOOK_EVERY_S: Final = 15.0
"""The average of a minute changes by a quarter in this time; each look that finds another level is one command."""

LOAD_FILE: Final = Path("/proc/loadavg")


def look(load_file: Path = LOAD_FILE) -> MachineSeen:
    """Measure once. Where no load can be read, there is none."""
    cores = len(os.sched_getaffinity(0))
    try:
        load = float(load_file.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        load = 0.0
    return MachineSeen(cores, round(100 * load / cores))


def keep_looking(tell: Callable[[MachineSeen], None]) -> None:
    """Measure now and again, as long as the loop turns."""
    tell(look())
    asyncio.get_running_loop().call_later(LOOK_EVERY_S, keep_looking, tell)
