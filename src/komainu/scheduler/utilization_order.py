"""Order what leaves a node before what comes to it, where room is accounted for.

Each node gets a point at which its load is gone: `load_stopped_NODE`.
Source: Pacemaker Explained, "Utilization and Placement Strategy".
"""

from komainu.scheduler import actions, ordering
from komainu.scheduler.actions import key_of
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.words import Flag, Rel


def _load_stopped(job: Job, node: Node) -> Action:
    name = f"load_stopped_{node.name}"
    action = actions.make(job, None, name, node, optional=False, key=name)
    action.set(Flag.PSEUDO | Flag.RUNNABLE)
    return action


def add(job: Job, rsc: Resource) -> None:
    """Add the orderings around a node's load for a resource that needs room."""
    if not rsc.utilization or job.options.placement_strategy == "default":
        return
    for node in rsc.active:
        gone = _load_stopped(job, node)
        stop = (rsc, key_of(rsc.id, "stop"))
        ordering.between(job, stop, gone, Rel.IF_ON_SAME_NODE_OR_TARGET)
    for row in sorted(rsc.table.values(), key=lambda r: r.node.name):
        gone = _load_stopped(job, row.node)
        for task in ("start", "migrate_to"):
            ordering.between(job, gone, (rsc, key_of(rsc.id, task)), Rel.IF_ON_SAME_NODE_OR_TARGET)
