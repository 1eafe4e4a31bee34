"""Move one node from view to view: promise a ballot, stop, say what is held, begin the view that was decided.

Must not know: why a ballot was started, and who else answered it.

Two promises hold here. A node that answered a ballot delivers nothing more of its view but what the decision of
that ballot, or of a higher one, names. And it never answers, or follows, another ballot with the same counter or a
lower one again, in this life or a later one: a counter is promised only after it is on the disk. So of two views with
quorum that share a node no two have the same counter, which is the name of the line of the state (decision 0044).
"""

from dataclasses import dataclass, replace
from typing import Final

from komainu.model.ids import Instant, NodeId
from komainu.model.report import Level, Note
from komainu.model.view import Position, ViewId
from komainu.ring.delivery import Standing
from komainu.ring.interface import (
    Absorbed,
    AskWitness,
    Deliver,
    Departure,
    InstallView,
    KeepPromise,
    LineRaised,
    Past,
)
from komainu.ring.order import Mail, Order
from komainu.ring.outbox import RESEND_MAX, Outbox
from komainu.ring.packet import Decision, Flush, Gone, Member, Share, ViewKey, Vote
from komainu.ring.quorum import waits_for_all
from komainu.ring.settings import RingSettings, Timing
from komainu.ring.voters import first_voters
from komainu.ring.watch import Watch

RESTART_STRIDE: Final = 1000
"""View counters that a starting node skips (see `first_counter`)."""

PROMISE_STRIDE: Final = 1000
"""View counters that are put on the disk at once: nothing has to be written, or waited for, for the next thousand."""

LONE_STRIDE: Final = 1_000_000
"""View counters that a part skips which starts without the others at an operator's word: it is the line from now on,
whatever they have on their disks. They would have to be started five hundred times more to be beyond it."""

Out = Mail | Deliver | InstallView | Absorbed | LineRaised | AskWitness | KeepPromise | Note


