"""Hold the scheduler against the real `crm_simulate`, on CIBs that nobody wrote.

Two hundred in the usual run, KOMAINU_DIFFERENTIAL (as `make differential` sets it) in a long one; half of them plain
(many of the usual things), half of them wide (a little of everything). A disagreement that explained.py has no reason
for fails.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import cibs
import explained
import pytest
import reference
import wide
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from komainu.cib import document

COUNT = int(os.environ.get("KOMAINU_DIFFERENTIAL", "200"))
FIRST = int(os.environ.get("KOMAINU_DIFFERENTIAL_FIRST", "0"))
FOUND = os.environ.get("KOMAINU_DIFFERENTIAL_FOUND")
MAKERS = {"plain": lambda random: cibs.make(random, depth=1), "wide": wide.make}

needs_tool = pytest.mark.skipif(reference.TOOL is None, reason="crm_simulate is not installed")


@needs_tool
@pytest.mark.parametrize("kind", MAKERS)
def test_both_agree_on_random_cibs(kind: str, tmp_path: Path, print_at_end: Callable[[str], None]) -> None:
    """Seeds one by one, so that a disagreement is named by its seed and can be made again."""
    outcome: Counter[str] = Counter()
    unexplained = []
    for seed in range(FIRST, FIRST + COUNT // 2):
        cib = MAKERS[kind](Random(seed))
        try:
            question = reference.Question(cib, tmp_path)
        except reference.ReferenceBrokeError:
            outcome["the reference broke"] += 1
            continue
        found = question.disagreements()
        why = explained.reason(cib, question.disagreements) if found else None
        if not found:
            outcome["agree"] += 1
        elif why is not None:
            outcome[f"explained ({why})"] += 1
        else:
            outcome["disagree"] += 1
            unexplained.append(f"{kind} seed {seed}:\n" + "\n".join(map(str, found)))
        if found and FOUND:
            Path(FOUND, f"{kind}-{seed}.xml").write_text(document.show(cib), encoding="utf-8")
    counted = ", ".join(f"{number} {word}" for word, number in sorted(outcome.items()))
    print_at_end(f"{COUNT // 2} {kind} random CIBs beside {reference.version()}: {counted}")
    assert not unexplained, "\n\n".join(unexplained[:10])


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
