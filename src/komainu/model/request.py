"""Define what programs ask a daemon over its Unix socket and what it answers: typed, versioned by their tags.

Wire form: four bytes of length (big endian), then JSON of one request or reply (client/, node/ipc.py).
"""

from typing import Final

import msgspec

from komainu.model.edit import Edit, Version
from komainu.model.ids import NodeId, NodeName, ResourceId, WallTime
from komainu.model.link import LinkState

FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest request or reply; a CIB of thousands of resources takes a few megabytes."""

# -- requests -------------------------------------------------------------------------------------------


class AskStatus(msgspec.Struct, frozen=True, tag="status"):
    """Ask for the state of the cluster, as this node sees it."""


class AskConfiguration(msgspec.Struct, frozen=True, tag="configuration"):
    """Give the CIB as XML text; with `status` the status section too."""

    status: bool = False


class ApplyConfiguration(msgspec.Struct, frozen=True, tag="apply-configuration"):
    """Replace the configuration by this document. Answered when it is stored on every member."""

    xml: str
    expected: Version | None = None
    file: str = "<stdin>"  # named in reports


class EditConfigurationRequest(msgspec.Struct, frozen=True, tag="edit-configuration"):
    """Change the configuration by edits, all or none. Answered when it is stored on every member."""

    edits: tuple[Edit, ...]
    reason: str  # what the operator did: "komainu node standby a"


class Cleanup(msgspec.Struct, frozen=True, tag="cleanup"):
    """Forget failures of a resource (None: all) on a node (None: all) and probe anew."""

    resource: ResourceId | None
    node: NodeName | None


class RecordTrial(msgspec.Struct, frozen=True, tag="record-trial"):
    """Write down what came of trying the fence devices from this node, for all to see."""

    node: NodeName
    text: str


class ConfirmNodeOff(msgspec.Struct, frozen=True, tag="confirm-off"):
    """The operator says that this node is off."""

    node: NodeName


class AddLink(msgspec.Struct, frozen=True, tag="add-link"):
    """Add a link: the address of each node on it. Answered when every member has stored it."""

    addresses: tuple[tuple[NodeName, str], ...]


class ChangeLink(msgspec.Struct, frozen=True, tag="change-link"):
    """Give nodes other addresses on a link, all at once."""

    link: int
    addresses: tuple[tuple[NodeName, str], ...]


class RemoveLink(msgspec.Struct, frozen=True, tag="remove-link"):
    """Remove the link with the greatest number."""

    link: int


class RotateClusterKey(msgspec.Struct, frozen=True, tag="rotate-key"):
    """Replace the cluster key on every node while the cluster runs. Answered when all of them accept the new one."""


class FenceNode(msgspec.Struct, frozen=True, tag="fence-node"):
    """Fence this node now. Answered when a device has done it, or none could."""

    node: NodeName
    action: str = "reboot"  # off, on, reboot


class AskFencing(msgspec.Struct, frozen=True, tag="fencing"):
    """Give the whole fencing history, as all members agree on it."""


class AskWhy(msgspec.Struct, frozen=True, tag="why"):
    """Ask why this resource or node is as it is. `at`: as of that moment; None: now."""

    subject: str
    at: WallTime | None = None


class AskLinks(msgspec.Struct, frozen=True, tag="links"):
    """Ask for this node's own ends of its links: where they are, what is wrong, who guards them."""


class AskRing(msgspec.Struct, frozen=True, tag="ring"):
    """Ask for the ring as this node sees it: quorum, the way to each peer, what was dropped."""


class ReleaseLink(msgspec.Struct, frozen=True, tag="release-link"):
    """Leave this node's end of a link to the operator; with `is_released` False, guard it again."""

    link: int
    is_released: bool


class StopNode(msgspec.Struct, frozen=True, tag="stop-node"):
    """Stop this node's resources in order, leave the ring, and end the daemon."""


