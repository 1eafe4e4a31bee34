"""Decide which texts are values of each kind that a CIB knows: scores, durations, booleans, and so on.

Must not know which attribute is of which kind; that is cib/vocabulary.py and cib/known_options.py.
Source: Pacemaker Explained, "Types of values" (boolean, integer, score, duration), "Properties of operations".
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from komainu.cib.options import FALSE_WORDS, TRUE_WORDS
from komainu.model.duration import parse_ms


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value: the words that belong to it, a pattern for the others, and its name for people."""

    name: str  # completes the sentence "… is not …"
    words: tuple[str, ...] = ()
    pattern: re.Pattern[str] | None = None
    ignores_case: bool = False
    is_duration: bool = False
    is_free: bool = False

    def accepts(self, text: str) -> bool:
        """Whether a text is a value of this kind. Never raises."""
        word = text.strip()
        if self.is_free or (self.is_duration and parse_ms(word) is not None):
            return True
        if self.ignores_case and word.lower() in {known.lower() for known in self.words}:
            return True
        return word in self.words or (self.pattern is not None and self.pattern.match(word) is not None)

    def hint(self, text: str) -> str:
        """Say what would be right in place of a text."""
        close = get_close_matches(text.strip().lower(), [word.lower() for word in self.words], n=1)
        if close:
            right = next(word for word in self.words if word.lower() == close[0])
            return f'did you mean "{right}"?'
        return f"it has to be one of {', '.join(self.words)}" if self.words and not self.pattern else ""


def enum(*words: str) -> Kind:
    """Make a kind of exactly these words."""
    return Kind(f"one of {', '.join(words)}", words)


TEXT: Final = Kind("a text", is_free=True)
NAME: Final = Kind("a name of at least one character", pattern=re.compile(r"\S"))
ID: Final = Kind(
    "an id: a letter or _, then letters, digits, and . _ -",
    pattern=re.compile(r"[^\W\d][\w.\-·]*$"),
)
BOOLEAN: Final = Kind(
    "a boolean: true or false", (*sorted(TRUE_WORDS), *sorted(FALSE_WORDS)), ignores_case=True
)
INTEGER: Final = Kind("a whole number", pattern=re.compile(r"[+-]?[0-9]{1,18}$"))
COUNT: Final = Kind("a whole number, 0 or greater", pattern=re.compile(r"\+?[0-9]{1,18}$"))
POSITIVE: Final = Kind("a whole number, 1 or greater", pattern=re.compile(r"\+?0*[1-9][0-9]{0,17}$"))
LEVEL: Final = Kind("a number from 1 to 9", pattern=re.compile(r"[1-9]$"))
PORT: Final = Kind(
    "a port: 1 to 65535",
    pattern=re.compile(
        r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$"
    ),
)
PERCENT: Final = Kind("a percentage", pattern=re.compile(r"[0-9]{1,3}(\.[0-9]+)?%?$"))
SCORE: Final = Kind(
    "a score: a number, INFINITY or -INFINITY",
    ("INFINITY", "+INFINITY", "-INFINITY"),
    re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]*)?$"),  # decimals are cut off, as everywhere in the field
)
HEALTH_SCORE: Final = Kind(
    "a score, or red, yellow, green",
    ("INFINITY", "+INFINITY", "-INFINITY", "red", "yellow", "green"),
    re.compile(r"[+-]?[0-9]{1,18}$"),
    ignores_case=True,
)
DURATION: Final = Kind("a duration, such as 30s, 2min or PT5M", is_duration=True)
TIMEOUT: Final = Kind("a duration, such as 30s, 2min or PT5M", ("-1",), is_duration=True)
ROLE: Final = Kind(
    "a role: Stopped, Started, Unpromoted or Promoted",
    ("Stopped", "Started", "Unpromoted", "Promoted", "Slave", "Master"),
    ignores_case=True,
)
RANGE: Final = Kind("a number or a range, such as 3, 1-5 or 2-", pattern=re.compile(r"[0-9]*(-[0-9]*)?$"))
