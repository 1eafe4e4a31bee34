"""Read and write a lease's file or disk around the page cache; make one, and say what is on it. Every call may block.

The file is opened for each round: one that was moved away, or made anew, is not written to for long. Must not know:
whose turn it is to write. Source: open(2), O_DIRECT and O_SYNC; what a client of NFS keeps in its cache is not seen there.
"""

import contextlib
import errno
import mmap
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from komainu.witness.slots import (
    BLOCK_BYTES,
    FILE_BYTES,
    SLOTS,
    Header,
    is_blank,
    place_of,
    read_header,
    write_header,
)

DIRECT: Final = os.O_DIRECT | os.O_SYNC | os.O_CLOEXEC

FILE_MODE: Final = 0o600


class LeaseFile:
    """One file or disk, open. Calls raise OSError, or ValueError with the reason in one phrase."""

    def __init__(self, path: str, *, is_to_write: bool = True) -> None:
        """Open it and read its header. Raises OSError; ValueError where it is none of ours."""
        self.path = path
        try:
            self._descriptor = os.open(path, DIRECT | (os.O_RDWR if is_to_write else os.O_RDONLY))
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise ValueError("its file system cannot be read around the cache (O_DIRECT)") from None
            raise
        try:
            self.header = self._read_header()
        except (OSError, ValueError):
            self.close()
            raise

    def read(self, slots: frozenset[int] | None) -> dict[int, bytes]:
        """Read these slots, or all, without the zeros at their ends."""
        wanted = frozenset(range(SLOTS)) if slots is None else slots
        first, last = min(wanted), max(wanted)
        start = place_of(first)
        data = self._read(start, place_of(last) + BLOCK_BYTES - start)
        return {slot: data[place_of(slot) - start :][:BLOCK_BYTES].rstrip(b"\0") for slot in sorted(wanted)}

    def write(self, slot: int, block: bytes) -> None:
        """Write a slot; back when it is on the disk."""
        _write(self._descriptor, place_of(slot), block)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _read_header(self) -> Header:
        found = read_header(self._read(0, BLOCK_BYTES))
        if isinstance(found, str):
            raise ValueError(found)  # noqa: TRY004 - the content is wrong, not the type of an argument
        stands = os.fstat(self._descriptor)
        identity = (stands.st_rdev,) if stat.S_ISBLK(stands.st_mode) else (stands.st_dev, stands.st_ino)
        return replace(found, identity=identity)

    def _read(self, at: int, size: int) -> bytes:
        with mmap.mmap(-1, size) as buffer:  # aligned, as the direct way wants it
            count = os.preadv(self._descriptor, [buffer], at)
            if count < size:
                raise ValueError(f"it is too small: it has to have {FILE_BYTES} bytes")
            return buffer[:size]


def create(path: str, header: Header, *, may_overwrite: bool) -> None:
    """Prepare a new file, or a disk. Raises OSError; ValueError, with the reason in one phrase, when it should not be."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    descriptor = os.open(path, os.O_RDWR | os.O_SYNC | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISBLK(found.st_mode)):
            raise ValueError("it is neither a file nor a disk")
        if not may_overwrite and not all(is_blank(block) for block in _blocks(descriptor)):
            raise ValueError("something is on it already")
        if stat.S_ISBLK(found.st_mode) and os.lseek(descriptor, 0, os.SEEK_END) < FILE_BYTES:
            raise ValueError(f"it is too small: it has to have {FILE_BYTES} bytes")
        blank = bytes(BLOCK_BYTES)
        for slot in range(SLOTS):
            _write(descriptor, place_of(slot), blank)
        _write(descriptor, 0, write_header(header))  # last: what has a header is whole
    finally:
        os.close(descriptor)


def _blocks(descriptor: int) -> Iterator[bytes]:
    """Read what is there of the room that is needed."""
    for at in range(0, FILE_BYTES, BLOCK_BYTES):
        yield os.pread(descriptor, BLOCK_BYTES, at)


def _write(descriptor: int, at: int, block: bytes) -> None:
    with mmap.mmap(-1, len(block)) as buffer:
        buffer[:] = block
        if os.pwritev(descriptor, [buffer], at) < len(block):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
