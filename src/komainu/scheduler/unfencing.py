"""Let nodes back onto what they were cut off from: unfencing before probes and starts that need it.

Source: Pacemaker Explained, "Unfencing"; the attributes #node-unfenced and #digests-all are the field's.
"""

from komainu.cib.digest import digest
from komainu.scheduler import actions, digests
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.options import parse_int
from komainu.scheduler.words import Rel, Requires


def is_unfenced(node: Node) -> bool:
    """Tell whether the node was ever let in."""
    return parse_int(node.attributes.get("#node-unfenced"), 0) > 0


def _concerns(job: Job, rsc: Resource) -> bool:
    if not job.unfencing_in_use:
        return False
    return rsc.is_fence_device or rsc.requires is Requires.UNFENCING


def order_before(job: Job, rsc: Resource, node: Node, action: Action, flags: int) -> None:
    """Put a node's unfencing before an action that needs it."""
    if not _concerns(job, rsc):
        return
    unfence = actions.fence_action(job, node, operation="on", optional=True, reason=None)
    actions.relate(unfence, action, flags)
    if not is_unfenced(node):
        trigger(job, None, node, f"required by {rsc.id} {action.task}", None)


def trigger(
    job: Job, rsc: Resource | None, node: Node | None, reason: str, dependency: Action | None
) -> None:
    """Demand that a node (without one: every node) is unfenced."""
    if not job.unfencing_in_use:
        return
    if rsc is not None and not rsc.is_fence_device:
        return
    if node is None:
        for other in job.nodes:
            if other.is_clean_online and not other.shutdown:
                trigger(job, rsc, other, reason, dependency)
        return
    if not node.online or node.unclean or node.shutdown:
        return
    unfence = actions.fence_action(job, node, operation="on", optional=False, reason=reason)
    if dependency is not None:
        actions.relate(unfence, dependency, Rel.ORDERED)
    elif not is_unfenced(node) or rsc is not None:
        unfence.clear(1)


def order_restart(job: Job, rsc: Resource) -> None:
    """Order stop, unfencing and start on each node for what needs unfencing."""
    if rsc.is_fence_device or not _concerns(job, rsc):
        return
    from komainu.scheduler import ordering
    from komainu.scheduler.actions import key_of

    for node_id in sorted(rsc.table):
        node = rsc.table[node_id].node
        unfence = actions.fence_action(job, node, operation="on", optional=True, reason=None)
        ordering.between(
            job,
            (rsc, key_of(rsc.id, "stop")),
            unfence,
            Rel.ORDERED | Rel.IF_ON_SAME_NODE,
        )
        ordering.between(
            job,
            unfence,
            (rsc, key_of(rsc.id, "start")),
            Rel.FIRST_IMPLIES_SAME_NODE_THEN | Rel.IF_ON_SAME_NODE,
        )


def note_digests(job: Job, action: Action, node: Node) -> None:
    """Add to a fencing action the digests of the devices that unfence, so that changes are seen."""
    texts = {"digests-all": "", "digests-secure": ""}
    for rsc in (part for top in job.resources for part in top.primitives()):
        if not rsc.is_fence_device or rsc.meta.get("provides") != "unfencing":
            continue
        parameters = digests.node_parameters(job, rsc, node)
        name = f"{rsc.id}:{rsc.xml.get('type')}"
        texts["digests-all"] += f"{name}:{digest(parameters)},"
        texts["digests-secure"] += f"{name}:{digest(digests.shown_to_all(rsc, parameters))},"
    action.meta.update(texts)
