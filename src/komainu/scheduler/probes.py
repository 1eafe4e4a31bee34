"""Decide which resources are probed on which nodes: where nothing is known, it must be found out before a start.

Source: Pacemaker Explained, "resource-discovery", "enable-startup-probes".
"""

from collections.abc import Iterable

from komainu.model.role import Role
from komainu.scheduler import actions, failcounts, instances, ordering, remote_actions, tree, unfencing
from komainu.scheduler.actions import key_of
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.options import is_true
from komainu.scheduler.words import Discovery, Flag, Kind, Rel


def schedule(job: Job) -> None:
    """Probe on each node whatever is not known there."""
    for node in job.nodes:
        if not node.online:
            if remote_actions.is_failed_remote(node):
                actions.fence_node(job, node, "the connection is unrecoverable")
            continue
        if node.unclean or not node.allows_discovery:
            continue
        probed = node.attributes.get("probe_complete")
        if probed is not None and not is_true(probed):
            # Only CIBs from before Pacemaker 1.1.14 say so.
            reprobe = actions.make(
                job, None, "probe_complete", node, optional=False, key=f"reprobe-{node.name}"
            )
            reprobe.meta["op_no_wait"] = "true"
            continue
        each(job, job.resources, node)


def each(job: Job, resources: Iterable[Resource], node: Node) -> bool:
    """Probe each of the resources; tell whether any was."""
    unknown = [rsc for rsc in resources if rsc.kind is not Kind.PRIMITIVE or node.id not in rsc.known]
    results = [rsc.variant.create_probe(job, rsc, node) for rsc in unknown]
    return any(results)


def primitive(job: Job, rsc: Resource, node: Node) -> bool:
    """Probe a primitive on a node, if that is needed and allowed."""
    if not _is_wanted(job, rsc, node) or _settles_by_guest(job, rsc, node):
        return False
    top = rsc.top if rsc.top.kind is Kind.CLONE else rsc
    probe = make(job, rsc, node)
    flags = Rel.ORDERED
    if not probe.is_runnable and not top.active:
        flags |= Rel.UNRUNNABLE_FIRST_BLOCKS
    ordering.between(job, probe, (top, key_of(top.id, "start")), flags)
    ordering.between(job, probe, (top, key_of(rsc.id, "reload-agent")), Rel.ORDERED)
    return True


def _is_wanted(job: Job, rsc: Resource, node: Node) -> bool:
    if not job.options.startup_probes or rsc.removed or node.id in rsc.known:
        return False
    if node.is_remote and (rsc.is_fence_device or rsc.is_remote_connection):
        return False
    if node.is_guest and tree.contains_remote_node(rsc) is not None:
        return False
    if rsc.launcher is not None and not rsc.is_remote_connection:
        return False
    row = rsc.table.get(node.id)
    if rsc.exclusive_discovery or rsc.top.exclusive_discovery:
        return row is not None and row.discovery is Discovery.EXCLUSIVE
    discovery = node.default_discovery if row is None else row.discovery
    return discovery is not Discovery.NEVER


def _settles_by_guest(job: Job, rsc: Resource, node: Node) -> bool:
    """On a guest that is or will be stopped nothing is active: no probe, but the start waits."""
    launcher = node.connection.launcher if node.connection is not None else None
    if not node.is_guest or launcher is None:
        return False
    top = rsc.top
    if launcher.role is Role.STOPPED:
        _wait_for_probe(job, launcher, top)
        return True
    home = launcher.assigned_to
    is_leaving = home is not None and home not in launcher.active
    if launcher.next_role is Role.STOPPED or is_leaving or launcher.failed or node.reset_needed:
        ordering.tasks(job, (launcher, "stop"), (top, "start"), Rel.ORDERED)
        return True
    return False


def _wait_for_probe(job: Job, first: Resource, then: Resource) -> None:
    home = first.assigned_to
    if home is not None and home.id not in first.known:
        ordering.tasks(job, (first, "monitor"), (then, "start"), Rel.ORDERED)


def make(job: Job, rsc: Resource, node: Node) -> Action:
    """Create a probe; it is expected to find what is believed."""
    probe = actions.make(job, rsc, "monitor", node, optional=False)
    probe.clear(Flag.OPTIONAL)
    unfencing.order_before(job, rsc, node, probe, Rel.ORDERED)
    if node not in rsc.active:
        probe.meta["op_target_rc"] = "7"
    elif rsc.role is Role.PROMOTED:
        probe.meta["op_target_rc"] = "8"
    return probe


def clear_removed_failures(job: Job) -> None:
    """Forget the failures of resources that are no longer configured."""
    for rsc in job.resources:
        if not rsc.removed:
            continue
        for node in job.nodes:
            if node.online and failcounts.effective(job, rsc, node).count:
                clear = failcounts.clear_failcount(job, rsc, node, "it is orphaned")
                ordering.between(job, clear, (rsc, key_of(rsc.id, "stop")), Rel.ORDERED)


