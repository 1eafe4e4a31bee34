"""Give the loader and the planner CIBs that somebody broke: nothing but a refusal may come of it, within bounds.

Files of Pacemaker's regression suite are changed at random; without the suite, random CIBs are.
"""

import os
import time
from pathlib import Path
from random import Random

import cibs
import pytest

from komainu.cib import document
from komainu.cib.element import Element
from komainu.cib.schema import validate
from komainu.model.report import Refused
from komainu.scheduler import simulation

ROOT = Path(__file__).parents[2]
SUITE = Path(os.environ.get("KOMAINU_SCHEDULER_SUITE", ROOT.parent / "shared" / "scheduler-suite"))
COUNT = int(os.environ.get("KOMAINU_FUZZ", "80"))
SECONDS_MAX = 20
"""The largest file of the suite is planned for in about a second on a quiet machine."""
_JUNK = (
    *(
        "",
        " ",
        "0",
        "-1",
        "99999999999999999999",
        "INFINITY",
        "-INFINITY",
        "true",
        "nonsense",
        "é\u2603",
        "a:b",
    ),
    *(
        "9" * 5000,
        "-" + "9" * 5000,
        "1e400",
        f"PT{'9' * 5000}S",
        f"{'9' * 4500}-01-01",
        "9" * 400 + "ms",
        "1/0",
    ),
    *("P1Y", "2005-99-99", "1e9", "#uname", "Promoted", "Stopped", "fence", "%1", "(", "*"),
)


def broken(random: Random, element: Element) -> Element:
    """Change a few places of a CIB."""
    for _ in range(random.randint(1, 6)):
        element = _at(random, element, random.randint(1, 9))
    return element


def _at(random: Random, element: Element, depth: int) -> Element:
    if element.children and depth:
        index = random.randrange(len(element.children))
        changed = _at(random, element.children[index], depth - 1)
        return element.with_children((*element.children[:index], changed, *element.children[index + 1 :]))
    names = list(element.attributes)
    match random.randrange(5):
        case 0 if names:
            return element.with_attribute(random.choice(names), random.choice(_JUNK))
        case 1 if names:
            return element.with_attribute(random.choice(names), None)
        case 2 if element.children:
            return element.with_children((*element.children, random.choice(element.children)))
        case 3 if element.children:
            return element.with_children(element.children[1:])
        case _:
            return element.with_attribute(
                random.choice(("role", "score", "rsc", "id-ref", "interval")), random.choice(_JUNK)
            )


def source(random: Random) -> Element:
    files = sorted((SUITE / "xml").glob("*.xml"))
    small = [file for file in files if file.stat().st_size < 60_000]
    if not small:
        return cibs.make(random, depth=2)
    return document.parse(random.choice(small).read_text(encoding="utf-8"))


@pytest.mark.parametrize("seed", range(COUNT))
def test_a_broken_cib_breaks_nothing(seed: int) -> None:
    random = Random(seed)
    cib = broken(random, source(random))
    started = time.process_time()
    try:
        validate(cib, "broken.xml")
        text = document.show(cib)
        again = document.parse_cib(text, "broken.xml")
        moment = simulation.moment_of(again, None, cibs.NOW_S)
        assert moment is not None
        simulation.simulate(again, moment).carry_out()
    except Refused:
        pass
    assert time.process_time() - started < SECONDS_MAX
