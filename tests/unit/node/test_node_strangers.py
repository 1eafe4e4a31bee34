"""node/strangers.py: who is not believed is named, the newest first, and a flood of them takes no memory."""

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.node.strangers import STRANGERS_MAX, Strangers
from komainu.ring.wire import Drop

L0 = LinkNumber(0)
NAMES = {NodeId(1): NodeName("a"), NodeId(2): NodeName("b")}


@pytest.mark.parametrize(
    ("drop", "sender", "sentence"),
    [
        (Drop.OTHER_VERSION, 2, "b (id 2) at 10.0.0.2 speaks another version of the ring's protocol"),
        (Drop.NOT_AUTHENTIC, 2, "b (id 2) at 10.0.0.2 sends what does not open: its cluster key"),
        (Drop.UNKNOWN_SENDER, 7, "node id 7 at 10.0.0.2 is no node of this cluster"),
        (Drop.SAME_ID, 1, "a (id 1) at 10.0.0.2 says that it is this node: two machines have the same id"),
        (Drop.OTHER_RECEIVER, 2, "two machines have the same address"),
        (Drop.OTHER_LINK, 2, "the links stand in another order"),
    ],
)
def test_each_kind_is_named(drop: Drop, sender: int, sentence: str) -> None:
    strangers = Strangers()
    for moment in (1.0, 2.0):
        strangers.note((drop, NodeId(sender)), "10.0.0.2", L0, moment)
    (said,) = strangers.sentences(NAMES, 2.5)
    assert sentence in said
    assert "(2 datagrams on link 0, the last 500 ms ago)" in said


def test_what_is_only_counted_is_not_named() -> None:
    strangers = Strangers()
    strangers.note((Drop.REPLAYED, NodeId(2)), "10.0.0.2", L0, 1.0)
    strangers.note(None, "10.0.0.2", L0, 1.0)
    assert strangers.sentences(NAMES, 2.0) == ()


def test_old_ones_are_no_warning_and_a_flood_takes_no_memory() -> None:
    strangers = Strangers()
    for number in range(1000):
        strangers.note((Drop.NOT_AUTHENTIC, NodeId(2)), f"10.0.{number}", L0, float(number))
    assert len(strangers.sentences(NAMES, 1000.0)) == STRANGERS_MAX
    assert "10.0.999 " in strangers.sentences(NAMES, 1000.0)[0]
    assert len(strangers.sentences(NAMES, 1000.0, within_s=2.0)) == 2
    assert strangers.sentences(NAMES, 9000.0, within_s=60.0) == ()
