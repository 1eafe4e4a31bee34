"""A run that fails is cut down to the faults that it needs."""

import pytest

from komainu.sim import shrink as shrinking
from komainu.sim.scenario import Outcome, Run
from komainu.sim.shrink import TRIES_MAX, shrink

PLAYED: list[Run] = []


def played(run: Run) -> Outcome:
    """A run that breaks S1 when faults 1 and 4 strike, and S2 when 1 strikes alone."""
    PLAYED.append(run)
    kept = range(run.count) if run.kept is None else run.kept
    rule = "S1" if {1, 4} <= set(kept) else "S2" if 1 in kept else ""
    failure = f"{rule} violated at 1.000 s: x" if rule else ""
    return Outcome(run, failure, 0, 0, 0, 0, 0, (), ())


@pytest.fixture(autouse=True)
def _made_up_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    PLAYED.clear()
    monkeypatch.setattr(shrinking, "play", played)


def test_only_the_faults_that_break_the_same_rule_are_kept() -> None:
    shorter: list[Outcome] = []
    best = shrink(played(Run(1, 2)), shorter.append)
    assert best.run.kept == (1, 4)
    assert best.rule == "S1"
    assert len(shorter) == 4


def test_a_shrinking_ends() -> None:
    shrink(played(Run(1, 2, count=100)))
    assert len(PLAYED) <= TRIES_MAX + 1
