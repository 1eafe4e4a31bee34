"""Decide for a witness of several clusters which questions are believed, and answer them from the right box.

Must not know: sockets, and how questions are sealed. What was recorded and is played again is not believed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from komainu.model.ids import Instant, NodeId
from komainu.witness.ballot import BallotBox
from komainu.witness.message import Answer, Question, Verdict

LIVES_KEPT_MAX: Final = 1024
"""Lives of one node that are known to be over. A daemon that restarts every minute needs a day to fill it."""


class Hall:
    """The boxes of all clusters that a witness serves."""

    def __init__(
        self,
        clusters: Iterable[str],
        epoch: int,
        now: Instant,
        silent_since: Mapping[NodeId, Instant] | None = None,
    ) -> None:
        """`epoch` is random: it tells this life of the witness from all others. `silent_since`: see BallotBox."""
        self.epoch = epoch
        self.counts: Counter[str] = Counter()  # answers by verdict, and questions that were not believed
        self._boxes = {cluster: BallotBox(now, silent_since) for cluster in clusters}
        self._heard: dict[tuple[str, NodeId], tuple[int, int]] = {}  # the life and its last number
        self._over: dict[tuple[str, NodeId], dict[int, None]] = {}

    def ask(self, cluster: str, question: Question, now: Instant) -> Answer | None:
        """Answer a question that was opened with this cluster's key; None when it is not believed."""
        if question.epoch != self.epoch:
            self.counts["greeted"] += 1
            text = "it was started anew, or asked for the first time"
            return Answer(question.life, question.number, question.view, Verdict.PENDING, text, self.epoch)
        if not self._is_new(cluster, question):
            self.counts["replayed"] += 1
            return None
        answer = self._boxes[cluster].ask(question, now)
        self.counts[answer.verdict.value] += 1
        return msgspec.structs.replace(answer, epoch=self.epoch)

    def _is_new(self, cluster: str, question: Question) -> bool:
        who = (cluster, question.node)
        life, number = self._heard.get(who, (question.life, -1))
        over = self._over.setdefault(who, {})
        if question.life in over or (question.life == life and question.number <= number):
            return False
        if question.life != life:
            over[life] = None
            if len(over) > LIVES_KEPT_MAX:
                del over[next(iter(over))]
        self._heard[who] = (question.life, question.number)
        return True
