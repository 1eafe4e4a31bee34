"""Netlink messages are read as the kernel writes them, and rubbish is left out."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from komainu.network.interface import AddressGone, AddressSeen, InterfaceGone, InterfaceSeen
from komainu.node.netlink import event_of, messages

NEWLINK, DELLINK, NEWADDR, DELADDR = 16, 17, 20, 21
UP, LOWER_UP = 0x1, 0x10000


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


def test_a_block_holds_several_messages() -> None:
    payloads = [b"abc", b"", b"abcdefgh"]
    block = b"".join(
        struct.pack("=LHHLL", 16 + len(payload), 16, 0, 5, 0) + payload + bytes(-len(payload) % 4)
        for payload in payloads
    )
    assert list(messages(block)) == [(16, 5, 0, payload) for payload in payloads]


@given(st.binary(max_size=200), st.sampled_from([NEWLINK, DELLINK, NEWADDR, DELADDR, 2, 3, 99]))
def test_no_bytes_can_raise(data: bytes, message_type: int) -> None:
    for found, _, _, payload in messages(data):
        event_of(found, payload)
    event_of(message_type, data)
