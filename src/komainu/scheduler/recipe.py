"""Run the phases of scheduling in order: the table of contents of this room.

Each phase lives in the file that it is imported from; the order is part of the behaviour.
Source: Pacemaker's order of phases, as its regression suite pins it.
"""

from komainu.cib.element import Element
from komainu.scheduler import (
    assign_all,
    attributes,
    changes,
    constraints,
    failcounts,
    fencing,
    fixpoint,
    graph,
    health,
    history,
    invalid_orderings,
    location,
    nodes,
    options,
    possible,
    probes,
    relations,
    remote,
    remote_actions,
    resources,
    shutdown_lock,
    tickets,
    tree,
    utilization,
    variants,
)
from komainu.scheduler.graph import Graph
from komainu.scheduler.job import Job, Ledger, Resource
from komainu.scheduler.remembered import Basis, Remembered
from komainu.scheduler.rules import RuleContext
from komainu.scheduler.words import Kind, Step

variants.register()


def read(
    cib: Element,
    now_s: int,
    *,
    explain: bool = False,
    is_simulated: bool = False,
    ledger: Ledger | None = None,
    remembered: Remembered | None = None,
) -> Job:
    """Read the configuration and the status: what there is, where it is, and what failed.

    What is remembered of an earlier state of the same cluster saves work, and changes nothing else.
    """
    remembered = remembered or Remembered()
    job = _new_job(remembered.prepare(cib), now_s)
    job.unfencing_in_use = job.options.fencing_enabled and remembered.names_unfencing(job.cib)
    job.explain, job.is_simulated = explain, is_simulated
    job.ledger = ledger or job.ledger
    defaults = job.cib.at("configuration", "rsc_defaults"), job.op_defaults
    job.descriptions = remembered.descriptions(Basis(defaults, job.options, job.unfencing_in_use))
    nodes.read_nodes(job)
    remote.read_nodes(job)
    resources.read_resources(job)
    remote.link(job)
    constraints.read_tags(job)
    tickets.read_states(job)
    job.ledger.step(job, Step.NODE)
    history.read_status(job, remembered)
    job.ledger.step(job, Step.HISTORY)
    return job


def schedule(job: Job) -> Graph:
    """Decide what is to be done about it."""
    health.apply(job)
    constraints.read_constraints(job)
    job.ledger.step(job, Step.TICKET)
    _apply_criteria(job)
    for rsc in job.resources:
        rsc.variant.add_internal_constraints(job, rsc)
    job.ledger.step(job, Step.INTERNAL)
    changes.handle(job)
    utilization.prepare(job)
    assign_all.assign(job)
    for check in job.deferred_digest_checks:
        check()
    probes.schedule(job)
    probes.clear_removed_failures(job)
    for rsc in job.resources:
        rsc.variant.create_actions(job, rsc)
    remote_actions.order(job)
    fencing.schedule(job)
    relations.bind(job)
    fixpoint.settle(job)
    invalid_orderings.drop(job)
    transition = graph.build(job)
    possible.leave_out(job, transition)
    return transition


def _new_job(cib: Element, now_s: int) -> Job:
    quorate = options.is_true(cib.get("have-quorum"))
    section = cib.at("configuration", "crm_config")
    raw: dict[str, str] = {}
    if section is not None:
        context = RuleContext(now_s, lambda _: None)
        raw = attributes.read_sets(section, "cluster_property_set", context, first_id="cib-bootstrap-options")
    panic = options.is_true(cib.get("no-quorum-panic"))
    settings = options.read(raw, may_fence_without_quorum=quorate or panic)
    job = Job(cib, now_s, settings, quorate=quorate, no_quorum_panic=panic)
    job.op_defaults = cib.at("configuration", "op_defaults")
    if section is not None:
        attributes.read_sets(section, "cluster_property_set", RuleContext(now_s, job.recheck))
    return job


def _apply_criteria(job: Job) -> None:
    """Weigh nodes by locks, locations, stickiness and failures."""
    if job.options.shutdown_lock:
        for rsc in job.resources:
            shutdown_lock.apply(job, rsc)
    job.ledger.step(job, Step.LOCK)
    location.apply_all(job)
    job.ledger.step(job, Step.LOCATION)
    for rsc in job.resources:
        _add_stickiness(job, rsc)
    job.ledger.step(job, Step.STICKINESS)
    for node in job.nodes:
        if node.failures:
            for rsc in job.resources:
                _check_threshold(job, rsc, node.id)
    for rsc in job.resources:
        _exclude_undiscovered(rsc)
    job.ledger.step(job, Step.FAILURES)


def _add_stickiness(job: Job, rsc: Resource) -> None:
    for child in rsc.children:
        _add_stickiness(job, child)
    if rsc.kind is not Kind.PRIMITIVE or not rsc.managed or rsc.stickiness < 1 or len(rsc.active) != 1:
        return
    node = rsc.active[0]
    if job.options.symmetric or node.id in rsc.table:
        tree.add_score(rsc, node, rsc.stickiness)


def _check_threshold(job: Job, rsc: Resource, node_id: str) -> None:
    """Forbid a node where the resource failed too often."""
    for child in rsc.children:
        _check_threshold(job, child, node_id)
    if rsc.kind is not Kind.PRIMITIVE:
        return
    node = job.node_by_id[node_id]
    target = failed_too_often(job, rsc, node_id)
    if target is not None:
        tree.ban(target, node)


def failed_too_often(job: Job, rsc: Resource, node_id: str) -> Resource | None:
    """Return what has to leave the node for its failures: the resource, or the whole of equal instances."""
    node = job.node_by_id[node_id]
    if rsc.migration_threshold == 0 or rsc.failure_ignored:
        return None
    if any(a.node is node for a in rsc.actions_by_key.get(f"{rsc.id}_clear_failcount_0".lower(), ())):
        return None
    count = failcounts.with_launched(job, rsc, node)
    if count <= 0 or rsc.migration_threshold > count:
        return None
    return rsc if rsc.unique else rsc.top


def _exclude_undiscovered(rsc: Resource) -> None:
    """With exclusive discovery only the nodes that are probed may run the resource.

    What is said of one member of a group alone does not bind it: the group decides where it may be.
    """
    if not (rsc.exclusive_discovery or rsc.top.exclusive_discovery):
        return
    for child in rsc.children:
        _exclude_undiscovered(child)
    for row in rsc.table.values():
        if row.discovery < 2:
            row.score = -1_000_000
