"""The ring's sockets and the netlink listener against a real kernel, in a network namespace of their own.

Each test runs one function of this file in a new process inside `unshare`, where it may do what it likes.
"""

import asyncio
import shutil
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from komainu.model.ids import Incarnation, LinkNumber, NodeId
from komainu.model.link import LinkEnd
from komainu.model.report import Refused
from komainu.model.view import Position
from komainu.network.interface import (
    AddressGone,
    AddressSeen,
    DumpBegins,
    DumpEnds,
    InterfaceGone,
    InterfaceSeen,
    KernelEvent,
)
from komainu.node.netlink import NetlinkListener
from komainu.node.udp import UdpLinks
from komainu.ring.interface import PacketReceived, PeerRefused, SendPacket
from komainu.ring.packet import Beat, Heartbeat, Vote
from komainu.ring.wire import Drop

SAID = Beat(None, (), (), 0, None, 0, 0, Position(), (), Vote.UNKNOWN)
BEAT = Heartbeat(Incarnation(1), 1, 0, None, 0, SAID)
PORT = 5415
WAIT_S = 30.0


def can_unshare() -> bool:
    command = shutil.which("unshare")
    return command is not None and inside_namespace("true").returncode == 0


def inside_namespace(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.live
@pytest.mark.parametrize(
    "scenario",
    [
        "packets_pass",
        "a_closed_port_is_told",
        "a_lost_address_is_outlived",
        "a_port_in_use_is_refused",
        "a_flood_of_rubbish_is_outlived",
        "what_lies_behind_a_beat_is_read",
        "six_works_too",
        "a_small_mtu_is_no_obstacle",
        "the_kernel_is_heard",
        "lost_messages_are_asked_again",
    ],
)
def test_inside_a_namespace(scenario: str) -> None:
    if not can_unshare():
        pytest.skip("this kernel gives no network namespace (unshare --user --net)")
    ran = inside_namespace(sys.executable, "-W", "error", __file__, scenario)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# -- what runs inside -----------------------------------------------------------------------------------


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


@dataclass(frozen=True)
class Opened:
    peer: NodeId
    packet: Any


class PlainSeal:
    """A wire without secrets: `ID text`."""

    def __init__(self, me: int) -> None:
        self.me = me

    def seal(self, link: LinkNumber, peer: NodeId, packet: Any, *, is_narrow: bool = False) -> list[bytes]:
        return [f"{self.me} {packet}".encode()]

    def open(self, link: LinkNumber, datagram: bytes) -> Opened | None:
        peer, blank, text = datagram.partition(b" ")
        packet = BEAT if text == b"beat" else text.decode()
        return Opened(NodeId(int(peer)), packet) if blank and peer.isdigit() else None

    def last_drop(self) -> tuple[Drop, NodeId] | None:
        return None


class Ends:
    """Two nodes' sockets on one machine, and what they report."""

    def __init__(self, first: str, second: str) -> None:
        ends = {NodeId(1): (LinkEnd(LinkNumber(0), first),), NodeId(2): (LinkEnd(LinkNumber(0), second),)}
        self.heard: dict[int, asyncio.Queue[PacketReceived | PeerRefused]] = {
            1: asyncio.Queue(),
            2: asyncio.Queue(),
        }
        self.links = {
            me: UdpLinks(
                ends[NodeId(me)],
                {node: end for node, end in ends.items() if node != me},
                PORT,
                PlainSeal(me),
                self.heard[me].put_nowait,
            )
            for me in (1, 2)
        }

    def send(self, me: int, text: Any) -> None:
        self.links[me].send(SendPacket(LinkNumber(0), NodeId(3 - me), text))

    async def sent_until_heard(self, me: int, text: Any) -> PacketReceived | PeerRefused:
        """Send again and again: the kernel makes IPv6 routes some time after their address."""
        async with asyncio.timeout(WAIT_S):
            while self.heard[3 - me].empty():
                self.send(me, text)
                await asyncio.sleep(0.01)
        return await self.next(3 - me)

    async def next(self, me: int) -> PacketReceived | PeerRefused:
        async with asyncio.timeout(WAIT_S):
            return await self.heard[me].get()


async def packets_pass(first: str = "127.0.0.1", second: str = "127.0.0.2") -> None:
    ends = Ends(first, second)
    for links in ends.links.values():
        links.start()
    packet: Any = "hello"
    assert await ends.sent_until_heard(1, packet) == PacketReceived(LinkNumber(0), NodeId(1), packet)
    assert await ends.sent_until_heard(2, packet) == PacketReceived(LinkNumber(0), NodeId(2), packet)
    for links in ends.links.values():
        links.close()


async def six_works_too() -> None:
    ip("address add fd00::1/128 dev lo nodad")
    ip("address add fd00::2/128 dev lo nodad")
    await packets_pass("fd00::1", "fd00::2")


async def a_small_mtu_is_no_obstacle() -> None:
    ip("link set lo mtu 1280")
    ends = Ends("127.0.0.1", "127.0.0.2")
    for links in ends.links.values():
        links.start()
    packet: Any = "x" * 1390
    ends.send(1, packet)
    assert await ends.next(2) == PacketReceived(LinkNumber(0), NodeId(1), packet)
    assert not ends.links[1].counters


async def a_closed_port_is_told() -> None:
    ends = Ends("127.0.0.1", "127.0.0.2")
    ends.links[1].start()
    ends.send(1, "anybody there?")
    assert await ends.next(1) == PeerRefused(LinkNumber(0), NodeId(2))
    ends.links[2].start()
    ends.send(1, "and now?")
    packet: Any = "and now?"
    assert await ends.next(2) == PacketReceived(LinkNumber(0), NodeId(1), packet)


async def a_lost_address_is_outlived() -> None:
    """Start without the address, get it, lose it, lose the interface, and get all back: one socket for all."""
    ends = Ends("10.1.0.1", "10.1.0.2")
    for links in ends.links.values():
        links.start()
    ends.send(1, "into the void")
    assert ends.links[1].counters["link0.ENETUNREACH"]
    for _ in range(2):
        ip("link add veth-a type veth peer name veth-b")
        ip("link set veth-a up")
        ip("link set veth-b up")
        for _ in range(2):
            ip("address add 10.1.0.1/24 dev veth-a")
            ip("address add 10.1.0.2/24 dev veth-a")
            packet: Any = "hello"
            ends.send(1, packet)
            assert await ends.next(2) == PacketReceived(LinkNumber(0), NodeId(1), packet)
            ip("address flush dev veth-a")
            ends.send(1, "into the void")
        ip("link delete veth-a")
        ends.send(1, "into the void")


async def a_port_in_use_is_refused() -> None:
    ends, others = Ends("127.0.0.1", "127.0.0.2"), Ends("127.0.0.1", "127.0.0.2")
    ends.links[1].start()
    with pytest.raises(Refused, match=r"port 5415 at 127\.0\.0\.1 \(link 0\) is in use") as caught:
        others.links[1].start()
    assert "hint:" in str(caught.value)


async def a_flood_of_rubbish_is_outlived() -> None:
    ends = Ends("127.0.0.1", "127.0.0.2")
    for links in ends.links.values():
        links.start()
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(1000):
            stranger.sendto(bytes(number % 50), ("127.0.0.2", PORT))
    packet: Any = "hello"
    ends.send(1, packet)
    assert await ends.next(2) == PacketReceived(LinkNumber(0), NodeId(1), packet)


async def what_lies_behind_a_beat_is_read() -> None:
    """Beats and others, coupled by the kernel and one by one: all are heard, in their order."""
    ends = Ends("127.0.0.1", "127.0.0.2")
    for links in ends.links.values():
        links.start()
    import socket

    train = [b"1 beat", b"1 one!", b"1 beat", b"1 two!"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendmsg(train, [(17, 103, struct.pack("=H", 6))], 0, ("127.0.0.2", PORT))  # UDP_SEGMENT
        for datagram in train:
            sender.sendto(datagram, ("127.0.0.2", PORT))
    heard = [await ends.next(2) for _ in range(8)]
    assert [each.packet for each in heard if isinstance(each, PacketReceived)] == 2 * [
        BEAT,
        "one!",
        BEAT,
        "two!",
    ]


def exactly(event: KernelEvent) -> Callable[[KernelEvent], bool]:
    return lambda other: other == event


def plainly(seen: InterfaceSeen) -> Callable[[KernelEvent], bool]:
    """Recognise an interface by its name and flags; its MTU and its counters are the machine's."""
    wanted = (seen.index, seen.name, seen.is_up, seen.has_carrier)
    return lambda other: (
        isinstance(other, InterfaceSeen)
        and (other.index, other.name, other.is_up, other.has_carrier) == wanted
    )


async def events_until(
    queue: "asyncio.Queue[KernelEvent]", last: Callable[[KernelEvent], bool]
) -> list[KernelEvent]:
    found: list[KernelEvent] = []
    async with asyncio.timeout(WAIT_S):
        while not found or not last(found[-1]):
            found.append(await queue.get())
    return found


async def the_kernel_is_heard() -> None:
    queue: asyncio.Queue[KernelEvent] = asyncio.Queue()
    listener = NetlinkListener(queue.put_nowait)
    ip("link set lo up")
    listener.start()
    first = await events_until(queue, lambda event: isinstance(event, DumpEnds))
    assert isinstance(first[0], DumpBegins)
    assert any(map(plainly(InterfaceSeen(1, "lo", is_up=True, has_carrier=True)), first))
    assert AddressSeen(1, "127.0.0.1", 8) in first

    ip("link add veth-a index 77 type veth peer name veth-b")
    ip("link set veth-b up")
    ip("address add 10.1.0.1/24 dev veth-a")
    ip("link set veth-a up")
    await events_until(queue, plainly(InterfaceSeen(77, "veth-a", is_up=True, has_carrier=True)))
    ip("link set veth-b down")  # the cable is pulled
    await events_until(queue, plainly(InterfaceSeen(77, "veth-a", is_up=True, has_carrier=False)))
    ip("link set veth-b up")
    await events_until(queue, plainly(InterfaceSeen(77, "veth-a", is_up=True, has_carrier=True)))
    ip("address del 10.1.0.1/24 dev veth-a")
    await events_until(
        queue, lambda event: isinstance(event, AddressGone) and event.index == 77 and event.requester > 0
    )
    ip("link set veth-a down")
    await events_until(queue, plainly(InterfaceSeen(77, "veth-a", is_up=False, has_carrier=False)))
    ip("link delete veth-a")
    await events_until(queue, exactly(InterfaceGone(77, "veth-a")))
    listener.close()


async def lost_messages_are_asked_again() -> None:
    """While nobody reads, more happens than the socket holds; afterwards a dump says how things are."""
    queue: asyncio.Queue[KernelEvent] = asyncio.Queue()
    listener = NetlinkListener(queue.put_nowait)
    listener.start()
    await events_until(queue, lambda event: isinstance(event, DumpEnds))
    ip("link add veth-a index 77 type veth peer name veth-b")
    batch = "".join(f"link set veth-a mtu {1400 + number % 100}\n" for number in range(4000))
    batch += "address add 10.1.0.1/24 dev veth-a\n"
    # Blocking is meant: the loop must not read meanwhile.
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True)  # noqa: ASYNC221
    await events_until(queue, lambda event: isinstance(event, DumpBegins))
    found = await events_until(queue, lambda event: isinstance(event, DumpEnds))
    assert AddressSeen(77, "10.1.0.1", 24) in found
    listener.close()


if __name__ == "__main__":
    if sys.argv[1] != "the_kernel_is_heard":
        ip("link set lo up")
    scenario: Callable[[], Awaitable[None]] = globals()[sys.argv[1]]
    asyncio.run(scenario())  # type: ignore[arg-type]  # a coroutine function, by the list above
