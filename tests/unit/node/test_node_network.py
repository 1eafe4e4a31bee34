"""The network's way through a node: services' addresses, kept addresses as the kernel wants them, culprits, links."""

import asyncio
import ipaddress
import os
import struct
from pathlib import Path

import pytest

from komainu.cib.document import parse_cib
from komainu.cib.initial import empty_cib
from komainu.cib.state import ClusterState
from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName, ResourceId, WallTime
from komainu.model.link import LinkEnd, LinkState
from komainu.model.plan import Plan
from komainu.model.request import AskLinks, Done, Links, RefusedReply, ReleaseLink, Reply, Request
from komainu.network.interface import (
    AddAddress,
    AddressGone,
    AddressSeen,
    CulpritFacts,
    DeviceState,
    DumpBegins,
    DumpEnds,
    FindCulprit,
    FramesOpened,
    InterfaceSeen,
    NetworkEvent,
)
from komainu.node import culprits
from komainu.node.addresses import request_of
from komainu.node.culprits import CulpritSearch
from komainu.node.drive import Drive
from komainu.node.interface import Answer, AppendRecord, ClientAsked, ClientId, DriveEffect
from komainu.node.service_addresses import service_addresses
from komainu.ring.settings import NodeSettings, RingSettings

WALL = WallTime(1_700_000_000_000)
LINK = LinkNumber(0)

CIB = """
<cib><configuration><crm_config/><nodes/><resources>
  <primitive id="db" class="ocf" provider="heartbeat" type="pgsql">
    <instance_attributes id="d"><nvpair id="d1" name="ip" value="10.9.9.9"/></instance_attributes></primitive>
  <group id="g">
    <primitive id="vip" class="ocf" provider="heartbeat" type="IPaddr2">
      <instance_attributes id="v"><nvpair id="v1" name="ip" value="10.0.0.9"/>
        <nvpair id="v2" name="nic" value="eth0"/></instance_attributes></primitive>
    <primitive id="six" class="ocf" provider="heartbeat" type="IPv6addr">
      <instance_attributes id="s"><nvpair id="s1" name="ipv6addr" value="FD00::9"/></instance_attributes>
    </primitive>
  </group>
  <primitive id="own" class="ocf" provider="komainu" type="vip">
    <instance_attributes id="o"><nvpair id="o1" name="ip" value="10.0.0.8"/></instance_attributes></primitive>
  <primitive id="bare" class="ocf" provider="komainu" type="vip"/>
</resources><constraints/></configuration><status/></cib>
"""


def test_which_addresses_resources_stand_for() -> None:
    assert service_addresses(parse_cib(CIB)) == (
        ("10.0.0.9", ResourceId("vip")),
        ("FD00::9", ResourceId("six")),
        ("10.0.0.8", ResourceId("own")),
    )


def no_plan(state: ClusterState, wall: WallTime) -> Plan:
    return Plan((), (), (), (), ())


def drive(end: LinkEnd) -> Drive:
    """Make the drive of a cluster of one, whose one link is up."""
    members = (NodeSettings(NodeId(1), NodeName("a"), (end,)),)
    made = Drive(
        RingSettings("test", NodeId(1), members),
        state=ClusterState(empty_cib("test", ((one.node, one.name) for one in members))),
        incarnation=Incarnation(5),
        history=(),
        make_plan=no_plan,
        now=Instant(0),
        wall=WALL,
    )
    made.start()
    seen = (InterfaceSeen(3, "eth1", is_up=True, has_carrier=True), AddressSeen(3, end.address, 24))
    give(made, DumpBegins(), *seen, DumpEnds(), FramesOpened(LINK, 3))
    return made


def give(made: Drive, *events: NetworkEvent) -> list[DriveEffect]:
    return [effect for event in events for effect in made.handle(event, Instant(1), WALL)]


def ask(made: Drive, request: Request) -> Reply:
    effects = made.handle(ClientAsked(ClientId(1), request, "root"), Instant(1), WALL)
    return next(effect.reply for effect in effects if isinstance(effect, Answer))


def test_a_deleted_address_leads_to_a_search_and_a_record() -> None:
    made = drive(LinkEnd(LINK, "10.0.0.1", "eth1", keep_talking=True, keep_address=True))
    effects = give(made, AddressGone(3, "10.0.0.1", 46))
    assert AddAddress(LINK, 3, "10.0.0.1", 24) in effects
    assert FindCulprit(LINK, 1, 3, "eth1", 46) in effects
    records = [effect.record for effect in effects if isinstance(effect, AppendRecord)]
    assert "network.address-kept" in [record.cause.code for record in records]
    assert all("link0" in record.subjects for record in records)
    reply = ask(made, AskLinks())
    assert isinstance(reply, Links)
    assert (reply.ends[0].state, reply.ends[0].kept) == (LinkState.BY_FRAMES, 1)


