"""List every way in which the cluster state can change: the commands that the ring orders.

A command says what is asked, by whom and why; `apply` (cib/apply.py) says what becomes of it. Commands are
wire format: they are encoded by `encode` and checked field by field by `decode`.
"""

from typing import Final

import msgspec

from komainu.model.cause import Cause
from komainu.model.edit import Edit, Version
from komainu.model.fencing import FenceRecord
from komainu.model.ids import NodeName, ResourceId, WallTime
from komainu.model.layout import Layout
from komainu.model.operation import ActionRequest, OperationResult
from komainu.model.view import Position, View


class Command(msgspec.Struct, frozen=True, tag_field="command"):
    """What all commands have: why, when by the sender's wall clock, and at whose wish ("" = the cluster's)."""

    cause: Cause
    at: WallTime
    user: str


class ReplaceConfiguration(Command, frozen=True, tag="replace-configuration"):
    """Replace the whole configuration section. Refused when `expected` is not the current version."""

    xml: str  # a <cib> or <configuration> document
    expected: Version | None


class EditConfiguration(Command, frozen=True, tag="edit-configuration"):
    """Change the configuration by edits, all or none. Refused when `expected` is not the current version."""

    edits: tuple[Edit, ...]
    expected: Version | None


class ChangeMembership(Command, frozen=True, tag="change-membership"):
    """Record a new view: members become members, the others leave, each with its reason.

    Submitted by the coordinator as its first command in a view. `lost` left without a word; `left` said so.
    `lives` are those of the members' daemons, in their order; () when they are not known.
    """

    view: View
    members: tuple[NodeName, ...]
    lost: tuple[tuple[NodeName, str], ...]  # node, reason
    left: tuple[tuple[NodeName, str], ...]  # node, reason
    lives: tuple[str, ...] = ()


class JoinNode(Command, frozen=True, tag="join-node"):
    """Say of the sending node that it holds the state, and replace its history by what its executor knows.

    `never_handed` are the transition keys of operations that the state shows as handed to it, and that it never
    got: they were ordered in a view that it was not in any more. Nobody may wait for their results.
    """

    node: NodeName
    history: tuple[OperationResult, ...]
    never_handed: tuple[str, ...] = ()


class LeaveNode(Command, frozen=True, tag="leave-node"):
    """Ask to shut a node down: the plan stops its resources, then lets it go."""

    node: NodeName


class ReleaseNode(Command, frozen=True, tag="release-node"):
    """Let a node go that asked to leave: nothing runs on it any more. Changes no status; the node leaves."""

    node: NodeName
    transition: int
    action: int


class StartTransition(Command, frozen=True, tag="start-transition"):
    """Record a plan before it is carried out: each action with its reason. Changes no status."""

    transition: int
    summary: tuple[str, ...]  # sentences: "move web from a to b, because a was lost and fenced"
    resource_causes: tuple[tuple[ResourceId, Cause], ...]
    node_causes: tuple[tuple[NodeName, Cause], ...]


class StartAction(Command, frozen=True, tag="start-action"):
    """Hand one operation to its node. Delivery in order is the order to run it; it is pending until then."""

    request: ActionRequest
    transition: int
    action: int


class CancelAction(Command, frozen=True, tag="cancel-action"):
    """Tell a node to stop a recurring operation and forget its history entry."""

    node: NodeName
    resource: ResourceId
    operation: str
    interval_ms: int
    transition: int
    action: int


class RecordOperation(Command, frozen=True, tag="record-operation"):
    """Record what came of an operation; counts the failure when the result was not expected."""

    result: OperationResult


class ForgetOperations(Command, frozen=True, tag="forget-operations"):
    """Forget history and fail counts ("cleanup"), so that they no longer weigh and are probed anew."""

    resource: ResourceId | None  # None: all
    node: NodeName | None  # None: all
    failures_only: bool
    transition: int = -1  # set when a plan demands it: the action it confirms
    action: int = -1


class SetAttribute(Command, frozen=True, tag="set-attribute"):
    """Set, or with value None remove, a transient attribute of a node."""

    node: NodeName
    name: str
    value: str | None


class RecordFencing(Command, frozen=True, tag="record-fencing"):
    """Record the start or the outcome of a fencing. DONE with off or reboot makes the target cleanly down."""

    record: FenceRecord


class ConfirmOff(Command, frozen=True, tag="confirm-off"):
    """An operator says that a node is off: the same effect as a fencing that succeeded."""

    node: NodeName


class RotateKey(Command, frozen=True, tag="rotate-key"):
    """Accept one more cluster key, and use it once every member does. It is sealed under the present one."""

    sealed: bytes
    fingerprint: str


class ConfirmKey(Command, frozen=True, tag="confirm-key"):
    """Its origin has stored this new cluster key and opens with it, or says why it cannot (`fault`): then nobody uses it."""

    fingerprint: str
    fault: str


class ChangeLayout(Command, frozen=True, tag="change-layout"):
    """Change the nodes and links of the ring. Refused when the layout is not at version `expected` any more.

    At most one node is `added` or `removed` at a time: then any two majorities, before and after, share a node.
    """

    expected: int
    layout: Layout
    added: NodeName | None = None
    removed: NodeName | None = None


class AdoptSnapshot(Command, frozen=True, tag="adopt-snapshot"):
    """Carry the whole cluster state, as it was at the start of the view, to the members that lack it.

    `records` are the newest flight records, oldest first, one line each: a member that was away can then say
    why things are as they are, too.
    """

    position: Position
    state: str  # cib/durable.py's text
    records: tuple[str, ...] = ()


AnyCommand = (
    ReplaceConfiguration
    | EditConfiguration
    | ChangeMembership
    | JoinNode
    | LeaveNode
    | ReleaseNode
    | StartTransition
    | StartAction
    | CancelAction
    | RecordOperation
    | ForgetOperations
    | SetAttribute
    | RecordFencing
    | ConfirmOff
    | RotateKey
    | ConfirmKey
    | ChangeLayout
    | AdoptSnapshot
)

CONFIGURATION_COMMANDS: Final = (ReplaceConfiguration, EditConfiguration)
"""The commands whose "done" promises durability on every member (S3)."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[AnyCommand]] = msgspec.msgpack.Decoder(AnyCommand)


def encode(command: AnyCommand) -> bytes:
    """Write a command as the ring carries it."""
    return _ENCODER.encode(command)


def decode(data: bytes) -> AnyCommand:
    """Read a command. Raises msgspec.DecodeError when the bytes are no command of this version."""
    try:
        return _DECODER.decode(data)
    except (UnicodeDecodeError, RecursionError) as error:  # of text that is none; of what is nested too deep
        raise msgspec.DecodeError(str(error)) from None
