"""Keep what this node sends and holds: its own payloads until they are delivered, and the pieces of the order.

Must not know: views, peers, or when something is sent.
"""

import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

import msgspec

from komainu.model.ids import Incarnation, NodeId
from komainu.model.view import Delivered
from komainu.ring.packet import Ordered, Piece

PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest payload. A snapshot of a cluster of thousands of resources takes a few megabytes."""

PIECE_BYTES_MAX: Final = 60_000
"""Largest piece: forty-five datagrams, which the kernel takes in one call (node/udp.py). What a piece costs the ring hardly
grows with it, and of one that is sent again only the datagrams that were lost are missing (wire.py); decision 0046."""

PACK_BYTES_MIN: Final = 3600
"""Smallest payload that is compressed: below it there are hardly fewer datagrams for it."""

_PACK_LEVEL: Final = 1  # XML shrinks to an eighth with it, at a tenth of the time of the best level

_SAMPLE_BYTES: Final = 1024
_SAMPLE_SHARE: Final = 0.9
"""So much of a payload is tried first: what does not shrink below that share is not worth the time of all of it."""

REQUEST_WINDOW: Final = 32
"""Pieces that one member may have under way to the coordinator."""

REQUEST_WINDOW_BYTES: Final = 256 * 1024
"""Bytes of them: what a socket's buffer takes in one burst (node/udp.py)."""

EARLY: Final = 2
"""Pieces under way with which small payloads still go at once. Beyond it they wait for each other, until one comes
back or a datagram is full: a lone payload is not held up, and of many each datagram carries a dozen."""

FULL_BYTES: Final = 1200
"""Bytes of small payloads that fill a datagram."""

WINDOW: Final = 64
"""Pieces that may be given out before all members have them."""

WINDOW_BYTES: Final = 256 * 1024
"""Bytes of them: what a socket's buffer takes in one burst (node/udp.py)."""

RESEND_MAX: Final = 16
RESEND_BYTES_MAX: Final = 2 * PIECE_BYTES_MAX
"""Pieces, and bytes, that are sent again at once; more would only fill the queue that lost them."""

SUBMITS_MAX: Final = 65_536
"""Payloads that may wait for their order. The drive asks for less; beyond this something runs wild."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One of our payloads that was not delivered yet."""

    submit: int
    token: int
    payload: bytes
    is_snapshot: bool


@dataclass(slots=True)
class Outbox:
    """Our own payloads until they are delivered, through all views; `delivered` is the line's memory of all."""

    me: NodeId
    life: Incarnation
    waiting: deque[Waiting] = field(default_factory=deque)
    submits: int = 0
    delivered: dict[NodeId, Delivered] = field(default_factory=dict)

    @classmethod
    def after(cls, delivered: Iterable[Delivered], me: NodeId, life: Incarnation) -> Self:
        """Begin a life with what its disk says of the payloads that are part of the state."""
        return cls(me, life, delivered={entry.node: entry for entry in delivered})

    @property
    def memory(self) -> tuple[Delivered, ...]:
        """What was delivered last of each node, by node."""
        return tuple(self.delivered[node] for node in sorted(self.delivered))

    def add(self, payload: bytes, token: int, *, is_snapshot: bool) -> Waiting:
        """Keep one more payload."""
        assert len(payload) <= PAYLOAD_BYTES_MAX, "a payload is larger than the ring carries"
        assert len(self.waiting) < SUBMITS_MAX, "more payloads wait than the ring keeps"
        self.submits += 1
        waiting = Waiting(self.submits, token, payload, is_snapshot)
        self.waiting.append(waiting)
        return waiting

    def take(self, submit: int) -> Waiting:
        """Remove the oldest payload, which was delivered now."""
        waiting = self.waiting.popleft()
        assert waiting.submit == submit, (
            "our own payloads are delivered in the order in which they were given"
        )
        return waiting

    def adopt(self, delivered: Iterable[Delivered]) -> list[Waiting]:
        """Begin a view with its line's memory; return our payloads that are already part of its state.

        Snapshots of the view before are dropped.
        """
        self.delivered = {entry.node: entry for entry in delivered}
        mine = self.delivered.get(self.me)
        absorbed: list[Waiting] = []
        while mine and mine.life == self.life and self.waiting and self.waiting[0].submit <= mine.submit:
            absorbed.append(self.waiting.popleft())
        kept = [waiting for waiting in self.waiting if not waiting.is_snapshot]
        self.waiting.clear()
        self.waiting.extend(kept)
        return [waiting for waiting in absorbed if not waiting.is_snapshot]


