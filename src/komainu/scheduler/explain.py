"""Explain a plan: how the node of each resource was chosen, what would change the choice, what demands each action.

Reads a finished run with its record; decides nothing. `plan.plan(…, explain=True)` and `komainu why --file` ask.
"""

from collections.abc import Iterable

from komainu.model.ids import NodeName, ResourceId
from komainu.model.provenance import Contribution, Explanation, NodeWeight, Weighing
from komainu.model.role import Role
from komainu.model.score import show
from komainu.scheduler import explain_actions, graph_details, tree
from komainu.scheduler.explain_scores import contributions, state_of
from komainu.scheduler.graph import Graph
from komainu.scheduler.job import Job, Resource
from komainu.scheduler.ledger import Ranked, Record
from komainu.scheduler.words import INFINITY


def whole(job: Job, record: Record, graph: Graph) -> Explanation:
    """Explain everything."""
    parts = [part for top in job.resources for part in top.primitives()]
    fencing = [d for s in graph.synapses if (d := explain_actions.of_fencing(job, s.action)) is not None]
    return Explanation(
        tuple(weigh(job, record, rsc) for rsc in parts if rsc.id in record.ranking or rsc.assigned_to),
        tuple(d for rsc in parts for d in explain_actions.of_resource(job, rsc)),
        tuple(fencing),
    )


def weigh(job: Job, record: Record, rsc: Resource) -> Weighing:
    """Explain how the node of a resource that an agent runs was chosen."""
    ranking = _chosen_first(rsc, record.ranking.get(rsc.id, []))
    nodes = tuple(_weight(job, record, rsc, ranked) for ranked in ranking)
    chosen = None if rsc.assigned_to is None else NodeName(rsc.assigned_to.name)
    return Weighing(
        ResourceId(rsc.id),
        tuple(NodeName(node.name) for node in rsc.active),
        chosen,
        _decision(job, rsc, ranking),
        _to_change(rsc, ranking, nodes),
        nodes,
    )


def _chosen_first(rsc: Resource, ranking: list[Ranked]) -> list[Ranked]:
    return sorted(ranking, key=lambda ranked: ranked.node is not rsc.assigned_to)


def _weight(job: Job, record: Record, rsc: Resource, ranked: Ranked) -> NodeWeight:
    found = contributions(job, record, rsc, ranked.node)
    state = state_of(ranked.node)
    excluded = ""
    if state and not ranked.node.is_guest:
        excluded = f"node {ranked.node.name} {state}"
    elif ranked.score < 0:
        excluded = _worst(found)
    return NodeWeight(NodeName(ranked.node.name), show(ranked.score), excluded, found)


def _worst(found: Iterable[Contribution]) -> str:
    """Say what excludes a node: what forbids it, else all that speaks against it."""
    texts = [one.text for one in found if one.score == "-INFINITY"]
    texts = texts or [one.text for one in found if one.score.startswith("-")]
    return "; ".join(dict.fromkeys(texts)) or "its score is below zero"


# -- what decided ---------------------------------------------------------------------------------------


def _decision(job: Job, rsc: Resource, ranking: list[Ranked]) -> str:
    if not rsc.managed:
        return _unmanaged(job, rsc)
    if job.options.stop_all_resources:
        return "stop-all-resources is set"
    if rsc.assigned_to is None:
        return _nowhere(rsc, ranking)
    usable = [ranked for ranked in ranking if ranked.score >= 0 and ranked.is_available]
    others = [ranked for ranked in usable if ranked.node is not rsc.assigned_to]
    mine = next((ranked for ranked in ranking if ranked.node is rsc.assigned_to), None)
    if not others or mine is None:
        return f"{rsc.assigned_to.name} is the only node that can run it"
    best = others[0]
    if mine.score > best.score:
        return f"{mine.node.name} has the highest score ({show(mine.score)}; next {best.node.name}: {show(best.score)})"
    if mine.score < best.score:
        return f"{mine.node.name} was kept, so that instances are not shuffled"
    return f"{mine.node.name} and {best.node.name} are worth the same ({show(mine.score)}); {_tie(job, rsc, mine, best)}"


def _tie(job: Job, rsc: Resource, mine: Ranked, best: Ranked) -> str:
    """Say what decides between nodes of the same score."""
    if mine.node is tree.current_node(rsc):
        return "it stays where it is"
    if job.options.placement_strategy in {"balanced", "utilization"}:
        return f"{mine.node.name} has more room, or comes first"
    if mine.assigned_count < best.assigned_count and job.options.placement_strategy != "minimal":
        counts = f"{mine.assigned_count} against {best.assigned_count} when it was chosen"
        return f"{mine.node.name} has fewer resources ({counts})"
    return f"{mine.node.name} comes first by name"