class AddNode(msgspec.Struct, frozen=True, tag="add-node"):
    """Add a node: its address on each link, in order. `node_id` None: the next free one."""

    name: NodeName
    addresses: tuple[str, ...]
    node_id: NodeId | None = None


class RemoveNode(msgspec.Struct, frozen=True, tag="remove-node"):
    """Remove a node that was stopped in order or is confirmed off. It does not come back until it is added."""

    name: NodeName


LayoutChange = AddLink | ChangeLink | RemoveLink | AddNode | RemoveNode
"""What changes the ring's nodes and links."""

Request = (
    AskStatus
    | AskConfiguration
    | ApplyConfiguration
    | EditConfigurationRequest
    | Cleanup
    | ConfirmNodeOff
    | RecordTrial
    | FenceNode
    | RotateClusterKey
    | LayoutChange
    | AskFencing
    | AskWhy
    | AskLinks
    | AskRing
    | ReleaseLink
    | StopNode
)

# -- replies --------------------------------------------------------------------------------------------


class LinkView(msgspec.Struct, frozen=True):
    """One link to one peer, both ends: `state` is this node's view, `peer_state` the peer's own end."""

    link: int
    peer: NodeName
    state: LinkState
    reason: str
    peer_state: LinkState
    peer_reason: str
    since: WallTime
    round_trip_ms: float | None
    loss: float | None = None  # share of the last hundred heartbeats that did not come here
    is_used: bool = False  # more than heartbeats goes by it
    is_damped: bool = False  # it flapped, and is used only when no other is left
    over: NodeName | None = None  # no link carries to this peer: packets go over this node
    history: tuple["LinkChange", ...] = ()  # oldest first


class LinkChange(msgspec.Struct, frozen=True):
    """What became of a link to a peer."""

    at: WallTime
    state: LinkState
    reason: str


class EndView(msgspec.Struct, frozen=True):
    """This node's own end of one link."""

    link: int
    interface: str  # "" while none was found
    address: str  # with its prefix where it is known
    state: LinkState
    reason: str
    is_service: bool
    keep_talking: bool
    keep_address: bool
    is_released: bool
    has_given_up: bool  # the address was deleted too often to be put back once more
    kept: int  # how often the address was put back within the last minute


class DropView(msgspec.Struct, frozen=True):
    """Packets of one kind that were dropped since the daemon's start: on one link, or with None on any."""

    link: int | None
    kind: str  # stable: "wrong-interface", "not-authentic", "ENETUNREACH"
    count: int
    meaning: str  # follows "12 packets"
    last: WallTime


class NodeView(msgspec.Struct, frozen=True):
    """One node of the cluster as the agreed state has it."""

    name: NodeName
    node_id: NodeId
    state: str  # online, standby, maintenance, pending, unclean, offline
    is_coordinator: bool
    reason: str  # why it is not online; "" when it is


class ResourceView(msgspec.Struct, frozen=True):
    """One resource, with its members where it has any."""

    resource: ResourceId
    kind: str  # primitive, group, clone, bundle
    agent: str  # "" for collectives
    role: str
    nodes: tuple[NodeName, ...]
    flags: tuple[str, ...]  # disabled, blocked, unmanaged, failed
    pending: str  # "starting on b", or ""
    members: tuple["ResourceView", ...] = ()


class FailureView(msgspec.Struct, frozen=True):
    """One failed operation that still counts."""

    resource: ResourceId
    operation: str
    node: NodeName
    exit_code: int
    outcome: str  # "timed out after 20 s", "not running"
    exit_reason: str
    at: WallTime


class FenceView(msgspec.Struct, frozen=True):
    """One entry of the fencing history."""

    target: NodeName
    action: str
    state: str
    delegate: NodeName
    reason: str
    outcome: str
    at: WallTime
    device: str = ""


class WatchdogView(msgspec.Struct, frozen=True):
    """The armed watchdog of the node that answers, and how near it came to firing."""

    timeout_ms: int
    longest_gap_ms: int  # the longest time between two pets in this life of the daemon


