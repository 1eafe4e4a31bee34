"""Decide over which other node packets go to a peer that is not reached directly, and take in what came so.

Must not know: views, ballots, what the packets say.

Theory of operation. A node tells with its beats to whom it has a good direct path (`near`). Who has none to a peer,
or is not answered there, sends its beats also over one or two nodes that are near to both; these pass them on over
their own direct path and no further. So a suspicion is tested over every way before it becomes a conviction: as long
as somebody reaches the peer it stays alive, in hearing and being heard, and no view has to change. Direct beats
go on, and the first that is answered ends the detour.

The seal of the last part of the way is that of the node in between: every holder of the cluster key is believed.
Source: the indirect probe of SWIM (Das et al. 2002, section 3.1), here for all packets instead of probes.
"""

from typing import Final

from komainu.model.ids import Incarnation, Instant, NodeId
from komainu.model.report import Level, Note
from komainu.ring.interface import RouteChanged, SendPacket
from komainu.ring.packet import DirectPacket, Relay
from komainu.ring.routes import Routes
from komainu.ring.watch import Watch

WAYS_MAX: Final = 2
"""Nodes over which a beat goes: when one of them dies too, the other still carries."""


class Relays:
    """The detours of one node. `over`: the peers that are reached by one, and over whom."""

    def __init__(self, routes: Routes, watch: Watch) -> None:
        self.over: dict[NodeId, NodeId] = {}
        self._routes = routes
        self._watch = watch

    def near(self, now: Instant) -> tuple[NodeId, ...]:
        """Return the peers with a good direct path."""
        return tuple(peer for peer in self._watch.peers if self._routes.is_near(peer, now))

    def ways(self, peer: NodeId, now: Instant) -> list[NodeId]:
        """Return the nodes that are near to us and say that they are near to this peer, lowest first."""
        return [
            other.node
            for other in self._watch.peers.values()
            if other.node != peer
            and other.alive
            and other.beat is not None
            and peer in other.beat.near
            and self._routes.is_near(other.node, now)
        ][:WAYS_MAX]

    def send(self, packet: DirectPacket, peer: NodeId, ways: list[NodeId], now: Instant) -> list[SendPacket]:
        """Send a packet of our own to a peer over these nodes."""
        me = self._watch.me
        return [step for way in ways for step in self._step(Relay(me.life, me.node, peer, packet), way, now)]

    def carry(self, packet: DirectPacket, peer: NodeId, now: Instant) -> list[SendPacket]:
        """Send a packet to a peer by its links; by a detour, when there is none but that."""
        if peer in self.over and self._routes.best(peer, now) is None:
            return self.send(packet, peer, self.ways(peer, now)[:1], now)
        return [self._routes.packet(link, peer, packet) for link in self._routes.route(peer, now)]

    def forward(self, relay: Relay, life: Incarnation, now: Instant) -> list[SendPacket]:
        """Pass on what another node sent for a peer; only by a direct path, so that nothing ever runs in circles."""
        if relay.target not in self._watch.peers or relay.target == relay.origin:
            return []
        return self._step(Relay(life, relay.origin, relay.target, relay.cargo), relay.target, now)

    def tick(self, now: Instant) -> list[Note | RouteChanged]:
        """Look, with every beat, who is reached by a detour, and say what changed."""
        changes: list[Note | RouteChanged] = []
        for peer in self._watch.peers.values():
            ways = [] if self._routes.is_near(peer.node, now) else self.ways(peer.node, now)
            over = ways[0] if ways and peer.alive and self._routes.is_relayed(peer.node, now) else None
            before = self.over.pop(peer.node, None)
            if over is not None:
                self.over[peer.node] = over
            if before == over or (over is None and not peer.alive):
                continue  # that the peer is lost has its own note
            reason = f"{peer.name} is reached directly again"
            if over is not None:
                name = self._watch.peers[over].name
                reason = (
                    f"{self._watch.my_name} and {peer.name} do not reach each other: packets go over {name}"
                )
            code, level = ("ring.direct", Level.NOTICE) if over is None else ("ring.relayed", Level.WARNING)
            changes.append(Note(level, code, reason, {"peer": peer.node}))
            changes.append(RouteChanged(self._routes.links(peer.node), peer.node, over, reason))
        return changes

    def _step(self, relay: Relay, to: NodeId, now: Instant) -> list[SendPacket]:
        link = self._routes.best(to, now)
        return [] if link is None else [self._routes.packet(link, to, relay)]
