"""Decide what the slots of a shared disk mean: who has which slot, and whether a message asks for a reset.

Pure: bytes in, values out, and back. Knows no disk. The way it is laid out is that of ClusterLabs' sbd, version
2.1, so that both can use one disk: sector 0 is the header; slot N has its name in sector 1 + 2 N and its
mailbox in sector 2 + 2 N. Source: sbd(8), and disks that sbd 1.5.2 made and was shown.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from komainu.model.ids import NodeName

MAGIC: Final = b"SBD_SBD_"
VERSION: Final = 2
SLOTS_MAX: Final = 255
SECTOR_SIZES: Final = (512, 1024, 2048, 4096)
NAME_BYTES_MAX: Final = 63

LOOKS_PER_TIMEOUT: Final = 4
"""How often within the watchdog's time-out it is looked whether the shared disks are there."""

_HEADER: Final = struct.Struct(">8sBB2xIIIIIB16s")
_SLOT: Final = struct.Struct(">B64s")


class Message(IntEnum):
    """What a mailbox can hold."""

    CLEAR = 0
    TEST = 1
    RESET = 2
    OFF = 3
    EXIT = 4
    CRASHDUMP = 5


POISON: Final = frozenset({Message.RESET, Message.OFF, Message.CRASHDUMP})
"""The messages after which the node must not run on."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first sector says. Times are in seconds, as all nodes of the disk must keep them."""

    sector_bytes: int = 512
    slots: int = SLOTS_MAX
    watchdog_s: int = 5
    allocate_s: int = 2
    loop_s: int = 1
    msgwait_s: int = 10
    minor: int = 1
    uuid: bytes = bytes(16)

    @property
    def disk_bytes(self) -> int:
        """How much of the disk is used."""
        return self.sector_bytes * (1 + 2 * self.slots)

    def slot_at(self, slot: int) -> int:
        """Where the sector with a slot's name begins."""
        return self.sector_bytes * (1 + 2 * slot)

    def mailbox_at(self, slot: int) -> int:
        """Where the sector with a slot's mailbox begins."""
        return self.sector_bytes * (2 + 2 * slot)


@dataclass(frozen=True, slots=True)
class Mail:
    """A message, and who left it."""

    message: Message
    sender: str


def read_header(sector: bytes) -> Header | str:
    """Read the first sector; where it is none of a disk that we can use, the reason in one phrase."""
    if len(sector) < _HEADER.size:
        return "it is too small"
    magic, version, slots, sector_bytes, watchdog, allocate, loop, msgwait, minor, uuid = _HEADER.unpack_from(
        sector
    )
    if magic != MAGIC:
        return "it has no sbd header; sbd -d DISK create makes one"
    if version != VERSION:
        return f"its header is of version {version}; only {VERSION} is known"
    if sector_bytes not in SECTOR_SIZES or not slots:
        return f"its header is broken: {slots} slots, sectors of {sector_bytes} bytes"
    if msgwait < 2 * watchdog:
        return f"msgwait ({msgwait} s) is below 2 x watchdog ({watchdog} s) = {2 * watchdog} s"
    return Header(sector_bytes, slots, watchdog, allocate, loop, msgwait, minor, uuid)


def too_short(header: Header, watchdog_ms: int) -> str:
    """Return why a sender would count a node off before its watchdog has fired, with the sum; "" when it would not."""
    needed_ms = 2 * watchdog_ms
    if 1000 * header.msgwait_s >= needed_ms:
        return ""
    return f"its msgwait ({header.msgwait_s} s) is below 2 x the watchdog ({watchdog_ms} ms) = {needed_ms} ms"


def unread_ms_max(header: Header, watchdog_ms: int) -> int:
    """Return for how long disks may go unread by a node for which nobody vouches.

    Not longer than sbd itself waits; and when a pill counts that was left meanwhile, the watchdog must have fired, though
    it was noticed one look later and nothing shortens the watchdog's time-out.
    """
    noticed_and_fired_ms = watchdog_ms + watchdog_ms // LOOKS_PER_TIMEOUT
    return min(1000 * header.watchdog_s, 1000 * header.msgwait_s - noticed_and_fired_ms)


def write_header(header: Header) -> bytes:
    """Write the first sector."""
    return _HEADER.pack(
        MAGIC,
        VERSION,
        header.slots,
        header.sector_bytes,
        header.watchdog_s,
        header.allocate_s,
        header.loop_s,
        header.msgwait_s,
        header.minor,
        header.uuid,
    ).ljust(header.sector_bytes, b"\0")


def write_name(header: Header, node: NodeName) -> bytes:
    """Write the sector that gives a slot to a node."""
    return _write(header, 1, str(node))


def write_mail(header: Header, mail: Mail) -> bytes:
    """Write a mailbox."""
    return _write(header, mail.message, mail.sender)


def read_name(sector: bytes) -> NodeName | None:
    """Read whose slot it is; None when it is nobody's."""
    in_use, name = _SLOT.unpack_from(sector)
    return NodeName(_text(name)) if in_use else None


def read_mail(sector: bytes) -> Mail | None:
    """Read a mailbox; None when what it holds is no message that is known."""
    number, sender = _SLOT.unpack_from(sector)
    try:
        return Mail(Message(number), _text(sender))
    except ValueError:
        return None


def slots_of(header: Header, disk: bytes) -> Iterator[tuple[int, NodeName]]:
    """Give the slots that have an owner."""
    for slot in range(header.slots):
        name = read_name(disk[header.slot_at(slot) : header.slot_at(slot) + _SLOT.size])
        if name is not None:
            yield slot, name


def slot_of(header: Header, disk: bytes, node: NodeName) -> int | None:
    """Find a node's slot, whatever the case of its name, as sbd does; None when it has none."""
    return next((slot for slot, name in slots_of(header, disk) if name.lower() == node.lower()), None)


def free_slot(header: Header, disk: bytes) -> int | None:
    """Return the first slot without an owner; None when the disk is full."""
    taken = {slot for slot, _ in slots_of(header, disk)}
    return next((slot for slot in range(header.slots) if slot not in taken), None)


def _write(header: Header, number: int, text: str) -> bytes:
    data = text.encode()
    assert len(data) <= NAME_BYTES_MAX, f"{text!r} is longer than a slot's name can be"
    return _SLOT.pack(number, data).ljust(header.sector_bytes, b"\0")


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode(errors="replace")