def test_a_link_is_released_and_guarded_again() -> None:
    made = drive(LinkEnd(LINK, "10.0.0.1", "eth1", keep_talking=True))
    assert isinstance(ask(made, ReleaseLink(0, is_released=True)), Done)
    reply = ask(made, AskLinks())
    assert isinstance(reply, Links)
    assert reply.ends[0].is_released
    assert isinstance(ask(made, ReleaseLink(0, is_released=False)), Done)
    assert isinstance(ask(made, ReleaseLink(7, is_released=True)), RefusedReply)


def test_a_request_to_add_an_address() -> None:
    made = request_of(AddAddress(LINK, 7, "192.168.33.101", 24))
    length, kind, _, _, _ = struct.unpack_from("=LHHLL", made)
    assert (length, kind) == (len(made), 20)
    assert struct.unpack_from("=BBBBI", made, 16) == (2, 24, 0, 0, 7)
    for kind, address in ((2, "192.168.33.101"), (1, "192.168.33.101"), (4, "192.168.33.255")):
        attribute = struct.pack("=HH", 8, kind) + ipaddress.ip_address(address).packed
        assert attribute in made
    six = request_of(AddAddress(LINK, 7, "fd00::1", 64))
    assert struct.unpack_from("=BBBBI", six, 16) == (10, 64, 0, 0, 7)
    assert len(six) % 4 == 0


def found_by_search(requester: int) -> CulpritFacts:
    """Ask the real search who a requester is."""
    (facts,) = answers_to(FindCulprit(LINK, 1, 3, "eth1", requester))
    return facts


def answers_to(*questions: FindCulprit) -> list[CulpritFacts]:
    """Ask the real search; return as many answers as there were questions."""

    async def search() -> list[CulpritFacts]:
        answers: asyncio.Queue[CulpritFacts] = asyncio.Queue()
        searching = CulpritSearch(answers.put_nowait)
        for question in questions:
            searching.begin(question)
        async with asyncio.timeout(5):
            return [await answers.get() for _ in questions]

    return asyncio.run(search())


def test_a_program_that_runs_is_found_by_its_netlink_port() -> None:
    facts = found_by_search(os.getpid())
    assert facts.process is not None
    assert facts.process.name == Path("/proc/self/comm").read_text().strip()
    assert facts.process.parent


def test_nobody_is_found_where_nobody_is_named() -> None:
    assert found_by_search(0).process is None
    assert found_by_search(4_294_900_000).process is None


def test_more_searches_than_there_may_be_are_answered_at_once() -> None:
    answers = answers_to(*(FindCulprit(LINK, number, 3, "eth1", 0) for number in range(20)))
    assert sorted(facts.number for facts in answers) == list(range(20))


def nmcli(folder: Path, script: str) -> str:
    """Write a program that answers as nmcli does, or does not."""
    path = folder / "nmcli"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_networkmanager_is_asked_for_state_and_reason(tmp_path: Path) -> None:
    says = 'test "$6" = "eth 1" && printf "GENERAL.STATE:20 (unavailable)\\nGENERAL.REASON:40 (Carrier/link (x) changed)\\n"'
    told = culprits.ask_networkmanager("eth 1", nmcli(tmp_path, says))
    assert told == DeviceState(20, "unavailable", 40, "Carrier/link (x) changed")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exec sleep 9", "nmcli did not answer within 0.01 s"),
        (
            "echo 'Error: NetworkManager is not running.' >&2; exit 8",
            "nmcli: Error: NetworkManager is not running.",
        ),
        ("printf '\\377GENERAL.STATE:\\n'", "nmcli: it gave no state"),
    ],
)
def test_a_networkmanager_that_says_nothing_is_a_problem_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, problem: str
) -> None:
    if "did not answer" in problem:
        monkeypatch.setattr(culprits, "ANSWER_TIMEOUT_S", 0.01)
    assert culprits.ask_networkmanager("eth1", nmcli(tmp_path, script)) == DeviceState(problem=problem)


def test_nmcli_is_not_there_or_would_misunderstand(tmp_path: Path) -> None:
    assert (
        culprits.ask_networkmanager("eth1", str(tmp_path / "no")).problem
        == "nmcli: No such file or directory"
    )
    assert culprits.ask_networkmanager("-h").problem == "nmcli takes the name -h for an option"
