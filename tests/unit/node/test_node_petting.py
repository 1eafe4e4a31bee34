"""The watchdog is petted at a steady beat while the drive keeps up, by a path that allocates nothing."""

import asyncio
import gc
import math
import os
import select
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import pytest

from komainu.model.ids import Instant
from komainu.model.request import WatchdogView
from komainu.node.petting import DISK_S_MAX, PETS_PER_TIMEOUT, Petting
from komainu.node.settings import WatchdogSettings
from komainu.node.watchdog import arm

TIMEOUT_MS = 1000


class Counting:
    """A watchdog that counts."""

    def __init__(self) -> None:
        self.pets = 0

    def pet(self) -> None:
        self.pets += 1

    def expire(self) -> None:
        raise AssertionError

    def disarm(self) -> None:
        raise AssertionError


class IdleDisk:
    """A disk that does what it is told at once, until it is told otherwise."""

    busy_since_s = math.inf


@contextmanager
def beating(petting: Petting) -> Iterator[None]:
    async def closing() -> None:
        petting.close()

    try:
        yield
    finally:
        asyncio.run(closing())


def beat_late(petting: Petting, watchdog: Counting, *, deadline_s_ago: float) -> int:
    """Wait for the next beat with a deadline that passed so long ago; return how often it petted."""
    petting.expect(Instant(round(1000 * (time.monotonic() - deadline_s_ago))))
    before = watchdog.pets
    select.select([petting._timer], [], [], 10)
    petting.beat()
    return watchdog.pets - before


def test_it_pets_while_deadlines_are_met_and_not_else() -> None:
    watchdog = Counting()
    petting = Petting(watchdog, TIMEOUT_MS, IdleDisk())
    with beating(petting):
        assert beat_late(petting, watchdog, deadline_s_ago=0.0) == 1
        first_s = petting.petted_s
        assert beat_late(petting, watchdog, deadline_s_ago=0.3) == 0
        assert beat_late(petting, watchdog, deadline_s_ago=0.0) == 1, "it came back in time"
        gap_ms = round(1000 * (petting.petted_s - first_s))
        petting.stop()
        assert beat_late(petting, watchdog, deadline_s_ago=0.0) == 0, "a doomed machine is not petted"
    view = petting.view()
    assert view == WatchdogView(TIMEOUT_MS, view.longest_gap_ms)
    assert view.longest_gap_ms >= gap_ms > TIMEOUT_MS // PETS_PER_TIMEOUT, "one beat was left out"


def test_it_does_not_pet_while_the_disk_does_not_answer() -> None:
    watchdog, disk = Counting(), IdleDisk()
    petting = Petting(watchdog, TIMEOUT_MS, disk)
    with beating(petting):
        disk.busy_since_s = time.monotonic() - DISK_S_MAX / 2
        assert beat_late(petting, watchdog, deadline_s_ago=0.0) == 1, "it is only slow"
        disk.busy_since_s = time.monotonic() - DISK_S_MAX - 1
        assert beat_late(petting, watchdog, deadline_s_ago=0.0) == 0
        assert petting.reason() == "its disk has not answered for 21 s"
        disk.busy_since_s = math.inf
        assert beat_late(petting, watchdog, deadline_s_ago=0.0) == 1
        assert petting.reason() == "its daemon stood still"


@pytest.mark.parametrize("size", [1, 200_000])
def test_a_pet_allocates_nothing(tmp_path: Path, size: int) -> None:
    """Of a real device's path, however much the daemon holds: no block of memory more, not even for a moment."""
    held = [object() for _ in range(size)]
    path = tmp_path / "watchdog"
    path.touch()
    device = arm(WatchdogSettings(str(path), is_socket=False, timeout_ms=TIMEOUT_MS))
    petting = Petting(device, TIMEOUT_MS, IdleDisk())
    petting.expect(Instant(2**60))
    reader, writer = os.pipe()
    timer, petting._timer = petting._timer, FileIO(reader)
    tick = bytes(8)

    def beat() -> int:
        os.write(writer, tick)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()
        petting.beat()
        return tracemalloc.get_traced_memory()[1] - before[0]

    tracemalloc.start(1)
    try:
        gc.disable()
        peaks = [beat() for _ in range(100)]
    finally:
        gc.enable()
        tracemalloc.stop()
    os.close(writer)
    timer.close()
    asyncio.run(_close(petting))
    assert path.stat().st_size == 100
    assert len(held) == size
    # What tracemalloc counts while nothing is done stands in the same figure.
    assert min(peaks[10:]) == max(peaks[10:]) == nothing_done()


async def _close(petting: Petting) -> None:
    petting.close()


def nothing_done() -> int:
    """Return what the measuring itself takes."""

    def nothing() -> None:
        return

    def measure() -> int:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()
        nothing()
        return tracemalloc.get_traced_memory()[1] - before[0]

    tracemalloc.start(1)
    try:
        return [measure() for _ in range(20)][-1]
    finally:
        tracemalloc.stop()
