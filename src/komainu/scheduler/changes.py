"""Act on changed configuration: restart or reload what runs with old parameters, cancel what is gone.

Source: Pacemaker Explained, "Reloading an Agent After a Definition Change"; removed resources and operations.
"""

from typing import Final

from komainu.scheduler import (
    actions,
    digests,
    failcounts,
    operations,
    ordering,
    recurring,
    unfencing,
)
from komainu.scheduler.actions import key_of
from komainu.scheduler.cleanup import schedule as schedule_cleanup
from komainu.scheduler.digests import Change
from komainu.scheduler.entry import Entry, History
from komainu.scheduler.job import Job, Node, Resource
from komainu.scheduler.words import Kind, Rel

_COMPARED: Final = frozenset({"monitor", "start", "promote", "migrate_from"})


def handle(job: Job) -> None:
    """Compare the history of each node that can act with the configuration."""
    by_name: dict[str, list[Resource]] = {}
    for top in job.resources:
        for rsc in top.primitives():
            by_name.setdefault(rsc.id, []).append(rsc)
            if rsc.history_name is not None and rsc.history_name != rsc.id:
                by_name.setdefault(rsc.history_name, []).append(rsc)
    for node in job.nodes:
        if not (node.is_available or node.maintenance):
            continue
        for known_as, history in job.history.get(node.name, {}).items():
            for rsc in by_name.get(known_as, ()):
                is_idle = node not in rsc.active and history.agent == rsc.description.agent
                if rsc.removed or not is_idle:
                    _check(job, rsc, node, history)


def _check(job: Job, rsc: Resource, node: Node, history: History) -> None:
    if not history.xml.children:
        return
    if rsc.removed:
        if not rsc.top.is_anonymous_clone:
            schedule_cleanup(job, rsc, node, optional=False)
        return
    is_active = node in rsc.active
    if history.agent != operations.agent_of(rsc):
        unfencing.trigger(job, rsc, node, "Device definition changed", None)
        if is_active:
            actions.make(job, rsc, "stop", node, optional=False)
            rsc.start_pending = True  # it starts anew: it is neither reloaded nor migrated
        schedule_cleanup(job, rsc, node, optional=False)
    if not is_active:
        return
    if history.last_start < history.last_stop:
        return
    for entry in history.ordered[max(history.last_start, 0) :]:
        _check_entry(job, rsc, node, entry)


def _check_entry(job: Job, rsc: Resource, node: Node, entry: Entry) -> None:
    if entry.interval_ms and (rsc.maintenance or node.maintenance):
        operation = (entry.task, entry.interval_ms, entry.xml.get("call-id"))
        recurring.schedule_cancel(job, rsc, node, operation, "maintenance mode")
        return
    if not entry.interval_ms and entry.task not in _COMPARED:
        return
    if digests.needs_host_address(job, rsc):
        job.deferred_digest_checks.append(lambda: _act(job, rsc, node, entry))
        return
    _act(job, rsc, node, entry)


def _act(job: Job, rsc: Resource, node: Node, entry: Entry) -> None:
    if _has_changed(job, rsc, node, entry) and failcounts.effective(job, rsc, node).count:
        failcounts.clear_failcount(job, rsc, node, "action definition changed")


def _has_changed(job: Job, rsc: Resource, node: Node, entry: Entry) -> bool:
    task, interval_ms = entry.task, entry.interval_ms
    if interval_ms and operations.find(job, rsc, task, interval_ms, only_enabled=True) is None:
        if job.options.cancel_removed_actions:
            operation = (entry.task, entry.interval_ms, entry.xml.get("call-id"))
            recurring.schedule_cancel(job, rsc, node, operation, "orphan")
        return True
    change = digests.compare(job, rsc, node, entry)
    if change is Change.NONE:
        return False
    if digests.only_secrets_changed(job, rsc, node, entry):
        return False
    if change is not Change.RESTART and entry.interval_ms:
        recurring.reschedule(rsc, entry.task, entry.interval_ms, node)
    elif change is not Change.RESTART and entry.xml.get("op-restart-digest") is not None:
        _reload(job, rsc, node)
    else:
        _force_restart(job, rsc, node, entry)
    return True


def _force_restart(job: Job, rsc: Resource, node: Node, entry: Entry) -> None:
    is_start = not entry.interval_ms and entry.task in _COMPARED
    task = "start" if is_start else entry.task
    action = actions.make(job, rsc, task, None, optional=False, interval_ms=entry.interval_ms)
    action.give_reason("resource definition change", overwrite=True)
    unfencing.trigger(job, rsc, node, "Device parameters changed", None)


def _reload(job: Job, rsc: Resource, node: Node) -> None:
    """Tell the agent of new parameters that it can take while running."""
    if rsc.kind is not Kind.PRIMITIVE or not rsc.managed or rsc.failed:
        return
    if rsc.start_pending:
        actions.make(job, rsc, "stop", node, optional=False)
        return
    rsc.reload_needed = True
    reload = actions.make(job, rsc, "reload-agent", node, optional=False)
    reload.give_reason("resource definition change")
    for task in ("stop", "demote"):
        ordering.between(job, reload, (rsc, key_of(rsc.id, task)), Rel.ORDERED | Rel.THEN_CANCELS_FIRST)
