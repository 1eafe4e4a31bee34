"""recorder/line.py: records survive their file, and a torn line costs at most itself."""

from hypothesis import given
from hypothesis import strategies as st

from komainu.model.cause import Cause
from komainu.model.ids import NodeName, WallTime
from komainu.recorder.line import read_lines, write_line
from komainu.recorder.record import Record

_TEXT = st.text(max_size=5)
_RECORDS = st.builds(
    Record,
    position=_TEXT,
    at=st.integers(0, 2**50).map(WallTime),
    node=_TEXT.map(NodeName),
    kind=_TEXT,
    cause=st.builds(Cause, _TEXT, _TEXT, st.lists(_TEXT, max_size=2).map(tuple)),
    subjects=st.lists(_TEXT, max_size=2).map(tuple),
    refused=_TEXT,
)
FIRST = Record("1.1", WallTime(5), NodeName("a"), "join-node", Cause("x", "a joined"))
SECOND = Record("1.2", WallTime(6), NodeName("b"), "join-node", Cause("x", "b joined"))


@given(st.lists(_RECORDS, max_size=4))
def test_what_was_written_is_read(records: list[Record]) -> None:
    text = "".join(write_line(record) for record in records)
    assert read_lines(text.split("\n")) == (tuple(records), 0)


@given(st.integers(1, len(write_line(FIRST)) - 2))
def test_a_torn_line_costs_itself_and_not_the_next(length: int) -> None:
    torn = write_line(FIRST)[:length]
    assert read_lines([write_line(SECOND), torn]) == ((SECOND,), 1)
    assert read_lines([torn + write_line(SECOND)]) == ((SECOND,), 1)


@given(st.lists(st.text(), max_size=3))
def test_any_text_is_read(lines: list[str]) -> None:
    read_lines(lines)
