"""Clients are reached while any target answers, and lost after half of a detection without an answer."""

from komainu.model.ids import Instant
from komainu.network.client_watch import ANSWERS_TO_TRUST, ClientWatch, Echo
from komainu.network.interface import ClientsSeen

TARGETS = ("10.0.0.1", "10.0.0.2")
DETECT_MS = 1_000


class Bench:
    """A watch that is woken when it wants to be; `answering` targets answer at once."""

    def __init__(self) -> None:
        self.now = Instant(10_000)
        self.watch = ClientWatch(detect_within_ms=DETECT_MS, now=self.now)
        self.seen: list[tuple[int, bool]] = []
        self.echoes: list[Echo] = []

    def run(self, for_ms: int, *answering: str) -> None:
        end = self.now + for_ms
        while self.watch.deadline <= end:
            self.now = self.watch.deadline
            self.take(self.watch.tick(TARGETS, self.now))
            for target in answering:
                self.take(self.watch.answered(target, self.now))
        self.now = Instant(end)

    def take(self, effects: list[Echo | ClientsSeen] | list[ClientsSeen]) -> None:
        for effect in effects:
            if isinstance(effect, ClientsSeen):
                self.seen.append((self.now, effect.is_reached))
            else:
                self.echoes.append(effect)


def test_every_target_is_asked_ten_times_a_detection() -> None:
    bench = Bench()
    bench.run(DETECT_MS - 1)
    assert [echo.target for echo in bench.echoes] == list(TARGETS) * 10


def test_targets_that_never_answered_say_nothing() -> None:
    bench = Bench()
    bench.run(60_000)
    assert bench.seen == []
    assert bench.watch.is_reached is None


def test_one_target_that_answers_is_enough() -> None:
    bench = Bench()
    bench.run(2_000, *TARGETS)
    bench.run(60_000, TARGETS[1])
    assert [is_reached for _, is_reached in bench.seen] == [True]


def test_clients_are_lost_after_half_of_a_detection() -> None:
    bench = Bench()
    bench.run(2_000, *TARGETS)
    lost_at = bench.now
    bench.run(2_000)
    moment, is_reached = bench.seen[-1]
    assert not is_reached
    assert DETECT_MS // 2 - 100 <= moment - lost_at <= DETECT_MS // 2
    assert len(bench.seen) == 2


def test_a_single_answer_does_not_end_a_loss() -> None:
    bench = Bench()
    bench.run(2_000, *TARGETS)
    bench.run(2_000)
    for _ in range(5):
        assert bench.watch.answered(TARGETS[0], bench.now) == []
        bench.run(2_000)
    bench.run(ANSWERS_TO_TRUST * 100, TARGETS[0])
    assert [is_reached for _, is_reached in bench.seen] == [True, False, True]


def test_who_stood_still_blames_itself_first() -> None:
    bench = Bench()
    bench.run(2_000, *TARGETS)
    bench.now = Instant(bench.now + 20_000)
    bench.take(bench.watch.tick(TARGETS, bench.now))
    bench.run(300)
    assert [is_reached for _, is_reached in bench.seen] == [True]
    bench.run(1_000)
    assert [is_reached for _, is_reached in bench.seen] == [True, False]
