"""Listen to the kernel about interfaces, addresses and routes, and hand each change on as a network event.

Decides nothing: what an event means for a link is network/'s business. Speaks rtnetlink itself, since the
six messages it needs are smaller than the libraries that speak all of them (13 MB of a daemon's memory).
Source: rtnetlink(7), netlink(7), linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h. Messages that the
kernel dropped for want of buffer (ENOBUFS) are answered by a new dump.
"""

import asyncio
import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

from komainu.network.interface import (
    AddressGone,
    AddressSeen,
    DumpBegins,
    DumpEnds,
    InterfaceGone,
    InterfaceSeen,
    KernelEvent,
    RouteGone,
    RouteSeen,
)

RECEIVE_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Room for some thousand messages: a switch that flaps must not cost us the last word about an interface."""

MESSAGE_BYTES_MAX: Final = 65_536
"""The kernel fills dumps in blocks of at most 32 kB."""

TURN_S: Final = 0.005
"""How long messages are taken before the loop may turn: a dump of ten thousand addresses takes half a second,
and heartbeats must not wait for it."""

LOOK_TIMEOUT_S: Final = 2.0
"""How long the start waits for a dump."""

DUMP_AGAIN_MS: Final = 50
"""Least wait before a dump is asked again, so that a kernel that keeps dropping does not keep us busy."""

REST_FACTOR: Final = 1
"""After a dump this many times as long as it took is waited before the next: the machine has other work."""

_SO_RCVBUFFORCE: Final = 33
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_NLM_F_REQUEST_DUMP: Final = 0x1 | 0x300
_RTM_NEWROUTE, _RTM_DELROUTE, _RTM_GETROUTE = 24, 25, 26
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400  # RTMGRP_LINK, and ADDRESS and ROUTE of IPv4 and IPv6
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_IFLA_IFNAME, _IFLA_MTU, _IFLA_OPERSTATE, _IFLA_CARRIER, _IFLA_CARRIER_DOWN_COUNT = 3, 4, 16, 33, 48
_OPERSTATES: Final = ("", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")  # RFC 2863
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY = 1, 4, 5, 6
_TABLE_MAIN, _UNICAST, _SCOPE_LINK = 254, 1, 253
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_AF_BRIDGE: Final = 7

_HEADER: Final = struct.Struct("=LHHLL")  # length, type, flags, sequence, port
_LINK: Final = struct.Struct("=BxHiII")  # family, device type, index, flags, change
_ADDRESS: Final = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index
_ROUTE: Final = struct.Struct(
    "=BBBBBBBBI"
)  # family, two prefix lengths, tos, table, protocol, scope, type, flags
_NUMBER: Final = struct.Struct("=I")
_ATTRIBUTE: Final = struct.Struct("=HH")  # length, type


class NetlinkListener:
    """A netlink socket in the loop. Calls `report` for each event, from the loop, in the kernel's order."""

    def __init__(self, report: Callable[[KernelEvent], None]) -> None:
        self._report = report
        self._socket: socket.socket | None = None
        self._sequence = 0
        self._is_dumping = False
        self._waiting_dumps: list[int] = []  # message types still to be asked for in this dump
        self._is_dump_due = False
        self._dump_began, self._dump_s = 0.0, 0.0  # the newest dump, and how long the last complete one took
        self._block: Iterator[tuple[int, int, int, bytes]] = iter(())  # what is left of the last read
        self._is_resumed = False  # it is taken in the next turn

    def start(self) -> None:
        """Open the socket and ask for the first dump. Its end is reported as DumpEnds."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:  # beyond what net.core.rmem_max allows to everybody
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._socket.bind((0, _GROUPS))
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._read)
        self._dump()

    def close(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _dump(self) -> None:
        """Begin a full dump: all interfaces, addresses, routes. What it does not name is gone."""
        self._is_dump_due = False
        if self._socket is None:
            return
        self._is_dumping = True
        self._dump_began = time.monotonic()
        self._waiting_dumps = [_RTM_GETADDR, _RTM_GETROUTE]
        self._report(DumpBegins())
        self._ask(_RTM_GETLINK)

    def _ask(self, message_type: int) -> None:
        assert self._socket is not None
        self._sequence += 1
        request = _HEADER.pack(
            _HEADER.size + _LINK.size, message_type, _NLM_F_REQUEST_DUMP, self._sequence, 0
        )
        try:
            self._socket.send(request + bytes(_LINK.size))
        except OSError:  # no buffer at this moment: the same as a message that was lost
            self._dump_later()

    def _dump_later(self) -> None:
        if not self._is_dump_due:
            self._is_dump_due = True
            pause_s = max(DUMP_AGAIN_MS / 1000, REST_FACTOR * self._dump_s)
            asyncio.get_running_loop().call_later(pause_s, self._dump)

    def _read(self) -> None:
        """Take messages until the turn is over. What is left of a block is taken in the next turn."""
        if self._is_resumed:
            return  # the rest of a block comes first
        ends_at = time.monotonic() + TURN_S
        while self._socket is not None:
            for message_type, sequence, port, payload in self._block:
                self._take(message_type, sequence, port, payload)
                if time.monotonic() >= ends_at:
                    self._is_resumed = True
                    asyncio.get_running_loop().call_soon(self._resume)
                    return
            try:
                self._block = messages(self._socket.recv(MESSAGE_BYTES_MAX))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    self._dump_later()
                return

    def _resume(self) -> None:
        self._is_resumed = False
        self._read()

    def _take(self, message_type: int, sequence: int, port: int, payload: bytes) -> None:
        if message_type not in {_NLMSG_DONE, _NLMSG_ERROR}:
            event = event_of(message_type, payload, port)
            if event is not None:
                self._report(event)
            return
        if not self._is_dumping or sequence != self._sequence:
            return  # the end of a dump that was given up for a newer one
        if message_type == _NLMSG_ERROR:
            self._dump_later()
        elif self._waiting_dumps:
            self._ask(self._waiting_dumps.pop(0))
        else:
            self._is_dumping = False
            self._dump_s = time.monotonic() - self._dump_began
            self._report(DumpEnds())


def messages(block: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Give type, sequence, port of who asked and payload of each message; what is cut off is left out."""
    offset = 0
    while offset + _HEADER.size <= len(block):
        length, message_type, _flags, sequence, port = _HEADER.unpack_from(block, offset)
        if length < _HEADER.size or offset + length > len(block):
            return
        yield message_type, sequence, port, block[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def event_of(message_type: int, payload: bytes, port: int = 0) -> KernelEvent | None:
    """Read one rtnetlink message; None when it is about nothing that matters to a link."""
    if message_type in {_RTM_NEWLINK, _RTM_DELLINK} and len(payload) >= _LINK.size:
        return _interface_event(message_type, payload)
    if message_type in {_RTM_NEWADDR, _RTM_DELADDR} and len(payload) >= _ADDRESS.size:
        return _address_event(message_type, payload, port)
    if message_type in {_RTM_NEWROUTE, _RTM_DELROUTE} and len(payload) >= _ROUTE.size:
        return _route_event(message_type, payload)
    return None


def _interface_event(message_type: int, payload: bytes) -> InterfaceSeen | InterfaceGone | None:
    family, _kind, index, flags, _change = _LINK.unpack_from(payload)
    if family == _AF_BRIDGE:  # a port joined or left a bridge: the interface itself lives on
        return None
    attributes = _attributes(payload, _LINK.size)
    name = attributes.get(_IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
    if message_type == _RTM_DELLINK:
        return InterfaceGone(index, name)
    carrier = attributes.get(_IFLA_CARRIER)
    has_carrier = carrier[:1] == b"\1" if carrier else bool(flags & _IFF_LOWER_UP)
    operstate = attributes.get(_IFLA_OPERSTATE, b"")[:1]
    return InterfaceSeen(
        index,
        name,
        is_up=bool(flags & _IFF_UP),
        has_carrier=has_carrier,
        mtu=_number(attributes.get(_IFLA_MTU)),
        carrier_losses=_number(attributes.get(_IFLA_CARRIER_DOWN_COUNT)),
        operstate=_OPERSTATES[operstate[0]] if operstate and operstate[0] < len(_OPERSTATES) else "",
    )


def _address_event(message_type: int, payload: bytes, port: int) -> AddressSeen | AddressGone | None:
    _family, prefix, _flags, _scope, index = _ADDRESS.unpack_from(payload)
    attributes = _attributes(payload, _ADDRESS.size)
    # On a point-to-point interface IFA_ADDRESS is the peer's, so IFA_LOCAL goes first (rtnetlink(7)).
    packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS, b"")
    if len(packed) not in {4, 16}:
        return None
    address = str(ipaddress.ip_address(packed))
    if message_type == _RTM_NEWADDR:
        return AddressSeen(index, address, prefix)
    return AddressGone(index, address, port)


def _route_event(message_type: int, payload: bytes) -> RouteSeen | RouteGone | None:
    """Read a route of the main table that is on-link, or is the default. A full table of the world is passed by."""
    family, prefix, _source, _tos, table, _protocol, scope, kind, _flags = _ROUTE.unpack_from(payload)
    is_v6 = family == socket.AF_INET6
    # IPv6 knows no scopes: there only the attributes say whether a gateway stands in between.
    if table != _TABLE_MAIN or kind != _UNICAST or (prefix and not is_v6 and scope != _SCOPE_LINK):
        return None
    attributes = _attributes(payload, _ROUTE.size)
    if family not in {socket.AF_INET, socket.AF_INET6} or (prefix and _RTA_GATEWAY in attributes):
        return None
    destination = attributes.get(_RTA_DST, bytes(16 if is_v6 else 4))
    network = f"{ipaddress.ip_address(destination)}/{prefix}"
    index, metric = _number(attributes.get(_RTA_OIF)), _number(attributes.get(_RTA_PRIORITY))
    return (RouteSeen if message_type == _RTM_NEWROUTE else RouteGone)(index, network, metric)


def _number(content: bytes | None) -> int:
    return 0 if content is None or len(content) != _NUMBER.size else int(_NUMBER.unpack(content)[0])


def _attributes(payload: bytes, offset: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < _ATTRIBUTE.size or offset + length > len(payload):
            break
        found[kind & 0x3FFF] = payload[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def look_now() -> list[KernelEvent]:
    """Return what the kernel says of all interfaces, addresses and routes now, waiting for it. Raises OSError."""
    events: list[KernelEvent] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
        one.settimeout(LOOK_TIMEOUT_S)
        for kind in (_RTM_GETLINK, _RTM_GETADDR, _RTM_GETROUTE):
            size = _HEADER.size + _LINK.size
            one.send(_HEADER.pack(size, kind, _NLM_F_REQUEST_DUMP, kind, 0) + bytes(_LINK.size))
            is_done = False
            while not is_done:
                for message_type, _, port, payload in messages(one.recv(MESSAGE_BYTES_MAX)):
                    is_done = is_done or message_type in {_NLMSG_DONE, _NLMSG_ERROR}
                    event = event_of(message_type, payload, port)
                    events += [] if event is None else [event]
    return events
