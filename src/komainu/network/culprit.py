"""Decide who took an address away, from what was found out, and how sure that is.

The kernel names the netlink port of whoever asked for a deletion; that is evidence. Who is not named can only
be guessed from which manager looks after the interface, and then the sentence says "probably". Must not know
how processes and files are read.
Source: netlink(7), "nl_pid" (the first socket of a program has its process id); what each manager does when the
carrier is lost was measured: NetworkManager deletes after 6 s, systemd-networkd at once.
"""

from dataclasses import dataclass
from typing import Final

from komainu.network.interface import CulpritFacts

PID_MAX: Final = 4_194_304
"""Greatest process id of Linux; a netlink port beyond it is the second socket of some program."""

_FULL_NAMES: Final = {"systemd-network": "systemd-networkd"}  # the kernel keeps fifteen characters of a name
_SETTINGS: Final = {
    "NetworkManager": "ignore-carrier is not set for {}",
    "systemd-networkd": "neither ConfigureWithoutCarrier nor IgnoreCarrierLoss is set for {}",
    "dhcpcd": "dhcpcd gives addresses up with the carrier",
}
"""What makes each manager delete an address because the carrier was lost."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of the deletion itself. `after_carrier_ms`: None while there was carrier."""

    interface: str
    after_carrier_ms: int | None


@dataclass(frozen=True, slots=True)
class Blame:
    """Who it was: "by NetworkManager", and why; both may be empty."""

    by: str
    because: str = ""


NOBODY: Final = Blame("")
"""Nobody is named yet."""


def accuse(facts: CulpritFacts, seen: Circumstances) -> Blame:
    """Name who deleted an address."""
    process = facts.process
    if process is not None:
        name = _FULL_NAMES.get(process.name, process.name)
        if name in _SETTINGS or name in facts.managers:
            return Blame(f"by {name}", _why(name, seen))
        parent = f", run by {process.parent}" if process.parent else ""
        return Blame(f"by {name} (process {process.pid}{parent})")
    if len(facts.managers) == 1 and (facts.requester == 0 or facts.requester > PID_MAX):
        name = facts.managers[0]
        evidence = f"it looks after {seen.interface}"
        why = _why(name, seen)
        return Blame(f"probably by {name}", f"{evidence}; {why}" if why else evidence)
    if 0 < facts.requester <= PID_MAX:
        return Blame(f"by a program that has ended since (process {facts.requester})")
    return Blame("by an unknown program")


def _why(manager: str, seen: Circumstances) -> str:
    """Say which setting of a manager explains the deletion."""
    if seen.after_carrier_ms is None:
        return "while there was carrier: its connection was taken down or changed"
    return _SETTINGS.get(manager, "").format(seen.interface)
