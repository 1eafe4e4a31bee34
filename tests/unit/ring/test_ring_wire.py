"""ring/wire.py: what is sealed is opened once by its receiver; all else is counted and never raises."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import Position, ViewId
from komainu.node.udp import TRAIN_MAX
from komainu.ring.outbox import PIECE_BYTES_MAX
from komainu.ring.packet import Beat, Heartbeat, Leaving, Member, Packet, Piece, Request, ViewKey, Vote
from komainu.ring.settings import NODE_ID_MAX, NODES_MAX, NodeSettings, RingSettings
from komainu.ring.wire import DATAGRAM_BYTES_MAX, LIVES_MAX, PARTIALS_MAX, REPLAY_WINDOW, Drop, Wire

KEY = b"k" * 32
LINK = LinkNumber(0)
A, B = NodeId(1), NodeId(2)


def settings(me: NodeId, cluster: str = "test") -> RingSettings:
    nodes = tuple(
        NodeSettings(
            node,
            NodeName(f"n{node}"),
            tuple(LinkEnd(LinkNumber(each), f"10.{each}.0.{node}") for each in range(2)),
        )
        for node in (A, B, NodeId(3))
    )
    return RingSettings(cluster, me, nodes)


def wire(me: NodeId, life: int = 7, key: bytes = KEY, cluster: str = "test") -> Wire:
    return Wire(settings(me, cluster), key=key, incarnation=Incarnation(life))


def farewell(life: int = 7) -> Packet:
    return Leaving(Incarnation(life))


def big(size: int) -> Packet:
    return Request(Incarnation(7), ViewId(1, A), 1, Piece(1, 0, 1, False, b"x" * size))


def dropped(receiver: Wire) -> dict[str, int]:
    return {name: count for name, count in receiver.counters.items() if name not in {"opened", "sealed"}}


@pytest.mark.parametrize("size", [0, 1, 1300, 1400, 5000, 200_000])
def test_round_trip(size: int) -> None:
    sender, receiver = wire(A), wire(B)
    datagrams = sender.seal(LINK, B, big(size))
    assert all(len(datagram) <= DATAGRAM_BYTES_MAX for datagram in datagrams)
    opened = [receiver.open(LINK, datagram) for datagram in reversed(datagrams)]
    assert [each for each in opened if each is not None][-1].packet == big(size)
    assert opened.count(None) == len(datagrams) - 1
    assert not dropped(receiver)


def test_a_beat_of_the_largest_ring_is_one_datagram() -> None:
    """What has to come through on a bad path must not need two: with the greatest numbers that there are."""
    view, life = ViewId(2**40, NodeId(NODE_ID_MAX)), Incarnation(2**63 - 1)
    nodes = tuple(NodeId(NODE_ID_MAX - number) for number in range(NODES_MAX))
    lives = tuple(Member(node, life) for node in nodes[1:])
    beat = Beat(
        view=ViewKey(view, life),
        hears=lives,
        wants=nodes,
        seen=2**40,
        blocked=None,
        received=2**31,
        ordered=2**31,
        stored=Position(2**40, 2**31),
        ends=(),
        witness=Vote.UNKNOWN,
        near=nodes[1:],
    )
    packet = Heartbeat(life, 2**31, 2**40, 2**40, 125, beat)
    assert len(wire(A).seal(LINK, B, packet)) == 1


def test_the_largest_piece_is_taken_by_the_kernel_in_one_call() -> None:
    assert TRAIN_MAX - 1 <= len(wire(A).seal(LINK, B, big(PIECE_BYTES_MAX))) <= TRAIN_MAX


def test_a_replay_is_dropped() -> None:
    sender, receiver = wire(A), wire(B)
    datagrams = [sender.seal(LINK, B, farewell())[0] for _ in range(REPLAY_WINDOW + 10)]
    assert receiver.open(LINK, datagrams[5])
    assert receiver.open(LINK, datagrams[3])  # overtaken, but new
    assert receiver.open(LINK, datagrams[3]) is None
    assert receiver.open(LINK, datagrams[-1])
    assert receiver.open(LINK, datagrams[5]) is None  # too old to tell
    assert dropped(receiver) == {"replayed": 2}


def test_two_lives_that_take_turns_are_believed_and_neither_is_replayed() -> None:
    receiver, wires = wire(B), (wire(A, life=7), wire(A, life=8))
    for _ in range(3):
        for life, sender in ((7, wires[0]), (8, wires[1])):
            (datagram,) = sender.seal(LINK, B, farewell(life))
            assert receiver.open(LINK, datagram)
            assert receiver.open(LINK, datagram) is None
            assert receiver.open(LinkNumber(1), datagram) is None
    assert dropped(receiver) == {"replayed": 6, "other-link": 6}


def test_who_is_no_node_any_more_is_not_believed_whatever_came_before() -> None:
    sender, receiver = wire(A), wire(B)
    assert receiver.open(LINK, sender.seal(LINK, B, farewell())[0])
    receiver.reconfigure(replace(settings(B), nodes=settings(B).nodes[1:]))
    assert receiver.open(LINK, sender.seal(LINK, B, farewell())[0]) is None
    assert dropped(receiver) == {"unknown-sender": 1}


@pytest.mark.parametrize(
    ("sender", "receiver", "target", "arrives_on", "kind"),
    [
        (wire(A, key=b"x" * 32), B, B, 0, Drop.NOT_AUTHENTIC),
        (wire(A, cluster="other"), B, B, 0, Drop.NOT_AUTHENTIC),
        (wire(A), B, NodeId(3), 0, Drop.OTHER_RECEIVER),
        (wire(A), A, B, 0, Drop.SAME_ID),
        (wire(A), B, B, 1, Drop.OTHER_LINK),
        (wire(A, life=8), B, B, 0, Drop.OTHER_LIFE),
    ],
)
def test_what_is_not_for_us(
    sender: Wire, receiver: NodeId, target: NodeId, arrives_on: int, kind: Drop
) -> None:
    ours = wire(receiver)
    assert ours.open(LinkNumber(arrives_on), sender.seal(LINK, target, farewell())[0]) is None
    assert dropped(ours) == {kind.value: 1}


def test_sizes() -> None:
    receiver = wire(B)
    assert receiver.open(LINK, b"") is None
    assert receiver.open(LINK, b"x" * 1401) is None
    assert dropped(receiver) == {"too-short": 1, "too-long": 1}


def test_undecodable_and_bad_fragments() -> None:
    sender, receiver = wire(A), wire(B)
    for body in (b"\0\0\0\1\0\0\0\1nonsense", b"\0\0\0\1\0\5\0\2x", b"\0\0\0\1\0\0\0\0x"):
        assert receiver.open(LINK, sender._seal_bodies(LINK, B, [body])[0]) is None
    assert dropped(receiver) == {"undecodable": 1, "bad-fragment": 2}


def test_text_that_is_none_ends_nothing() -> None:
    """Found by benchmarks/ring_fuzz.py: msgspec tells of it otherwise than of all else."""
    sender, receiver = wire(A), wire(B)
    body = b"\0\0\0\0\0\0\0\1" + b"\x92\xa1\x98\x07"
    assert receiver.open(LINK, sender._seal_bodies(LINK, B, [body])[0]) is None
    assert dropped(receiver) == {"undecodable": 1}


def test_fragments_that_do_not_make_their_check_sum_end_nothing() -> None:
    sender, receiver = wire(A), wire(B)
    for head in (b"\0\0\0\1\0\4\0\5", b"\0\0\0\1\0\0\0\2", b"\0\0\0\1\0\1\0\2"):
        assert receiver.open(LINK, sender._seal_bodies(LINK, B, [head + b"x"])[0]) is None
    assert dropped(receiver) == {"bad-fragment": 1}


def test_of_a_packet_that_is_sent_again_only_what_was_lost_is_missing() -> None:
    """Also on another link; what comes of it once more makes it whole once more, if all of it comes."""
    sender, receiver = wire(A), wire(B)
    packet = big(20_000)
    first, again = sender.seal(LINK, B, packet), sender.seal(LinkNumber(1), B, packet)
    lost = {2, 7, 11}
    for number, datagram in enumerate(first):
        assert number in lost or receiver.open(LINK, datagram) is None
    opened = [receiver.open(LinkNumber(1), again[number]) for number in sorted(lost)]
    assert [each and each.packet for each in opened] == [None, None, packet]
    assert not dropped(receiver)


def test_a_packet_cut_otherwise_the_second_time_is_another() -> None:
    sender, receiver = wire(A), wire(B)
    wide, narrow = sender.seal(LINK, B, big(3_000)), sender.seal(LINK, B, big(3_000), is_narrow=True)
    assert len(wide) < len(narrow)
    assert [receiver.open(LINK, datagram) for datagram in (*wide[:-1], *narrow[:-1])] == [None] * (
        len(wide) + len(narrow) - 2
    )
    assert receiver.open(LINK, narrow[-1])


def test_unfinished_messages_are_bounded() -> None:
    sender, receiver = wire(A), wire(B)
    for number in range(PARTIALS_MAX + 3):
        receiver.open(LINK, sender.seal(LINK, B, big(5000 + number))[0])
    assert dropped(receiver) == {"incomplete": 3}


def test_lives_are_bounded_and_strangers_push_out_nobody() -> None:
    receiver = wire(B)
    for life in range(1, LIVES_MAX + 4):
        assert receiver.open(LINK, wire(A, life=life).seal(LINK, B, farewell(life))[0])
        forged = bytearray(wire(A, life=life + 1000).seal(LINK, B, farewell())[0])
        forged[-1] ^= 1
        assert receiver.open(LINK, bytes(forged)) is None
    assert len(receiver._lives[A]) == LIVES_MAX


def test_two_lives_never_share_a_nonce_and_key() -> None:
    first, second = (
        wire(A, life=1).seal(LINK, B, farewell(1))[0],
        wire(A, life=2).seal(LINK, B, farewell(1))[0],
    )
    assert first[24:] != second[24:]


@given(st.binary(max_size=1500))
def test_no_bytes_make_open_raise(datagram: bytes) -> None:
    receiver = wire(B)
    assert receiver.open(LINK, datagram) is None
    assert sum(dropped(receiver).values()) == 1


SEALED = wire(A).seal(LINK, B, big(100))[0]


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255), st.integers(0, len(SEALED)))
def test_no_change_is_believed(place: int, change: int, length: int) -> None:
    receiver = wire(B)
    changed = bytearray(SEALED)
    changed[place] ^= change
    assert receiver.open(LINK, bytes(changed)) is None
    if length < len(SEALED):
        assert receiver.open(LINK, SEALED[:length]) is None
    assert sum(dropped(receiver).values()) == 1 + (length < len(SEALED))


@given(st.recursive(st.none() | st.integers(-(2**62), 2**62) | st.binary() | st.text(), st.lists))
def test_no_sealed_content_makes_open_raise(content: object) -> None:
    sender, receiver = wire(A), wire(B)
    body = b"\0\0\0\1\0\0\0\1" + msgspec.msgpack.encode(content)
    if len(body) < 1300:
        assert receiver.open(LINK, sender._seal_bodies(LINK, B, [body])[0]) is None
        assert sum(dropped(receiver).values()) == 1
