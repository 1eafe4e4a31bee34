"""Decide which nodes are fenced or may shut down, and order resources around that.

Source: Pacemaker Explained, "Fencing", "concurrent-fencing"; what was active on a fenced node is taken as stopped.
"""

from komainu.scheduler import actions, notify, ordering
from komainu.scheduler.actions import find_first, relate
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.words import Flag, Kind, Rel, Requires


def schedule(job: Job) -> None:
    """Create the fencings and shutdowns that are due, and order them among each other."""
    has_managed = any(_is_managed(rsc) for rsc in job.resources)
    coordinator_down: Action | None = None
    fencings: list[Action] = []
    shutdowns: list[Action] = []
    for node in job.nodes:
        if node.is_guest:
            if node.reset_needed and has_managed and actions.can_fence(job, node):
                _fence_guest(job, node)
            continue
        down = None
        if has_managed and node.unclean and actions.can_fence(job, node):
            down = actions.fence_action(job, node, optional=False, reason="node is unclean")
            order_around(job, down)
            if node is not job.dc_node:
                if not job.options.concurrent_fencing and fencings:
                    relate(fencings[-1], down, Rel.ORDERED)
                fencings.append(down)
        elif not node.is_remote and node.online and node.shutdown:
            down = _shut_down(job, node)
            if node is not job.dc_node:
                shutdowns.append(down)
        if node is job.dc_node and down is not None:
            coordinator_down = down
    if coordinator_down is None:
        return
    if coordinator_down.task == "do_shutdown":
        for other in shutdowns:
            relate(other, coordinator_down, Rel.ORDERED)
    for fencing in fencings if job.options.concurrent_fencing else fencings[-1:]:
        relate(fencing, coordinator_down, Rel.ORDERED)


def _is_managed(rsc: Resource) -> bool:
    return rsc.managed or any(_is_managed(child) for child in rsc.children)


def _fence_guest(job: Job, node: Node) -> None:
    """A guest is fenced by stopping what it lives in; a pseudo action stands for that."""
    connection = node.connection
    assert connection is not None, "a guest has a connection"
    launcher = connection.launcher
    stop = start = None
    operation = "off"
    if launcher is not None:
        stop = find_first(launcher, "stop", None)
        start = find_first(launcher, "start", None)
        if start is not None:
            operation = "reboot"
    fencing = actions.fence_action(job, node, operation=operation, optional=False, reason="guest is unclean")
    fencing.clear(Flag.OPTIONAL)
    fencing.give_reason("guest is unclean")
    fencing.set(Flag.PSEUDO | Flag.RUNNABLE)
    if stop is not None and stop.is_pseudo and stop.node is not None:
        host_fencing = actions.fence_action(job, stop.node, optional=True, reason=None)
        relate(host_fencing, fencing, Rel.FIRST_IMPLIES_THEN)
    elif stop is not None:
        relate(stop, fencing, Rel.UNRUNNABLE_FIRST_BLOCKS | Rel.FIRST_IMPLIES_THEN)
    else:
        # The launcher is gone without a stop; the connection's stop tells when it is over.
        gone = find_first(connection, "stop", None)
        if gone is not None:
            relate(gone, fencing, Rel.ORDERED)
    order_around(job, fencing)


def _shut_down(job: Job, node: Node) -> Action:
    key = f"do_shutdown-{node.name}"
    shutdown = actions.make(job, None, "do_shutdown", node, optional=False, key=key)
    for action in list(job.actions):
        rsc = action.resource
        if rsc is None or action.node is not node or action.task != "stop":
            continue
        if rsc.maintenance or node.maintenance or not (rsc.managed or rsc.blocked):
            continue
        action.clear(Flag.OPTIONAL)
        ordering.between(job, action, shutdown, Rel.ORDERED | Rel.UNRUNNABLE_FIRST_BLOCKS)
    shutdown.meta["op_no_wait"] = "true"
    return shutdown


# -- resources around a fencing -------------------------------------------------------------------------


def order_around(job: Job, fencing: Action) -> None:
    """Order the actions of all resources around a fencing."""
    for rsc in job.resources:
        _order_resource(job, rsc, fencing)


def _order_resource(job: Job, rsc: Resource, fencing: Action) -> None:
    if rsc.kind is not Kind.PRIMITIVE:
        for child in rsc.children:
            _order_resource(job, child, fencing)
        return
    if rsc.managed:
        _order_up(rsc, fencing)
        _order_down(job, rsc, fencing)


def _order_up(rsc: Resource, fencing: Action) -> None:
    target = fencing.node
    assert target is not None, "a fencing has a target"
    may_be_there = target.id in rsc.table and not _is_known(rsc, target)
    for action in rsc.actions:
        if action.needs >= Requires.FENCING:
            relate(fencing, action, Rel.ORDERED)
        elif action.needs is Requires.QUORUM and action.task == "start" and may_be_there:
            relate(fencing, action, Rel.ORDERED | Rel.UNRUNNABLE_FIRST_BLOCKS)


def _is_known(rsc: Resource, node: Node) -> bool:
    """Tell whether a history says what the resource is doing on a node.

    Instances that are interchangeable share what is known; members of a cloned group do not, of which some may be known.
    """
    if node.id in rsc.known:
        return True
    return rsc.parent is not None and rsc.parent.is_anonymous_clone and node.id in rsc.parent.known


def _order_down(job: Job, rsc: Resource, fencing: Action) -> None:
    """What is to be stopped on a fenced node is stopped by that."""
    target = fencing.node
    assert target is not None, "a fencing has a target"
    stops = actions.find_task(rsc, "stop", target)
    waits = rsc.requires >= Requires.FENCING or target.is_guest
    parent_stop = find_first(rsc.top, "stop", None) if stops and waits else None
    is_bundled = rsc.bundle_owner is not None
    for stop in stops:
        stop.set(Flag.PSEUDO | Flag.RUNNABLE)
        if waits:
            if not is_bundled:
                relate(fencing, stop, Rel.GUEST_ALLOWED)
            relate(fencing, parent_stop, Rel.GUEST_ALLOWED)
        if rsc.notify:
            notify.order_after_fencing(job, stop, rsc, fencing)
    for demote in actions.find_task(rsc, "demote", target):
        node = demote.node
        if node is None or not (not node.online or node.unclean or rsc.failed):
            continue
        demote.set(Flag.PSEUDO | Flag.RUNNABLE)
        if not is_bundled and waits:
            relate(fencing, demote, Rel.GUEST_ALLOWED)
