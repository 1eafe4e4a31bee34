"""Keep the flight record on disk: one line a record, in files of bounded size, the oldest thrown away.

Decides when a file is full; knows nothing of what records mean (recorder/). A crash may tear the last line,
which reading skips (recorder's lines are JSON); it costs at most the last second.
"""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Size of one file: some forty thousand records."""

FILES_MAX: Final = 8
"""Files that are kept, the current one counted: months of a quiet cluster, days of a restless one."""


class FlightFile:
    """The flight record in a folder: flight.jsonl, then flight.1.jsonl (newer) to flight.7.jsonl (oldest)."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._current = self._folder / "flight.jsonl"
        self._file: int | None = None
        self._size = 0

    def read(self, lines_max: int) -> list[bytes]:
        """Return the last lines, oldest first."""
        found: list[bytes] = []
        for path in self._newest_first():
            found[:0] = path.read_bytes().splitlines()[-(lines_max - len(found)) :]
            if len(found) >= lines_max:
                break
        return found

    def append(self, lines: list[str]) -> None:
        """Append lines, each with its line end; not yet durable. Raises OSError."""
        if self._file is not None and self._size >= FILE_BYTES_MAX:
            self.close()
            self._rotate()
        if self._file is None:
            self._open()
        assert self._file is not None
        data = "".join(lines).encode()
        self._size += len(data)
        while data:
            data = data[os.write(self._file, data) :]

    def sync(self) -> None:
        """Make what was appended durable. Raises OSError."""
        if self._file is not None:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Sync and close the current file."""
        if self._file is not None:
            self.sync()
            os.close(self._file)
            self._file = None

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._current, flags, 0o600)
        self._size = os.fstat(self._file).st_size
        if self._size and not self._ends_with_line():
            self._size += os.write(
                self._file, b"\n"
            )  # after a crash: the torn line must not take ours with it

    def _ends_with_line(self) -> bool:
        with self._current.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"

    def _rotate(self) -> None:
        names = [self._current, *(self._folder / f"flight.{number}.jsonl" for number in range(1, FILES_MAX))]
        for newer, older in reversed(list(itertools.pairwise(names))):
            if newer.exists():
                newer.replace(older)

    def _newest_first(self) -> Iterator[Path]:
        names = [self._current, *(self._folder / f"flight.{number}.jsonl" for number in range(1, FILES_MAX))]
        return (path for path in names if path.exists())
