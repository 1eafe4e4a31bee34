"""Make the coordinator's heavy plans beside the loop, in a process of their own.

A plan for a thousand resources takes the better part of a second, and one for five thousand takes many: meanwhile
nothing else would turn in the daemon, and the others would take this node for dead. The process is a fork of the
daemon, so that it has the state without being told; from then on it is sent what changed (cib/difference.py), and
keeps what it has read of the rest. Decides nothing about the cluster: what has no answer in time is ended and said
to have failed, and the coordination says what follows. The process closes all that it inherited but its own socket,
so that it can hold no watchdog, lock or port; it ends with the daemon.
Source: fork(2), prctl(2) PR_SET_PDEATHSIG, close_range(2).
"""

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, NoReturn

import msgspec

from komainu.cib.difference import Changed, difference, later
from komainu.cib.element import Element
from komainu.model.ids import WallTime
from komainu.model.plan import Action, Plan
from komainu.node.interface import PlanArrived, PlanBeside

PLAN_S_MAX: Final = 120.0
"""How long a plan may take: some ten times what 5,000 resources on 32 nodes take. Then its process is ended."""

ORDER_BYTES_MAX: Final = 128 * 1024
"""An order of more bytes is not sent: a new process, which has the state without being told, costs less."""

READ_BYTES: Final = 64 * 1024
"""How much of an answer is taken at once, so that the loop turns in between."""

ACTIONS_AT_ONCE: Final = 200
"""So many actions make one part of an answer; reading one takes a millisecond or two."""

PART_BYTES_MAX: Final = 256 * 1024 * 1024
"""No part of an answer is larger; placements and reasons of 100,000 resources stay below."""

REAP_EVERY_S: Final = 0.05
"""How often it is looked whether a process that was ended is gone."""

_LENGTH: Final = struct.Struct("!BI")
_ACTIONS, _PLAN, _FAULT = range(3)
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_READ_ACTIONS: Final = msgspec.msgpack.Decoder(tuple[Action, ...])
_READ_PLAN: Final = msgspec.msgpack.Decoder(Plan)


class Order(msgspec.Struct, frozen=True):
    """What the process is sent: the moment to plan for, and what changed since the last order."""

    wall: WallTime
    change: Changed


_READ_ORDER: Final = msgspec.msgpack.Decoder(Order)

Make = Callable[[Element, WallTime], Plan]


