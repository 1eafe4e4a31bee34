"""Runs that begin alike are one run until their first fault, and come to the same whether it was played once or twice."""

from komainu.model.ids import NodeId
from komainu.sim.faults import Fault, absent
from komainu.sim.scenario import Begun, Run, beginning_of, play

LOSS = Run(5, 2, ("loss",), count=1, within_ms=1_000)
CRASH = Run(5, 2, ("crash",), count=1, within_ms=1_000)


def test_the_rest_of_a_run_may_be_that_of_another_one_that_begins_alike() -> None:
    assert beginning_of(LOSS) == beginning_of(CRASH)
    assert Begun(LOSS).finish(CRASH) == play(CRASH)


def test_runs_with_other_worlds_or_moments_do_not_begin_alike() -> None:
    others = (
        Run(6, 2, ("loss",), count=1, within_ms=1_000),
        Run(5, 3, ("loss",), count=1, within_ms=1_000),
        Run(5, 2, ("loss",), count=2, within_ms=1_000),
        Run(5, 2, ("loss",), count=1, within_ms=1_000, plans_beside=True),
    )
    for other in others:
        assert beginning_of(other) != beginning_of(LOSS)


def test_a_node_that_joins_late_is_not_there_from_the_beginning() -> None:
    late = Run(5, 3, ("join",), count=1, within_ms=1_000)
    assert beginning_of(late) != beginning_of(Run(5, 3, ("loss",), count=1, within_ms=1_000))
    fault = Fault("join", 8_500, 1_000, seed=1)
    nodes = [NodeId(number) for number in (1, 2, 3)]
    assert list(absent((fault,), nodes).values()) == [8_500]
    assert absent((fault,), nodes[:2]) == {}
