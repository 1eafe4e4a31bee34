"""Keep the last words of a node over its reset: why its machine is about to be reset, in the node's own words.

Decides nothing about resets. What is written is on stable storage when the call returns, and costs one write
of one block into a file whose space is there already, since it may be the last thing that this machine does.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from komainu.model.ids import WallTime

BLOCK_BYTES: Final = 4096
"""One block of any disk: it is written whole or not at all."""

REASON_CHARACTERS_MAX: Final = 600
"""A reason of so many characters fits into the block whatever characters they are."""

STALLED_PART: Final = 0.5
"""After this part of the watchdog's time-out without petting, the reason is written down."""

LOOKS_PER_TIMEOUT: Final = 10
"""How often within the watchdog's time-out it is looked whether the loop turns."""


class LastWords(msgspec.Struct, frozen=True):
    """What the box holds: whether a daemon runs or ended in order, and why a reset is coming."""

    is_running: bool
    reason: str = ""
    at: WallTime = WallTime(0)


class BlackBox:
    """The file with the last words; `earlier` are those of the last life."""

    def __init__(self, path: str | Path) -> None:
        """Open the box, or make it. Raises OSError."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DSYNC | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(self._descriptor, 0, BLOCK_BYTES)
        self.earlier = _read(os.pread(self._descriptor, BLOCK_BYTES, 0))

    def begin(self) -> None:
        """Write that a daemon runs, and no reason for a reset is known."""
        self._write(LastWords(is_running=True))

    def explain(self, reason: str, at: WallTime) -> None:
        """Write why this machine is about to be reset. Raises OSError."""
        self._write(LastWords(is_running=True, reason=reason[:REASON_CHARACTERS_MAX], at=at))

    def end(self) -> None:
        """Write that the daemon ended in order."""
        self._write(LastWords(is_running=False))

    def close(self) -> None:
        """Close the file and leave what it says."""
        os.close(self._descriptor)

    def _write(self, words: LastWords) -> None:
        os.pwrite(self._descriptor, msgspec.json.encode(words).ljust(BLOCK_BYTES, b"\n"), 0)


def _read(block: bytes) -> LastWords:
    """Read a box; a new or broken one says nothing."""
    try:
        return msgspec.json.decode(block.strip(b"\0\n "), type=LastWords)
    except msgspec.MsgspecError:
        return LastWords(is_running=False)


class StallWatch:
    """A thread that writes down where the loop stands still, before the watchdog resets the machine for it."""

    def __init__(
        self, box: BlackBox, timeout_ms: int, petted_s: Callable[[], float], say: Callable[[float], str]
    ) -> None:
        """`petted_s`: when the loop petted last. `say` writes the reason from the seconds that it has been standing."""
        self._box = box
        self._petted_s = petted_s
        self._timeout_s = timeout_ms / 1000
        self._say = say
        self._is_over = threading.Event()
        self._main = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch the thread that made this."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._is_over.set()
        self._thread.join(timeout=self._timeout_s)

    def _watch(self) -> None:
        is_written = False
        while not self._is_over.wait(self._timeout_s / LOOKS_PER_TIMEOUT):
            stood_s = time.monotonic() - self._petted_s()
            if stood_s > STALLED_PART * self._timeout_s and not is_written:
                where = place_of(sys._current_frames().get(self._main))  # noqa: SLF001 - the one way to see it
                self._box.explain(f"{self._say(stood_s)}{where}", WallTime(time.time_ns() // 1_000_000))
                is_written = True
            elif is_written and stood_s <= STALLED_PART * self._timeout_s:
                self._box.begin()  # it came back in time
                is_written = False


def place_of(frame: FrameType | None) -> str:
    """Say in which function a thread is: the innermost one, and the innermost of this package."""
    if frame is None:
        return ""
    inner = f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
    here: FrameType | None = frame
    while here is not None and "komainu" not in here.f_code.co_filename:
        here = here.f_back
    if here is None or here is frame:
        return f"; it stands in {inner}"
    return f"; it stands in {inner}, called from {here.f_code.co_name} ({Path(here.f_code.co_filename).name}:{here.f_lineno})"
