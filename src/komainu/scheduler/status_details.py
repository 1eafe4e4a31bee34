"""Write what a status shows only when asked: node attributes, fail counts, failed operations, what nodes can hold.

Source: the text output of Pacemaker's `crm_simulate` (`--show-attrs`, `--show-failcounts`, `--show-utilization`).
"""

from collections.abc import Mapping

from komainu.model import iso8601
from komainu.model.operation import ExitCode
from komainu.model.score import show
from komainu.scheduler import failcounts
from komainu.scheduler.job import FailedOperation, Job, Node, Resource

_HIDDEN = ("fail-count", "last-failure", "shutdown", "terminate", "standby", "probe_complete", "#", "master-")


def attributes(job: Job) -> list[str]:
    """Write the attributes that users and agents set."""
    lines = ["", "  * Node Attributes:"]
    for node in job.nodes:
        lines.append(f"    * Node: {node.name}:")
        lines += [
            f"      * {name:<32}\t: {node.attributes[name]:<10}"
            for name in sorted(node.attributes)
            if not name.startswith(_HIDDEN)
        ]
    return lines


def failures(job: Job) -> list[str]:
    """Write how often each resource failed where, then each failed operation."""
    lines = ["", "  * Migration Summary:"]
    for node in job.nodes:
        counted = _counted(job, node)
        if counted:
            lines += [f"    * Node: {node.name}:", *counted]
    if job.failed_operations:
        lines += ["", "  * Failed Resource Actions:"]
        lines += [f"    * {_failed(failed)}" for failed in job.failed_operations]
    return lines


def _counted(job: Job, node: Node) -> list[str]:
    lines, seen = [], set()
    for top in job.resources:
        for rsc in top.primitives():
            name = failcounts.plain_name(rsc)
            found = failcounts.effective(job, rsc, node)
            if not found.count or name in seen:
                continue
            seen.add(name)
            last = f" last-failure='{iso8601.show_moment(found.last_s)}'" if found.last_s else ""
            limit = rsc.migration_threshold
            lines.append(f"      * {name}: migration-threshold={limit} fail-count={show(found.count)}{last}")
    return lines


def _failed(failed: FailedOperation) -> str:
    entry = failed.entry
    reason = entry.xml.get("exit-reason")
    said = f", exitreason='{reason}'" if reason else ""
    when = f", last-rc-change='{iso8601.show_moment(entry.changed_s)}'" if entry.changed_s >= 0 else ""
    code = exit_text(entry.rc)
    what = f"{failed.resource_id}_{entry.key_suffix} on {failed.node.name}"
    return f"{what} '{code}' ({entry.rc}): call={entry.call_id}{said}{when}"


def exit_text(code: int) -> str:
    """Say what an exit code means."""
    try:
        return ExitCode(code).label
    except ValueError:
        return f"exit code {code}"


def room(job: Job) -> list[str]:
    """Write what nodes could hold, what each resource takes where, and what is left."""
    parts = [part for top in job.resources for part in top.primitives()]
    lines = [f"Original: {node.name} capacity:{_amounts(node.utilization)}" for node in job.nodes]
    lines += [_takes(rsc) for rsc in parts if rsc.assigned_to is not None]
    return lines + [f"Remaining: {node.name} capacity:{_amounts(node.capacity)}" for node in job.nodes]


def _takes(rsc: Resource) -> str:
    assert rsc.assigned_to is not None, "only what is assigned takes room"
    return f"pcmk__finalize_assignment: {rsc.id} utilization on {rsc.assigned_to.name}:{_amounts(rsc.utilization)}"


def _amounts(table: Mapping[str, str] | Mapping[str, int]) -> str:
    return "".join(f" {name}={value}" for name, value in table.items())
