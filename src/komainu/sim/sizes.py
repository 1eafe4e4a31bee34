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

_SLOTS: Final[dict[type, tuple[str, ...] | None]] = {}
"""What was found out of each class: there are few, and it never changes."""

_Way = tuple[object, ...]
"""How a value was come by: the last step, and the way before it. It is spelled only when somebody wants to read it."""


def largest(drive: Drive) -> tuple[int, str]:
    """Return the length of the largest container of a node's cores, and its path."""
    held = 0
    where: _Way = ()
    seen: set[int] = set()
    waiting: list[tuple[object, _Way]] = [(drive, ("drive",))]
    while waiting:
        value, way = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, _CONTAINERS):
            if len(value) > held:
                held, where = len(value), way
            inside = value.values() if isinstance(value, dict) else value
            waiting += [(one, (number, way)) for number, one in enumerate(inside) if type(one) not in _PLAIN]
        elif (slots := _slots_of(type(value))) is not None:
            for name in (*getattr(value, "__dict__", ()), *slots):
                field = None if name in _LEFT_OUT else getattr(value, name, None)
                if type(field) not in _PLAIN:
                    waiting.append((field, (name, way)))
    return held, _spell(where)


def _spell(way: _Way) -> str:
    step, *before = way or ("",)
    if not before:
        return str(step)
    (rest,) = before
    assert isinstance(rest, tuple), "a way goes on with the way before it"
    return _spell(rest) + (f"[{step}]" if isinstance(step, int) else f".{step}")


def _slots_of(kind: type) -> tuple[str, ...] | None:
    """Return the slots of a class of ours; None for other classes, and for functions, which hold nothing."""
    if kind not in _SLOTS:
        is_ours = kind.__module__.startswith("komainu.")
        is_function = any("__call__" in vars(each) for each in kind.__mro__)
        _SLOTS[kind] = tuple(_slots(kind)) if is_ours and not is_function else None
    return _SLOTS[kind]


def _slots(kind: type) -> Iterator[str]:
    for each in kind.__mro__:
        slots = getattr(each, "__slots__", ())
        names = [slots] if isinstance(slots, str) else slots
        yield from (name for name in names if not name.startswith("__"))
