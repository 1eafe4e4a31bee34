"""Say how a version of a tree differs from an earlier one, so that who holds the earlier one can make the later.

Versions of a CIB share what a change leaves alone (cib/element.py). What is shared is named by its place, so that a
difference has the size of the change, not of the tree, and whoever makes the later version keeps the sharing, too.
It must not know what the elements mean. Differences never leave the machine.
"""

import msgspec

from komainu.cib.element import Element


class Kept(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """So many children, as they are in the earlier version from this place on."""

    place: int
    count: int


class Fresh(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A child that the earlier version does not have. An Element does not say what it holds where it is compiled; this does."""

    name: str
    attributes: dict[str, str]
    line: int | None
    children: tuple["Fresh", ...]


class Changed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The child at this place of the earlier version, with other attributes or children."""

    place: int
    attributes: dict[str, str]
    line: int | None
    children: tuple["Kept | Fresh | Changed", ...]


def difference(old: Element, new: Element, place: int = 0) -> Changed:
    """Say how `new` is made from `old`, an element of the same tag."""
    assert old.tag == new.tag, "an element changes, but is of one kind"
    places = {id(child): index for index, child in enumerate(old.children)}
    named: dict[tuple[str, str], int] | None = None
    parts: list[Kept | Fresh | Changed] = []
    for child in new.children:
        at = places.get(id(child))
        if at is not None:
            last = parts[-1] if parts else None
            if isinstance(last, Kept) and last.place + last.count == at:
                parts[-1] = Kept(last.place, last.count + 1)
            else:
                parts.append(Kept(at, 1))
            continue
        if named is None:  # most often nothing, or one child in a thousand, has changed
            named = {(other.tag, other.id): index for index, other in enumerate(old.children)}
        like = named.get((child.tag, child.id))
        parts.append(_fresh(child) if like is None else difference(old.children[like], child, like))
    return Changed(place, dict(new.attributes), new.line, tuple(parts))


def later(old: Element, change: Changed) -> Element:
    """Make the later version from the earlier one."""
    children: list[Element] = []
    for part in change.children:
        match part:
            case Kept(place=place, count=count):
                children += old.children[place : place + count]
            case Fresh():
                children.append(_element(part))
            case Changed(place=place):
                children.append(later(old.children[place], part))
    return Element(old.tag, change.attributes, tuple(children), change.line)


def _fresh(element: Element) -> Fresh:
    children = tuple([_fresh(child) for child in element.children])
    return Fresh(element.tag, dict(element.attributes), element.line, children)


def _element(fresh: Fresh) -> Element:
    children = tuple([_element(child) for child in fresh.children])
    return Element(fresh.name, fresh.attributes, children, fresh.line)
