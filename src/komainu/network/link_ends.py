"""Decide what a change of an interface, address or route means for this node's own end of each link.

A link is not an address: an end whose address is taken away goes on by raw frames where it may and can, else it
is `no-address`, and comes back by itself. Must not know what the ring makes of it, nor how the kernel is asked.
Source: rtnetlink(7) (links, addresses, dumps); RFC 2863 (administrative and operational state).

Theory of operation. The mirror holds what the kernel said. After each event that touches an end, the end is
judged anew, and what changed is told; before the first dump is complete nothing is judged. The worst fault names the state: no
interface, set down, no carrier, no address, no route; the reason names all faults, in the order in which they
came. Who deleted an address is asked for at once and told as soon as it is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from komainu.model.duration import show_ms
from komainu.model.ids import Instant
from komainu.model.link import LinkEnd, LinkState
from komainu.model.report import Level, Note
from komainu.network.culprit import NOBODY, Blame, Circumstances, accuse, answer_of
from komainu.network.interface import (
    AddressGone,
    AddressSeen,
    CulpritFacts,
    DumpBegins,
    DumpEnds,
    EndChanged,
    FindCulprit,
    FramesOpened,
    FramesRefused,
    InterfaceGone,
    InterfaceSeen,
    KernelEvent,
    NetworkEffect,
    Remark,
    RouteGone,
    RouteSeen,
    UseInterface,
)
from komainu.network.mirror import Mirror, canonical, network_of
from komainu.network.remarks import remarks_on


class _Fault(Enum):
    """What can be wrong with an end, the worst first."""

    NO_INTERFACE = LinkState.NO_INTERFACE
    ADMIN_DOWN = LinkState.ADMIN_DOWN
    NO_CARRIER = LinkState.NO_CARRIER
    NO_ADDRESS = LinkState.NO_ADDRESS
    NO_ROUTE = LinkState.NO_ROUTE


_PASSED_BY_FRAMES = frozenset({_Fault.NO_ADDRESS, _Fault.NO_ROUTE})


@dataclass(slots=True)
class End:
    """One end: what is configured, where it was last seen, and what is wrong with it since when."""

    end: LinkEnd
    address: str  # canonical
    name: str | None = None
    index: int | None = None  # of the interface that it was last found on
    prefix: int = 0  # of the address, as last seen
    is_released: bool = False  # an operator works on it: no raw frames, nothing is put back
    had_carrier: bool = False
    had_address: bool = False
    had_route: bool = False
    frames_on: int | None = None  # index of the interface that raw frames pass
    faults: dict[_Fault, Instant] = field(default_factory=dict)  # in the order in which they came
    state: LinkState | None = None  # as told last, with its reason
    reason: str = ""
    blame: Blame = NOBODY
    question: int = 0  # number of the newest FindCulprit
    circumstances: Circumstances | None = None
    used: UseInterface | None = None  # as told last


class LinkEnds:
    """Watch this node's own ends of its links."""

    def __init__(self, ends: tuple[LinkEnd, ...]) -> None:
        self.ends = [End(end, canonical(end.address), name=end.interface) for end in ends]
        self.addresses = frozenset(end.address for end in self.ends)
        self.mirror = Mirror(self.addresses)

    def reconfigure(self, ends: tuple[LinkEnd, ...]) -> list[End]:
        """Watch these ends from now on; return those that are watched no longer."""
        known = {end.end: end for end in self.ends}
        gone = [end for end in self.ends if end.end not in ends]
        self.ends = [known.get(end) or End(end, canonical(end.address), name=end.interface) for end in ends]
        self.addresses = frozenset(end.address for end in self.ends)
        return gone

    def handle(self, event: KernelEvent, now: Instant) -> list[NetworkEffect]:
        """Apply one event; return the ends that changed, each with a note."""
        effects: list[NetworkEffect] = []
        if isinstance(event, InterfaceSeen) and self.mirror.is_settled:
            effects += self._remark(event)
        self.mirror.take(event)
        if not self.mirror.is_settled:
            return effects
        concerned = list(self._concerned(event))
        for end in concerned:
            effects += self.judge(end, now)
        if isinstance(event, AddressGone):
            for end in concerned:
                effects += self._ask_who(end, event, now)
        return effects

    def found(self, facts: CulpritFacts, now: Instant) -> list[NetworkEffect]:
        """Take in who deleted an address, and why; answers to old questions are dropped.

        An address that is back by now has no fault to explain: the deletion is told all the same, since who
        fights against `keep_address` has to be known. What NetworkManager says then is about the address's return.
        """
        end = next(each for each in self.ends if each.end.link == facts.link)
        if end.circumstances is None or facts.number != end.question:
            return []
        if facts.told is not None and _Fault.NO_ADDRESS not in end.faults:
            return []
        blame = accuse(facts, end.circumstances)
        effects: list[NetworkEffect] = []
        if _Fault.NO_ADDRESS in end.faults:
            end.blame = blame
            effects += self.judge(end, now)
        code, text = (
            "network.address-deleted",
            f"{end.name}: address {end.address} was deleted {_blamed(blame)}",
        )
        if facts.told is not None:
            code, text = "network.manager-says", answer_of(facts.told, end.circumstances.interface)
        return [*effects, Remark(end.end.link, Level.NOTICE, code, text)]

    def frames(self, event: FramesOpened | FramesRefused, now: Instant) -> list[NetworkEffect]:
        """Take in whether raw frames can be used on an interface."""
        end = next(each for each in self.ends if each.end.link == event.link)
        if event.index != end.index:
            return []
        if isinstance(event, FramesRefused):
            end.frames_on = None
            text = f"{end.name}: cannot go on by raw frames if the address goes: {event.reason}"
            remark = Remark(end.end.link, Level.WARNING, "network.no-frames", text)
            return [remark, *self.judge(end, now)]
        end.frames_on = event.index
        return self.judge(end, now)

    def judge(self, end: End, now: Instant) -> list[NetworkEffect]:
        """Find out what is wrong with one end, and say so if it is news."""
        interface = self._find(end)
        if interface is not None and interface.index != end.index:
            end.frames_on = None
        present = self._faults(end, interface)
        end.faults = {fault: since for fault, since in end.faults.items() if fault in present}
        for fault in present:
            end.faults.setdefault(fault, now)
        if interface is not None:
            self._remember(end, interface, present)
        if _Fault.NO_ADDRESS not in present:
            end.blame = NOBODY
        state = _state(end)
        used = UseInterface(
            end.end.link,
            None if interface is None else interface.index,
            end.name or "",
            by_frames=state is LinkState.BY_FRAMES,
            wants_frames=interface is not None and _wants_frames(end),
        )
        effects: list[NetworkEffect] = []
        if used != end.used:
            end.used = used
            effects.append(used)
        return [*effects, *_tell(end, state)]

    def _concerned(self, event: KernelEvent) -> Iterable[End]:
        """Return the ends that an event may change: most events on a large machine change none."""
        match event:
            case InterfaceSeen() | InterfaceGone():
                holders = self.mirror.now.holders
                return [
                    end
                    for end in self.ends
                    if event.index == end.index
                    or event.name == end.name
                    or event.index in holders.get(end.address, ())
                ]
            case AddressSeen() | AddressGone():
                return [end for end in self.ends if event.address == end.address]
            case RouteSeen() | RouteGone():
                return [end for end in self.ends if event.index == end.index]
            case DumpBegins():
                return []
            case DumpEnds():
                return self.ends
            case _:
                assert_never(event)

    def _find(self, end: End) -> InterfaceSeen | None:
        """Find the end's interface: by its configured name, by its address, or where it was last seen."""
        picture = self.mirror.now
        last = None if end.index is None else picture.interfaces.get(end.index)
        return (
            picture.named(end.end.interface) or picture.holder(end.address) or last or picture.named(end.name)
        )

    def _faults(self, end: End, interface: InterfaceSeen | None) -> list[_Fault]:
        if interface is None:
            nowhere = end.name is None  # never seen, and no name was configured: only the address is known
            return [_Fault.NO_ADDRESS if nowhere else _Fault.NO_INTERFACE]
        found: list[_Fault] = []
        if not interface.is_up:
            # An interface that is set down has no carrier either; that is no second fault.
            found.append(_Fault.ADMIN_DOWN)
        elif not interface.has_carrier:
            found.append(_Fault.NO_CARRIER)
        if not self.mirror.now.has_address(interface.index, end.address):
            found.append(_Fault.NO_ADDRESS)
        elif interface.is_up and end.had_route and not self._has_route(end, interface.index):
            found.append(_Fault.NO_ROUTE)
        return found

    def _has_route(self, end: End, index: int) -> bool:
        network = network_of(end.address, end.prefix)
        return network is not None and self.mirror.now.has_route(index, network)

    def _remember(self, end: End, interface: InterfaceSeen, present: list[_Fault]) -> None:
        """Keep where the end is, and what it had: what was never there is missing, not lost."""
        end.index, end.name = interface.index, interface.name
        end.prefix = self.mirror.now.holders.get(end.address, {}).get(interface.index) or end.prefix
        end.had_carrier = end.had_carrier or (interface.is_up and interface.has_carrier)
        if _Fault.NO_ADDRESS in present or _Fault.ADMIN_DOWN in present:
            end.had_route = False  # its route went with it, and comes after it
        else:
            end.had_address = True
            end.had_route = end.had_route or self._has_route(end, interface.index)

    def _ask_who(self, end: End, event: AddressGone, now: Instant) -> list[NetworkEffect]:
        if end.index != event.index or _Fault.NO_ADDRESS not in end.faults or end.name is None:
            return []
        end.question += 1
        lost = end.faults.get(_Fault.NO_CARRIER)
        is_down = _Fault.ADMIN_DOWN in end.faults
        end.circumstances = Circumstances(end.name, None if lost is None else now - lost, is_down=is_down)
        return [FindCulprit(end.end.link, end.question, event.index, end.name, event.requester)]

    def _remark(self, seen: InterfaceSeen) -> list[NetworkEffect]:
        before = self.mirror.now.interfaces.get(seen.index)
        if before is None:
            return []
        return [
            Remark(end.end.link, level, code, text)
            for end in self.ends
            if end.index == seen.index
            for level, code, text in remarks_on(before, seen)
        ]


