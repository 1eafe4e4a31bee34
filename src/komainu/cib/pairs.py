"""Read and write name-value pairs: sets of them in a resource, a node, an option section, a node's state.

Decides which set a value goes into and what new sets and pairs are called. Must not know what a name means.
Source: the ids are those that the field's tools make: `RSC-meta_attributes-target-role`, `nodes-1-standby`,
`cib-bootstrap-options-NAME`, `status-1-fail-count-RSC.start_0`.
"""

import re

from komainu.cib.element import Element
from komainu.cib.nodes import node_state, update_state
from komainu.cib.tree import replace_child, update_at
from komainu.model.ids import NodeName

_NOT_IN_ID = re.compile(r"[^\w.\-]", re.ASCII)


def make_id(*parts: str) -> str:
    """Join parts to an id, with a dot for each character that an XML id cannot hold."""
    text = _NOT_IN_ID.sub(".", "-".join(parts))
    return text if text[:1].isalpha() or text[:1] == "_" else f"_{text}"


def set_pair(owner: Element, set_tag: str, set_id: str, name: str, value: str | None) -> Element:
    """Return the owner with one pair set, or with value None removed, in its sets of this tag.

    A pair that exists keeps its place; a new one goes into the first set without a rule; else a set is made.
    The same owner comes back when nothing changes.
    """
    blocks = [block for block in owner.all(set_tag) if block.get("id-ref") is None]
    if value is None:
        for block in blocks:
            kept = tuple(child for child in block.children if not _is_pair(child, name))
            if len(kept) != len(block.children):
                owner = replace_child(owner, block, block.with_children(kept))
        return owner
    for block in blocks:
        pair = next((child for child in block.children if _is_pair(child, name)), None)
        if pair is not None and block.first("rule") is None:
            if pair.get("value") == value:
                return owner
            changed = replace_child(block, pair, pair.with_attribute("value", value))
            return replace_child(owner, block, changed)
    home = next((block for block in blocks if block.first("rule") is None), None)
    new = Element(
        "nvpair", {"id": make_id(set_id if home is None else home.id, name), "name": name, "value": value}
    )
    if home is None:
        return owner.with_children((*owner.children, Element(set_tag, {"id": set_id}, (new,))))
    return replace_child(owner, home, home.with_children((*home.children, new)))


def pair_value(owner: Element | None, set_tag: str, name: str) -> str | None:
    """Return the first value of a name in an element's sets of this tag."""
    for block in () if owner is None else owner.all(set_tag):
        for pair in block.children:
            if _is_pair(pair, name):
                return pair.get("value")
    return None


def transient_value(cib: Element, node: NodeName, name: str) -> str | None:
    """Return a transient attribute of a node."""
    state = node_state(cib, node)
    home = None if state is None else state.first("transient_attributes")
    return pair_value(home, "instance_attributes", name)


def set_transient(cib: Element, node: NodeName, name: str, value: str | None) -> Element:
    """Set, or with value None remove, a transient attribute of a node."""
    state = node_state(cib, node)
    if value is None and (state is None or state.first("transient_attributes") is None):
        return cib

    def change(here: Element) -> Element:
        known = here if here.first("transient_attributes") is not None else _with_home(here)
        changed = update_at(
            known,
            ("transient_attributes",),
            lambda home: set_pair(home, "instance_attributes", f"status-{here.id}", name, value),
        )
        return here if changed is known else changed

    return update_state(cib, node, change)


def _with_home(state: Element) -> Element:
    """Add an empty place for transient attributes."""
    return state.with_children((*state.children, Element("transient_attributes", {"id": state.id})))


def _is_pair(child: Element, name: str) -> bool:
    return child.tag == "nvpair" and child.get("name") == name
