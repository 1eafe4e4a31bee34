"""Listen to the kernel about interfaces, addresses and routes, and hand each change on as a network event.

Decides nothing: what an event means for a link is network/'s business. pyroute2 reads and writes the messages; the
socket is our own, since messages are taken in slices, so that a storm never keeps heartbeats waiting. Source:
rtnetlink(7), netlink(7). Messages that the kernel dropped for want of buffer (ENOBUFS) are answered by a new dump.
"""

import asyncio
import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

from pyroute2.netlink import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, nlmsg, rtnl
from pyroute2.netlink.exceptions import NetlinkDecodeError
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.marshal import MarshalRtnl
from pyroute2.netlink.rtnl.rtmsg import rtmsg

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
_KERNEL: Final = 0  # the netlink port of the kernel itself
_GROUPS: Final = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV6_ROUTE
)
_DUMPS: Final = ((rtnl.RTM_GETLINK, ifinfmsg), (rtnl.RTM_GETADDR, ifaddrmsg), (rtnl.RTM_GETROUTE, rtmsg))
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_TABLE_MAIN, _UNICAST, _SCOPE_LINK = 254, 1, 253


class NetlinkListener:
    """A netlink socket in the loop. Calls `report` for each event, from the loop, in the kernel's order."""

    def __init__(self, report: Callable[[KernelEvent], None]) -> None:
        self._report = report
        self._socket: socket.socket | None = None
        self._sequence = 0
        self._is_dumping = False
        self._waiting_dumps: list[tuple[int, type[nlmsg]]] = []  # what is still to be asked for in this dump
        self._is_dump_due = False
        self._dump_began, self._dump_s = 0.0, 0.0  # the newest dump, and how long the last complete one took
        self._block: Iterator[nlmsg] = iter(())  # what is left of the last read
        self._is_resumed = False  # it is taken in the next turn
        self._has_lost = (
            False  # the kernel dropped messages: those that still wait are older than the coming dump
        )

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

    def look_again(self) -> None:
        """Have the kernel tell everything anew: other addresses matter now."""
        self._dump_later()

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
        self._waiting_dumps = list(_DUMPS)
        self._report(DumpBegins())
        self._ask()

    def _ask(self) -> None:
        assert self._socket is not None
        self._sequence += 1
        try:
            self._socket.send(dump_request(*self._waiting_dumps.pop(0), self._sequence))
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
        while self._socket is not None and time.monotonic() < ends_at:
            message = next(self._block, None)
            if message is not None:
                self._take(message)
            elif not self._fill():
                return
        if self._socket is not None:
            self._is_resumed = True
            asyncio.get_running_loop().call_soon(self._resume)

    def _fill(self) -> bool:
        """Take the next block from the kernel; return whether there may be more."""
        assert self._socket is not None
        try:
            block, (sender, _) = self._socket.recvfrom(MESSAGE_BYTES_MAX)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                self._has_lost = True
                return True
            if self._has_lost:
                self._has_lost = False
                self._dump_later()
            return False
        if sender == _KERNEL and not self._has_lost:
            self._block = messages(block)
        return True

    def _resume(self) -> None:
        self._is_resumed = False
        self._read()

    def _take(self, message: nlmsg) -> None:
        header = message["header"]
        if header.get("type") not in {NLMSG_DONE, NLMSG_ERROR}:
            event = event_of(message)
            if event is not None:
                self._report(event)
            return
        if not self._is_dumping or header["sequence_number"] != self._sequence:
            return  # the end of a dump that was given up for a newer one
        if header["type"] == NLMSG_ERROR:
            self._dump_later()
        elif self._waiting_dumps:
            self._ask()
        else:
            self._is_dumping = False
            self._dump_s = time.monotonic() - self._dump_began
            self._report(DumpEnds())


def dump_request(kind: int, form: type[nlmsg], sequence: int) -> bytes:
    """Write the request for a dump of everything of one kind."""
    message = form()
    message["header"].update(type=kind, flags=NLM_F_REQUEST | NLM_F_DUMP, sequence_number=sequence)
    message.encode()
    return bytes(message.data)