class Status(msgspec.Struct, frozen=True, tag="status-reply"):
    """The state of the cluster as one node sees it."""

    cluster: str
    node: NodeName
    version: str
    view: str  # "17.1"; "" before the first
    is_quorate: bool
    quorum_reason: str
    cib_version: str
    doing: str  # what the coordinator is at: "idle", "carrying out transition 4 (2 of 7 actions done)"
    nodes: tuple[NodeView, ...]
    links: tuple[LinkView, ...]
    resources: tuple[ResourceView, ...]
    failures: tuple[FailureView, ...]
    fencing: tuple[FenceView, ...]  # newest first, at most ten
    warnings: tuple[str, ...]  # "fencing is off: a lost node's resources …"
    at: WallTime
    watchdog: WatchdogView | None = None


class TrialView(msgspec.Struct, frozen=True):
    """What came of the last trial of the fence devices from one node."""

    node: NodeName
    at: WallTime
    text: str  # "pdu: monitor 120 ms, status of b 90 ms"


class Fencing(msgspec.Struct, frozen=True, tag="fencing-reply"):
    """The fencing history, newest first, and the last trial from each node."""

    history: tuple[FenceView, ...]
    at: WallTime
    trials: tuple[TrialView, ...] = ()


class Links(msgspec.Struct, frozen=True, tag="links-reply"):
    """The links as this node sees them: its own ends, and the way to each peer."""

    node: NodeName
    ends: tuple[EndView, ...]
    links: tuple[LinkView, ...]
    at: WallTime
    dropped: tuple[DropView, ...] = ()


class VoterView(msgspec.Struct, frozen=True):
    """One node's part in the count for quorum."""

    node: NodeName
    node_id: NodeId
    votes: int
    is_member: bool
    is_counted: bool
    is_local: bool


class QuorumView(msgspec.Struct, frozen=True):
    """What quorum rests on, in votequorum's words."""

    is_quorate: bool
    reason: str
    expected_votes: int
    highest_expected: int
    total_votes: int
    needed: int
    flags: tuple[str, ...]
    voters: tuple[VoterView, ...]
    witness: str
    witness_votes: int


class RingStatus(msgspec.Struct, frozen=True, tag="ring-reply"):
    """The ring as one node sees it."""

    cluster: str
    node: NodeName
    node_id: NodeId
    engine: str
    view: str  # "17.1"; "" before the first
    coordinator: NodeName | None
    detect_within_ms: int
    link_mode: str
    quorum: QuorumView
    links: tuple[LinkView, ...]
    at: WallTime
    strangers: tuple[str, ...] = ()  # sentences: who sends what is not believed
    counters: dict[str, int] = {}  # what was sent, received and dropped, by kind, since the start


class Configuration(msgspec.Struct, frozen=True, tag="configuration-reply"):
    """The CIB as XML text."""

    xml: str
    version: Version


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The change took effect and is stored as promised."""

    version: str
    message: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """One reason why a request was refused; the wire form of a Report."""

    code: str
    message: str
    hint: str
    place: str


class RefusedReply(msgspec.Struct, frozen=True, tag="refused"):
    """Nothing was changed, for these reasons."""

    reasons: tuple[Refusal, ...]


class WhyLine(msgspec.Struct, frozen=True):
    """One link of a chain of causes. `depth` 0 is what happened; each greater depth is what caused it."""

    depth: int
    at: WallTime
    node: NodeName  # who recorded it
    code: str
    text: str
    position: str  # the flight record that holds it


class Why(msgspec.Struct, frozen=True, tag="why-reply"):
    """The chain of causes of a subject's last change; the answer in one sentence first."""

    subject: str
    answer: str
    chain: tuple[WhyLine, ...]


Reply = Status | Fencing | Links | RingStatus | Configuration | Done | RefusedReply | Why
