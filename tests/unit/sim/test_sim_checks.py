"""What the simulator's checks remember."""

import pytest

from komainu.model.ids import Instant, NodeId, NodeName
from komainu.sim.checks import Checks, SafetyViolated
from komainu.sim.machine import Machine

A, B = NodeName("a"), NodeName("b")


def test_what_is_set_on_a_node_that_came_back_is_looked_at_again() -> None:
    """What was set on it before went with it; who is removed for ever would excuse every later loss."""
    checks = Checks()
    checks.acknowledged = {"here": A, "gone": B}
    checks.removed.add(B)
    checks.came_back(B)
    assert checks.removed == set()
    assert checks.acknowledged == {"here": A}


def test_a_pair_may_lose_both_where_a_stop_failed_on_the_second_too() -> None:
    """Lying agents on both: one is fenced for a stop, and so is the other once its peer is back to do it (seed 277)."""
    pair = (Machine(NodeId(1), A), Machine(NodeId(2), B))
    checks = Checks()
    checks.not_both(B, pair, Instant(20_752))
    checks.unstopped[A] = Instant(20_804)
    checks.not_both(A, pair, Instant(22_376))
    with pytest.raises(SafetyViolated, match="both nodes of a pair"):
        checks.not_both(B, pair, Instant(23_000))  # the failed stop was a's, and is paid for