def messages(block: bytes) -> Iterator[nlmsg]:
    """Read the messages of a block, one at a time; rubbish ends it."""
    try:
        yield from MarshalRtnl().parse(block)
    except (NetlinkDecodeError, struct.error):  # cut off
        return


def event_of(message: nlmsg) -> KernelEvent | None:
    """Read one rtnetlink message; None when it is about nothing that matters to a link, or is rubbish."""
    try:
        match message["header"].get("type"):
            case rtnl.RTM_NEWLINK | rtnl.RTM_DELLINK:
                return _interface_event(message)
            case rtnl.RTM_NEWADDR | rtnl.RTM_DELADDR:
                return _address_event(message)
            case rtnl.RTM_NEWROUTE | rtnl.RTM_DELROUTE:
                return _route_event(message)
            case _:
                return None
    except (NetlinkDecodeError, KeyError, ValueError):  # attributes are read when they are asked for
        return None


def _interface_event(message: ifinfmsg) -> InterfaceSeen | InterfaceGone | None:
    if message["family"] == socket.AF_BRIDGE:  # a port joined or left a bridge: the interface itself lives on
        return None
    name = _text(message.get_attr("IFLA_IFNAME"))
    if message["header"]["type"] == rtnl.RTM_DELLINK:
        return InterfaceGone(message["index"], name)
    carrier = message.get_attr("IFLA_CARRIER")
    return InterfaceSeen(
        message["index"],
        name,
        is_up=bool(message["flags"] & _IFF_UP),
        has_carrier=bool(message["flags"] & _IFF_LOWER_UP) if carrier is None else bool(carrier),
        mtu=message.get_attr("IFLA_MTU") or 0,
        carrier_losses=message.get_attr("IFLA_CARRIER_DOWN_COUNT") or 0,
        operstate=_text(message.get_attr("IFLA_OPERSTATE")).lower(),
    )


def _address_event(message: ifaddrmsg) -> AddressSeen | AddressGone | None:
    # On a point-to-point interface IFA_ADDRESS is the peer's, so IFA_LOCAL goes first (rtnetlink(7)).
    written = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    if written is None:
        return None
    index, address = message["index"], str(ipaddress.ip_address(written))
    if message["header"]["type"] == rtnl.RTM_NEWADDR:
        return AddressSeen(index, address, message["prefixlen"])
    return AddressGone(index, address, message["header"]["pid"])


def _route_event(message: rtmsg) -> RouteSeen | RouteGone | None:
    """Read a route of the main table that is on-link, or is the default. A full table of the world is passed by."""
    family, prefix = message["family"], message["dst_len"]
    if message["table"] != _TABLE_MAIN or message["type"] != _UNICAST:
        return None
    # IPv6 knows no scopes: there only the attributes say whether a gateway stands in between.
    if prefix and family == socket.AF_INET and message["scope"] != _SCOPE_LINK:
        return None
    if family not in {socket.AF_INET, socket.AF_INET6} or (prefix and message.get_attr("RTA_GATEWAY")):
        return None
    destination = message.get_attr("RTA_DST") or ("::" if family == socket.AF_INET6 else "0.0.0.0")  # noqa: S104 - the network of all addresses, bound by nobody
    network = f"{ipaddress.ip_address(destination)}/{prefix}"
    index, metric = message.get_attr("RTA_OIF") or 0, message.get_attr("RTA_PRIORITY") or 0
    is_new = message["header"]["type"] == rtnl.RTM_NEWROUTE
    return (RouteSeen if is_new else RouteGone)(index, network, metric)


def _text(value: str | bytes | None) -> str:
    """Return a name as text: one that is no UTF-8 comes as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""


def look_now() -> list[KernelEvent]:
    """Return what the kernel says of all interfaces, addresses and routes now, waiting for it. Raises OSError."""
    events: list[KernelEvent] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
        one.settimeout(LOOK_TIMEOUT_S)
        for kind, form in _DUMPS:
            one.send(dump_request(kind, form, kind))
            is_done = False
            while not is_done:
                for message in messages(one.recv(MESSAGE_BYTES_MAX)):
                    is_done = is_done or message["header"].get("type") in {NLMSG_DONE, NLMSG_ERROR}
                    event = event_of(message)
                    events += [] if event is None else [event]
    return events
