from komainu.lab.client import LATE_MS, WATCH_MS, Stalls


def test_stalls_are_summed_up_and_told_once() -> None:
    stalls = Stalls()
    for now in (1_000, 1_000 + WATCH_MS, 1_120 + 2 * WATCH_MS, 1_150 + 3 * WATCH_MS):
        stalls.runs(0, now)
    assert stalls.take(1_150 + 3 * WATCH_MS) == 120 + 30
    assert stalls.take(1_150 + 3 * WATCH_MS) == 0


def test_two_processors_that_stand_at_the_same_time_count_once() -> None:
    stalls = Stalls()
    for processor, woken in ((0, 1_110), (1, 1_160)):
        stalls.runs(processor, 1_000)
        stalls.runs(processor, woken)
    assert stalls.take(1_160) == 150


def test_a_processor_that_still_stands_is_seen_and_the_rest_of_it_later() -> None:
    stalls = Stalls()
    stalls.runs(0, 1_000)
    assert stalls.take(1_100) == 100 - WATCH_MS
    stalls.runs(0, 1_130)
    assert stalls.take(1_130) == 30


def test_ordinary_lateness_is_no_stall() -> None:
    stalls = Stalls()
    stalls.runs(0, 1_000)
    stalls.runs(0, 1_000 + WATCH_MS + LATE_MS - 1)
    assert stalls.take(1_000 + WATCH_MS + LATE_MS) == 0


def test_nothing_is_seen_where_nothing_is_watched() -> None:
    assert Stalls().take(1_000) == 0
