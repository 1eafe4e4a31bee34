"""Keep what this node sends and holds: its own payloads until they are delivered, and the pieces of the order.

Must not know: views, peers, or when something is sent.
"""

import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from komainu.model.ids import Incarnation, NodeId
from komainu.ring.packet import Delivered, Ordered, Piece

PAYLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest payload. A snapshot of a cluster of thousands of resources takes a few megabytes."""

PIECE_BYTES_MAX: Final = 1200
"""Largest piece: with all headers it fits into one datagram, so that each can be sent again by itself."""

PACK_BYTES_MIN: Final = 3 * PIECE_BYTES_MAX
"""Smallest payload that is compressed: below it there are hardly fewer pieces for it."""

_PACK_LEVEL: Final = 1  # XML shrinks to an eighth with it, at a tenth of the time of the best level

REQUEST_WINDOW: Final = 32
"""Pieces that one member may have under way to the coordinator."""

RESEND_MAX: Final = 16
"""Pieces that are sent again at once; more would only fill the queue that lost them."""

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
    packed = zlib.compress(payload, _PACK_LEVEL) if len(payload) >= PACK_BYTES_MIN else payload
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
    """Our own pieces on their way to the coordinator of one view, numbered from 1."""

    def __init__(self) -> None:
        self.pieces: dict[int, Piece] = {}  # those that were not delivered yet
        self._numbers = 0
        self._sent = 0
        self._confirmed = 0

    def add(self, waiting: Waiting) -> None:
        """Number the pieces of one more payload."""
        for piece in cut(waiting):
            self._numbers += 1
            self.pieces[self._numbers] = piece

    def next_to_send(self) -> range:
        """Return the numbers that the window lets out now; they count as sent."""
        first = self._sent + 1
        self._sent = max(self._sent, min(self._numbers, self._confirmed + REQUEST_WINDOW))
        return range(first, self._sent + 1)

    def to_send_again(self) -> range:
        """Return the numbers that were sent first of those under way."""
        return range(self._confirmed + 1, min(self._confirmed + RESEND_MAX, self._sent) + 1)

    def confirm(self) -> None:
        """Take in that our next piece was delivered. The coordinator's own are never sent."""
        self._confirmed += 1
        self._sent = max(self._sent, self._confirmed)
        del self.pieces[self._confirmed]

    @property
    def is_under_way(self) -> bool:
        """Whether something was sent that was not delivered yet."""
        return self._sent > self._confirmed


class Log:
    """The pieces of one view's order that are here and may still be wanted.

    `received`: all sequences up to it are, or were, here. `delivered`: those that are done with.
    """

    def __init__(self) -> None:
        self.received = 0
        self.delivered = 0
        self.everyone_has = 0
        self._pieces: dict[int, Ordered] = {}

    def __contains__(self, sequence: int) -> bool:
        return sequence <= self.received or sequence in self._pieces

    def __getitem__(self, sequence: int) -> Ordered:
        return self._pieces[sequence]

    def put(self, packet: Ordered) -> None:
        """Keep a piece."""
        self._pieces[packet.sequence] = packet
        while self.received + 1 in self._pieces:
            self.received += 1

    def forget(self, everyone_has: int) -> None:
        """Drop what every member has, but keep what is not delivered here."""
        until = min(everyone_has, self.delivered)
        for number in range(self.everyone_has + 1, until + 1):
            del self._pieces[number]
        self.everyone_has = max(self.everyone_has, until)

    def beyond(self) -> tuple[int, ...]:
        """Return the sequences that are here beyond a gap."""
        return tuple(sorted(number for number in self._pieces if number > self.received))

    def share(self, sequences: Iterable[int], life: Incarnation) -> list[Ordered]:
        """Return what is here of these sequences, as packets of our own life, for a member that lacks it."""
        held = [self._pieces[number] for number in sequences if number in self._pieces]
        return [msgspec.structs.replace(packet, life=life) for packet in held]
