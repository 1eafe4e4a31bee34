"""Tell a simulated node of its interfaces as its kernel would: one interface a link, and a dump at its start."""

from typing import Final

from komainu.model.ids import NodeId
from komainu.model.link import LinkEnd, LinkState
from komainu.network.interface import (
    AddressGone,
    AddressSeen,
    DumpBegins,
    DumpEnds,
    FramesOpened,
    FramesRefused,
    InterfaceGone,
    InterfaceSeen,
    NetworkEvent,
)
from komainu.sim.network import Network

_NO_FRAMES: Final = "Operation not permitted"
"""An end that has lost its address only is a cut where raw frames cannot be had."""


def dump(network: Network, node: NodeId, ends: tuple[LinkEnd, ...]) -> list[NetworkEvent]:
    """Give what a dump of all interfaces and addresses tells now."""
    told: list[NetworkEvent] = [DumpBegins()]
    for end in ends:
        events = events_of(end, network.end_of(node, end.link))
        told += [event for event in events if isinstance(event, InterfaceSeen | AddressSeen)]
    return [*told, DumpEnds()]


def events_of(end: LinkEnd, state: LinkState) -> list[NetworkEvent]:
    """Give what the kernel tells as an end comes into this state."""
    index, name = end.link + 2, f"eth{end.link}"
    if state is LinkState.NO_INTERFACE:
        return [AddressGone(index, end.address), InterfaceGone(index, name)]
    is_up = state is not LinkState.ADMIN_DOWN
    seen = InterfaceSeen(index, name, is_up, is_up and state is not LinkState.NO_CARRIER)
    if state is LinkState.NO_ADDRESS:
        return [FramesRefused(end.link, index, _NO_FRAMES), seen, AddressGone(index, end.address)]
    if state is LinkState.BY_FRAMES:
        return [FramesOpened(end.link, index), seen, AddressGone(index, end.address)]
    return [seen, AddressSeen(index, end.address)]
