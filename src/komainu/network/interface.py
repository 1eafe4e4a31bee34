"""Say what the kernel tells of interfaces, and what that means for a link: events and effects of network/."""

from dataclasses import dataclass

from komainu.model.ids import LinkNumber, ResourceId
from komainu.model.link import LinkState
from komainu.model.report import Level, Note

# -- events: what the kernel says -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class InterfaceSeen:
    """An interface exists, with these flags (RTM_NEWLINK or a dump)."""

    index: int
    name: str
    is_up: bool  # administratively
    has_carrier: bool
    mtu: int = 0  # 0: not told
    carrier_losses: int = 0  # since the interface was made, also those that were never reported
    operstate: str = ""  # the words of RFC 2863: up, down, dormant, lowerlayerdown …; "": not told


@dataclass(frozen=True, slots=True)
class InterfaceGone:
    """An interface was removed (RTM_DELLINK)."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """An address stands on an interface (RTM_NEWADDR or a dump)."""

    index: int
    address: str  # canonical: as ipaddress writes it
    prefix: int = 0  # length of its network's prefix; 0: not told


@dataclass(frozen=True, slots=True)
class AddressGone:
    """An address was deleted (RTM_DELADDR).

    `requester` is the netlink port of the program that asked for it, which is the process id of most; 0 when
    the kernel did it by itself, or was asked in another way.
    """

    index: int
    address: str
    requester: int = 0


@dataclass(frozen=True, slots=True)
class RouteSeen:
    """A network can be reached directly by an interface, or with a prefix of length 0 everything can."""

    index: int
    network: str  # "192.168.33.0/24"
    metric: int = 0


@dataclass(frozen=True, slots=True)
class RouteGone:
    """Such a route was deleted (RTM_DELROUTE)."""

    index: int
    network: str
    metric: int = 0


@dataclass(frozen=True, slots=True)
class DumpBegins:
    """A full dump follows, since messages were lost or at the start: what it does not name is gone."""


@dataclass(frozen=True, slots=True)
class DumpEnds:
    """The full dump is complete."""


@dataclass(frozen=True, slots=True)
class ClientsSeen:
    """Whether clients of the service reach this node, as far as its targets say."""

    is_reached: bool
    reason: str


KernelEvent = (
    InterfaceSeen | InterfaceGone | AddressSeen | AddressGone | RouteSeen | RouteGone | DumpBegins | DumpEnds
)

# -- events: what shells and the operator say -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FramesOpened:
    """Raw frames can be sent and heard on this interface of a link."""

    link: LinkNumber
    index: int


@dataclass(frozen=True, slots=True)
class FramesRefused:
    """Raw frames cannot be used on this interface of a link."""

    link: LinkNumber
    index: int
    reason: str  # "Operation not permitted"


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs, or was seen just before it ended."""

    pid: int
    name: str
    parent: str = ""  # the name of the program that started it


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What NetworkManager says of an interface: its state and the reason of it, as numbers and in its own words.

    `problem` tells why it said nothing: "`nmcli` did not answer within 0.5 s"; the rest is empty then.
    """

    state: int = 0
    state_text: str = ""
    reason: int = 0
    reason_text: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CulpritFacts:
    """What was found out about who deleted an address, as the answer to `FindCulprit` with this number.

    `managers` name the network managers that run and say that they look after the interface. Where
    NetworkManager was asked why, the facts come a second time, with its answer.
    """

    link: LinkNumber
    number: int
    requester: int
    process: Process | None
    managers: tuple[str, ...] = ()
    told: DeviceState | None = None


@dataclass(frozen=True, slots=True)
class AddRefused:
    """The kernel refused to add an address."""

    link: LinkNumber
    reason: str


@dataclass(frozen=True, slots=True)
class LinkReleased:
    """The operator wants to change this end of a link by hand: leave it alone, or with False guard it again."""

    link: LinkNumber
    is_released: bool
    by: str


@dataclass(frozen=True, slots=True)
class ServiceAddresses:
    """These resources, active here, stand for these addresses: replaces what was said before."""

    addresses: tuple[tuple[str, ResourceId], ...]


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The core's deadline has come."""


@dataclass(frozen=True, slots=True)
class PacketsDropped:
    """How many packets were dropped since the start, by kind: "not-authentic", "link0.wrong-interface"."""

    counts: tuple[tuple[str, int], ...]


NetworkEvent = KernelEvent | FramesOpened | FramesRefused | CulpritFacts | AddRefused | PacketsDropped
"""What shells tell."""

GuardEvent = NetworkEvent | LinkReleased | ServiceAddresses | DeadlinePassed

# -- effects --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndChanged:
    """This node's own end of a link changed: what the ring is to be told."""

    link: LinkNumber
    state: LinkState
    reason: str  # "eth1: carrier lost"


@dataclass(frozen=True, slots=True)
class Remark:
    """Something happened to an end that does not change its state: for the log and the flight record."""

    link: LinkNumber
    level: Level
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class UseInterface:
    """A link's end was found on this interface, or with None on no interface any more.

    Datagrams that come in by another one are not the link's. With `by_frames` this node cannot send by
    address: raw frames are to be used. `wants_frames`: listen for them.
    """

    link: LinkNumber
    index: int | None
    name: str
    by_frames: bool
    wants_frames: bool


@dataclass(frozen=True, slots=True)
class FindCulprit:
    """Find out who deleted a link's address; the answer is `CulpritFacts` with this number."""

    link: LinkNumber
    number: int
    index: int
    name: str
    requester: int


@dataclass(frozen=True, slots=True)
class AddAddress:
    """Put an address on an interface; a refusal comes back as `AddRefused`."""

    link: LinkNumber
    index: int
    address: str
    prefix: int


@dataclass(frozen=True, slots=True)
class RemoveAddress:
    """Take an address away that this program put there."""

    link: LinkNumber
    index: int
    address: str
    prefix: int


@dataclass(frozen=True, slots=True)
class ServiceAddressGone:
    """The address of a resource that runs here was deleted."""

    resource: ResourceId
    address: str


NetworkEffect = (
    EndChanged | Remark | UseInterface | FindCulprit | AddAddress | RemoveAddress | ServiceAddressGone | Note
)
