"""Change one place of a tree and keep the rest: small functions over Elements.

Decides nothing; the CIB's modules say what is changed. It must not know what the elements mean.
"""

from collections.abc import Callable

from komainu.cib.element import Element

Change = Callable[[Element], Element]


def update_at(root: Element, path: tuple[str, ...], change: Change) -> Element:
    """Return a copy in which the element at `path` (the first child of each tag in turn) is changed.

    What is missing along the path is made. The same root comes back when the change changes nothing.
    """
    if not path:
        return change(root)
    tag, *rest = path
    child = root.first(tag)
    if child is None:
        return root.with_children((*root.children, update_at(Element(tag), tuple(rest), change)))
    changed = update_at(child, tuple(rest), change)
    return root if changed is child else replace_child(root, child, changed)


def replace_child(parent: Element, old: Element, new: Element | None) -> Element:
    """Return a copy in which one child, found by identity, is replaced, or removed where `new` is None."""
    replacement = () if new is None else (new,)
    index = next(place for place, child in enumerate(parent.children) if child is old)
    return parent.with_children((*parent.children[:index], *replacement, *parent.children[index + 1 :]))


def replace_by_id(root: Element, element_id: str, new: Element | None) -> Element | None:
    """Replace, or with None remove, the element below `root` that has this id; None when there is none."""
    for child in root.children:
        if child.id == element_id:
            return replace_child(root, child, new)
        changed = replace_by_id(child, element_id, new)
        if changed is not None:
            return replace_child(root, child, changed)
    return None
