"""network/guard.py with the cores behind it: raw frames, blame, kept addresses, released links, services."""

from dataclasses import replace

import pytest

from komainu.model.ids import Instant, LinkNumber, ResourceId
from komainu.model.link import LinkEnd, LinkState
from komainu.model.report import Level
from komainu.network.address_guard import PER_MINUTE_MAX
from komainu.network.guard import NetworkGuard
from komainu.network.interface import (
    AddAddress,
    AddRefused,
    AddressGone,
    AddressSeen,
    CulpritFacts,
    DeadlinePassed,
    DeviceState,
    DumpBegins,
    DumpEnds,
    EndChanged,
    FindCulprit,
    FramesOpened,
    FramesRefused,
    GuardEvent,
    InterfaceGone,
    InterfaceSeen,
    LinkReleased,
    NetworkEffect,
    Process,
    Remark,
    RemoveAddress,
    RouteGone,
    RouteSeen,
    ServiceAddresses,
    ServiceAddressGone,
    UseInterface,
)

LINK = LinkNumber(0)
ADDRESS, NETWORK = "192.168.33.101", "192.168.33.0/24"
TALKING = LinkEnd(LINK, ADDRESS, "eth1", keep_talking=True)
KEPT = LinkEnd(LINK, ADDRESS, "eth1", keep_address=True)
VIP = "10.77.0.100"


def eth1(*, is_up: bool = True, has_carrier: bool = True, index: int = 3) -> InterfaceSeen:
    return InterfaceSeen(index, "eth1", is_up, has_carrier)


def give(core: NetworkGuard, *events: GuardEvent, at: int = 0) -> list[NetworkEffect]:
    return [effect for event in events for effect in core.handle(event, Instant(at))]


def ends(effects: list[NetworkEffect]) -> list[tuple[LinkState, str]]:
    return [(effect.state, effect.reason) for effect in effects if isinstance(effect, EndChanged)]


def of_kind(effects: list[NetworkEffect], *kinds: type) -> list[NetworkEffect]:
    return [effect for effect in effects if isinstance(effect, kinds)]


def standing(end: LinkEnd) -> NetworkGuard:
    """Make a guard whose end is up, with raw frames where they are wanted."""
    core = NetworkGuard((end,))
    told = give(core, DumpBegins(), eth1(), AddressSeen(3, ADDRESS, 24), RouteSeen(3, NETWORK), DumpEnds())
    assert ends(told) == [(LinkState.UP, "eth1: up")]
    if end.keep_talking:
        assert UseInterface(LINK, 3, "eth1", by_frames=False, wants_frames=True) in told
        assert give(core, FramesOpened(LINK, 3)) == []
    return core


# -- raw frames -----------------------------------------------------------------------------------------


def test_a_link_goes_on_by_raw_frames_while_its_address_is_gone() -> None:
    core = standing(TALKING)
    told = give(core, AddressGone(3, ADDRESS, 46))
    assert ends(told) == [
        (LinkState.BY_FRAMES, "eth1: address 192.168.33.101/24 deleted; going on by raw frames")
    ]
    assert UseInterface(LINK, 3, "eth1", by_frames=True, wants_frames=True) in told
    told = give(core, AddressSeen(3, ADDRESS, 24))
    assert ends(told) == [(LinkState.UP, "eth1: up")]
    assert UseInterface(LINK, 3, "eth1", by_frames=False, wants_frames=True) in told


def test_raw_frames_do_not_pass_a_cable_that_is_out() -> None:
    core = standing(TALKING)
    give(core, eth1(has_carrier=False), at=1000)
    told = give(core, AddressGone(3, ADDRESS), at=7000)
    assert ends(told) == [
        (LinkState.NO_CARRIER, "eth1: carrier lost; address 192.168.33.101/24 deleted 6.0 s later")
    ]
    told = give(core, eth1(), at=8000)
    assert ends(told)[0][0] is LinkState.BY_FRAMES


def test_without_the_right_to_send_frames_the_link_is_down_and_says_why() -> None:
    core = standing(TALKING)
    told = give(core, FramesRefused(LINK, 3, "Operation not permitted"))
    assert [one.code for one in told if isinstance(one, Remark)] == ["network.no-frames"]
    assert ends(give(core, AddressGone(3, ADDRESS)))[0][0] is LinkState.NO_ADDRESS


