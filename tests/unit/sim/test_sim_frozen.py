"""What comes for a machine that stands still waits for it."""

from komainu.model.ids import NodeId
from komainu.sim.frozen import Frozen

A, B = NodeId(1), NodeId(2)


def test_what_waits_is_done_in_its_order_when_the_machine_goes_on() -> None:
    frozen = Frozen()
    done: list[str] = []
    assert not frozen.holds(A, lambda: done.append("never"))
    frozen.freeze(A)
    assert frozen.holds(A, lambda: done.append("first"))
    assert frozen.holds(A, lambda: done.append("second"))
    assert not frozen.holds(B, lambda: done.append("never"))
    assert done == []
    frozen.thaw(A)
    assert done == ["first", "second"]
    assert not frozen.holds(A, lambda: done.append("never"))
    frozen.thaw(A)
    assert done == ["first", "second"]
