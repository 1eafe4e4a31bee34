"""Say how long the planning of each CIB in a folder takes: `komainu simulate --profile DIR --repeat N`.

Decides nothing. Source: the text of Pacemaker's `crm_simulate --profile`.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from komainu.cib import document
from komainu.cib.element import Element
from komainu.model.report import Refused, Report
from komainu.scheduler import recipe, simulation


def lines(folder: str, repeat: int, clock_s: int) -> Iterator[str]:
    """Plan each CIB so many times, and say the processor seconds of all these plans, reading included.

    Raises Refused where there is no folder, or no CIB in it, or one that cannot be read.
    """
    if not Path(folder).is_dir():
        raise _refusal(f"{folder} is no folder: give one that holds CIBs, as files that end in .xml")
    paths = sorted(Path(folder).glob("*.xml"))
    if not paths:
        raise _refusal(f"{folder} holds no CIB: put some there, as files that end in .xml")
    yield "Timings:"
    for path in paths:
        started = time.process_time()
        cib = document.parse(path.read_text(encoding="utf-8"), str(path))
        for _ in range(repeat):
            _plan(cib, clock_s)
        yield f"  * Testing {path} ... {time.process_time() - started:.2f} secs"


def _plan(cib: Element, clock_s: int) -> None:
    moment = simulation.moment_of(cib, None, clock_s)
    assert moment is not None, "no time is given that could be wrong"
    recipe.schedule(recipe.read(cib, moment.now_s, is_simulated=True))


def _refusal(text: str) -> Refused:
    return Refused((Report("simulate.profile", text),))
