"""Say what goes into a ring and what comes out: the one interface that every engine offers.

Engines (builtin cores, Corosync, simulated) take these events and give these effects, in order; see
DESIGN.md, section 5. Nothing here decides.
"""

from dataclasses import dataclass, field
from typing import Protocol

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.layout import Layout
from komainu.model.link import LinkState
from komainu.model.report import Note
from komainu.model.view import Delivered, Position, View, ViewId
from komainu.ring.corosync.interface import CorosyncEffect, CorosyncEvent
from komainu.ring.packet import Packet
from komainu.ring.settings import RingSettings


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier lives of this node left on its disk.

    `position`: of the stored state. `promised`: no view above this counter was agreed to by them. `delivered`: the last
    payload of each node that this state has taken in.
    """

    position: Position = field(default_factory=Position)
    promised: int = 0
    delivered: tuple[Delivered, ...] = ()


# -- events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PacketReceived:
    """A packet that passed authentication and the replay window came from a peer on a link."""

    link: LinkNumber
    peer: NodeId
    packet: Packet


@dataclass(frozen=True, slots=True)
class EndChanged:
    """The kernel told something about this node's own end of a link."""

    link: LinkNumber
    state: LinkState  # any but SILENT
    reason: str  # "eth1: carrier lost"


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """The peer's host answered that nobody listens on the ring's port: its daemon is gone, the host lives."""

    link: LinkNumber
    peer: NodeId


@dataclass(frozen=True, slots=True)
class PeerOff:
    """A peer in doubt was found to have no power: a short silence is enough to give it up."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class Submit:
    """Broadcast this payload in total order. `token` comes back in `Deliver` on this node only.

    `is_snapshot`: it is the owner's state, for the members that lack it. They hold the state of the view once
    this is delivered to them. It is of no use in a later view: it ends, unanswered, with the view in which it was
    submitted.
    """

    payload: bytes
    token: int
    is_snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Stored:
    """This node's stable storage (or its memory, for what needs none) holds the state up to here."""

    position: Position


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Every peer that was lost is confirmed off: no other half can go on, so this one is the line of the state.

    Told in a view that `two_node` alone makes quorate, where the other node may think the same of itself.
    """


@dataclass(frozen=True, slots=True)
class StartAlone:
    """An operator confirmed that every node which is not here is off: wait_for_all waits for them no longer.

    What they know and this part of the cluster does not is given up: the state goes on from here.
    """


@dataclass(frozen=True, slots=True)
class WitnessVoted:
    """The witness says whether it gives its votes to the view with this id, which `AskWitness` named.

    It may be told before the view begins or while it lasts, and again when the witness changes its mind or is
    lost. The votes are for these members alone: of two parts of the cluster the witness may choose only one.
    """

    view_id: ViewId
    is_cast: bool
    reason: str  # one sentence: "witness w chose the part with n1", "witness w does not answer"


@dataclass(frozen=True, slots=True)
class PromiseKept:
    """The KeepPromise with this counter, or a greater one, is on stable storage."""

    counter: int


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """Nodes and links are these from now on; all else in the settings is as it was. Every member is told alike."""

    settings: RingSettings


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the ring now, and tell the peers."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The core's deadline has come."""


RingEvent = (
    PacketReceived
    | PeerRefused
    | PeerOff
    | CorosyncEvent
    | EndChanged
    | Submit
    | Stored
    | Confirmed
    | StartAlone
    | WitnessVoted
    | PromiseKept
    | Reconfigure
    | Leave
    | DeadlinePassed
)
"""Packets are the builtin ring's, Corosync's events those of that engine; each passes over the other's."""

# -- effects --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendPacket:
    """Send a packet to a peer over one link; it may be lost.

    `is_narrow`: the path was found to carry small datagrams only.
    """

    link: LinkNumber
    peer: NodeId
    packet: Packet
    is_narrow: bool = False


@dataclass(frozen=True, slots=True)
class Deliver:
    """The next payload of the total order. `token` is that of our own Submit, else None.

    `position` is where the state stands after this payload is applied. `memory` is to be stored with what it made of the
    state, for `Past`: who starts anew has to know that it is part of it, since its sender may offer it again.
    """

    position: Position
    origin: NodeId
    payload: bytes
    token: int | None
    memory: Delivered | None = None  # None: nobody will offer it again


@dataclass(frozen=True, slots=True)
class Absorbed:
    """Our Submit with this token took effect in the line of state that we are about to adopt.

    It was ordered in a view that we lost, so no `Deliver` will bring it back here; the snapshot holds it.
    """

    token: int


@dataclass(frozen=True, slots=True)
class AskWitness:
    """A view of these members is being formed: the answer is `WitnessVoted`. An earlier question is void."""

    witness: str
    view_id: ViewId
    members: tuple[NodeId, ...]
    nodes: tuple[NodeId, ...]  # all that there are by now: the witness hears them before it decides


@dataclass(frozen=True, slots=True)
class KeepPromise:
    """Put this counter on stable storage, then say PromiseKept. Until then no view beyond it is agreed to.

    The next life of this node begins above it (Past.promised).
    """

    counter: int


