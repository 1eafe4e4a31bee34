"""What a node leaves out, since nothing can have changed, against the node that looks at all of it every time."""

import pytest

from komainu.model.ids import Instant, WallTime
from komainu.model.moment import earliest
from komainu.node.interface import DriveEffect, DriveEvent
from komainu.ring.packet import Beat
from komainu.ring.telling import Telling
from komainu.sim import world
from komainu.sim.observer import WatchedDrive
from komainu.sim.scenario import run_seed


class Suspicious(WatchedDrive):
    """A drive that does, after every event, also what this event should not have made due."""

    def _settle(self, *, is_news: bool) -> list[DriveEffect]:
        effects = super()._settle(is_news=is_news)
        if not self._has_ended:
            kept = self._others_due
            assert super()._settle(is_news=True) == [], "an event had made something due that was overlooked"
            assert kept == self._others_due, "a core wants to be woken at another time than was remembered"
        return effects

    def handle(self, event: DriveEvent, now: Instant, wall: WallTime) -> list[DriveEffect]:
        effects = super().handle(event, now, wall)
        if not self._has_ended:
            cores = (self.ring, self.executor, self.fencer, self.coordination, self.network)
            assert self.deadline == earliest(self._stop_by, *(core.deadline for core in cores))
        return effects


def test_what_is_left_out_after_quiet_events_was_never_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "WatchedDrive", Suspicious)
    for seed in (4, 9):  # two and three nodes
        run_seed(seed, within_ms=15_000)


def test_a_beat_that_is_told_again_still_says_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    make_beat, told_again = Telling.make_beat, []

    def make_twice(self: Telling, now: Instant, *, is_news: bool) -> Beat:
        before = self._told
        beat = make_beat(self, now, is_news=is_news)
        assert make_beat(self, now, is_news=True) == beat
        told_again.append(beat is before)
        return beat

    monkeypatch.setattr(Telling, "make_beat", make_twice)
    for seed in (4, 9):
        run_seed(seed, within_ms=15_000)
    assert any(told_again)
    assert not all(told_again)
