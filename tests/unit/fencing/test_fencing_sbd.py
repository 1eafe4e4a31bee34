"""Check the layout of a shared disk against bytes that sbd 1.5.2 wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from komainu.fencing.sbd import (
    Header,
    Mail,
    Message,
    free_slot,
    read_header,
    read_mail,
    read_name,
    slot_of,
    slots_of,
    unread_ms_max,
    write_header,
    write_mail,
    write_name,
)
from komainu.model.ids import NodeName

UUID = bytes.fromhex("ba516202beaf4283960f7757234bdbcd")
WRITTEN = bytes.fromhex(
    "5342445f5342445f02ff00000000020000000005000000020000000100000" + "00a01" + UUID.hex()
).ljust(512, b"\0")
HEADER = Header(uuid=UUID)
B = NodeName("nodeb")


def disk(*owners: tuple[int, str]) -> bytes:
    content = bytearray(HEADER.disk_bytes)
    content[:512] = write_header(HEADER)
    for slot, name in owners:
        content[HEADER.slot_at(slot) : HEADER.slot_at(slot) + 512] = write_name(HEADER, NodeName(name))
    return bytes(content)


def test_disks_that_are_not_read_reset_a_node_before_a_pill_counts() -> None:
    header = Header(watchdog_s=5, msgwait_s=10)
    assert unread_ms_max(header, 5_000) == 3_750, "10 s, less 5 s to fire and 1.25 s to notice"
    assert unread_ms_max(header, 2_000) == 5_000, "not longer than sbd's own time"


def test_the_header_is_sbds() -> None:
    assert read_header(WRITTEN) == HEADER
    assert write_header(HEADER) == WRITTEN
    assert (HEADER.slot_at(0), HEADER.mailbox_at(0), HEADER.slot_at(1)) == (0x200, 0x400, 0x600)


@pytest.mark.parametrize(
    ("sector", "words"),
    [
        (b"", "too small"),
        (bytes(512), "no sbd header"),
        (WRITTEN[:8] + b"\x03" + WRITTEN[9:], "version 3"),
        (WRITTEN[:12] + bytes(4) + WRITTEN[16:], "sectors of 0 bytes"),
        (write_header(Header(watchdog_s=6)), "msgwait (10 s) is below 2 x watchdog (6 s) = 12 s"),
    ],
)
def test_a_foreign_disk_is_named_as_such(sector: bytes, words: str) -> None:
    assert words in str(read_header(sector))


def test_slots_and_their_owners() -> None:
    content = disk((0, "a"), (2, "NodeB"))
    assert list(slots_of(HEADER, content)) == [(0, "a"), (2, "NodeB")]
    assert slot_of(HEADER, content, B) == 2
    assert slot_of(HEADER, content, NodeName("c")) is None
    assert free_slot(HEADER, content) == 1
    assert free_slot(HEADER, disk(*((slot, f"n{slot}") for slot in range(255)))) is None


def test_mail_is_sbds() -> None:
    assert write_mail(HEADER, Mail(Message.RESET, "vm"))[:5] == b"\x02vm\0\0"
    assert write_name(HEADER, B)[:7] == b"\x01nodeb\0"
    assert read_mail(bytes([9]) + bytes(511)) is None
    assert read_name(bytes(512)) is None


@given(st.sampled_from(Message), st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=63))
def test_what_was_written_is_read(message: Message, sender: str) -> None:
    assert read_mail(write_mail(HEADER, Mail(message, sender))) == Mail(message, sender)


@given(st.binary(max_size=600))
def test_no_bytes_break_the_reading(content: bytes) -> None:
    read_header(content)
    read_mail(content.ljust(65, b"\0"))
    read_name(content.ljust(65, b"\0"))
