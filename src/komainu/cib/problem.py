"""Collect what is wrong with a configuration, each with its place.

Decides how an element is named, what is suggested, and when it is enough: every node validates every change,
so a document with a hundred thousand mistakes must not keep them all busy.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import islice
from typing import Final

from komainu.cib.element import Element
from komainu.model.report import Place, Report, Severity

PROBLEMS_MAX: Final = 100
"""Errors, and warnings, that are reported; who has more of them mends these first."""

CANDIDATES_MAX: Final = 500
"""Names that a misspelt one is compared with; comparing is slow."""


@dataclass(slots=True)
class Problems:
    """The problems found so far in one file."""

    file: str
    errors: list[Report] = field(default_factory=list)
    warnings: list[Report] = field(default_factory=list)

    @property
    def reports(self) -> tuple[Report, ...]:
        """All problems, errors first."""
        return (*self.errors, *self.warnings)

    def error(self, element: Element, code: str, message: str, hint: str = "") -> None:
        """Add what has to be mended before the configuration is accepted."""
        if len(self.errors) < PROBLEMS_MAX:
            place = Place(self.file, element.line)
            self.errors.append(Report(code, message, hint, place, Severity.ERROR))

    def warning(self, element: Element, code: str, message: str, hint: str = "") -> None:
        """Add what works, but hardly as it is meant."""
        if len(self.warnings) < PROBLEMS_MAX:
            place = Place(self.file, element.line)
            self.warnings.append(Report(code, message, hint, place, Severity.WARNING))

    def suggest(self, wanted: str, known: Iterable[str], otherwise: str = "") -> str:
        """Ask whether a known name was meant, as long as somebody is going to read it."""
        is_full = len(self.errors) >= PROBLEMS_MAX or len(self.warnings) >= PROBLEMS_MAX
        return otherwise if is_full else suggest(wanted, known, otherwise)


def label(element: Element) -> str:
    """Name an element for people: `<primitive id="web">`."""
    return f'<{element.tag} id="{element.id}">' if element.id else f"<{element.tag}>"


def suggest(wanted: str, known: Iterable[str], otherwise: str = "") -> str:
    """Ask whether a known name was meant."""
    alike = (name for name in sorted(set(known)) if abs(len(name) - len(wanted)) <= max(2, len(wanted) // 2))
    close = get_close_matches(wanted, list(islice(alike, CANDIDATES_MAX)), n=1)
    return f'did you mean "{close[0]}"?' if close else otherwise
