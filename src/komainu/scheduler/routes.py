"""Say which full member an action on a remote node goes through: the one that holds the connection."""

from typing import Final

from komainu.scheduler import tree
from komainu.scheduler.job import Action, Node

_BEFORE_MOVE: Final = frozenset({"cancel", "stop", "demote", "migrate_to", "migrate_from"})
"""What has to be done while the connection is still where it was."""


def router(action: Action) -> Node | None:
    """Return the node that passes the action on; None where none is needed."""
    node = action.node
    if node is None or not node.is_remote or action.task == "stonith" or node.connection is None:
        return None
    connection = node.connection
    before, after = tree.current_node(connection), connection.assigned_to
    if before is None or after is None or before is after:
        return before or after
    task = action.meta.get("notify_operation", "") if action.task == "notify" else action.task
    is_partial = connection.launcher is None and connection.partial_target is not None
    return before if task in _BEFORE_MOVE and not is_partial else after
