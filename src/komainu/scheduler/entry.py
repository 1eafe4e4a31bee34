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
_NOT_RUNNING: Final = str(int(ExitCode.NOT_RUNNING))
_DONE: Final = str(int(OpStatus.DONE))
_EXPECTS_NOTHING: Final = re.compile(rf"-?\d+:-?\d+:{_NOT_RUNNING}:.*$")
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
class Told:
    """What the entries of a history come to."""

    entries: tuple[Entry, ...]  # in document order
    ordered: tuple[Entry, ...]  # from oldest to newest
    last_start: int  # the index, in `ordered`, of the last start or what implies one; -1: none
    last_stop: int


@dataclass(eq=False, slots=True)
class History:
    """All that one node tells of one resource: an `lrm_resource`. Its entries are read once they are asked for."""

    xml: Element
    agent: tuple[str, str, str]  # the class, provider and type with which it was run
    is_plainly_inactive: bool  # nothing is told but that it was looked for once and, as expected, did not run
    _told: Told | None = None

    @property
    def told(self) -> Told:
        """What its entries come to."""
        if self._told is None:  # of most, nobody asks: all other nodes tell that it does not run there
            entries = [parse(op) for op in self.xml.children if op.tag == "lrm_rsc_op"]
            ordered = sort(entries) if len(entries) > 1 else entries
            self._told = Told(tuple(entries), tuple(ordered), *_bounds(ordered))
        return self._told

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its entries, in document order."""
        return self.told.entries

    @property
    def ordered(self) -> tuple[Entry, ...]:
        """Its entries, from oldest to newest."""
        return self.told.ordered

    @property
    def last_start(self) -> int:
        """The index, in `ordered`, of the last start or what implies one; -1: none."""
        return self.told.last_start

    @property
    def last_stop(self) -> int:
        """The index, in `ordered`, of the last stop; -1: none."""
        return self.told.last_stop


def read(xml: Element) -> History:
    """Begin the history of one resource."""
    said = xml.attributes.get
    agent = (said("class") or "", said("provider") or "", said("type") or "")
    return History(xml, agent, len(xml.children) == 1 and _found_inactive(xml.children[0]))


def _found_inactive(xml: Element) -> bool:
    """Tell whether an entry is, in the usual words, of a probe that expected to find nothing, and did."""
    said = xml.attributes.get
    return (
        said("rc-code") == _NOT_RUNNING
        and said("op-status") == _DONE
        and said("operation") == "monitor"
        and said("interval") == "0"
        and xml.tag == "lrm_rsc_op"
        and _EXPECTS_NOTHING.match(said("transition-key") or "") is not None
        and not xml.id.endswith("_last_failure_0")
    )


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
    said = xml.attributes.get
    own, magic = said("transition-key") or "", said("transition-magic") or ""
    own_key = key = _KEY.match(own)
    if magic.partition(";")[2] != own:  # nearly always it ends with the key
        asked = _MAGIC.match(magic)
        key = own_key if asked is None else _KEY.match(asked[3])
    status = said("op-status")
    return Entry(
        xml,
        xml.id,
        said("operation") or "",
        parse_int(said("interval"), 0),
        parse_int(said("call-id"), 0),
        parse_int(said("rc-code"), -1),
        -2 if status is None else parse_int(status, 0),
        parse_int(own_key[3], -1) if own_key else -1,
        parse_int(said("last-rc-change"), -1),
        said("on_node"),
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
