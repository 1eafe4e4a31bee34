"""Decide who took an address away, from what was found out, and how sure that is.

The kernel names the netlink port of whoever asked for a deletion; that is evidence. Who is not named can only
be guessed from which manager looks after the interface, and then the sentence says "probably". Why it did so,
NetworkManager says itself. Must not know how processes, files and programs are asked.
Source: netlink(7), "nl_pid" (the first socket of a program has its process id); NetworkManager's D-Bus interface
Device, property StateReason (nm-dbus-types: NMDeviceState, NMDeviceStateReason); what each manager does when the
carrier is lost was measured: NetworkManager deletes after 6 s, systemd-networkd at once.
"""

from dataclasses import dataclass
from typing import Final

from komainu.network.interface import CulpritFacts, DeviceState

PID_MAX: Final = 4_194_304
"""Greatest process id of Linux; a netlink port beyond it is the second socket of some program."""

_FULL_NAMES: Final = {"systemd-network": "systemd-networkd"}  # the kernel keeps fifteen characters of a name
_SETTINGS: Final = {
    "NetworkManager": "ignore-carrier is not set for {}",
    "systemd-networkd": "neither ConfigureWithoutCarrier nor IgnoreCarrierLoss is set for {}",
    "dhcpcd": "dhcpcd gives addresses up with the carrier",
}
"""What makes each manager delete an address because the carrier was lost."""

NETWORKMANAGER: Final = "NetworkManager"

_PREPARING, _ACTIVATED = 40, 100  # NMDeviceState: a connection is being brought up on the device, or is up
_CARRIER: Final = 40  # NMDeviceStateReason
_REASONS: Final = {
    3: "it was told not to manage {} any more",
    6: "its lease was not renewed",
    37: "the machine goes to sleep",
    38: "its connection profile was deleted",
    39: "its connection was taken down by a user or a program",
    60: "another connection was brought up on {}",
}
"""Reasons of NetworkManager that need other words than its own."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of the deletion itself. `after_carrier_ms`: None while there was carrier.

    `is_down`: the interface was set down before; then the kernel takes IPv6 addresses off by itself.
    """

    interface: str
    after_carrier_ms: int | None
    is_down: bool = False


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
    if seen.is_down and facts.requester == 0:
        return Blame("by the kernel", "as the interface was set down")
    if process is not None:
        name = _FULL_NAMES.get(process.name, process.name)
        if name in _SETTINGS or name in facts.managers:
            return Blame(f"by {name}", _why(name, seen, facts.told))
        parent = f", run by {process.parent}" if process.parent else ""
        return Blame(f"by {name} (process {process.pid}{parent})")
    if _is_unnamed(facts) and len(facts.managers) == 1:
        name = facts.managers[0]
        evidence = f"it looks after {seen.interface}"
        why = _why(name, seen, facts.told)
        return Blame(f"probably by {name}", f"{evidence}; {why}" if why else evidence)
    if not _is_unnamed(facts):
        return Blame(f"by a program that has ended since (process {facts.requester})")
    return Blame("by an unknown program")


def may_say_why(facts: CulpritFacts) -> bool:
    """Whether NetworkManager is who did it, or the only one who may have, and so has to be asked for its reason."""
    if facts.process is not None:
        return facts.process.name == NETWORKMANAGER
    return _is_unnamed(facts) and facts.managers == (NETWORKMANAGER,)


def answer_of(told: DeviceState, interface: str) -> str:
    """Quote what NetworkManager says of an interface, or say that it says nothing."""
    if told.problem:
        return f"{interface}: why NetworkManager deleted the address is unknown: {told.problem}"
    state, reason = f"state {told.state} ({told.state_text})", f"reason {told.reason} ({told.reason_text})"
    return f"{interface}: NetworkManager says: {state}, {reason}"


def _is_unnamed(facts: CulpritFacts) -> bool:
    """Whether the kernel named no process: it did it by itself, or was asked by the second socket of some program."""
    return facts.requester == 0 or facts.requester > PID_MAX


def _why(manager: str, seen: Circumstances, told: DeviceState | None) -> str:
    """Say which setting of a manager explains the deletion, or which reason it gave."""
    if manager == NETWORKMANAGER and told is not None and not told.problem and told.reason != _CARRIER:
        if _PREPARING <= told.state <= _ACTIVATED:
            return "its connection was changed, or brought up anew"
        said = _REASONS.get(told.reason, f"it says: {told.state_text}, {told.reason_text}")
        return said.format(seen.interface)
    if seen.after_carrier_ms is None:
        return "while there was carrier: its connection was taken down or changed"
    return _SETTINGS.get(manager, "").format(seen.interface)
