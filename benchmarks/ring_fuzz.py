"""Feed the ring's seal and decoder with spoiled input: nothing may raise, and nothing that was not sealed be believed.

A third each: bytes of chance, some behind a header that is right; sealed datagrams with a few bytes changed, cut off or
added; and packets spoiled before they are sealed, as a member gone mad would send them, which reach the decoder.
"""

from collections import Counter
from random import Random

import msgspec

from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import Position, View, ViewId
from komainu.ring import packet as packets
from komainu.ring.settings import NodeSettings, RingSettings
from komainu.ring.wire import Wire

KEY = b"a key that only benchmarks have."
LINK = LinkNumber(0)
A, B = NodeId(1), NodeId(2)
LIFE = Incarnation(7)
CHANGES_MAX = 4
NOISE_BYTES_MAX = 1_600
SEALED_HEADER_BYTES = 22


def samples() -> list[packets.Packet]:
    """One packet of every kind."""
    view, member = ViewId(9, A), packets.Member(A, LIFE)
    key, position = packets.ViewKey(view, LIFE), Position(9, 3)
    voters = packets.Voters(0, (packets.Electorate((A, B), A),))
    piece = packets.Piece(1, 0, 1, False, b"payload", more=(b"another",))
    beat = packets.Beat(key, (member,), (A, B), 9, view, 3, 4, position, (), packets.Vote.CAST, (A,))
    decision = packets.Decision(
        View(view, (A, B), True, "2 of 2 votes"),
        (LIFE, LIFE),
        position,
        A,
        (A,),
        (packets.Gone(B, True, "left"),),
        (B,),
        (packets.LastOf(key, 3),),
        (packets.Delivered(A, LIFE, 3),),
        False,
        voters,
        False,
    )
    flush = packets.Flush(
        LIFE,
        view,
        key,
        (member,),
        True,
        3,
        (5,),
        position,
        True,
        False,
        (),
        (),
        voters,
        True,
        (),
        packets.Vote.UNKNOWN,
    )
    ordered = packets.Ordered(LIFE, view, 1, A, 1, piece, 0)
    return [
        packets.Heartbeat(LIFE, 1, 2, 3, 4, beat),
        packets.Leaving(LIFE),
        packets.Propose(LIFE, view, (member,)),
        flush,
        packets.Share(LIFE, view, key, B, (1, 2)),
        packets.Install(LIFE, decision),
        packets.Request(LIFE, view, 1, piece),
        ordered,
        packets.Acknowledge(LIFE, view, 3, (5,), position),
        packets.Relay(LIFE, A, B, ordered),
    ]


def spoil(data: bytes, chance: Random) -> bytes:
    """Change a few bytes, cut some off, or add some."""
    spoiled = bytearray(data)
    for _ in range(chance.randint(1, CHANGES_MAX)):
        match chance.randrange(4):
            case 0 if spoiled:
                del spoiled[chance.randrange(len(spoiled)) :]
            case 1:
                spoiled += chance.randbytes(chance.randint(1, 40))
            case _ if spoiled:
                spoiled[chance.randrange(len(spoiled))] ^= chance.randint(1, 255)
            case _:
                pass
    return bytes(spoiled)


class Fuzz:
    """A node that is fed, and who feeds it."""

    def __init__(self, seed: int) -> None:
        nodes = tuple(
            NodeSettings(node, NodeName(f"n{node}"), (LinkEnd(LINK, f"10.0.0.{node}"),)) for node in (A, B)
        )
        self.chance = Random(seed)
        self.sender = Wire(RingSettings("fuzz", A, nodes), key=KEY, incarnation=LIFE)
        self.receiver = Wire(RingSettings("fuzz", B, nodes), key=KEY, incarnation=Incarnation(8))
        self.encoded = [msgspec.msgpack.encode(each) for each in samples()]
        self.sealed = [self.sender.seal(LINK, B, each)[0] for each in samples()]

    def run(self, inputs: int) -> dict[str, int]:
        """Feed so many inputs; return what became of them. Raises when something does that must not."""
        became: Counter[str] = Counter()
        for number in range(inputs):
            kind = number % 3
            datagram = (self._noise, self._broken, self._mad)[kind]()
            opened = self.receiver.open(LINK, datagram)
            if opened is not None:
                assert kind == 2, "something that was not sealed is believed"
                became["decoded to some packet"] += 1
                continue
            drop = self.receiver.last_drop()
            became["kept as a fragment" if drop is None else drop[0].value] += 1
        assert sum(became.values()) == inputs, "all is accounted for"
        return dict(sorted(became.items()))

    def _noise(self) -> bytes:
        noise = self.chance.randbytes(self.chance.randrange(NOISE_BYTES_MAX))
        header = self.chance.choice(self.sealed)[:SEALED_HEADER_BYTES]
        return header + noise if self.chance.random() < 0.5 else noise

    def _broken(self) -> bytes:
        whole = self.chance.choice(self.sealed)
        broken = spoil(whole, self.chance)
        return broken if broken != whole else b""

    def _mad(self) -> bytes:
        body = b"\0\0\0\0\0\0\0\1" + self.chance.choice(self.encoded)
        return self.sender._seal_bodies(LINK, B, [spoil(body, self.chance)])[0]  # noqa: SLF001 - what no packet of ours holds
