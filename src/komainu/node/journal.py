"""Do the daemon's disk work in one thread: store states, the newest only, and append flight records.

Decides nothing but what may be skipped: of several states that wait, only the newest is stored, and then
all of them count as stored (node/interface.py, `Persist`).
"""

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from komainu.model.report import Level, Note
from komainu.node.disk import PromiseFile, StateFile
from komainu.node.flight import FlightFile
from komainu.node.interface import Persist, Persisted, PersistFailed
from komainu.ring.interface import PromiseKept

T = TypeVar("T")

SYNC_AFTER_S: Final = 1.0
"""How long a flight record may be only in memory of the kernel."""

LINES_WAITING_MAX: Final = 100_000
"""Flight records that may wait for a disk that stands still; the oldest are dropped beyond that."""


class Journal:
    """The disk thread. Calls `report` from the loop with what became of each Persist, `note` with its troubles."""

    def __init__(
        self,
        files: tuple[StateFile, PromiseFile],
        flight: FlightFile,
        report: Callable[[Persisted | PersistFailed | PromiseKept], None],
        note: Callable[[Note], None],
    ) -> None:
        self._state, self._promise_file = files
        self._flight = flight
        self._report = report
        self._note = note
        self.busy_since_s = math.inf  # since when the disk has been at one piece of work; inf: it is idle
        self._is_flight_sick = False
        self._work = threading.Condition()
        self._persists: list[Persist] = []
        self._promised: int | None = None  # the counter that waits for the disk
        self._lines: list[str] = []
        self._is_ending = False
        self._thread = threading.Thread(target=self._live, name="komainu-disk", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to work, for the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def persist(self, effect: Persist) -> None:
        """Store this text as soon as the disk is free."""
        with self._work:
            self._persists.append(effect)
            self._work.notify()

    def promise(self, counter: int) -> None:
        """Store the ring's counter as soon as the disk is free; it only grows."""
        with self._work:
            self._promised = counter
            self._work.notify()

    def append(self, line: str) -> None:
        """Append this line to the flight record, and sync it within a second."""
        with self._work:
            if len(self._lines) >= LINES_WAITING_MAX:
                del self._lines[0]
            self._lines.append(line)
            self._work.notify()

    def end(self, timeout_s: float) -> None:
        """Finish what waits, and end the thread; a disk that stands still is not waited for any longer."""
        with self._work:
            self._is_ending = True
            self._work.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _live(self) -> None:
        """Work until the end; a fault of our own ends the daemon, as one in the loop does."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - the one place where a fault of this thread is seen
            self._tell(_raise, error)

    def _run(self) -> None:
        sync_due: float | None = None
        while True:
            with self._work:
                has_work = self._persists or self._lines or self._promised is not None
                if not has_work and not self._is_ending:
                    self._work.wait(None if sync_due is None else max(0.0, sync_due - time.monotonic()))
                persists, self._persists = self._persists, []
                lines, self._lines = self._lines, []
                promised, self._promised = self._promised, None
                is_ending = self._is_ending
            self.busy_since_s = time.monotonic()
            if promised is not None:
                self._keep(promised)
            if persists:
                self._store(persists)
            if lines and self._try_flight(partial(self._flight.append, lines)):
                sync_due = sync_due or time.monotonic() + SYNC_AFTER_S
            if sync_due is not None and (is_ending or time.monotonic() >= sync_due):
                self._try_flight(self._flight.sync)
                sync_due = None
            if is_ending and not persists and not lines:
                self._try_flight(self._flight.close)
                return
            self.busy_since_s = math.inf

    def _store(self, persists: list[Persist]) -> None:
        try:
            self._state.store(persists[-1].text)
        except OSError as error:
            reason = error.strerror or str(error)
            events: list[Persisted | PersistFailed] = [PersistFailed(one.token, reason) for one in persists]
        else:
            events = [Persisted(one.token) for one in persists]
        for event in events:
            self._tell(self._report, event)

    def _keep(self, counter: int) -> None:
        event: PromiseKept | PersistFailed = PromiseKept(counter)
        try:
            self._promise_file.store(counter)
        except OSError as error:
            event = PersistFailed(0, error.strerror or str(error))
        self._tell(self._report, event)

    def _try_flight(self, work: Callable[[], None]) -> bool:
        """Do it; a disk that refuses a record costs the record, not the cluster. Said once, until it is better."""
        try:
            work()
        except OSError as error:
            if not self._is_flight_sick:
                text = f"the flight record cannot be written: {error.strerror or error}"
                self._tell(self._note, Note(Level.WARNING, "disk.flight-lost", text))
            self._is_flight_sick = True
            return False
        if self._is_flight_sick:
            self._tell(
                self._note, Note(Level.NOTICE, "disk.flight-back", "the flight record is written again")
            )
        self._is_flight_sick = False
        return True

    def _tell(self, listener: Callable[[T], None], what: T) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the daemon has ended, nobody listens
            self._loop.call_soon_threadsafe(listener, what)


def _raise(error: Exception) -> None:
    """Raise it where the loop sees it, with its traceback."""
    raise error
