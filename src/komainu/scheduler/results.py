"""Say what one history entry means for its resource: in which role it is, and what a failure demands.

Reads entries from oldest to newest; the pass over all of them is history.py's.
Source: OCF resource agent API 1.1 (exit codes); Pacemaker Explained, "Handling Resource Failure".
"""

from dataclasses import dataclass
from typing import Final

from komainu.model.operation import ExitCode, OpStatus
from komainu.model.role import Role
from komainu.scheduler import actions, failcounts, migration_history, operations, tree
from komainu.scheduler.entry import Entry
from komainu.scheduler.job import FailedOperation, Job, Node, Resource
from komainu.scheduler.words import OnFail

STATE_TASKS: Final = frozenset(
    {"monitor", "asyncmon", "start", "stop", "promote", "demote", "migrate_to", "migrate_from"}
)
_KNOWN_STATUS: Final = range(-1, 12)
_NO_DEVICE_OR_SECRETS: Final = frozenset({10, 11})
_HARD_CODES: Final = frozenset(
    {ExitCode.BAD_ARGUMENTS, ExitCode.UNIMPLEMENTED, ExitCode.NO_PRIVILEGE, ExitCode.NOT_INSTALLED}
)
_MASKABLE: Final = frozenset({ExitCode.BAD_ARGUMENTS, ExitCode.NOT_INSTALLED})
_KEPT: Final = frozenset({OnFail.STOP, OnFail.BAN, OnFail.STANDBY, OnFail.FENCE})
"""What a later success does not take back."""


@dataclass(eq=False, slots=True)
class Reading:
    """What the entries of one resource on one node have told so far."""

    job: Job
    rsc: Resource
    node: Node
    on_fail: OnFail = OnFail.IGNORE
    last_failure: Entry | None = None
    has_failed_stop: bool = False  # and it was not started here since
    rc: int = 0  # of the entry at hand, after remapping
    status: int = 0
    is_expired: bool = False

    @property
    def whole(self) -> Resource:
        """What a ban is about: the resource, or the whole clone where instances are interchangeable."""
        return self.rsc if self.rsc.unique else self.rsc.top


def read(reading: Reading, entry: Entry) -> None:
    """Take one entry into account."""
    job, rsc, node = reading.job, reading.rsc, reading.node
    if entry.task not in STATE_TASKS or entry.status not in _KNOWN_STATUS or entry.rc < 0:
        return
    reading.rc, reading.status = entry.rc, entry.status
    reading.is_expired = failcounts.has_expired(job, rsc, node, entry)
    is_masked = _is_masked(rsc, entry)
    _remap(reading, entry, is_masked=is_masked)
    if reading.is_expired and reading.rc != entry.target_rc and entry.status != OpStatus.PENDING:
        if entry.interval_ms and node.online and not node.unclean:
            job.forced_entries.add(entry)
            return
        if not entry.interval_ms:
            return
    if is_masked:
        _succeed(reading, entry, ExitCode.NOT_RUNNING)
        _record_failure(reading, entry)
        tree.ban(reading.whole, node)
        return
    _by_status(reading, entry)


def is_maskable(entry: Entry) -> bool:
    """Tell whether an entry is of a probe that could not look."""
    return entry.is_probe and (entry.status == OpStatus.NOT_INSTALLED or entry.rc in _MASKABLE)


def _is_masked(rsc: Resource, entry: Entry) -> bool:
    """A probe that could not look, because the agent is not there, says that nothing runs."""
    if not entry.is_probe or rsc.bundle_owner is not None:
        return False
    return entry.status == OpStatus.NOT_INSTALLED or (
        entry.rc in _MASKABLE and entry.status != OpStatus.PENDING
    )


def _remap(reading: Reading, entry: Entry, *, is_masked: bool) -> None:
    """Judge status and exit code anew, by what was expected."""
    node = reading.node
    if reading.rc in {ExitCode.DEGRADED, ExitCode.DEGRADED_PROMOTED}:
        reading.rc = ExitCode.OK if reading.rc == ExitCode.DEGRADED else ExitCode.RUNNING_PROMOTED
        if not node.shutdown or node.online:
            _record_failure(reading, entry)
    if is_masked:
        reading.rc, reading.status = ExitCode.NOT_RUNNING, OpStatus.DONE
        # What a probe that could not look told long ago is asked again, and so is what was known before it.
        reading.rsc.role = Role.UNKNOWN if reading.is_expired else Role.STOPPED
        if not reading.is_expired:
            reading.on_fail = OnFail.IGNORE
            reading.rsc.next_role = Role.UNKNOWN
        return
    if reading.status not in {OpStatus.DONE, OpStatus.ERROR}:
        return
    is_expected = entry.target_rc >= 0 and reading.rc == entry.target_rc
    reading.status = OpStatus.DONE if is_expected else OpStatus.ERROR
    _remap_code(reading, entry, is_expected=is_expected)


