"""Create actions: find the one that exists or make it, and say whether it is demanded and whether it can run.

Does not decide which actions there are; that is the business of the phases. Fencing a node is an action too, and
so are the marks that come with it.
Source: Pacemaker's behaviour for quorum policies and unmanaged resources, as its regression suite pins it.
"""

from typing import Final

from komainu.model.role import Role
from komainu.scheduler import operations, tree
from komainu.scheduler.job import Action, Job, Node, Relation, Resource
from komainu.scheduler.words import Flag, Requires

PROTECTED: Final = frozenset({"start", "promote"})
"""The tasks that wait for quorum or fencing; taking something down needs neither."""


COMPLETION = {"start": "running", "stop": "stopped", "promote": "promoted", "demote": "demoted"}
"""The pseudo action that says that a collective has done something."""

BEGINNING = {done: task for task, done in COMPLETION.items()}


def key_of(name: str, task: str, interval_ms: int = 0) -> str:
    """Write an operation key."""
    return f"{name}_{task}_{interval_ms}"


def key_of_task(rsc: Resource, task: str) -> str:
    """Write the key of a resource's single operation; it is asked for all day."""
    keys = rsc.description.keys
    if task not in keys:
        keys[task] = key_of(rsc.id, task)
    return keys[task]


def make(
    job: Job,
    rsc: Resource | None,
    task: str,
    node: Node | None,
    *,
    optional: bool,
    key: str = "",
    interval_ms: int = 0,
) -> Action:
    """Return the action with this key on this node, made if need be; `optional=False` makes it required."""
    if not key:
        if rsc is None or interval_ms:
            key = key_of("" if rsc is None else rsc.id, task, interval_ms)
        else:
            key = key_of_task(rsc, task)
    action = _existing(job, rsc, key, node) or _new(
        job, rsc, (task, key, interval_ms), node, optional=optional
    )
    if (
        rsc is not None
        and node is not None
        and not action.is_pseudo
        and not rsc.managed
        and not action.interval_ms
    ):
        action.set(Flag.OPTIONAL)
    elif not optional:
        action.clear(Flag.OPTIONAL)
    if rsc is not None:
        _settle_runnable(job, action, rsc)
    return action


def _existing(job: Job, rsc: Resource | None, key: str, node: Node | None) -> Action | None:
    if rsc is None:
        return next((a for a in job.cluster_actions.get(key, []) if a.node is node or node is None), None)
    return next(iter(find_all(rsc, key, node)), None)


def find_all(rsc: Resource, key: str, node: Node | None) -> list[Action]:
    """Return the resource's actions with this key on this node (any, without node), newest first.

    An action that has no node yet adopts the one that is asked for.
    """
    known = rsc.actions_by_key.get(key) or rsc.actions_by_key.get(key.lower())
    if known is None:
        return []
    if node is None:
        return known[::-1]
    found: list[Action] = []
    for action in reversed(known):
        if action.node is node:
            found.append(action)
        elif action.node is None:
            action.node = node
            found.append(action)
    return found


def find_exact(rsc: Resource, key: str, node: Node | None) -> list[Action]:
    """Return the resource's actions with this key that are on this very node, newest first."""
    return [
        a for a in reversed(rsc.actions_by_key.get(key.lower(), ())) if a.node is node and node is not None
    ]


def find_task(rsc: Resource, task: str, node: Node | None = None) -> list[Action]:
    """Return the resource's single actions of this task, newest first."""
    return find_all(rsc, key_of_task(rsc, task), node)


def find_first(rsc: Resource, task: str, node: Node | None) -> Action | None:
    """Return the newest action of a task, on a node if one is given."""
    for action in reversed(rsc.actions):
        if action.task == task and (node is None or action.node is node):
            return action
    return None


def first_of(rsc: Resource, task: str, node: Node | None = None) -> Action | None:
    """Return the newest action of this task, or None."""
    return next(iter(find_task(rsc, task, node)), None)


def _new(
    job: Job,
    rsc: Resource | None,
    operation: tuple[str, str, int],
    node: Node | None,
    *,
    optional: bool,
) -> Action:
    task, key, interval_ms = operation
    flags = Flag.RUNNABLE | (Flag.OPTIONAL if optional else 0)
    meta = {} if rsc is None else dict(operations.meta_of(job, rsc, task, interval_ms))
    action = Action(len(job.actions) + 1, key, task, rsc, node, flags, interval_ms, meta=meta)
    action.is_on_dc = task == "lrm_delete" or (task == "delete" and rsc is None)
    job.actions.append(action)
    if rsc is None:
        job.cluster_actions.setdefault(key, []).append(action)
        return action
    action.config = operations.find(job, rsc, task, interval_ms)
    action.needs = rsc.requires if task in PROTECTED else Requires.NOTHING
    rsc.actions.append(action)
    rsc.actions_by_key.setdefault(key.lower(), []).append(action)
    return action


