"""Lead a ballot: collect the answers, have shared what is lacking, announce the view, and repeat what got lost.

Must not know: whether a view is due, and which members it should have (formation.py, wishes.py).
"""

from dataclasses import dataclass, field
from typing import Final

from komainu.model.ids import Instant, NodeId
from komainu.model.view import ViewId
from komainu.ring.decision import decide, hangs_on_witness, lacking
from komainu.ring.order import Mail
from komainu.ring.outbox import RESEND_MAX
from komainu.ring.packet import Flush, Install, Member, Propose, Share, Vote
from komainu.ring.passage import Out, Passage
from komainu.ring.settings import RingSettings, Timing
from komainu.ring.watch import Watch
from komainu.ring.wishes import Wishes

BALLOTS_MAX: Final = 3
"""Ballots with the same members before those that do not answer are left out."""


@dataclass(slots=True)
class Ballot:
    """A proposal that this node leads."""

    view_id: ViewId
    members: tuple[Member, ...]
    ends_at: Instant
    resend_at: Instant
    answers: dict[NodeId, Flush] = field(default_factory=dict)
    witness_until: Instant | None = None  # until then the witness's word is waited for


@dataclass(slots=True)
class Announcement:
    """A view that this node led, until all members are seen in it."""

    install: Install
    waiting: set[NodeId]
    resend_at: Instant


