"""Hold the scheduler against the real `crm_simulate`, on CIBs that nobody wrote.

Two hundred in the usual run, KOMAINU_DIFFERENTIAL (as `make differential` sets it) in a long one; half of them plain
(many of the usual things), half of them wide (a little of everything); and a tenth as many cases of Pacemaker's own
suite, changed a little. A disagreement that explained.py has no reason for fails.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import changed
import cibs
import explained
import pytest
import reference
import wide
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from komainu.cib import document
from komainu.cib.element import Element

COUNT = int(os.environ.get("KOMAINU_DIFFERENTIAL", "200"))
FIRST = int(os.environ.get("KOMAINU_DIFFERENTIAL_FIRST", "0"))
FOUND = os.environ.get("KOMAINU_DIFFERENTIAL_FOUND")
IN_CHANGED = ("summary", "actions")
MAKERS = {"plain": lambda random: cibs.make(random, depth=1), "wide": wide.make}

needs_tool = pytest.mark.skipif(reference.TOOL is None, reason="crm_simulate is not installed")


class Sweep:
    """What became of many CIBs, and what of them is left without a reason."""

    def __init__(self, folder: Path) -> None:
        self.outcome: Counter[str] = Counter()
        self.unexplained: list[str] = []
        self._folder = folder

    def take(self, name: str, cib: Element, original: Element | None = None) -> None:
        """Ask both about a CIB. `original`: what it was changed from; compared in fewer parts, and told apart if they differ there."""
        parts = reference.parts_of(cib) if original is None else IN_CHANGED
        try:
            question = reference.Question(cib, self._folder, parts)
            found = question.disagreements()
            why = explained.reason(cib, question.disagreements) if found else None
            is_old = original is not None and found and reference.compare(original, self._folder, parts)
        except reference.ReferenceBrokeError:
            self.outcome["the reference broke"] += 1
            return
        if not found:
            self.outcome["agree"] += 1
        elif why is not None:
            self.outcome[f"explained ({why})"] += 1
        elif is_old:
            self.outcome["the versions differ on the case itself"] += 1
        else:
            self.outcome["disagree"] += 1
            self.unexplained.append(f"{name}:\n" + "\n".join(map(str, found)))
        if found and FOUND:
            Path(FOUND, f"{name}.xml").write_text(document.show(cib), encoding="utf-8")

    def end(self, what: str, print_at_end: Callable[[str], None]) -> None:
        """Tell the counts; fail for what has no reason."""
        counted = ", ".join(f"{number} {word}" for word, number in sorted(self.outcome.items()))
        print_at_end(f"{self.outcome.total()} {what} beside {reference.version()}: {counted}")
        assert not self.unexplained, "\n\n".join(self.unexplained[:10])


@needs_tool
@pytest.mark.parametrize("kind", MAKERS)
def test_both_agree_on_random_cibs(kind: str, tmp_path: Path, print_at_end: Callable[[str], None]) -> None:
    """Seeds one by one, so that a disagreement is named by its seed and can be made again."""
    sweep = Sweep(tmp_path)
    for seed in range(FIRST, FIRST + COUNT // 2):
        sweep.take(f"{kind}-{seed}", MAKERS[kind](Random(seed)))
    sweep.end(f"{kind} random CIBs", print_at_end)


@needs_tool
@pytest.mark.skipif(not changed.cases(), reason=f"no scheduler suite at {changed.SUITE}")
def test_both_agree_on_changed_cases_of_the_suite(
    tmp_path: Path, print_at_end: Callable[[str], None]
) -> None:
    """Cases are taken in a drawn order, so that a short run has some of all kinds."""
    sweep = Sweep(tmp_path)
    order = Random(0).sample(changed.cases(), len(changed.cases()))
    for seed in range(FIRST, FIRST + COUNT // 10):
        path = order[seed % len(order)]
        cib, original = changed.make(path, Random(seed)), changed.original(path)
        try:
            sweep.take(f"{path.stem}-{seed}", cib, original)
        except reference.ReferenceRefusesError:
            sweep.outcome["the reference refuses it"] += 1
    sweep.end("changed cases of the suite", print_at_end)


@needs_tool
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.data_too_large,
    ],
)
@given(st.randoms(use_true_random=False))
def test_both_accept_what_hypothesis_makes(tmp_path: Path, random: Random) -> None:
    """Hypothesis looks for CIBs on which one of the two breaks, and makes them small."""
    with contextlib.suppress(reference.ReferenceBrokeError):
        reference.compare(wide.make(random), tmp_path)
