"""Carry what went wrong to the person who can mend it: reports for users, notes for the log.

A `Report` is about the user's input: where it stands, what is wrong, what would be right. A `Note` is about
the world, returned by cores, which never log. Text for both is made at the edge from `code` and `fields`;
the text here is the plain English one, so that no edge needs a table to say something useful.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Severity(Enum):
    """How bad a report is: an error refuses the input, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user's mistake stands. `file` may be a name such as `<stdin>`; `line` counts from 1."""

    file: str
    line: int | None = None
    path: str | None = None  # inside the document: /cib/configuration/…, or a TOML key

    def __str__(self) -> str:
        """Write file:line, as compilers do, so that editors can jump there."""
        text = self.file if self.line is None else f"{self.file}:{self.line}"
        return text if self.path is None else f"{text}: {self.path}"


@dataclass(frozen=True, slots=True)
class Report:
    """One mistake of a user: a stable code, its place, what is wrong, and what would be right."""

    code: str  # dotted and stable, for programs: "cib.unknown-element"
    message: str  # one sentence without its place
    hint: str = ""  # what would be right, or the next command; may be empty
    place: Place | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        """Write the report on one or two lines for a terminal without colour."""
        where = "" if self.place is None else f"{self.place}: "
        hint = f"\n  hint: {self.hint}" if self.hint else ""
        return f"{where}{self.severity.value}: {self.message}{hint}"


class Refused(Exception):
    """The user's input was refused, whole; carries every report that was found."""

    def __init__(self, reports: tuple[Report, ...]) -> None:
        assert reports, "a refusal says why"
        super().__init__("\n".join(str(report) for report in reports))
        self.reports = reports


class Level(Enum):
    """How loud a note is. error: the cluster is affected; warning: degraded; notice: an important success."""

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"
    INFO = "info"
    DEBUG = "debug"


@dataclass(frozen=True, slots=True)
class Note:
    """What a core has to say: an effect like any other, written by the shell to the log."""

    level: Level
    code: str  # dotted and stable: "ring.peer-lost"
    message: str  # one sentence in the field's words
    fields: Mapping[str, str | int] = field(default_factory=dict)
