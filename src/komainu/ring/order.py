"""Decide the order of payloads within one view, and see that every member gets all of them.

The coordinator gives each piece the next sequence; members deliver in sequence as soon as a piece and all before
it are there. A payload of several pieces is delivered with its last one. Must not know: how views come about,
links, or what a payload means.

Source: the fixed-sequencer broadcast (Defago, Schiper, Urban 2004, section 4.1), with retransmission from the
sequencer on negative acknowledgement or after a wait. Deviation: requests of one origin keep their order.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

from komainu.model.ids import Instant, NodeId
from komainu.model.view import Position
from komainu.ring.delivery import Delivery
from komainu.ring.interface import Deliver
from komainu.ring.outbox import (
    REQUEST_WINDOW,
    RESEND_MAX,
    WINDOW,
    WINDOW_BYTES,
    Log,
    Outbox,
    Requests,
    Waiting,
    fitting,
)
from komainu.ring.packet import Acknowledge, Decision, DirectPacket, Ordered, Piece, Request
from komainu.ring.settings import Timing
from komainu.ring.tally import Tally

ACKNOWLEDGE_EVERY: Final = WINDOW // 4
ACKNOWLEDGE_EVERY_BYTES: Final = WINDOW_BYTES // 4
"""After so much a receipt is told without waiting: a quarter of each window, so that it never empties."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A packet for a peer, on whichever link is best."""

    peer: NodeId
    packet: DirectPacket


Out = Mail | Deliver


@dataclass(slots=True)
class _Origin:
    """The coordinator's side of one member's requests."""

    accepted: int = 0  # all numbers up to it were given their sequence
    early: dict[int, Piece] = field(default_factory=dict)


