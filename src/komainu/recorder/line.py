"""Write a flight record as one line of text, and read lines back, also from a file that was cut off.

Decides which lines are records; must not know where they are kept. Form: JSON, one record a line, so that an
operator's own tools can read it.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from komainu.recorder.record import Record

_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Record)
_BEGIN: Final = '{"position":'


def write_line(record: Record) -> str:
    """Write one record as one line, with its line end."""
    return _ENCODER.encode(record).decode() + "\n"


def read_lines(lines: Iterable[str]) -> tuple[tuple[Record, ...], int]:
    """Read lines, oldest first; return the records, and how many lines were damaged.

    A crash tears the last line of a file, and the next record may stand behind the torn one on the same line.
    """
    records: list[Record] = []
    torn = 0
    for line in lines:
        if not line.strip():
            continue
        record, is_whole = _read(line)
        torn += not is_whole
        if record is not None:
            records.append(record)
    return tuple(records), torn


def _read(line: str) -> tuple[Record | None, bool]:
    """Read a line, or what stands at its end; say whether the whole line is the record."""
    for start in (0, max(0, line.rfind(_BEGIN))):
        try:
            return _DECODER.decode(line[start:]), start == 0
        except (msgspec.DecodeError, UnicodeError):
            continue
    return None, False
