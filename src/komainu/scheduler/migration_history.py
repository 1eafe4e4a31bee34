"""Find out from the history where a resource is whose migration was interrupted.

A migration leaves entries on two nodes; what counts is which node has newer news.
Source: Pacemaker's behaviour for partial and dangling migrations, as its regression suite pins it.
"""

from komainu.model.operation import ExitCode, OpStatus
from komainu.model.role import Role
from komainu.scheduler import running
from komainu.scheduler.entry import Entry, compare
from komainu.scheduler.job import Job, Resource
from komainu.scheduler.job import Node as ClusterNode

_MOVES = frozenset({"start", "stop", "migrate_to", "migrate_from"})


def _entries(job: Job, rsc: Resource, node_name: str) -> tuple[Entry, ...]:
    return job.entries(node_name, rsc.history_name or rsc.id)


def _find(job: Job, rsc: Resource, node_name: str, task: str, peer: str) -> Entry | None:
    """Return the entry of a migration on a node that has this peer on its other side."""
    side = "migrate_target" if task == "migrate_to" else "migrate_source"
    return next(
        (e for e in _entries(job, rsc, node_name) if e.task == task and e.xml.get(side) == peer), None
    )


def _moved_after(job: Job, rsc: Resource, node_name: str, entry: Entry) -> bool:
    """Tell whether the node has an operation newer than the entry that changed where the resource is."""
    return any(e.task in _MOVES and compare(e, entry) > 0 for e in _entries(job, rsc, node_name))


def _newer_state(job: Job, rsc: Resource, node_name: str, to: Entry | None, come: Entry | None) -> bool:
    """Tell whether the node knows something newer than the migration: a move, or that nothing runs there."""
    event = come or to
    source = event.xml.get("migrate_source") if event is not None else None
    target = event.xml.get("migrate_target") if event is not None else None
    if node_name == target:
        event = come or to
    elif node_name == source:
        event = to or come
    if event is None:
        return False
    if _moved_after(job, rsc, node_name, event):
        return True
    return any(
        e.task == "monitor" and e.rc == ExitCode.NOT_RUNNING and compare(e, event) > 0
        for e in _entries(job, rsc, node_name)
    )


def _is_unknown_on(job: Job, rsc: Resource, node_name: str) -> bool:
    return not any(e.rc != ExitCode.PENDING for e in _entries(job, rsc, node_name))


def _ends(entry: Entry) -> tuple[str, str]:
    return entry.xml.get("migrate_source") or "", entry.xml.get("migrate_target") or ""


def read_migrate_to(job: Job, rsc: Resource, node: ClusterNode, entry: Entry) -> None:
    """Settle a resource that was sent off with success: it may have arrived, be on its way, or be gone."""
    source, target = _ends(entry)
    if not source or not target:
        return
    source_moved_on = _moved_after(job, rsc, source, entry)
    arrival = _find(job, rsc, target, "migrate_from", source)
    if arrival is not None and source_moved_on:
        return
    target_newer = _newer_state(job, rsc, target, entry, arrival)
    source_newer = _newer_state(job, rsc, source, entry, arrival)
    if target_newer and source_newer:
        return
    arrived = arrival is not None and arrival.status == OpStatus.DONE and arrival.rc == ExitCode.OK
    if arrived:
        rsc.role = Role.STOPPED
        rsc.dangling.insert(0, node)
        return
    rsc.role = Role.STARTED
    target_node = job.node_by_name.get(target)
    on_target = target_node if not target_newer and target_node is not None and target_node.online else None
    if arrival is not None and arrival.status != OpStatus.PENDING:
        if on_target is not None:
            running.add(job, rsc, on_target, is_failed=True)
        else:
            _must_recover(rsc)
        return
    if target_node is not None and target_node.online and _is_unknown_on(job, rsc, target):
        return  # its history was cleaned; a probe will tell
    if on_target is not None:
        running.add(job, rsc, on_target, is_failed=False)
        source_node = job.node_by_name.get(source)
        if source_node is not None and source_node.online:
            rsc.partial_target, rsc.partial_source = on_target, source_node
    elif not source_moved_on:
        _must_recover(rsc)


def _must_recover(rsc: Resource) -> None:
    rsc.failed = rsc.stop_if_failed = True
    rsc.migratable = False


def read_migrate_to_failure(job: Job, rsc: Resource, node: ClusterNode, entry: Entry) -> None:
    """Settle a resource that could not be sent off: it is assumed to be active, perhaps also on the target."""
    source, target = _ends(entry)
    if not source or not target:
        return
    rsc.role = Role.STARTED
    arrival = _find(job, rsc, target, "migrate_from", source)
    if not _is_unknown_on(job, rsc, target) and not _newer_state(job, rsc, target, entry, arrival):
        target_node = job.node_by_name.get(target)
        if target_node is not None and target_node.online:
            running.add(job, rsc, target_node, is_failed=False)
    elif not _moved_after(job, rsc, source, entry):
        rsc.dangling.insert(0, node)


def read_migrate_from_failure(job: Job, rsc: Resource, entry: Entry) -> None:
    """Settle a resource that did not arrive: it may be active on the source, too."""
    source, target = _ends(entry)
    if not source or not target:
        return
    rsc.role = Role.STARTED
    sent = _find(job, rsc, source, "migrate_to", target)
    # Where nothing is known of it a probe will tell.
    if not _is_unknown_on(job, rsc, source) and not _newer_state(job, rsc, source, sent, entry):
        source_node = job.node_by_name.get(source)
        if source_node is not None and source_node.online:
            running.add(job, rsc, source_node, is_failed=True)
