"""Decide when a node tells of itself, and what: a heartbeat on every path, and at once what peers have to know.

Must not know: what becomes of what it tells.

The first news are told at once, what follows within a moment (`acknowledge_ms`) together at its end. Where all nodes start
at once each hears the others one after the other: told one by one that were N times N times N packets.
"""

from typing import Final

import msgspec

from komainu.model.ids import Incarnation, Instant
from komainu.model.layout import Layout
from komainu.model.report import Level, Note
from komainu.model.view import Position
from komainu.ring.formation import Formation
from komainu.ring.interface import SendPacket
from komainu.ring.links import Links, Path
from komainu.ring.order import Mail
from komainu.ring.packet import Agreed, Beat, EndState, Heartbeat
from komainu.ring.relay import Relays
from komainu.ring.routes import Routes
from komainu.ring.settings import RingSettings, derive, layout_of
from komainu.ring.watch import Watch, is_about_views

LARGE_BYTES: Final = 1280
"""Size of a padded heartbeat: as large as a packet of the order with its largest piece."""

LARGE_EVERY: Final = 8
"""Every so many heartbeats are padded: about one a second, at the default."""

_ENCODER: Final = msgspec.msgpack.Encoder()


class Telling:
    """What one node has told of itself."""

    def __init__(
        self, links: Links, routes: Routes, watch: Watch, relays: Relays, formation: Formation
    ) -> None:
        self._links = links
        self._routes = routes
        self._watch = watch
        self._relays = relays
        self._formation = formation
        self._agreed_version = 0
        self._layout: Layout | None = None  # nodes and links, while they are agreed on
        self._number = 0
        self._told: Beat | None = None
        self._told_of: object = None  # what the last beat was made of, as far as it is news
        self._told_place: object = None  # the rest that it was made of
        self._quiet_ms = 0
        self._quiet_until = Instant(0)
        self.wake_at: Instant | None = None  # news wait until then

    def follow(self, settings: RingSettings) -> None:
        """Tell of these nodes and links from now on."""
        self._quiet_ms = derive(settings).acknowledge_ms
        self._agreed_version = settings.agreed_version
        self._layout = layout_of(settings) if settings.agreed_layout is None else None

    def tell_layout(self, life: Incarnation) -> list[Mail]:
        """Tell who was away which nodes and links are agreed on by now, with every beat until it knows.

        What is not agreed on yet is told by the state alone.
        """
        if self._layout is None:
            return []
        packet = Agreed(life, self._layout)
        behind = (
            peer.node
            for peer in self._watch.peers.values()
            if peer.alive and peer.beat is not None and peer.beat.layout < self._agreed_version
        )
        return [Mail(node, packet) for node in behind]

    def tell(self, now: Instant, *, is_beat: bool) -> list[SendPacket | Note]:
        """Send a heartbeat on every path, and between two regular ones when there is news."""
        passage = self._formation.passage
        current = passage.current
        news = (
            self._watch.changes,
            self._formation.wishes.nodes,
            current,
            passage.blocked,
            passage.vote_of(None if current is None else current.key.view_id),
            self._links.ends,
        )
        is_news = news != self._told_of
        self.wake_at = self._quiet_until if is_news and not is_beat and now < self._quiet_until else None
        if not is_beat and (not is_news or self.wake_at is not None):
            return []
        self._told_of = news
        out = self._send(self.make_beat(now, is_news=is_news), now, at_once=not is_beat)
        if is_news and out:
            self._quiet_until = Instant(now + self._quiet_ms)
        return out

    def make_beat(self, now: Instant, *, is_news: bool) -> Beat:
        """Say what this node has to say of itself now; in quiet times that is what it said before."""
        passage = self._formation.passage
        current = passage.current
        order = None if current is None else current.order
        place = (
            passage.seen,
            0 if order is None else order.log.received,
            0 if order is None else order.ordered,
            None if order is None else order.stored,
            self._relays.near(now),
            self._agreed_version,
        )
        if self._told is not None and not is_news and place == self._told_place:
            return self._told
        self._told_place = place
        seen, received, ordered, stored, near, layout = place
        return Beat(
            view=None if current is None else current.key,
            hears=self._watch.hears(),
            wants=self._formation.wishes.nodes,
            seen=seen,
            blocked=passage.blocked,
            received=received,
            ordered=ordered,
            stored=stored or Position(),
            ends=tuple(EndState(end.link, end.state, end.reason) for end in self._links.ends_down()),
            witness=passage.vote_of(None if current is None else current.key.view_id),
            near=near,
            gone=() if current is None else self._watch.certain(current.members),
            layout=layout,
        )

    def _send(self, beat: Beat, now: Instant, *, at_once: bool) -> list[SendPacket | Note]:
        """Send a heartbeat on every path; between two regular ones only when peers have to know this now.

        What is received and stored has packets of its own.
        """
        told, self._told = self._told, beat
        if at_once and told is not None and not is_about_views(told, beat) and told.ends == beat.ends:
            return []
        self._number += 1
        out: list[SendPacket | Note] = []
        padding = b"" if at_once or self._number % LARGE_EVERY else _padding(beat)
        for peer in self._watch.peers:
            for path in self._links.paths(peer):
                packet = self._heartbeat(path, beat, now, padding)
                out.append(SendPacket(path.link, peer, packet, path.is_narrow and not padding))
                if padding and self._routes.carries(path, now) and path.send_large():
                    out.append(self._say_narrow(path))
            if peer not in beat.near and (ways := self._relays.ways(peer, now)):
                packet = self._heartbeat(self._links.detours[peer], beat, now)
                out += self._relays.send(packet, peer, ways, now)
        return out

    def _heartbeat(self, path: Path, beat: Beat, now: Instant, padding: bytes = b"") -> Heartbeat:
        held_ms = now - path.peer_sent_came
        life, came = self._watch.me.life, path.large_came
        return Heartbeat(life, self._number, now, path.peer_sent_at, held_ms, beat, came, padding)

    def _say_narrow(self, path: Path) -> Note:
        name = self._watch.peers[path.peer].name
        text = (
            f"link {path.link} to {name} carries small packets only: something between drops those of "
            f"{LARGE_BYTES} bytes (its MTU is too small). Packets are cut smaller there"
        )
        return Note(Level.WARNING, "ring.narrow", text, {"peer": path.peer, "link": path.link})


def _padding(beat: Beat) -> bytes:
    """Return what makes a beat as large as the packets of the order are."""
    return bytes(max(1, LARGE_BYTES - len(_ENCODER.encode(beat))))
