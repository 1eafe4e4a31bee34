"""node/strangers.py: who is not believed is named, the newest first, and a flood of them takes no memory."""

import time
from collections.abc import Mapping

import pytest

from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkEnd
from komainu.model.request import Status
from komainu.node.strangers import STRANGERS_MAX, Completing, Strangers
from komainu.ring import wire
from komainu.ring.packet import Leaving
from komainu.ring.settings import NodeSettings, RingSettings
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


class Side:
    """What one daemon has for its status: its wire, whom it did not believe, and what it adds to the answer."""

    def __init__(self, me: int, names: Mapping[int, str], version: int = 2) -> None:
        nodes = tuple(
            NodeSettings(NodeId(node), NodeName(name), (LinkEnd(L0, f"10.0.0.{node}"),))
            for node, name in names.items()
        )
        self.me, self.version = NodeId(me), version
        self.life = Incarnation(me)
        ring = RingSettings("test", self.me, nodes)
        self.wire = wire.Wire(ring, key=b"k" * 32, incarnation=self.life)
        self.strangers = Strangers()
        self.complete = Completing(self.strangers, {each.node: each.name for each in nodes}, ())

    def hear(self, other: "Side", address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take what the other sends to the one peer that it has."""
        (to,) = (node for node in other.wire._lives)
        with monkeypatch.context() as patch:
            patch.setattr(wire, "_VERSION", other.version)
            (datagram,) = other.wire.seal(L0, to, Leaving(other.life))
            patch.setattr(wire, "_VERSION", self.version)
            assert self.wire.open(L0, datagram) is None
        self.strangers.note(self.wire.last_drop(), address, L0, time.monotonic())

    def warnings(self) -> tuple[str, ...]:
        empty = Status("test", NodeName("a"), "", "", False, "", "", "", (), (), (), (), (), (), WallTime(0))
        answered = self.complete(empty)
        assert isinstance(answered, Status)
        return answered.warnings


def test_two_versions_of_the_protocol_are_named_in_the_status_of_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {1: "a", 2: "b"}
    a, b = Side(1, names), Side(2, names, version=3)
    a.hear(b, "10.0.0.2", monkeypatch)
    b.hear(a, "10.0.0.1", monkeypatch)
    for side, other in ((a, "b (id 2) at 10.0.0.2"), (b, "a (id 1) at 10.0.0.1")):
        (warning,) = side.warnings()
        assert warning.startswith(f"not believed: {other} speaks another version of the ring's protocol")
        assert "let both run the same komainu" in warning


def test_two_machines_with_one_id_are_named_in_the_status_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes itself for node 1, and the other for node 2."""
    a, b = Side(1, {1: "a", 2: "b"}), Side(1, {1: "b", 2: "a"})
    a.hear(b, "10.0.0.2", monkeypatch)
    b.hear(a, "10.0.0.1", monkeypatch)
    for side, other in ((a, "a (id 1) at 10.0.0.2"), (b, "b (id 1) at 10.0.0.1")):
        (warning,) = side.warnings()
        assert f"{other} says that it is this node: two machines have the same id" in warning
