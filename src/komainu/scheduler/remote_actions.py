"""Order what happens on remote and guest nodes by the state of their connections.

A remote node whose connection cannot be had again, but where something is active, has to be fenced.
Source: Pacemaker Remote, "How the cluster manages remote nodes".
"""

from enum import Enum

from komainu.model.role import Role
from komainu.scheduler import actions, nodes, ordering, tree
from komainu.scheduler.actions import key_of
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.words import Flag, Rel


class Connection(Enum):
    """What can be done through a connection."""

    FAILED = "failed"  # it is gone for good
    STOPPED = "stopped"  # it goes down as it should
    UNKNOWN = "unknown"  # it is not up now, but may come up
    RESTING = "resting"  # it comes up elsewhere first
    ALIVE = "alive"


def state_of(node: Node) -> Connection:
    """Return the state of a remote node's connection."""
    rsc = node.connection
    if rsc is None:
        return Connection.STOPPED
    host = tree.current_node(rsc)
    if rsc.next_role is Role.STOPPED or rsc.assigned_to is None:
        if host is not None and host.unclean:
            return Connection.FAILED
        if not rsc.failed:
            return Connection.STOPPED
        may_reconnect = rsc.next_role is Role.STOPPED and rsc.reconnect_ms and node.was_fenced
        return Connection.UNKNOWN if may_reconnect and not nodes.wants_shutdown(node) else Connection.FAILED
    if host is None:
        return Connection.UNKNOWN
    if host.unclean or not host.online:
        return Connection.RESTING
    if len(rsc.active) > 1 and rsc.partial_source is not None and rsc.partial_target is not None:
        return Connection.RESTING
    return Connection.ALIVE


def is_failed_remote(node: Node) -> bool:
    """Tell whether a remote node cannot be reached any more."""
    return node.is_bare_remote and node.connection is not None and state_of(node) is Connection.FAILED


def note_maintenance(job: Job) -> None:
    """Let remote nodes know when their maintenance mode changed."""
    for node in job.nodes:
        if node.is_remote and node.maintenance != node.remote_maintenance:
            action = actions.make(
                job, None, "maintenance_nodes", None, optional=True, key="maintenance_nodes"
            )
            action.set(Flag.PSEUDO | Flag.RUNNABLE)
            action.is_forced_into_graph = True


def order(job: Job) -> None:
    """Order the actions on remote nodes."""
    if not any(node.is_remote for node in job.nodes):
        return
    for action in reversed(list(job.actions)):
        rsc, node = action.resource, action.node
        if rsc is None:
            continue
        if rsc.is_remote_connection and action.task == "clear_failcount":
            ordering.between(job, action, (rsc, key_of(rsc.id, "start")), Rel.ORDERED)
            continue
        if node is None or not node.is_remote or action.is_pseudo or node.connection is None:
            continue
        connection = node.connection
        if action.task == "start":
            _wait_on_old_node(job, rsc, node, connection)
        if connection.launcher is not None:
            _order_on_guest(job, action, node, connection.launcher)
        else:
            _order_on_remote(job, action, node)


def _wait_on_old_node(job: Job, rsc: Resource, node: Node, connection: Resource) -> None:
    """A resource that moves to a remote node stays where it is until the connection is up."""
    for action in reversed(list(rsc.actions)):
        if action.node is not node and action.task == "stop":
            ordering.between(job, (connection, key_of(connection.id, "start")), action, Rel.ORDERED)


def _after_start(job: Job, first: Resource, action: Action, extra: int = 0) -> None:
    """Order an action after a start that it needs.

    Not merely ordered: a constraint that says no more would count as the same relation, and this one as told already.
    """
    flags = Rel.UNRUNNABLE_FIRST_BLOCKS | extra
    ordering.between(job, (first, key_of(first.id, "start")), action, flags)


def _before_stop(job: Job, action: Action, then: Resource, extra: int = 0) -> None:
    ordering.between(job, action, (then, key_of(then.id, "stop")), extra or Rel.ORDERED)


def _order_on_guest(job: Job, action: Action, node: Node, launcher: Resource) -> None:
    connection = node.connection
    assert connection is not None, "only nodes with a connection come here"
    if launcher.failed:
        actions.fence_node(job, node, "container failed")
    match action.task:
        case "start" | "promote":
            _after_start(job, launcher, action, Rel.FIRST_IMPLIES_THEN)
            _after_start(job, connection, action)
        case "stop" | "demote" | "migrate_to" | "migrate_from":
            if not launcher.failed:
                _before_stop(job, action, connection)
        case _ if action.interval_ms:
            if action.task != "cancel":
                _after_start(job, connection, action, Rel.FIRST_IMPLIES_THEN)
        case _:
            _after_start(job, connection, action)


def _order_on_remote(job: Job, action: Action, node: Node) -> None:
    connection = node.connection
    assert connection is not None, "only nodes with a connection come here"
    state = state_of(node)
    match action.task:
        case "start" | "promote":
            extra = Rel.FIRST_IMPLIES_THEN if state is Connection.FAILED else 0
            _after_start(job, connection, action, extra)
        case "stop" | "migrate_to" | "migrate_from":
            # Both ends of a migration go through the connection as it is, before it moves or is closed itself.
            _order_stop(job, action, node, state)
        case "demote":
            if state in {Connection.RESTING, Connection.UNKNOWN}:
                _after_start(job, connection, action)
        case _ if action.interval_ms:
            _after_start(job, connection, action, Rel.FIRST_IMPLIES_THEN)
        case _:
            if action.task == "monitor" and state is Connection.FAILED:
                reason = "resources are in unknown state and connection is unrecoverable"
                actions.fence_node(job, node, reason)
            if tree.current_node(connection) is not None and state is Connection.STOPPED:
                _before_stop(job, action, connection, Rel.UNRUNNABLE_FIRST_BLOCKS)
            else:
                _after_start(job, connection, action)


def _order_stop(job: Job, action: Action, node: Node, state: Connection) -> None:
    connection = node.connection
    assert connection is not None, "only nodes with a connection come here"
    # A connection's stop demands the stop of what is behind it, but it does not demand a migration.
    demands = Rel.THEN_IMPLIES_FIRST if action.task == "stop" else 0
    if state is Connection.ALIVE:
        _before_stop(job, action, connection, demands)
    elif state is Connection.FAILED:
        actions.fence_node(job, node, "resources are active but connection is unrecoverable")
    elif connection.next_role is Role.STOPPED:
        _before_stop(job, action, connection, demands)
    else:
        _after_start(job, connection, action)
