"""Find nodes in the CIB: their ids, their entries, their states and transient attributes.

Decides how a `node_state` is found and changed; must not know why. Source: the CIB's `nodes` section and
`node_state` (id, uname), Pacemaker Explained, "Cluster Node State".
"""

from collections.abc import Iterator, Mapping
from typing import Final

from komainu.cib.element import Element
from komainu.cib.tree import Change, replace_child, update_at
from komainu.model.ids import NodeName

STATUS: Final = ("status",)

DOWN: Final = {"in_ccm": "false", "crmd": "offline", "join": "down", "expected": "down"}
"""What a node's state says when nothing runs there and nothing is missed."""


def node_entries(cib: Element) -> Iterator[Element]:
    """Give the configured nodes, in document order."""
    nodes = cib.at("configuration", "nodes")
    return iter(()) if nodes is None else nodes.all("node")


def node_states(cib: Element) -> Iterator[Element]:
    """Give the states of nodes, in document order."""
    status = cib.first("status")
    return iter(()) if status is None else status.all("node_state")


def node_id(cib: Element, name: NodeName) -> str | None:
    """Return a node's id; None when neither configuration nor status knows the node."""
    for node in (*node_entries(cib), *node_states(cib)):
        if node.get("uname") == name:
            return node.id
    return None


def node_state(cib: Element, name: NodeName) -> Element | None:
    """Return a node's state."""
    return next((state for state in node_states(cib) if state.get("uname") == name), None)


def name_of(state: Element) -> NodeName:
    """Return the name that a node's state carries."""
    return NodeName(state.get("uname") or state.id)


def is_member(state: Element | None) -> bool:
    """Whether a node's state says that it is in the membership; later releases write a time for true."""
    return state is not None and (state.get("in_ccm") or "false") not in {"false", "0"}


def is_lost(state: Element) -> bool:
    """Whether a node is away that did not leave and is not confirmed off."""
    return not is_member(state) and state.get("expected") == "member"


def is_cleanly_down(state: Element) -> bool:
    """Whether a node left or is confirmed off, and nothing is on record that it may have left running."""
    return not is_member(state) and state.get("expected") == "down" and state.first("lrm") is None


def has_joined(state: Element | None) -> bool:
    """Whether a member has said what runs on it."""
    return state is not None and is_member(state) and state.get("join") == "member"


def update_state(cib: Element, name: NodeName, change: Change) -> Element:
    """Return a CIB in which a node's state is changed; a missing one is made if the node is known."""
    state = node_state(cib, name)
    if state is not None:
        changed = change(state)
        if changed is state:
            return cib
        return update_at(cib, STATUS, lambda status: replace_child(status, state, changed))
    identity = node_id(cib, name)
    if identity is None:
        return cib
    made = change(Element("node_state", {"id": identity, "uname": name}))
    return update_at(cib, STATUS, lambda status: status.with_children((*status.children, made)))


def with_all(element: Element, changes: Mapping[str, str | None]) -> Element:
    """Return a copy with these attributes set, or removed where None; the same element if they are so."""
    if all(element.get(name) == text for name, text in changes.items()):
        return element
    merged = dict(element.attributes)
    for name, text in changes.items():
        if text is None:
            merged.pop(name, None)
        else:
            merged[name] = text
    return Element(element.tag, merged, element.children, element.line)
