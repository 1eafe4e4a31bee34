"""Say what the kernel tells of interfaces, and what that means for a link: events and effects of network/."""

from dataclasses import dataclass

from komainu.model.ids import LinkNumber
from komainu.model.link import LinkState
from komainu.model.report import Note


@dataclass(frozen=True, slots=True)
class InterfaceSeen:
    """An interface exists, with these flags (RTM_NEWLINK or a dump)."""

    index: int
    name: str
    is_up: bool  # administratively
    has_carrier: bool


@dataclass(frozen=True, slots=True)
class InterfaceGone:
    """An interface was removed (RTM_DELLINK)."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """An address stands on an interface (RTM_NEWADDR or a dump)."""

    index: int
    address: str


@dataclass(frozen=True, slots=True)
class AddressGone:
    """An address was deleted (RTM_DELADDR)."""

    index: int
    address: str


@dataclass(frozen=True, slots=True)
class DumpBegins:
    """A full dump follows, since messages were lost or at the start: what it does not name is gone."""


@dataclass(frozen=True, slots=True)
class DumpEnds:
    """The full dump is complete."""


NetworkEvent = InterfaceSeen | InterfaceGone | AddressSeen | AddressGone | DumpBegins | DumpEnds


@dataclass(frozen=True, slots=True)
class EndChanged:
    """This node's own end of a link changed: what the ring is to be told."""

    link: LinkNumber
    state: LinkState
    reason: str  # "eth1: carrier lost"


NetworkEffect = EndChanged | Note
