"""Answer why a resource or node is as it is, from the newest flight records.

Decides which record explains a subject, and follows its causes to their roots. Must not know how the records
came to be or where they are stored. Every count has a limit: records, depth and length of an answer.
"""

from collections import deque
from collections.abc import Iterable
from itertools import dropwhile, islice
from typing import Final

import msgspec

from komainu.model.ids import WallTime
from komainu.model.request import Why, WhyLine
from komainu.recorder.change import Told, Weight, tell
from komainu.recorder.line import read_lines, write_line
from komainu.recorder.record import Record
from komainu.recorder.subjects import command_of

RECORDS_MAX: Final = 10_000
"""Records that are kept in memory: weeks of a quiet cluster, some 13 MB."""

CHARACTERS_MAX: Final = 64 * 1024 * 1024
"""Characters of commands that are kept in memory, for clusters whose commands are large."""

COMMAND_CHARACTERS_MAX: Final = 65_536
"""Largest command that is kept in memory with its record: a whole configuration explains no more than its cause."""

DEPTH_MAX: Final = 12
"""Longest chain of causes that is followed; the longest that the rooms make has six links."""

LINES_MAX: Final = 40
"""Longest answer, in lines."""

HISTORY_MAX: Final = 20
"""What is told of a link: one event seldom explains it, and a bad cable has many."""

LINK_ASIDES: Final = frozenset({"network.address-deleted", "network.manager-says"})
"""Codes of what was found out about a link's state that has been told already: its sentence has that, too."""

LINK_KINDS: Final = frozenset({"link", "peer-link"})
"""Kinds of the records of what happened to a link: they name no causes, and tell one story together."""

CLAUSES_MAX: Final = 5
"""Most reasons in the sentence of an answer; the chain has them all."""

LOOK_BACK_MAX: Final = 500
"""Records of one subject that are looked at: older ones explain nothing that still holds."""

SHARED_CHARACTERS_MAX: Final = 256 * 1024
"""Flight records that travel with the state: some 300, the story of a node's absence."""


