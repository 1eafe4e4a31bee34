"""Raise labs for benchmarks/ring.py, see which views begin in them, and measure in several of them side by side."""

import contextlib
import dataclasses
import json
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from komainu.client.client import Client
from komainu.lab import lab as labs
from komainu.lab import protocol
from komainu.lab.layout import Layout
from komainu.lab.plant import LabFailure
from komainu.lab.runner import DAEMON_SOCKET
from komainu.lab.stacks import DAEMON, Stack
from komainu.model.report import Refused
from komainu.model.request import AskStatus, Status

NAME: Final = "bench-ring"
NODES: Final = ("a", "b", "c")
STACKS: Final = {
    "builtin": Stack.KOMAINU,
    "corosync": Stack.KOMAINU_ON_COROSYNC,
    "libcpg": Stack.KOMAINU_ON_COROSYNC,
}
WHOLE_WITHIN_S: Final = 90
ASK_TIMEOUT_S: Final = 5
BLOCK: Final = 10
"""So often a row is measured in one lab: what came is kept in pieces, and each piece has machines of its own."""

ODD_MAX: Final = 40
"""So many of a run's oddities are kept with the records of all machines."""

_MEMBERS: Final = re.compile(r"members=([\d ]*\d)")
Rows = dict[str, list[Any]]


@contextmanager
def raised(
    nodes: int,
    stack: Stack,
    daemon: tuple[str, ...],
    *,
    name: str = NAME,
    ring_on_lan: bool = True,
) -> Iterator[labs.Lab]:
    """Have a lab for a while."""
    layout = Layout(NODES[:nodes], 1, ring_on_lan)
    lab = labs.start(protocol.Blueprint(name, layout, daemon, "", stack=stack))
    try:
        yield lab
    finally:
        lab.down()


def status(lab: labs.Lab, node: str) -> Status | None:
    """Ask a node's daemon; None when it does not answer."""
    with contextlib.suppress(Refused, LabFailure, OSError):
        root = lab.root(node)
        reply = (
            None
            if root is None
            else Client(str(root / DAEMON_SOCKET), timeout_s=ASK_TIMEOUT_S).ask(AskStatus())
        )
        return reply if isinstance(reply, Status) else None
    return None


def await_whole(lab: labs.Lab, nodes: int) -> None:
    """Wait until all nodes are in one view. Raises LabFailure."""
    until = time.monotonic() + WHOLE_WITHIN_S
    while True:
        seen = [status(lab, node) for node in NODES[:nodes]]
        is_whole = all(one and one.quorum_reason.startswith(f"{nodes} of {nodes}") for one in seen)
        if is_whole and len({one.view for one in seen if one}) == 1:
            return
        if time.monotonic() > until:
            said = [one.quorum_reason if one else "no answer" for one in seen]
            raise LabFailure(f"{lab.name}: the {nodes} nodes did not come together: {said}")
        time.sleep(0.1)


@dataclasses.dataclass(frozen=True)
class View:
    """A view that began on a node."""

    at: int  # wall clock, ms
    members: tuple[int, ...]


def views_since(lab: labs.Lab, node: str, since_ms: int) -> list[View]:
    """Read from a node's log which views began on it since a moment of the wall clock."""
    root = lab.root(node)
    assert root is not None, "nobody is to switch the watching node off"
    found = []
    for line in (root / "var/log/komainu/daemon.log").read_text(errors="replace").splitlines():
        words = line.split(maxsplit=4)
        members = _MEMBERS.search(line)
        if len(words) > 4 and words[3] == "ring.view" and members:
            at = int(datetime.strptime(" ".join(words[:2]), "%Y-%m-%d %H:%M:%S.%f").timestamp() * 1000)  # noqa: DTZ007 - the daemon writes local time
            if at >= since_ms:
                found.append(View(at, tuple(map(int, members[1].split()))))
    return found


class Book:
    """What was measured of one part, kept after every piece. `keep` writes it to disk."""

    def __init__(self, rows: Rows, keep: Callable[[dict[str, Any]], None], odd: Path) -> None:
        self.rows = rows
        self._keep = keep
        self._odd = odd
        self._count = 0
        self._lock = threading.Lock()

    def add(self, row: str, values: list[Any]) -> None:
        """Keep a piece of a row."""
        with self._lock:
            self.rows.setdefault(row, []).extend(values)
            self._keep({"rows": self.rows})

    def odd(self, lab: labs.Lab, what: dict[str, Any]) -> None:
        """Keep the records of all machines that are on: something came that was not expected."""
        with self._lock:
            self._count += 1
            into = self._odd / f"{time.strftime('%H%M%S')}-{self._count}"
        print(f"not as expected, its records are in {into}: {what}", flush=True)
        if self._count > ODD_MAX:
            return
        into.mkdir(parents=True)
        (into / "what.json").write_text(json.dumps(what) + "\n", encoding="utf-8")
        for node in lab.describe().machines:
            root = lab.root(node.node)
            for name in (
                "var/log/komainu/daemon.log",
                "var/lib/komainu/flight.jsonl",
                "var/log/corosync/corosync.log",
            ):
                with contextlib.suppress(OSError):
                    if root is not None:
                        shutil.copy(root / name, into / f"{node.node}-{Path(name).name}")


@dataclasses.dataclass(frozen=True)
class Shape:
    """The labs of a part, and what is measured in them: `once(lab, row)` gives one value."""

    nodes: int
    ring_on_lan: bool
    once: Callable[[labs.Lab, str, Book], Any]


def fill(book: Book, wanted: dict[str, int], shape: Shape, count: int, name: str) -> None:
    """Measure what each row (ENGINE WHAT) lacks, in so many labs at once. Raises the first failure, when all is done."""
    todo: deque[tuple[str, int]] = deque()
    lacking = {row: times - len(book.rows.get(row, [])) for row, times in wanted.items()}
    while any(lack > 0 for lack in lacking.values()):  # a piece of each row in turn: all meet the same load
        for row, lack in lacking.items():
            if lack > 0:
                todo.append((row, min(BLOCK, lack)))
                lacking[row] -= BLOCK

    def work(number: int) -> None:
        while todo:
            _piece(book, *todo.popleft(), shape, f"{name}-{number}")

    with ThreadPoolExecutor(count) as pool:
        for one in [pool.submit(work, number) for number in range(count)]:
            one.result()


def _piece(book: Book, row: str, times: int, shape: Shape, name: str) -> None:
    """Measure one piece of a row in a lab of its own, and keep what came even when the lab fails in its midst."""
    stack = STACKS[row.split(" ", 1)[0]]
    found: list[Any] = []
    try:
        with raised(shape.nodes, stack, DAEMON[stack], name=name, ring_on_lan=shape.ring_on_lan) as lab:
            for _ in range(times):
                found.append(shape.once(lab, row, book))  # noqa: PERF401 - what came before a failure stays
    finally:
        print(f"{time.strftime('%H:%M:%S')} {row}: {found}", flush=True)
        book.add(row, found)
