"""Join the cores of the builtin ring behind the one interface of all engines.

Must not know: sockets, clocks, and what payloads mean. Packets come in opened and go out to be sealed (wire.py).

Theory of operation. Every `heartbeat_ms` each node sends a heartbeat to each peer on each link. From these
    links.py      learns which paths carry, and picks the best for everything else,
    watch.py      learns which lives are here and whom they hear,
    formation.py  learns which view is wanted, and leads the members from the old view into the new,
    order.py      learns what members hold and have stored. It orders payloads within one view.
A change in what a node tells is told at once, not with the next beat; in quiet times nothing but beats is sent.

Positions. A quorate view begins at (its counter, 0), a view without quorum goes on counting in the lineage that
its owner holds. So the state of a quorate line is always greater than one that was left behind, and stays so on
disk. A member that comes from another view than the owner takes the owner's state, whatever it holds itself.

Our own stall. When an event comes far later than the deadline that was asked for, it was this node that stood
still: peers are not accused of the silence that we slept through, they get a fresh time to be heard.

Source: DESIGN.md, section 5; each module names its own.
"""

from collections.abc import Iterable
from typing import Final, assert_never

from komainu.model.duration import show_ms
from komainu.model.ids import Incarnation, Instant, NodeId, NodeName
from komainu.model.link import LinkState
from komainu.model.moment import earliest
from komainu.model.report import Level, Note
from komainu.model.view import Position, View
from komainu.ring.corosync.interface import EngineLost, GroupChanged, GroupMessage, PathsSeen, QuorumSeen
from komainu.ring.formation import Formation
from komainu.ring.interface import (
    Confirmed,
    DeadlinePassed,
    EndChanged,
    LayoutLearned,
    Leave,
    LinkReport,
    PacketReceived,
    Past,
    PeerOff,
    PeerRefused,
    PromiseKept,
    QuorumReport,
    Reconfigure,
    RingEffect,
    RingEvent,
    SendPacket,
    Stable,
    StartAlone,
    Stored,
    Submit,
    WitnessVoted,
)
from komainu.ring.link_report import link_reports
from komainu.ring.links import Links, Path
from komainu.ring.order import Mail
from komainu.ring.outbox import Outbox
from komainu.ring.packet import (
    Acknowledge,
    Agreed,
    Flush,
    Heartbeat,
    Install,
    Leaving,
    Ordered,
    Packet,
    Propose,
    Relay,
    Request,
    Share,
)
from komainu.ring.passage import Installed
from komainu.ring.quorum_report import report
from komainu.ring.relay import Relays
from komainu.ring.rhythm import Rhythm
from komainu.ring.routes import Routes
from komainu.ring.settings import RingSettings, derive
from komainu.ring.telling import Telling
from komainu.ring.watch import Peer, Watch

FAREWELLS: Final = 2
"""How often a farewell is sent on each link: a lost one costs the peers the whole time of detection."""

ORDER_STALLED_FACTOR: Final = 2
"""Times of detection for which a member may take nothing of the order before it is named."""

Out = Mail | RingEffect


