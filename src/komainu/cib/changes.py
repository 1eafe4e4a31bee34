"""Say in lines for people what changed between two configurations: `+` added, `-` removed, `~` changed, `>` moved.

Decides how a change is worded; must not know why it was made. An element is known by its tag and id, so that
one that moved into a group is not told as removed and added.
"""

from dataclasses import dataclass, field
from typing import Final

from komainu.cib.element import Element

_SETS: Final = {
    "cluster_property_set": "",
    "meta_attributes": "meta ",
    "instance_attributes": "",
    "utilization": "utilization ",
}
_WITHOUT_NEWS: Final = frozenset({"id", "id-ref"})
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Found:
    """An element with where it stands."""

    element: Element
    parent: str  # the parent's name
    owner: str  # the name of the nearest element around it that is no set of pairs
    home: _Key | None  # the parent's key


@dataclass(slots=True)
class _Side:
    """All elements of one configuration, by key, in document order."""

    found: dict[_Key, _Found] = field(default_factory=dict)
    order: dict[_Key, list[_Key]] = field(default_factory=dict)


def describe_changes(old: Element, new: Element) -> tuple[str, ...]:
    """Compare two <cib> or <configuration>; return one line a change, removals first. Status is left out."""
    before, after = _index(_configuration(old)), _index(_configuration(new))
    lines: list[str] = []
    for key, one in before.found.items():
        if key not in after.found and _is_news(one, before, after):
            lines.append(f"- {_describe(one)}")
    for key, one in after.found.items():
        earlier = before.found.get(key)
        if earlier is None:
            if _is_news(one, after, before):
                lines.append(f"+ {_describe(one)}")
            continue
        lines += _changed(earlier, one)
        lines += _reordered(key, before, after)
    return tuple(lines)


def _is_news(one: _Found, mine: _Side, other: _Side) -> bool:
    """Whether an element that only one side has is to be told: not what comes or goes with its parent.

    Sets are not told, but their pairs are, as if they stood in the element around the set.
    """
    if one.element.tag in _SETS:
        return False
    home = one.home
    while home is not None and home[0] in _SETS:
        home = mine.found[home].home
    return home is None or home in other.found


def _configuration(root: Element) -> Element:
    return root if root.tag == "configuration" else root.first("configuration") or Element("configuration")


def _index(configuration: Element) -> _Side:
    side = _Side()
    _collect(configuration, None, "", side)
    return side


def _collect(element: Element, home: _Key | None, owner: str, side: _Side) -> None:
    """Index what is below an element. Elements without an id are told apart by their place."""
    counted: dict[str, int] = {}
    for child in element.children:
        number = counted[child.tag] = counted.get(child.tag, 0) + 1
        name = child.id if child.tag not in {"resource_ref", "obj_ref"} else f"{child.id} in {element.id}"
        key = (child.tag, name or f"{'' if home is None else home[1]}/{child.tag}.{number}")
        if key in side.found:
            key = (child.tag, f"{key[1]} #{number}")
        side.found[key] = _Found(child, _name(element), owner, home)
        if home is not None:
            side.order.setdefault(home, []).append(key)
        _collect(child, key, owner if child.tag in _SETS else _name(child), side)


def _name(element: Element) -> str:
    if element.tag == "node":
        return element.get("uname") or element.id
    return element.id or element.tag


def _describe(one: _Found) -> str:
    """Name an element with what matters about it."""
    element = one.element
    match element.tag:
        case "nvpair":
            return f"{one.owner}: {_prefix(one)}{element.get('name')} = {element.get('value')}"
        case "primitive" | "template":
            parts = (element.get("class"), element.get("provider"), element.get("type"))
            agent = ":".join(part for part in parts if part) or f"@{element.get('template')}"
            where = "" if one.parent == "resources" else f" in {one.parent}"
            return f"{element.tag} {element.id} ({agent}){where}"
        case "op":
            return f"{one.owner}: operation {_attributes(element)}"
        case "resource_ref" | "obj_ref":
            return f"{one.parent}: {element.id}"
        case _:
            details = _attributes(element)
            return f"{element.tag} {_name(element)}{f' ({details})' if details else ''}".replace(
                f"{element.tag} {element.tag}", element.tag
            )


def _prefix(one: _Found) -> str:
    return _SETS.get(one.home[0], "") if one.home is not None else ""


def _attributes(element: Element) -> str:
    shown = (f"{name}={value}" for name, value in element.attributes.items() if name not in _WITHOUT_NEWS)
    return " ".join(shown)


def _changed(before: _Found, after: _Found) -> list[str]:
    """Compare the attributes of one element, and the place where it stands."""
    lines: list[str] = []
    old, new = before.element.attributes, after.element.attributes
    if before.home != after.home and after.element.tag not in {"nvpair", *_SETS}:
        lines.append(f"> {after.element.tag} {_name(after.element)}: from {before.parent} to {after.parent}")
    if after.element.tag == "nvpair" and old != new:
        name = after.element.get("name")
        return [*lines, f"~ {after.owner}: {_prefix(after)}{name}: {old.get('value')} -> {new.get('value')}"]
    for name in dict.fromkeys((*old, *new)):
        if old.get(name) != new.get(name):
            label = f"{after.element.tag} {_name(after.element)}"
            lines.append(f"~ {label}: {name}: {old.get(name, '(none)')} -> {new.get(name, '(none)')}")
    return lines


def _reordered(key: _Key, before: _Side, after: _Side) -> list[str]:
    """Tell a new order of the same members, where order has a meaning."""
    if key[0] not in {"group", "resource_set"}:
        return []
    old, new = before.order.get(key, []), after.order.get(key, [])
    if [child for child in old if child in new] == [child for child in new if child in old]:
        return []
    members = ", ".join(child[1].partition(" in ")[0] for child in new if child[0] not in _SETS)
    return [f"> {key[0]} {key[1]}: the order is now {members}"]