@dataclass(frozen=True, slots=True)
class LineRaised:
    """The lineage goes on in this view, as `Confirmed` allowed: the state now stands at this position."""

    position: Position


@dataclass(frozen=True, slots=True)
class Departure:
    """A node that was in the owner's previous view and is not in this one."""

    node: NodeId
    clean: bool  # it said that it leaves
    reason: str  # one sentence: "silent on both links for 0.80 s"


@dataclass(frozen=True, slots=True)
class InstallView:
    """A new view begins. All deliveries of the old one came before this effect.

    `owner` holds the state that the view goes on with. The members in `keeps_state` hold the same; every
    other member must wait for the owner's AdoptSnapshot and buffer what is delivered before it. If it becomes
    the owner of a later view before that came, it goes on with the state that it held before.

    `departures` and `arrivals` are the difference to the view that the owner comes from: what the state has to
    be told. They, too, are the same on all members.
    """

    view: View
    position: Position  # where the state stands as the view begins
    owner: NodeId
    keeps_state: tuple[NodeId, ...]
    departures: tuple[Departure, ...]
    arrivals: tuple[NodeId, ...]
    lives: tuple[Incarnation, ...] = ()  # of the members, in their order


@dataclass(frozen=True, slots=True)
class Stable:
    """Every member of the current view, which is quorate, has stored the state up to here.

    A node that does not keep its state in a new view (see InstallView) cannot tell from this what became of its
    earlier commands.
    """

    position: Position


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """A link to a peer changed its state as this node sees it."""

    link: LinkNumber
    peer: NodeId
    state: LinkState
    reason: str


@dataclass(frozen=True, slots=True)
class PeerDoubted:
    """A peer may be lost soon: a cable to it lost its carrier, or two beats of it did not come, on any link.

    `is_over`: it was heard again.
    """

    peer: NodeId
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class PeerEndChanged:
    """A peer told something new about its own end of a link."""

    link: LinkNumber
    peer: NodeId
    state: LinkState
    reason: str


@dataclass(frozen=True, slots=True)
class RouteChanged:
    """Packets to a peer go over another node now; `over` None: they reach it directly again, by these links."""

    links: tuple[LinkNumber, ...]
    peer: NodeId
    over: NodeId | None
    reason: str


@dataclass(frozen=True, slots=True)
class LayoutLearned:
    """Nodes and links were changed while this node was away; all members of a quorate view have stored these."""

    layout: Layout


RingEffect = (
    SendPacket
    | CorosyncEffect
    | Deliver
    | Absorbed
    | AskWitness
    | KeepPromise
    | LineRaised
    | InstallView
    | Stable
    | LinkChanged
    | PeerDoubted
    | PeerEndChanged
    | RouteChanged
    | LayoutLearned
    | Note
)


@dataclass(frozen=True, slots=True)
class LinkReport:
    """One link towards one peer, for status."""

    link: LinkNumber
    peer: NodeId
    state: LinkState
    reason: str
    peer_state: LinkState  # the peer's own end, as it last told us
    peer_reason: str
    since: Instant
    round_trip_ms: float | None
    loss: float | None = None  # share of the last hundred beats that did not come here
    is_used: bool = False  # packets other than beats go by it now
    is_damped: bool = False  # it flapped, and is second to others for a while
    over: NodeName | None = None  # no link carries: packets go over this node
    history: tuple[tuple[Instant, LinkState, str], ...] = ()  # oldest first


@dataclass(frozen=True, slots=True)
class VoterReport:
    """One node's part in the count for quorum."""

    node: NodeId
    votes: int
    is_member: bool
    is_counted: bool  # False: last_man_standing or allow_downscale took it out of the count


@dataclass(frozen=True, slots=True)
class QuorumReport:
    """What quorum rests on, in votequorum's words."""

    quorate: bool
    reason: str
    expected_votes: int
    highest_expected: int
    total_votes: int
    needed: int  # votequorum's "Quorum"
    flags: tuple[str, ...]  # "2Node", "WaitForAll", …
    voters: tuple[VoterReport, ...]
    witness: str = ""  # its name, what it said of this view, and why
    witness_votes: int = 0


class Ring(Protocol):
    """What every engine offers to the drive.

    Promise: `view` and `stable` change only with an effect, and one that is no packet. What says nothing but "I am
    here" leaves both as they were.
    """

    @property
    def deadline(self) -> Instant | None:
        """When the core wants `DeadlinePassed`; None while it waits for nothing."""

    @property
    def view(self) -> View | None:
        """The current view; None before the first."""

    @property
    def stable(self) -> Position:
        """Up to where every member of a quorate view, this one or an earlier, has stored the state."""

    def handle(self, event: RingEvent, now: Instant) -> list[RingEffect]:
        """Apply one event; return what is to be done, in order."""

    def links(self) -> list[LinkReport]:
        """Report every link to every peer, by peer and link."""

    def remarks(self, now: Instant) -> list[str]:
        """Say what an administrator has to know of the ring now, a sentence each."""

    def quorum(self) -> QuorumReport:
        """Report what quorum rests on."""

    def name_of(self, node: NodeId) -> NodeName:
        """Return a node's name."""
