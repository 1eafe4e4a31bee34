"""Decide whether a record changed its subject, and say in half a sentence how.

Must not know how records are kept or chained. Source of the operations' meaning: OCF resource agent API 1.1.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, assert_never

from komainu.cib.command import (
    AnyCommand,
    CancelAction,
    ChangeMembership,
    ConfirmOff,
    EditConfiguration,
    JoinNode,
    LeaveNode,
    RecordFencing,
    RecordOperation,
    SetAttribute,
    StartAction,
    StartTransition,
)
from komainu.cib.history import is_failure, is_probe
from komainu.model.cause import Cause
from komainu.model.edit import SetOption
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import WallTime
from komainu.model.operation import ExitCode, OperationResult
from komainu.recorder.record import Record

_MOMENT_MS_MAX: Final = 253_402_300_799_000  # the last second of the year 9999: datetime ends there
_STATE_OPTIONS: Final = frozenset({"standby", "maintenance", "is-managed", "target-role"})
_FOUND: Final = "{resource} was found running on {node} at {time}"
_DONE: Final = {
    "start": "{resource} runs on {node} since {time}",
    "reload": "{resource} was reloaded on {node} at {time}",
    "reload-agent": "{resource} was reloaded on {node} at {time}",
    "stop": "{resource} was stopped on {node} at {time}",
    "promote": "{resource} is promoted on {node} since {time}",
    "demote": "{resource} was demoted on {node} at {time}",
    "migrate_to": "{resource} was moved away from {node} at {time}",
    "migrate_from": "{resource} was moved to {node} at {time}",
}


REMOVED: Final = "layout.removed"
"""The cause of the record that this node is none of the cluster's any more."""


class Weight(IntEnum):
    """How much a record says about why its subject is as it is."""

    MENTION = 0  # it speaks of the subject, and changed nothing
    WISH = 1  # somebody changed what is wanted of the subject
    CHANGE = 2  # the subject itself changed


@dataclass(frozen=True, slots=True)
class Told:
    """What a record says of one subject."""

    weight: Weight
    head: str  # "web runs on b since 14:02:11 UTC"
    cause: Cause  # the record's own, or the one that a plan gives for this subject
    reason: str = ""  # what the record itself adds to its head
    clause: str = ""  # what it says as the cause of something else; "" for a mere step
    is_arrival: bool = False  # repeated by a node that stays, so the first of a row is what counts


def tell(record: Record, command: AnyCommand | None, subjects: tuple[str, ...]) -> Told:
    """Say what a record means for the first subject; the others are those of the record that led here."""
    subject = subjects[0]
    cause = record.cause
    head = f"{cause.text}, at {clock(record.at)}"
    plain = Told(Weight.MENTION, head, cause, clause=cause.text)
    if record.refused:
        return plain
    if cause.code == REMOVED:
        return Told(Weight.CHANGE, head, cause, clause=cause.text)
    match command:
        case RecordOperation():
            return _of_operation(record, command.result, subject)
        case StartTransition():
            return _of_plan(record, command, subjects)
        case StartAction() | CancelAction():
            return Told(Weight.MENTION, head, cause)
        case RecordFencing():
            return _of_fencing(record, command.record)
        case ChangeMembership():
            return _of_membership(record, command, subject)
        case JoinNode():
            since = f"node {command.node} is a member since {clock(record.at)}"
            return Told(Weight.CHANGE, since, cause, clause=f"node {command.node} joined", is_arrival=True)
        case LeaveNode() | ConfirmOff():
            return Told(Weight.CHANGE, head, cause, clause=cause.text)
        case SetAttribute(name="#last-reset"):
            return Told(Weight.CHANGE, head, cause, clause=cause.text)
        case EditConfiguration():
            return Told(_weight_of_edit(command, subject), head, cause, clause=cause.text)
        case _:
            return plain