class FlightIndex:
    """The newest records, by position and by subject."""

    def __init__(self, limit: int = RECORDS_MAX) -> None:
        assert limit > 0, "an index without records answers nothing"
        self._limit = limit
        self._characters = 0
        self._records: deque[Record] = deque()
        self._by_position: dict[str, Record] = {}
        self._by_subject: dict[str, deque[Record]] = {}

    def add(self, record: Record) -> None:
        """Add a record; the oldest go when there are too many."""
        if len(record.command) > COMMAND_CHARACTERS_MAX:
            record = msgspec.structs.replace(record, command="")
        self._characters += len(record.command)
        while self._records and (len(self._records) >= self._limit or self._characters > CHARACTERS_MAX):
            self._drop(self._records.popleft())
        self._records.append(record)
        if record.position:
            self._by_position[record.position] = record
        for subject in _keys(record):
            self._by_subject.setdefault(subject, deque()).append(record)

    def newest(self, characters: int = SHARED_CHARACTERS_MAX) -> tuple[str, ...]:
        """Return the newest ordered records as lines, oldest first, of at most so many characters in all."""
        lines: list[str] = []
        for record in reversed(self._records):
            if record.position:
                lines.append(write_line(record))
                characters -= len(lines[-1])
                if characters < 0:
                    lines.pop()
                    break
        return tuple(reversed(lines))

    def adopt(self, lines: Iterable[str]) -> tuple[Record, ...]:
        """Add the records of another node that are not known here; return them."""
        records, _ = read_lines(lines)
        fresh = tuple(one for one in records if one.position and one.position not in self._by_position)
        for record in fresh:
            self.add(record)
        return fresh

    def why(self, subject: str, at: WallTime | None = None) -> Why:
        """Explain a subject as of a moment of the wall clock; None: as of now."""
        record = self._find(subject, at)
        if record is None:
            return Why(subject, f"nothing is recorded about {subject}", ())
        return self._explain(subject, record)

    def _explain(self, subject: str, record: Record) -> Why:
        """Tell one record with the chain of its causes."""
        told = tell(record, command_of(record), (subject,))
        lines = [_line(record, told.cause.code, told.head, depth=0)]
        clauses: list[str] = []
        _add_clause(clauses, told.reason)
        if record.kind in LINK_KINDS and subject == record.subjects[0]:
            return Why(
                subject, self._state_of_link(subject, record), (*lines, *self._history(subject, record))
            )
        self._follow(told, (subject, *record.subjects), lines, clauses)
        answer = told.head + "".join(f", because {clause}" for clause in clauses[:CLAUSES_MAX])
        earlier = self._before(subject, record) if told.is_arrival else None
        if earlier is None:
            return Why(subject, answer, tuple(lines))
        # Who asks about a node that is back wants to know why it went.
        return Why(subject, f"{answer}. Before: {earlier.answer}", (*lines, *earlier.chain)[:LINES_MAX])

    def _state_of_link(self, subject: str, newest: Record) -> str:
        """Say what last happened to a link; what was found out about it a moment later is told below."""
        older = dropwhile(lambda record: record is not newest, reversed(self._by_subject.get(subject, ())))
        told = (one for one in islice(older, HISTORY_MAX) if one.cause.code not in LINK_ASIDES)
        record = next(told, newest)
        return tell(record, command_of(record), (subject,)).head

    def _history(self, subject: str, newest: Record) -> list[WhyLine]:
        """Tell what happened to a link before its newest record, the newest first."""
        older = dropwhile(lambda record: record is not newest, reversed(self._by_subject.get(subject, ())))
        return [
            _line(record, record.cause.code, record.cause.text, depth=0)
            for record in islice(older, 1, HISTORY_MAX)
            if record.kind in LINK_KINDS
        ]

    def _before(self, subject: str, arrival: Record) -> Why | None:
        """Explain what made a subject go before it arrived; None when nothing is recorded of that."""
        is_older = False
        for record in reversed(self._by_subject.get(subject, ())):
            is_older = is_older or record is arrival
            told = tell(record, command_of(record), (subject,))
            if is_older and told.weight is Weight.CHANGE and not told.is_arrival:
                return self._explain(subject, record)
        return None

    def _find(self, subject: str, at: WallTime | None) -> Record | None:
        """Find the newest record that weighs most; of a row of arrivals the first."""
        best: Record | None = None
        best_weight: Weight | None = None
        is_row = False
        for seen, record in enumerate(reversed(self._by_subject.get(subject, ()))):
            if seen == LOOK_BACK_MAX:
                break
            if at is not None and record.at > at:
                continue
            told = tell(record, command_of(record), (subject,))
            if is_row:
                if told.weight is Weight.CHANGE and not told.is_arrival:
                    break
                best = record if told.is_arrival else best
                continue
            if best_weight is None or told.weight > best_weight:
                best, best_weight = record, told.weight
            if best_weight is Weight.CHANGE:
                if not told.is_arrival:
                    break
                is_row = True
        return best

    def _follow(
        self, told: Told, subjects: tuple[str, ...], lines: list[WhyLine], clauses: list[str]
    ) -> None:
        """Walk the causes, depth first, each record once; add each to the lines and the sentence."""
        visited: set[str] = set()
        waiting = [(1, subjects, position) for position in reversed(told.cause.because)]
        while waiting and len(lines) < LINES_MAX:
            depth, about, position = waiting.pop()
            record = self._by_position.get(position)
            if record is None or position in visited or depth > DEPTH_MAX:
                continue
            visited.add(position)
            step = tell(record, command_of(record), about)
            lines.append(_line(record, step.cause.code, step.cause.text, depth=depth))
            _add_clause(clauses, step.clause)
            about = (about[0], *record.subjects)
            waiting += [(depth + 1, about, further) for further in reversed(step.cause.because)]

    def _drop(self, record: Record) -> None:
        """Forget the oldest record, which is the first of each of its subjects."""
        self._characters -= len(record.command)
        if self._by_position.get(record.position) is record:
            del self._by_position[record.position]
        for subject in _keys(record):
            of_subject = self._by_subject[subject]
            of_subject.popleft()
            if not of_subject:
                del self._by_subject[subject]


def _add_clause(clauses: list[str], text: str) -> None:
    """Take a cause into the sentence, unless it only repeats what was said."""
    clause = text.rstrip(". ")
    if clause and not any(clause in said or said in clause for said in clauses):
        clauses.append(clause)


def _keys(record: Record) -> tuple[str, ...]:
    """Name the subjects to find a record by; an instance of a clone is found by the clone's child, too."""
    keys = dict.fromkeys(record.subjects)
    for subject in record.subjects:
        base, colon, number = subject.rpartition(":")
        if colon and number.isdigit():
            keys[base] = None
    return tuple(keys)


def _line(record: Record, code: str, text: str, *, depth: int) -> WhyLine:
    return WhyLine(depth, record.at, record.node, code, text, record.position)
