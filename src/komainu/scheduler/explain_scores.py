"""Say in sentences what each step contributed to the score of a resource on a node.

Reads a finished run with its record; decides nothing.
Source: the words are those of Pacemaker Explained.
"""

from collections.abc import Iterator

from komainu.cib.element import Element
from komainu.model.provenance import Contribution
from komainu.model.role import Role
from komainu.model.score import show
from komainu.scheduler import failcounts
from komainu.scheduler.history import base_name
from komainu.scheduler.job import Job, Location, Node, Resource
from komainu.scheduler.ledger import Record, Shift
from komainu.scheduler.status_details import exit_text
from komainu.scheduler.words import INFINITY, Discovery, Step


def state_of(node: Node) -> str:
    """Say why a node takes no resources; empty where it does."""
    if node.unclean:
        return "has to be fenced first"
    if not node.online:
        return "is offline"
    if node.shutdown:
        return "is shutting down"
    if node.pending:
        return "has not joined yet"
    if node.standby:
        return "is in standby" + (" because an operation failed there" if node.standby_on_fail else "")
    if node.maintenance:
        return "is in maintenance"
    return ""


def contributions(job: Job, record: Record, rsc: Resource, node: Node) -> tuple[Contribution, ...]:
    """Return what made the node better or worse for the resource, in the order in which it was weighed."""
    found: list[Contribution] = []
    for shift in record.shifts(rsc, node):
        found += _told(job, rsc, node, shift)
    return tuple(found)


def _told(job: Job, rsc: Resource, node: Node, shift: Shift) -> Iterator[Contribution]:
    if shift.step is Step.LOCATION:
        yield from _locations(job, rsc, node, shift)
        return
    score = _difference(shift)
    if score == "0":
        return
    yield Contribution(shift.step.value, score, _text(job, rsc, node, shift))


def _difference(shift: Shift) -> str:
    """Return what was added; what leads to or from INFINITY is that."""
    if shift.after <= -INFINITY or shift.after >= INFINITY:
        return show(shift.after)
    return show(shift.after - (shift.before or 0))


def _text(job: Job, rsc: Resource, node: Node, shift: Shift) -> str:
    match shift.step:
        case Step.NODE:
            state = state_of(node)
            if node.is_bundle_node and shift.after >= 0:
                return f"it lives in bundle node {node.name}"
            if node.is_bundle_node:
                return f"inside bundle node {node.name} runs only what the bundle is for"
            return f"node {node.name} {state}" if state else f"the score of node {node.name} itself"
        case Step.HISTORY:
            if shift.after >= INFINITY:
                return f"{rsc.id} is active there and not managed"
            return _history(job, rsc, node)
        case Step.TICKET:
            return _tickets(rsc)
        case Step.LOCK:
            lock = "" if rsc.lock_node is None else rsc.lock_node.name
            return f"a shutdown lock keeps {rsc.id} for node {lock}"
        case Step.STICKINESS:
            return f"{rsc.id} is active there, and its resource-stickiness is {show(rsc.stickiness)}"
        case Step.FAILURES:
            return _failures(job, rsc, node)
        case Step.INTERNAL:
            return _internal(rsc, node)
        case Step.SPREAD:
            return _spread(rsc, node, shift)
        case Step.DEPENDENT | Step.PRIMARY:
            return _colocation(shift)
        case Step.TARGET:
            return _target(rsc)
        case Step.ROOM:
            needs = ", ".join(f"{name}={value}" for name, value in rsc.utilization.items())
            return f"not enough room there for what {rsc.id} and what has to be with it need ({needs})"
        case Step.LOCATION:
            return "location constraints"


def _history(job: Job, rsc: Resource, node: Node) -> str:
    if rsc.removed:
        return f"{rsc.id} is no longer configured"
    names = {rsc.id, base_name(rsc.id), rsc.history_name}
    failed = [f for f in job.failed_operations if f.node is node and f.resource_id in names]
    if failed:
        entry = failed[-1].entry
        what = f"{entry.task} of {rsc.id} failed there: {exit_text(entry.rc)}"
        return f"{what} (exit code {entry.rc})"
    if len(rsc.active) > 1:
        places = " and ".join(other.name for other in rsc.active)
        return f"it is active on {places}, and multiple-active is {rsc.multiple_active.value}"
    return "what is known of its past forbids the node"


def _tickets(rsc: Resource) -> str:
    here: Resource | None = rsc
    while here is not None:
        for constraint in here.tickets:
            if not constraint.ticket.is_granted or constraint.ticket.is_standby:
                state = "is in standby" if constraint.ticket.is_granted else "is not granted"
                about = f"ticket constraint {constraint.id}, loss-policy {constraint.loss_policy}"
                return f"ticket {constraint.ticket.id} {state} ({about})"
        here = here.parent
    return "a ticket it depends on is not granted"


