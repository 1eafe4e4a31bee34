"""Measure how much a node's cores hold on to: their largest container, wherever it is.

Decides nothing; sim/checks.py says how much is too much. The agreed state itself and the index of the flight record
are left out: the one grows with the configuration, the other has a bound of its own.
"""

from collections import deque
from collections.abc import Iterator
from types import NoneType
from typing import Final

from komainu.node.drive import Drive

_LEFT_OUT: Final = frozenset({"settings", "state", "index", "names", "outlook", "_settings", "_out", "watch"})
_CONTAINERS: Final = (dict, list, set, frozenset, deque, tuple)
_PLAIN: Final = frozenset({NoneType, bool, int, float, str, bytes})
_DEEP_MAX: Final = 12
"""Cores are not nested deeper; the limit keeps a cycle from being walked for ever."""


def largest(drive: Drive) -> tuple[int, str]:
    """Return the length of the largest container of a node's cores, and its path."""
    return max(_sizes(drive, "drive", set(), 0), default=(0, ""))


def _sizes(value: object, path: str, seen: set[int], depth: int) -> Iterator[tuple[int, str]]:
    if depth > _DEEP_MAX or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, _CONTAINERS):
        yield len(value), path
        for number, each in enumerate(value.values() if isinstance(value, dict) else value):
            if type(each) not in _PLAIN:
                yield from _sizes(each, f"{path}[{number}]", seen, depth + 1)
    elif type(value).__module__.startswith("komainu.") and not callable(value):
        for name in _attributes(value):
            if name not in _LEFT_OUT:
                yield from _sizes(getattr(value, name, None), f"{path}.{name}", seen, depth + 1)


def _attributes(value: object) -> list[str]:
    names = list(getattr(value, "__dict__", ()))
    for kind in type(value).__mro__:
        slots = getattr(kind, "__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if not name.startswith("__")]
