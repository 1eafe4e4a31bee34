"""A node and its witness: a vote that is not renewed in time is gone, and the ring is told."""

from collections.abc import Sequence

from komainu.model.ids import Instant, NodeId
from komainu.model.report import Note
from komainu.model.view import ViewId
from komainu.witness.message import Answer, Question, Verdict
from komainu.witness.voter import ASKS_PER_LEASE, Part, Told, Voter

A, B = NodeId(1), NodeId(2)
VIEW = ViewId(3, A)
PART = Part(VIEW, (A,), (A, B), A)
LEASE_MS = 1_000


class Bench:
    """A voter that has greeted its witness."""

    def __init__(self) -> None:
        self.voter = Voter("w", A, life=9, lease_ms=LEASE_MS)
        self.now = 1_000
        (hello,) = self.voter.ask(PART, Instant(self.now))
        assert hello.epoch == 0
        (self.question,) = self.answer(hello.number, Verdict.PENDING, epoch=5)
        assert isinstance(self.question, Question)
        assert self.question.epoch == 5

    def answer(
        self, number: int, verdict: Verdict, *, epoch: int = 5, life: int = 9, view: ViewId = VIEW
    ) -> list[Question | Told | Note]:
        return self.voter.answered(Answer(life, number, view, verdict, "why", epoch), Instant(self.now))

    def tick(self, after_ms: int) -> list[Question | Told | Note]:
        self.now += after_ms
        return self.voter.tick(Instant(self.now))

    def number(self) -> int:
        assert isinstance(self.question, Question)
        return self.question.number


def told(effects: Sequence[Question | Told | Note]) -> list[bool]:
    return [effect.is_cast for effect in effects if isinstance(effect, Told)]


def test_a_vote_is_told_once_and_said_in_the_next_question() -> None:
    bench = Bench()
    assert told(bench.answer(bench.number(), Verdict.CAST)) == [True]
    (again,) = bench.tick(LEASE_MS // ASKS_PER_LEASE)
    assert isinstance(again, Question)
    assert again.holds
    assert told(bench.answer(again.number, Verdict.CAST)) == []


def test_a_vote_that_is_not_renewed_is_gone_a_lease_after_the_question() -> None:
    bench = Bench()
    bench.answer(bench.number(), Verdict.CAST)
    assert told(bench.tick(LEASE_MS - 1)) == []
    effects = bench.tick(1)
    assert told(effects) == [False]
    (note,) = (effect for effect in effects if isinstance(effect, Note))
    assert note.message == "witness w does not answer"
    assert not any(isinstance(effect, Question) and effect.holds for effect in effects)


def test_an_answer_that_lay_here_while_the_machine_stood_still_is_no_vote() -> None:
    bench = Bench()
    bench.now += LEASE_MS
    assert told(bench.answer(bench.number(), Verdict.CAST)) == []
    assert told(bench.tick(0)) == [False]


def test_pending_tells_nothing_and_is_no_silence() -> None:
    bench = Bench()
    assert bench.answer(bench.number(), Verdict.PENDING) == []
    assert told(bench.tick(LEASE_MS - 1)) == []


def test_answers_to_another_life_or_view_or_question_count_nothing() -> None:
    bench = Bench()
    assert bench.answer(bench.number(), Verdict.CAST, life=8) == []
    assert bench.answer(bench.number() + 7, Verdict.CAST) == []
    assert bench.answer(bench.number(), Verdict.CAST, view=ViewId(2, A)) == []


def test_another_part_does_not_hold_what_the_last_one_held() -> None:
    bench = Bench()
    bench.answer(bench.number(), Verdict.CAST)
    (question,) = bench.voter.ask(Part(ViewId(4, A), (A, B), (A, B), None), Instant(bench.now))
    assert not question.holds


def test_a_witness_with_another_key_is_named_in_the_reason() -> None:
    bench = Bench()
    assert len(bench.voter.refused("the key of cluster t is another one here")) == 1
    assert bench.voter.refused("the key of cluster t is another one here") == []
    (note,) = (effect for effect in bench.tick(LEASE_MS) if isinstance(effect, Note))
    assert note.message == "witness w does not answer: the key of cluster t is another one here"


def test_a_vote_runs_out_a_lease_after_its_question_however_late_the_answer_came() -> None:
    bench = Bench()
    bench.now += LEASE_MS // 2
    assert told(bench.answer(bench.number(), Verdict.CAST)) == [True]
    bench.tick(LEASE_MS // 2 - 1)
    assert bench.voter.deadline == Instant(bench.now + 1)
    assert told(bench.tick(1)) == [False]
