"""Ask a web server every 20 ms and write down when the answers came: the client whose service a drill watches.

Runs in a namespace of its own, started by the host, and prints one JSON line an answer. A fetch that hangs
delays no other: each has its own connection and its own end. It must be light, and it must not be late: it
asks for a real-time slot, or a better nice value, and goes on without when it may not have one.
"""

import asyncio
import contextlib
import os
import socket
import sys
import time
import urllib.parse
from typing import Final

import msgspec

from komainu.lab.protocol import Served

PERIOD_MS: Final = 20
"""The resolution of every gap. Fifty fetches a second cost about 3 % of one core."""

FETCH_TIMEOUT_S: Final = 1.0
"""Longer than any answer of a healthy LAN; bounds the open fetches to fifty."""

LATE_MS: Final = 5
"""Lateness below this is ordinary scheduling and is not put down to the probe."""

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


class Probe:
    """Fetches one address again and again and prints who answered when."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        assert parts.hostname is not None, "the drill was checked before the probe started"
        self._target = (parts.hostname, parts.port or 80)
        self._ask = f"GET {parts.path or '/'} HTTP/1.0\r\nHost: {parts.hostname}\r\n\r\n".encode()
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
                served = Served(at=now_ms(), node=node, late_ms=self._late_ms)
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
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print("ready", flush=True)
    asyncio.run(Probe(sys.argv[1]).run())


if __name__ == "__main__":
    main()
