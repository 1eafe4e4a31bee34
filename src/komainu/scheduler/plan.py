"""Answer the cluster's one question: what is to be done about this state at this moment, and why.

`plan` is the door of this room. The phases are in recipe.py; here their outcome is put into the words of
model/plan.py. Equal states and times give equal plans.
"""

from dataclasses import replace

from komainu.cib.element import Element
from komainu.model.cause import Cause
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import ActionRequest, AgentName
from komainu.model.plan import Action, ActionKind, Placement, Plan
from komainu.scheduler import digests, graph_details, reasons, recipe, summary, tree
from komainu.scheduler import explain as explanation
from komainu.scheduler import job as work
from komainu.scheduler.graph import Graph, Synapse
from komainu.scheduler.ledger import Record
from komainu.scheduler.remembered import Remembered

PLACEHOLDER_UUID = "00000000-0000-0000-0000-000000000000"
"""Stands in a transition key until the controller puts its own name and number there."""


def plan(cib: Element, now_s: int, *, explain: bool = False, remembered: Remembered | None = None) -> Plan:
    """Plan the next transition for a cluster state, at a second of the wall clock.

    With `explain` the plan says of each score and each action what it rests on. Who plans for the same cluster
    again and again gives what is remembered of the last plan; it only saves time.
    """
    record = Record() if explain else None
    job = recipe.read(cib, now_s, explain=explain, ledger=record, remembered=remembered)
    graph = recipe.schedule(job)
    planned = answer(job, graph)
    return planned if record is None else replace(planned, explanation=explanation.whole(job, record, graph))


def answer(job: work.Job, graph: Graph) -> Plan:
    """Put a scheduling run's outcome into the words that the controller reads."""
    lines = summary.changes(job)
    why = reasons.Reasons(job, lines)
    numbers = {synapse.action.number for synapse in graph.synapses}
    actions = tuple(
        _action(job, synapse, numbers, why)
        for synapse in sorted(graph.synapses, key=lambda s: s.action.number)
    )
    moved = sorted({action.resource for action in actions if action.resource is not None})
    return Plan(
        actions=actions,
        placements=tuple(_placement(rsc, why) for top in job.resources for rsc in top.walk()),
        summary=tuple(line.sentence for line in lines),
        resource_causes=tuple((name, _resource_cause(why, name)) for name in moved),
        node_causes=why.node_causes(graph),
        recheck_at_s=job.recheck_at_s,
        warnings=tuple(dict.fromkeys(job.warnings)),
    )


def _resource_cause(why: reasons.Reasons, name: ResourceId) -> Cause:
    return Cause("scheduler.resource", why.of_resource(name))


def _kind(action: work.Action) -> ActionKind:
    if action.is_pseudo:
        return ActionKind.PSEUDO
    match action.task:
        case "stonith":
            return ActionKind.FENCE
        case "do_shutdown":
            return ActionKind.SHUTDOWN
        case "clear_failcount":
            return ActionKind.CLEAR_FAILURES
        case "delete" | "lrm_delete":
            return ActionKind.DELETE_HISTORY
        case "cancel":
            return ActionKind.CANCEL
        case _:
            return ActionKind.RESOURCE


def _action(job: work.Job, synapse: Synapse, numbers: set[int], why: reasons.Reasons) -> Action:
    action = synapse.action
    kind = _kind(action)
    rsc = action.resource
    operation = action.task
    if kind is ActionKind.FENCE:
        operation = action.meta.get("stonith_action", "reboot")
    elif action.cancels is not None:
        operation = action.cancels[0]
    return Action(
        action_id=action.number,
        kind=kind,
        operation=operation,
        node=None if action.node is None else NodeName(action.node.name),
        resource=None if rsc is None else ResourceId(graph_details.run_name(rsc)),
        interval_ms=action.interval_ms,
        timeout_ms=int(action.meta.get("timeout") or 0),
        request=_request(job, action) if kind is ActionKind.RESOURCE else None,
        needs=tuple(sorted({first.number for first in synapse.inputs if first.number in numbers})),
        reason=why.of_action(action),
        priority=synapse.priority,
        delay_ms=1000 * int(action.meta.get("priority-fencing-delay") or 0),
    )


def _request(job: work.Job, action: work.Action) -> ActionRequest | None:
    """Complete what an executor needs to run the operation."""
    rsc, node = action.resource, action.node
    if rsc is None or node is None:
        return None
    parameters = graph_details.parameters(job, action)
    target_rc = int(action.meta.get("op_target_rc", "0"))
    agent = AgentName(rsc.xml.get("class") or "", rsc.xml.get("provider"), rsc.xml.get("type") or "")
    return ActionRequest(
        node=NodeName(node.name),
        resource=ResourceId(graph_details.run_name(rsc)),
        agent=agent,
        operation=action.task,
        interval_ms=action.interval_ms,
        timeout_ms=int(action.meta.get("timeout") or 0),
        parameters=tuple(sorted(parameters.items())),
        meta=tuple(sorted(graph_details.meta(action).items())),
        target_rc=target_rc,
        transition_key=f"{action.number}:0:{target_rc}:{PLACEHOLDER_UUID}",
        digest=digests.digested(job, rsc, action.task, action.interval_ms, node).digest,
    )


def _placement(rsc: work.Resource, why: reasons.Reasons) -> Placement:
    homes = tree.locations(rsc, current=False)
    target = homes[0] if homes else None
    return Placement(
        resource=ResourceId(rsc.id),
        current=tuple(NodeName(node.name) for node in tree.locations(rsc)),
        current_role=tree.role(rsc, current=True),
        target=None if target is None else NodeName(target.name),
        target_role=tree.role(rsc, current=False),
        reason=why.of_placement(rsc),
    )
