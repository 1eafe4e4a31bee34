"""Forget a resource's history on a node, between its stop and its start."""

from komainu.scheduler import actions, ordering
from komainu.scheduler.actions import key_of
from komainu.scheduler.job import Job, Node, Resource
from komainu.scheduler.words import Rel


def schedule(job: Job, rsc: Resource, node: Node, *, optional: bool) -> None:
    """Delete the history of a resource that is not failed, on a node that can do so."""
    if rsc.failed or not node.is_clean_online:
        return
    delete = actions.make(job, rsc, "delete", node, optional=optional)
    flags = Rel.FIRST_IMPLIES_THEN if optional else Rel.ORDERED
    ordering.between(job, (rsc, key_of(rsc.id, "stop")), (rsc, key_of(rsc.id, "delete")), flags)
    ordering.between(job, delete, (rsc, key_of(rsc.id, "start")), flags)
