"""The small cores of the network room: blame, remarks, ways, and the mirror's limits."""

import pytest

from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.model.link import LinkEnd
from komainu.network.culprit import Blame, Circumstances, accuse, may_say_why
from komainu.network.interface import (
    AddressSeen,
    CulpritFacts,
    DeviceState,
    DumpBegins,
    DumpEnds,
    InterfaceSeen,
    Process,
    Remark,
    RouteSeen,
)
from komainu.network.link_ends import LinkEnds
from komainu.network.mirror import Mirror, network_of
from komainu.network.remarks import remarks_on
from komainu.network.ways import Ways

PEER = NodeId(2)
LINK = LinkNumber(0)
NM = "NetworkManager"


def facts(requester: int, process: Process | None = None, *managers: str) -> CulpritFacts:
    return CulpritFacts(LINK, 1, requester, process, managers)


@pytest.mark.parametrize(
    ("found", "after_carrier_ms", "blame"),
    [
        (
            facts(815, Process(815, NM), NM),
            6000,
            Blame(f"by {NM}", "ignore-carrier is not set for eth1"),
        ),
        (
            facts(815, Process(815, NM), NM),
            None,
            Blame(f"by {NM}", "while there was carrier: its connection was taken down or changed"),
        ),
        (
            facts(3, Process(3, "systemd-network")),
            10,
            Blame(
                "by systemd-networkd",
                "neither ConfigureWithoutCarrier nor IgnoreCarrierLoss is set for eth1",
            ),
        ),
        (facts(46, Process(46, "ip", "bash"), NM), None, Blame("by ip (process 46, run by bash)")),
        (facts(46, None, NM), None, Blame("by a program that has ended since (process 46)")),
        (facts(46), None, Blame("by a program that has ended since (process 46)")),
        (
            facts(0, None, NM),
            6000,
            Blame(f"probably by {NM}", "it looks after eth1; ignore-carrier is not set for eth1"),
        ),
        (facts(0, None, NM, "dhclient"), 6000, Blame("by an unknown program")),
        (facts(4_294_900_000, None), None, Blame("by an unknown program")),
        (facts(0), None, Blame("by an unknown program")),
    ],
)
def test_who_is_blamed(found: CulpritFacts, after_carrier_ms: int | None, blame: Blame) -> None:
    assert accuse(found, Circumstances("eth1", after_carrier_ms)) == blame


@pytest.mark.parametrize(
    ("requester", "by"), [(0, "by the kernel"), (46, "by a program that has ended since (process 46)")]
)
def test_the_kernel_itself_takes_addresses_off_what_is_set_down(requester: int, by: str) -> None:
    """Of IPv6; that no program asked is then no riddle."""
    seen = Circumstances("eth1", None, is_down=True)
    assert accuse(facts(requester, None, NM), seen).by == by


@pytest.mark.parametrize(
    ("told", "because"),
    [
        (DeviceState(20, "unavailable", 40, "Carrier/link changed"), "ignore-carrier is not set for eth1"),
        (DeviceState(30, "disconnected", 38, "x"), "its connection profile was deleted"),
        (DeviceState(10, "unmanaged", 3, "x"), "it was told not to manage eth1 any more"),
        (
            DeviceState(100, "connected", 0, "No reason given"),
            "its connection was changed, or brought up anew",
        ),
        (DeviceState(110, "deactivating", 39, "x"), "its connection was taken down by a user or a program"),
        (
            DeviceState(120, "connection failed", 5, "IP configuration could not be reserved"),
            "it says: connection failed, IP configuration could not be reserved",
        ),
        (DeviceState(problem="nmcli: No such file or directory"), "ignore-carrier is not set for eth1"),
    ],
)
def test_what_networkmanager_says_beats_what_its_settings_suggest(told: DeviceState, because: str) -> None:
    """With the cable out, a connection that is taken down by hand is nothing that ignore-carrier prevents."""
    found = CulpritFacts(LINK, 1, 815, Process(815, NM), (NM,), told)
    assert accuse(found, Circumstances("eth1", 6000)) == Blame(f"by {NM}", because)


@pytest.mark.parametrize(
    ("found", "is_asked"),
    [
        (facts(815, Process(815, NM)), True),
        (facts(0, None, NM), True),
        (facts(0, None, NM, "dhclient"), False),
        (facts(46, Process(46, "ip"), NM), False),
        (facts(46, None, NM), False),
    ],
)
def test_networkmanager_is_asked_only_where_it_may_have_done_it(found: CulpritFacts, is_asked: bool) -> None:
    assert may_say_why(found) is is_asked


def eth1(
    *, name: str = "eth1", has_carrier: bool = True, mtu: int = 1500, losses: int = 4, operstate: str = "up"
) -> InterfaceSeen:
    return InterfaceSeen(3, name, True, has_carrier, mtu, losses, operstate)


