"""Values that the tests of the Corosync engine share."""

import msgspec

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import Position
from komainu.ring.corosync.interface import GroupMember, GroupMessage, Multicast, QuorumSeen
from komainu.ring.corosync.ring import CorosyncRing
from komainu.ring.corosync.words import AnyWord, Ballot, Standing, decode, encode
from komainu.ring.interface import RingEffect
from komainu.ring.settings import Engine, NodeSettings, RingSettings

FULL = Ballot(
    is_quorate=True, votes=1, expected=3, needed=2, device_votes=0, is_two_node=False, has_tie_breaker=False
)


def settings(count: int = 3, me: int = 1, links: int = 1) -> RingSettings:
    nodes = tuple(
        NodeSettings(
            NodeId(number),
            NodeName("abcdefgh"[number - 1]),
            tuple(LinkEnd(LinkNumber(link), f"10.0.{link}.{number}") for link in range(links)),
        )
        for number in range(1, count + 1)
    )
    return RingSettings("demo", NodeId(me), nodes, 1000, engine=Engine.COROSYNC)


def member(node: int) -> GroupMember:
    return GroupMember(NodeId(node), 100 + node)


def quorum(*nodes: int, count: int = 3) -> QuorumSeen:
    needed = count // 2 + 1
    return QuorumSeen(len(nodes) >= needed, tuple((NodeId(node), 1) for node in nodes), count, needed)


def standing(node: int, **changes: object) -> Standing:
    plain = Standing(
        number=0,
        change=0,
        group=(),
        life=Incarnation(node * 11),
        view=None,
        members=(),
        is_quorate=False,
        chain=b"",
        position=Position(),
        has_state=True,
        waits_for_all=False,
        seen=1000,
        ballot=FULL,
        gone=(),
        delivered=(),
    )
    return msgspec.structs.replace(plain, **changes)


def ring(me: int = 1, count: int = 3) -> CorosyncRing:
    return CorosyncRing(settings(count, me), Incarnation(me * 11), Instant(0))


def said(effects: list[RingEffect]) -> list[AnyWord]:
    """The words that were multicast."""
    return [decode(effect.data) for effect in effects if isinstance(effect, Multicast)]


def message(node: int, word: AnyWord) -> GroupMessage:
    return GroupMessage(member(node), encode(word))