def _failures(job: Job, rsc: Resource, node: Node) -> str:
    row = rsc.table.get(node.id)
    is_exclusive = rsc.exclusive_discovery or rsc.top.exclusive_discovery
    if is_exclusive and row is not None and row.discovery is not Discovery.EXCLUSIVE:
        return "its resource-discovery is exclusive to other nodes"
    twins = [rsc] if rsc.unique else list(rsc.top.primitives())
    worst = max(twins, key=lambda twin: failcounts.with_launched(job, twin, node))
    count = show(failcounts.with_launched(job, worst, node))
    limit = show(worst.migration_threshold)
    name = failcounts.plain_name(worst)
    return f"{name} failed there (fail count {count}), which reaches its migration-threshold of {limit}"


def _internal(rsc: Resource, node: Node) -> str:
    if rsc.launcher is not None:
        return f"it runs only with {rsc.launcher.id}"
    if node.is_remote and rsc.is_fence_device:
        return "a fence device runs only on full members, not on remote nodes"
    if node.is_remote:
        return "what brings a remote node up runs only on full members"
    return "it is part of something that cannot run there"


def _spread(rsc: Resource, node: Node, shift: Shift) -> str:
    if shift.after > -INFINITY:
        return f"the promotion score that its agent set on {node.name}"
    state = state_of(node)
    if state:
        return f"node {node.name} {state}"
    top = rsc.top
    if top.clone is None:
        return "another part of the same whole is there"
    row = top.table.get(node.id)
    if row is None or row.score < 0:
        return f"{top.id} may not run there"
    if row.count >= top.clone.per_node:
        return f"{top.id} may have {top.clone.per_node} there, and has (clone-node-max)"
    return f"{top.id} has as many instances as it may: clone-max is {top.clone.maximum}"


def _colocation(shift: Shift) -> str:
    colocation = shift.colocation
    assert colocation is not None, "the step names its colocation"
    name = _named(colocation.id, colocation.score)
    if shift.step is Step.PRIMARY:
        verb = "would like to be with it" if colocation.score > 0 else "would like to be away from it"
        return f"{colocation.dependent.id} {verb} ({name})"
    primary = colocation.primary
    role = "" if colocation.primary_role is Role.UNKNOWN else f", {colocation.primary_role.label},"
    homes = [p.assigned_to.name for p in primary.primitives() if p.assigned_to is not None]
    where = " and ".join(dict.fromkeys(homes))
    goes = f"goes to {where}" if where else "runs nowhere"
    must = "has to be" if abs(colocation.score) >= INFINITY else "would like to be"
    side = "with" if colocation.score > 0 else "away from"
    return f"it {must} {side} {primary.id}{role} which {goes} ({name})"


def _named(name: str, score: int) -> str:
    if name == "#group-members":
        return "members of a group stay together"
    if name == "#resource-with-container":
        return "it runs in that container"
    return f"colocation constraint {name}, {show(score)}"


def _target(rsc: Resource) -> str:
    here: Resource | None = rsc
    while here is not None:
        if (here.description.own_meta.get("target-role") or "").lower() == "stopped":
            return f"the target-role of {here.id} is Stopped"
        here = here.parent
    if (rsc.meta.get("target-role") or "").lower() == "stopped":
        return "its target-role is Stopped"
    return "a failure demands that it stays stopped"


# -- locations ------------------------------------------------------------------------------------------


def _locations(job: Job, rsc: Resource, node: Node, shift: Shift) -> Iterator[Contribution]:
    """Tell the constraints apart that together made one step."""
    told = 0
    for location in _about(rsc):
        row = location.rows.get(node.id)
        if row is None or row.score == 0 or location.role not in {Role.UNKNOWN, rsc.next_role}:
            continue
        told += 1
        yield Contribution(shift.step.value, show(row.score), _location(job, location))
    if not told and shift.before != shift.after:
        yield Contribution(shift.step.value, _difference(shift), "location constraints on what it is part of")


def _about(rsc: Resource) -> list[Location]:
    """Return the locations of a resource, and those of a collective that are handed to it, oldest first."""
    found: list[Location] = []
    here: Resource | None = rsc
    while here is not None:
        found += here.locations
        parent = here.parent
        is_first = parent is not None and (parent.clone is not None or parent.children[0] is here)
        here = parent if is_first else None
    return found[::-1]


def _location(job: Job, location: Location) -> str:
    strategy = job.options.health_strategy
    if location.id == strategy:
        return f"the health of the node (node-health-strategy {strategy})"
    section = job.cib.at("configuration", "constraints")
    element = None if section is None else section.find(location.id)
    if element is not None and element.tag == "rule":
        return f"location rule {location.id}: {rule_text(element)}"
    word = "it was moved or banned by an operator: " if location.id.startswith("cli-") else ""
    return f"{word}location constraint {location.id}"


def rule_text(rule: Element) -> str:
    """Write a rule's conditions: `colour eq red and pingd lt 1`."""
    parts = []
    for child in rule.children:
        match child.tag:
            case "expression":
                value = child.get("value")
                parts.append(
                    f"{child.get('attribute')} {child.get('operation')}" + (f" {value}" if value else "")
                )
            case "rule":
                parts.append(f"({rule_text(child)})")
            case "date_expression":
                parts.append(f"date {child.get('operation') or 'in_range'}")
            case _:
                pass
    return f" {(rule.get('boolean-op') or 'and').lower()} ".join(parts) or "always"
