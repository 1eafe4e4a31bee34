"""Watch on which machines of a lab which addresses stand, a hundred times a second, and remember the changes.

A thread of its own, which reads the kernel's table through /proc and disturbs no machine. It decides nothing;
when an address came or went is read from the changes afterwards.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from komainu.lab import lab as labs
from komainu.lab import procfs
from komainu.lab.plant import LabFailure
from komainu.model.report import Refused

PERIOD_S: Final = 0.01


@dataclass(frozen=True, slots=True)
class Change:
    """An address came to a machine, or went. `at` is the monotonic clock in ms."""

    at: int
    node: str
    address: str
    stands: bool


def first(changes: Iterable[Change], node: str, address: str, *, stands: bool, since: int) -> int | None:
    """Give the first moment from `since` on at which an address came to a node, or went."""
    wanted = (node, address, stands)
    found = (one for one in changes if (one.node, one.address, one.stands) == wanted and one.at >= since)
    return next((one.at for one in found), None)


def at_once_ms(changes: Iterable[Change], address: str, until: int) -> int:
    """Sum up how long an address stood on two machines or more."""
    holders: set[str] = set()
    total = began = 0
    for one in changes:
        if one.address != address:
            continue
        was_twice = len(holders) > 1
        (holders.add if one.stands else holders.discard)(one.node)
        if not was_twice and len(holders) > 1:
            began = one.at
        elif was_twice and len(holders) < 2:
            total += one.at - began
    return total + (until - began if len(holders) > 1 else 0)


class Watch:
    """Use as a context: it watches from its beginning to its end."""

    def __init__(self, name: str, nodes: Iterable[str], addresses: Iterable[str]) -> None:
        self._lab = labs.attach(name)  # the thread's own connection
        self._nodes = tuple(nodes)
        self._addresses = frozenset(addresses)
        self._pids: dict[str, int | None] = dict.fromkeys(self._nodes)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.changes: list[Change] = []

    def __enter__(self) -> Self:
        self._look({})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        known = {node: self._seen(node) for node in self._nodes}
        while not self._ended.wait(PERIOD_S):
            self._look(known)

    def _look(self, known: dict[str, frozenset[str]]) -> None:
        """Compare with what was known, and write down what changed."""
        now = time.monotonic_ns() // 1_000_000
        for node in self._nodes:
            seen, before = self._seen(node), known.get(node, frozenset())
            self.changes += [Change(now, node, one, stands=True) for one in sorted(seen - before)]
            self.changes += [Change(now, node, one, stands=False) for one in sorted(before - seen)]
            known[node] = seen

    def _seen(self, node: str) -> frozenset[str]:
        pid = self._pids[node]
        if pid is None or procfs.parent_and_start(pid) is None:
            try:
                pid = self._pids[node] = self._lab.pid(node)
            except (LabFailure, Refused):
                pid = self._pids[node] = None
        return frozenset() if pid is None else procfs.local_addresses(pid) & self._addresses
