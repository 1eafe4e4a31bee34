"""Carry ring packets as raw Ethernet frames, where an interface has carrier but this node's address is gone.

Decides nothing: which packets go this way is network/ways.py's business. Frames carry the very datagrams that
UDP would, so what they say is sealed, authentic and protected from replay in the same way (ring/wire.py). They
leave by one interface and no other, touch neither addresses nor routes, and pass no router.
Source: packet(7); IEEE 802: ethertype 0x88b5 is for local experiments and private protocols.
Form: destination, source, ethertype, one byte of flags, two of length (a short frame is padded), the datagram.
"""

import asyncio
import errno
import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from komainu.model.ids import LinkNumber, NodeId
from komainu.network.interface import FramesOpened, FramesRefused, UseInterface
from komainu.network.ways import Ways
from komainu.node.udp import Seal
from komainu.ring.interface import PacketReceived, SendPacket

ETHERTYPE: Final = 0x88B5
FRAME_BYTES_MAX: Final = 2_048
FRAMES_PER_TURN_MAX: Final = 128
"""Frames of one link that are read before the loop may turn."""

BUFFER_BYTES: Final = 256 * 1024
"""Kernel buffer of one socket: a burst of some hundred frames."""

_ASKS: Final = 1  # flag: the sender cannot send by address, answer by frame
_BROADCAST: Final = b"\xff" * 6
_ETHERNET: Final = struct.Struct("!6s6sH")
_OURS: Final = struct.Struct("!BH")
_ARPHRD_ETHER: Final = 1


@dataclass(slots=True)
class _Port:
    """One open socket, and the hardware addresses that peers were heard from on it."""

    index: int
    socket: socket.socket
    hardware: bytes
    peers: dict[NodeId, bytes] = field(default_factory=dict)


class FrameLinks:
    """Every link's raw socket. Calls `report` for each packet and for each socket that was opened or refused."""

    def __init__(
        self, wire: Seal, ways: Ways, report: Callable[[PacketReceived | FramesOpened | FramesRefused], None]
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._wire = wire
        self._ways = ways
        self._report = report
        self._ports: dict[LinkNumber, _Port] = {}

    def use(self, effect: UseInterface) -> None:
        """Listen on a link's interface, or no longer; the answer is reported."""
        link = effect.link
        self._ways.use_frames(link, wanted=effect.by_frames)
        port = self._ports.get(link)
        if port is not None and (port.index != effect.index or not effect.wants_frames):
            self._close(link)
            port = None
        if port is not None or effect.index is None or not effect.wants_frames:
            return
        try:
            opened = _open(effect.index, effect.name)
        except OSError as error:
            self._report(FramesRefused(link, effect.index, error.strerror or str(error)))
            return
        self._ports[link] = opened
        asyncio.get_running_loop().add_reader(opened.socket.fileno(), self._read, link, opened)
        self._report(FramesOpened(link, effect.index))

    def send(self, effect: SendPacket) -> None:
        """Send a packet to a peer over one link; what cannot be sent is counted and lost."""
        port = self._ports.get(effect.link)
        if port is None:
            self.counters[f"link{effect.link}.closed"] += 1
            return
        # Until the peer's hardware address was seen, everybody on the cable gets the frame; the seal names one.
        target = port.peers.get(effect.peer, _BROADCAST)
        flags = _ASKS if self._ways.must_ask(effect.link) else 0
        head = _ETHERNET.pack(target, port.hardware, ETHERTYPE)
        for datagram in self._wire.seal(effect.link, effect.peer, effect.packet, is_narrow=effect.is_narrow):
            try:
                port.socket.send(head + _OURS.pack(flags, len(datagram)) + datagram)
            except OSError as error:
                self.counters[f"link{effect.link}.{_name_of(error)}"] += 1

    def close(self) -> None:
        """Close every socket."""
        for link in tuple(self._ports):
            self._close(link)

    def _close(self, link: LinkNumber) -> None:
        port = self._ports.pop(link)
        asyncio.get_running_loop().remove_reader(port.socket.fileno())
        port.socket.close()

    def _read(self, link: LinkNumber, port: _Port) -> None:
        for _ in range(FRAMES_PER_TURN_MAX):
            if port.socket.fileno() < 0:  # closed meanwhile
                return
            try:
                frame = port.socket.recv(FRAME_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError as error:  # the interface was set down or removed; netlink tells the rest
                self.counters[f"link{link}.{_name_of(error)}"] += 1
                return
            self._take(link, port, frame)

    def _take(self, link: LinkNumber, port: _Port, frame: bytes) -> None:
        start = _ETHERNET.size + _OURS.size
        if len(frame) < start:
            self.counters[f"link{link}.short"] += 1
            return
        flags, length = _OURS.unpack_from(frame, _ETHERNET.size)
        opened = self._wire.open(link, frame[start : start + length])
        if opened is None:
            return
        port.peers[opened.peer] = frame[6:12]
        self._ways.heard_frame(link, opened.peer, asks=bool(flags & _ASKS))
        self._report(PacketReceived(link, opened.peer, opened.packet))


def _name_of(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, str(error.errno))


def _open(index: int, name: str) -> _Port:
    """Open a socket on one interface. Raises OSError."""
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        one.bind((socket.if_indextoname(index), ETHERTYPE))
        _, _, _, kind, hardware = one.getsockname()
        _insist_on_ethernet(name, kind, hardware)
    except OSError:
        one.close()
        raise
    return _Port(index, one, hardware)


def _insist_on_ethernet(name: str, kind: int, hardware: bytes) -> None:
    """Raise OSError where there are no Ethernet frames: tunnels, the loopback, InfiniBand."""
    if kind != _ARPHRD_ETHER or len(hardware) != 6:
        raise OSError(0, f"{name} is no Ethernet interface")