class Planner:
    """The process that plans, as the daemon sees it. One plan at a time; of those that wait, the newest counts."""

    def __init__(
        self, make: Make, tell: Callable[[PlanArrived], None], timeout_s: float = PLAN_S_MAX
    ) -> None:
        self._make = make
        self._tell = tell
        self._timeout_s = timeout_s
        self._pid = 0
        self._socket: socket.socket | None = None
        self._knows: Element | None = None  # what the process has
        self._busy: PlanBeside | None = None
        self._next: PlanBeside | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffer = bytearray()
        self._actions: list[Action] = []

    def ask(self, wanted: PlanBeside) -> None:
        """Have this plan made; PlanArrived comes, unless a newer one is asked for before it was begun."""
        if self._busy is not None:
            self._next = wanted
            return
        self._busy = wanted
        self._timer = asyncio.get_running_loop().call_later(self._timeout_s, self._give_up)
        if self._knows is None or not self._send(self._knows, wanted):
            self.close()
            try:
                self._fork(wanted)
            except OSError as error:
                asyncio.get_running_loop().call_soon(
                    self._fail, f"no process could be made: {error.strerror}"
                )
                return
        self._knows = wanted.cib

    def close(self) -> None:
        """End the process, if there is one."""
        self._knows = None
        self._buffer.clear()
        self._actions.clear()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            _reap(self._pid)
            self._pid = 0

    # -- the daemon's side ------------------------------------------------------------------------------

    def _send(self, knows: Element, wanted: PlanBeside) -> bool:
        """Send what changed; false when that is too much, or nobody takes it."""
        assert self._socket is not None, "who knows something has a socket"
        order = msgspec.msgpack.encode(Order(wanted.wall, difference(knows, wanted.cib)))
        if len(order) > ORDER_BYTES_MAX:
            return False
        whole = _LENGTH.pack(_PLAN, len(order)) + order
        try:
            return self._socket.send(whole) == len(whole)
        except OSError:
            return False

    def _fork(self, wanted: PlanBeside) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            ours.setsockopt(socket.SOL_SOCKET, option, 2 * ORDER_BYTES_MAX)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _live(theirs, self._make, wanted)
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self._pid, self._socket = pid, ours
        asyncio.get_running_loop().add_reader(ours, self._read)

    def _read(self) -> None:
        assert self._socket is not None, "it is read as long as it is open"
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._fail("the process that plans ended")
            return
        self._buffer += data
        while len(self._buffer) >= _LENGTH.size:
            kind, length = _LENGTH.unpack_from(self._buffer)
            if length > PART_BYTES_MAX:
                self._fail("the process that plans talks nonsense")
                return
            if len(self._buffer) < _LENGTH.size + length:
                return
            part = bytes(memoryview(self._buffer)[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            self._take(kind, part)

    def _take(self, kind: int, part: bytes) -> None:
        """Take one part of an answer: some actions, or what comes last."""
        assert self._busy is not None, "the process only answers"
        if kind == _ACTIONS:
            self._actions += _READ_ACTIONS.decode(part)
            return
        if kind == _FAULT:
            arrived = PlanArrived(self._busy.number, None, fault=part.decode())
        else:
            plan = replace(_READ_PLAN.decode(part), actions=tuple(self._actions))
            arrived = PlanArrived(self._busy.number, plan)
        self._actions.clear()
        self._finish(arrived)

    def _give_up(self) -> None:
        self._fail(f"a plan was not made within {self._timeout_s:g} s")

    def _fail(self, fault: str) -> None:
        """End the process; the next plan is made by a new one."""
        self.close()
        if self._busy is not None:
            self._finish(PlanArrived(self._busy.number, None, fault=fault, is_passing=True))

    def _finish(self, arrived: PlanArrived) -> None:
        self._busy = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        following, self._next = self._next, None
        if following is not None:
            self.ask(following)
        self._tell(arrived)


def _reap(pid: int) -> None:
    """Take note of the end of a process that was killed; a large one needs a moment to be gone."""
    try:
        done, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
    if not done:
        asyncio.get_running_loop().call_later(REAP_EVERY_S, _reap, pid)


# -- the process's side ---------------------------------------------------------------------------------


def _live(connection: socket.socket, make: Make, first: PlanBeside) -> NoReturn:
    """Plan until the daemon ends or has enough."""
    status = 1
    try:
        _let_go(connection.fileno())
        gc.freeze()
        gc.disable()  # what a plan leaves behind is collected when it has been told
        cib, wall = first.cib, first.wall
        while True:
            for kind, part in _parts(make, cib, wall):
                connection.sendall(_LENGTH.pack(kind, len(part)) + part)
            gc.collect()
            order = _next_order(connection)
            if order is None:
                status = 0
                break
            cib, wall = later(cib, order.change), order.wall
    finally:
        os._exit(status)


def _let_go(kept: int) -> None:
    """Drop what a fork inherits and must not have: the daemon's descriptors, and its ways with signals."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(
            number, signal.SIG_IGN
        )  # they are for the daemon, which still needs plans to stop in order
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _parts(make: Make, cib: Element, wall: WallTime) -> Iterator[tuple[int, bytes]]:
    """Make a plan and write it down in parts."""
    try:
        plan = make(cib, wall)
    except Exception as error:  # noqa: BLE001 - a state that breaks the planner is told of, as it is in the loop
        yield _FAULT, f"{type(error).__name__}: {error}".encode()
        return
    for start in range(0, len(plan.actions), ACTIONS_AT_ONCE):
        yield _ACTIONS, msgspec.msgpack.encode(plan.actions[start : start + ACTIONS_AT_ONCE])
    yield _PLAN, msgspec.msgpack.encode(replace(plan, actions=()))


def _next_order(connection: socket.socket) -> Order | None:
    """Wait for the next order; None when the daemon has gone."""
    head = _exactly(connection, _LENGTH.size)
    if head is None:
        return None
    body = _exactly(connection, _LENGTH.unpack(head)[1])
    return None if body is None else _READ_ORDER.decode(body)


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            return None
        data += more
    return bytes(data)
