"""Relate the instances of two collectives to each other: which of one belongs to which of the other.

Source: Pacemaker Explained, "Clones" (interleave), "Bundles".
"""

from collections.abc import Callable

from komainu.model.role import Role
from komainu.scheduler import actions, assign, tree
from komainu.scheduler.actions import BEGINNING, find_first
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.options import is_true
from komainu.scheduler.words import Flag, Kind, Rel

_CHANGED = 3
_THEN_CHANGED = 2

Deliver = Callable[[Action, Action], int]


def of(rsc: Resource) -> list[Resource]:
    """Return a clone's instances or a bundle's containers."""
    return tree.parts(rsc)


def has_instances(rsc: Resource | None) -> bool:
    """Tell whether a resource is a collective whose instances are related one by one."""
    return rsc is not None and (rsc.kind is Kind.CLONE or rsc.kind is Kind.BUNDLE)


def matches(instance: Resource, node: Node, role: Role, *, current: bool) -> bool:
    """Tell whether an instance is on a node, in a role if one is given."""
    return place(instance, current=current) is node and _counts(instance, role, current=current)


def _counts(instance: Resource, role: Role, *, current: bool) -> bool:
    """Tell whether an instance is one to go by: in the wanted role, and not blocked."""
    if role is not Role.UNKNOWN and role is not tree.role(instance, current=current):
        return False
    return not _is_blocked(instance)


def _is_blocked(rsc: Resource) -> bool:
    return rsc.blocked or any(_is_blocked(child) for child in rsc.children)


def place(rsc: Resource, *, current: bool) -> Node | None:
    """Return the one node where a resource is (or will be); None if it is none or several."""
    nodes = tree.locations(rsc, current=current)
    return nodes[0] if len(nodes) == 1 else None


def compatible(
    job: Job, match: Resource, collective: Resource, role: Role, *, current: bool
) -> Resource | None:
    """Find the instance that goes with a resource: on its node, or on the best node that it may use."""
    node = place(match, current=current)
    if node is not None:
        return _on(collective, node, role, current=current)
    return _on_best(job, match, _by_node(collective, role, current=current))


def _by_node(collective: Resource, role: Role, *, current: bool) -> dict[str, Resource]:
    """Return the instances to go by, by the node where each is (or will be)."""
    there: dict[str, Resource] = {}
    for instance in of(collective):
        home = place(instance, current=current)
        if home is not None and _counts(instance, role, current=current):
            there.setdefault(home.id, instance)
    return there


def _on_best(job: Job, match: Resource, there: dict[str, Resource]) -> Resource | None:
    """Return the instance on the best node of a resource that is nowhere itself."""
    rows = assign.sort_nodes(job, match.table.values(), None) if there else ()
    return next((there[row.node.id] for row in rows if row.node.id in there), None)


def _on(collective: Resource, node: Node, role: Role, *, current: bool) -> Resource | None:
    return next((i for i in of(collective) if matches(i, node, role, current=current)), None)


def can_interleave(first: Action, then: Action) -> bool:
    """Tell whether two collectives are ordered instance by instance."""
    left, right = first.resource, then.resource
    if left is None or right is None or left is right:
        return False
    if not (has_instances(left) and has_instances(right)):
        return False
    goes_down = then.key.endswith(("_stop_0", "_demote_0"))
    return is_true((left if goes_down else right).meta.get("interleave"))


def interleave(job: Job, first: Action, then: Action, rel: int, deliver: Deliver) -> int:
    """Order each instance after its counterpart only."""
    assert first.resource is not None, "interleaving is between resources"
    assert then.resource is not None, "interleaving is between resources"
    current = first.key.endswith(("_stopped_0", "_demoted_0"))
    node = then.node
    changed = 0
    for then_instance in of(then.resource):
        counterpart = _counterpart(job, then_instance, first.resource, current=current)
        if counterpart is None:
            if not current and rel & (Rel.UNRUNNABLE_FIRST_BLOCKS | Rel.FIRST_IMPLIES_THEN):
                changed |= _keep_down(job, then_instance)
            continue
        left = _instance_action(first, counterpart, node, is_first=True)
        right = _instance_action(then, then_instance, node, is_first=False)
        if left is None or right is None:
            continue
        if actions.relate(left, right, rel):
            changed |= _CHANGED
        changed |= deliver(left, right)
    return changed


