"""Join the cores of the network room behind one door: the ends of links, their addresses, and services' addresses.

Decides which of them an event concerns. It must not know what the ring or the executor make of the effects.
"""

from typing import assert_never

from komainu.model.ids import Instant, LinkNumber, ResourceId
from komainu.model.link import LinkEnd
from komainu.model.moment import earliest
from komainu.model.report import Level
from komainu.network.address_guard import AddressGuard, Standing
from komainu.network.drops import Drops
from komainu.network.interface import (
    AddAddress,
    AddRefused,
    AddressGone,
    AddressSeen,
    CulpritFacts,
    DeadlinePassed,
    DumpBegins,
    DumpEnds,
    FramesOpened,
    FramesRefused,
    GuardEvent,
    InterfaceGone,
    InterfaceSeen,
    KernelEvent,
    LinkReleased,
    NetworkEffect,
    PacketsDropped,
    Remark,
    RouteGone,
    RouteSeen,
    ServiceAddresses,
    ServiceAddressGone,
    UseInterface,
)
from komainu.network.link_ends import End, LinkEnds
from komainu.network.mirror import canonical


class NetworkGuard:
    """Watch and guard this node's network, as far as links and services need it."""

    def __init__(self, ends: tuple[LinkEnd, ...]) -> None:
        self._ends = LinkEnds(ends)
        self._guards = [(end, AddressGuard(end.end, end.address)) for end in self._ends.ends]
        self._services: dict[str, tuple[ResourceId, ...]] = {}
        self.drops = Drops()

    @property
    def deadline(self) -> Instant | None:
        """When `DeadlinePassed` is wanted."""
        return earliest(*(guard.deadline for _, guard in self._guards))

    @property
    def ends(self) -> list[tuple[End, AddressGuard]]:
        """Every end with its guard, by link: for status."""
        return self._guards

    def handle(self, event: GuardEvent, now: Instant) -> list[NetworkEffect]:
        """Apply one event; return what is to be done, in order."""
        match event:
            case (
                InterfaceSeen()
                | InterfaceGone()
                | AddressSeen()
                | AddressGone()
                | RouteSeen()
                | RouteGone()
                | DumpBegins()
                | DumpEnds()
            ):
                return self._take(event, now)
            case FramesOpened() | FramesRefused():
                return self._ends.frames(event, now)
            case CulpritFacts():
                return self._ends.found(event, now)
            case AddRefused(link=link, reason=reason):
                return self._guard_of(link)[1].refused(reason, now)
            case LinkReleased():
                return self._release(event, now)
            case ServiceAddresses(addresses=addresses):
                self._set_services(addresses)
                return []
            case PacketsDropped():
                return [*self.drops.take(event, now)]
            case DeadlinePassed():
                return self._look(now)
            case _:
                assert_never(event)

    def reconfigure(self, ends: tuple[LinkEnd, ...]) -> list[NetworkEffect]:
        """Watch these ends from now on; what is known of those that stay is kept. The kernel has to be asked anew."""
        gone = [end for end in self._ends.reconfigure(ends) if end.index is not None]
        known = {end.end: guard for end, guard in self._guards}
        self._guards = [
            (end, known.get(end.end) or AddressGuard(end.end, end.address)) for end in self._ends.ends
        ]
        self._ends.mirror.want(self._ends.addresses | self._services.keys())
        return [UseInterface(end.end.link, None, "", by_frames=False, wants_frames=False) for end in gone]

    def has_link(self, link: LinkNumber) -> bool:
        """Whether this node has an end of this link."""
        return any(end.end.link == link for end, _ in self._guards)

    def _take(self, event: KernelEvent, now: Instant) -> list[NetworkEffect]:
        """Apply what the kernel said. An address is put back first: everything else can wait a millisecond."""
        mirror = self._ends.mirror
        held = set(mirror.now.holders) if isinstance(event, DumpEnds) else set()
        held = {address for address in held if mirror.now.holders[address]}
        effects = self._ends.handle(event, now)
        gone: set[str] = set()
        if isinstance(event, AddressGone):
            gone = {event.address}
        elif isinstance(event, DumpEnds):  # what was deleted while messages were lost
            gone = {address for address in held if not mirror.now.holders.get(address)}
        for address in sorted(gone):
            for resource in self._services.get(address, ()):
                effects.append(ServiceAddressGone(resource, address))
        if mirror.is_settled:
            effects += self._look(now)
        return sorted(effects, key=lambda effect: not isinstance(effect, AddAddress))

    def _look(self, now: Instant) -> list[NetworkEffect]:
        """Let each guard look at its end."""
        picture = self._ends.mirror.now
        effects: list[NetworkEffect] = []
        for end, guard in self._guards:
            if not end.end.keep_address:
                continue
            index = end.index if end.index in picture.interfaces else None
            interface = None if index is None else picture.interfaces[index]
            standing = Standing(
                index=index,
                name=end.name or "",
                prefix=end.prefix,
                is_up=interface is not None and interface.is_up,
                has_address=index is not None and picture.has_address(index, end.address),
                has_default_route=index is not None and picture.has_default_route(index),
            )
            effects += guard.look(standing, now)
        return effects

    def _release(self, event: LinkReleased, now: Instant) -> list[NetworkEffect]:
        end, guard = self._guard_of(event.link)
        end.is_released = event.is_released
        guard.release(is_released=event.is_released)
        what = "released: it is left alone" if event.is_released else "guarded again"
        text = f"link {event.link} was {what}, as {event.by} wished"
        remark = Remark(event.link, Level.NOTICE, "network.released", text)
        return [remark, *self._ends.judge(end, now), *self._look(now)]

    def _set_services(self, addresses: tuple[tuple[str, ResourceId], ...]) -> None:
        services: dict[str, tuple[ResourceId, ...]] = {}
        for address, resource in addresses:
            key = canonical(address)
            services[key] = (*services.get(key, ()), resource)
        self._services = services
        self._ends.mirror.want(self._ends.addresses | services.keys())

    def _guard_of(self, link: LinkNumber) -> tuple[End, AddressGuard]:
        return next(pair for pair in self._guards if pair[0].end.link == link)
