"""Find what was handed to nodes and has no result yet: the coordinator plans nothing new before it has.

Must not know what the operations are for.
"""

from typing import NamedTuple

from komainu.cib.element import Element
from komainu.cib.history import is_pending
from komainu.cib.nodes import is_member, name_of, node_states
from komainu.cib.options import read_int
from komainu.model.ids import NodeName, ResourceId


class PendingOperation(NamedTuple):
    """One operation that waits for its result."""

    node: NodeName
    resource: ResourceId
    operation: str
    interval_ms: int
    transition_key: str


def pending_operations(cib: Element) -> tuple[PendingOperation, ...]:
    """List the pending operations of members, in document order.

    A node that is gone will not answer any more: what it was handed is not waited for.
    """
    found: list[PendingOperation] = []
    for state in node_states(cib):
        listing = state.at("lrm", "lrm_resources")
        if listing is None or not is_member(state):
            continue
        for home in listing.children:
            found += [_read(state, home, entry) for entry in home.children if is_pending(entry)]
    return tuple(found)


def _read(state: Element, home: Element, entry: Element) -> PendingOperation:
    return PendingOperation(
        node=name_of(state),
        resource=ResourceId(home.id),
        operation=entry.get("operation") or "",
        interval_ms=read_int(entry.get("interval")),
        transition_key=entry.get("transition-key") or "",
    )
