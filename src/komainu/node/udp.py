"""Carry ring datagrams: one UDP socket a link, which outlives the loss of its address and its interface.

Decides nothing: no error of a socket ends anything, since the kernel's own words about the link come by
netlink. A datagram is judged by its seal (ring/wire.py), never by the address it came from; answers go to the
configured address. Source: ip(7) (IP_FREEBIND, IP_RECVERR), measurements of what sockets see when an address
is taken away: a socket bound to the address with IP_FREEBIND works again by itself when the address is back.
"""

import asyncio
import contextlib
import errno
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from komainu.model.ids import LinkNumber, NodeId
from komainu.model.link import LinkEnd
from komainu.model.report import Refused, Report
from komainu.node.strangers import Strangers
from komainu.node.turned_away import TurnedAway
from komainu.ring.interface import PacketReceived, PeerRefused, SendPacket
from komainu.ring.packet import Heartbeat, Packet
from komainu.ring.wire import Drop

BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Kernel buffer of one socket: the windows of several members (ring/order.py) may arrive in one burst."""

DATAGRAM_BYTES_MAX: Final = 65_535

DATAGRAMS_PER_TURN_MAX: Final = 128
"""Datagrams of one link that are read before the loop may turn, so that a flood does not starve timers."""

TRAIN_MAX: Final = 46
"""Datagrams that the kernel takes in one call, and cuts itself: as many of the largest as it counts bytes for."""

_IP_FREEBIND: Final = 15
_IP_PKTINFO: Final = 8
_LOOPBACK: Final = 1  # index of `lo` in every network namespace
_ANCILLARY_BYTES: Final = 128  # room for one in6_pktinfo (20 bytes) with its header, and then some
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_IPV6_FREEBIND: Final = 78
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT = 10, 23, 0
_SOL_UDP, _UDP_SEGMENT, _UDP_GRO = 17, 103, 104
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_NO_TRAINS: Final = (errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP)
"""Errors of a train: the device cannot cut it (udp(7)), or its MTU is below a datagram of ours."""

_PRIORITY: Final = 6  # "interactive": ahead of bulk traffic in the machine's own queues (socket(7))
_EXTENDED_ERROR: Final = struct.Struct("=IBBBBII")  # errno, origin, type, code, pad, info, data
_ORIGINS_ICMP: Final = (2, 3)
_NOT_YET: Final = (errno.ENODEV, errno.ENXIO, errno.EADDRNOTAVAIL)
"""Errors of a link-local address whose interface is missing: it may come."""


SixAddress = tuple[str, int, int, int]
"""An IPv6 address as the kernel wants it: address, port, flow, scope."""


class Sealed(Protocol):
    """What `Wire.open` gives: the peer whose seal it is, and the packet."""

    @property
    def peer(self) -> NodeId:
        """Who sealed it."""

    @property
    def packet(self) -> Packet:
        """What was sealed."""


class Seal(Protocol):
    """The part of ring/wire.py's `Wire` that sockets need."""

    def seal(self, link: LinkNumber, peer: NodeId, packet: Packet, *, is_narrow: bool = False) -> list[bytes]:
        """Return the datagrams that carry a packet; small ones for a path that carries no others."""

    def open(self, link: LinkNumber, datagram: bytes) -> Sealed | None:
        """Return the packet that this datagram completes; None when it is refused or more is needed."""

    def last_drop(self) -> tuple[Drop, NodeId] | None:
        """Return why the last datagram was refused, and from whom it said that it came; once."""


