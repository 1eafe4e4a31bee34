"""Pet the watchdog at a steady beat while the daemon keeps up, and remember the longest time between two pets.

The path from the wake to the write allocates nothing and waits for nothing, so that a machine that is short of
memory does not stop it: the beat is a timer of the kernel, what has to be known is written here beforehand, and
numbers take the place of earlier ones. Decides nothing but whether the drive met its deadline, and whether the disk
still answers: while it does not, nobody's changes are acknowledged. That this runs at all says that the loop turns.
Source: timerfd_create(2); linux/watchdog.h.
"""

import asyncio
import ctypes
import math
import os
import time
from io import FileIO
from typing import Final, Protocol

from komainu.model.ids import Instant
from komainu.model.request import WatchdogView
from komainu.node.watchdog import Watchdog

PETS_PER_TIMEOUT: Final = 20
"""The watchdog is petted so many times within its time-out: even one that is missed leaves a tenth of it."""

LATE_S_MAX: Final = 0.25
"""A deadline that is overdue by more was not met, and the watchdog is not petted then."""

DISK_S_MAX: Final = 20.0
"""A disk that is at one piece of work for longer is taken for one that will not answer any more. One that is only slow
under load stays well below."""

_CLOCK_MONOTONIC: Final = 1
_TIMER_BYTES: Final = 8
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Disk(Protocol):
    """Who writes to the disk, as far as the watchdog is concerned."""

    busy_since_s: float  # monotonic; inf: it is idle


class Petting:
    """The beat of one watchdog."""

    __slots__ = (
        "_disk",
        "_due_s",
        "_expirations",
        "_is_over",
        "_timeout_ms",
        "_timer",
        "_watchdog",
        "longest_gap_s",
        "petted_s",
    )

    def __init__(self, watchdog: Watchdog, timeout_ms: int, disk: Disk) -> None:
        """Make the timer; it begins with `start`."""
        self.petted_s = time.monotonic()  # when it was done last
        self.longest_gap_s = 0.0
        self._timeout_ms = timeout_ms
        self._watchdog = watchdog
        self._disk = disk
        self._due_s = math.inf
        self._is_over = False
        self._timer = FileIO(_beating(timeout_ms / PETS_PER_TIMEOUT / 1000))
        self._expirations = bytearray(_TIMER_BYTES)

    def start(self) -> None:
        """Pet at once, and at every beat from now on."""
        self._watchdog.pet()
        asyncio.get_running_loop().add_reader(self._timer, self.beat)

    def expect(self, deadline: Instant | None) -> None:
        """Take note of when the drive has to be woken next."""
        self._due_s = math.inf if deadline is None else deadline / 1000 + LATE_S_MAX

    def beat(self) -> None:
        """Pet, unless a deadline was not met or the disk does not answer."""
        self._timer.readinto(self._expirations)
        now_s = time.monotonic()
        if self._is_over or now_s > self._due_s or now_s - self._disk.busy_since_s > DISK_S_MAX:
            return
        self._watchdog.pet()
        if now_s - self.petted_s > self.longest_gap_s:  # noqa: PLR1730 - max() makes a tuple
            self.longest_gap_s = now_s - self.petted_s
        self.petted_s = now_s

    def reason(self) -> str:
        """Say what stands still, for the last words."""
        disk_s = time.monotonic() - self._disk.busy_since_s
        return (
            f"its disk has not answered for {disk_s:.0f} s"
            if disk_s > DISK_S_MAX
            else "its daemon stood still"
        )

    def view(self) -> WatchdogView:
        """Say how near the watchdog came to firing."""
        return WatchdogView(self._timeout_ms, round(1000 * self.longest_gap_s))

    def stop(self) -> None:
        """Never pet again."""
        self._is_over = True

    def close(self) -> None:
        """Stop, and let the timer go."""
        self.stop()
        asyncio.get_running_loop().remove_reader(self._timer)
        self._timer.close()


class _Interval(ctypes.Structure):
    """struct itimerspec: the pause between beats, and the time to the first."""

    _fields_ = [
        ("pause_s", ctypes.c_long),
        ("pause_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    ]


def _beating(pause_s: float) -> int:
    """Return the descriptor of a timer that becomes readable again and again. Raises OSError."""
    timer = int(_LIBC.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
    whole_s = int(pause_s)
    rest_ns = int((pause_s - whole_s) * 1e9)
    interval = _Interval(whole_s, rest_ns, whole_s, rest_ns)
    if timer < 0 or _LIBC.timerfd_settime(timer, 0, ctypes.byref(interval), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"no timer for the watchdog: {os.strerror(number)}")
    return timer