def test_frames_of_an_interface_that_was_made_anew_have_to_be_opened_anew() -> None:
    core = standing(TALKING)
    told = give(core, InterfaceGone(3, "eth1"))
    assert UseInterface(LINK, None, "eth1", by_frames=False, wants_frames=False) in told
    told = give(core, eth1(index=9))
    assert ends(told)[0][0] is LinkState.NO_ADDRESS
    assert UseInterface(LINK, 9, "eth1", by_frames=False, wants_frames=True) in told
    assert give(core, FramesOpened(LINK, 3)) == []  # of the old one, late
    assert ends(give(core, FramesOpened(LINK, 9)))[0][0] is LinkState.BY_FRAMES


def test_a_link_that_was_released_sends_no_frames() -> None:
    core = standing(TALKING)
    told = give(core, LinkReleased(LINK, is_released=True, by="root"))
    assert UseInterface(LINK, 3, "eth1", by_frames=False, wants_frames=False) in told
    assert ends(give(core, AddressGone(3, ADDRESS))) == [
        (
            LinkState.NO_ADDRESS,
            "eth1: address 192.168.33.101/24 deleted; left alone, as an operator wished",
        )
    ]
    told = give(core, LinkReleased(LINK, is_released=False, by="root"), FramesOpened(LINK, 3))
    assert ends(told)[0][0] is LinkState.BY_FRAMES


# -- routes ---------------------------------------------------------------------------------------------


def test_the_route_of_the_subnet_is_deleted() -> None:
    core = standing(LinkEnd(LINK, ADDRESS, "eth1"))
    told = give(core, RouteGone(3, NETWORK))
    assert ends(told) == [(LinkState.NO_ROUTE, "eth1: the route to 192.168.33.0/24 was deleted")]
    assert ends(give(core, RouteSeen(3, NETWORK))) == [(LinkState.UP, "eth1: up")]


def test_a_second_route_with_another_metric_is_enough() -> None:
    core = standing(LinkEnd(LINK, ADDRESS, "eth1"))
    assert give(core, RouteSeen(3, NETWORK, 100), RouteGone(3, NETWORK, 0)) == []


def test_a_route_that_never_was_is_not_missed() -> None:
    core = NetworkGuard((LinkEnd(LINK, ADDRESS, "eth1"),))
    told = give(core, DumpBegins(), eth1(), AddressSeen(3, ADDRESS, 24), DumpEnds())
    assert ends(told) == [(LinkState.UP, "eth1: up")]


def test_an_interface_that_was_set_down_and_up_waits_for_its_routes() -> None:
    """`ip link set down` drops the routes without a word, and they are told again after it is up."""
    core = standing(LinkEnd(LINK, ADDRESS, "eth1"))
    assert ends(give(core, eth1(is_up=False, has_carrier=False))) == [
        (LinkState.ADMIN_DOWN, "eth1: set down")
    ]
    assert ends(give(core, eth1())) == [(LinkState.UP, "eth1: up")]
    assert give(core, RouteSeen(3, NETWORK)) == []


# -- who it was -----------------------------------------------------------------------------------------


def test_who_deleted_the_address_is_told_once_it_is_known() -> None:
    core = standing(LinkEnd(LINK, ADDRESS, "eth1"))
    give(core, eth1(has_carrier=False), at=1000)
    told = give(core, AddressGone(3, ADDRESS, 815), at=7000)
    (question,) = of_kind(told, FindCulprit)
    assert question == FindCulprit(LINK, 1, 3, "eth1", 815)
    facts = CulpritFacts(LINK, 1, 815, Process(815, "NetworkManager", "systemd"), ("NetworkManager",))
    told = give(core, facts, at=7050)
    assert ends(told) == [
        (
            LinkState.NO_CARRIER,
            (
                "eth1: carrier lost; address 192.168.33.101/24 deleted by NetworkManager 6.0 s later "
                "(ignore-carrier is not set for eth1)"
            ),
        )
    ]
    assert [one.code for one in told if isinstance(one, Remark)] == ["network.address-deleted"]