class UdpLinks:
    """Every link's socket. Calls `report` for each packet, from the loop, in the order of arrival.

    `counters` counts by link and errno name what could not be sent, `link0.ENETUNREACH`, and what came in by
    an interface that is not the link's, `link0.wrong-interface`: two interfaces on one switch answer for each
    other, and such a packet says nothing about the link.
    """

    def __init__(
        self,
        ends: tuple[LinkEnd, ...],
        peers: Mapping[NodeId, tuple[LinkEnd, ...]],
        port: int,
        wire: Seal,
        report: Callable[[PacketReceived | PeerRefused], None],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.strangers = Strangers()
        self.turned_away: TurnedAway | None = None  # what strangers are told; nothing, by default
        self._ends = ends
        self._peers = peers
        self._port = port
        self._wire = wire
        self._report = report
        self._sockets: dict[LinkNumber, socket.socket] = {}
        self._without_trains: set[LinkNumber] = set()
        self._interfaces: dict[LinkNumber, int] = {}  # where datagrams have to come in, as far as it is known
        self._peer_of = _peers_by_address(peers)
        self._room = memoryview(bytearray(DATAGRAM_BYTES_MAX))  # for the datagram that is being read

    def start(self) -> None:
        """Open every socket. Raises Refused when the port is in use; what is missing now may come later."""
        for end in self._ends:
            self._open(end)

    def close(self) -> None:
        """Close every socket."""
        for link in tuple(self._sockets):
            self._close(link)

    def reconfigure(self, ends: tuple[LinkEnd, ...], peers: Mapping[NodeId, tuple[LinkEnd, ...]]) -> None:
        """Use these addresses from now on; a socket whose own end stays as it is goes on."""
        for end in self._ends:
            if end not in ends and end.link in self._sockets:
                self._close(end.link)
        self._ends, self._peers = ends, peers
        self._peer_of = _peers_by_address(peers)
        self.reopen_missing()

    def reopen_missing(self) -> None:
        """Open what could not be opened at the start: a link-local address wants its interface to exist."""
        for end in self._ends:
            if end.link not in self._sockets:
                try:
                    self._open(end)
                except Refused:
                    self.counters[f"link{end.link}.refused"] += 1

    def expect(self, link: LinkNumber, index: int | None) -> None:
        """Believe datagrams of a link only when they come in by this interface; None: by any."""
        if index is None:
            self._interfaces.pop(link, None)
        else:
            self._interfaces[link] = index

    def send(self, effect: SendPacket) -> None:
        """Send a packet to a peer over one link; what cannot be sent is counted and lost."""
        one = self._sockets.get(effect.link)
        ends = self._peers.get(effect.peer, ())
        if one is None or effect.link >= len(ends):
            self.counters[f"link{effect.link}.closed"] += 1
            return
        try:
            target = _socket_address(ends[effect.link], self._ends[effect.link], self._port)
        except OSError as error:
            self._count(effect.link, error)
            return
        datagrams = self._wire.seal(effect.link, effect.peer, effect.packet, is_narrow=effect.is_narrow)
        for start in range(0, len(datagrams), TRAIN_MAX):
            train = datagrams[start : start + TRAIN_MAX]
            if len(train) == 1 or not self._send_train(effect.link, one, train, target):
                for datagram in train:
                    self._send_datagram(effect.link, one, datagram, target)

    def _send_train(
        self, link: LinkNumber, one: socket.socket, train: list[bytes], target: tuple[str, int] | SixAddress
    ) -> bool:
        """Send datagrams of one size, but for the last, in one call; whether that is possible on this link."""
        if link in self._without_trains:
            return False
        size = struct.pack("=H", len(train[0]))
        try:
            one.sendmsg(train, [(_SOL_UDP, _UDP_SEGMENT, size)], 0, target)
        except OSError as error:
            if error.errno in _NO_TRAINS:
                self._without_trains.add(link)
            return False
        return True

    def _send_datagram(
        self, link: LinkNumber, one: socket.socket, datagram: bytes, target: tuple[str, int] | SixAddress
    ) -> None:
        """Send once more after an error: it may be that of an earlier datagram, to another peer (ip(7))."""
        for _ in range(2):
            try:
                one.sendto(datagram, target)
            except OSError as error:
                self._count(link, error)
            else:
                return

    def _close(self, link: LinkNumber) -> None:
        one = self._sockets.pop(link)
        asyncio.get_running_loop().remove_reader(one.fileno())
        one.close()

    def _open(self, end: LinkEnd) -> None:
        """Open one socket, or leave it for later while its interface is missing. Raises Refused."""
        try:
            one = _bound_socket(end, self._port)
        except OSError as error:
            if error.errno not in _NOT_YET:
                raise Refused((_unusable(end, self._port, error),)) from None
            self._count(end.link, error)
            return
        self._sockets[end.link] = one
        asyncio.get_running_loop().add_reader(one.fileno(), self._read, end.link, one)

    def _read(self, link: LinkNumber, one: socket.socket) -> None:
        """Read what came, up to a beat, which comes alone: what lies behind it wakes the loop again."""
        count = 0
        while count < DATAGRAMS_PER_TURN_MAX:
            count += 1
            try:
                size, ancillary, _, source = one.recvmsg_into((self._room,), _ANCILLARY_BYTES)
            except BlockingIOError:
                if count == 1:  # it was an error that woke the loop
                    self._read_errors(link, one)
                return
            except OSError as error:  # an error that was queued by an earlier send; the next read goes on
                self._count(link, error)
                self._read_errors(link, one)
                continue
            if not self._is_ours(link, ancillary):
                self.counters[f"link{link}.wrong-interface"] += 1
                continue
            was_beat = False
            for each in _uncoupled(bytes(self._room[:size]), ancillary):
                count += 1
                was_beat = self._open_datagram(link, each, source)
                if one.fileno() < 0:  # the daemon ended meanwhile
                    return
            if was_beat:
                return
        self._read_errors(link, one)  # in a flood nothing else comes to it

    def _open_datagram(self, link: LinkNumber, datagram: bytes, source: tuple[str, int] | SixAddress) -> bool:
        """Report what a datagram brought; whether it was a beat."""
        opened = self._wire.open(link, datagram)
        if opened is not None:
            self._report(PacketReceived(link, opened.peer, opened.packet))
            return isinstance(opened.packet, Heartbeat)
        dropped = self._wire.last_drop()
        if dropped is None:
            return False  # a part of a larger packet
        now_s = time.monotonic()
        self.strangers.note(dropped, str(source[0]), link, now_s)
        if self.turned_away is not None and dropped[0] is Drop.UNKNOWN_SENDER:
            for answer in self.turned_away.answers(link, datagram, now_s):
                self._send_datagram(link, self._sockets[link], answer, source)
        return False

    def _is_ours(self, link: LinkNumber, ancillary: list[tuple[int, int, bytes]]) -> bool:
        """Whether a datagram came in by the link's interface, or from this machine itself."""
        expected = self._interfaces.get(link)
        if expected is None:
            return True
        for level, kind, content in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
                return int.from_bytes(content[:4], sys.byteorder) in {expected, _LOOPBACK}
            if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                return int.from_bytes(content[16:20], sys.byteorder) in {expected, _LOOPBACK}
        return True

    def _read_errors(self, link: LinkNumber, one: socket.socket) -> None:
        """Read what ICMP told about earlier datagrams; "port unreachable" means that the peer's daemon is gone."""
        for _ in range(DATAGRAMS_PER_TURN_MAX):
            try:
                _, ancillary, _, target = one.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, content in ancillary:
                if (level, kind) not in {
                    (socket.IPPROTO_IP, _IP_RECVERR),
                    (socket.IPPROTO_IPV6, _IPV6_RECVERR),
                }:
                    continue
                number, origin, *_ = _EXTENDED_ERROR.unpack_from(content)
                self.counters[f"link{link}.icmp.{errno.errorcode.get(number, number)}"] += 1
                peer = self._peer_of.get((link, str(target[0]).partition("%")[0]))
                if number == errno.ECONNREFUSED and origin in _ORIGINS_ICMP and peer is not None:
                    self._report(PeerRefused(link, peer))

    def _count(self, link: LinkNumber, error: OSError) -> None:
        name = errno.errorcode.get(error.errno or 0, str(error.errno))
        self.counters[f"link{link}.{name}"] += 1


def _uncoupled(received: bytes, ancillary: list[tuple[int, int, bytes]]) -> list[bytes]:
    """Return the datagrams that came as one: the kernel couples those of one sender, and tells the size of each."""
    for level, kind, content in ancillary:
        if (level, kind) == (_SOL_UDP, _UDP_GRO):
            size = int.from_bytes(content[:4], sys.byteorder)
            if 0 < size < len(received):
                return [received[start : start + size] for start in range(0, len(received), size)]
    return [received]


def _peers_by_address(
    peers: Mapping[NodeId, tuple[LinkEnd, ...]],
) -> dict[tuple[LinkNumber, str], NodeId]:
    return {(end.link, end.address): peer for peer, ends in peers.items() for end in ends}


def _bound_socket(end: LinkEnd, port: int) -> socket.socket:
    """Return a socket at this address, whether or not the machine has it now. Raises OSError."""
    is_v6 = ":" in end.address
    one = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        _set_options(one, is_v6=is_v6)
        one.bind(_socket_address(end, end, port))
    except OSError:
        one.close()
        raise
    return one


def _set_options(one: socket.socket, *, is_v6: bool) -> None:
    for option, beyond in ((socket.SO_RCVBUF, _SO_RCVBUFFORCE), (socket.SO_SNDBUF, _SO_SNDBUFFORCE)):
        one.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
        with contextlib.suppress(OSError):  # beyond net.core.rmem_max is for root
            one.setsockopt(socket.SOL_SOCKET, beyond, BUFFER_BYTES)
    with contextlib.suppress(OSError):  # a kernel before 5.0 hands out each by itself
        one.setsockopt(_SOL_UDP, _UDP_GRO, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _PRIORITY)
    # The kernel may fragment: on a path with a small MTU beats would pass and larger packets never.
    if is_v6:
        one.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DONT)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        one.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        one.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DONT)
        one.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        one.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
        one.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _socket_address(target: LinkEnd, mine: LinkEnd, port: int) -> tuple[str, int] | SixAddress:
    """Return the kernel's form of an address; a link-local one is looked up anew, as its index may change.

    Raises OSError while the interface does not exist.
    """
    if ":" not in target.address:
        return target.address, port
    is_link_local = target.address.startswith("fe80:")
    interface = mine.interface if is_link_local else None
    return target.address, port, 0, socket.if_nametoindex(interface) if interface else 0


def _unusable(end: LinkEnd, port: int, error: OSError) -> Report:
    where = f"port {port} at {end.address} (link {end.link})"
    if error.errno == errno.EADDRINUSE:
        hint = f"see who: ss -lunp 'sport = :{port}'; or choose another port in [cluster], the same on every node"
        return Report("udp.port-in-use", f"{where} is in use by another program", hint)
    hint = "ports below 1024 are for root; an IPv6 address needs a kernel with IPv6"
    return Report("udp.unusable", f"{where} cannot be used: {error.strerror}", hint)