@pytest.mark.parametrize(
    ("seen", "texts"),
    [
        (eth1(), []),
        (eth1(name="lan0"), ["eth1 was renamed to lan0"]),
        (eth1(mtu=9000), ["eth1: MTU changed from 1500 to 9000"]),
        (eth1(mtu=1280), ["eth1: MTU changed from 1500 to 1280: large datagrams are cut in pieces"]),
        (eth1(has_carrier=False, losses=5), []),
        (eth1(losses=5), ["eth1: the carrier was lost and came back once without a word from the driver"]),
        (
            eth1(has_carrier=False, losses=7),
            ["eth1: the carrier was lost and came back 2 times without a word from the driver"],
        ),
        (
            eth1(operstate="dormant"),
            [
                (
                    "eth1: its operational state is dormant: it waits for something, such as an authentication "
                    "at the switch"
                )
            ],
        ),
    ],
)
def test_what_is_worth_a_word(seen: InterfaceSeen, texts: list[str]) -> None:
    assert [text for _, _, text in remarks_on(eth1(), seen)] == texts


def test_a_remark_is_made_once_and_only_of_a_links_own_interface() -> None:
    core = LinkEnds((LinkEnd(LINK, "10.0.0.1", "eth1"),))
    start = (DumpBegins(), eth1(), InterfaceSeen(4, "eth2", True, True, 1500), DumpEnds())
    for event in start:
        core.handle(event, Instant(0))
    told = core.handle(eth1(mtu=1280), Instant(1)) + core.handle(eth1(mtu=1280), Instant(2))
    assert [effect.code for effect in told if isinstance(effect, Remark)] == ["network.mtu"]
    assert core.handle(InterfaceSeen(4, "eth2", True, True, 1280), Instant(3)) == []


def test_frames_are_answered_by_frames_until_a_datagram_comes() -> None:
    ways = Ways()
    assert not ways.is_by_frame(LINK, PEER)
    ways.heard_frame(LINK, PEER, asks=True)
    assert ways.is_by_frame(LINK, PEER)
    assert not ways.must_ask(LINK)
    ways.heard_datagram(LINK, PEER)
    assert not ways.is_by_frame(LINK, PEER)


def test_an_answer_by_frame_does_not_make_two_nodes_stay_with_frames_for_ever() -> None:
    """Both ends have their address again, and the last frames are still under way."""
    ways = Ways()
    ways.use_frames(LINK, wanted=True)
    assert ways.must_ask(LINK)
    assert ways.is_by_frame(LINK, PEER)
    ways.use_frames(LINK, wanted=False)
    ways.heard_frame(LINK, PEER, asks=False)
    assert not ways.is_by_frame(LINK, PEER)


def test_two_nodes_that_both_lost_their_address_come_back_to_datagrams() -> None:
    one, other, me = Ways(), Ways(), NodeId(1)
    for ways in (one, other):
        ways.use_frames(LINK, wanted=True)

    def exchange() -> tuple[bool, bool]:
        """Send one packet each way, as each way says; return whether each went by frame."""
        went = []
        for sender, receiver, whom, who in ((one, other, PEER, me), (other, one, me, PEER)):
            by_frame = sender.is_by_frame(LINK, whom)
            went.append(by_frame)
            if by_frame:
                receiver.heard_frame(LINK, who, asks=sender.must_ask(LINK))
            else:
                receiver.heard_datagram(LINK, who)
        return went[0], went[1]

    assert exchange() == (True, True)
    one.use_frames(LINK, wanted=False)
    assert exchange() == (True, True)
    other.use_frames(LINK, wanted=False)
    exchange()
    assert exchange() == (False, False)


def test_the_mirror_keeps_only_what_matters_here() -> None:
    mirror = Mirror(frozenset({"10.0.0.1"}))
    for number in range(10_000):
        mirror.take(AddressSeen(3, f"172.16.{number // 250}.{number % 250}", 24))
        mirror.take(RouteSeen(3, f"172.{number % 200 + 20}.0.0/16"))
    mirror.take(AddressSeen(3, "10.0.0.1", 24))
    mirror.take(RouteSeen(3, "10.0.0.0/24"))
    assert mirror.now.holders == {"10.0.0.1": {3: 24}}
    assert list(mirror.now.routes) == [(3, "10.0.0.0/24")]


def test_a_name_that_wanders_from_one_interface_to_another() -> None:
    mirror = Mirror(frozenset())
    mirror.take(InterfaceSeen(3, "eth1", True, True))
    mirror.take(InterfaceSeen(3, "old", True, True))
    mirror.take(InterfaceSeen(4, "eth1", True, True))
    found = mirror.now.named("eth1")
    assert found is not None
    assert found.index == 4
    mirror.take(InterfaceSeen(3, "older", True, True))
    assert mirror.now.named("old") is None
    assert mirror.now.named("eth1") is found


def test_networks() -> None:
    assert network_of("10.1.2.3", 16) == "10.1.0.0/16"
    assert network_of("fd00::5", 64) == "fd00::/64"
    assert network_of("10.1.2.3", 32) is None
    assert network_of("10.1.2.3", 0) is None