def _wants_frames(end: End) -> bool:
    return end.end.keep_talking and not end.is_released


def _state(end: End) -> LinkState:
    """Name the state by the worst fault; what raw frames can pass is none."""
    worst = next((fault for fault in _Fault if fault in end.faults), None)
    if worst is None:
        return LinkState.UP
    has_frames = end.frames_on is not None and end.frames_on == end.index and _wants_frames(end)
    if has_frames and end.faults.keys() <= _PASSED_BY_FRAMES:
        return LinkState.BY_FRAMES
    return worst.value


def _tell(end: End, state: LinkState) -> list[NetworkEffect]:
    """Tell the ring what changed, and the log when it is more than the wording."""
    reason = _reason(end, state)
    if (end.state, end.reason) == (state, reason):
        return []
    is_news = end.state is not state
    end.state, end.reason = state, reason
    changed = EndChanged(end.end.link, state, reason)
    if not is_news:
        return [changed]
    level = Level.NOTICE if state is LinkState.UP else Level.WARNING
    return [changed, Note(level, "network.end-changed", f"link {end.end.link}: {reason}")]


def _reason(end: End, state: LinkState) -> str:
    """Say all that is wrong with an end: `eth1: carrier lost; address 10.0.0.1/24 deleted 6.0 s later`."""
    name = end.name or f"address {end.end.address}"
    if not end.faults:
        return f"{name}: up"
    clauses: list[str] = []
    first = next(iter(end.faults.values()))
    for fault, since in end.faults.items():
        later = f" {_span(since - first)} later" if since > first else ""
        clauses.append(_clause(fault, end, later))
    released = ["left alone, as an operator wished"] if end.is_released else []
    frames = ["going on by raw frames"] if state is LinkState.BY_FRAMES else []
    return f"{name}: {'; '.join((*clauses, *released, *frames))}"


def _span(milliseconds: int) -> str:
    return show_ms(milliseconds) if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _clause(fault: _Fault, end: End, later: str) -> str:
    match fault:
        case _Fault.NO_INTERFACE:
            return (
                "the interface does not exist" if end.index is None else "the interface was removed"
            ) + later
        case _Fault.ADMIN_DOWN:
            return f"set down{later}"
        case _Fault.NO_CARRIER:
            return ("carrier lost" if end.had_carrier else "no carrier") + later
        case _Fault.NO_ADDRESS:
            return _address_clause(end, later)
        case _Fault.NO_ROUTE:
            return f"the route to {network_of(end.address, end.prefix)} was deleted{later}"
        case _:
            assert_never(fault)


def _address_clause(end: End, later: str) -> str:
    if end.name is None:
        return "no interface has it"
    if not end.had_address:
        return f"address {end.end.address} is missing"
    prefix = f"/{end.prefix}" if end.prefix else ""
    by = f" {end.blame.by}" if end.blame.by else ""
    because = f" ({end.blame.because})" if end.blame.because else ""
    return f"address {end.address}{prefix} deleted{by}{later}{because}"


def _blamed(blame: Blame) -> str:
    return f"{blame.by} ({blame.because})" if blame.because else blame.by