def _settle_runnable(job: Job, action: Action, rsc: Resource) -> None:
    """Set or clear runnable, by what is known of the node and the quorum."""
    node = action.node
    if action.is_pseudo:
        return
    if node is None:
        action.clear(Flag.RUNNABLE)
    elif not action.is_on_dc and not node.online and not (node.is_guest and not node.reset_needed):
        action.clear(Flag.RUNNABLE)
        if rsc.managed and action.task == "stop" and not node.unclean:
            fence_node(job, node, "stop is unrunnable")
    elif not action.is_on_dc and node.pending:
        action.clear(Flag.RUNNABLE)
    elif action.needs is Requires.NOTHING:
        action.reason = None
        if node.is_guest and not can_fence(job, node):
            action.clear(Flag.RUNNABLE)
        else:
            action.set(Flag.RUNNABLE)
    else:
        _settle_by_quorum(job, action, rsc)


def _settle_by_quorum(job: Job, action: Action, rsc: Resource) -> None:
    policy = quorum_policy(job, rsc)
    if policy == "stop":
        action.clear(Flag.RUNNABLE)
        action.give_reason("no quorum", overwrite=True)
    elif policy == "freeze":
        if not tree.is_active(rsc, everywhere=True) or rsc.next_role > rsc.role:
            action.clear(Flag.RUNNABLE)
            action.give_reason("quorum freeze", overwrite=True)
    else:
        action.set(Flag.RUNNABLE)


def quorum_policy(job: Job, rsc: Resource) -> str:
    """Return the policy that holds for a resource now; with quorum it is "ignore"."""
    policy = job.options.no_quorum_policy
    if job.quorate:
        return "ignore"
    if policy == "demote":
        if rsc.role in {Role.PROMOTED, Role.UNPROMOTED}:
            rsc.next_role = min(rsc.next_role, Role.UNPROMOTED)
            return "ignore"
        return "stop"
    return policy


# -- relations between two actions ----------------------------------------------------------------------


def relate(first: Action | None, then: Action | None, flags: int) -> bool:
    """Put `first` before `then`. False when there is nothing new in it.

    A relation is a duplicate when one between the same two shares any of its flags.
    """
    if first is None or then is None or first is then or not flags:
        return False
    known = then.before_by_number.get(first.number, 0)
    if known & flags:
        return False
    then.before_by_number[first.number] = known | flags
    first.after.append(Relation(then, flags))
    then.before.append(Relation(first, flags))
    return True


# -- fencing --------------------------------------------------------------------------------------------


def fence_node(job: Job, node: Node, reason: str, *, arms_priority_delay: bool = False) -> None:
    """Mark a node as one that has to be fenced, for this reason; whether it can be is settled later."""
    connection = node.connection
    if node.is_guest and connection is not None and connection.launcher is not None:
        launcher = connection.launcher
        if not launcher.failed and launcher.managed:
            node.reset_needed = True
            launcher.failed = launcher.stop_if_failed = True
        return
    if connection is not None and connection.is_removed_launched:
        connection.failed = connection.stop_if_failed = True
        return
    if node.is_remote:
        if connection is not None and not connection.managed:
            return
        node.reset_needed = True
    node.unclean = True
    fence_action(job, node, optional=True, reason=reason, arms_priority_delay=arms_priority_delay)


def fence_action(
    job: Job,
    node: Node,
    *,
    operation: str = "",
    optional: bool,
    reason: str | None,
    arms_priority_delay: bool = False,
) -> Action:
    """Return the action that fences a node (or, with operation "on", unfences it)."""
    operation = operation or job.options.fencing_action
    key = f"stonith-{node.name}-{operation}"
    known = job.cluster_actions.get(key)
    if known:
        action = known[0]
    else:
        action = make(job, None, "stonith", node, optional=True, key=key)
        action.meta.update(on_node=node.name, on_node_uuid=node.id, stonith_action=operation)
        if job.unfencing_in_use:
            from komainu.scheduler import unfencing

            unfencing.note_digests(job, action, node)
    delay_ms = job.options.priority_fencing_delay_ms
    if delay_ms > 0 and (arms_priority_delay or "priority-fencing-delay" in action.meta):
        action.meta["priority-fencing-delay"] = str(_priority_delay_s(job, node))
    if not optional and can_fence(job, node):
        action.clear(Flag.OPTIONAL)
        action.give_reason(reason)
    elif reason and action.reason is None:
        action.reason = reason
    return action


def _priority_delay_s(job: Job, node: Node) -> int:
    """Say how long fencing this node waits, so that the half with the weightier resources wins."""
    members = [other for other in job.nodes if not other.is_remote]
    if node.is_remote or node.online:
        return 0
    online = [other for other in members if other.online]
    if len(online) > len(members) / 2:
        return 0
    priorities = [other.priority for other in members]
    if not priorities or max(priorities) == min(priorities) or node.priority < max(priorities):
        return 0
    return job.options.priority_fencing_delay_ms // 1000


def can_fence(job: Job, node: Node) -> bool:
    """Tell whether a node can be fenced from here."""
    connection = node.connection
    if node.is_guest and connection is not None and connection.launcher is not None:
        hosts = tree.locations(connection.launcher)
        return all(host.online or can_fence(job, host) for host in hosts)
    if not job.options.fencing_enabled or not (job.has_fence_device or job.options.have_watchdog):
        return False
    if job.quorate or job.options.no_quorum_policy == "ignore":
        return True
    if node.is_remote and not job.options.fence_remote_without_quorum:
        table = {} if connection is None else connection.table
        if any(not row.node.online for row in table.values()):
            return False
    return node.online
