"""Decide when a new view is due, agree on it with its members, and move from the old view to it.

Must not know: links and sockets. Who is here comes from watch.py, what is wanted from wishes.py, what the answers
amount to from decision.py; leading.py collects them, passage.py moves this node.

Theory of operation. Each node computes for itself which view it `wants` (clique.py) and tells it with every
heartbeat. The lowest of these members leads. It waits until all of them want the same, or for `agree_ms`; then:

    leader                         member
    Propose(ballot, members) --->  stops delivering, promises to follow no lower ballot
                             <---  Flush: what I hold of my view
    (Share: holders send what others lack; these answer with Flush again)
    Install(decision)        --->  delivers the rest of the old view, begins the new one
                             <---  heartbeat that names the new view (else Install is sent again)

What if somebody dies, or is cut off, between any two of these lines?
- The leader before Install: its members are stopped. The next leader makes a new ballot, with a greater counter,
  and they answer that with the same old view.
- The leader after Install reached some: these are in the new view, the others still in the old one. The next
  ballot finds two old views; those in the older one come without their state and adopt it again.
- A member before Flush: the leader convicts it, wants a smaller view, and starts a new ballot.
- A member after Flush: it is installed as a member, then lost in the next view.
No member ever delivers in a view that it stopped, except up to the end that an Install of a promised ballot names.

Source: the flush of virtual synchrony (Birman and Joseph 1987); ballots that outbid each other as in Paxos
(Lamport 1998). Deviation: no majority is needed to form a view; quorum is a property of the finished view.
"""

from komainu.model.ids import Instant, NodeId
from komainu.model.moment import earliest
from komainu.model.view import ViewId
from komainu.ring.interface import Past, WitnessVoted
from komainu.ring.leading import Leading
from komainu.ring.order import Mail
from komainu.ring.outbox import Outbox
from komainu.ring.packet import Beat, Flush, Install, Member, Propose, Vote
from komainu.ring.passage import Installed, Out, Passage
from komainu.ring.quorum import Turnout, is_two_node, judge
from komainu.ring.settings import RingSettings, Timing
from komainu.ring.voters import advance
from komainu.ring.watch import Watch
from komainu.ring.wishes import Wishes


