"""Assign every resource: connections to remote nodes first, since what runs there depends on them.

Where room is accounted for, resources that are harder to place come first.
Source: Pacemaker's order of assignment; Pacemaker Explained, "Utilization and Placement Strategy".
"""

from functools import cmp_to_key

from komainu.scheduler import assign as choice
from komainu.scheduler import together, tree
from komainu.scheduler.job import Candidate, Job, Resource
from komainu.scheduler.words import INFINITY


def assign(job: Job) -> None:
    """Assign all resources in their order."""
    if job.options.placement_strategy != "default":
        _sort_for_room(job)
    for rsc in job.resources:
        if rsc.is_remote_connection:
            rsc.variant.assign(job, rsc, rsc.partial_target, final=True)
    for rsc in job.resources:
        if not rsc.is_remote_connection:
            rsc.variant.assign(job, rsc, None, final=True)


def _sort_for_room(job: Job) -> None:
    """Sort by priority, then by how much each wants its present node, then by its wishes for the best nodes."""
    order = [row.node.id for row in choice.sort_nodes(job, _everywhere(job), None)]
    tables = {rsc.id: together.wishes_for_sorting(rsc, follows_primaries=True) for rsc in job.resources}

    def score(rsc: Resource, node_id: str) -> int:
        row = tables[rsc.id].get(node_id)
        return -INFINITY if row is None else row.score

    def compare(left: Resource, right: Resource) -> int:
        if left.priority != right.priority:
            return right.priority - left.priority
        homes = tree.current_node(left), tree.current_node(right)
        own = [
            -INFINITY if home is None else score(rsc, home.id)
            for rsc, home in zip((left, right), homes, strict=True)
        ]
        if homes[0] is not None or homes[1] is not None:
            both_same = homes[0] is homes[1]
            if own[0] != own[1] and not (both_same and homes[0] is None):
                return own[1] - own[0]
        for node_id in order:
            difference = score(right, node_id) - score(left, node_id)
            if difference:
                return difference
        return 0

    job.resources.sort(key=cmp_to_key(compare))


def _everywhere(job: Job) -> list[Candidate]:
    return [Candidate(node, node.base_score) for node in job.nodes]
