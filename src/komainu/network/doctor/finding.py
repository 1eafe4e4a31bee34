"""Say what a finding is: what was seen, what would come of it, how sure that is, and what mends it.

Decides nothing. Text for people is part of a finding, since the sentence is the finding; how it is laid out
is the business of checkup.py.
"""

import difflib
from dataclasses import dataclass
from enum import Enum

from komainu.model.report import Place


class Gravity(Enum):
    """How much a finding matters, the worst first."""

    ERROR = "error"  # the cluster will not do what it is there for
    WARNING = "warning"  # one more fault, or one on a bad day, and it will not
    NOTE = "note"  # worth knowing; nothing is wrong


class Sureness(Enum):
    """How sure the doctor is that it will happen."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Seen:
    """One piece of evidence: what it says, and where it stands."""

    text: str
    place: Place | None = None

    def __str__(self) -> str:
        """Write it as `file:line: text`."""
        return self.text if self.place is None else f"{self.place}: {self.text}"


@dataclass(frozen=True, slots=True)
class Write:
    """A file to be written: `before` is its text now, None when it is absent."""

    path: str
    before: str | None
    after: str
    mode: int = 0o644

    def diff(self) -> str:
        """Show the change as a unified diff."""
        before = (self.before or "").splitlines(keepends=True)
        source = "/dev/null" if self.before is None else self.path
        lines = difflib.unified_diff(before, self.after.splitlines(keepends=True), source, self.path)
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class SetMode:
    """A file's mode to be changed."""

    path: str
    before: int
    after: int

    def diff(self) -> str:
        """Show the change in the words of chmod."""
        return f"{self.path}: mode {self.before:04o} -> {self.after:04o}\n"


Change = Write | SetMode


@dataclass(frozen=True, slots=True)
class Fix:
    """What mends it on this machine: first in words, then as changes, then the commands that follow them.

    `reload` disturbs no connection and is run by --fix; `then` may, so it is for the operator to choose when.
    """

    advice: str
    changes: tuple[Change, ...] = ()
    reload: tuple[str, ...] = ()
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `subject` is what it is about: an interface, a node, a resource, a file."""

    rule: str
    gravity: Gravity
    subject: str
    title: str  # half a sentence without the subject: "a pulled cable takes its address away"
    seen: tuple[Seen, ...]
    effect: str  # what would happen because of it, in whole sentences
    sureness: Sureness = Sureness.CERTAIN
    because: str = ""  # why it is not certain
    fix: Fix | None = None
