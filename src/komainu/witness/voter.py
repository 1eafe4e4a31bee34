"""Decide for a node when to ask its witness, and what the ring is told of the answers.

Must not know: sockets and keys. The vote counts until a lease after its question was sent; when no answer renews it
by then, the ring is told that it is gone.
"""

from dataclasses import dataclass
from typing import Final

from komainu.model.ids import Instant, NodeId
from komainu.model.report import Level, Note
from komainu.model.view import ViewId
from komainu.witness.message import Answer, Question, Verdict

ASKS_PER_LEASE: Final = 5
"""So many answers may be lost before a vote is."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the ring is to be told of the witness's vote."""

    view: ViewId
    is_cast: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked for: a view that is being formed, or lasts."""

    view: ViewId
    members: tuple[NodeId, ...]
    nodes: tuple[NodeId, ...]  # of the whole cluster, as it is by now
    goes_first: NodeId | None


class Voter:
    """One node's dealings with its witness."""

    def __init__(self, name: str, node: NodeId, *, life: int, lease_ms: int) -> None:
        self._name = name
        self._node = node
        self._life = life
        self._lease_ms = lease_ms
        self._epoch = 0
        self._number = 0
        self._part: Part | None = None
        self._sent: dict[int, Instant] = {}  # questions of this part that may still be answered
        self._asked_at = Instant(0)
        self._next_at: Instant | None = None  # when the next question is due
        self._held_until: Instant | None = None
        self._held_members: tuple[NodeId, ...] = ()
        self._said: tuple[bool, str] | None = None
        self._refusal = ""

    @property
    def deadline(self) -> Instant | None:
        """When the next question is due, or a vote runs out."""
        return min((due for due in (self._next_at, self._held_until) if due is not None), default=None)

    def ask(self, part: Part, now: Instant) -> list[Question]:
        """Ask for another part from now on."""
        self._part, self._said, self._asked_at = part, None, now
        self._sent.clear()
        return self._question(now)

    def tick(self, now: Instant) -> list[Question | Told | Note]:
        """Ask again, and notice that a vote ran out."""
        told: list[Question | Told | Note] = []
        has_run_out = self._held_until is not None and now >= self._held_until
        if has_run_out:
            self._held_until = None
        is_silent = self._held_until is None and now - self._asked_at >= self._lease_ms
        is_told = self._said is not None and self._said[0]
        if self._part is not None and (is_silent or (has_run_out and is_told)):
            why = f": {self._refusal}" if self._refusal else ""
            told += self._tell(False, f"witness {self._name} does not answer{why}")
        return [*told, *self._question(now)]

    def answered(self, answer: Answer, now: Instant) -> list[Question | Told | Note]:
        """Take an answer that was sealed with the right key."""
        part = self._part
        if answer.life != self._life or part is None:
            return []
        if answer.epoch != self._epoch:
            self._epoch = answer.epoch
            return [*self._question(now)]
        sent = self._sent.pop(answer.number, None)
        if sent is None or answer.view != part.view or now - sent >= self._lease_ms:
            return []  # also one that has lain here while this machine stood still: its lease is over
        self._refusal = ""
        if answer.verdict is Verdict.PENDING:
            self._asked_at = now
            return []
        is_cast = answer.verdict is Verdict.CAST
        self._held_until = Instant(sent + self._lease_ms) if is_cast else None
        self._held_members = part.members if is_cast else ()
        self._asked_at = now
        return self._tell(is_cast, f"witness {self._name}: {answer.reason}")

    def refused(self, reason: str) -> list[Note]:
        """Take what somebody says in the witness's name, in clear: it is shown, and proves nothing."""
        return self.impeded(reason, f"something at the address of witness {self._name} says: {reason}")

    def impeded(self, reason: str, text: str) -> list[Note]:
        """Keep why there may be no answer; `text` is for the log."""
        if reason == self._refusal:
            return []
        self._refusal = reason
        return [Note(Level.WARNING, "witness.refused", text)]

    def _tell(self, is_cast: bool, reason: str) -> list[Question | Told | Note]:
        """Tell the ring what is new."""
        if self._said == (is_cast, reason):
            return []
        was_lost = self._said is not None and self._said[0] and not is_cast
        self._said = (is_cast, reason)
        assert self._part is not None, "told only of a part"
        level = Level.WARNING if was_lost or "does not answer" in reason else Level.NOTICE
        return [Note(level, "witness.vote", reason), Told(self._part.view, is_cast, reason)]

    def _question(self, now: Instant) -> list[Question]:
        if self._part is None:
            return []
        self._number += 1
        self._sent[self._number] = now
        while len(self._sent) > ASKS_PER_LEASE:
            del self._sent[next(iter(self._sent))]
        self._next_at = Instant(now + self._lease_ms // ASKS_PER_LEASE)
        holds = self._held_until is not None and now < self._held_until
        return [
            Question(
                epoch=self._epoch,
                node=self._node,
                life=self._life,
                number=self._number,
                view=self._part.view,
                members=self._part.members,
                nodes=self._part.nodes,
                goes_first=self._part.goes_first,
                holds=holds and self._held_members == self._part.members,
                lease_ms=self._lease_ms,
            )
        ]