def cut(waiting: Waiting) -> list[Piece]:
    """Cut a payload into pieces, compressed when that makes it smaller; an empty one is one piece too."""
    payload = waiting.payload
    packed = zlib.compress(payload, _PACK_LEVEL) if _is_worth_packing(payload) else payload
    is_packed = len(packed) < len(payload)
    payload = packed if is_packed else payload
    parts = max(1, -(-len(payload) // PIECE_BYTES_MAX))
    return [
        Piece(
            waiting.submit,
            part,
            parts,
            waiting.is_snapshot,
            payload[part * PIECE_BYTES_MAX : (part + 1) * PIECE_BYTES_MAX],
            is_packed,
        )
        for part in range(parts)
    ]


def _is_worth_packing(payload: bytes) -> bool:
    sample = payload[:_SAMPLE_BYTES]
    return len(payload) >= PACK_BYTES_MIN and (
        len(zlib.compress(sample, _PACK_LEVEL)) < _SAMPLE_SHARE * len(sample)
    )


def fitting(sizes: Iterable[int]) -> int:
    """Return how many pieces of these sizes are sent again at once."""
    count = total = 0
    for size in sizes:
        total += size
        if count == RESEND_MAX or (count and total > RESEND_BYTES_MAX):
            break
        count += 1
    return count


def unpack(payload: bytes, *, is_packed: bool) -> bytes:
    """Return a payload as it was submitted. What does not unpack, or grows too large, becomes nothing."""
    if not is_packed:
        return payload
    try:
        plain = zlib.decompressobj().decompress(payload, PAYLOAD_BYTES_MAX + 1)
    except zlib.error:
        return b""
    return plain if len(plain) <= PAYLOAD_BYTES_MAX else b""


class Requests:
    """Our own pieces on their way to the coordinator of one view, numbered from 1.

    Payloads are cut, and small ones put together, only when they go.
    """

    def __init__(self) -> None:
        self.pieces: dict[int, Piece] = {}  # those that were numbered and not delivered yet
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._rest: deque[Piece] = deque()  # of the payload that was cut last
        self._numbers = 0
        self._sent = 0
        self._confirmed = 0
        self._bytes = 0  # in `pieces`

    def add(self, waiting: Waiting) -> None:
        """Keep one more payload until it goes."""
        self._waiting.append(waiting)
        self._waiting_bytes += len(waiting.payload)

    def piece(self, number: int) -> Piece | None:
        """Return the piece with this number, the next new one at most; None while there is none."""
        if number > self._numbers and not self._number_next():
            return None
        return self.pieces[number]

    def next_to_send(self) -> range:
        """Return the numbers that the windows let out now; they count as sent."""
        first = self._sent + 1
        while self._may_go() and self._number_next():
            self._sent += 1
        return range(first, self._sent + 1)

    def to_send_again(self) -> range:
        """Return the numbers that were sent first of those under way."""
        first = self._confirmed + 1
        sizes = (self.pieces[number].size_bytes for number in range(first, self._sent + 1))
        return range(first, first + fitting(sizes))

    def confirm(self) -> None:
        """Take in that our next piece was delivered. The coordinator's own are never sent."""
        self._confirmed += 1
        self._sent = max(self._sent, self._confirmed)
        self._bytes -= self.pieces.pop(self._confirmed).size_bytes

    @property
    def is_under_way(self) -> bool:
        """Whether something was sent that was not delivered yet."""
        return self._sent > self._confirmed

    def _may_go(self) -> bool:
        under_way = self._sent - self._confirmed
        if under_way >= REQUEST_WINDOW or self._bytes >= REQUEST_WINDOW_BYTES:
            return False
        return under_way < EARLY or bool(self._rest) or self._waiting_bytes >= FULL_BYTES

    def _number_next(self) -> bool:
        """Give the next piece its number; whether there was one."""
        if not self._rest and self._waiting:
            self._rest.extend(self._cut_next())
        if not self._rest:
            return False
        self._numbers += 1
        piece = self.pieces[self._numbers] = self._rest.popleft()
        self._bytes += piece.size_bytes
        return True

    def _cut_next(self) -> list[Piece]:
        """Cut the next payload; a small one takes those behind it along, as far as they fit."""
        first = self._take_waiting()
        if first.is_snapshot or len(first.payload) >= PACK_BYTES_MIN:
            return cut(first)
        more: list[bytes] = []
        size = len(first.payload)
        while self._waiting:
            following = self._waiting[0]
            size += len(following.payload)
            is_next = following.submit == first.submit + len(more) + 1  # a snapshot before it may be gone
            if following.is_snapshot or not is_next or size > PIECE_BYTES_MAX:
                break
            more.append(self._take_waiting().payload)
        return [Piece(first.submit, 0, 1, False, first.payload, more=tuple(more))]

    def _take_waiting(self) -> Waiting:
        waiting = self._waiting.popleft()
        self._waiting_bytes -= len(waiting.payload)
        return waiting


class Log:
    """The pieces of one view's order that are here and may still be wanted.

    `received`: all sequences up to it are, or were, here. `delivered`: those that are done with.
    """

    def __init__(self) -> None:
        self.received = 0
        self.delivered = 0
        self.everyone_has = 0
        self.size_bytes = 0
        self._pieces: dict[int, Ordered] = {}

    def __contains__(self, sequence: int) -> bool:
        return sequence <= self.received or sequence in self._pieces

    @property
    def has_room(self) -> bool:
        """Whether the coordinator may give out more before all members have what was given."""
        return self.received - self.everyone_has < WINDOW and self.size_bytes < WINDOW_BYTES

    def __getitem__(self, sequence: int) -> Ordered:
        return self._pieces[sequence]

    def put(self, packet: Ordered) -> None:
        """Keep a piece, which is whole."""
        assert packet.piece is not None, "only the origin gets an order without its piece"
        self._pieces[packet.sequence] = packet
        self.size_bytes += packet.piece.size_bytes
        while self.received + 1 in self._pieces:
            self.received += 1

    def forget(self, everyone_has: int) -> None:
        """Drop what every member has, but keep what is not delivered here."""
        until = min(everyone_has, self.delivered)
        for number in range(self.everyone_has + 1, until + 1):
            piece = self._pieces.pop(number).piece
            self.size_bytes -= 0 if piece is None else piece.size_bytes
        self.everyone_has = max(self.everyone_has, until)

    def beyond(self) -> tuple[int, ...]:
        """Return the sequences that are here beyond a gap."""
        return tuple(sorted(number for number in self._pieces if number > self.received))

    def share(self, sequences: Iterable[int], life: Incarnation) -> list[Ordered]:
        """Return what is here of these sequences, as packets of our own life, for a member that lacks it."""
        held = [self._pieces[number] for number in sequences if number in self._pieces]
        return [msgspec.structs.replace(packet, life=life) for packet in held]