class Formation:
    """The way from view to view: `wishes`, the `passage` of this node, and the ballots that it leads."""

    def __init__(
        self,
        settings: RingSettings,
        timing: Timing,
        watch: Watch,
        outbox: Outbox,
        started: tuple[Past, Instant],
    ) -> None:
        past, self._started_at = started
        self._timing = timing
        self._watch = watch
        self._me = watch.me
        self._settings = settings
        self._nodes = len(settings.nodes)
        self.wishes = Wishes(settings, timing, watch, self._started_at)
        self.passage = Passage(settings, timing, watch, outbox, past)
        self._leading = Leading(settings, timing, watch, self.wishes, self.passage)
        self._wake_at: Instant | None = self._started_at
        self._judged = _count_of(settings)  # by what the present view was judged, and its name
        self._judged_layout = settings.layout
        self._judged_view: ViewId | None = None

    def reconfigure(self, settings: RingSettings, timing: Timing) -> None:
        """Go on with these nodes and waiting times."""
        self._settings, self._timing = settings, timing
        self._nodes = len(settings.nodes)
        self.wishes.reconfigure(settings, timing)
        self.passage.reconfigure(settings, timing)
        self._leading.reconfigure(settings, timing)

    @property
    def deadline(self) -> Instant | None:
        """When `consider` is to be called, whatever happens."""
        current = self.passage.current
        order_due = None if current is None else current.order.deadline
        return earliest(self._wake_at, self.wishes.wake_at, self._leading.deadline, order_due)

    # -- events ---------------------------------------------------------------------------------------------

    def propose(self, peer: NodeId, packet: Propose, now: Instant) -> list[Out]:
        """Answer a proposal, when it comes from the node that we would follow and outbids what we promised."""
        passage = self.passage
        passage.seen = max(passage.seen, packet.ballot.counter)
        self.wishes.consider(now)
        is_for_me = peer == self.wishes.leader == packet.ballot.proposer and self._me in packet.members
        if not is_for_me or not passage.may_follow(packet.ballot) or self.wishes.is_successor(packet.members):
            return []
        out: list[Out] = []
        if packet.ballot != passage.blocked:
            passage.promise(packet.ballot)
            self._leading.yield_to_other()
            out = passage.ask_witness(packet.ballot, packet.members)
        return [*out, Mail(peer, passage.answer(packet.ballot, now))]

    def flush(self, peer: NodeId, packet: Flush, now: Instant) -> list[Out]:
        """Take in an answer to our proposal."""
        return self._noticing_view(self._leading.flush(peer, packet, now))

    def shared(self, now: Instant) -> list[Out]:
        """Tell the proposer that more of the old view has come since we answered."""
        blocked = self.passage.blocked
        if blocked is None:
            return []
        if blocked.proposer != self._me.node:
            return [Mail(blocked.proposer, self.passage.answer(blocked, now))]
        return self._noticing_view(self._leading.advance(now))

    def voted(self, packet: WitnessVoted, now: Instant) -> list[Out]:
        """Take in the witness's word on a view, or on the ballot that is under way."""
        is_awaited = self.passage.voted(packet.view_id, is_cast=packet.is_cast, reason=packet.reason)
        return self.shared(now) if is_awaited else []

    def install(self, packet: Install, now: Instant) -> list[Out]:
        """Begin the view that we promised to follow."""
        decision = packet.decision
        if decision.view.view_id != self.passage.blocked or self._me.life not in decision.lives:
            return []
        return self._noticing_view(self.passage.begin(decision, now))

    def consider(self, now: Instant) -> list[Out]:
        """Do what is due: tend the order and the ballot, start a ballot."""
        self._wake_at = None
        self.wishes.consider(now)
        current = self.passage.current
        out: list[Out] = [] if current is None else [*current.order.tick(now)]
        out += self._noticing_view(self._leading.tend(now))
        if self._leading.has_ballot or self.wishes.leader != self._me.node or not self._is_view_due(now):
            return out
        members = self._whom_to_invite(now)
        return out if members is None else out + self._noticing_view(self._leading.start(members, now))

    # -- inside ---------------------------------------------------------------------------------------------

    def _noticing_view(self, out: list[Out]) -> list[Out]:
        """Let the wishes know of a view that has begun meanwhile."""
        current = self.passage.current
        if current is not None:
            self.wishes.begin_view(current.key.view_id, current.members)
            if current.key.view_id != self._judged_view:
                self._judged, self._judged_layout = _count_of(self._settings), self._settings.layout
                self._judged_view = current.key.view_id
        return out

    def _is_view_due(self, now: Instant) -> bool:
        """Whether the view has to change, as far as this node knows."""
        current = self.passage.current
        if current is None or self.passage.blocked is not None or current.members != self.wishes.members():
            return True
        view_id = current.key.view_id
        for peer in current.members:
            beat = None if peer == self._me else self._watch.peers[peer.node].beat
            if beat is None:
                continue
            moved_on = beat.view is not None and beat.view.view_id > view_id
            promised_on = beat.blocked is not None and beat.blocked > view_id
            if moved_on or promised_on or (beat.view != current.key and not self._leading.awaits(peer.node)):
                return True
        return self._is_count_due(current, now)

    def _is_count_due(self, current: Installed, now: Instant) -> bool:
        """Whether the same members would have to be judged anew: the witness changed its mind, or others count now."""
        settings, decision = self._settings, current.decision
        is_known = settings.agreed_layout is None or not decision.view.quorate
        is_held_back = not decision.view.quorate and settings.layout > self._judged_layout
        if self.passage.starts_alone or is_held_back or (is_known and self._judged != _count_of(settings)):
            return True
        if settings.quorum.witness is not None:
            votes = self.passage.words()
            turnout = Turnout(decision.view.members, decision.waits_for_all, has_witness=Vote.CAST in votes)
            is_quorate = judge(settings, decision.voters, turnout).quorate
            # A vote is lost when nobody has it, not while a member has not heard yet that there is one.
            if is_quorate != decision.view.quorate and (is_quorate or Vote.UNKNOWN not in votes):
                return True
        if not settings.quorum.is_dynamic or not decision.view.quorate:
            return False
        is_settled = self.passage.is_settled(now)
        if settings.quorum.last_man_standing and not is_settled and len(current.members) < self._nodes:
            self._wake_at = Instant(current.begun_at + settings.quorum.last_man_standing_window_ms)
        left = [gone.node for gone in decision.departures if gone.clean]
        ways = advance(settings, decision.voters, decision.view.members, left, is_settled=is_settled)
        return ways != decision.voters.electorates

    def _nobody_is_lost(self) -> bool:
        """Whether the present view is whole, and all of its members hear us and are heard."""
        current = self.passage.current
        if current is None or self.passage.blocked is not None:
            return False
        here = {member for member, _ in self._watch.friends()}
        return all(member in here or member == self._me for member in current.members)

    def _whom_to_invite(self, now: Instant) -> tuple[Member, ...] | None:
        """Return the members of the ballot to start now; None while it is better to wait."""
        wanted = self.wishes.nodes
        beats = {node: self._watch.peers[node].beat for node in wanted if node != self._me.node}
        meets_cluster = any(beat is not None and beat.view is not None for beat in beats.values())
        current = self.passage.current
        told_by = Instant(self.wishes.since + self._timing.agree_ms)
        if now < told_by and any(
            beat is not None and beat.layout > self._settings.layout for beat in beats.values()
        ):
            self._wake_at = told_by  # they tell us the newer nodes and links with their next beat
            return None
        settled_at = Instant(self._started_at + self._timing.startup_ms)
        if current is None and len(wanted) < self._nodes and not meets_cluster and now < settled_at:
            self._wake_at = settled_at
            return None
        if all(beat is not None and beat.wants == wanted for beat in beats.values()):
            # Where one comes others often follow within a beat: they come in one view, not each in its own.
            more_may_come = len(wanted) < self._nodes and self._nobody_is_lost()
            together_at = Instant(self.wishes.since + self._timing.heartbeat_ms)
            if more_may_come and now < together_at:
                self._wake_at = together_at
                return None
            return self.wishes.members()
        agree_until = Instant(self.wishes.since + self._timing.agree_ms)
        if now < agree_until:
            self._wake_at = agree_until
            return None
        followers = {
            node for node, beat in beats.items() if beat is not None and _follows(beat, self._me.node)
        }
        members = tuple(each for each in self.wishes.members() if each.node in followers or each == self._me)
        is_same = current is not None and self.passage.blocked is None and members == current.members
        return None if is_same else members


def _count_of(settings: RingSettings) -> tuple[frozenset[tuple[NodeId, int]], bool]:
    """Return by what a view is judged, as far as it may change while the ring runs."""
    votes = frozenset((node.node, node.votes) for node in settings.nodes)
    return votes, is_two_node(settings)


def _follows(beat: Beat, leader: NodeId) -> bool:
    return bool(beat.wants) and beat.wants[0] == leader
