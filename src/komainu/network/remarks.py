"""Decide what is worth a word when an interface changes without a change of its link's state.

Must not know links, nor who reads it. Source: RFC 2863 (operational state); linux/if_link.h: drivers report a
carrier that comes and goes at most once a second, but IFLA_CARRIER_DOWN_COUNT counts every loss.
"""

from collections.abc import Iterator
from typing import Final

from komainu.model.report import Level
from komainu.network.interface import InterfaceSeen

MTU_MIN: Final = 1428
"""The ring's largest datagram with IPv4 and UDP around it; below it the kernel has to cut it in pieces."""

_ODD_STATES: Final = {
    "dormant": "it waits for something, such as an authentication at the switch",
    "lowerlayerdown": "what it is built on is down",
    "testing": "it is being tested",
}


def remarks_on(before: InterfaceSeen, seen: InterfaceSeen) -> Iterator[tuple[Level, str, str]]:
    """Compare an interface with what it was: level, code and sentence of each remark."""
    if seen.name != before.name:
        yield Level.WARNING, "network.renamed", f"{before.name} was renamed to {seen.name}"
    if seen.mtu != before.mtu and seen.mtu and before.mtu:
        small = seen.mtu < MTU_MIN
        effect = ": large datagrams are cut in pieces" if small else ""
        text = f"{seen.name}: MTU changed from {before.mtu} to {seen.mtu}{effect}"
        yield Level.WARNING if small else Level.NOTICE, "network.mtu", text
    told = 1 if before.has_carrier and not seen.has_carrier else 0
    missed = seen.carrier_losses - before.carrier_losses - told
    if before.carrier_losses <= seen.carrier_losses and missed > 0:
        times = "once" if missed == 1 else f"{missed} times"
        text = f"{seen.name}: the carrier was lost and came back {times} without a word from the driver"
        yield Level.WARNING, "network.flapped", text
    if seen.operstate != before.operstate and seen.operstate in _ODD_STATES:
        text = f"{seen.name}: its operational state is {seen.operstate}: {_ODD_STATES[seen.operstate]}"
        yield Level.WARNING, "network.operstate", text
