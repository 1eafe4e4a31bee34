"""Count a resource's failures on a node, and say when they no longer count.

Source: Pacemaker Explained, "Handling Resource Failure" (fail counts, failure-timeout, migration-threshold).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from komainu.scheduler import actions, digests, operations
from komainu.scheduler.entry import Entry
from komainu.scheduler.job import Action, FailureRecord, Job, Node, Resource
from komainu.scheduler.options import parse_int
from komainu.scheduler.words import Rel, add_scores

_ATTRIBUTE: Final = re.compile(r"(fail-count|last-failure)-(.+?)(:\d+)?(?:#.+_\d+)?$")
_NOT_INSTALLED: Final = 7  # execution status
_HARMLESS_PROBE: Final = frozenset({0, 7, 8, 190, 191})


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a resource failed on a node, and when last (seconds; 0: unknown)."""

    count: int
    last_s: int


NONE: Final = Failures(0, 0)


def read(attributes: Mapping[str, str]) -> dict[str, list[FailureRecord]]:
    """Sort a node's failure attributes by the resource they name, and by its instance where it has a number."""
    records: dict[str, list[FailureRecord]] = {}
    for attribute, value in attributes.items():
        found = _ATTRIBUTE.match(attribute)
        if found is None:
            continue
        plain, number = found[2], found[3]
        record = FailureRecord(plain + (number or ""), value, is_count=found[1] == "fail-count")
        for name in dict.fromkeys((plain, record.name)):
            records.setdefault(name, []).append(record)
    return records


def plain_name(rsc: Resource) -> str:
    """Return the name under which failures are counted: without number, unless instances differ."""
    name = rsc.history_name or rsc.id
    if rsc.unique:
        return name
    base, colon, number = name.rpartition(":")
    return base if colon and number.isdigit() else name


def raw(job: Job, rsc: Resource, node: Node, entry: Entry | None = None) -> Failures:
    """Return what the node's attributes say, whatever its age.

    A failure that blocks the resource never expires: in that case the failure time-out is given up.
    """
    if not node.failures:
        return NONE
    name = plain_name(rsc)
    count = last = 0
    for record in node.failures.get(name, ()):
        if rsc.unique and record.name != name:
            continue
        if record.is_count:
            count = add_scores(count, _score(record.value))
        else:
            last = max(last, parse_int(record.value, 0))
    if count > 0 and rsc.failure_timeout_ms > 0 and _blocks(job, rsc, node, entry):
        rsc.failure_timeout_ms = 0
    return Failures(count, last)


def _score(text: str) -> int:
    return 1_000_000 if text.strip().upper() in {"INFINITY", "+INFINITY"} else parse_int(text, 0)


