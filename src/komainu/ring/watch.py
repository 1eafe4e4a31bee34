"""Decide which life of which peer is here, whether it hears us, and why it is gone when it is.

Must not know: views and ballots. It keeps for them what the peers say of themselves.

Theory of operation: a life becomes the current one of its node when it names our own life in its heartbeat:
then it lives now, and is no record of an earlier one played again. A life that was replaced, or that said
farewell, is retired for ever. A current life is alive until nothing came from it on any link for `convict_ms`,
or its host refuses our packets; it is alive again with its next packet. It is in doubt from when a cable to it loses
its carrier, or nothing came for `near_ms`, until its next packet. That is told, so that somebody can look for its
power; a peer that is found to have none is convicted after `near_ms`.

Source: the accrual of silence over all links is our own; naming lives follows the idea of incarnation numbers in
SWIM (Das et al. 2002, section 4.2).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from komainu.model.duration import show_ms
from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkState
from komainu.model.moment import earliest
from komainu.model.report import Level, Note
from komainu.ring.interface import LinkChanged, PeerDoubted, PeerEndChanged
from komainu.ring.links import Links, Path
from komainu.ring.packet import Beat, Fate, Gone, Heartbeat, Member
from komainu.ring.settings import RingSettings, Timing

LIVES_KEPT_MAX: Final = 4096
"""Retired lives kept for a peer. A daemon that restarts every minute needs three days to fill it."""

DOUBLE_FACTOR: Final = 2
"""Times of conviction for which two lives of one node have to be heard before two machines are named."""

REFUSED: Final = "its daemon is gone (port closed)"

News = LinkChanged | PeerDoubted | PeerEndChanged | Note
"""What a heartbeat may bring to light."""


@dataclass(slots=True)
class Peer:
    """What is known of one peer."""

    node: NodeId
    name: NodeName
    life: Incarnation | None = None
    alive: bool = False
    doubted: bool = False  # it was told that it may be gone, and nothing came from it since
    off: bool = False  # and it was found to have no power
    beat: Beat | None = None
    number: int = -1
    candidate: Incarnation | None = None  # a life that was heard, but has not named ours yet
    candidate_at: Instant = Instant(0)
    other_since: Instant | None = None  # from when on beats of another life came, and the last of them
    other_at: Instant = Instant(0)
    gone: Gone | None = None  # why the current life is not alive
    retired: dict[Incarnation, Gone] = field(default_factory=dict)

    def retire(self, life: Incarnation, gone: Gone) -> None:
        """Never listen to this life again."""
        self.retired[life] = gone
        if len(self.retired) > LIVES_KEPT_MAX:
            del self.retired[next(iter(self.retired))]

    def hear_other(self, now: Instant, timing: Timing) -> None:
        """Take in a beat of another life than the current one."""
        if self.other_since is None or now - self.other_at >= timing.convict_ms:
            self.other_since = now
        self.other_at = now

    def is_double(self, now: Instant, timing: Timing) -> bool:
        """Whether two machines send as this node. After a restart the earlier life is silent: here both go on."""
        if not self.alive or self.other_since is None or now - self.other_at >= timing.convict_ms:
            return False
        return self.other_at - self.other_since >= DOUBLE_FACTOR * timing.convict_ms


class Watch:
    """Who is here.

    `changes` counts whatever may change the wishes of this node, so that they need not be
    computed anew for every packet.
    """

    def __init__(self, settings: RingSettings, timing: Timing, links: Links, life: Incarnation) -> None:
        self.me = Member(settings.me, life)
        self.my_name = settings.of(settings.me).name
        self.changes = 0
        self._timing = timing
        self._links = links
        self.peers = {
            node.node: Peer(node.node, node.name)
            for node in sorted(settings.nodes, key=lambda each: each.node)
            if node.node != settings.me
        }

    def reconfigure(self, settings: RingSettings, timing: Timing) -> None:
        """Go on with these peers; what is known of those that stay is kept."""
        self._timing = timing
        others = sorted((each.node, each.name) for each in settings.nodes if each.node != self.me.node)
        self.peers = {node: self.peers.get(node) or Peer(node, name) for node, name in others}
        self.changes += 1

    # -- events ---------------------------------------------------------------------------------------------

    def heartbeat(self, packet: Heartbeat, path: Path, now: Instant) -> tuple[bool, list[News]]:
        """Take in a heartbeat; return whether something of interest changed, and what is to be told."""
        peer = self.peers[path.peer]
        notes: list[News] = []
        changed = False
        if packet.life != peer.life:
            peer.hear_other(now, self._timing)
            if packet.life in peer.retired:
                return False, []
            if self.me not in packet.beat.hears:
                changed = peer.candidate != packet.life
                self.changes += changed
                peer.candidate, peer.candidate_at = packet.life, now
                return changed, []
            notes += self._adopt(peer, packet.life)
            changed = True
        notes += self.heard(peer, path, now)
        self._measure(packet, path, now)
        if path.learn_width(packet.large_at):
            text = f"link {path.link} to {peer.name} carries large packets again"
            notes.append(Note(Level.NOTICE, "ring.wide", text, {"peer": peer.node, "link": path.link}))
        changed |= bool(notes)
        if packet.number > peer.number:
            peer.number = packet.number
            if packet.beat != peer.beat:
                self.changes += is_about_views(peer.beat, packet.beat)
                notes += _ends_changed(peer, packet.beat)
                peer.beat = packet.beat
                changed = True
        for fate in packet.beat.gone:
            believed = self._believe(fate, now)
            notes += believed
            changed |= bool(believed)
        return changed, notes

    def heard(self, peer: Peer, path: Path, now: Instant) -> list[News]:
        """Take in that a packet of the peer's current life came."""
        notes: list[News] = [*self._links.heard(path, now)]
        if peer.doubted:
            peer.doubted = peer.off = False
            notes.append(PeerDoubted(peer.node, is_over=True))
        if not peer.alive:
            peer.alive = True
            peer.gone = None
            self.changes += 1
            notes.append(Note(Level.NOTICE, "ring.peer-heard", f"{peer.name} is heard", {"peer": peer.node}))
        return notes

    def leaving(self, peer: Peer, life: Incarnation) -> list[Note]:
        """Take in a farewell."""
        if peer.life != life:
            return []
        self.changes += 1
        peer.retire(life, Gone(peer.node, True, "it left"))
        peer.life, peer.alive, peer.beat, peer.gone = None, False, None, None
        peer.doubted = peer.off = False
        return [Note(Level.NOTICE, "ring.peer-left", f"{peer.name} left", {"peer": peer.node})]

    def lost_carrier(self, link: LinkNumber) -> list[News]:
        """Doubt the peers at the other end of a link that has no carrier any more."""
        return [
            _doubt(peer)
            for peer in self.peers.values()
            if peer.alive and not peer.doubted and self._links.path(peer.node, link) is not None
        ]

    def found_off(self, node: NodeId) -> None:
        """Take in that a peer has no power; one that was heard since it was doubted has some."""
        peer = self.peers.get(node)
        if peer is not None and peer.doubted:
            peer.off = True
            self.changes += 1  # the moment of the next check is another one now

    def tick(self, now: Instant) -> list[News]:
        """Doubt the peers that were silent for a while; convict those that were, or were refused, for too long."""
        notes: list[News] = []
        for peer in self.peers.values():
            if peer.candidate is not None and now - peer.candidate_at >= self._timing.convict_ms:
                peer.candidate = None
                self.changes += 1
            reason = self._verdict(peer, now) if peer.alive else None
            if reason is not None:
                notes.append(self._convict(peer, reason))
            elif peer.alive and not peer.doubted and self._silence(peer, now) >= self._timing.near_ms:
                notes.append(_doubt(peer))
        return notes

    # -- questions ------------------------------------------------------------------------------------------

    def next_check(self) -> Instant | None:
        """When `tick` may find something, if nothing is heard until then."""
        timing = self._timing
        moments = [
            Instant(last + (timing.convict_ms if peer.doubted and not peer.off else timing.near_ms))
            for peer in self.peers.values()
            if peer.alive and (last := self._links.last_heard(peer.node)) is not None
        ]
        candidates = [peer.candidate_at for peer in self.peers.values() if peer.candidate is not None]
        return earliest(*moments, *(Instant(at + timing.convict_ms) for at in candidates))

    def hears(self) -> tuple[Member, ...]:
        """The lives that reach us, to be told to all; sorted by node."""
        lives = []
        for peer in self.peers.values():
            if peer.alive and peer.life is not None:
                lives.append(Member(peer.node, peer.life))
            if peer.candidate is not None:
                lives.append(Member(peer.node, peer.candidate))
        return tuple(lives)

    def certain(self, members: Iterable[Member]) -> tuple[Fate, ...]:
        """The ends of these lives that are more than silence, to be told to all: not everybody got the sign."""
        fates = []
        for member in members:
            gone = self.fate(member)
            if gone is not None and (gone.clean or gone.reason == REFUSED):
                fates.append(Fate(member.node, member.life, gone.clean, gone.reason))
        return tuple(fates)

    def hears_now(self, now: Instant) -> tuple[NodeId, ...]:
        """The peers that were heard within the last beats, and are not only not missed yet."""
        moments = {peer.node: self._links.last_heard(peer.node) for peer in self.peers.values() if peer.alive}
        return tuple(
            node for node, at in moments.items() if at is not None and now - at < self._timing.near_ms
        )

    def friends(self) -> Iterator[tuple[Member, Beat]]:
        """The peers that we hear and that hear us, with what they last said."""
        for peer in self.peers.values():
            if peer.alive and peer.life is not None and peer.beat is not None and self.me in peer.beat.hears:
                yield Member(peer.node, peer.life), peer.beat

    def fate(self, member: Member) -> Gone | None:
        """Why this life is gone; None while there is nothing against it."""
        if member.node == self.me.node:
            return None
        peer = self.peers.get(member.node)
        if peer is None:
            return None  # it is no node any more, or not yet
        if member.life in peer.retired:
            return peer.retired[member.life]
        if peer.life != member.life:
            return None
        if peer.gone is None and peer.beat is not None and self.me not in peer.beat.hears:
            return Gone(peer.node, False, "it no longer hears this node")
        return peer.gone

    def _believe(self, fate: Fate, now: Instant) -> list[Note]:
        """Take a member's word on the end of another: of a farewell always, else when we do not hear it either."""
        peer = self.peers.get(fate.node)
        if peer is None or peer.life != fate.life:
            return []
        if fate.clean:
            return self.leaving(peer, fate.life)
        last = self._links.last_heard(peer.node)
        if not peer.alive or (last is not None and now - last < self._timing.refused_ms):
            return []
        return [self._convict(peer, fate.reason)]

    def _convict(self, peer: Peer, reason: str) -> Note:
        self.changes += 1
        peer.alive, peer.beat, peer.gone = False, None, Gone(peer.node, False, reason)
        peer.doubted = peer.off = False
        return Note(Level.WARNING, "ring.peer-lost", f"{peer.name} is lost: {reason}", {"peer": peer.node})

    # -- inside ---------------------------------------------------------------------------------------------

    def _adopt(self, peer: Peer, life: Incarnation) -> list[Note]:
        notes = []
        if peer.life is not None:
            peer.retire(peer.life, peer.gone or Gone(peer.node, False, "its daemon was restarted"))
            message = f"the daemon of {peer.name} was restarted"
            notes.append(Note(Level.WARNING, "ring.peer-restarted", message, {"peer": peer.node}))
        self.changes += 1
        peer.life, peer.alive, peer.beat, peer.number = life, False, None, -1
        peer.candidate = peer.other_since = None
        return notes

    def _silence(self, peer: Peer, now: Instant) -> int:
        last = self._links.last_heard(peer.node)
        return 0 if last is None else now - last

    def _verdict(self, peer: Peer, now: Instant) -> str | None:
        if self._links.is_refused(peer.node, now):
            return REFUSED
        silence_ms = self._silence(peer, now)
        if silence_ms < (self._timing.near_ms if peer.off else self._timing.convict_ms):
            return None
        if peer.off:
            return f"its fence devices say that it has no power, and it was silent for {show_ms(silence_ms)}"
        if self._links.is_cut_off:
            reasons = "; ".join(end.reason or end.state.label for end in self._links.ends_down())
            return f"this node is cut off ({reasons})"
        count = sum(1 for _ in self._links.paths(peer.node))
        where = {1: "its only link", 2: "both links"}.get(count, f"all {count} links")
        return f"silent on {where} for {show_ms(silence_ms)}"

    @staticmethod
    def _measure(packet: Heartbeat, path: Path, now: Instant) -> None:
        path.peer_sent_at, path.peer_sent_came = packet.sent_at, now
        path.count(packet.number)
        if packet.padding:
            path.large_came = packet.sent_at
        if packet.echo_at is not None:
            path.echo_at = max(path.echo_at or 0, packet.echo_at)
            round_trip = float(max(0, now - packet.echo_at - packet.echo_held_ms))
            old = path.round_trip_ms
            path.round_trip_ms = round_trip if old is None else 0.875 * old + 0.125 * round_trip


def _doubt(peer: Peer) -> PeerDoubted:
    peer.doubted = True
    return PeerDoubted(peer.node)


def is_about_views(old: Beat | None, new: Beat) -> bool:
    """Whether two beats of one node differ in what views are made of."""
    if old is None:
        return True
    return (
        old.hears != new.hears
        or old.wants != new.wants
        or old.view != new.view
        or old.blocked != new.blocked
        or old.witness != new.witness
    )


def _ends_changed(peer: Peer, beat: Beat) -> Iterator[PeerEndChanged]:
    """Compare what a peer says of its own ends with what it said before; an end that is not named is up."""
    before = {} if peer.beat is None else {end.link: (end.state, end.reason) for end in peer.beat.ends}
    now = {end.link: (end.state, end.reason) for end in beat.ends}
    for link in sorted(before.keys() | now.keys()):
        state, reason = now.get(link, (LinkState.UP, ""))
        if before.get(link) != now.get(link):
            yield PeerEndChanged(link, peer.node, state, reason)
