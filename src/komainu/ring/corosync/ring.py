"""Be the ring of a node whose engine is Corosync: views, total order and links from what its libraries tell.

Must not know: sockets, libraries, clocks, and what payloads mean. The shell is node/corosync/.

Theory of operation. Corosync's closed process group gives a total order of messages and, at places in it, changes of
the group. A change opens a roll call (rollcall.py): every member says where it stands. When the last has, all compute
the same view (agreement.py), and payloads flow in it (stream.py). paths.py knows the links.

Corosync may end, be started anew, or hang, and this daemon goes on: without it a node is in a view of its own that is
never quorate, and orders by itself what is needed to stop. It joins again when Corosync is back.

What if somebody dies between two steps of a roll call? The group changes again, and the roll call begins anew. Nobody
begins a view on less than the standings of all of its members, and nobody delivers between two views.

Source: cpg_overview(3), corosync 3.1; extended virtual synchrony (Moser et al. 1994). Deviation from closed process
groups as such: a message counts only in the view that it names (stream.py).
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, assert_never

from komainu.model.duration import show_ms
from komainu.model.ids import Incarnation, Instant, NodeId, NodeName
from komainu.model.report import Level, Note
from komainu.model.view import Position, View
from komainu.ring.corosync import words
from komainu.ring.corosync.agreement import Agreed, agree, alone
from komainu.ring.corosync.interface import (
    Device,
    EngineLost,
    GroupChanged,
    GroupMember,
    GroupMessage,
    LeaveGroup,
    Multicast,
    PathsSeen,
    QuorumSeen,
    Reconnect,
)
from komainu.ring.corosync.paths import Paths
from komainu.ring.corosync.rollcall import QUORUM_WAIT_MS, RollCall
from komainu.ring.corosync.standpoint import Standpoint
from komainu.ring.corosync.words import Accuse, AnyWord, Data, Standing, Told
from komainu.ring.interface import (
    Confirmed,
    DeadlinePassed,
    EndChanged,
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
    StartAlone,
    Stored,
    Submit,
    WitnessVoted,
)
from komainu.ring.outbox import Outbox
from komainu.ring.packet import Gone
from komainu.ring.quorum import waits_for_all
from komainu.ring.quorum_report import corosync_report, device_text
from komainu.ring.settings import RingSettings, derive

ENGINE_SILENT_MS: Final = 15_000
"""How long Corosync may deliver not even our own messages: more than it takes, at its defaults, to form a membership."""

_DEVICE_REMEDIES: Final = {
    Device.ABSENT: "start it: systemctl start corosync-qdevice",
    Device.SILENT: "its log says why: journalctl -u corosync-qdevice",
    Device.WITHHOLDS: "corosync-qdevice-tool -s says whether qnetd took this node, its log why not",
}
"""What to do when the witness gives no vote here."""

Out = RingEffect | AnyWord


@dataclass(slots=True)
class _Beats:
    """When we speak next, and since when we wait for our own words to come back."""

    next_at: Instant
    period_ms: int
    unechoed: deque[Instant] = field(default_factory=deque)

    def came_late(self, now: Instant) -> bool:
        """Take our own word that came back; say whether that took long."""
        return bool(self.unechoed) and now - self.unechoed.popleft() > 2 * self.period_ms


class CorosyncRing:
    """The ring over Corosync's process groups. See interface.Ring for what it promises."""

    def __init__(
        self, settings: RingSettings, incarnation: Incarnation, now: Instant, past: Past | None = None
    ) -> None:
        """Start a life. `incarnation` is drawn anew for each; `past` is what earlier ones left on the disk."""
        self._settings = settings
        self._timing = derive(settings)
        self._roll = RollCall(settings.me, frozenset(node.node for node in settings.nodes))
        self._paths = Paths(settings, now)
        past = past or Past()
        outbox = Outbox.after(past.delivered, settings.me, incarnation)
        self._self = Standpoint(outbox, past.position, waits_for_all(settings))
        self._beats = _Beats(now, 2 * self._timing.heartbeat_ms)
        self._is_alone = False  # without Corosync, in a view of our own
        self._deadline: Instant | None = Instant(now + self._beats.period_ms)
        self._told: Told | None = None
        self._now = now

    # -- questions ----------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When `DeadlinePassed` is wanted; None after we left."""
        return self._deadline

    @property
    def view(self) -> View | None:
        """The current view; None before the first."""
        return self._self.view

    @property
    def stable(self) -> Position:
        """Up to where every member of a quorate view has stored the state."""
        return self._self.stable

    def name_of(self, node: NodeId) -> NodeName:
        """Return a node's name."""
        return self._settings.of(node).name

    def links(self) -> list[LinkReport]:
        """Report every link to every peer, by peer and link."""
        return self._paths.reports()

    def quorum(self) -> QuorumReport:
        """Report what votequorum says."""
        return corosync_report(self._settings, self.view, self._self.quorum)

    def remarks(self, now: Instant) -> list[str]:
        """Say what an administrator has to know of this engine now."""
        strangers = ", ".join(str(node) for node in self._roll.strangers)
        found = [f"komainu.toml does not know the node {strangers} that is in Corosync's group"]
        found = (found if strangers else []) + self._paths.remarks(now)
        seen = self._self.quorum
        is_wanted = self._settings.quorum.witness is not None
        if seen is not None and is_wanted and (remedy := _DEVICE_REMEDIES.get(seen.device)):
            found.append(f"witness {device_text(self._settings, seen)}; {remedy}")
        return found

    # -- events -------------------------------------------------------------------------------------------

    def handle(self, event: RingEvent, now: Instant) -> list[RingEffect]:
        """Apply one event; return what is to be done, in order."""
        if self._deadline is None:
            return []
        self._now = now
        out: list[Out] = self._notice_stall()
        match event:
            case GroupMessage():
                out += self._hear(event)
            case GroupChanged():
                self._beats.unechoed.clear()
                self._self.speaks_with_strangers = False
                self._self.fates |= {gone.node: gone for gone in self._roll.change(event, now)}
                # The standing follows in _settle, as soon as votequorum knows of the change, too.
                self._is_alone = self._is_alone and not self._roll.is_in_group
            case QuorumSeen():
                self._self.quorum = event
            case PathsSeen():
                out += self._paths.seen(event, now)
            case EngineLost(reason=reason):
                out += self._lose_engine(reason)
            case EndChanged():
                out += self._paths.end_changed(event, now)
            case Submit(payload=payload, token=token, is_snapshot=is_snapshot):
                waiting = self._self.outbox.add(payload, token, is_snapshot=is_snapshot)
                if self._self.stream is not None and not self._roll.is_open:
                    out += self._self.stream.submit(waiting)
            case Stored(position=position):
                self._self.store(position)
            case Confirmed():
                out += [] if self._roll.is_open else self._self.raise_line()
            case Reconfigure():
                pass  # who the nodes are stands in corosync.conf; the drive does not ask for it with this engine
            case StartAlone():
                pass  # votequorum waits: `corosync-cmapctl -s quorum.cancel_wait_for_all u8 1` ends that
            case Leave():
                self._deadline = None
                return [LeaveGroup()]
            case (
                PacketReceived()
                | PeerRefused()
                | PeerOff()
                | WitnessVoted()
                | PromiseKept()
                | DeadlinePassed()
            ):
                pass  # of the builtin ring; or only time went on
            case _:
                assert_never(event)
        return self._settle(out)

    def _notice_stall(self) -> list[Out]:
        assert self._deadline is not None
        late_ms = self._now - self._deadline
        if late_ms < self._timing.stall_ms:
            return []
        self._roll.spare(self._now)
        self._beats.unechoed.clear()
        self._deadline = self._now
        text = f"this node stood still for {show_ms(late_ms)}; no peer is accused for that time"
        return [Note(Level.WARNING, "ring.stalled", text, {"milliseconds": late_ms})]

    # -- the group ------------------------------------------------------------------------------------------

    def _hear(self, event: GroupMessage) -> list[Out]:
        sender = event.sender
        if not self._roll.counts(sender):
            return []
        self._roll.heard(sender, self._now)
        try:
            word = words.decode(event.data)
        except words.NotUnderstood as error:
            return self._leave_out_stranger(sender, str(error))
        if sender.node == self._settings.me and isinstance(word, Told) and self._beats.came_late(self._now):
            self._roll.spare(self._now)  # it was the engine that stood still, not the peers
        match word:
            case Standing():
                return self._take_standing(sender, word)
            case Data():
                stream = self._self.stream
                if stream is None or self._roll.is_open or word.view != stream.key:
                    return []  # of a view that is over: its sender gives it again
                return [*stream.take(sender.node, word)]
            case Told():
                stream = self._self.stream
                if stream is not None and word.view == stream.key:
                    stream.told(sender.node, word.stored)
                is_mine = sender.node == self._settings.me
                return [] if is_mine else [*self._paths.told(sender.node, word.ends, word.reaches)]
            case Accuse():
                return self._take_accusation(word)
            case _:
                assert_never(word)

    def _take_standing(self, sender: GroupMember, word: Standing) -> list[Out]:
        roll, node = self._roll, sender.node
        if not roll.is_fresh(sender, word):
            return []
        if not roll.is_open:
            if self._self.stream is None or word.view != self._self.stream.key:
                return []  # it was on its way while this view began
            roll.open(self._now)
        if not roll.stand(node, word):
            return []
        # What votequorum said since then is in no standing of this view: one that carries it names the old view.
        self._self.ballot_given = roll.standings[self._settings.me].ballot
        return self._begin(agree(self._settings, roll.standings))

    def _take_accusation(self, word: Accuse) -> list[Out]:
        if not self._roll.holds(word):
            return []
        if word.whom.node == self._settings.me:
            # The others go on without us. They know us again as a new member of the group.
            return [*self._lose_engine(f"the other members took this daemon out: {word.reason}"), Reconnect()]
        self._roll.take_out(GroupMember(word.whom.node, word.whom.process), self._now)
        self._self.fates[word.whom.node] = Gone(word.whom.node, False, word.reason)
        return []

    def _leave_out_stranger(self, sender: GroupMember, why: str) -> list[Out]:
        name = self.name_of(sender.node)
        text = f"{name} is left out: {why}; install the same version on both nodes"
        if sender.node == self._settings.me:
            return []
        self._self.speaks_with_strangers = True
        self._roll.take_out(sender, self._now)
        self._self.fates[sender.node] = Gone(sender.node, False, why)
        return [Note(Level.ERROR, "ring.version", text)]

    # -- views ----------------------------------------------------------------------------------------------

    def _begin(self, agreed: Agreed) -> list[Out]:
        """Begin the view that was agreed on, and give what of ours waits."""
        out: list[Out] = [*self._self.begin(agreed)]
        self._paths.view_began(agreed.begun.view.members, self._now)
        self._told = None
        assert self._self.stream is not None, "a view has just begun"
        return [*out, *self._self.stream.begin()]

    def _lose_engine(self, reason: str) -> list[Out]:
        """Go on alone and without quorum."""
        self._roll.end()
        self._beats.unechoed.clear()
        out: list[Out] = [*self._paths.engine_lost(reason, self._now)]
        if self._is_alone:
            return [*out, Note(Level.WARNING, "corosync.away", f"Corosync is still away: {reason}")]
        self._is_alone = True
        view = self._self.view
        self._self.fates = {
            node: Gone(node, False, reason) for node in (() if view is None else view.members)
        }
        return [*out, *self._begin(alone(self._settings, self._self.standing(()), reason))]

    # -- after every event ----------------------------------------------------------------------------------

    def _settle(self, out: list[Out]) -> list[RingEffect]:
        """Say what is due, carry words to the group, and set the deadline."""
        is_bound = self._roll.is_in_group and (self._roll.has_called or not self._roll.is_open)
        stand = self._self
        may_call = self._roll.may_call(
            self._now, self._timing.startup_ms, stand.agrees_with, is_first=stand.stream is None
        )
        if may_call or (is_bound and self._self.has_new_ballot):
            self._roll.has_called = True
            out.append(self._self.standing(self._roll.live))
        if self._now >= self._beats.next_at:
            out += self._beat()
        out += self._tell()
        effects = self._carry(out)
        effects += self._self.tell_stable()
        wait = self._beats.next_at
        if self._roll.is_open and not self._roll.has_called:
            for wait_ms in (self._timing.startup_ms, QUORUM_WAIT_MS):
                due = Instant(self._roll.since + wait_ms)
                wait = min(wait, due) if due > self._now else wait
        self._deadline = max(Instant(self._now + 1), wait)
        return effects

    def _carry(self, out: list[Out]) -> list[RingEffect]:
        """Turn words into messages to the group; alone, what we say is what is ordered."""
        effects: list[RingEffect] = []
        waiting = deque(out)
        while waiting:
            each = waiting.popleft()
            if not isinstance(each, words.Word):
                effects.append(each)
            elif self._roll.is_in_group:
                effects.append(Multicast(words.encode(self._roll.numbered(each))))
            elif isinstance(each, Data) and self._is_alone and self._self.stream is not None:
                waiting.extend(self._self.stream.take(self._settings.me, each))
        return effects

    def _beat(self) -> list[Out]:
        """Say that we live, and see who does not."""
        self._beats.next_at = Instant(self._now + self._beats.period_ms)
        self._told = None
        unechoed = self._beats.unechoed
        if unechoed and self._now - unechoed[0] >= ENGINE_SILENT_MS:
            waited = show_ms(self._now - unechoed[0])
            return [*self._lose_engine(f"Corosync delivers nothing since {waited}"), Reconnect()]
        if not self._roll.is_in_group or (unechoed and self._now - unechoed[0] > self._beats.period_ms):
            return []  # the engine stands still: nobody can be heard
        silent = self._roll.silent(
            self._now, view_ms=self._timing.detect_within_ms, roll_ms=2 * self._timing.detect_within_ms + 2000
        )
        return [Accuse(process, heard, _silence_of(ms)) for process, heard, ms in silent]

    def _tell(self) -> list[Out]:
        """Say what is new of us, or that nothing is."""
        stream = self._self.stream
        if not self._roll.is_in_group:
            return []
        stored = Position() if stream is None else stream.stored.get(self._settings.me, Position())
        view = None if stream is None else stream.key
        word = Told(view, stored, self._paths.ends_down, self._paths.reaches)
        if word == self._told or (self._roll.is_open and self._told is not None):
            return []
        self._told = word
        self._beats.unechoed.append(self._now)
        return [word]


def _silence_of(ms: int) -> str:
    return f"its daemon said nothing for {show_ms(ms)}; its Corosync lives"
