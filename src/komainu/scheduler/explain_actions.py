"""Say what demands (or prevents) what is done with a resource or a node, from the effect back to its cause.

Reads a finished run; decides nothing.
"""

from collections.abc import Iterator
from typing import Final

from komainu.cib.element import Element
from komainu.model.provenance import Demand
from komainu.model.role import Role
from komainu.scheduler import graph_details, summary, together, tree
from komainu.scheduler.actions import BEGINNING
from komainu.scheduler.explain_scores import state_of
from komainu.scheduler.history import base_name
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.status_details import exit_text
from komainu.scheduler.words import INFINITY, Kind, OnFail

_CHAIN_MAX: Final = 12
"""The longest chain of causes that is told; real ones have three or four links."""

_CAUSES: Final = {
    "no quorum": "the cluster has no quorum, and no-quorum-policy forbids it",
    "quorum freeze": "the cluster has no quorum, and no-quorum-policy is freeze",
    "resource definition change": "its parameters are not those it was started with",
    "being multiply active": "it is active on more nodes than it may be",
    "it expired": "its failures are older than its failure-timeout",
}


def of_resource(job: Job, rsc: Resource) -> tuple[Demand, ...]:
    """Return what is done with a resource that an agent runs, with its causes; nothing when nothing is."""
    return tuple(
        Demand(_without_reason(change), "blocked" in change.reason, tuple(causes(job, rsc)))
        for change in summary.changes(job)
        if change.resource is rsc
    )


def _without_reason(change: summary.Change) -> str:
    return change.sentence.removesuffix(f",{change.reason}") if change.reason else change.sentence


def causes(job: Job, rsc: Resource) -> Iterator[str]:
    """Give what led to what is done with a resource, the nearest cause first."""
    key = _telling(rsc)
    if key is None:
        return
    yield from _chain(job, key)


def _telling(rsc: Resource) -> Action | None:
    """Choose the action whose cause tells most: one with a reason, a stop before a start."""
    done = [action for action in rsc.actions if not action.interval_ms and _counts(action)]
    order = {"stop": 0, "demote": 1, "start": 2, "promote": 3}
    done = [action for action in done if action.task in order]
    done.sort(key=lambda action: (action.because is None and action.reason is None, order[action.task]))
    return done[0] if done else None


def _counts(action: Action) -> bool:
    return not action.is_optional or (not action.is_runnable and action.because is not None)


def _chain(job: Job, action: Action) -> Iterator[str]:
    seen: set[int] = set()
    here = action
    while len(seen) < _CHAIN_MAX and here.number not in seen:
        seen.add(here.number)
        cause = here.because or _of_member(here)
        if cause is None or cause.number in seen:
            break
        is_part = here.resource is not None and cause.resource in here.resource.children
        if not is_part and (cause.resource is not here.resource or cause.resource is None):
            yield _link(job, here, cause)
        here = cause
    yield from _root(job, here)


def _of_member(action: Action) -> Action | None:
    """Return the member's action that makes a collective's necessary (or impossible)."""
    if action.resource is None or not action.resource.children:
        return None
    task = BEGINNING.get(action.task, action.task)
    found = [other for part in action.resource.primitives() for other in part.actions if other.task == task]
    found = [other for other in found if _counts(other)]
    found.sort(key=lambda other: other.because is not None)
    return found[0] if found else None


def _link(job: Job, action: Action, cause: Action) -> str:
    """Say how one action demands or prevents another."""
    state = "cannot be done" if not cause.is_runnable and not cause.is_pseudo else "is necessary"
    told = f"{_label(cause)} {state}"
    if cause.task == "stonith" and cause.node is not None:
        return f"node {cause.node.name} is fenced"
    _, some, constraint_id = cause.key.partition("one-or-more:")
    if some:
        return f"not enough is running of what {constraint_id} asks for"
    constraint = None
    if action.resource is not None and cause.resource is not None:
        constraint = ordering_between(job.cib, action.resource, cause.resource)
    if constraint is not None:
        return f"{told} (ordering constraint {constraint})"
    if (
        action.resource is not None
        and cause.resource is not None
        and _same_group(action.resource, cause.resource)
    ):
        return f"{told} (they are members of one group, in order)"
    return told


def _label(action: Action) -> str:
    name = "" if action.resource is None else f" of {graph_details.run_name(action.resource)}"
    where = "" if action.node is None else f" on {action.node.name}"
    task = {
        "running": "the start",
        "stopped": "the stop",
        "promoted": "the promotion",
        "demoted": "the demotion",
    }
    return f"{task.get(action.task, 'the ' + action.task)}{name}{where}"


def _same_group(one: Resource, other: Resource) -> bool:
    groups = [rsc if rsc.kind is Kind.GROUP else rsc.parent for rsc in (one, other)]
    return groups[0] is not None and groups[0] is groups[1] and groups[0].kind is Kind.GROUP


def ordering_between(cib: Element, one: Resource, other: Resource) -> str | None:
    """Return the id of an ordering constraint that names both, or what they are part of."""
    section = cib.at("configuration", "constraints")
    names = [_names(one), _names(other)]
    for element in section.all("rsc_order") if section else ():
        sides = {element.get("first"), element.get("then")} | {
            reference.id for reference in element.walk() if reference.tag == "resource_ref"
        }
        if sides & names[0] and sides & names[1]:
            return element.id
    return None


