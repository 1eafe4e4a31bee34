"""Netlink messages are read as the kernel writes them, and rubbish is left out."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from komainu.network.interface import (
    AddressGone,
    AddressSeen,
    InterfaceGone,
    InterfaceSeen,
    KernelEvent,
    RouteGone,
    RouteSeen,
)
from komainu.node import netlink

NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, DELROUTE = 16, 17, 20, 21, 24, 25
UP, LOWER_UP = 0x1, 0x10000


def header(kind: int, length: int, port: int = 0) -> bytes:
    return struct.pack("=LHHLL", 16 + length, kind, 0, 5, port)


def event_of(kind: int, payload: bytes, port: int = 0) -> KernelEvent | None:
    (message,) = netlink.messages(header(kind, len(payload), port) + payload)
    return netlink.event_of(message)


def attribute(kind: int, content: bytes) -> bytes:
    size = 4 + len(content)
    return struct.pack("=HH", size, kind) + content + bytes(-size % 4)


def link(flags: int, *, family: int = 0, carrier: bytes = b"") -> bytes:
    attributes = attribute(3, b"eth1\0") + (attribute(33, carrier) if carrier else b"")
    return struct.pack("=BxHiII", family, 1, 7, flags, 0) + attributes


def address(*attributes: bytes) -> bytes:
    return struct.pack("=BBBBI", 2, 24, 0, 0, 7) + b"".join(attributes)


def test_interfaces() -> None:
    assert event_of(NEWLINK, link(UP | LOWER_UP)) == InterfaceSeen(7, "eth1", is_up=True, has_carrier=True)
    assert event_of(NEWLINK, link(UP)) == InterfaceSeen(7, "eth1", is_up=True, has_carrier=False)
    assert event_of(NEWLINK, link(0, carrier=b"\1")) == InterfaceSeen(
        7, "eth1", is_up=False, has_carrier=True
    )
    assert event_of(DELLINK, link(0)) == InterfaceGone(7, "eth1")


def test_a_port_that_leaves_its_bridge_is_not_gone() -> None:
    assert event_of(DELLINK, link(UP, family=7)) is None


def test_addresses() -> None:
    mine, broadcast = bytes([192, 168, 33, 101]), bytes([192, 168, 33, 255])
    plain = address(attribute(1, mine), attribute(2, mine), attribute(4, broadcast))
    assert event_of(NEWADDR, plain) == AddressSeen(7, "192.168.33.101", 24)
    assert event_of(DELADDR, plain) == AddressGone(7, "192.168.33.101")
    point_to_point = address(attribute(1, bytes([10, 0, 0, 9])), attribute(2, mine))
    assert event_of(NEWADDR, point_to_point) == AddressSeen(7, "192.168.33.101", 24)
    six = address(attribute(1, bytes.fromhex("fe80" + "00" * 13 + "01")))
    assert event_of(NEWADDR, six) == AddressSeen(7, "fe80::1", 24)


def route(family: int, prefix: int, scope: int, *attributes: bytes, table: int = 254) -> bytes:
    return struct.pack("=BBBBBBBBI", family, prefix, 0, 0, table, 2, scope, 1, 0) + b"".join(attributes)


def test_who_asked_for_a_deletion_is_named() -> None:
    mine = attribute(2, bytes([192, 168, 33, 101]))
    assert event_of(DELADDR, address(mine), 4711) == AddressGone(7, "192.168.33.101", 4711)


def test_routes_that_are_on_link_or_the_default() -> None:
    out, net = attribute(4, struct.pack("=I", 7)), attribute(1, bytes([192, 168, 33, 0]))
    assert event_of(NEWROUTE, route(2, 24, 253, net, out)) == RouteSeen(7, "192.168.33.0/24")
    metric = attribute(6, struct.pack("=I", 100))
    assert event_of(DELROUTE, route(2, 24, 253, net, out, metric)) == RouteGone(7, "192.168.33.0/24", 100)
    gateway = attribute(5, bytes([10, 0, 0, 1]))
    assert event_of(NEWROUTE, route(2, 0, 0, out, gateway)) == RouteSeen(7, "0.0.0.0/0")
    assert event_of(NEWROUTE, route(10, 0, 0, out)) == RouteSeen(7, "::/0")
    assert event_of(NEWROUTE, route(2, 24, 0, net, out, gateway)) is None
    assert event_of(NEWROUTE, route(2, 24, 253, net, out, table=255)) is None
    six = attribute(1, bytes.fromhex("fd00" + "00" * 14))
    assert event_of(NEWROUTE, route(10, 64, 0, six, out)) == RouteSeen(7, "fd00::/64")
    assert event_of(NEWROUTE, route(10, 64, 0, six, out, attribute(5, bytes(15) + b"\1"))) is None


def test_odd_names_are_names() -> None:
    payload = struct.pack("=BxHiII", 0, 1, 7, UP, 0) + attribute(3, "é'\x07;$(x)\0".encode())
    assert event_of(NEWLINK, payload) == InterfaceSeen(7, "é'\x07;$(x)", is_up=True, has_carrier=False)
    no_text = struct.pack("=BxHiII", 0, 1, 7, UP, 0) + attribute(3, b"eth\xff\0")
    found = event_of(NEWLINK, no_text)
    assert isinstance(found, InterfaceSeen)
    assert found.name.startswith("eth")


def test_a_block_holds_several_messages() -> None:
    payloads = [link(UP), address(attribute(2, bytes(4))), link(0)]
    block = b"".join(
        header(kind, len(payload)) + payload
        for kind, payload in zip((NEWLINK, NEWADDR, DELLINK), payloads, strict=True)
    )
    read = [netlink.event_of(message) for message in netlink.messages(block)]
    assert [type(event) for event in read] == [InterfaceSeen, AddressSeen, InterfaceGone]


@given(st.binary(max_size=200), st.sampled_from([NEWLINK, DELLINK, NEWADDR, DELADDR, NEWROUTE, 2, 3, 99]))
def test_no_bytes_can_raise(data: bytes, kind: int) -> None:
    for block in (data, header(kind, len(data)) + data, header(kind, 2 * len(data)) + data):
        for message in netlink.messages(block):
            netlink.event_of(message)