class BuiltinRing:
    """The ring that needs nothing but Python. See interface.Ring for what it promises."""

    def __init__(
        self, settings: RingSettings, incarnation: Incarnation, now: Instant, past: Past | None = None
    ) -> None:
        """Start a life. `incarnation` is drawn anew for each; `past` is what earlier ones left on the disk."""
        self._settings = settings
        self._timing = derive(settings)
        self._me = settings.me
        self._life = incarnation
        self._names = {node.node: node.name for node in settings.nodes}
        self._links = Links(settings, self._timing, now)
        self._watch = Watch(settings, self._timing, self._links, incarnation)
        self._routes = Routes(self._links, self._timing, settings.link_mode)
        self._relays = Relays(self._routes, self._watch)
        past = past or Past()
        self._outbox = Outbox.after(past.delivered, settings.me, incarnation)
        started = (past, now)
        self._formation = Formation(settings, self._timing, self._watch, self._outbox, started)
        self._telling = Telling(self._links, self._routes, self._watch, self._relays, self._formation)
        self._telling.follow(settings)
        self._seen_at = now
        self._rhythm = Rhythm(now, self._timing.heartbeat_ms)
        self._check_at: Instant | None = None
        self._checked = -1  # the watch's changes at that time
        self._deadline: Instant | None = now
        self._others_at: Instant | None = None  # the next that is due besides our beat
        self._stable = Position()
        self._in_view: Installed | None = None
        self._has_left = False

    # -- questions ------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When `DeadlinePassed` is wanted; None after we left."""
        return self._deadline

    @property
    def view(self) -> View | None:
        """The current view; None before the first."""
        current = self._formation.passage.current
        return None if current is None else current.decision.view

    @property
    def stable(self) -> Position:
        """Up to where every member of a quorate view has stored the state."""
        return self._stable

    def name_of(self, node: NodeId) -> NodeName:
        """Return a node's name."""
        return self._names[node]

    def remarks(self, now: Instant) -> list[str]:
        """Say what an administrator has to know and the links do not say: two machines in one's place, who is waited for."""
        doubles = [
            f"two machines send as {peer.name} (id {peer.node}), both with the cluster's key: stop one, and give it an id of "
            f"its own in komainu.toml"
            for peer in self._watch.peers.values()
            if peer.is_double(now, self._timing)
        ]
        current = self._formation.passage.current
        if current is None or current.decision.view.quorate or not current.decision.waits_for_all:
            return doubles
        members = current.decision.view.members
        missing = [node.name for node in self._settings.nodes if node.node not in members]
        steps = "; ".join(f"komainu fence confirm {name}" for name in missing)
        return [
            *doubles,
            f"nothing is started before {', '.join(missing)} was seen. To start without, once it is off: {steps}",
        ]

    def links(self) -> list[LinkReport]:
        """Report every link to every peer, by peer and link."""
        return link_reports(self._links, self._routes, self._relays, self._watch, self._seen_at)

    def quorum(self) -> QuorumReport:
        """Report what quorum rests on."""
        current = self._formation.passage.current
        passage = self._formation.passage
        vote = passage.vote_of(None if current is None else current.key.view_id)
        return report(
            self._settings, None if current is None else current.decision, vote, passage.witness_reason
        )

    # -- events ---------------------------------------------------------------------------------------------

    def handle(self, event: RingEvent, now: Instant) -> list[RingEffect]:
        """Apply one event; return what is to be done, in order."""
        if self._has_left:
            return []
        self._seen_at = now
        is_late = self._deadline is not None and now - self._deadline >= self._timing.stall_ms
        out: list[Out] = [self._stalled(now)] if is_late else []
        match event:
            case PacketReceived():
                news = self._receive(event, now)
                if news is None and not out and self._deadline is not None and now < self._deadline:
                    return []  # nothing new: nearly every heartbeat
                out += news or []
            case EndChanged(link=link, state=state):
                out += self._links.end_changed(event, now)
                out += self._watch.lost_carrier(link) if state is LinkState.NO_CARRIER else []
            case PeerRefused(link=link, peer=peer):
                path = self._links.path(peer, link) if peer in self._watch.peers else None
                if path is not None:
                    self._links.refused(path, now)
            case PeerOff(peer=peer):
                self._watch.found_off(peer)
            case Submit(payload=payload, token=token, is_snapshot=is_snapshot):
                waiting = self._outbox.add(payload, token, is_snapshot=is_snapshot)
                current = self._formation.passage.current
                asked = [] if current is None else current.order.submit(waiting, now)
                if not asked and not out and self._deadline is not None and now < self._deadline:
                    return []  # it waits behind others
                out += asked
            case Stored(position=position):
                out += self._formation.passage.stored(position)
            case WitnessVoted():
                out += self._formation.voted(event, now)
            case PromiseKept(counter=counter):
                self._formation.passage.kept = max(self._formation.passage.kept, counter)
            case Confirmed():
                out += self._formation.passage.confirm()
            case StartAlone():
                out += self._formation.passage.start_alone()
            case Reconfigure(settings=settings):
                self._settings, self._timing = settings, derive(settings)
                self._names.update((node.node, node.name) for node in settings.nodes)
                self._links.reconfigure(settings, self._timing, now)
                self._routes.retime(self._timing)
                self._watch.reconfigure(settings, self._timing)
                self._formation.reconfigure(settings, self._timing)
                self._telling.follow(settings)
                self._rhythm = Rhythm(now, self._timing.heartbeat_ms)  # over the new ways at once
            case Leave():
                return _on_ways([*out, *self._say_farewell(now)], self._relays, now)
            case (
                DeadlinePassed() | GroupChanged() | GroupMessage() | QuorumSeen() | PathsSeen() | EngineLost()
            ):
                pass  # whatever is due is done below, after every event; another engine's events tell nothing
            case _:
                assert_never(event)
        return _on_ways(self._settle(out, now, is_idle=isinstance(event, DeadlinePassed)), self._relays, now)

    def _receive(self, event: PacketReceived, now: Instant) -> list[Out] | None:
        """Take in a packet; None when it told nothing new."""
        peer = self._watch.peers.get(event.peer)
        path = None if peer is None else self._links.path(event.peer, event.link)
        if peer is None or path is None:
            return None
        packet = event.packet
        if isinstance(packet, Relay):
            return self._receive_relayed(peer, packet, now)
        return self._take_in(peer, path, packet, now)

    def _receive_relayed(self, bearer: Peer, relay: Relay, now: Instant) -> list[Out] | None:
        """Pass on a packet for another node, or take in one that came over another node."""
        if relay.life != bearer.life:
            return None
        if relay.target != self._me:
            return [*self._relays.forward(relay, self._life, now)]
        origin = self._watch.peers.get(relay.origin)
        if origin is None:
            return None
        return self._take_in(origin, self._links.detours[origin.node], relay.cargo, now)

    def _take_in(self, peer: Peer, path: Path, packet: Packet, now: Instant) -> list[Out] | None:
        if isinstance(packet, Heartbeat):
            changed, notes = self._watch.heartbeat(packet, path, now)
            current = self._formation.passage.current
            if current is not None and peer.node == current.members[0].node:
                self._rhythm.follow(now)
                self._deadline = earliest(self._rhythm.at, self._others_at)
            if not changed:
                return None
            return [*notes, *self._take_beat(peer.node, now)]
        if isinstance(packet, Agreed):
            return _learn(packet, self._settings, is_known=packet.life == peer.life)
        if packet.life != peer.life:
            return None
        if isinstance(packet, Leaving):
            return [*self._watch.leaving(peer, packet.life)]
        return [*self._watch.heard(peer, path, now), *self._take(peer.node, packet, now)]

    def _take_beat(self, peer: NodeId, now: Instant) -> list[Out]:
        """Pass on what a heartbeat says about order."""
        beat = self._watch.peers[peer].beat
        if beat is None:
            return []
        passage = self._formation.passage
        passage.seen = max(passage.seen, beat.seen)
        current = passage.current
        if current is None or beat.view != current.key or not passage.is_member(peer):
            return []
        if peer == current.members[0].node:
            current.order.heard_of(beat.ordered, now)
        return [*current.order.told(peer, beat.received, beat.stored, now)]

    def _take(self, peer: NodeId, packet: Packet, now: Instant) -> list[Out]:
        formation = self._formation
        order = None if formation.passage.current is None else formation.passage.current.order
        match packet:
            case Propose():
                return [*formation.propose(peer, packet, now)]
            case Flush():
                return [*formation.flush(peer, packet, now)]
            case Share():
                return [*formation.passage.share(packet)]
            case Install():
                return [*formation.install(packet, now)]
            case Request() if order is not None:
                return [*order.request(peer, packet, now)]
            case Ordered() if order is not None:
                before = order.log.received
                out: list[Out] = [*order.take(packet, now)]
                return out + (formation.shared(now) if order.log.received > before else [])
            case Acknowledge() if order is not None:
                return [*order.acknowledged(peer, packet, now)]
            case _:
                return []  # of an order, before our first view

    def _say_farewell(self, now: Instant) -> list[Out]:
        self._has_left = True
        self._deadline = None
        packet = Leaving(self._life)
        paths = [path for peer in self._watch.peers for path in self._links.paths(peer)]
        once: list[Out] = []
        for peer in self._relays.over:  # first: who has heard our farewell carries nothing of ours any more
            once += self._relays.send(packet, peer, self._relays.ways(peer, now), now)
        return (once + [SendPacket(path.link, path.peer, packet) for path in paths]) * FAREWELLS

    def _stalled(self, now: Instant) -> Note:
        assert self._deadline is not None, "who waits for nothing is never late"
        late_ms = now - self._deadline
        self._links.spare(now, late_ms)
        if self._formation.passage.current is not None:
            self._formation.passage.current.order.tally.spare(late_ms)
        self._deadline = now
        text = f"this node stood still for {show_ms(late_ms)}; no peer is accused for that time"
        return Note(Level.WARNING, "ring.stalled", text, {"milliseconds": late_ms})

    # -- after every event ----------------------------------------------------------------------------------

    def _settle(self, out: list[Out], now: Instant, *, is_idle: bool) -> list[Out]:
        """Do what is due, tell what changed, and set the deadline. `is_idle`: nothing but time went on."""
        is_beat = self._rhythm.is_due(now)
        if is_beat:
            out += self._links.tick(now)
            out += self._relays.tick(now)
            out += self._telling.tell_layout(self._life)
            current = self._formation.passage.current
            after_ms = ORDER_STALLED_FACTOR * self._timing.detect_within_ms
            if current is not None:
                out += current.order.tally.notice_stalled(now, after_ms, self._names)
        if self._links.has_refusals or (self._check_at is not None and now >= self._check_at):
            out += self._watch.tick(now)
        due = self._formation.deadline
        if not is_idle or out or (due is not None and now >= due):
            out += self._formation.consider(now)
            out += self._formation.passage.keep_promises()
            out += self._catch_up(now)
            out += self._tell_stable()
            due = self._formation.deadline
        out += self._telling.tell(now, is_beat=is_beat)
        if (
            is_beat
            or self._checked != self._watch.changes
            or (self._check_at is not None and now >= self._check_at)
        ):
            # What is heard until the next beat can only make this moment later.
            self._check_at, self._checked = self._watch.next_check(), self._watch.changes
        self._others_at = earliest(self._check_at, due, self._telling.wake_at)
        first = earliest(self._rhythm.at, self._others_at)
        # Never earlier than the next millisecond: a deadline that stays in the past would never let go.
        self._deadline = first if first is not None and first > now else Instant(now + 1)
        return out

    def _catch_up(self, now: Instant) -> list[Out]:
        """As a view begins, use what its members said in heartbeats before we were in it: they may not repeat it."""
        current = self._formation.passage.current
        if current is self._in_view or current is None:
            return []
        self._in_view = current
        return [
            each
            for peer in current.members
            if peer.node != self._me
            for each in self._take_beat(peer.node, now)
        ]

    def _tell_stable(self) -> list[Out]:
        current = self._formation.passage.current
        if current is None or not current.decision.view.quorate:
            return []  # what a part without quorum has stored may be replaced: nobody must rely on it
        stable = current.order.stable()
        begins = current.decision.position
        if stable is None or stable < begins or stable <= self._stable:
            return []
        self._stable = stable
        return [Stable(stable)]


def _on_ways(out: Iterable[Out], relays: Relays, now: Instant) -> list[RingEffect]:
    """Put each packet on the best link of its peer; on a detour, when there is none but that."""
    effects: list[RingEffect] = []
    for each in out:
        if isinstance(each, Mail):
            effects += relays.carry(each.packet, each.peer, now)
        else:
            effects.append(each)
    return effects


def _learn(packet: Agreed, settings: RingSettings, *, is_known: bool) -> list[Out] | None:
    """Take in which nodes and links are agreed on. Who has no place among them is told by lives that never name it."""
    is_for_me = any(node.node == settings.me for node in packet.layout.nodes)
    if packet.layout.version <= settings.agreed_version or (is_for_me and not is_known):
        return [] if is_known else None
    return [LayoutLearned(packet.layout)]
