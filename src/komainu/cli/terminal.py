"""Break text for the terminal that shows it, so that nothing is cut in the midst of a word or a table.

Decides the width: the terminal's, between forty columns and eighty; eighty for a file or a pipe, so that what programs
and tests read does not depend on a window. Must not know what the text is about.
"""

import shutil
from collections.abc import Iterable
from textwrap import wrap
from typing import Final

WIDTH: Final = 80
"""Longer lines are hard to read, also where there is room for them."""

WIDTH_MIN: Final = 40


def width() -> int:
    """Return how many columns a line may have; COLUMNS, where it is set, is believed before the terminal."""
    return max(WIDTH_MIN, min(WIDTH, shutil.get_terminal_size().columns))


def printable(text: str) -> str:
    """Write control characters as escapes: what users and agents say must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def fold(text: str, rest: str | None = None) -> list[str]:
    """Break a line; what goes on below begins with `rest`, or else four columns further in. Long words stay whole.

    At least half of the width is left to the text, however far in it would begin.
    """
    columns = width()
    lead = text[: len(text) - len(text.lstrip())]
    rest = f"{lead}    " if rest is None else rest
    return wrap(
        printable(text.strip()),
        columns,
        initial_indent=lead[: columns // 2],
        subsequent_indent=rest[: columns // 2],
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def folded(lines: Iterable[str]) -> str:
    """Join lines to a text, each broken where it is too long."""
    return "\n".join(part for line in lines for part in fold(line))
