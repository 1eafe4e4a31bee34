"""The black box keeps the last words over a reset, and the stall watch finds them."""

import threading
import time
from pathlib import Path

import pytest

from komainu.model.ids import WallTime
from komainu.node.blackbox import BLOCK_BYTES, REASON_CHARACTERS_MAX, BlackBox, LastWords, StallWatch


def reopened(path: Path) -> LastWords:
    box = BlackBox(path)
    box.close()
    return box.earlier


def test_a_new_box_says_nothing_and_keeps_its_size(tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = BlackBox(path)
    assert box.earlier == LastWords(is_running=False)
    box.begin()
    assert reopened(path) == LastWords(is_running=True)
    box.explain("quorum was lost", WallTime(7))
    assert reopened(path) == LastWords(is_running=True, reason="quorum was lost", at=WallTime(7))
    box.explain("長" * 10_000, WallTime(8))
    assert len(reopened(path).reason) == REASON_CHARACTERS_MAX
    assert path.stat().st_size >= BLOCK_BYTES
    box.end()
    assert reopened(path) == LastWords(is_running=False)
    box.close()


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff" * BLOCK_BYTES, b'{"is_running": 3}'])
def test_a_broken_box_says_nothing(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "box"
    path.write_bytes(garbage)
    assert reopened(path) == LastWords(is_running=False)


def test_a_stall_is_written_down_with_its_place_and_taken_back_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "box"
    box = BlackBox(path)
    petted = [time.monotonic()]
    watch = StallWatch(box, 100, lambda: petted[0], lambda stood_s: f"stood {stood_s >= 0.05}")
    watch.start()
    until = time.monotonic() + 10
    while not reopened(path).reason and time.monotonic() < until:
        threading.Event().wait(0.01)
    reason = reopened(path).reason
    assert reason.startswith("stood True; it stands in ")
    while reopened(path).reason and time.monotonic() < until:
        petted[0] = time.monotonic()
    assert reopened(path) == LastWords(is_running=True)
    watch.close()
    box.close()