def _remap_code(reading: Reading, entry: Entry, *, is_expected: bool) -> None:
    rsc = reading.rsc
    match reading.rc:
        case ExitCode.OK:
            if entry.is_probe and entry.target_rc == ExitCode.NOT_RUNNING:
                reading.status = OpStatus.DONE
        case ExitCode.NOT_RUNNING:
            if entry.is_probe or is_expected or not rsc.managed:
                reading.status = OpStatus.DONE
                rsc.role = Role.STOPPED
                reading.on_fail = OnFail.IGNORE
                rsc.next_role = Role.UNKNOWN
        case ExitCode.RUNNING_PROMOTED:
            if entry.is_probe and not is_expected:
                reading.status = OpStatus.DONE
            if not reading.is_expired or is_expected:
                rsc.role = Role.PROMOTED
        case ExitCode.FAILED_PROMOTED:
            if not reading.is_expired or is_expected:
                rsc.role = Role.PROMOTED
            reading.status = OpStatus.ERROR
        case ExitCode.NOT_CONFIGURED:
            reading.status = OpStatus.FATAL
        case code if code in _HARD_CODES:
            _remap_hard(reading, entry)
        case _:
            reading.status = OpStatus.ERROR


def _remap_hard(reading: Reading, entry: Entry) -> None:
    if reading.rc == ExitCode.UNIMPLEMENTED and entry.interval_ms:
        reading.status = OpStatus.NOT_SUPPORTED
        return
    if entry.task == "stop" and not reading.is_expired and not actions.can_fence(reading.job, reading.node):
        reading.rsc.managed, reading.rsc.blocked = False, True
    reading.status = OpStatus.HARD


def _by_status(reading: Reading, entry: Entry) -> None:
    rsc, node = reading.rsc, reading.node
    match reading.status:
        case OpStatus.CANCELLED:
            return
        case OpStatus.PENDING:
            _read_pending(reading, entry)
            return
        case OpStatus.DONE:
            _succeed(reading, entry, reading.rc)
            return
        case OpStatus.NOT_INSTALLED:
            demand = _demand(reading, entry)
            if demand is OnFail.IGNORE:  # what is not there cannot run, whatever is configured
                demand = OnFail.BAN
            tree.ban(reading.whole, node)
            _fail(reading, entry, demand)
            return
        case _:
            pass
    demand = _demand(reading, entry)
    is_ignored = demand is OnFail.IGNORE or (demand is OnFail.RESTART_CONTAINER and entry.task == "stop")
    if is_ignored:
        _succeed(reading, entry, entry.target_rc)
        rsc.failure_ignored = True
        _record_failure(reading, entry)
        if demand is OnFail.RESTART_CONTAINER and reading.on_fail <= OnFail.RESTART:
            reading.on_fail = demand
        return
    _fail(reading, entry, demand)
    if reading.status == OpStatus.HARD or reading.status in _NO_DEVICE_OR_SECRETS:
        tree.ban(reading.whole, node)
    elif reading.status == OpStatus.FATAL:
        tree.ban_everywhere(reading.job, reading.whole)


def _demand(reading: Reading, entry: Entry) -> OnFail:
    job, rsc = reading.job, reading.rsc
    meta = operations.meta_of(job, rsc, entry.task, entry.interval_ms)
    return operations.on_fail(job, rsc, (entry.task, entry.interval_ms), meta)


def _record_failure(reading: Reading, entry: Entry) -> None:
    """Remember a failure for display, once per operation and node."""
    job, rsc, node = reading.job, reading.rsc, reading.node
    for known in job.failed_operations:
        if known.entry.key_suffix == entry.key_suffix and known.node is node and known.resource_id == rsc.id:
            return
    job.failed_operations.append(FailedOperation(rsc.id, node, entry))


