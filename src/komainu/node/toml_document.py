"""Read a TOML file so that every mistake in it can be named with its file, line and remedy.

Decides what a wrong type, an unknown key and a missing key look like to the user; knows no key by itself
(node/settings.py does). tomllib gives no lines for keys, so a small scan finds them again; where the scan is
wrong only the line of a message is. Source: TOML 1.0.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Final

from komainu.model.duration import parse_ms, show_ms
from komainu.model.report import Place, Refused, Report

FILE_BYTES_MAX: Final = 1024 * 1024
"""Largest settings file. Sixty-four nodes with eight links take 20 kB; anything larger is the wrong file."""

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.\"' -]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*=")
_SYNTAX_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")


class Document:
    """A TOML file that was read, the lines of its keys, and the reports collected about it."""

    def __init__(self, file: str, text: str) -> None:
        """Parse the text. Raises Refused when it is no TOML at all."""
        self.file = file
        self.reports: list[Report] = []
        try:
            self._values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise Refused((_syntax_report(file, str(error)),)) from error
        self._lines = _lines_of_keys(text)

    @property
    def root(self) -> "Table":
        """The table that holds all others."""
        return Table(self, "", self._values)

    def line_of(self, path: str) -> int | None:
        """Return the line of a key or table; of the nearest one around it where it was not found."""
        while path and path not in self._lines:
            path = path.rpartition(".")[0]
        return self._lines.get(path)

    def complain(self, path: str, code: str, message: str, hint: str = "") -> None:
        """Collect one mistake at this key."""
        place = Place(self.file, self.line_of(path), path or None)
        self.reports.append(Report(code, message, hint, place))


class Table:
    """One table of a document. A getter that finds something wrong reports it and returns the default."""

    def __init__(self, document: Document, path: str, values: Mapping[str, object]) -> None:
        self._document = document
        self._path = path
        self._values = values
        self._known: list[str] = []

    def path_of(self, key: str) -> str:
        """Return the dotted path of one of this table's keys; of the table itself for the empty key."""
        return ".".join(part for part in (self._path, key) if part)

    def complain(self, key: str, code: str, message: str, hint: str = "") -> None:
        """Collect one mistake at one of this table's keys."""
        self._document.complain(self.path_of(key), code, message, hint)

    def has(self, key: str) -> bool:
        """Tell whether the key is there, and remember that it is a known one."""
        self._known.append(key)
        return key in self._values

    def value(self, key: str) -> object:
        """Return a value as it stands, for a key that may be of more than one kind."""
        return self._get(key, "")

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        """Return a text that is not empty, or the default."""
        value = self._get(key, 'a text in quotes, for example "demo"', required=required)
        if value is None:
            return default
        if isinstance(value, str) and value:
            return value
        self._wrong_type(key, value, "a text in quotes that is not empty")
        return default

    def whole(self, key: str, default: int, *, low: int, high: int, required: bool = False) -> int:
        """Return a whole number from low to high, or the default."""
        value = self._get(key, f"a whole number from {low} to {high}", required=required)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong_type(key, value, "a whole number without quotes")
            return default
        if not low <= value <= high:
            self.complain(key, "settings.range", f"{value} is not from {low} to {high}")
            return default
        return value

    def claim(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._get(key, "true or false")
        if value is None or isinstance(value, bool):
            return default if value is None else value
        self._wrong_type(key, value, "true or false, without quotes")
        return default

    def duration_ms(self, key: str, default: int | None, *, low: int, high: int) -> int | None:
        """Return a duration in milliseconds. A number without a unit is refused: it might mean either."""
        value = self._get(key, 'a duration with its unit, for example "1s"')
        if value is None:
            return default
        if not isinstance(value, str) or value.strip().isdigit():
            unit_hint = f'write {key} = "{value}s" for seconds or "{value}ms" for milliseconds'
            self.complain(key, "settings.no-unit", "a duration needs its unit", unit_hint)
            return default
        duration = parse_ms(value)
        if duration is None:
            self.complain(
                key, "settings.duration", f'"{value}" is no duration', 'write it as "500ms" or "2s"'
            )
            return default
        if not low <= duration <= high:
            wanted = f"write a duration from {show_ms(low)} to {show_ms(high)}"
            self.complain(key, "settings.range", f'"{value}" is out of range', wanted)
            return default
        return duration

    def list_of_values(self, key: str, example: str) -> list[object]:
        """Return a list with at least one entry; the empty list after a report."""
        value = self._get(key, f"a list, for example {key} = {example}", required=True)
        if isinstance(value, list) and value:
            return value
        if value is not None:
            self._wrong_type(key, value, f"a list with at least one entry, for example {example}")
        return []

    def table(self, key: str) -> "Table":
        """Return a table below this one; an empty one where it is absent or wrong."""
        value = self._get(key, "")
        if isinstance(value, dict):
            return Table(self._document, self.path_of(key), value)
        if value is not None:
            self._wrong_type(key, value, f"a table that begins with [{self.path_of(key)}]")
        return Table(self._document, self.path_of(key), {})

    def tables(self, key: str) -> list["Table"]:
        """Return the tables of a list of tables: each begins with [[key]]."""
        value = self._get(key, "")
        if value is None:
            return []
        if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
            return [
                Table(self._document, f"{self.path_of(key)}[{index}]", entry)
                for index, entry in enumerate(value)
            ]
        self._wrong_type(key, value, f"tables that each begin with [[{self.path_of(key)}]]")
        return []

    def inline(self, key: str, value: Mapping[str, object]) -> "Table":
        """Return a table that stands as a value inside one of this table's lists."""
        return Table(self._document, self.path_of(key), value)

    def refuse_unknown(self) -> None:
        """Report every key that no getter asked for, with the nearest known one."""
        for key in self._values:
            if key in self._known:
                continue
            from difflib import get_close_matches  # rarely needed: a daemon's start imports it only here

            close = get_close_matches(key, self._known, n=1)
            known = ", ".join(sorted(self._known))
            hint = f"did you mean {close[0]}?" if close else f"known here: {known}"
            self.complain(key, "settings.unknown-key", f'the key "{key}" is unknown here', hint)

    def _get(self, key: str, wanted: str, *, required: bool = False) -> object:
        self._known.append(key)
        value = self._values.get(key)
        if value is None and required:
            self.complain(key, "settings.missing-key", f'the key "{key}" is missing', f"add {key}: {wanted}")
        return value

    def _wrong_type(self, key: str, value: object, wanted: str) -> None:
        found = _KINDS.get(type(value), type(value).__name__)
        self.complain(key, "settings.wrong-type", f'"{key}" is {found}', f"write {wanted}")


_KINDS: Final[dict[type, str]] = {
    str: "a text",
    int: "a whole number",
    float: "a number with a decimal point",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def _lines_of_keys(text: str) -> dict[str, int]:
    """Map the dotted path of each table and key to its line; lists of tables carry their index."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            table = header[2].replace('"', "").replace("'", "")
            if header[1] == "[[":
                index = counts.get(table, 0)
                counts[table] = index + 1
                lines.setdefault(table, number)
                table = f"{table}[{index}]"
            lines.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            name = key[1].strip("\"'")
            lines.setdefault(f"{table}.{name}" if table else name, number)
    return lines


def _syntax_report(file: str, message: str) -> Report:
    """Turn tomllib's sentence into a report whose place is clickable."""
    found = _SYNTAX_LINE.search(message)
    line = int(found[1]) if found else None
    what = _SYNTAX_LINE.sub("", message).strip().rstrip(".")
    hint = 'texts stand in double quotes, lists in [ ], tables begin with [name]: key = "value"'
    return Report(
        "settings.syntax", f"this is no TOML: {what[:1].lower()}{what[1:]}", hint, Place(file, line)
    )
