"""Load one node's ring and count: run on every machine of a lab by benchmarks/ring.py; the last node sends, all deliver.

Usage: python ring_load.py builtin|corosync|libcpg SIZE SECONDS   (prints one JSON line on the node with the highest id, which is never the one that orders)

`libcpg` is Corosync alone: messages multicast and counted through its library, nothing of komainu in between.
"""

import asyncio
import json
import os
import select
import socket
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from komainu.model.ids import Incarnation, Instant
from komainu.node.corosync.engine import CorosyncEngine
from komainu.node.corosync.libraries import Libraries
from komainu.node.corosync.session import Session
from komainu.node.daemon import NICENESS
from komainu.node.settings import DaemonSettings, read_settings
from komainu.node.udp import UdpLinks
from komainu.ring.builtin import BuiltinRing
from komainu.ring.corosync.interface import GroupChanged, LeaveGroup, Multicast, Reconnect
from komainu.ring.corosync.ring import CorosyncRing
from komainu.ring.interface import (
    DeadlinePassed,
    Deliver,
    KeepPromise,
    PromiseKept,
    Ring,
    RingEvent,
    SendPacket,
    Submit,
)
from komainu.ring.wire import Wire

SETTINGS = "/etc/komainu/komainu.toml"
FORMED_WITHIN_S = 30
LATENCY_SHARE = 0.25
UNDER_WAY_BYTES = 4 * 1024 * 1024
UNDER_WAY_MAX = 256


def now_ms() -> Instant:
    return Instant(time.monotonic_ns() // 1_000_000)


class Meter:
    """Counts deliveries: first one at a time, for the latency, then as many as go."""

    def __init__(self, size: int, seconds: float, submit: Callable[[bytes], None]) -> None:
        self._payload = os.urandom(size)  # nothing that compression makes small
        self._seconds = seconds
        self._submit = submit
        self._window = max(2, min(UNDER_WAY_MAX, UNDER_WAY_BYTES // size))
        self._sent_at = 0.0
        self.latencies: list[float] = []
        self.count = 0
        self._phase_from = 0.0
        self._is_flood = False
        self.is_done = False

    def begin(self) -> None:
        self._phase_from = time.perf_counter()
        self._one()

    def _one(self) -> None:
        self._sent_at = time.perf_counter()
        self._submit(self._payload)

    def delivered(self) -> None:
        now = time.perf_counter()
        if self.is_done:
            return
        if not self._is_flood:
            self.latencies.append(now - self._sent_at)
            if now - self._phase_from < self._seconds * LATENCY_SHARE or len(self.latencies) < 10:
                self._one()
                return
            self._is_flood, self._phase_from = True, now
            for _ in range(self._window):
                self._submit(self._payload)
            return
        self.count += 1
        if now - self._phase_from >= self._seconds:
            self.is_done = True
            self._seconds = now - self._phase_from
        else:
            self._submit(self._payload)

    def report(self) -> str:
        quantiles = statistics.quantiles(self.latencies, n=100)
        return json.dumps(
            {
                "rate": self.count / self._seconds,
                "p50_ms": statistics.median(self.latencies) * 1000,
                "p99_ms": quantiles[98] * 1000,
                "samples": len(self.latencies),
            }
        )


class Node:
    """A ring with its engine on an asyncio loop, and nothing else."""

    def __init__(self, settings: DaemonSettings, size: int, seconds: float) -> None:
        ring = settings.ring
        life = Incarnation(int.from_bytes(os.urandom(8)) >> 1)
        self._count = len(ring.nodes)
        self._leads = ring.me == max(node.node for node in ring.nodes)
        self._queue: list[RingEvent] = []
        self._is_busy = False
        self._began = False
        self._corosync: CorosyncEngine | None = None
        self._links: UdpLinks | None = None
        self.ring: Ring
        if ring.engine.value == "corosync":
            self.ring = CorosyncRing(ring, life, now_ms())
            self._corosync = CorosyncEngine(ring, self.feed)
        else:
            self.ring = BuiltinRing(ring, life, now_ms())
            wire = Wire(ring, key=settings.key, incarnation=life)
            peers = {node.node: node.ends for node in ring.nodes if node.node != ring.me}
            self._links = UdpLinks(ring.of(ring.me).ends, peers, settings.port, wire, self.feed)
        self._token = 0
        self.meter = Meter(size, seconds, self._submit)

    def _submit(self, payload: bytes) -> None:
        self._token += 1
        self.feed(Submit(payload, self._token))

    def feed(self, event: RingEvent) -> None:
        self._queue.append(event)
        if self._is_busy:
            return
        self._is_busy = True
        while self._queue:
            for effect in self.ring.handle(self._queue.pop(0), now_ms()):
                match effect:
                    case SendPacket():
                        assert self._links is not None
                        self._links.send(effect)
                    case Multicast() | LeaveGroup() | Reconnect():
                        assert self._corosync is not None
                        self._corosync.carry_out(effect)
                    case KeepPromise(counter=counter):
                        self._queue.append(PromiseKept(counter))
                    case Deliver(token=token) if token is not None:
                        self.meter.delivered()
        self._is_busy = False

    async def run(self) -> None:
        if self._corosync is not None:
            self._corosync.start()
        if self._links is not None:
            self._links.start()
        asyncio.get_running_loop().call_soon(self._wake)
        until = time.monotonic() + FORMED_WITHIN_S + 120
        while not self.meter.is_done and time.monotonic() < until:
            await asyncio.sleep(0.02)
            view = self.ring.view
            if not self._began and self._leads and view is not None and len(view.members) == self._count:
                self._began = True
                await asyncio.sleep(1)
                self.meter.begin()

    def _wake(self) -> None:
        deadline = self.ring.deadline
        if deadline is not None and now_ms() >= deadline:
            self.feed(DeadlinePassed())
        asyncio.get_running_loop().call_later(0.005, self._wake)


def run_libcpg(settings: DaemonSettings, size: int, seconds: float) -> Meter:
    """Load Corosync's library itself. The callback only counts."""
    loaded = Libraries()
    members = 0
    pending: list[bytes] = []
    meter = Meter(size, seconds, pending.append)

    def changed(event: object) -> None:
        nonlocal members
        if isinstance(event, GroupChanged):
            members = len(event.members)

    class Counting(Session):
        def _deliver(self, _handle: int, _name: object, node: int, _process: int, *_message: Any) -> None:
            if node == settings.ring.me:
                meter.delivered()

    session = Counting(loaded, settings.ring, changed)
    poll = select.poll()
    for fd in session.fds:
        poll.register(fd, select.POLLIN)
    until, began = time.monotonic() + FORMED_WITHIN_S + 120, False
    leads = settings.ring.me == max(node.node for node in settings.ring.nodes)
    while not meter.is_done and time.monotonic() < until:
        for fd, _ in poll.poll(1 if pending else 50):
            session.dispatch(fd)
        if not began and leads and members == len(settings.ring.nodes):
            began = True
            time.sleep(1)
            meter.begin()
        while pending and session.multicast(pending[0]):
            pending.pop(0)
    session.close()
    return meter


def main() -> None:
    kind, size, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)  # as the daemon runs; Corosync gives itself no less
    settings = read_settings(SETTINGS, (socket.gethostname(),))
    if kind == "libcpg":
        meter = run_libcpg(settings, size, seconds)
    else:
        node = Node(settings, size, seconds)
        asyncio.run(node.run())
        meter = node.meter
    if meter.is_done:
        print(meter.report(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
