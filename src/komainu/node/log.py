"""Write the daemon's log lines to its standard error, without ever waiting for whoever reads them.

Decides what a line looks like. A reader that stands still costs lines, which are counted, not heartbeats.
Source: sd-daemon(3) for the `<N>` prefixes; pipe(7): a pipe that polls writable takes PIPE_BUF bytes at once.
"""

import os
import select
import time
from typing import Final

from komainu.model.report import Level, Note

LINE_BYTES_MAX: Final = 4096
"""PIPE_BUF: a line of this size is written whole or not at all."""

_PRIORITY: Final = {
    Level.ERROR: 3,
    Level.WARNING: 4,
    Level.NOTICE: 5,
    Level.INFO: 6,
    Level.DEBUG: 7,
}


class Log:
    """The daemon's log: one line a note, `2026-03-01 12:00:00.123 notice ring.view-installed …`."""

    def __init__(self, descriptor: int = 2) -> None:
        self._descriptor = descriptor
        self._is_journal = "JOURNAL_STREAM" in os.environ
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._lost = 0

    def write(self, note: Note) -> None:
        """Write a note, after saying how many were lost before it."""
        if self._lost:
            lost = Note(Level.WARNING, "log.lost", f"{self._lost} lines were lost: nobody read them")
            if not self._line(lost):
                self._lost += 1
                return
            self._lost = 0
        if not self._line(note):
            self._lost += 1

    def _line(self, note: Note) -> bool:
        fields = "".join(f" {name}={value}" for name, value in note.fields.items())
        message = "\n  ".join(_printable(line) for line in f"{note.code} {note.message}{fields}".split("\n"))
        head = f"<{_PRIORITY[note.level]}>" if self._is_journal else f"{_clock()} {note.level.value:7} "
        data = (head + message).encode(errors="replace")[: LINE_BYTES_MAX - 1] + b"\n"
        try:
            if not any(event & select.POLLOUT for _, event in self._poll.poll(0)):
                return False
            os.write(self._descriptor, data)
        except OSError:
            return False
        return True


def _printable(text: str) -> str:
    """Write control characters as escapes: what users and agents say must not steer a terminal, or end a line."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _clock() -> str:
    now = time.time_ns()
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now // 10**9)) + f".{now // 10**6 % 1000:03}"
