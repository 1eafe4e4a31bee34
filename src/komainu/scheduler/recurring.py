"""Create, keep or cancel the recurring operations of a primitive.

Source: Pacemaker Explained, "Operations: recurring", "Monitoring Resources When Administration is Disabled".
"""

from komainu.model.role import Role
from komainu.model.role import parse as parse_role
from komainu.scheduler import actions, operations, ordering
from komainu.scheduler.actions import find_exact, key_of, key_of_task
from komainu.scheduler.description import Recurring
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.words import Flag, Rel

_NEVER_RECURRING = frozenset(
    {"start", "stop", "promote", "demote", "reload-agent", "reload", "migrate_to", "migrate_from", "cancel"}
)


def configured(job: Job, rsc: Resource) -> tuple[Recurring, ...]:
    """Return the valid ones: of operations with equal name and interval none counts."""
    described = rsc.description
    if described.recurring is None:
        described.recurring = tuple(_read(job, rsc))
    return described.recurring


def _read(job: Job, rsc: Resource) -> list[Recurring]:
    pairs = [(op.get("name") or "", operations.interval_of(op)) for op in rsc.operations]
    found = []
    for op, (task, interval_ms) in zip(rsc.operations, pairs, strict=True):
        if interval_ms <= 0 or task in _NEVER_RECURRING or pairs.count((task, interval_ms)) > 1:
            continue
        if not operations.is_enabled(job, rsc, op):
            continue
        role = parse_role(op.get("role")) or Role.UNKNOWN
        found.append(Recurring(task, interval_ms, role, key_of(rsc.id, task, interval_ms)))
    return found


def create(job: Job, rsc: Resource) -> None:
    """Create the recurring operations."""
    node = rsc.assigned_to
    if rsc.blocked or rsc.maintenance or (node is not None and node.maintenance):
        return
    start = None
    if node is not None and (rsc.next_role is not Role.STOPPED or not rsc.managed):
        start = actions.make(job, rsc, "start", node, optional=True)
    for op in configured(job, rsc):
        if start is not None and node is not None and op.role is not Role.STOPPED:
            _for_active(job, rsc, start, node, op)
        if op.role is Role.STOPPED and rsc.unique:
            _for_inactive(job, rsc, op)


def _stays_optional(rsc: Resource, node: Node, key: str, start: Action) -> bool:
    """Tell whether the operation goes on as it is."""
    if not start.is_optional:
        return False
    known = find_exact(rsc, key, node)
    return bool(known) and not any(action.is_reschedule for action in known)


def _for_active(job: Job, rsc: Resource, start: Action, node: Node, op: Recurring) -> None:
    optional = _stays_optional(rsc, node, op.key, start)
    has_other_role = (
        rsc.next_role is Role.PROMOTED if op.role is Role.UNKNOWN else rsc.next_role is not op.role
    )
    if has_other_role:
        if optional:
            _cancel_before_change(job, rsc, node, op)
        return
    monitor = actions.make(job, rsc, op.task, node, optional=optional, key=op.key, interval_ms=op.interval_ms)
    if not start.is_runnable or not node.is_clean_online:
        monitor.clear(Flag.RUNNABLE)
    if rsc.next_role is Role.PROMOTED:
        monitor.meta["op_target_rc"] = "8"
    if not rsc.managed:
        return
    blocks = Rel.UNRUNNABLE_FIRST_BLOCKS
    for task in ("start", "reload-agent"):
        ordering.between(job, (rsc, key_of_task(rsc, task)), monitor, Rel.FIRST_IMPLIES_THEN | blocks)
    if rsc.next_role is Role.PROMOTED:
        ordering.between(job, (rsc, key_of(rsc.id, "promote")), monitor, Rel.ORDERED | blocks)
    elif rsc.role is Role.PROMOTED:
        ordering.between(job, (rsc, key_of(rsc.id, "demote")), monitor, Rel.ORDERED | blocks)


def _cancel_before_change(job: Job, rsc: Resource, node: Node, op: Recurring) -> None:
    """Cancel an operation of a role that is about to be left, before it is left."""
    cancel = new_cancel(job, rsc, op.task, op.interval_ms, node)
    change = None
    if rsc.role is Role.PROMOTED:
        change = "demote"
    elif rsc.role in {Role.STARTED, Role.UNPROMOTED}:
        change = {Role.PROMOTED: "promote", Role.STOPPED: "stop"}.get(rsc.next_role)
    if change is not None:
        ordering.between(job, cancel, (rsc, key_of(rsc.id, change)), Rel.UNRUNNABLE_FIRST_BLOCKS)


def new_cancel(job: Job, rsc: Resource, task: str, interval_ms: int, node: Node) -> Action:
    """Turn the recurring operation on a node into its own cancelling."""
    key = key_of(rsc.id, task, interval_ms)
    cancel = actions.make(job, rsc, "cancel", node, optional=False, key=key, interval_ms=interval_ms)
    cancel.clear(Flag.OPTIONAL)
    cancel.task = "cancel"
    cancel.cancels = (task, interval_ms, None)
    return cancel


def schedule_cancel(
    job: Job, rsc: Resource, node: Node, operation: tuple[str, int, str | None], reason: str
) -> None:
    """Cancel a recurring operation that shall not go on; that comes after stops."""
    task, interval_ms, call_id = operation
    cancel = new_cancel(job, rsc, task, interval_ms, node)
    cancel.give_reason(reason, overwrite=True)
    cancel.cancels = operation
    _ = call_id
    ordering.between(job, (rsc, key_of(rsc.id, "stop")), cancel, Rel.ORDERED)


def reschedule(rsc: Resource, task: str, interval_ms: int, node: Node) -> None:
    """Run a recurring operation anew, with what is configured now."""
    for action in find_exact(rsc, key_of(rsc.id, task, interval_ms), node)[:1]:
        action.is_reschedule = True


def _for_inactive(job: Job, rsc: Resource, op: Recurring) -> None:
    """Monitor with role Stopped: that nothing runs where the resource should not be."""
    home = rsc.assigned_to
    if home is not None and find_exact(rsc, op.key, home):
        cancel = new_cancel(job, rsc, op.task, op.interval_ms, home)
        if rsc.next_role in {Role.STARTED, Role.UNPROMOTED}:
            ordering.between(job, cancel, (rsc, key_of(rsc.id, "start")), Rel.UNRUNNABLE_FIRST_BLOCKS)
    for node in job.nodes:
        if node is home:
            continue
        optional = bool(find_exact(rsc, op.key, node))
        monitor = actions.make(
            job, rsc, op.task, node, optional=optional, key=op.key, interval_ms=op.interval_ms
        )
        monitor.meta["op_target_rc"] = "7"
        if rsc.managed:
            for probe in actions.find_task(rsc, "monitor", node):
                actions.relate(probe, monitor, Rel.UNRUNNABLE_FIRST_BLOCKS)
        _after_stops(job, rsc, node, monitor)
        if not node.is_clean_online:
            monitor.clear(Flag.RUNNABLE)


def _after_stops(job: Job, rsc: Resource, node: Node, monitor: Action) -> None:
    for stop in find_exact(rsc, key_of(rsc.id, "stop"), node):
        if not stop.is_runnable:  # the monitor would find what nobody may stop
            monitor.clear(Flag.RUNNABLE)
        if rsc.managed:
            ordering.between(job, stop, monitor, Rel.FIRST_IMPLIES_THEN | Rel.UNRUNNABLE_FIRST_BLOCKS)
