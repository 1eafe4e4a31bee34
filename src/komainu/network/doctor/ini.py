"""Read files of sections and keys: NetworkManager's, systemd's, and the shell-like ifcfg and sysconfig files.

Decides where a key's value ends and on which line it stands. Must not know any key.
Source: the GLib key file format; systemd.syntax(7); sysconfig files as sh(1) reads plain assignments.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from komainu.model.report import Place
from komainu.network.doctor.evidence import File

_HEADER: Final = re.compile(r"\s*\[(.*)\]\s*$")
_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line `key=value` of a section."""

    key: str
    value: str
    place: Place

    def __str__(self) -> str:
        """Write it as it stands in the file."""
        return f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class Section:
    """One section of one file, with its entries in order; the same name may come again."""

    name: str
    place: Place
    entries: tuple[Entry, ...]

    def all(self, key: str) -> list[Entry]:
        """Return every entry of a key."""
        return [entry for entry in self.entries if entry.key == key]

    def last(self, key: str) -> Entry | None:
        """Return the entry of a key that counts where the last one does."""
        found = self.all(key)
        return found[-1] if found else None

    def value(self, key: str, default: str = "") -> str:
        """Return the text of a key."""
        entry = self.last(key)
        return default if entry is None else entry.value


@dataclass(frozen=True, slots=True)
class Ini:
    """A file of sections, and the lines in it that are neither a section nor a key."""

    sections: tuple[Section, ...]
    odd: tuple[Place, ...] = ()

    def named(self, name: str) -> Section:
        """Return all entries of the sections of one name as one section."""
        parts = [section for section in self.sections if section.name == name]
        place = parts[0].place if parts else Place("")
        return Section(name, place, tuple(entry for part in parts for entry in part.entries))


def parse(file: File) -> Ini:
    """Read a file of sections. Never fails: lines that make no sense are named in `odd`."""
    heads: list[tuple[str, Place, list[Entry]]] = []
    odd: list[Place] = []
    for number, line in _logical_lines(file.text):
        header = _HEADER.match(line)
        key, equals, value = line.partition("=")
        place = Place(file.path, number)
        if header:
            heads.append((header[1].strip(), place, []))
        elif equals and key.strip() and heads:
            heads[-1][2].append(Entry(key.strip(), value.strip(), place))
        else:
            odd.append(place)
    return Ini(tuple(Section(name, place, tuple(entries)) for name, place, entries in heads), tuple(odd))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give each line that says something, with its number; a backslash at the end joins the next line."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if not joined and line.lstrip()[:1] in {"", "#", ";"}:
            continue
        first = first if joined else number
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield first, joined + line
        joined = ""
    if joined:
        yield first, joined


def parse_assignments(file: File) -> Section:
    """Read a file of shell assignments as one section. What is no plain assignment is left out."""
    entries: list[Entry] = []
    for number, line in enumerate(file.text.splitlines(), 1):
        match = _ASSIGNMENT.match(line)
        if match:
            entries.append(Entry(match[1], _unquoted(match[2]), Place(file.path, number)))
    return Section("", Place(file.path), tuple(entries))


def _unquoted(text: str) -> str:
    """Return the first word of a shell text; the text itself where its quotes do not match."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return text.strip()
    return words[0] if words else ""


def is_true(text: str) -> bool | None:
    """Read a boolean as these files write it; None for a text that is none."""
    word = text.strip().lower()
    if word in {"yes", "true", "on", "1", "y", "t"}:
        return True
    return False if word in {"no", "false", "off", "0", "n", "f"} else None
