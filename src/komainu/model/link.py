"""Describe a link and its state: a pair of interfaces that can exchange datagrams, whatever their addresses."""

from dataclasses import dataclass
from enum import Enum

from komainu.model.ids import LinkNumber, NodeName, WallTime


class LinkState(Enum):
    """What is known of this node's own end of a link, and of the way to one peer.

    All but the last come from the kernel at once; SILENT only from waiting.
    """

    UP = "up"
    NO_INTERFACE = "no-interface"
    ADMIN_DOWN = "admin-down"
    NO_CARRIER = "no-carrier"
    NO_ADDRESS = "no-address"
    NO_ROUTE = "no-route"
    BY_FRAMES = (
        "by-frames"  # the address or its route is gone, but raw frames still pass between the interfaces
    )
    SILENT = "silent"  # our end is fine, but the peer was not heard on this link

    @property
    def label(self) -> str:
        """The words for people."""
        return _LABELS[self]

    @property
    def is_usable(self) -> bool:
        """Whether packets pass: the ring goes on over such a link."""
        return self is LinkState.UP or self is LinkState.BY_FRAMES


_LABELS = {
    LinkState.UP: "up",
    LinkState.NO_INTERFACE: "down: the interface does not exist",
    LinkState.ADMIN_DOWN: "down: the interface is set down",
    LinkState.NO_CARRIER: "down: no carrier",
    LinkState.NO_ADDRESS: "down: the address is gone",
    LinkState.NO_ROUTE: "down: the route to the peers is gone",
    LinkState.BY_FRAMES: "up by raw frames",
    LinkState.SILENT: "down: nothing heard from the peer",
}


@dataclass(frozen=True, slots=True)
class LinkEnd:
    """One node's end of a link, as configured. The address is an IPv4 or IPv6 literal, without prefix.

    `keep_talking`: go on by raw frames while the interface has carrier but the address is gone.
    `keep_address`: put the address back when somebody deletes it; never on a service LAN. `prefix` is then
    the length to use where the kernel never showed one.
    """

    link: LinkNumber
    address: str
    interface: str | None = None  # found by the address when it is not given
    prefix: int | None = None
    keep_talking: bool = False
    keep_address: bool = False
    is_service: bool = False  # clients come by this network, too


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The state of one link towards one peer, for status and for reasons."""

    link: LinkNumber
    peer: NodeName
    state: LinkState
    reason: str  # one sentence: "eth1: carrier lost"
    since: WallTime
