"""Run the connection to Corosync on a thread of its own, so that the daemon never waits for it, and keep it.

Decides nothing about the cluster. Events are handed to the loop in the order in which Corosync gave them. When
Corosync ends, the daemon goes on and the thread tries again until it is back (S4).
"""

import asyncio
import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from komainu.node.corosync.libraries import EngineFailed, Libraries
from komainu.node.corosync.session import Session
from komainu.ring.corosync.interface import (
    CorosyncEffect,
    CorosyncEvent,
    EngineLost,
    LeaveGroup,
    Multicast,
    Reconnect,
)
from komainu.ring.settings import RingSettings

LOOK_S: Final = 0.5
"""How often links and votes are asked for; Kronosnet itself takes longer to call a link down."""

RETRY_S: Final = 0.25
"""How often a Corosync that does not answer is tried again."""

FIRST_GRACE_S: Final = 5.0
"""How long Corosync may take to start beside us before it is called missing."""

BUSY_S: Final = 0.002
"""Pause after Corosync took no message: about a turn of its token on a LAN."""

UNTAKEN_MAX: Final = 20_000
"""Events that the loop has not taken yet; beyond it Corosync holds them, and slows down who sends."""

END_TIMEOUT_S: Final = 2.0


class CorosyncEngine:
    """Corosync as the daemon sees it. Calls `feed` on the loop's thread with every event."""

    def __init__(self, settings: RingSettings, feed: Callable[[CorosyncEvent], None]) -> None:
        """Load the libraries. Raises Refused when they are missing."""
        self._libraries = Libraries()
        self._settings = settings
        self._feed = feed
        self._orders: deque[CorosyncEffect] = deque()
        self._unsent: deque[bytes] = deque()
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._events: list[CorosyncEvent] = []
        self._given = 0  # counted by the thread
        self._taken = 0  # counted by the loop
        self._is_ending = False
        self._lost: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="corosync", daemon=True)

    def start(self) -> None:
        """Begin to connect. To be called from within the loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def carry_out(self, effect: CorosyncEffect) -> None:
        """Do what the ring asks, after what it asked before."""
        was_idle = not self._orders
        self._orders.append(effect)
        if was_idle:
            with contextlib.suppress(BlockingIOError):
                os.write(self._waker, b"!")

    def close(self) -> None:
        """End the connection; one that hangs is left to end with the process."""
        self._is_ending = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b"!")
        if self._thread.is_alive():
            self._thread.join(END_TIMEOUT_S)

    # -- on the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        grace_until = time.monotonic() + FIRST_GRACE_S
        while not self._is_ending:
            try:
                session = Session(self._libraries, self._settings, self._events.append)
            except EngineFailed as failure:
                if time.monotonic() >= grace_until:
                    self._lose(str(failure))
                self._pause(RETRY_S)
                continue
            self._lost, grace_until = None, 0.0
            try:
                self._serve(session)
            except EngineFailed as failure:
                self._events.clear()  # of a connection that is over
                self._lose(str(failure))
            finally:
                session.close()

    def _serve(self, session: Session) -> None:
        """Carry events and messages until the connection ends or is to be dropped."""
        poll = select.poll()
        for fd in (*session.fds, self._wake):
            poll.register(fd, select.POLLIN)
        look_at = 0.0
        while not self._is_ending or self._orders:
            if time.monotonic() >= look_at:
                session.look()
                look_at = time.monotonic() + LOOK_S
            self._hand_over()
            wait_s = BUSY_S if self._unsent or self._untaken() >= UNTAKEN_MAX else look_at - time.monotonic()
            for fd, _ in poll.poll(max(0.0, wait_s) * 1000):
                if fd == self._wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                elif self._untaken() < UNTAKEN_MAX:
                    session.dispatch(fd)
            self._hand_over()
            if not self._obey(session):
                return

    def _obey(self, session: Session) -> bool:
        """Do what was asked; False when the connection is to be dropped."""
        while self._orders:
            match self._orders.popleft():
                case Multicast(data=data):
                    self._unsent.append(data)
                case LeaveGroup():
                    session.leave()
                case Reconnect():
                    self._unsent.clear()
                    return False
        while self._unsent and session.multicast(self._unsent[0]):
            self._unsent.popleft()
        return True

    def _lose(self, reason: str) -> None:
        """Say once that Corosync is not there, and why."""
        self._orders.clear()
        self._unsent.clear()
        if reason != self._lost:
            self._lost = reason
            self._events.append(EngineLost(reason))
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the loop what has come."""
        if not self._events or self._loop is None:
            return
        events, self._events[:] = list(self._events), []
        self._given += len(events)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._take, events)

    def _pause(self, seconds: float) -> None:
        select.select([self._wake], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        self._orders.clear()  # nobody is there to be told

    def _untaken(self) -> int:
        return self._given - self._taken

    # -- on the loop ------------------------------------------------------------------------------------

    def _take(self, events: list[CorosyncEvent]) -> None:
        for event in events:
            if not self._is_ending:
                self._feed(event)
        self._taken += len(events)
