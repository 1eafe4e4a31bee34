"""Define the packets that ring nodes exchange, and the values that they carry.

Every packet names the life (incarnation) of its sender, so that what an earlier life sent is never taken for
the present one's. Must not know: how packets are sealed (wire.py) or what they lead to.
"""

from enum import Enum

import msgspec

from komainu.model.ids import Incarnation, LinkNumber, NodeId
from komainu.model.layout import Layout
from komainu.model.link import LinkState
from komainu.model.view import Delivered, Position, View, ViewId

# -- values ---------------------------------------------------------------------------------------------


class Member(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One life of a node. A daemon that was restarted is another member."""

    node: NodeId
    life: Incarnation


class ViewKey(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A view's name and the life that proposed it.

    A restarted daemon that stored nothing could use a view id again; with its life the name is unique.
    """

    view_id: ViewId
    life: Incarnation


class EndState(msgspec.Struct, frozen=True, array_like=True):
    """A node's own end of a link, when it is not up."""

    link: LinkNumber
    state: LinkState
    reason: str


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A payload, or one of its parts. `submit` numbers the payloads of one life from 1.

    `is_packed`: the whole payload is compressed. `more`: whole payloads that follow this one, with the next numbers.
    """

    submit: int
    part: int
    parts: int
    is_snapshot: bool
    payload: bytes
    is_packed: bool = False
    more: tuple[bytes, ...] = ()

    @property
    def is_last(self) -> bool:
        """Whether a payload ends with this piece."""
        return self.part == self.parts - 1

    @property
    def last_submit(self) -> int:
        """The number of the last payload in it."""
        return self.submit + len(self.more)

    @property
    def size_bytes(self) -> int:
        """How much it carries."""
        return len(self.payload) + sum(map(len, self.more))


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """A member that is no longer there, and why. `clean`: it said that it leaves."""

    node: NodeId
    clean: bool
    reason: str


class Fate(msgspec.Struct, frozen=True, array_like=True):
    """The end of a life that its teller knows for certain: a farewell, or a host that refuses packets."""

    node: NodeId
    life: Incarnation
    clean: bool
    reason: str


class LastOf(msgspec.Struct, frozen=True, array_like=True):
    """The last sequence that the members leaving this view deliver in it."""

    view: ViewKey
    sequence: int


class Electorate(msgspec.Struct, frozen=True, array_like=True):
    """The nodes whose votes count, and the one that decides between equal halves."""

    nodes: tuple[NodeId, ...]
    breaker: NodeId | None


class Voters(msgspec.Struct, frozen=True, array_like=True):
    """Who counts for quorum, since the view with this counter; of two electorates each has to have quorum."""

    since: int
    electorates: tuple[Electorate, ...]


class Vote(Enum):
    """What the witness says of a view."""

    UNKNOWN = "?"
    CAST = "+"
    WITHHELD = "-"


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """What a node tells of itself with every heartbeat.

    `hears`: the lives that reach it. `wants`: the members of the view that it would form from what it knows.
    `seen`: the greatest view counter it knows. `blocked`: the ballot that it has answered and whose view it waits
    for. `received` and `ordered` are sequences of its view: all up to it are here; the last that it gave out.
    """

    view: ViewKey | None
    hears: tuple[Member, ...]
    wants: tuple[NodeId, ...]
    seen: int
    blocked: ViewId | None
    received: int
    ordered: int
    stored: Position
    ends: tuple[EndState, ...]
    witness: Vote  # for `view`, as far as the sender knows
    near: tuple[NodeId, ...] = ()  # whom it reaches, and is reached by, without a detour
    gone: tuple[Fate, ...] = ()  # members of `view` whose end is certain
    layout: int = 0  # the version of nodes and links that is known to be agreed on


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """A view with all that its members need to begin it. `lives` goes with `view.members`."""

    view: View
    lives: tuple[Incarnation, ...]
    position: Position
    owner: NodeId
    keeps_state: tuple[NodeId, ...]
    departures: tuple[Gone, ...]
    arrivals: tuple[NodeId, ...]
    last: tuple[LastOf, ...]
    delivered: tuple[Delivered, ...]
    waits_for_all: bool
    voters: Voters
    has_witness: bool  # the witness gave this view its votes


# -- packets --------------------------------------------------------------------------------------------


class Packet(msgspec.Struct, frozen=True, array_like=True, tag_field="packet"):
    """What all packets have: the life of their sender."""

    life: Incarnation


class Heartbeat(Packet, frozen=True, tag="b"):
    """Say "I am here" on one link. Numbers grow within a life; a lower one tells old things.

    `sent_at` is the sender's clock, and `echo_at` the last that it got on this link, `echo_held_ms` ago: from
    these the other side knows the round trip.
    """

    number: int
    sent_at: int
    echo_at: int | None
    echo_held_ms: int
    beat: Beat
    large_at: int | None = None  # the clock of the last padded heartbeat that came on this link
    padding: bytes = b""  # makes it as large as a packet of the order: does the path carry such ones?


class Leaving(Packet, frozen=True, tag="l"):
    """Say that this life ends now."""


class Propose(Packet, frozen=True, tag="p"):
    """Ask the members of a ballot to stop delivering in their view and to say what they hold."""

    ballot: ViewId
    members: tuple[Member, ...]


class Flush(Packet, frozen=True, tag="f"):
    """Answer a proposal: what this node holds of its view, which it has stopped.

    `received`: all sequences up to it are here; `beyond`: others that are here. `position` and `delivered` stand
    where they will after the delivery of `received`.
    """

    ballot: ViewId
    view: ViewKey | None
    members: tuple[Member, ...]  # of `view`
    quorate: bool  # `view` is
    received: int
    beyond: tuple[int, ...]
    position: Position
    has_state: bool
    waits_for_all: bool
    gone: tuple[Gone, ...]  # members of `view` that this node takes for gone
    delivered: tuple[Delivered, ...]
    voters: Voters
    is_settled: bool  # `view` has lasted for last_man_standing's window
    left: tuple[NodeId, ...]  # who had left cleanly as `view` began
    witness: Vote  # for the ballot
    hears: tuple[NodeId, ...] = ()  # members of `view` that were heard just now
    layout: int = 0  # the version of nodes and links that is known to be agreed on


class Share(Packet, frozen=True, tag="s"):
    """Ask a member to send what it holds of its view to another who lacks it."""

    ballot: ViewId
    view: ViewKey
    to: NodeId
    sequences: tuple[int, ...]


class Install(Packet, frozen=True, tag="i"):
    """Begin this view."""

    decision: Decision


class Request(Packet, frozen=True, tag="r"):
    """Ask the coordinator to order a piece. `number` counts the sender's pieces in this view from 1."""

    view: ViewId
    number: int
    piece: Piece


class Ordered(Packet, frozen=True, tag="o"):
    """The piece at one place of the view's order. Everyone has all up to `everyone_has`: it may be forgotten.

    `number`: that of the origin's request. `piece` None: the receiver is the origin and has it.
    """

    view: ViewId
    sequence: int
    origin: NodeId
    number: int
    piece: Piece | None
    everyone_has: int


class Acknowledge(Packet, frozen=True, tag="a"):
    """Say what is here and what is stored; `missing` are sequences to be sent again."""

    view: ViewId
    received: int
    missing: tuple[int, ...]
    stored: Position


class Agreed(Packet, frozen=True, tag="n"):
    """Say which nodes and links are agreed on, to one that knows older ones: it was away as they were changed.

    It may be none of these nodes any more. What holds for the cluster once holds of that version for ever, so it does no
    harm when it is recorded and played again.
    """

    layout: Layout


DirectPacket = (
    Heartbeat | Leaving | Propose | Flush | Share | Install | Request | Ordered | Acknowledge | Agreed
)


class Relay(Packet, frozen=True, tag="y"):
    """Carry a packet from one node to another over a third, whose life this packet names."""

    origin: NodeId
    target: NodeId
    cargo: DirectPacket


AnyPacket = DirectPacket | Relay
