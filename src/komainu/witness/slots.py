"""Decide what the blocks of a lease's file or disk mean: a header, and one slot for each node.

Pure: bytes in, values out, and back. Knows no file. Each slot is written by its own node only, so no lock is needed and
no write destroys another node's. A page ends with a check: one that was torn, or written before the file was prepared
anew, is none. It keeps no secret: who can write to the disk can give the vote, as he can leave a poison pill.
Source: the registers with a single writer of "Disk Paxos" (Gafni and Lamport 2003), section 3.
"""

import struct
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import msgspec

from komainu.model.ids import NodeId
from komainu.witness.message import Answer, Question

SLOTS: Final = 64
"""A node's slot is its id modulo this: settings in which two nodes share one are refused."""

BLOCK_BYTES: Final = 16_384
"""A header or a slot: a multiple of every sector's size. A page of 64 nodes has 8.5 kB at most."""

FILE_BYTES: Final = BLOCK_BYTES * (1 + SLOTS)

LEASE_MS: Final = 3_000
"""Without another word: that of its clerk is half of it, ten rounds of 150 ms, which a busy disk still answers."""

LEASE_MS_MIN: Final = 500
LEASE_MS_MAX: Final = 30_000

REASON_CHARACTERS_MAX: Final = 60
"""Of a reason as much is kept on the disk: 64 of them have to fit into a page."""

UUID_BYTES: Final = 16

_MAGIC: Final = b"KOMAINU\0LEASE\0\0\1"
_HEADER: Final = struct.Struct(">16sII16s64s")  # magic, blocks, lease, uuid, name of the cluster
_CHECK: Final = struct.Struct(">I")
_PAGE: Final = b"KP1"
_CHECK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Header:
    """What the first block says. All nodes keep this lease, whatever their settings say."""

    lease_ms: int
    cluster: str
    uuid: bytes  # another one each time that the file or disk is prepared
    identity: tuple[int, ...] = ()  # of what it was read from: a copy says the same, and is another file


class Page(msgspec.Struct, frozen=True, array_like=True):
    """What a node has in its slot."""

    node: NodeId
    life: int  # random; another one after each write that failed, and may still come
    number: int  # grows within the life
    claim: int  # as the clerk, the life of its ballot box; 0: it is no clerk
    question: Question | None
    answers: tuple[tuple[NodeId, Answer], ...]


def slot_of(node: NodeId) -> int:
    """Return a node's slot."""
    return node % SLOTS


def place_of(slot: int) -> int:
    """Return where a slot begins."""
    return BLOCK_BYTES * (1 + slot)


def write_header(header: Header) -> bytes:
    """Write the first block."""
    head = _HEADER.pack(_MAGIC, SLOTS, header.lease_ms, header.uuid, header.cluster.encode())
    return (head + _CHECK.pack(zlib.crc32(head))).ljust(BLOCK_BYTES, b"\0")


def read_header(block: bytes) -> Header | str:
    """Read the first block; where it is none of ours, the reason in one phrase."""
    if len(block) < BLOCK_BYTES:
        return "it is too small"
    magic, slots, lease_ms, uuid, cluster = _HEADER.unpack_from(block)
    if magic != _MAGIC:
        return "it has no header of a lease; komainu witness lease create makes one"
    (check,) = _CHECK.unpack_from(block, _HEADER.size)
    name = cluster.rstrip(b"\0")
    is_broken = check != zlib.crc32(block[: _HEADER.size]) or slots != SLOTS
    if is_broken or not LEASE_MS_MIN <= lease_ms <= LEASE_MS_MAX:
        return "its header is broken; komainu witness lease create --overwrite makes it anew"
    return Header(lease_ms, name.decode(errors="replace"), uuid)


def is_blank(block: bytes) -> bool:
    """Whether nobody has written here yet."""
    return not any(block)


def write_page(page: Page, header: Header) -> bytes:
    """Write a page as a block."""
    said = msgspec.msgpack.encode(page)
    block = _PAGE + len(said).to_bytes(2) + _check(said, header) + said
    assert len(block) <= BLOCK_BYTES, f"a page of {len(block)} bytes"
    return block.ljust(BLOCK_BYTES, b"\0")


def read_page(block: bytes, header: Header) -> Page | None:
    """Read a block, with or without the zeros at its end; None when it is no whole page of this header."""
    block = block.ljust(BLOCK_BYTES, b"\0")
    if not block.startswith(_PAGE):
        return None
    check_at = len(_PAGE) + 2
    said_at = check_at + _CHECK_BYTES
    said = block[said_at:][: int.from_bytes(block[len(_PAGE) : check_at])]
    if _check(said, header) != block[check_at:said_at]:
        return None
    try:
        return msgspec.msgpack.decode(said, type=Page)
    except (ValueError, msgspec.MsgspecError):
        return None


def _check(said: bytes, header: Header) -> bytes:
    return blake2b(said, digest_size=_CHECK_BYTES, key=header.uuid).digest()
