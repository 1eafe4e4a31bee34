"""Keep what the kernel said last: of all interfaces, and of those addresses and routes that matter here.

Decides nothing but what is worth keeping, so that a machine with ten thousand addresses costs no memory here.
Must not know what any of it means for a link. Source: rtnetlink(7); a dump replaces what was known.
"""

import ipaddress
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import assert_never

from komainu.network.interface import (
    AddressGone,
    AddressSeen,
    DumpBegins,
    DumpEnds,
    InterfaceGone,
    InterfaceSeen,
    KernelEvent,
    RouteGone,
    RouteSeen,
)

Change = InterfaceSeen | InterfaceGone | AddressSeen | AddressGone | RouteSeen | RouteGone

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(slots=True)
class Picture:
    """One picture of the machine's network."""

    interfaces: dict[int, InterfaceSeen] = field(default_factory=dict)
    by_name: dict[str, int] = field(default_factory=dict)
    holders: dict[str, dict[int, int]] = field(default_factory=dict)  # address -> index -> prefix
    routes: dict[tuple[int, str], set[int]] = field(default_factory=dict)  # index, network -> metrics

    def named(self, name: str | None) -> InterfaceSeen | None:
        """Return the interface that has this name now."""
        index = None if name is None else self.by_name.get(name)
        return None if index is None else self.interfaces.get(index)

    def holder(self, address: str) -> InterfaceSeen | None:
        """Return the interface that has this address; of several the first that was made."""
        found = (self.interfaces.get(index) for index in sorted(self.holders.get(address, ())))
        return next((interface for interface in found if interface is not None), None)

    def has_address(self, index: int, address: str) -> bool:
        """Whether this interface has this address."""
        return index in self.holders.get(address, ())

    def has_route(self, index: int, network: str) -> bool:
        """Whether this network is reached directly by this interface."""
        return bool(self.routes.get((index, network)))

    def has_default_route(self, index: int) -> bool:
        """Whether the rest of the world is reached by this interface."""
        return self.has_route(index, "0.0.0.0/0") or self.has_route(index, "::/0")


class Mirror:
    """The picture of now. `is_settled` is False until the first dump is complete.

    What is told while a later dump runs is true at once, and belongs into both pictures: on a machine with
    thousands of interfaces a dump takes its time, and a link that changes meanwhile must not wait for it.
    """

    def __init__(self, addresses: AbstractSet[str]) -> None:
        """`addresses` are the canonical addresses that are kept, with the networks around them."""
        self.now = Picture()
        self._wanted = addresses
        self._literals = [ipaddress.ip_address(address) for address in sorted(addresses)]
        self._dump: Picture | None = None
        self._is_settled = False

    @property
    def is_settled(self) -> bool:
        """Whether everything was told at least once."""
        return self._is_settled

    def want(self, addresses: AbstractSet[str]) -> None:
        """Keep these addresses from now on, and forget the others."""
        self._wanted = addresses
        self.now.holders = {one: held for one, held in self.now.holders.items() if one in addresses}

    def take(self, event: KernelEvent) -> None:
        """Take in one event."""
        match event:
            case DumpBegins():
                self._dump = Picture()
            case DumpEnds():
                if self._dump is not None:
                    self.now, self._dump = self._dump, None
                self._is_settled = True
            case _:
                self._change(self.now, event)
                if self._dump is not None:
                    self._change(self._dump, event)

    def _change(self, picture: Picture, event: Change) -> None:
        """Bring one picture up to date."""
        match event:
            case InterfaceSeen():
                _see(picture, event)
            case InterfaceGone():
                _forget(picture, event.index)
            case AddressSeen():
                if event.address in self._wanted:
                    picture.holders.setdefault(event.address, {})[event.index] = event.prefix
            case AddressGone():
                picture.holders.get(event.address, {}).pop(event.index, None)
            case RouteSeen():
                if self._is_wanted(event.network):
                    picture.routes.setdefault((event.index, event.network), set()).add(event.metric)
            case RouteGone():
                picture.routes.get((event.index, event.network), set()).discard(event.metric)
            case _:
                assert_never(event)

    def _is_wanted(self, network: str) -> bool:
        if network.endswith("/0"):
            return True
        around = ipaddress.ip_network(network)
        return any(literal.version == around.version and literal in around for literal in self._literals)


def _see(picture: Picture, seen: InterfaceSeen) -> None:
    before = picture.interfaces.get(seen.index)
    if before is not None and before.name != seen.name and picture.by_name.get(before.name) == seen.index:
        del picture.by_name[before.name]
    picture.interfaces[seen.index] = seen
    picture.by_name[seen.name] = seen.index
    if not seen.is_up:
        # The kernel drops an interface's routes as it is set down, and tells nobody.
        _forget_routes(picture, seen.index)


def _forget(picture: Picture, index: int) -> None:
    gone = picture.interfaces.pop(index, None)
    if gone is not None and picture.by_name.get(gone.name) == index:
        del picture.by_name[gone.name]
    for held in picture.holders.values():
        held.pop(index, None)
    _forget_routes(picture, index)


def _forget_routes(picture: Picture, index: int) -> None:
    for key in [key for key in picture.routes if key[0] == index]:
        del picture.routes[key]


def canonical(address: str) -> str:
    """Bring an address into one form, so that two spellings of it are equal."""
    try:
        return str(ipaddress.ip_address(address.partition("/")[0]))
    except ValueError:
        return address


def network_of(address: str, prefix: int) -> str | None:
    """Return the network around an address; None where there is none but the address itself."""
    literal = ipaddress.ip_address(address)
    if not 0 < prefix < literal.max_prefixlen:
        return None
    return str(ipaddress.ip_network((address, prefix), strict=False))