# -- probes and the actions of others -------------------------------------------------------------------


def order_with_others(job: Job) -> None:
    """Put probes before what depends, through others, on what they will find."""
    for rsc in job.resources:
        for primitive_ in rsc.primitives():
            for probe in actions.find_task(primitive_, "monitor"):
                _order_restarts(job, probe)
    _order_like_stops(job)


def _order_restarts(job: Job, probe: Action) -> None:
    """What is ordered after a probe by its start is ordered after it by its stop, too: it may restart."""
    for relation in reversed(list(probe.after)):
        _order_inactive_instances(probe, relation.action, relation.flags)
    seen: set[int] = set()
    stack = [relation.action for relation in probe.after]
    while stack:
        after = stack.pop()
        if after.number in seen:
            continue
        seen.add(after.number)
        _order_before_down(probe, after)
        followers = [
            r.action
            for r in after.after
            if r.flags & Rel.FIRST_IMPLIES_THEN or _leads_down(job, probe, after, r.action)
        ]
        stack.extend(followers)


def _order_inactive_instances(probe: Action, after: Action, flags: int) -> None:
    """Instances that are not up must not start before a probe that cannot be carried out."""
    rsc, probed = after.resource, probe.resource
    if rsc is None or probed is None or rsc.kind in {Kind.PRIMITIVE, Kind.GROUP}:
        return
    if (
        probe.is_runnable
        or flags & Rel.UNRUNNABLE_FIRST_BLOCKS
        or probed.top is not rsc
        or after.task != "start"
    ):
        return
    for relation in reversed(list(after.after)):
        then = relation.action
        if (
            then.resource is None
            or then.resource.active
            or then.resource.top is not rsc
            or then.task != "start"
        ):
            continue
        actions.relate(probe, then, Rel.ORDERED | Rel.UNRUNNABLE_FIRST_BLOCKS)


def _order_before_down(probe: Action, after: Action) -> None:
    rsc = after.resource
    if rsc is None or rsc.kind is not Kind.PRIMITIVE or rsc is probe.resource:
        return
    down = {"start": "stop", "promote": "demote"}.get(after.task)
    if down is None:
        return
    for then in actions.find_task(rsc, down):
        if not then.is_pseudo:
            actions.relate(probe, then, Rel.ORDERED)


def _leads_down(job: Job, probe: Action, after: Action, then: Action) -> bool:
    """Tell whether a relation leads from a collective to a part of it that matters to the probe."""
    whole, part, probed = after.resource, then.resource, probe.resource
    if whole is None or part is None or probed is None or whole.kind is Kind.PRIMITIVE:
        return False
    if probed.parent is whole or part.kind in {Kind.CLONE, Kind.BUNDLE} or part.parent is not whole:
        return False
    if whole.kind is Kind.GROUP or not is_true(whole.meta.get("interleave")):
        return True
    return instances.compatible(job, probed, whole, Role.UNKNOWN, current=False) is part


_KEPT_WHOLE = {Rel.IF_REQUIRED_ON_SAME_NODE, Rel.IF_ON_SAME_NODE_OR_TARGET}


def _order_like_stops(job: Job) -> None:
    """What waits for a stop waits for a probe of the same resource: it may find that a stop is needed."""
    for order in list(job.orderings):
        first_rsc, then_rsc = order.first_resource, order.then_resource
        if first_rsc is None or first_rsc is then_rsc or not order.flags:
            continue
        is_stop = (
            order.first.task == "stop" if order.first is not None else order.first_key.endswith("_stop_0")
        )
        if not is_stop:
            continue
        then_is_stop = (
            order.then.task == "stop" if order.then is not None else order.then_key.endswith("_stop_0")
        )
        if then_rsc is not None and first_rsc.launcher is then_rsc and then_is_stop:
            continue
        flags = Rel.ORDERED | order.flags & (Rel.IF_FIRST_UNMIGRATABLE | Rel.IF_ON_SAME_NODE)
        if order.flags in _KEPT_WHOLE:
            flags = order.flags
        probes = actions.find_task(first_rsc, "monitor")
        if not probes:
            continue
        if order.then is not None:
            thens = [order.then]
        else:
            thens = [] if then_rsc is None else actions.find_all(then_rsc, order.then_key, None)
        _relate_all(probes, thens, flags)


def _relate_all(probes: list[Action], thens: list[Action], flags: int) -> None:
    for probe in probes:
        for then in thens:
            if _is_about_other(probe, then):
                continue
            actions.relate(probe, then, flags)


def _is_about_other(probe: Action, then: Action) -> bool:
    """A probe does not hold up another node's shutdown, nor the unfencing that it waits for itself."""
    if then.task == "do_shutdown":
        return then.node is not probe.node
    return then.task == "stonith" and then.meta.get("stonith_action") == "on" and then.node is probe.node