class Leading:
    """The ballot that this node leads, and the view that it announced."""

    def __init__(
        self, settings: RingSettings, timing: Timing, watch: Watch, wishes: Wishes, passage: Passage
    ) -> None:
        self._settings = settings
        self._timing = timing
        self._watch = watch
        self._wishes = wishes
        self._passage = passage
        self._me = watch.me
        self._ballot: Ballot | None = None
        self._failed = 0  # ballots in a row that did not become a view
        self._announcement: Announcement | None = None

    def reconfigure(self, settings: RingSettings, timing: Timing) -> None:
        """Go on with these nodes and waiting times; a ballot with others is void."""
        self._settings, self._timing = settings, timing
        known = {node.node for node in settings.nodes}
        if self._ballot is not None and any(member.node not in known for member in self._ballot.members):
            self._ballot = None

    @property
    def deadline(self) -> Instant | None:
        """When `tend` is to be called."""
        ballot, announcement = self._ballot, self._announcement
        if ballot is None:
            return None if announcement is None else announcement.resend_at
        due = min(ballot.ends_at, ballot.resend_at)
        return due if announcement is None else min(due, announcement.resend_at)

    @property
    def has_ballot(self) -> bool:
        """Whether a ballot is under way."""
        return self._ballot is not None

    def awaits(self, node: NodeId) -> bool:
        """Whether a member of the announced view was not seen in it yet."""
        return self._announcement is not None and node in self._announcement.waiting

    def yield_to_other(self) -> None:
        """Give up leading: this node follows another one's ballot."""
        self._ballot = self._announcement = None

    def start(self, members: tuple[Member, ...], now: Instant) -> list[Out]:
        """Propose a view of these members, once the disk has the promise to follow no other one with its counter."""
        if self._passage.seen >= self._passage.kept:
            self._ballot = None
            return []
        ballot = Ballot(
            view_id=ViewId(self._passage.seen + 1, self._me.node),
            members=members,
            ends_at=Instant(now + self._timing.ballot_ms),
            resend_at=Instant(now + self._timing.resend_ms),
        )
        self._passage.promise(ballot.view_id)
        self._ballot = ballot
        self._announcement = None
        asked = self._passage.ask_witness(ballot.view_id, members)
        return asked + self._ask(ballot) + self.advance(now)

    def flush(self, peer: NodeId, packet: Flush, now: Instant) -> list[Out]:
        """Take in an answer; begin the view when it was the last."""
        ballot = self._ballot
        if (
            ballot is None
            or packet.ballot != ballot.view_id
            or peer not in {each.node for each in ballot.members}
        ):
            return []
        if packet != ballot.answers.get(peer):
            ballot.answers[peer] = packet
            ballot.ends_at = Instant(now + self._timing.ballot_ms)
            self._wishes.answered(peer)
        return self.advance(now)

    def advance(self, now: Instant) -> list[Out]:
        """Begin the view when all answered and lack nothing; else have shared what is lacking."""
        ballot = self._ballot
        if ballot is None:
            return []
        ballot.answers[self._me.node] = self._passage.answer(ballot.view_id, now)
        if len(ballot.answers) < len(ballot.members):
            return []
        shares = self._have_shared(ballot)
        if shares is not None:
            return shares
        if self._waits_for_witness(ballot, now):
            return []
        decision = decide(self._settings, ballot.view_id, ballot.members, ballot.answers, self._watch.fate)
        install = Install(self._me.life, decision)
        others = {member.node for member in ballot.members if member != self._me}
        self._ballot = None
        self._failed = 0
        if others:
            self._announcement = Announcement(install, others, Instant(now + self._timing.resend_ms))
        # The others are told first: what we order in the new view must not overtake its beginning.
        out: list[Out] = [Mail(node, install) for node in sorted(others)]
        return out + self._passage.begin(decision, now)

    def tend(self, now: Instant) -> list[Out]:
        """Repeat what was not answered; give up or renew a ballot that does not come to its end."""
        ballot = self._ballot
        if ballot is None:
            return self._repeat_announcement(now)
        gone = [member for member in ballot.members if member != self._me and not self._is_usable(member)]
        if gone or self._wishes.leader != self._me.node:
            self._ballot = None
            self._wishes.agree_anew(now)  # the others notice it within a beat
            return []
        if now >= ballot.ends_at or any(self._has_promised_more(member, ballot) for member in ballot.members):
            return self._renew(ballot, now)
        if now < ballot.resend_at:
            return []
        ballot.resend_at = Instant(now + self._timing.resend_ms)
        return self._ask(ballot) + self.advance(now)

    def _waits_for_witness(self, ballot: Ballot, now: Instant) -> bool:
        """Whether the view would hang on the witness, and its word may still come."""
        witness = self._settings.quorum.witness
        if witness is None or not hangs_on_witness(self._settings, ballot.answers):
            return False
        current = self._passage.current
        is_same = current is not None and current.members == ballot.members
        if is_same and self._passage.words() == {Vote.WITHHELD}:
            return False  # its vote is lost, and another part may have it soon: no word is waited for
        if ballot.witness_until is None:
            ballot.witness_until = Instant(now + witness.wait_ms)
        if now >= ballot.witness_until:
            return False
        ballot.ends_at = Instant(max(ballot.ends_at, ballot.witness_until + self._timing.ballot_ms))
        return True

    def _ask(self, ballot: Ballot) -> list[Out]:
        packet = Propose(self._me.life, ballot.view_id, ballot.members)
        silent = [member.node for member in ballot.members if member.node not in ballot.answers]
        return [Mail(node, packet) for node in silent if node != self._me.node]

    def _have_shared(self, ballot: Ballot) -> list[Out] | None:
        """Ask holders to share; None when nobody lacks anything."""
        shares = lacking(ballot.answers)
        if not shares:
            return None
        out: list[Out] = []
        for holder, receiver, view, sequences in shares:
            packet = Share(self._me.life, ballot.view_id, view, receiver, sequences[:RESEND_MAX])
            out += self._passage.share(packet) if holder == self._me.node else [Mail(holder, packet)]
        return out

    def _renew(self, ballot: Ballot, now: Instant) -> list[Out]:
        """Try again with a greater counter; after some times without those that do not answer or get no share."""
        self._failed += 1
        if self._failed < BALLOTS_MAX:
            return self.start(ballot.members, now)
        self._failed = 0
        failing = {receiver for _, receiver, _, _ in lacking(ballot.answers)}
        failing |= {member.node for member in ballot.members if member.node not in ballot.answers}
        failing.discard(self._me.node)
        for node in sorted(failing):
            self._wishes.shun(node, now)
        return self.start(tuple(member for member in ballot.members if member.node not in failing), now)

    def _is_usable(self, member: Member) -> bool:
        peer = self._watch.peers[member.node]
        return (
            peer.alive and peer.life == member.life and peer.beat is not None and self._me in peer.beat.hears
        )

    def _has_promised_more(self, member: Member, ballot: Ballot) -> bool:
        if member == self._me or member.node in ballot.answers:
            return False
        beat = self._watch.peers[member.node].beat
        if beat is None:
            return False
        began = None if beat.view is None else beat.view.view_id
        others = {beat.blocked, began} - {None, ballot.view_id}
        return any(each is not None and each.counter >= ballot.view_id.counter for each in others)

    def _repeat_announcement(self, now: Instant) -> list[Out]:
        announcement = self._announcement
        if announcement is None:
            return []
        view_id = announcement.install.decision.view.view_id
        for node in sorted(announcement.waiting):
            beat = self._watch.peers[node].beat
            moved = beat is not None and beat.view is not None and beat.view.view_id >= view_id
            promised = beat is not None and beat.blocked is not None and beat.blocked > view_id
            if moved or promised or not self._watch.peers[node].alive:
                announcement.waiting.discard(node)
        if not announcement.waiting:
            self._announcement = None
            return []
        if now < announcement.resend_at:
            return []
        announcement.resend_at = Instant(now + self._timing.resend_ms)
        return [Mail(node, announcement.install) for node in sorted(announcement.waiting)]
