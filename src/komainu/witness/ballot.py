"""Decide to which part of a cluster the witness gives its vote: to one at a time, whatever the parts believe.

Must not know: sockets, keys, what a quorum is. One box for each cluster.
Source: corosync-qdevice(8), the algorithms ffsplit and lms. Both choose the greatest part that reaches the
witness; they differ in how many votes it has, which the nodes' settings say. Deviation: between equal parts the one
with the node that runs the service comes first, then the one with the lowest node id.

Theory of operation. A vote is a lease: a part has it for `lease_ms` after a member asked, and no longer believes
to have it when that time has passed since the question was sent, which is earlier. So it is given to another part
only when each member of the part that has it was heard in another part since, or its own lease is over. A
contest is decided when every node outside of the asking part has told its own part, or was silent for a lease. A
witness that was started anew remembers nothing; a part that says it has the vote keeps it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from komainu.model.ids import Instant, NodeId
from komainu.witness.message import Answer, Question, Verdict

NODES_MAX: Final = 64
"""As many nodes as a ring can have; more seats are never kept."""

Part = frozenset[NodeId]


@dataclass(frozen=True, slots=True)
class _Seat:
    """The last question of a node, and when it came."""

    question: Question
    at: Instant

    @property
    def part(self) -> Part:
        """The part that the node is in, or is about to be in."""
        return frozenset(self.question.members)


class BallotBox:
    """The vote of one witness in one cluster."""

    def __init__(self, now: Instant, silent_since: Mapping[NodeId, Instant] | None = None) -> None:
        """`silent_since`: of nodes that asked no box since then, also none before this one."""
        self._silent_since = dict(silent_since or {})
        self._seats: dict[NodeId, _Seat] = {}
        self._holder: Part | None = None
        self._renewed: dict[
            NodeId, Instant
        ] = {}  # when each member of the holder was last told that it has the vote
        self._began = now  # nobody was heard before

    def ask(self, question: Question, now: Instant) -> Answer:
        """Take a question and answer it."""
        if question.node not in self._seats and len(self._seats) >= NODES_MAX:
            return _answer(question, Verdict.WITHHELD, f"it serves at most {NODES_MAX} nodes of a cluster")
        seat = self._seats[question.node] = _Seat(question, now)
        if self._holder is None and question.holds:
            self._give(seat.part, now)
        if self._holder is not None and self._holder != seat.part and self._is_void(question.lease_ms, now):
            self._holder = None
        if self._holder is None:
            missing = sorted(self._undecided(seat, now))
            if missing:
                names = ", ".join(str(node) for node in missing)
                return _answer(question, Verdict.PENDING, f"it waits for what node {names} has to say")
            self._give(max(self._parts(now), key=self._worth), now)
        assert self._holder is not None, "just given"
        if self._holder != seat.part and self._holder & seat.part:
            return _answer(question, Verdict.PENDING, "it waits for the part that is breaking up")
        if self._holder != seat.part:
            names = ", ".join(str(node) for node in sorted(self._holder))
            return _answer(question, Verdict.WITHHELD, f"it gave its vote to the part with node {names}")
        self._renewed[question.node] = now
        return _answer(question, Verdict.CAST, "it gave its vote to this part")

    def _give(self, part: Part, now: Instant) -> None:
        """Give the vote to a part; its members may learn of it from each other."""
        self._holder = part
        self._renewed = dict.fromkeys(part, now)

    def _is_void(self, lease_ms: int, now: Instant) -> bool:
        """Whether nobody can believe any longer that the holder has the vote."""
        assert self._holder is not None, "asked about a holder"
        for node in self._holder:
            seat = self._seats.get(node)
            has_left = seat is not None and seat.part != self._holder
            if not has_left and now - self._renewed[node] < lease_ms:
                return False
        return True

    def _undecided(self, asking: _Seat, now: Instant) -> Iterator[NodeId]:
        """Give the nodes outside of the asking part that may be in one that is better."""
        for node in set(asking.question.nodes) - asking.part:
            seat = self._seats.get(node)
            heard_at = self._silent_since.get(node, self._began) if seat is None else seat.at
            has_told = seat is not None and node in seat.part and not seat.part & asking.part
            if now - heard_at < asking.question.lease_ms and not has_told:
                yield node

    def _parts(self, now: Instant) -> set[Part]:
        """Give the parts of which a member was heard within a lease."""
        return {seat.part for seat in self._seats.values() if now - seat.at < seat.question.lease_ms}

    def _worth(self, part: Part) -> tuple[int, int, int]:
        """Compare parts: their size, whether who runs the service is in it, the lowest id."""
        said = [self._seats[node].question.goes_first for node in sorted(part) if node in self._seats]
        first = next((node for node in said if node is not None), None)
        return len(part), int(first in part), -min(part)


def _answer(question: Question, verdict: Verdict, reason: str) -> Answer:
    return Answer(question.life, question.number, question.view, verdict, reason)