# -- success --------------------------------------------------------------------------------------------


def up_role(rsc: Resource) -> Role:
    """Return the role of a resource that is known to be active and no more."""
    return Role.UNPROMOTED if rsc.top.xml_is_promotable else Role.STARTED


def _succeed(reading: Reading, entry: Entry, rc: int) -> None:
    """Set the role that follows from a success; forget failures that it makes good."""
    rsc = reading.rsc
    if rsc.pending_node is reading.node and not entry.is_probe:
        rsc.pending_node = rsc.pending_task = None
    clears = True
    match entry.task:
        case _ if rc == ExitCode.NOT_INSTALLED:
            rsc.role, clears = Role.STOPPED, False
        case _ if rc == ExitCode.NOT_RUNNING:
            pass  # the role was set when the result was judged
        case "monitor" | "asyncmon":
            last = reading.last_failure
            clears = last is not None and last.key_suffix == entry.key_suffix
            if rsc.role < Role.STARTED:
                rsc.role = up_role(rsc)
        case "start" | "migrate_from":
            rsc.role = Role.STARTED
            reading.has_failed_stop = False
        case "stop":
            rsc.role = Role.STOPPED
        case "promote":
            rsc.role = Role.PROMOTED
        case "demote":
            clears = reading.on_fail is OnFail.DEMOTE
            rsc.role = Role.UNPROMOTED
        case _:
            clears = False
            migration_history.read_migrate_to(reading.job, rsc, reading.node, entry)
    if clears:
        _forget_failure(reading)


def _forget_failure(reading: Reading) -> None:
    if reading.on_fail in _KEPT:
        return
    if reading.on_fail is OnFail.RESET_REMOTE and reading.rsc.reconnect_ms:
        return
    reading.on_fail = OnFail.IGNORE
    reading.rsc.next_role = Role.UNKNOWN


# -- failure --------------------------------------------------------------------------------------------


def _fail(reading: Reading, entry: Entry, demand: OnFail) -> None:
    job, rsc, node = reading.job, reading.rsc, reading.node
    reading.last_failure = entry
    _record_failure(reading, entry)
    reading.on_fail = max(reading.on_fail, demand)
    match entry.task:
        case "stop":
            reading.has_failed_stop = True
        case "migrate_from":
            migration_history.read_migrate_from_failure(job, rsc, entry)
        case "migrate_to":
            migration_history.read_migrate_to_failure(job, rsc, node, entry)
        case "promote":
            rsc.role = Role.PROMOTED
        case "demote":
            _fail_demote(reading, demand)
        case _:
            pass
    if entry.is_probe and reading.rc == ExitCode.NOT_INSTALLED:
        rsc.role = Role.STOPPED
    elif rsc.role < Role.STARTED:
        rsc.role = up_role(rsc)
    wanted = operations.role_after_failure(rsc, entry.task, demand)
    if wanted is not Role.STARTED and rsc.next_role < wanted:
        rsc.next_role = wanted
    if wanted is Role.STOPPED:
        tree.ban_everywhere(job, reading.whole)


def _fail_demote(reading: Reading, demand: OnFail) -> None:
    rsc = reading.rsc
    if demand is OnFail.BLOCK:
        rsc.role, rsc.next_role = Role.PROMOTED, Role.STOPPED
    elif reading.rc == ExitCode.NOT_RUNNING:
        rsc.role = Role.STOPPED
    else:
        # To stay promoted would make the same demote fail for ever; the resource is stopped anyway.
        rsc.role = Role.UNPROMOTED


# -- pending --------------------------------------------------------------------------------------------


def _read_pending(reading: Reading, entry: Entry) -> None:
    job, rsc, node = reading.job, reading.rsc, reading.node
    last = reading.last_failure
    if last is not None and last.key_suffix == entry.key_suffix and last.changed_s > entry.changed_s:
        return
    if entry.task == "start":
        rsc.start_pending = True
        rsc.role = up_role(rsc)
    elif entry.task == "promote":
        rsc.role = Role.PROMOTED
    elif entry.task == "migrate_to" and node.unclean:
        target = job.node_by_name.get(entry.xml.get("migrate_target") or "")
        if target is not None:
            actions.make(job, rsc, "stop", target, optional=False)
    if rsc.pending_task is None and not entry.is_probe:
        rsc.pending_task, rsc.pending_node = entry.task, node
