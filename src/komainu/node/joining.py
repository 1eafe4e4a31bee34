"""Decide when this node says what runs on it, from when on it may be used; and what it says with it, and later of itself.

A core without input or output. It must not know what follows from that.

In a quorate view nothing is said before every member has stored that view: from then on no disk says any more that this
node is down in order (node/replica.py), and something may run on it.
"""

from komainu.cib.command import AnyCommand, JoinNode
from komainu.cib.element import Element
from komainu.cib.pending import pending_operations
from komainu.executor.executor import Executor
from komainu.model.cause import Cause
from komainu.model.ids import WallTime
from komainu.model.view import Position
from komainu.node.last_resort import LastResort
from komainu.node.workload import Workload
from komainu.ring.interface import Ring


class Joining:
    """What this node has to say of itself, until it has said it."""

    def __init__(self, executor: Executor, last_resort: LastResort) -> None:
        self._executor = executor
        self._last_resort = last_resort
        self.workload = Workload(executor.node)
        self._since: Position | None = None  # when the state said that it is a member

    def begin(self, position: Position) -> None:
        """Take in that the state, at this position, has this node as a member that said nothing yet."""
        self._since = position

    def due(self, ring: Ring, begun: Position, cib: Element, wall: WallTime) -> list[AnyCommand]:
        """Return what is to be said now, once; nothing while it has to wait for the view that began at `begun`."""
        view = ring.view
        if self._since is None:
            return [*self.workload.due(cib, wall)]
        if view is None or (view.quorate and ring.stable < begun):
            return []
        node = self._executor.node
        cause = Cause("membership.joined", f"{node} says what runs on it", (str(self._since),))
        self._since = None
        before, after = self._last_resort.before_join(wall), self._last_resort.after_join(cib, wall)
        after += self.workload.after_join(cib, wall)
        return [*before, _joining(cause, wall, self._executor, cib), *after]


def _joining(cause: Cause, at: WallTime, executor: Executor, cib: Element) -> JoinNode:
    """Say what runs on this node, and what the state shows as handed to it although it never came."""
    history = executor.history()
    known = executor.owed() | {result.request.transition_key for result in history}
    pending = (entry for entry in pending_operations(cib) if entry.node == executor.node)
    never_handed = tuple(entry.transition_key for entry in pending if entry.transition_key not in known)
    return JoinNode(cause, at, "", executor.node, history, never_handed)
