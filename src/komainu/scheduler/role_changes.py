"""Create the actions that lead a primitive from its present role to the next: down, and up again.

Source: OCF resource agent API (start, promote, demote, stop); Pacemaker Explained, "multiple-active".
"""

from typing import Final

from komainu.model.role import Role
from komainu.scheduler import actions, migration, recurring, tree, unfencing
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.words import Flag, MultipleActive, Rel, Requires

_TOWARDS: Final[dict[Role, dict[Role, Role]]] = {
    Role.UNKNOWN: dict.fromkeys(Role, Role.STOPPED),
    Role.STOPPED: {
        Role.UNKNOWN: Role.STOPPED,
        Role.STOPPED: Role.STOPPED,
        Role.STARTED: Role.STARTED,
        Role.UNPROMOTED: Role.UNPROMOTED,
        Role.PROMOTED: Role.UNPROMOTED,
    },
    Role.STARTED: {
        Role.UNKNOWN: Role.STOPPED,
        Role.STOPPED: Role.STOPPED,
        Role.STARTED: Role.STARTED,
        Role.UNPROMOTED: Role.UNPROMOTED,
        Role.PROMOTED: Role.PROMOTED,
    },
    Role.UNPROMOTED: {
        Role.UNKNOWN: Role.STOPPED,
        Role.STOPPED: Role.STOPPED,
        Role.STARTED: Role.STOPPED,
        Role.UNPROMOTED: Role.UNPROMOTED,
        Role.PROMOTED: Role.PROMOTED,
    },
    Role.PROMOTED: {**dict.fromkeys(Role, Role.UNPROMOTED), Role.PROMOTED: Role.PROMOTED},
}
"""The next rung of the ladder from one role towards another."""


def create(job: Job, rsc: Resource) -> None:
    """Create a primitive's actions."""
    if rsc.next_role is Role.UNKNOWN:
        rsc.next_role = Role.STOPPED if rsc.assigned_to is None else Role.STARTED
    for node in rsc.dangling:
        stop = actions.make(job, rsc, "stop", node, optional=False)
        stop.is_migration_abort = True
    current = tree.current_node(rsc)
    is_moving = (
        current is not None
        and rsc.assigned_to is not None
        and current is not rsc.assigned_to
        and rsc.next_role >= Role.STARTED
    )
    may_migrate = is_moving and migration.is_possible(rsc, current)
    was_under_way = rsc.partial_target is not None
    may_migrate = _settle_partial(rsc, current, may_migrate=may_migrate)
    # A migration that cannot go on is recovered whole, whatever is said of what is active too often.
    is_multiple, is_unexpected = (False, False) if was_under_way else _settle_multiple(rsc)
    has_to_recover = was_under_way and rsc.partial_target is None
    if rsc.start_pending:
        # It is under way: what waits for a start waits for this one.
        start = actions.make(job, rsc, "start", rsc.assigned_to, optional=True)
        start.is_forced_into_graph = True
    need_stop, need_promote = _needs(job, rsc, current, is_moving=is_moving)
    change = _Change(job, rsc, is_unexpected=is_unexpected)
    change.restart(current, need_stop=need_stop or is_multiple or has_to_recover, need_promote=need_promote)
    change.transition()
    recurring.create(job, rsc)
    if may_migrate and current is not None:
        migration.create(job, rsc, current)


def _settle_partial(rsc: Resource, current: Node | None, *, may_migrate: bool) -> bool:
    """Go on with an interrupted migration only if all is as it was; otherwise restart."""
    if rsc.partial_source is None or rsc.partial_target is None:
        return may_migrate
    continues = (
        rsc.partial_source is current
        and rsc.partial_target is rsc.assigned_to
        and len(rsc.active) == 2
        and may_migrate
    )
    if continues:
        return True
    rsc.partial_source = rsc.partial_target = None
    return False


def _settle_multiple(rsc: Resource) -> tuple[bool, bool]:
    """Tell whether a resource active too often has to stop, and whether only where it is not expected."""
    if rsc.requires >= Requires.FENCING:
        count = len(rsc.active)
    else:
        count = sum(node.is_clean_online for node in rsc.active)
    if count <= 1:
        return False, False
    is_unexpected = rsc.multiple_active is MultipleActive.STOP_UNEXPECTED
    return is_unexpected or rsc.multiple_active is MultipleActive.RESTART, is_unexpected


