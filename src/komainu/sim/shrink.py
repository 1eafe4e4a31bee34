"""Cut the faults of a run that breaks a rule down to the fewest that still break the same rule.

A fault that is left out changes what comes after it, so a shorter run may fail otherwise or not at all: each one is
played. Source: Zeller & Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), the last step of
ddmin: with a dozen faults at most, one after the other is left out until none can be.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from komainu.sim.scenario import Outcome, Run, play

TRIES_MAX: Final = 60
"""Runs that a shrinking may take, at about a second each."""


def shrink(failed: Outcome, tell: Callable[[Outcome], None] = lambda _: None) -> Outcome:
    """Return the run with the fewest faults that breaks the same rule; `tell` hears of each that is shorter."""
    assert failed.failure, "only a run that failed can be shrunk"
    best, tries = failed, 0
    is_shorter = True
    while is_shorter:
        is_shorter = False
        kept = _kept(best.run)
        for place in kept:
            if tries >= TRIES_MAX:
                return best
            tries += 1
            fewer = play(replace(best.run, kept=tuple(each for each in kept if each != place)))
            if fewer.failure and fewer.rule == failed.rule:
                best, is_shorter = fewer, True
                tell(best)
                break
    return best


def _kept(run: Run) -> tuple[int, ...]:
    return tuple(range(run.count)) if run.kept is None else run.kept
