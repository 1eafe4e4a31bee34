"""Read from the agreed state what each node is: member, joined, standby, lost. For status, waiting and joining.

Decides nothing; what follows from it is the scheduler's. Source: the CIB's `node_state` (in_ccm, crmd, join,
expected) and node attributes.
"""

from dataclasses import dataclass
from typing import Final

from komainu.cib import nodes
from komainu.cib.command import JoinNode
from komainu.cib.element import Element
from komainu.cib.nodes import is_member, name_of, node_entries, node_states
from komainu.cib.pending import pending_operations
from komainu.executor.executor import Executor
from komainu.model.cause import Cause
from komainu.model.ids import NodeName, WallTime
from komainu.model.view import Position, View

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


def joining(cause: Cause, at: WallTime, executor: Executor, cib: Element) -> JoinNode:
    """Say what runs on this node, and what the state shows as handed to it although it never came."""
    history = executor.history()
    known = executor.owed() | {result.request.transition_key for result in history}
    pending = (entry for entry in pending_operations(cib) if entry.node == executor.node)
    never_handed = tuple(entry.transition_key for entry in pending if entry.transition_key not in known)
    return JoinNode(cause, at, "", executor.node, history, never_handed)


class Joining:
    """When this node says what runs on it, and may be used from then on.

    In a quorate view not before every member has stored that view: no disk may say any more that it is down in order.
    """

    def __init__(self, node: NodeName) -> None:
        self._node = node
        self._since: Position | None = None  # when the state said that it is a member

    def due(self, position: Position) -> None:
        """Take in that it is time to say it."""
        self._since = position

    def may_join(self, view: View | None, stable: Position, begun: Position) -> Cause | None:
        """Return why it is said now, once; None while there is nothing to say or it has to wait."""
        if self._since is None or view is None or (view.quorate and stable < begun):
            return None
        cause = Cause("membership.joined", f"{self._node} says what runs on it", (str(self._since),))
        self._since = None
        return cause


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