def test_an_answer_that_comes_too_late_is_dropped() -> None:
    core = standing(LinkEnd(LINK, ADDRESS, "eth1"))
    give(core, AddressGone(3, ADDRESS, 46), AddressSeen(3, ADDRESS, 24))
    give(core, AddressGone(3, ADDRESS, 47))
    assert give(core, CulpritFacts(LINK, 1, 46, Process(46, "ip"))) == []


def test_who_deleted_an_address_that_is_back_already_is_told() -> None:
    """It is put back within milliseconds, and who fights against it has to be known."""
    core = standing(KEPT)
    give(core, AddressGone(3, ADDRESS, 46), AddressSeen(3, ADDRESS, 24))
    text = "eth1: address 192.168.33.101 was deleted by ip (process 46)"
    facts = CulpritFacts(LINK, 1, 46, Process(46, "ip"))
    assert give(core, facts) == [Remark(LINK, Level.NOTICE, "network.address-deleted", text)]
    late = DeviceState(100, "connected (externally)", 0, "No reason given")
    assert give(core, replace(facts, told=late)) == [], "that is about the address that was put back"


@pytest.mark.parametrize(
    ("state", "because", "remark"),
    [
        (
            DeviceState(30, "disconnected", 39, "Device disconnected by user or client"),
            "its connection was taken down by a user or a program",
            "eth1: NetworkManager says: state 30 (disconnected), reason 39 (Device disconnected by user or client)",
        ),
        (
            DeviceState(problem="nmcli did not answer within 0.5 s"),
            "while there was carrier: its connection was taken down or changed",
            "eth1: why NetworkManager deleted the address is unknown: nmcli did not answer within 0.5 s",
        ),
    ],
)
def test_why_networkmanager_deleted_it_is_told_when_it_says_so(
    state: DeviceState, because: str, remark: str
) -> None:
    core = standing(LinkEnd(LINK, ADDRESS, "eth1", keep_talking=False))
    give(core, AddressGone(3, ADDRESS, 815))
    facts = CulpritFacts(LINK, 1, 815, Process(815, "NetworkManager"), ("NetworkManager",))
    give(core, facts)
    told = give(core, replace(facts, told=state))
    reason = f"eth1: address 192.168.33.101/24 deleted by NetworkManager ({because})"
    assert ends(told) == ([] if state.problem else [(LinkState.NO_ADDRESS, reason)])
    assert [one.text for one in told if isinstance(one, Remark)] == [remark]


# -- kept addresses -------------------------------------------------------------------------------------


def test_a_deleted_address_is_put_back_at_once() -> None:
    core = standing(KEPT)
    told = give(core, AddressGone(3, ADDRESS))
    assert of_kind(told, AddAddress) == [AddAddress(LINK, 3, ADDRESS, 24)]
    assert told[0] == AddAddress(LINK, 3, ADDRESS, 24), "the search for the culprit does not keep it waiting"
    assert core.deadline == Instant(1000)
    told = give(core, AddressSeen(3, ADDRESS, 24), at=1)
    assert ends(told) == [(LinkState.UP, "eth1: up")]
    assert core.deadline is None


def test_nothing_is_put_back_unless_the_settings_ask_for_it() -> None:
    assert not of_kind(give(standing(TALKING), AddressGone(3, ADDRESS)), AddAddress)


def test_the_guard_gives_up_after_ten_times_a_minute() -> None:
    core = standing(KEPT)
    added = 0
    for number in range(PER_MINUTE_MAX + 5):
        told = give(core, AddressGone(3, ADDRESS), at=number * 100)
        added += len(of_kind(told, AddAddress))
        if of_kind(told, AddAddress):
            give(core, AddressSeen(3, ADDRESS, 24), at=number * 100 + 1)
    assert added == PER_MINUTE_MAX
    assert core.ends[0][1].has_given_up
    assert not of_kind(give(core, DeadlinePassed(), at=120_000), AddAddress)
    told = give(core, LinkReleased(LINK, is_released=False, by="root"), at=120_001)
    assert of_kind(told, AddAddress) == [AddAddress(LINK, 3, ADDRESS, 24)]