class Order:
    """The order of one view, from its beginning to its flush.

    `ordered`: the last sequence that the coordinator gave out, as far as it is known here. `stored`: what our own
    storage holds of this view.
    """

    def __init__(self, decision: Decision, outbox: Outbox, timing: Timing) -> None:
        members = decision.view.members
        self.log = Log()
        self.ordered = 0
        self.stored: Position | None = None
        self._view_id = decision.view.view_id
        self._me = outbox.me
        self._life = outbox.life
        self._coordinator = members[0]
        self._leads = self._coordinator == self._me
        self._waiting = outbox.waiting
        self._timing = timing
        self.tally = Tally(node for node in members if node != outbox.me)
        self._origins = {node: _Origin() for node in members}
        self._turns = deque(members)
        self._requests = Requests()
        self.delivery = Delivery(decision, outbox, self.log, self._requests)
        self._told = 0  # the last `received` that the coordinator was told
        self._untold_bytes = 0  # that came since
        self._stopped = False
        self._retry_at: Instant | None = None
        self._retry_ms = timing.resend_ms
        self._acknowledge_at: Instant | None = None

    # -- what others ask ------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is to be called."""
        if self._stopped:
            return None
        if self._retry_at is None or self._acknowledge_at is None:
            return self._acknowledge_at if self._retry_at is None else self._retry_at
        return min(self._retry_at, self._acknowledge_at)

    def stable(self) -> Position | None:
        """Up to where every member has stored the state; None while one has not said so in this view."""
        return self.tally.stable(self.stored)

    # -- events ---------------------------------------------------------------------------------------------

    def begin(self, now: Instant) -> list[Out]:
        """Start the view with whatever of ours still waits."""
        for waiting in self._waiting:
            self._requests.add(waiting)
        return self._push(now)

    def submit(self, waiting: Waiting, now: Instant) -> list[Out]:
        """Ask for the order of one more of our payloads."""
        self._requests.add(waiting)
        return self._push(now)

    def request(self, peer: NodeId, packet: Request, now: Instant) -> list[Out]:
        """Take in a member's wish to have a piece ordered."""
        origin = self._origins.get(peer)
        if self._stopped or not self._leads or origin is None or packet.view != self._view_id:
            return []
        if origin.accepted < packet.number <= origin.accepted + REQUEST_WINDOW:
            origin.early[packet.number] = packet.piece
        return self._give_out(now)

    def take(self, packet: Ordered, now: Instant) -> list[Out]:
        """Take in an ordered piece, from the coordinator or, in a flush, from a member that shares it."""
        log = self.log
        if packet.view != self._view_id or packet.sequence in log:
            return []
        if packet.sequence > log.received + 2 * WINDOW:
            return []  # not even a coordinator that took us for gone could be this far ahead
        if packet.piece is None:
            own = self._requests.pieces.get(packet.number)
            if own is None or packet.origin != self._me:
                return []
            packet = msgspec.structs.replace(packet, piece=own)
        is_gap = packet.sequence > max(log.received, self.ordered) + 1  # an old one was asked for already
        before_bytes = log.size_bytes
        log.put(packet)
        self._untold_bytes += log.size_bytes - before_bytes
        self.ordered = max(self.ordered, packet.sequence)
        if self._stopped:
            return []
        out: list[Out] = [*self.delivery.deliver()]
        self._retry_ms = self._timing.resend_ms
        log.forget(packet.everyone_has)
        if packet.origin == self._me:
            self._retry_at = None  # ours get on: time begins anew for the next of them
        out += self._push(now)
        is_much = (
            log.received - self._told >= ACKNOWLEDGE_EVERY or self._untold_bytes >= ACKNOWLEDGE_EVERY_BYTES
        )
        if is_gap or is_much:
            out.append(self._acknowledge(self._coordinator))
        elif self._acknowledge_at is None and log.received > self._told:
            self._acknowledge_at = Instant(now + self._timing.acknowledge_ms)
        return out

    def acknowledged(self, peer: NodeId, packet: Acknowledge, now: Instant) -> list[Out]:
        """Take in what a member holds and has stored; send again what it misses."""
        if packet.view != self._view_id or peer not in self.tally.others:
            return []
        out: list[Out] = []
        if self._leads and not self._stopped:
            held = self.log.share(packet.missing[:RESEND_MAX], self._life)
            out += [_mail(peer, ordered) for ordered in held[: fitting(map(_size_of, held))]]
        return out + self.told(peer, packet.received, packet.stored, now)

    def told(self, peer: NodeId, received: int, stored: Position, now: Instant) -> list[Out]:
        """Take in what a member of this view says of itself, in a heartbeat or a receipt."""
        has_news = self.tally.told(peer, received, stored)
        if self._stopped or not self._leads or not has_news:
            return []
        self.tally.took(peer, min(received, self.ordered), self.ordered, now)
        self._retry_at = (
            None  # it gets on; one that does not soon holds up all, and then it is time for that one
        )
        self._retry_ms = self._timing.resend_ms
        self.log.forget(self.tally.everyone_has())
        return self._give_out(now)

    def heard_of(self, sequence: int, now: Instant) -> None:
        """Take in how far the coordinator says that it is: what is missing is asked for by and by."""
        if not self._leads:
            self.ordered = max(self.ordered, sequence)
            self._plan_retry(now)

    def store(self, position: Position) -> list[Out]:
        """Take in that our own storage holds the state up to here, and tell the members."""
        if self.stored is not None and position <= self.stored:
            return []
        self.stored = position
        return [] if self._stopped else [self._acknowledge(peer) for peer in self.tally.others]

    def tick(self, now: Instant) -> list[Out]:
        """Do what its time has come: tell a receipt, send again what was not answered."""
        out: list[Out] = []
        if self._stopped:
            return out
        if self._acknowledge_at is not None and now >= self._acknowledge_at:
            out.append(self._acknowledge(self._coordinator))
        if self._retry_at is None or now < self._retry_at:
            return out
        self._retry_at = None
        self._retry_ms = min(2 * self._retry_ms, self._timing.heartbeat_ms)
        if self._leads:
            for peer, known in self.tally.others.items():
                behind = range(known.received + 1, min(known.received + RESEND_MAX, self.ordered) + 1)
                held = [self.log[number] for number in behind]
                out += [_mail(peer, ordered) for ordered in held[: fitting(map(_size_of, held))]]
        else:
            out += [self._ask(number) for number in self._requests.to_send_again()]
            if self.log.received < self.ordered:
                out.append(self._acknowledge(self._coordinator))
        self._plan_retry(now)
        return out

    # -- the end of the view --------------------------------------------------------------------------------

    def stop(self) -> None:
        """Deliver no more until `finish`: we have told a proposer how far we are."""
        self._stopped = True

    def finish(self, last: int) -> list[Out]:
        """Deliver the rest of the view, through `last`."""
        assert self.log.delivered <= last <= self.log.received, "what the members agreed on is here"
        self.log.received = last
        return [*self.delivery.deliver()]

    # -- inside ---------------------------------------------------------------------------------------------

    def _push(self, now: Instant) -> list[Out]:
        """Send our own pieces on their way as far as the windows allow."""
        if self._stopped:
            return []
        if self._leads:
            return self._give_out(now)
        out: list[Out] = [self._ask(number) for number in self._requests.next_to_send()]
        self._plan_retry(now)
        return out

    def _ask(self, number: int) -> Mail:
        return Mail(
            self._coordinator, Request(self._life, self._view_id, number, self._requests.pieces[number])
        )

    def _give_out(self, now: Instant) -> list[Out]:
        """Give sequences while the windows are open, to the origins in turn, so that none keeps the others out."""
        out: list[Out] = []
        ordered = self.ordered
        passed = 0  # origins in a row that had nothing
        while passed < len(self._turns) and self.log.has_room:
            node = self._turns[0]
            self._turns.rotate(-1)
            origin = self._origins[node]
            number = origin.accepted + 1
            piece = self._requests.piece(number) if node == self._me else origin.early.pop(number, None)
            if piece is None:
                passed += 1
                continue
            passed, origin.accepted = 0, number
            out += self._give(node, number, piece)
        if self.ordered > ordered:
            self.tally.gave(now)
        self._plan_retry(now)
        return out

    def _give(self, origin: NodeId, number: int, piece: Piece) -> list[Out]:
        """Order one piece: send it to all, and deliver it here at once."""
        self.ordered += 1
        packet = Ordered(
            self._life, self._view_id, self.ordered, origin, number, piece, self.log.everyone_has
        )
        self.log.put(packet)
        out: list[Out] = [_mail(peer, packet) for peer in self.tally.others]
        out += self.delivery.deliver()
        if not self.tally.others:
            self.log.forget(self.ordered)
        return out

    def _acknowledge(self, peer: NodeId) -> Mail:
        self._acknowledge_at = None
        received = self.log.received
        missing: tuple[int, ...] = ()
        if peer == self._coordinator:
            self._told, self._untold_bytes = received, 0
            until = min(self.ordered, received + RESEND_MAX)
            missing = tuple(number for number in range(received + 1, until + 1) if number not in self.log)
        return Mail(
            peer, Acknowledge(self._life, self._view_id, received, missing, self.stored or Position())
        )

    def _plan_retry(self, now: Instant) -> None:
        """Set the time to send again what is under way; none when nothing is."""
        if self._leads:
            waits = any(peer.received < self.ordered for peer in self.tally.others.values())
        else:
            waits = self._requests.is_under_way or self.log.received < self.ordered
        if not waits:
            self._retry_at = None
        elif self._retry_at is None:
            self._retry_at = Instant(now + self._retry_ms)


def _size_of(packet: Ordered) -> int:
    return 0 if packet.piece is None else packet.piece.size_bytes


def _mail(peer: NodeId, packet: Ordered) -> Mail:
    """Address an ordered piece. Its origin has it and is told only the place: in a pair that is half of the traffic."""
    return Mail(peer, msgspec.structs.replace(packet, piece=None) if peer == packet.origin else packet)