def _needs(job: Job, rsc: Resource, current: Node | None, *, is_moving: bool) -> tuple[bool, bool]:
    """Tell whether the resource has to stop, and whether it has to be promoted again."""
    if is_moving:
        return True, False
    if rsc.failed:
        if rsc.stop_if_failed:
            return True, False
        return False, rsc.next_role is Role.PROMOTED
    if rsc.blocked:
        return True, False
    if rsc.role > Role.STARTED and current is not None and rsc.assigned_to is not None:
        start = actions.make(job, rsc, "start", rsc.assigned_to, optional=True)
        return not start.is_optional, False
    return False, False


class _Change:
    """The steps of one primitive's change of role."""

    def __init__(self, job: Job, rsc: Resource, *, is_unexpected: bool) -> None:
        self._job = job
        self._rsc = rsc
        self._is_unexpected = is_unexpected

    def restart(self, current: Node | None, *, need_stop: bool, need_promote: bool) -> None:
        """Go down to a stop and up to the same role again; required only where there is need."""
        rsc = self._rsc
        rsc.restarting = True
        role = rsc.role
        while role is not Role.STOPPED:
            step = _TOWARDS[role][Role.STOPPED]
            self._step(role, step, current, optional=not need_stop)
            role = step
        while rsc.role <= rsc.next_role and role is not rsc.role and not rsc.blocked:
            step = _TOWARDS[role][rsc.role]
            required = need_stop or (step is Role.PROMOTED and need_promote)
            self._step(role, step, rsc.assigned_to, optional=not required)
            role = step
        rsc.restarting = False

    def transition(self) -> None:
        """Go from the present role to the next."""
        rsc = self._rsc
        role = rsc.role
        while role is not rsc.next_role:
            step = _TOWARDS[role][rsc.next_role]
            self._step(role, step, rsc.assigned_to, optional=False)
            role = step

    def _step(self, role: Role, step: Role, node: Node | None, *, optional: bool) -> None:
        if role is step:
            return
        if step is Role.STOPPED:
            self._stop(optional=optional)
        elif role is Role.PROMOTED:
            self._demote(optional=optional)
        elif role is Role.STOPPED:
            self._start(node, optional=optional)
        elif step is Role.PROMOTED:
            self._promote(node, optional=optional)

    def _is_expected(self, node: Node | None) -> bool:
        """Tell whether the resource is just where it should be, while it is stopped elsewhere."""
        rsc = self._rsc
        return (
            self._is_unexpected
            and rsc.restarting
            and rsc.next_role > Role.STOPPED
            and node is not None
            and rsc.assigned_to is node
            and node in rsc.active
        )

    def _stop(self, *, optional: bool) -> None:
        rsc = self._rsc
        for node in rsc.active:
            if self._is_unexpected and self._is_expected(node):
                continue
            required = not optional
            if rsc.partial_target is not None:
                if node is rsc.partial_target and node is rsc.assigned_to:
                    continue
                required = True
            stop = actions.make(self._job, rsc, "stop", node, optional=not required)
            if rsc.assigned_to is None:
                stop.give_reason("node availability", overwrite=True)
            elif rsc.restarting and self._is_unexpected:
                stop.give_reason("being multiply active", overwrite=True)
            if not rsc.managed:
                stop.clear(Flag.RUNNABLE)
            if rsc.requires is Requires.UNFENCING and self._job.unfencing_in_use:
                unfence = actions.fence_action(self._job, node, operation="on", optional=True, reason=None)
                actions.relate(stop, unfence, Rel.THEN_IMPLIES_FIRST)

    def _start(self, node: Node | None, *, optional: bool) -> None:
        rsc = self._rsc
        start = actions.make(self._job, rsc, "start", node, optional=True)
        if node is not None:
            unfencing.order_before(self._job, rsc, node, start, Rel.FIRST_IMPLIES_THEN)
        if start.is_runnable and not optional:
            start.clear(Flag.OPTIONAL)
        if self._is_expected(node):
            start.set(Flag.PSEUDO)

    def _promote(self, node: Node | None, *, optional: bool) -> None:
        rsc = self._rsc
        starts = actions.find_exact(rsc, actions.key_of(rsc.id, "start"), node)
        if all(start.is_runnable for start in starts):
            promote = actions.make(self._job, rsc, "promote", node, optional=optional)
            if self._is_expected(node):
                promote.set(Flag.PSEUDO)
            return
        for promote in actions.find_exact(rsc, actions.key_of(rsc.id, "promote"), node):
            promote.clear(Flag.RUNNABLE)

    def _demote(self, *, optional: bool) -> None:
        for node in self._rsc.active:
            if not self._is_expected(node):
                _make_demote(self._job, self._rsc, node, optional=optional)


def _make_demote(job: Job, rsc: Resource, node: Node, *, optional: bool) -> Action:
    return actions.make(job, rsc, "demote", node, optional=optional)
