"""The daemon's log never waits for its reader."""

import os
import re

import pytest

from komainu.model.report import Level, Note
from komainu.node.log import Log


def test_a_line_has_time_level_code_and_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    reader, writer = os.pipe()
    Log(writer).write(Note(Level.WARNING, "ring.odd", "something\nodd", {"link": 1}))
    line = os.read(reader, 4096).decode()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warning ring.odd something\n  odd link=1\n", line
    )
    os.close(reader)
    os.close(writer)


def test_control_characters_do_not_steer_the_terminal_of_who_reads() -> None:
    reader, writer = os.pipe()
    Log(writer).write(Note(Level.INFO, "a.note", "\x1b[2J\x00\r é"))
    assert os.read(reader, 4096).endswith(b"a.note \\x1b[2J\\x00\\r \xc3\xa9\n")
    os.close(reader)
    os.close(writer)


def test_the_journal_gets_priorities_instead_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    reader, writer = os.pipe()
    Log(writer).write(Note(Level.ERROR, "ring.odd", "something"))
    assert os.read(reader, 4096) == b"<3>ring.odd something\n"
    os.close(reader)
    os.close(writer)


def test_a_reader_that_stands_still_costs_lines_and_is_told_how_many() -> None:
    reader, writer = os.pipe()
    log = Log(writer)
    for number in range(2_000):  # far more than a pipe holds
        log.write(Note(Level.INFO, "a.note", f"{number} " + "x" * 200))
    seen = os.read(reader, 1_000_000)
    log.write(Note(Level.INFO, "a.note", "the last"))
    later = os.read(reader, 1_000_000).decode()
    lost = 2_000 - seen.count(b"\n")
    assert lost > 0
    assert f"{lost} lines were lost" in later
    assert later.endswith("a.note the last\n")
    os.close(reader)
    log.write(Note(Level.INFO, "a.note", "nobody reads"))  # and a reader that is gone costs nothing else
    os.close(writer)