def clock(at: WallTime) -> str:
    """Write the time of day; UTC, since a core knows no time zone."""
    moment = datetime.fromtimestamp(min(max(at, 0), _MOMENT_MS_MAX) // 1000, tz=UTC)
    return moment.strftime("%H:%M:%S UTC")


def _of_plan(record: Record, command: StartTransition, subjects: tuple[str, ...]) -> Told:
    """A plan gives a cause for each of its resources and nodes; that of the subject, or of what led here, counts."""
    named: dict[str, Cause] = {}
    named.update((str(name), cause) for name, cause in (*command.resource_causes, *command.node_causes))
    main, *nearby = subjects
    order = (main, *nearby) if main in nearby else (*reversed(nearby), main)
    cause = next((named[subject] for subject in order if subject in named), record.cause)
    # The plan says why this one; what made the coordinator plan at all stands in the command.
    because = tuple(dict.fromkeys((*cause.because, *record.cause.because)))
    cause = Cause(cause.code, cause.text, because)
    return Told(Weight.MENTION, f"{cause.text}, at {clock(record.at)}", cause, clause=cause.text)


def _of_fencing(record: Record, fencing: FenceRecord) -> Told:
    """A fencing changes its target. Its start is a step to its end."""
    node, time = fencing.target, clock(record.at)
    match fencing.state:
        case FenceState.STARTED:
            return Told(
                Weight.CHANGE, f"node {node} is being fenced since {time}", record.cause, fencing.reason
            )
        case FenceState.DONE:
            head, clause = f"node {node} was fenced at {time}", f"node {node} was fenced"
            return Told(Weight.CHANGE, head, record.cause, fencing.reason, clause)
        case FenceState.FAILED:
            head, clause = f"node {node} could not be fenced at {time}", f"node {node} could not be fenced"
            return Told(Weight.CHANGE, head, record.cause, fencing.outcome, clause)
        case _:
            assert_never(fencing.state)


def _of_operation(record: Record, result: OperationResult, subject: str) -> Told:
    """An operation changes the resource it is about, not the node it ran on."""
    request, text = result.request, record.cause.text
    words = {"resource": request.resource, "node": request.node, "time": clock(record.at)}
    is_subject = subject in {request.resource, request.resource.rpartition(":")[0]}
    weight = Weight.CHANGE if is_subject else Weight.MENTION
    if is_failure(result):
        head = f"{request.operation} of {request.resource} failed on {request.node} at {words['time']}"
        return Told(weight, head, record.cause, result.exit_reason, text)
    if is_probe(request) and result.exit_code in {ExitCode.OK, ExitCode.RUNNING_PROMOTED}:
        return Told(weight, _FOUND.format(**words), record.cause, clause=text)
    if request.operation in _DONE:
        return Told(weight, _DONE[request.operation].format(**words), record.cause, clause=text)
    head = f"{request.operation} of {request.resource} on {request.node} at {words['time']}"
    return Told(Weight.MENTION, head, record.cause, clause=text)


def _of_membership(record: Record, command: ChangeMembership, subject: str) -> Told:
    """A view changes the nodes that went; each with its own reason."""
    for gone, how in ((command.lost, "was lost"), (command.left, "left")):
        reason = next((text for name, text in gone if name == subject), None)
        if reason is not None:
            cause = Cause(record.cause.code, f"{subject} {how}: {reason}", record.cause.because)
            head = f"node {subject} {how} at {clock(record.at)}"
            return Told(Weight.CHANGE, head, cause, reason, cause.text)
    text = record.cause.text
    return Told(Weight.MENTION, f"{text}, at {clock(record.at)}", record.cause, clause=text)


def _weight_of_edit(command: EditConfiguration, subject: str) -> Weight:
    """An edit is a wish; of a node it is a change when it sets the node's own state."""
    for edit in command.edits:
        if isinstance(edit, SetOption) and edit.owner == subject and edit.name in _STATE_OPTIONS:
            is_of_node = edit.set_tag == "instance_attributes"
            return Weight.CHANGE if is_of_node else Weight.WISH
    return Weight.WISH
