"""Say what the shell of Corosync tells the ring, and what the ring asks of it.

Nothing here decides. Source: cpg_overview(3), quorum_overview(3), votequorum(5), corosync-cfgtool(8).
"""

from dataclasses import dataclass
from enum import Enum

from komainu.model.ids import LinkNumber, NodeId


@dataclass(frozen=True, slots=True, order=True)
class GroupMember:
    """One process of Corosync's process group: a komainu daemon, by its node and its process number."""

    node: NodeId
    process: int


class Ending(Enum):
    """Why a process is no longer in the group, as Corosync says it."""

    LEFT = "it left"
    PROCESS_DIED = "its daemon ended without a word; its Corosync lives"
    NODE_LOST = "Corosync lost the node"


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """The group has these members from this place in the order on; `gone` names who is missing now, and why."""

    members: tuple[GroupMember, ...]
    gone: tuple[tuple[GroupMember, Ending], ...]


@dataclass(frozen=True, slots=True)
class GroupMessage:
    """The next message of the group's order."""

    sender: GroupMember
    data: bytes


class Device(Enum):
    """How votequorum's quorum device stands on this node; its program is corosync-qdevice."""

    ABSENT = "no corosync-qdevice runs on this node"
    SILENT = "corosync-qdevice does not say any more that it lives"
    WITHHOLDS = "it does not give its votes to this part"
    CASTS = "it gives its votes to this part"


@dataclass(frozen=True, slots=True)
class QuorumSeen:
    """What votequorum on this node says now. `nodes`: those that Corosync has in its membership, with their votes."""

    is_quorate: bool
    nodes: tuple[tuple[NodeId, int], ...]
    expected: int
    needed: int
    device_votes: int = 0  # of a quorum device, when it casts them
    is_two_node: bool = False
    has_tie_breaker: bool = False
    device: Device = Device.ABSENT


@dataclass(frozen=True, slots=True)
class CorosyncPath:
    """One Kronosnet link to one peer."""

    link: LinkNumber
    peer: NodeId
    is_connected: bool
    round_trip_ms: float | None


@dataclass(frozen=True, slots=True)
class PathsSeen:
    """How every Kronosnet link stands."""

    paths: tuple[CorosyncPath, ...]


@dataclass(frozen=True, slots=True)
class EngineLost:
    """Corosync on this node is gone, or does not answer, or is not fit; the shell goes on trying."""

    reason: str


CorosyncEvent = GroupChanged | GroupMessage | QuorumSeen | PathsSeen | EngineLost


@dataclass(frozen=True, slots=True)
class Multicast:
    """Send this to the group, in order after what was given before. Dropped when the group is not there."""

    data: bytes


@dataclass(frozen=True, slots=True)
class LeaveGroup:
    """Leave the group so that the others see a clean leave."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Drop the connection to Corosync without a word, and join the group anew."""


CorosyncEffect = Multicast | LeaveGroup | Reconnect