def timeout_s(rsc: Resource) -> int:
    """Return the failure time-out in seconds, at least one where there is any."""
    milliseconds = rsc.failure_timeout_ms
    return 0 if milliseconds == 0 else max(1, (milliseconds + 500) // 1000)


def effective(job: Job, rsc: Resource, node: Node, entry: Entry | None = None) -> Failures:
    """Return the failures that still count."""
    failures = raw(job, rsc, node, entry)
    limit = timeout_s(rsc)
    if failures.count > 0 and limit > 0 and failures.last_s > 0 and job.now_s > failures.last_s + limit:
        return Failures(0, failures.last_s)
    return failures


def with_launched(job: Job, rsc: Resource, node: Node) -> int:
    """Return the failures that still count, those of what the resource launches included."""
    total = effective(job, rsc, node).count
    if rsc.launched and rsc.bundle_owner is None:
        for other in rsc.launched:
            total = add_scores(total, effective(job, other, node).count)
    return total


def _blocks(job: Job, rsc: Resource, node: Node, entry: Entry | None) -> bool:
    configured = [op for op in rsc.operations if op.get("on-fail") == "block"]
    for op in configured:
        task, interval_ms = op.get("name") or "", operations.interval_of(op)
        if entry is not None and entry.task == task and entry.interval_ms == interval_ms:
            return True
        if entry is None and any(
            _is_failure_of(other, task, interval_ms) for other in _history(job, rsc, node)
        ):
            return True
    return False


def _history(job: Job, rsc: Resource, node: Node) -> list[Entry]:
    names = {rsc.history_name or rsc.id, plain_name(rsc)}
    return [entry for name in sorted(names) for entry in job.entries(node.name, name)]


def _is_failure_of(entry: Entry, task: str, interval_ms: int) -> bool:
    return (
        entry.task == task
        and entry.interval_ms == interval_ms
        and entry.rc != entry.target_rc
        and entry.id.endswith("_last_failure_0")
    )


# -- expiry ---------------------------------------------------------------------------------------------


def has_expired(job: Job, rsc: Resource, node: Node, entry: Entry) -> bool:
    """Tell whether an entry is too old to count; orders fail counts to be cleared where that is due."""
    if entry.status == _NOT_INSTALLED:
        return False
    is_last_failure = entry.id.endswith("_last_failure_0")
    expired, clear_reason = False, ""
    if rsc.failure_timeout_ms > 0 and entry.changed_s >= 0:
        expired, clear_reason = _judge_age(job, rsc, node, entry)
    if not expired and is_last_failure and _parameters_changed(job, rsc, node, entry):
        clear_reason = "resource parameters have changed"
    if clear_reason:
        clear = clear_failcount(job, rsc, node, clear_reason)
        if job.options.fencing_enabled and rsc.reconnect_ms:
            _order_after_remote_fencing(job, rsc, clear)
    return expired and not (entry.is_probe and entry.rc in _HARMLESS_PROBE)


def _judge_age(job: Job, rsc: Resource, node: Node, entry: Entry) -> tuple[bool, str]:
    limit = timeout_s(rsc)
    counting = effective(job, rsc, node, entry)
    if rsc.failure_timeout_ms == 0:
        return False, ""
    expired = job.now_s >= entry.changed_s + limit and not _waits_for_fencing(job, rsc, entry)
    if counting.count and counting.last_s:
        job.recheck(counting.last_s + limit + 1)
    if not expired:
        return False, ""
    if raw(job, rsc, node, entry).count:
        return (True, "it expired") if counting.count == 0 else (False, "")
    if rsc.reconnect_ms and entry.id.endswith("_last_failure_0"):
        return True, "reconnect interval is set"
    return True, ""


def _waits_for_fencing(job: Job, rsc: Resource, entry: Entry) -> bool:
    """A failed recurring monitor of a remote connection counts until the remote node was fenced."""
    if not (
        rsc.reconnect_ms and job.options.fencing_enabled and entry.task == "monitor" and entry.interval_ms
    ):
        return False
    remote = job.node_by_name.get(rsc.id)
    return remote is not None and not remote.was_fenced


def _parameters_changed(job: Job, rsc: Resource, node: Node, entry: Entry) -> bool:
    if entry.task not in {"start", "monitor"}:
        return False
    if digests.needs_host_address(job, rsc):
        job.deferred_digest_checks.append(lambda: _check_later(job, rsc, node, entry))
        return False
    return digests.compare(job, rsc, node, entry) in {digests.Change.RELOAD, digests.Change.RESTART}


def _check_later(job: Job, rsc: Resource, node: Node, entry: Entry) -> None:
    if digests.compare(job, rsc, node, entry) in {digests.Change.RELOAD, digests.Change.RESTART}:
        clear_failcount(job, rsc, node, "Device parameters have changed")


def clear_failcount(job: Job, rsc: Resource, node: Node, reason: str) -> Action:
    """Order a resource's failures on a node to be forgotten."""
    action = actions.make(job, rsc, "clear_failcount", node, optional=False)
    action.meta["op_no_wait"] = "true"
    action.give_reason(reason, overwrite=True)
    return action


def _order_after_remote_fencing(job: Job, rsc: Resource, clear: Action) -> None:
    remote = job.node_by_name.get(rsc.id)
    if remote is not None:
        fence = actions.fence_action(job, remote, optional=True, reason=None)
        actions.relate(fence, clear, Rel.FIRST_IMPLIES_THEN)
