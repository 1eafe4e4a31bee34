"""Say what every network manager's configuration of an interface has in common.

Decides what counts as the same interface. Must not know the files of any manager.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from komainu.model.report import Place
from komainu.network.doctor.ini import Entry

ADDRESSES_MAX: Final = 20_000
"""Addresses whose canonical form is remembered: each is asked for by several rules."""


class Manager(Enum):
    """Who can look after an interface."""

    NETWORKMANAGER = "NetworkManager"
    NETWORKD = "systemd-networkd"
    IFUPDOWN = "ifupdown"
    WICKED = "wicked"
    INITSCRIPTS = "network-scripts"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Interface:
    """One network interface as the kernel or, where that was not there to be asked, a file knows it.

    Numbers and `has_carrier` are None where they are not known; `hardware` is the PCI address of the card.
    """

    name: str
    kind: str = "ethernet"  # ethernet, bond, bridge, team, vlan, wlan, loopback
    mac: str = ""
    mtu: int | None = None
    has_carrier: bool | None = None
    driver: str = ""
    hardware: str = ""
    controller: str = ""  # the bond, team or bridge that it is a port of
    lowers: tuple[str, ...] = ()  # the interfaces that it is made of
    addresses: tuple[str, ...] = ()  # with prefix, as they stand in the kernel

    @property
    def card(self) -> str:
        """The PCI card: its functions are the ports of one piece of hardware."""
        return self.hardware.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Profile:
    """What one file wants of an interface. An empty `interface` and `mac` fit any."""

    manager: Manager
    place: Place
    name: str
    interface: str = ""
    mac: str = ""
    addresses: tuple[str, ...] = ()  # with prefix where one is given
    has_dhcp: bool = False
    mtu: int | None = None
    kind: str = ""
    controller: str = ""
    lowers: tuple[str, ...] = ()
    settings: Mapping[str, Entry] = field(default_factory=dict)  # the manager's own keys, by name

    def fits(self, interface: Interface) -> bool:
        """Tell whether this profile is for that interface."""
        if self.mac and interface.mac:
            return self.mac.lower() == interface.mac.lower()
        return bool(self.interface) and self.interface == interface.name


@lru_cache(maxsize=ADDRESSES_MAX)
def bare(address: str) -> str:
    """Return an address in its canonical form, without prefix; the text itself where it is none."""
    try:
        return str(ipaddress.ip_interface(address).ip)
    except ValueError:
        return address.partition("/")[0]


def network_of(address: str) -> str:
    """Return the network of an address with prefix; the empty text where it has no prefix."""
    if "/" not in address:
        return ""
    try:
        return str(ipaddress.ip_interface(address).network)
    except ValueError:
        return ""


def with_prefix(address: str, mask: str) -> str:
    """Join an address and a prefix or netmask; the address alone where the mask is none."""
    if "/" in address or not mask:
        return address
    try:
        return str(ipaddress.ip_interface(f"{address}/{mask}"))
    except ValueError:
        return address


def whole(text: str) -> int | None:
    """Read a whole number; None where the text is none."""
    word = text.strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) < 16 else None
