"""Read from the agreed state what each node is: member, joined, standby, lost. For status, waiting and joining.

Decides nothing; what follows from it is the scheduler's. Source: the CIB's `node_state` (in_ccm, crmd, join,
expected) and node attributes.
"""

from dataclasses import dataclass
from typing import Final

from komainu.cib import nodes
from komainu.cib.element import Element
from komainu.cib.nodes import is_member, name_of, node_entries, node_states
from komainu.model.ids import NodeName

_YES: Final = {"true", "yes", "on", "1", "y"}


@dataclass(frozen=True, slots=True)
class NodeCondition:
    """What the agreed state says of one node."""

    name: NodeName
    is_member: bool
    has_joined: bool
    is_lost: bool  # it went without a word and is not confirmed off
    is_standby: bool
    is_in_maintenance: bool
    is_leaving: bool

    @property
    def word(self) -> str:
        """The one word that status shows."""
        if self.is_lost:
            return "unclean"
        if not self.is_member:
            return "offline"
        if not self.has_joined:
            return "pending"
        if self.is_leaving:
            return "leaving"
        if self.is_in_maintenance:
            return "maintenance"
        return "standby" if self.is_standby else "online"


def node_conditions(cib: Element) -> tuple[NodeCondition, ...]:
    """Read every configured node, in document order."""
    states = {name_of(state): state for state in node_states(cib)}
    return tuple(
        _condition(node, states.get(NodeName(node.get("uname") or ""))) for node in node_entries(cib)
    )


def has_joined(cib: Element, name: NodeName) -> bool:
    """Whether the state knows what runs on this node."""
    return nodes.has_joined(nodes.node_state(cib, name))


def nodes_joined(cib: Element) -> bool:
    """Whether every member has said what runs on it."""
    return all(node.has_joined for node in node_conditions(cib) if node.is_member)


def _condition(node: Element, state: Element | None) -> NodeCondition:
    attributes = _attributes(node)
    transient = {} if state is None else _attributes(state.first("transient_attributes"))
    is_here = is_member(state)
    expected = "" if state is None else state.get("expected", "")
    return NodeCondition(
        name=NodeName(node.get("uname") or node.id),
        is_member=is_here,
        has_joined=nodes.has_joined(state),
        is_lost=not is_here and expected == "member",
        is_standby=attributes.get("standby", "").lower() in _YES,
        is_in_maintenance=attributes.get("maintenance", "").lower() in _YES,
        is_leaving=transient.get("shutdown", "0") not in {"", "0"},
    )


def _attributes(owner: Element | None) -> dict[str, str]:
    """Collect the name-value pairs of a node's attribute sets; the first of a name wins."""
    pairs: dict[str, str] = {}
    for block in () if owner is None else owner.all("instance_attributes"):
        for pair in block.all("nvpair"):
            pairs.setdefault(pair.get("name") or "", pair.get("value") or "")
    return pairs
