"""network/link_ends.py: what is told of each end, and why, when cables, interfaces and addresses come and go."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from komainu.model.ids import Instant, LinkNumber
from komainu.model.link import LinkEnd, LinkState
from komainu.model.report import Level, Note
from komainu.network.interface import (
    AddressGone,
    AddressSeen,
    DumpBegins,
    DumpEnds,
    EndChanged,
    InterfaceGone,
    InterfaceSeen,
    KernelEvent,
)
from komainu.network.link_ends import LinkEnds

ADDRESS = "192.168.33.1"
NAMED = LinkEnd(LinkNumber(0), ADDRESS, "eth1")
BY_ADDRESS = LinkEnd(LinkNumber(0), ADDRESS)


def eth1(
    *, index: int = 3, name: str = "eth1", is_up: bool = True, has_carrier: bool = True
) -> InterfaceSeen:
    return InterfaceSeen(index, name, is_up, has_carrier)


def told(core: LinkEnds, *events: KernelEvent, at: int = 0) -> list[tuple[LinkState, str]]:
    """Give events; return what was told of the ends."""
    effects = [effect for event in events for effect in core.handle(event, Instant(at))]
    return [(effect.state, effect.reason) for effect in effects if isinstance(effect, EndChanged)]


def dump(*events: KernelEvent) -> tuple[KernelEvent, ...]:
    return (DumpBegins(), *events, DumpEnds())


def watching(end: LinkEnd = NAMED) -> LinkEnds:
    """Make a core whose one end is up."""
    core = LinkEnds((end,))
    assert told(core, *dump(eth1(), AddressSeen(3, ADDRESS))) == [(LinkState.UP, "eth1: up")]
    return core


def test_a_dump_tells_each_end_once() -> None:
    other = LinkEnd(LinkNumber(1), "10.0.0.1", "eth9")
    core = LinkEnds((NAMED, other))
    assert told(core, *dump(eth1(), AddressSeen(3, ADDRESS))) == [
        (LinkState.UP, "eth1: up"),
        (LinkState.NO_INTERFACE, "eth9: the interface does not exist"),
    ]
    assert told(core, *dump(eth1(), AddressSeen(3, ADDRESS))) == []


def test_nothing_is_told_before_the_first_dump_is_complete() -> None:
    core = LinkEnds((NAMED,))
    assert told(core, DumpBegins(), eth1(), AddressSeen(3, ADDRESS), AddressGone(3, ADDRESS)) == []
    assert told(core, DumpEnds()) == [(LinkState.NO_ADDRESS, "eth1: address 192.168.33.1 is missing")]


def test_a_change_does_not_wait_for_the_end_of_a_later_dump() -> None:
    core = watching()
    gone = [(LinkState.NO_INTERFACE, "eth1: the interface was removed")]
    assert told(core, DumpBegins(), eth1(), AddressSeen(3, ADDRESS), InterfaceGone(3, "eth1")) == gone
    assert told(core, DumpEnds()) == []


def test_a_pulled_cable_and_what_a_network_manager_makes_of_it() -> None:
    core = watching()
    assert told(core, eth1(has_carrier=False), at=1000) == [(LinkState.NO_CARRIER, "eth1: carrier lost")]
    assert told(core, AddressGone(3, ADDRESS), at=7000) == [
        (LinkState.NO_CARRIER, "eth1: carrier lost; address 192.168.33.1 deleted 6.0 s later")
    ]
    assert told(core, eth1(), at=9000) == [(LinkState.NO_ADDRESS, "eth1: address 192.168.33.1 deleted")]
    assert told(core, AddressSeen(3, ADDRESS), at=9500) == [(LinkState.UP, "eth1: up")]


def test_an_interface_that_is_set_down() -> None:
    core = watching()
    down = eth1(is_up=False, has_carrier=False)
    assert told(core, down) == [(LinkState.ADMIN_DOWN, "eth1: set down")]
    assert told(core, AddressGone(3, ADDRESS)) == [
        (LinkState.ADMIN_DOWN, "eth1: set down; address 192.168.33.1 deleted")
    ]


def test_an_interface_that_is_deleted_and_comes_back_with_another_index() -> None:
    for end in (NAMED, BY_ADDRESS):
        core = watching(end)
        assert told(core, InterfaceGone(3, "eth1")) == [
            (LinkState.NO_INTERFACE, "eth1: the interface was removed")
        ]
        assert told(core, eth1(index=9)) == [(LinkState.NO_ADDRESS, "eth1: address 192.168.33.1 deleted")]
        assert told(core, AddressSeen(9, ADDRESS)) == [(LinkState.UP, "eth1: up")]
        assert told(core, InterfaceGone(3, "eth1")) == []


def test_an_interface_that_is_renamed_stays_up() -> None:
    for end in (NAMED, BY_ADDRESS):
        core = watching(end)
        assert told(core, eth1(name="lan0")) == [(LinkState.UP, "lan0: up")]
        assert told(core, eth1(name="lan0", has_carrier=False)) == [
            (LinkState.NO_CARRIER, "lan0: carrier lost")
        ]


def test_an_end_without_an_interface_is_found_by_its_address() -> None:
    core = LinkEnds((BY_ADDRESS,))
    assert told(core, *dump(eth1())) == [(LinkState.NO_ADDRESS, "address 192.168.33.1: no interface has it")]
    assert told(core, AddressSeen(3, ADDRESS)) == [(LinkState.UP, "eth1: up")]
    assert told(core, InterfaceSeen(5, "br0", is_up=True, has_carrier=True)) == []
    # The address moves into a bridge: the link is where the address is.
    assert told(core, AddressSeen(5, ADDRESS), AddressGone(3, ADDRESS))[-1:] == [(LinkState.UP, "br0: up")]


def test_what_a_dump_does_not_name_is_gone() -> None:
    core = watching()
    assert told(core, *dump(eth1())) == [(LinkState.NO_ADDRESS, "eth1: address 192.168.33.1 deleted")]
    assert told(core, *dump()) == [(LinkState.NO_INTERFACE, "eth1: the interface was removed")]
    assert told(core, *dump(eth1(), AddressSeen(3, ADDRESS)))[-1] == (LinkState.UP, "eth1: up")


def test_what_never_was_is_told_otherwise() -> None:
    core = LinkEnds((NAMED,))
    assert told(core, *dump(eth1(has_carrier=False))) == [
        (LinkState.NO_CARRIER, "eth1: no carrier; address 192.168.33.1 is missing")
    ]


def test_two_spellings_of_an_address_are_equal() -> None:
    core = LinkEnds((LinkEnd(LinkNumber(0), "FD00:0:0::1", "eth1"),))
    assert told(core, *dump(eth1(), AddressSeen(3, "fd00::1"))) == [(LinkState.UP, "eth1: up")]
    assert told(core, AddressSeen(3, "no address")) == []


def test_a_change_of_state_is_worth_a_note_and_a_new_reason_is_not() -> None:
    core = watching()
    effects = core.handle(eth1(has_carrier=False), Instant(0))
    assert [effect.level for effect in effects if isinstance(effect, Note)] == [Level.WARNING]
    effects = core.handle(AddressGone(3, ADDRESS), Instant(0))
    assert not any(isinstance(effect, Note) for effect in effects)


_INDEXES = st.integers(1, 3)
_INTERFACE_NAMES = st.sampled_from(["eth1", "eth2", "lan0"])
_ADDRESSES = st.sampled_from([ADDRESS, "10.0.0.1"])
_EVENTS: st.SearchStrategy[KernelEvent] = st.one_of(
    st.builds(InterfaceSeen, _INDEXES, _INTERFACE_NAMES, st.booleans(), st.booleans()),
    st.builds(InterfaceGone, _INDEXES, _INTERFACE_NAMES),
    st.builds(AddressSeen, _INDEXES, _ADDRESSES),
    st.builds(AddressGone, _INDEXES, _ADDRESSES),
    st.just(DumpBegins()),
    st.just(DumpEnds()),
)


@given(st.lists(_EVENTS, max_size=12), st.sampled_from([NAMED, BY_ADDRESS]))
def test_after_any_events_a_dump_of_a_good_end_brings_it_up(events: list[KernelEvent], end: LinkEnd) -> None:
    core = LinkEnds((end,))
    history = told(core, *events, *dump(eth1(), AddressSeen(3, ADDRESS)))
    assert history[-1][0] is LinkState.UP
    assert all(one != other for one, other in pairwise(history))


@given(st.lists(_EVENTS, max_size=12))
def test_an_end_is_up_only_when_its_address_stands_on_a_working_interface(events: list[KernelEvent]) -> None:
    core = LinkEnds((BY_ADDRESS,))
    told(core, *dump())
    last = LinkState.NO_ADDRESS
    interfaces: dict[int, InterfaceSeen] = {}
    addresses: set[int] = set()
    for event in events:
        if isinstance(event, DumpBegins | DumpEnds):
            continue
        if isinstance(event, InterfaceSeen):
            interfaces[event.index] = event
        elif isinstance(event, InterfaceGone):
            interfaces.pop(event.index, None)
            addresses.discard(event.index)
        elif isinstance(event, AddressSeen | AddressGone) and event.address == ADDRESS:
            (addresses.add if isinstance(event, AddressSeen) else addresses.discard)(event.index)
        changes = told(core, event)
        last = changes[-1][0] if changes else last
        holders = sorted(index for index in addresses if index in interfaces)
        works = bool(holders) and interfaces[holders[0]].is_up and interfaces[holders[0]].has_carrier
        assert (last is LinkState.UP) is works