def first_counter(position: Position) -> int:
    """Return the view counter that a starting node begins with, when its disk names none: a stride above its state."""
    return ((position.lineage + RESTART_STRIDE - 1) // RESTART_STRIDE + 1) * RESTART_STRIDE


@dataclass(frozen=True, slots=True)
class Installed:
    """The view that this node is in."""

    decision: Decision
    key: ViewKey
    members: tuple[Member, ...]
    order: Order
    begun_at: Instant


class Passage:
    """Where this node is: its view, the ballot that it promised, the state that it holds.

    `blocked`: the ballot that was answered and whose view did not begin yet. `seen`: the greatest view counter.
    `kept`: the greatest that may be promised, since it is on the disk.
    """

    def __init__(
        self, settings: RingSettings, timing: Timing, watch: Watch, outbox: Outbox, past: Past
    ) -> None:
        self._timing = timing
        self._watch = watch
        self._me = watch.me
        self._outbox = outbox
        # Of the state that was held before this view: what counts while the view's is not here.
        self._held = Standing(past.position, has_state=False, delivered=past.delivered)
        self.current: Installed | None = None
        self.blocked: ViewId | None = None
        self.waits_for_all = waits_for_all(settings)
        self.starts_alone = False  # an operator said so, and the view was not judged anew yet
        self.seen = max(first_counter(past.position), past.promised)
        self.kept = past.promised
        self._promised = self.seen  # no other ballot up to this counter is answered any more
        self._asked = self.kept
        self.voters = first_voters(settings)
        self.witness_reason = ""
        self._options = settings.quorum
        self._agreed_version = settings.agreed_version
        self._votes: dict[ViewId, Vote] = {}  # the witness's, of the present view and of the ballot

    def reconfigure(self, settings: RingSettings, timing: Timing) -> None:
        """Go on with these nodes and waiting times. Where the count may change, nodes are never changed."""
        self._timing, self._options = timing, settings.quorum
        self._agreed_version = settings.agreed_version
        if not settings.quorum.is_dynamic:
            self.voters = first_voters(settings)

    def may_follow(self, ballot: ViewId) -> bool:
        """Whether a ballot is that which was promised, or beyond it, as far as the disk has it."""
        return ballot == self.blocked or self._promised < ballot.counter <= self.kept

    def keep_promises(self) -> list[KeepPromise]:
        """Have the counters that come next put on the disk, before they are wanted."""
        if self.seen + PROMISE_STRIDE // 2 < self._asked:
            return []
        self._asked = self.seen + PROMISE_STRIDE
        return [KeepPromise(self._asked)]

    def promise(self, ballot: ViewId) -> None:
        """Stop in the old view, and follow no lower ballot from now on."""
        assert self._promised < ballot.counter <= self.kept, (
            "promises only grow, and the disk is ahead of them"
        )
        self._promised, self.blocked = ballot.counter, ballot
        self.seen = max(self.seen, ballot.counter)
        if self.current is not None:
            self.current.order.stop()

    def ask_witness(self, ballot: ViewId, members: tuple[Member, ...]) -> list[Out]:
        """Ask for the witness's word on the view that a ballot would make."""
        witness = self._options.witness
        if witness is None:
            return []
        nodes = tuple(sorted((self._me.node, *self._watch.peers)))
        return [AskWitness(witness.name, ballot, tuple(member.node for member in members), nodes)]

    def voted(self, view_id: ViewId, *, is_cast: bool, reason: str) -> bool:
        """Take in the witness's word; whether it is about the ballot that was answered."""
        current = self.current
        if view_id != self.blocked and (current is None or view_id != current.key.view_id):
            return False
        self._votes = {known: vote for known, vote in self._votes.items() if known != view_id}
        self._votes[view_id] = Vote.CAST if is_cast else Vote.WITHHELD
        self.witness_reason = reason
        return view_id == self.blocked

    def vote_of(self, view_id: ViewId | None) -> Vote:
        """Return the witness's word on a view, as far as it came here."""
        return Vote.UNKNOWN if view_id is None else self._votes.get(view_id, Vote.UNKNOWN)

    def words(self) -> set[Vote]:
        """Return the witness's word on the present view, as its members have it."""
        current = self.current
        if current is None:
            return set()
        beats = [self._watch.peers[each.node].beat for each in current.members if each != self._me]
        said = {beat.witness if beat and beat.view == current.key else Vote.UNKNOWN for beat in beats}
        return said | {self.vote_of(current.key.view_id)}

    def is_settled(self, now: Instant) -> bool:
        """Whether the view has lasted for last_man_standing's window."""
        window_ms = self._options.last_man_standing_window_ms
        return self.current is not None and now - self.current.begun_at >= window_ms

    def answer(self, ballot: ViewId, now: Instant) -> Flush:
        """Say what is held here, as it would stand after the delivery of all that was received."""
        current = self.current
        log = None if current is None else current.order.log
        members = () if current is None else current.members
        standing = self._held if current is None else current.order.delivery.project()
        holds = standing if standing.has_state else self._held
        return Flush(
            life=self._me.life,
            ballot=ballot,
            view=None if current is None else current.key,
            members=members,
            quorate=current is not None and current.decision.view.quorate,
            received=0 if log is None else log.received,
            beyond=() if log is None else log.beyond(),
            position=holds.position,
            has_state=current is None or standing.has_state,
            waits_for_all=self.waits_for_all,
            gone=self._gone(members),
            delivered=holds.delivered,
            voters=self.voters,
            is_settled=self.is_settled(now),
            left=() if current is None else _leavers(current.decision),
            witness=self.vote_of(ballot),
            hears=self._watch.hears_now(now),
            layout=self._agreed_version,
        )

    def share(self, packet: Share) -> list[Out]:
        """Send a member what it lacks of the view that we both come from."""
        current = self.current
        if current is None or packet.ballot != self.blocked or packet.view != current.key:
            return []
        pieces = current.order.log.share(packet.sequences[:RESEND_MAX], self._me.life)
        return [Mail(packet.to, piece) for piece in pieces]

    def stored(self, position: Position) -> list[Out]:
        """Take in that our storage holds the state up to here."""
        current = self.current
        if current is None:
            self._held = replace(self._held, position=max(self._held.position, position))
            return []
        if position < current.decision.position:
            return []  # it was given to the disk in an earlier view
        current.order.delivery.has_state = True
        return [*current.order.store(position)]

    def confirm(self) -> list[Out]:
        """Go on as the line of the state: the twin of this half is confirmed off.

        Not while a ballot is under way: what was answered to it stands. The drive tells it again.
        """
        current = self.current
        if current is None or not current.decision.view.quorate or self.blocked is not None:
            return []
        delivery, counter = current.order.delivery, current.key.view_id.counter
        if delivery.position.lineage >= counter or not delivery.has_state:
            return []
        delivery.position = Position(counter, 0)
        return [LineRaised(delivery.position)]

    def start_alone(self) -> list[Out]:
        """Wait for nobody any more: who is not here is off, as an operator says. The same members are judged anew."""
        if not self.waits_for_all:
            return []
        self.waits_for_all, self.starts_alone = False, True
        self.seen += LONE_STRIDE
        text = "wait_for_all waits no longer: an operator confirmed that who is not here is off"
        return [Note(Level.WARNING, "ring.start-alone", text)]

    def begin(self, decision: Decision, now: Instant) -> list[Out]:
        """Leave the old view at the place that was agreed on, and begin the new one."""
        out = self._end_view(decision)
        lacked_state = (
            self.current is not None
            and not self.current.order.delivery.has_state
            and not self._options.is_dynamic
        )
        view = decision.view
        members = tuple(Member(node, life) for node, life in zip(view.members, decision.lives, strict=True))
        self.waits_for_all = decision.waits_for_all and (self.waits_for_all or lacked_state)
        self.starts_alone = False
        self.voters = decision.voters
        self._votes = {known: vote for known, vote in self._votes.items() if known == view.view_id}
        self.seen = max(self.seen, view.view_id.counter)
        self.blocked = None
        out += [Absorbed(waiting.token) for waiting in self._outbox.adopt(decision.delivered)]
        order = Order(decision, self._outbox, self._timing)
        self.current = Installed(decision, ViewKey(view.view_id, decision.lives[0]), members, order, now)
        out += [_install(decision), self._note(decision)]
        out += order.begin(now)
        return out

    def is_member(self, peer: NodeId) -> bool:
        """Whether a peer is in our view."""
        return self.current is not None and peer in self.current.decision.view.members

    def _end_view(self, decision: Decision) -> list[Out]:
        current = self.current
        if current is None:
            return []
        last = next((each.sequence for each in decision.last if each.view == current.key), None)
        assert last is not None, "a decision names the end of every view that its members come from"
        out: list[Out] = [*current.order.finish(last)]
        if current.order.delivery.has_state:
            self._held = current.order.delivery.project()
        return out

    def _gone(self, members: tuple[Member, ...]) -> tuple[Gone, ...]:
        fates = [self._watch.fate(member) for member in members]
        return tuple(fate for fate in fates if fate is not None)

    @staticmethod
    def _note(decision: Decision) -> Note:
        view = decision.view
        quorum = "with quorum" if view.quorate else "without quorum"
        members = " ".join(str(node) for node in view.members)
        message = f"view {view.view_id} of {members}, {quorum} ({view.quorum_reason})"
        return Note(Level.NOTICE, "ring.view", message, {"view": str(view.view_id), "members": members})


def _leavers(decision: Decision) -> tuple[NodeId, ...]:
    return tuple(gone.node for gone in decision.departures if gone.clean)


def _install(decision: Decision) -> InstallView:
    return InstallView(
        view=decision.view,
        position=decision.position,
        owner=decision.owner,
        keeps_state=decision.keeps_state,
        departures=tuple(Departure(gone.node, gone.clean, gone.reason) for gone in decision.departures),
        arrivals=decision.arrivals,
        lives=decision.lives,
    )
