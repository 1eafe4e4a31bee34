"""Write the actions of a plan as the commands that start them, and a fencing that was agreed on as the fencer wants it.

Pure. It must not know when an action may start (the controller says so), nor what becomes of it.
"""

from dataclasses import dataclass

from komainu.cib.command import (
    AnyCommand,
    CancelAction,
    ForgetOperations,
    RecordFencing,
    ReleaseNode,
    StartAction,
)
from komainu.controller.interface import Execute
from komainu.fencing.interface import FenceRequested
from komainu.model.cause import Cause
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeName, WallTime
from komainu.model.plan import ActionKind


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: a coordinator, in one of its lives, with the members of its view."""

    me: NodeName
    life: str
    members: tuple[NodeName, ...]


def command_for(execute: Execute, writer: Writer, because: tuple[str, ...], wall: WallTime) -> AnyCommand:
    """Write an action as the command that starts it."""
    action, transition = execute.action, execute.transition
    cause = Cause(f"plan.{action.kind.value}", action.reason, because)
    match action.kind:
        case ActionKind.RESOURCE:
            assert execute.request is not None, "a resource action has a request"
            return StartAction(cause, wall, "", execute.request, transition, action.action_id)
        case ActionKind.CANCEL:
            assert action.node is not None, "a cancel has a place"
            assert action.resource is not None, "a cancel has a resource"
            return CancelAction(
                cause=cause,
                at=wall,
                user="",
                node=action.node,
                resource=action.resource,
                operation=action.operation,
                interval_ms=action.interval_ms,
                transition=transition,
                action=action.action_id,
            )
        case ActionKind.FENCE:
            assert action.node is not None, "a fencing has a target"
            return RecordFencing(cause, wall, "", _fence_record(execute, action.node, writer, wall))
        case ActionKind.SHUTDOWN:
            assert action.node is not None, "a shutdown has a node"
            return ReleaseNode(cause, wall, "", action.node, transition, action.action_id)
        case ActionKind.CLEAR_FAILURES | ActionKind.DELETE_HISTORY:
            return ForgetOperations(
                cause=cause,
                at=wall,
                user="",
                resource=action.resource,
                node=action.node,
                failures_only=action.kind is ActionKind.CLEAR_FAILURES,
                transition=transition,
                action=action.action_id,
            )
        case ActionKind.PSEUDO:
            raise AssertionError("the controller confirms pseudo actions itself")


def _fence_record(execute: Execute, target: NodeName, writer: Writer, wall: WallTime) -> FenceRecord:
    action = execute.action
    return FenceRecord(
        request=f"{execute.transition}.{action.action_id}.{writer.life}",
        target=target,
        action=action.operation,
        state=FenceState.STARTED,
        delegate=delegate_of(action.operation, target, writer.me, writer.members),
        device="",
        reason=action.reason,
        outcome="",
        at=wall,
        timeout_ms=action.timeout_ms,
        delay_ms=action.delay_ms,
    )


def delegate_of(action: str, target: NodeName, me: NodeName, members: tuple[NodeName, ...]) -> NodeName:
    """Return who runs the devices: nobody fences itself while another can, and a node is unfenced by itself."""
    if action == "on":
        return target if target in members else me
    return next((node for node in members if node != me), me) if target == me else me


def fence_request(record: FenceRecord, wall: WallTime) -> FenceRequested:
    """Write a fencing that was agreed on as the fencer wants it."""
    return FenceRequested(
        request=record.request,
        target=record.target,
        action=record.action,
        timeout_ms=record.timeout_ms,
        reason=record.reason,
        wall=wall,
        delay_ms=record.delay_ms,
    )