def _unmanaged(job: Job, rsc: Resource) -> str:
    if job.options.maintenance_mode:
        why = "the cluster is in maintenance-mode"
    elif rsc.blocked:
        why = "a failure blocks it, until it is cleaned up (komainu resource cleanup)"
    elif rsc.maintenance:
        why = "it is in maintenance"
    elif any(node.maintenance for node in rsc.active):
        why = "its node is in maintenance"
    elif job.options.fencing_enabled and not job.has_fence_device and not job.options.have_watchdog:
        why = "fencing is enabled, but there is no fence device: nothing is started or stopped"
    else:
        why = "it is not managed (is-managed)"
    return f"{why}, so it is left where it is"


def _nowhere(rsc: Resource, ranking: list[Ranked]) -> str:
    if rsc.removed:
        return "it is no longer configured"
    if not ranking:
        return "no constraint names a node for it, and the cluster is asymmetric (symmetric-cluster is false)"
    if all(not ranked.is_available for ranked in ranking):
        return "no node is available"
    return "no node that is available may run it"


# -- what would change it -------------------------------------------------------------------------------


def _to_change(rsc: Resource, ranking: list[Ranked], nodes: tuple[NodeWeight, ...]) -> str:
    """Say what would have to be different for the second best node (or any node) to be chosen."""
    if not rsc.managed or not nodes or rsc.removed:
        return ""
    if rsc.assigned_to is None:
        return _to_run(nodes)
    rivals = [
        (ranked, weight)
        for ranked, weight in zip(ranking, nodes, strict=True)
        if ranked.node is not rsc.assigned_to
    ]
    if not rivals:
        return ""
    _, weight = next((pair for pair in rivals if not pair[1].excluded), rivals[0])
    if weight.excluded:
        return f"for {weight.node} to be chosen, {_obstacle(weight.excluded)}"
    needed = points_needed(rsc, ranking)
    if needed is None:
        return ""
    return f"{weight.node} would be chosen with {show(needed)} more, for instance by a location constraint"


def _to_run(nodes: tuple[NodeWeight, ...]) -> str:
    """Choose the node with the fewest obstacles."""
    texts = {
        weight.node: dict.fromkeys(
            [one.text for one in weight.contributions if one.score == "-INFINITY"] or [weight.excluded]
        )
        for weight in nodes
    }
    best = min(texts, key=lambda node: len(texts[node]))
    listed = "; ".join(text for text in texts[best] if text)
    return f"to run on {best}, {_obstacle(listed)}" if listed else ""


def _obstacle(text: str) -> str:
    return f"this must not hold: {text}"


def points_needed(rsc: Resource, ranking: list[Ranked]) -> int | None:
    """Return how much the second best node lacks; None where points cannot help."""
    mine = next((ranked for ranked in ranking if ranked.node is rsc.assigned_to), None)
    rivals = [r for r in ranking if r.node is not rsc.assigned_to and r.is_available and r.score >= 0]
    if mine is None or not rivals or mine.score >= INFINITY:
        return None
    return max(1, mine.score - rivals[0].score + 1)


def rival(rsc: Resource, record: Record) -> str | None:
    """Name the second best node that can run the resource."""
    for ranked in record.ranking.get(rsc.id, []):
        if ranked.node is not rsc.assigned_to and ranked.is_available and ranked.score >= 0:
            return ranked.node.name
    return None


def promotion(rsc: Resource) -> str:
    """Say why an instance of a promotable clone is promoted or not; empty where it is no such instance."""
    clone = rsc.top.clone
    if not rsc.top.is_promotable or rsc.assigned_to is None or clone is None:
        return ""
    worth = f"its promotion is worth {show(rsc.sort_index)}"
    if rsc.next_role is Role.PROMOTED:
        return f"it is promoted: {worth}, and promoted-max is {clone.promoted_max}"
    if rsc.sort_index == -1:
        return "it is not promoted: no promotion score is set for it there"
    if rsc.sort_index < 0:
        return f"it is not promoted: {worth}"
    promoted = sum(instance.next_role is Role.PROMOTED for instance in rsc.top.children)
    if promoted < clone.promoted_max:
        return f"it is not promoted, though {worth} and promoted-max ({clone.promoted_max}) would allow it"
    return f"it is not promoted: {worth}, and promoted-max ({clone.promoted_max}) is used up by better ones"


def names_of(job: Job) -> dict[str, list[Resource]]:
    """Return the resources by every name that people use for them."""
    found: dict[str, list[Resource]] = {}
    for top in job.resources:
        for rsc in top.walk():
            for name in dict.fromkeys((rsc.id, graph_details.run_name(rsc))):
                found.setdefault(name, []).append(rsc)
    return found
