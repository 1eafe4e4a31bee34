"""What the simulator's checks remember."""

from komainu.model.ids import NodeName
from komainu.sim.checks import Checks

A, B = NodeName("a"), NodeName("b")


def test_what_is_set_on_a_node_that_came_back_is_looked_at_again() -> None:
    """What was set on it before went with it; who is removed for ever would excuse every later loss."""
    checks = Checks()
    checks.acknowledged = {"here": A, "gone": B}
    checks.removed.add(B)
    checks.came_back(B)
    assert checks.removed == set()
    assert checks.acknowledged == {"here": A}
