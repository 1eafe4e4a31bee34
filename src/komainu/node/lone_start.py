"""Decide when a part of the cluster need not wait for the nodes that were never seen: an operator vouched for them.

Pure. Must not know: what wait_for_all is, and who counts for quorum (ring/quorum.py). Here it is only whether every
node that is not here was confirmed off since it was here last.
"""

from collections.abc import Collection, Mapping

from komainu.model.ids import NodeId, NodeName
from komainu.model.view import View


class LoneStart:
    """The nodes that an operator confirmed off since they were here last."""

    def __init__(self, names: Mapping[NodeId, NodeName]) -> None:
        self._names = names
        self._off: set[NodeName] = set()

    def begin_view(self, members: Collection[NodeId]) -> None:
        """Forget what was said of nodes that are here now."""
        self._off -= {self._names[node] for node in members}

    def confirmed(self, node: NodeName, view: View | None) -> bool:
        """Take in an operator's word on a node; whether nobody else is waited for in this view."""
        if view is None:
            return False
        self._off.add(node)
        missing = {name for member, name in self._names.items() if member not in view.members}
        return not view.quorate and missing <= self._off