def test_ten_times_in_an_hour_are_no_fight() -> None:
    core = standing(KEPT)
    for number in range(3 * PER_MINUTE_MAX):
        told = give(core, AddressGone(3, ADDRESS), at=number * 7_000)
        assert of_kind(told, AddAddress)
        give(core, AddressSeen(3, ADDRESS, 24), at=number * 7_000 + 1)


def test_a_refusal_is_told_and_tried_again() -> None:
    core = standing(KEPT)
    give(core, AddressGone(3, ADDRESS))
    told = give(core, AddRefused(LINK, "Operation not permitted"), at=1)
    assert [one.code for one in told if isinstance(one, Remark)] == ["network.keep-failed"]
    assert not of_kind(give(core, DeadlinePassed(), at=500), AddAddress)
    assert of_kind(give(core, DeadlinePassed(), at=1001), AddAddress)


def test_nothing_is_put_back_on_an_interface_with_the_default_route() -> None:
    core = standing(KEPT)
    give(core, RouteSeen(3, "0.0.0.0/0"))
    told = give(core, AddressGone(3, ADDRESS))
    assert not of_kind(told, AddAddress)
    assert "network.keep-declined" in [one.code for one in told if isinstance(one, Remark)]


def test_nothing_is_put_back_while_a_link_is_released() -> None:
    core = standing(KEPT)
    give(core, LinkReleased(LINK, is_released=True, by="root"))
    assert not of_kind(give(core, AddressGone(3, ADDRESS)), AddAddress)


def test_ifdown_gets_its_way() -> None:
    """`ifdown` deletes the address, then sets the interface down: what was put back in between is taken away."""
    core = standing(KEPT)
    give(core, AddressGone(3, ADDRESS))
    give(core, AddressSeen(3, ADDRESS, 24))
    told = give(core, eth1(is_up=False, has_carrier=False))
    assert of_kind(told, RemoveAddress) == [RemoveAddress(LINK, 3, ADDRESS, 24)]
    assert not of_kind(give(core, AddressGone(3, ADDRESS)), AddAddress)
    assert not of_kind(give(core, InterfaceGone(3, "eth1")), AddAddress)


def test_ifdown_gets_its_way_when_it_is_quicker_than_the_kernels_answer() -> None:
    core = standing(KEPT)
    give(core, AddressGone(3, ADDRESS))
    assert not of_kind(give(core, eth1(is_up=False, has_carrier=False)), RemoveAddress)
    told = give(core, AddressSeen(3, ADDRESS, 24))
    assert of_kind(told, RemoveAddress) == [RemoveAddress(LINK, 3, ADDRESS, 24)]
    give(core, AddressGone(3, ADDRESS))
    assert not of_kind(give(core, AddressSeen(3, ADDRESS, 24)), RemoveAddress)  # the operator's own


def test_an_address_that_was_never_seen_is_put_there_only_with_a_prefix() -> None:
    for prefix in (None, 24):
        core = NetworkGuard((LinkEnd(LINK, ADDRESS, "eth1", prefix=prefix, keep_address=True),))
        told = give(core, DumpBegins(), eth1(), DumpEnds())
        wanted = [] if prefix is None else [AddAddress(LINK, 3, ADDRESS, 24)]
        assert of_kind(told, AddAddress) == wanted


# -- addresses of services ------------------------------------------------------------------------------


def test_the_address_of_a_service_is_missed_at_once() -> None:
    core = standing(TALKING)
    assert give(core, ServiceAddresses(((VIP, ResourceId("vip")),))) == []
    assert give(core, AddressSeen(4, VIP, 24)) == []
    assert give(core, AddressGone(4, VIP)) == [ServiceAddressGone(ResourceId("vip"), VIP)]
    give(core, ServiceAddresses(()))
    assert give(core, AddressGone(4, VIP)) == []


def test_the_address_of_a_service_that_went_while_messages_were_lost() -> None:
    core = standing(TALKING)
    give(core, ServiceAddresses(((VIP, ResourceId("vip")),)), AddressSeen(3, VIP, 24))
    dump = (DumpBegins(), eth1(), AddressSeen(3, ADDRESS, 24), RouteSeen(3, NETWORK), DumpEnds())
    assert give(core, *dump) == [ServiceAddressGone(ResourceId("vip"), VIP)]
    assert give(core, *dump) == []
