"""A witness of several clusters: what is old or played again is not believed."""

import msgspec

from komainu.model.ids import Instant, NodeId
from komainu.model.view import ViewId
from komainu.witness.hall import LIVES_KEPT_MAX, Hall
from komainu.witness.message import Question, Verdict

A, B = NodeId(1), NodeId(2)
NOW = Instant(5_000)
EPOCH = 77


def question(number: int, *, life: int = 1, epoch: int = EPOCH) -> Question:
    return Question(epoch, A, life, number, ViewId(1, A), (A, B), (A, B), None, False, 1_000)


def test_the_first_question_is_answered_with_the_life_of_the_witness() -> None:
    hall = Hall(["office"], EPOCH, NOW)
    answer = hall.ask("office", question(1, epoch=0), NOW)
    assert answer is not None
    assert (answer.verdict, answer.epoch) == (Verdict.PENDING, EPOCH)


def test_a_question_counts_once() -> None:
    hall = Hall(["office"], EPOCH, NOW)
    assert hall.ask("office", question(1), NOW) is not None
    assert hall.ask("office", question(1), NOW) is None
    assert hall.ask("office", question(2), NOW) is not None
    assert hall.counts["replayed"] == 1


def test_a_life_that_is_over_is_not_heard_again() -> None:
    hall = Hall(["office"], EPOCH, NOW)
    hall.ask("office", question(5, life=1), NOW)
    assert hall.ask("office", question(1, life=2), NOW) is not None
    assert hall.ask("office", question(6, life=1), NOW) is None


def test_clusters_do_not_know_of_each_other() -> None:
    hall = Hall(["office", "shop"], EPOCH, NOW)
    alone = msgspec.structs.replace(question(1), members=(A,))
    whole = hall.ask("office", question(1), NOW)
    assert whole is not None
    assert whole.verdict is Verdict.CAST
    other = hall.ask("shop", alone, NOW)
    assert other is not None
    assert other.verdict is Verdict.PENDING


def test_what_is_kept_is_bounded() -> None:
    hall = Hall(["office"], EPOCH, NOW)
    for life in range(LIVES_KEPT_MAX + 50):
        hall.ask("office", question(1, life=life), NOW)
    assert len(hall._over["office", A]) <= LIVES_KEPT_MAX
