"""Keep what comes for a machine that stands still until it goes on.

Decides nothing. Whoever carries something to machines asks here first. A machine's drive has a queue of its own (race_world.py).
"""

from collections.abc import Callable

from komainu.model.ids import NodeId


class Frozen:
    """The machines that stand still, and what waits for each of them."""

    def __init__(self) -> None:
        self._waiting: dict[NodeId, list[Callable[[], None]]] = {}

    def freeze(self, node: NodeId) -> None:
        """Let a machine stand still."""
        self._waiting[node] = []

    def thaw(self, node: NodeId) -> None:
        """Let it go on with what has waited, in its order."""
        for act in self._waiting.pop(node, []):
            act()

    def holds(self, node: NodeId, act: Callable[[], None]) -> bool:
        """Whether this has to wait for the machine; then it is done when that goes on."""
        waiting = self._waiting.get(node)
        if waiting is not None:
            waiting.append(act)
        return waiting is not None
