"""A machine's disk loses what was not synced, and its clock goes its own way without leaping."""

import pytest

from komainu.model.ids import Instant, NodeId, NodeName, ResourceId
from komainu.node.interface import DeadlinePassed
from komainu.sim.machine import WAITING_MAX, Disk, LocalClock, Machine


def test_what_was_not_synced_is_lost_with_the_power() -> None:
    disk = Disk()
    disk.writing = {1: "one", 2: "two"}
    assert disk.finish(1)
    disk.end_life()
    assert not disk.finish(2)
    assert disk.text == "one"


def test_a_newer_text_is_not_overwritten_by_an_older_one() -> None:
    disk = Disk()
    disk.writing = {1: "one", 2: "two"}
    assert disk.finish(2)
    assert disk.finish(1)
    assert disk.text == "two"


@pytest.mark.parametrize("rate_ppm", [-20_000, -1, 0, 7, 20_000])
def test_when_is_the_first_moment_that_shows_so_much(rate_ppm: int) -> None:
    clock = LocalClock()
    clock.drift(Instant(1_000), rate_ppm)
    for shown in (1_000, 1_001, 1_049, 12_345, 600_000):
        moment = clock.when(Instant(shown))
        assert clock.read(moment) >= shown
        assert moment == 1_000 or clock.read(Instant(moment - 1)) < shown


def test_a_clock_that_changes_its_rate_does_not_leap() -> None:
    clock = LocalClock()
    clock.drift(Instant(0), 10_000)
    assert clock.read(Instant(10_000)) == 10_100
    clock.drift(Instant(10_000), 0)
    assert clock.read(Instant(10_000)) == 10_100
    assert clock.read(Instant(10_500)) == 10_600


def test_a_machine_without_power_runs_nothing_and_hears_nothing_later() -> None:
    machine = Machine(NodeId(1), NodeName("a"), is_on=True, running={ResourceId("web")}, waiting=[])
    for _ in range(WAITING_MAX + 5):
        machine.keep_for_later(DeadlinePassed())
    assert machine.waiting is not None
    assert len(machine.waiting) == WAITING_MAX
    machine.lose_power()
    assert not machine.running
    assert machine.waiting is None
