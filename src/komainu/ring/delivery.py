"""Deliver the pieces of one view in their order, put payloads together, and count the positions.

Must not know: who gave the order, and how the pieces came here.
"""

from dataclasses import dataclass

from komainu.model.ids import NodeId
from komainu.model.view import Delivered, Position
from komainu.ring.interface import Deliver
from komainu.ring.outbox import Log, Outbox, Requests, unpack
from komainu.ring.packet import Decision, Piece


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a node's state stands: `has_state` says that it is the state of the view, no older one."""

    position: Position
    has_state: bool
    delivered: tuple[Delivered, ...]


class Delivery:
    """What was delivered in one view.

    `position`: where the view's state stands after the last delivery. `has_state`: whether this node holds it.
    """

    def __init__(self, decision: Decision, outbox: Outbox, log: Log, requests: Requests) -> None:
        self.position = decision.position
        self.has_state = outbox.me in decision.keeps_state
        self._owner = decision.owner
        self._lives = dict(zip(decision.view.members, decision.lives, strict=True))
        self._outbox = outbox
        self._log = log
        self._requests = requests
        self._parts: dict[NodeId, list[bytes]] = {}

    def deliver(self) -> list[Deliver]:
        """Deliver all that is here without a gap."""
        out: list[Deliver] = []
        while self._log.delivered < self._log.received:
            self._log.delivered += 1
            packet = self._log[self._log.delivered]
            if packet.origin == self._outbox.me:
                self._requests.confirm()
            piece = packet.piece
            assert piece is not None, "the log holds whole pieces"
            parts = self._parts.setdefault(packet.origin, [])
            assert len(parts) == piece.part, "the pieces of one origin come in their order"
            parts.append(piece.payload)
            if piece.is_last:
                out += self._complete(packet.origin, piece)
        return out

    def project(self) -> Standing:
        """Say where the state, and the memory of deliveries, will stand when all that is here is delivered."""
        delivered = dict(self._outbox.delivered)
        index, has_state = self.position.index, self.has_state
        for number in range(self._log.delivered + 1, self._log.received + 1):
            packet = self._log[number]
            piece = packet.piece
            assert piece is not None, "the log holds whole pieces"
            if piece.is_last:
                index += 1 + len(piece.more)
                has_state |= self._is_state(packet.origin, piece)
                delivered[packet.origin] = self._memory_of(packet.origin, piece)
        position = Position(self.position.lineage, index)
        return Standing(position, has_state, tuple(delivered[node] for node in sorted(delivered)))

    def _complete(self, origin: NodeId, piece: Piece) -> list[Deliver]:
        payload = unpack(b"".join(self._parts.pop(origin)), is_packed=piece.is_packed)
        self._outbox.delivered[origin] = self._memory_of(origin, piece)
        self.has_state |= self._is_state(origin, piece)
        return [
            self._hand_out(origin, piece.submit + place, each)
            for place, each in enumerate((payload, *piece.more))
        ]

    def _hand_out(self, origin: NodeId, submit: int, payload: bytes) -> Deliver:
        self.position = Position(self.position.lineage, self.position.index + 1)
        token = self._outbox.take(submit).token if origin == self._outbox.me else None
        return Deliver(self.position, origin, payload, token, Delivered(origin, self._lives[origin], submit))

    def _is_state(self, origin: NodeId, piece: Piece) -> bool:
        return piece.is_snapshot and origin == self._owner

    def _memory_of(self, origin: NodeId, piece: Piece) -> Delivered:
        return Delivered(origin, self._lives[origin], piece.last_submit)
