"""A gap is what the service was away, not what the probe slept through."""

from komainu.lab import gap
from komainu.lab.protocol import Served, Stint


def answers(*times: int, node: str = "a") -> list[Served]:
    return [Served(at, node) for at in times]


def test_the_longest_time_between_two_answers() -> None:
    seen = gap.seen(answers(0, 20, 40, 140, 160), since=0, until=160)
    assert seen.longest_gap_ms == 100
    assert seen.answers == 5
    assert seen.silent_ms == 0


def test_a_gap_that_began_before_the_window_counts_from_its_beginning() -> None:
    assert gap.seen(answers(0, 500, 520), since=400, until=520).longest_gap_ms == 500


def test_a_gap_that_is_still_open_counts_to_the_end_of_the_window() -> None:
    seen = gap.seen(answers(0, 20), since=0, until=1000)
    assert seen.longest_gap_ms == seen.silent_ms == 980


def test_without_any_answer_the_whole_window_is_a_gap() -> None:
    seen = gap.seen([], since=100, until=400)
    assert seen.longest_gap_ms == 300
    assert not seen.stints


def test_time_in_which_the_probe_itself_was_stalled_is_shown_apart() -> None:
    seen = gap.seen([Served(0, "a"), Served(300, "a", late_ms=270)], since=0, until=300)
    assert seen.longest_gap_ms == 30
    assert seen.stalled_ms == 270


def test_who_answered_and_from_when() -> None:
    seen = gap.seen([*answers(0, 20), *answers(900, 920, node="b")], since=0, until=920)
    assert seen.stints == (Stint("a", 0), Stint("b", 900))


def test_answers_after_the_window_are_not_counted() -> None:
    assert gap.seen(answers(0, 20, 40), since=0, until=30).answers == 2
