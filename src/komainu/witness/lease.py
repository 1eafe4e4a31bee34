"""Decide for a node whose witness is a file or a disk what it writes there, and what the ring is told.

The vote is given as a witness gives it: the node's voter asks, a hall answers. Here the hall is on one of the nodes, the
clerk (clerk.py), and questions and answers go through the slots. A new clerk is a witness that was started anew: it
remembers nothing, and neither has to. Must not know: files, threads, chance: `draw` gives the numbers of lives.

Theory of operation. One round at a time: the shell carries out `StartRound` (write the page, if there is one, then read)
and comes back with `took` or `failed`. A question that was sent counts for a lease, which is less than the patience
that boxes and clerks have: `patience_ms` stands in the question. What was answered late, or lands on the disk late, is
an answer to an old question.

A vote outlasts its clerk. Who has the vote from a clerk that dies is the clerk itself before the vote runs out: that takes
the patience with the other's claim and a few rounds, together about 1.4 leases of a clerk, and at its death the vote has about
four fifths of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from komainu.model.ids import Instant, NodeId
from komainu.model.report import Note
from komainu.witness.clerk import ROUNDS_PER_LEASE, Block, Clerkship, patience_ms
from komainu.witness.hall import Hall
from komainu.witness.message import Answer, Question, Verdict
from komainu.witness.slots import LEASE_MS, REASON_CHARACTERS_MAX, Header, Page, slot_of
from komainu.witness.voter import Part, Told, Voter

LIFE_BITS: Final = 60
"""Of the random numbers that `draw` gives: no two are ever the same."""

CLERKS_PER_VOTE: Final = 2
"""So many leases of a clerk make the lease of a vote."""

LOOKS_MIN: Final = 2 * CLERKS_PER_VOTE * ROUNDS_PER_LEASE
"""After so many looks at the slots a node that is a member must have been seen to write: it does five times in a lease."""

FAILURES_COUNTED_MAX: Final = 6
"""The pause after a failure doubles as often: at most 6.4 leases of a clerk, in which others can become it in peace."""

_HALL: Final = ""
"""A file serves one cluster; its hall needs no name for it."""


@dataclass(frozen=True, slots=True)
class StartRound:
    """Write the page into the own slot, then read: every slot, or only those of the nodes. Then `took` or `failed`."""

    page: Page | None  # None: nothing is new
    slots: frozenset[int] | None  # None: all


class _Office:
    """What a clerk has: the ballot box in its hall, and what was answered last."""

    def __init__(self, epoch: int, now: Instant, silent_since: Mapping[NodeId, Instant]) -> None:
        self.epoch = epoch
        self.answers: dict[NodeId, Answer] = {}
        self._hall = Hall([_HALL], epoch, now, silent_since)

    def serve(self, blocks: Mapping[int, Block], now: Instant) -> list[NodeId]:
        """Answer the questions that are new; return whose."""
        served = []
        for _, block in sorted(blocks.items()):
            question = None if block.page is None else block.page.question
            answer = None if question is None else self._hall.ask(_HALL, question, now)
            if question is not None and answer is not None:
                reason = answer.reason[:REASON_CHARACTERS_MAX]
                self.answers[question.node] = msgspec.structs.replace(answer, reason=reason)
                served.append(question.node)
        return served


@dataclass(slots=True)
class _Round:
    began: Instant
    start: StartRound
    is_trying: bool  # its claim is a new one


Out = StartRound | Told | Note


class Lease:
    """One node's dealings with a witness that is a file or a disk."""

    def __init__(self, name: str, node: NodeId, draw: Callable[[], int]) -> None:
        """`draw` gives random numbers of LIFE_BITS bits, and never 0."""
        self.name = name
        self.trouble = ""  # why the file or disk cannot be used now, in one phrase
        self._node = node
        self._draw = draw
        self._looked: set[int] = set()  # slots that were read at least once
        self._met: set[NodeId] = set()  # nodes that wrote something while this one looked
        self._members: set[NodeId] = set()  # nodes that were in a part with this one for some leases
        self._looks = 0  # in the present part
        self._failures = 0  # in a row
        self._part: Part | None = None
        self._round: _Round | None = None
        self._next_at: Instant | None = None
        self._begin(Header(LEASE_MS, "", b""))

    def _begin(self, header: Header) -> None:
        """Begin with a file or disk that was not known before."""
        self._header = header
        self._lease_ms = header.lease_ms
        self._clerk_ms = header.lease_ms // CLERKS_PER_VOTE
        life = self._draw()
        self._voter = Voter(self.name, self._node, life=life, lease_ms=self._lease_ms)
        self._question: Question | None = None
        self._clerkship = Clerkship(slot_of(self._node), self._clerk_ms)
        self._all_read_at: Instant | None = None
        self._begin_life()

    def _begin_life(self) -> None:
        """Begin with a slot of which nobody knows what it holds, and with no claim to anything."""
        self._life = self._draw()
        self._number = 0
        self._written: Page | None = None
        self._has_looked = False  # nothing is written before: each failed write makes others wait
        self._close_office()

    def _close_office(self) -> None:
        self._clerkship.drop()
        self._office: _Office | None = None

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is wanted."""
        dues = [self._voter.deadline, self._next_at if self._round is None else None]
        return min((due for due in dues if due is not None), default=None)

    def is_clerk(self, now: Instant) -> bool:
        """Whether this node keeps the ballot box."""
        return self._office is not None and self._clerkship.is_held(now)

    def strangers(self) -> list[NodeId]:
        """Return the members of this node's parts that never wrote a thing: what they write to may be another file."""
        return sorted(self._members - self._met - {self._node})

    def ask(self, part: Part, now: Instant) -> list[Out]:
        """Ask for this part's vote from now on."""
        self._part, self._looks = part, 0
        return [*self._heed(self._voter.ask(part, now)), *self._go_on(now)]

    def tick(self, now: Instant) -> list[Out]:
        """Do what is due."""
        out: list[Out] = []
        if self._voter.deadline is not None and now >= self._voter.deadline:
            if self._round is not None and now - self._round.began >= self._lease_ms:
                out += self._impeded("a read or write takes longer than a lease")
            out += self._heed(self._voter.tick(now))
        return [*out, *self._go_on(now)]

    def failed(self, reason: str, now: Instant) -> list[Out]:
        """Take that the round did not succeed. What it wrote may still come, in whatever life."""
        self._round = None
        pause_ms = self._clerk_ms // ROUNDS_PER_LEASE * 2 ** min(self._failures, FAILURES_COUNTED_MAX)
        self._next_at = Instant(now + pause_ms)
        self._failures += 1
        self._begin_life()
        return self._impeded(reason)

    def took(self, header: Header, blocks: Mapping[int, Block], now: Instant) -> list[Out]:
        """Take what a round read, after its page was written."""
        assert self._round is not None, "one round at a time"
        ended, self._round = self._round, None
        self._next_at = Instant(ended.began + self._clerk_ms // ROUNDS_PER_LEASE)
        if header != self._header:
            return self._take_anew(header, now)
        page = ended.start.page
        self._has_looked = True
        self._written = self._written if page is None else page
        if self._written is not None and blocks[slot_of(self._node)].page != self._written:
            return self.failed("somebody else writes into this node's slot", now)
        if page is not None:
            self._failures, self.trouble = 0, ""
        if ended.start.slots is None:
            self._all_read_at = ended.began
        changed = self._clerkship.look(blocks, now)
        self._meet(blocks, changed)
        if page is not None and ended.is_trying:
            if self._clerkship.take(ended.began, now):
                self._office = _Office(page.claim, now, self._silent_since(blocks))
        elif page is not None and page.claim:
            self._clerkship.keep_up(ended.began, now)
        return [*self._hear(blocks, changed, now), *self._go_on(now)]

    def _take_anew(self, header: Header, now: Instant) -> list[Out]:
        """Begin with another header, or with another file of the same one: a mount that is missing, a private copy.

        What was believed by the last one is not believed any longer, nor that the members write to this one, too.
        """
        was_known = bool(self._header.uuid)
        self._next_at = None
        self._looks = 0
        self._looked.clear()
        self._met.clear()
        self._begin(header)
        if self._part is None:
            return []
        gone = Told(
            self._part.view,
            False,
            f"witness {self.name}: its file or disk is another one, or was prepared anew",
        )
        again = [*self._heed(self._voter.ask(self._part, now)), *self._go_on(now)]
        return [gone, *again] if was_known else again

    def _go_on(self, now: Instant) -> list[Out]:
        """Begin a round where one is due, or something is new."""
        if self._office is not None and not self._clerkship.is_held(now):
            self._close_office()
        if self._round is not None or self._question is None:
            return []
        is_trying = self._office is None and self._has_looked and self._clerkship.may_claim(now)
        claim = self._draw() if is_trying else 0
        if self._office is not None:
            claim = self._office.epoch
        page = self._page(claim) if self._has_looked else None
        is_news = page is not None and self._written is not None
        if not is_news and self._next_at is not None and now < self._next_at:
            return []
        if page is not None:
            self._number = page.number
        has_read = self._all_read_at is not None and now - self._all_read_at < self._clerk_ms // 2
        nodes = {self._node, *self._question.nodes, *self._members}
        slots = frozenset(map(slot_of, nodes)) if has_read and not is_trying else None
        start = StartRound(page, slots)
        self._round = _Round(now, start, is_trying)
        return [start]

    def _page(self, claim: int) -> Page | None:
        """Return what to write: nothing where the slot holds it already."""
        told = {} if self._office is None else self._office.answers
        answers = tuple(sorted((node, answer) for node, answer in told.items() if node != self._node))
        old = self._written
        if old is not None and (old.claim, old.question, old.answers) == (claim, self._question, answers):
            return None
        return Page(self._node, self._life, self._number + 1, claim, self._question, answers)

    def _silent_since(self, blocks: Mapping[int, Block]) -> dict[NodeId, Instant]:
        """Return since when nodes whose slot is as it was have asked nothing."""
        unchanged = self._clerkship.unchanged_since()
        return {
            block.page.node: unchanged[slot]
            for slot, block in blocks.items()
            if block.page is not None and slot in unchanged
        }

    def _meet(self, blocks: Mapping[int, Block], changed: Sequence[int]) -> None:
        """Learn which nodes write here, and which do not. What is there at the first look may be old."""
        self._looks += 1
        if self._part is not None and self._looks > LOOKS_MIN:
            self._members.update(self._part.members)
        for slot in changed:
            page = blocks[slot].page
            if page is not None and slot in self._looked:
                self._met.add(page.node)
        self._looked.update(blocks)

    def _hear(self, blocks: Mapping[int, Block], changed: Sequence[int], now: Instant) -> list[Out]:
        """Take the clerk's answer. What a slot has held for long is no news: its clerk may be gone."""
        if self._office is not None:
            is_served = self._clerkship.is_held(now) and self._node in self._office.serve(blocks, now)
            return self._answered(self._office.answers[self._node], now) if is_served else []
        out: list[Out] = []
        for slot in changed:
            page = blocks[slot].page
            answer = None if page is None or not page.claim else dict(page.answers).get(self._node)
            out += [] if answer is None else self._answered(answer, now)
        return out

    def _answered(self, answer: Answer, now: Instant) -> list[Out]:
        assert self._part is not None, "nothing is asked for no part"
        away = [node for node in self.strangers() if node not in self._part.members]
        if answer.verdict is Verdict.CAST and away:
            # With a file of its own each half of a cluster would have the vote.
            why = f"node {away[0]} was here and wrote nothing to it: it may not be the same there"
            answer = msgspec.structs.replace(answer, verdict=Verdict.WITHHELD, reason=why)
        return self._heed(self._voter.answered(answer, now))

    def _impeded(self, reason: str) -> list[Out]:
        self.trouble = reason
        return [*self._voter.impeded(reason, f"witness {self.name} cannot be used: {reason}")]

    def _heed(self, effects: Sequence[Question | Told | Note]) -> list[Out]:
        """Keep a question for the next round; pass the rest on."""
        out: list[Out] = []
        for effect in effects:
            if isinstance(effect, Question):
                self._question = msgspec.structs.replace(effect, lease_ms=patience_ms(self._lease_ms))
            else:
                out.append(effect)
        return out