def _counterpart(job: Job, match: Resource, collective: Resource, *, current: bool) -> Resource | None:
    """Find the same as `compatible`, at a time when only what is kept down here changes its place."""
    wanted = match, collective, current
    if wanted not in job.counterparts:
        job.counterparts[wanted] = _find_counterpart(job, match, collective, current=current)
    return job.counterparts[wanted]


def _find_counterpart(job: Job, match: Resource, collective: Resource, *, current: bool) -> Resource | None:
    pair = collective, current
    if pair not in job.homes:
        job.homes[pair] = _by_node(collective, Role.UNKNOWN, current=current)
    there = job.homes[pair]
    node = place(match, current=current)
    return _on_best(job, match, there) if node is None else there.get(node.id)


def _keep_down(job: Job, instance: Resource) -> int:
    if not tree.locations(instance, current=False):
        return 0
    job.homes.clear()
    job.counterparts.clear()
    assign.settle(job, instance, None, force=True, final=True)
    return _THEN_CHANGED


def original_task(action: Action, instance: Resource) -> str:
    """Return the instances' task that a collective's action stands for."""
    task = action.task
    if task in {"notify", "notified"}:
        task = action.key.rsplit("_", 2)[1]
    return BEGINNING.get(task, task) if instance.kind is Kind.PRIMITIVE else task


def contained(rsc: Resource) -> Resource | None:
    """Return what runs in a bundle's container."""
    owner = rsc.bundle_owner
    if owner is None or owner.bundle is None:
        return None
    return next((r.child for r in owner.bundle.replicas if r.container is rsc), None)


def _instance_action(
    action: Action, instance: Resource, node: Node | None, *, is_first: bool
) -> Action | None:
    """Find an instance's action; in bundles it may be that of what the container contains."""
    task = original_task(action, instance)
    inner = None
    if (is_first and task not in {"stop", "stopped"}) or (
        not is_first and task in {"promote", "promoted", "demote", "demoted"}
    ):
        inner = contained(instance)
    if inner is not None:
        return find_first(inner, task, None)
    return find_first(instance, task, node)


def gather(job: Job) -> None:
    """Give each collective's actions those that they stand for, once all actions have been made.

    They are in the order of the parts, each part's newest first.
    """
    for rsc in job.resources:
        for whole in rsc.walk():
            if whole.kind is not Kind.PRIMITIVE:
                _gather(whole)


def _gather(whole: Resource) -> None:
    parts = whole.children if whole.kind is Kind.GROUP else of(whole)
    by_task: dict[str, list[Action]] = {}
    for part in parts:
        for action in reversed(part.actions):
            by_task.setdefault(action.task, []).append(action)
    for action in whole.actions:
        task = original_task(action, parts[0]) if parts else ""  # parts are of one kind
        action.parts = tuple(by_task.get(task, ()))


def collective_flags(action: Action, node: Node | None) -> int:
    """A collective must if any instance must, and can if any instance can."""
    flags = Flag.OPTIONAL | Flag.PSEUDO
    last: Resource | None = None  # a part is asked for its newest action only
    for part_action in action.parts:
        part = part_action.resource
        if part is last or part is None:
            continue
        if part.kind is not Kind.PRIMITIVE:
            theirs = part.variant.action_flags(part_action, node)
        elif node is None or part_action.node is node:
            theirs = part_action.flags
        else:
            continue
        last = part
        flags = flags & (theirs | ~Flag.OPTIONAL) | theirs & Flag.RUNNABLE
    if not flags & Flag.OPTIONAL:
        action.clear(Flag.OPTIONAL)
    if not flags & Flag.RUNNABLE and node is None:
        action.clear(Flag.RUNNABLE)
    return flags
