"""Read the history of one resource on one node: its entries, and which of two is the newer.

Knows no resource; the same XML gives the same history, so that it can be kept from one plan to the next.
Source: Pacemaker's `lrm_rsc_op`; the order is that of its regression suite: on one node by call id, otherwise by time, and a pending entry by the transition that asked for it.
"""

import re
from dataclasses import dataclass
from functools import cmp_to_key
from typing import Final

from komainu.cib.element import Element
from komainu.model.operation import ExitCode, OpStatus
from komainu.scheduler.options import parse_int

_KEY: Final = re.compile(r"(-?\d+):(-?\d+):(-?\d+):(.*)$")
_MAGIC: Final = re.compile(r"(-?\d+):(-?\d+);(.*)$")
PENDING: Final = -1


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """One `lrm_rsc_op`. `target_rc` is -1 where none is known."""

    xml: Element
    id: str
    task: str
    interval_ms: int
    call_id: int
    rc: int
    status: int
    target_rc: int
    changed_s: int  # -1 where none is known
    on_node: str | None
    transition: int
    origin: str  # who asked for it

    @property
    def is_probe(self) -> bool:
        """Whether it is the answer to a single question."""
        return self.task == "monitor" and self.interval_ms == 0

    @property
    def key_suffix(self) -> str:
        """Task and interval, as they stand in an operation key."""
        return f"{self.task}_{self.interval_ms}"


@dataclass(frozen=True, eq=False, slots=True)
class History:
    """All that one node tells of one resource: an `lrm_resource`."""

    xml: Element
    entries: tuple[Entry, ...]  # in document order
    ordered: tuple[Entry, ...]  # from oldest to newest
    last_start: int  # the index, in `ordered`, of the last start or what implies one; -1: none
    last_stop: int
    agent: tuple[str, str, str]  # the class, provider and type with which it was run
    is_plainly_inactive: bool  # nothing is told but that it was looked for once and, as expected, did not run


def read(xml: Element) -> History:
    """Read the history of one resource."""
    entries = [parse(op) for op in xml.all("lrm_rsc_op")]
    ordered = sort(entries)
    agent = (xml.get("class") or "", xml.get("provider") or "", xml.get("type") or "")
    is_plain = len(entries) == 1 and _found_inactive(entries[0])
    return History(xml, tuple(entries), tuple(ordered), *_bounds(ordered), agent, is_plain)


def _found_inactive(entry: Entry) -> bool:
    is_expected = entry.rc == entry.target_rc == ExitCode.NOT_RUNNING and entry.status == OpStatus.DONE
    return entry.is_probe and is_expected and not entry.id.endswith("_last_failure_0")


def _bounds(ordered: list[Entry]) -> tuple[int, int]:
    """Return the index of the last start (or what implies one) and of the last stop; -1: none."""
    start = stop = implied_monitor = implied_clone = -1
    for index, entry in enumerate(ordered):
        if entry.task == "stop" and entry.status == 0:
            stop = index
        elif entry.task in {"start", "migrate_from"}:
            start = index
        elif entry.task == "monitor" and implied_monitor <= stop:
            if entry.rc in {0, 8}:
                implied_monitor = index
        elif entry.task in {"promote", "demote"}:
            implied_clone = index
    if start == -1:
        start = implied_clone if implied_clone != -1 else implied_monitor
    return start, stop


def parse(xml: Element) -> Entry:
    """Read an entry; what is missing gets a value that means "unknown"."""
    own = xml.get("transition-key") or ""
    magic = _MAGIC.match(xml.get("transition-magic") or "")
    own_key = _KEY.match(own)
    key = own_key if magic is None or magic[3] == own else _KEY.match(magic[3])
    return Entry(
        xml,
        xml.id,
        xml.get("operation") or "",
        parse_int(xml.get("interval"), 0),
        parse_int(xml.get("call-id"), 0),
        parse_int(xml.get("rc-code"), -1),
        parse_int(xml.get("op-status"), 0) if xml.get("op-status") is not None else -2,
        parse_int(own_key[3], -1) if own_key else -1,
        parse_int(xml.get("last-rc-change"), -1),
        xml.get("on_node"),
        parse_int(key[2], -1) if key else -1,
        key[4] if key else "",
    )


def compare(left: Entry, right: Entry) -> int:
    """Tell which is newer: positive when the left one is."""
    if left.id == right.id and left.on_node == right.on_node:
        return 0
    same_node = left.on_node == right.on_node
    a, b = left.call_id, right.call_id
    if a == PENDING and b == PENDING:
        return 0
    if a >= 0 and b >= 0:
        if same_node and a != b:
            return 1 if a > b else -1
        return _by_time(left, right)
    if left.origin != right.origin or left.transition == right.transition:
        return -1 if b == PENDING else 1
    if right.transition == -1 or left.transition == -1:
        return -1 if right.transition == -1 else 1
    return 1 if left.transition > right.transition else -1


def _by_time(left: Entry, right: Entry) -> int:
    if left.changed_s >= 0 and left.changed_s < right.changed_s:
        return -1
    if right.changed_s >= 0 and left.changed_s > right.changed_s:
        return 1
    return 0


def sort(entries: list[Entry]) -> list[Entry]:
    """Put entries from oldest to newest; equal ones in reverse document order."""
    newest_first = entries[::-1]
    return sorted(newest_first, key=cmp_to_key(compare))