def _names(rsc: Resource) -> set[str | None]:
    found: set[str | None] = set()
    here: Resource | None = rsc
    while here is not None:
        found |= {here.id, base_name(here.id)}
        here = here.parent
    return found


# -- where it begins ------------------------------------------------------------------------------------


def _root(job: Job, action: Action) -> Iterator[str]:
    """Say why the last action of a chain is done, or cannot be done."""
    rsc, node = action.resource, action.node
    if action.task == "stonith" and node is not None:
        yield from fencing_causes(job, node, action.reason)
        return
    if rsc is None:
        return
    if action.reason in _CAUSES:
        yield _CAUSES[action.reason]
    elif not action.is_runnable and not action.is_pseudo:
        yield _prevented(action, rsc)
    elif rsc.failed and action.task in {"stop", "demote", "start", "promote"}:
        yield from failures(job, rsc)
    elif action.task == "stop" and rsc.assigned_to is None:
        yield f"{rsc.id} may run on no node now"
    elif action.task == "stop" and node is not None and rsc.assigned_to is not node:
        yield from _leaving(job, rsc, node)
    elif action.task in {"start", "promote"} and tree.role(rsc, current=True) < Role.STARTED:
        yield f"{rsc.id} is not running, and {rsc.assigned_to.name} can run it" if rsc.assigned_to else ""
    elif action.reason is not None:
        yield action.reason


def _leaving(job: Job, rsc: Resource, node: Node) -> Iterator[str]:
    """Say why a resource goes from a node to another: the node's state, or what it has to be with goes, too."""
    state = state_of(node)
    if state:
        yield f"node {node.name} {state}"
        return
    for colocation in together.this_with(rsc):
        homes = tree.locations(colocation.primary, current=False)
        if colocation.score >= INFINITY and rsc.assigned_to in homes and node not in homes:
            yield f"it has to be with {colocation.primary.id}, which goes to {homes[0].name}"
            failed = [text for part in colocation.primary.primitives() for text in failures(job, part, node)]
            yield from failed or [f"another node is better for {colocation.primary.id} now"]
            return
    yield f"another node is better for {rsc.id} now"


def _prevented(action: Action, rsc: Resource) -> str:
    """Say why an action cannot be done that no other action prevents."""
    reason = action.reason or ""
    _, found, other = reason.partition("colocation with ")
    if found:
        return f"{other}, with which {rsc.id} has to be, cannot be brought up"
    if action.node is None:
        return f"no node can run {rsc.id}"
    state = state_of(action.node)
    return f"node {action.node.name} {state}" if state else reason or f"{rsc.id} may not be touched"


def failures(job: Job, rsc: Resource, node: Node | None = None) -> Iterator[str]:
    """Say which operations of a resource failed, and what that demands."""
    names = {rsc.id, base_name(rsc.id), rsc.history_name}
    for failed in job.failed_operations:
        if failed.resource_id in names and (node is None or failed.node is node):
            entry = failed.entry
            said = entry.xml.get("exit-reason")
            yield (
                f"{entry.task} of {rsc.id} failed on {failed.node.name}: {exit_text(entry.rc)}"
                + (f' ("{said}")' if said else "")
            )


# -- fencing --------------------------------------------------------------------------------------------

_RULES: Final = {
    "peer is no longer part of the cluster": "it left the membership without saying goodbye (in_ccm is false, expected is member)",
    "peer has not been seen by the cluster": "it was never a member since the cluster came up, and startup-fencing is on",
    "peer process is no longer available": "it is a member, but its daemon is gone (crmd is offline)",
    "cluster does not have quorum": "there is no quorum, and no-quorum-policy is fence (suicide)",
    "fencing was requested": "an operator or a program asked for it (attribute terminate)",
    "deadman ticket was lost": "a ticket with loss-policy fence was lost",
    "node is unclean": "its state is not known, and startup-fencing is on",
    "guest is unclean": "what it lives in failed, or its host was lost",
}


def of_fencing(job: Job, action: Action) -> Demand | None:
    """Return why a node is fenced; None when the action is no fencing."""
    if action.task != "stonith" or action.node is None:
        return None
    operation = action.meta.get("stonith_action", "reboot")
    verb = "is unfenced" if operation == "on" else f"is fenced ({operation})"
    return Demand(
        f"node {action.node.name} {verb}",
        is_blocked=not action.is_runnable,
        because=tuple(fencing_causes(job, action.node, action.reason)),
    )


def fencing_causes(job: Job, node: Node, reason: str | None) -> Iterator[str]:
    """Give the rule that demands fencing, then what it rests on."""
    if reason is not None:
        yield f"{reason}: {_RULES[reason]}" if reason in _RULES else reason
    for failed in job.failed_operations:
        if failed.node is node and reason is not None and reason.startswith(f"{failed.resource_id} failed"):
            rsc = job.find(failed.resource_id)
            if rsc is not None:
                yield from failures(job, rsc, node)
                yield f"on-fail of that operation is {OnFail.FENCE.name.lower()}"
                break
