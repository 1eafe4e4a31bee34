"""Ask a web server every 20 ms and write down when the answers came: the client whose service a drill watches.

Runs in a namespace of its own, started by the host, and prints one JSON line an answer. A fetch that hangs
delays no other: each has its own connection and its own end. It must be light, and it must not be late: it
asks for a real-time slot, or a better nice value, and goes on without when it may not have one.

A virtual computer whose host takes a processor away for 100 ms stops whatever runs on it: the probe, or the service. With
a real-time slot the probe watches every processor, and tells with an answer how long one of them stood still.
"""

import asyncio
import contextlib
import os
import socket
import sys
import threading
import time
import urllib.parse
from collections import deque
from typing import Final

import msgspec

from komainu.lab.protocol import Served

PERIOD_MS: Final = 20
"""The resolution of every gap. Fifty fetches a second cost about 3 % of one core."""

FETCH_TIMEOUT_S: Final = 1.0
"""Longer than any answer of a healthy LAN; bounds the open fetches to fifty."""

LATE_MS: Final = 5
"""Lateness below this is ordinary scheduling and is not put down to the probe."""

WATCH_MS: Final = 10
"""How often a processor is looked at: a hundred times a second cost 0.9 % of it."""

STALLS_MAX: Final = 1_000
"""More than there can be between two answers of a service that is up."""

PROCESSORS_MAX: Final = 16
"""So many processors are watched; a lab on a larger computer has room to be elsewhere."""

ANSWER_BYTES_MAX: Final = 65_536


def now_ms() -> int:
    """Read the monotonic clock: the same in all namespaces of one computer."""
    return time.monotonic_ns() // 1_000_000


def answering_node(answer: bytes) -> str | None:
    """Read which node answered: the header X-Node, else the first word of the body; None unless it is a 200."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *headers = head.decode("latin-1").split("\r\n")
    if " 200 " not in f"{status} ":
        return None
    for header in headers:
        name, _, value = header.partition(":")
        if name.lower() == "x-node":
            return value.strip()
    words = body.decode("utf-8", "replace").split()
    return words[0] if words else "?"


class Stalls:
    """How long processors stood still: a real-time thread on each of them is held up by nothing that a lab does."""

    def __init__(self) -> None:
        self._due: dict[int, int] = {}  # by processor: when its thread should run next
        self._stood: deque[tuple[int, int]] = deque(maxlen=STALLS_MAX)  # from, until; of any processor
        self._taken_at = 0

    def watch(self) -> None:
        """Begin to watch, for ever."""
        for processor in sorted(os.sched_getaffinity(0))[:PROCESSORS_MAX]:
            threading.Thread(target=self._watch, args=(processor,), daemon=True).start()

    def _watch(self, processor: int) -> None:
        os.sched_setaffinity(0, {processor})
        while True:
            self.runs(processor, now_ms())
            time.sleep(WATCH_MS / 1000)

    def runs(self, processor: int, now: int) -> None:
        """A processor's thread has its turn: how late it is counts from when it should have had it."""
        due = self._due.get(processor, now)
        if now - due >= LATE_MS:
            self._stood.append((due, now))
        self._due[processor] = now + WATCH_MS

    def take(self, now: int) -> int:
        """Return for how long some processor stood still since the last call, in ms; one may still do so."""
        spans = [(due, now) for due in tuple(self._due.values()) if now - due >= LATE_MS]
        while self._stood:  # the threads go on adding
            spans.append(self._stood.popleft())
        end, total = self._taken_at, 0
        for since, until in sorted(spans):
            total += max(0, until - max(since, end))
            end = max(end, until)
        self._taken_at = now
        return total


class Probe:
    """Fetches one address again and again and prints who answered when."""

    def __init__(self, url: str, stalls: Stalls) -> None:
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None, "the drill was checked before the probe started"
        self._target = (parts.hostname, parts.port or 80)
        self._ask = f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode()
        self._stalls = stalls
        self._late_ms = 0
        self._fetches: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Start a fetch each period, for ever; a period that was missed is skipped."""
        due = now_ms()
        while True:
            late = now_ms() - due
            if late >= LATE_MS:
                self._late_ms = max(self._late_ms, late)
            task = asyncio.create_task(self._fetch())
            self._fetches.add(task)
            task.add_done_callback(self._fetches.discard)
            due = max(due + PERIOD_MS, now_ms())
            await asyncio.sleep(max(0, due - now_ms()) / 1000)

    async def _fetch(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                answer = await self._answer()
            node = answering_node(answer)
            if node is not None:
                now = now_ms()
                served = Served(at=now, node=node, late_ms=max(self._late_ms, self._stalls.take(now)))
                self._late_ms = 0
                print(msgspec.json.encode(served).decode(), flush=True)

    async def _answer(self) -> bytes:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, self._target)
            await loop.sock_sendall(sock, self._ask)
            answer = b""
            while len(answer) < ANSWER_BYTES_MAX:
                part = await loop.sock_recv(sock, 4096)
                if not part:
                    break
                answer += part
            return answer


def main() -> None:
    """Probe the address given as the only argument until killed."""
    with contextlib.suppress(OSError):
        os.nice(-10)
    stalls = Stalls()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        stalls.watch()  # its threads inherit the slot; without one they would be late for what the lab itself does
    print("ready", flush=True)
    asyncio.run(Probe(sys.argv[1], stalls).run())


if __name__ == "__main__":
    main()
