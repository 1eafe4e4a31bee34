"""node/turned_away.py: who is no node any more, but holds the key, is told; nobody else, and not often."""

from dataclasses import replace

from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.node.turned_away import TURNED_AWAY_EVERY_S, TurnedAway
from komainu.ring.packet import Agreed, Leaving
from komainu.ring.settings import NodeSettings, RingSettings, agreed_layout, layout_of
from komainu.ring.wire import Wire

A, B, C = NodeId(1), NodeId(2), NodeId(3)
LINK = LinkNumber(0)
KEY = b"k" * 32


def settings(me: NodeId, *nodes: NodeId, layout: int = 0) -> RingSettings:
    known = tuple(NodeSettings(one, NodeName(f"n{one}"), (LinkEnd(LINK, f"10.0.0.{one}"),)) for one in nodes)
    return RingSettings("test", me, known, layout=layout)


def wire(ring: RingSettings, key: bytes = KEY) -> Wire:
    return Wire(ring, key=key, incarnation=Incarnation(int(ring.me)))


NOW = settings(A, A, B, layout=1)
"""What node 1 goes on with after node 3 was removed."""


def datagram(sender: Wire, to: NodeId = A) -> bytes:
    (sealed,) = sender.seal(LINK, to, Leaving(Incarnation(3)))
    return sealed


def test_a_node_that_was_removed_is_told_who_the_nodes_are() -> None:
    one, removed = wire(NOW), wire(settings(C, A, B, C))
    assert one.open(LINK, datagram(removed)) is None
    (answer,) = TurnedAway(one, lambda: agreed_layout(NOW)).answers(LINK, datagram(removed), 1.0)
    opened = removed.open(LINK, answer)
    assert opened is not None
    assert (opened.peer, opened.packet) == (A, Agreed(Incarnation(1), layout_of(NOW)))


def test_nobody_else_is_answered() -> None:
    one = wire(NOW)

    def answers(given: bytes) -> list[bytes]:
        return TurnedAway(one, lambda: agreed_layout(NOW)).answers(LINK, given, 1.0)

    removed = wire(settings(C, A, B, C))
    assert answers(datagram(wire(settings(C, A, B, C), key=b"x" * 32))) == []  # it does not hold the key
    assert answers(datagram(removed, to=B)) == []
    assert answers(datagram(wire(settings(B, A, B)))) == []  # it is a node
    assert answers(datagram(removed)[:-1]) == answers(datagram(removed)[:20]) == answers(b"") == []


def test_a_flood_is_not_answered_by_a_flood() -> None:
    one, removed = wire(NOW), wire(settings(C, A, B, C))
    turned_away = TurnedAway(one, lambda: agreed_layout(NOW))
    times = [turned_away.answers(LINK, datagram(removed), 10.0 + part / 100) for part in range(300)]
    assert sum(bool(each) for each in times) == int(3 / TURNED_AWAY_EVERY_S)


def test_what_is_not_agreed_on_is_not_told() -> None:
    assert agreed_layout(settings(A, A, B)) is None  # komainu.toml alone says it
    assert agreed_layout(replace(NOW, agreed_layout=0)) is None
    one, removed = wire(NOW), wire(settings(C, A, B, C))
    assert TurnedAway(one, lambda: None).answers(LINK, datagram(removed), 1.0) == []
