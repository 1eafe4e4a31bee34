"""Watch shared disks for a poison pill, each in a thread of its own, since a disk may hang for minutes.

A shell around fencing/sbd.py. The loop never waits for a disk: it only reads when each was last heard. Source:
sbd(8): with one disk a pill on it counts, with three a pill on any; a node that can read fewer than half of its
disks needs quorum to live on.
"""

import contextlib
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from komainu.fencing.sbd import (
    POISON,
    Header,
    Mail,
    Message,
    free_slot,
    read_header,
    read_mail,
    slot_of,
    too_short,
    unread_ms_max,
    write_mail,
    write_name,
)
from komainu.model.ids import NodeName
from komainu.model.report import Place, Refused, Report

HEADER_BYTES: Final = 4096
"""One read that has the header whatever the size of a sector is."""

RETRY_S: Final = 2.0
"""Pause after a disk that could not be read or is no disk of ours."""


class SbdDisk:
    """One shared disk, read and written around the page cache. Every call may block."""

    def __init__(self, path: str) -> None:
        """Raises OSError; ValueError, with the reason in one phrase, when it is no disk that we can use."""
        self.path = path
        flags = os.O_RDWR | os.O_SYNC | os.O_CLOEXEC
        try:
            self._descriptor = os.open(path, flags | os.O_DIRECT)
        except OSError:  # a file system may have no direct way
            self._descriptor = os.open(path, flags)
        try:
            self.header = self._read_header()
        except (OSError, ValueError):
            os.close(self._descriptor)
            raise

    def slot(self, node: NodeName) -> int | None:
        """Find a node's slot."""
        return slot_of(self.header, self.content(), node)

    def content(self) -> bytes:
        """Read all that is used of the disk."""
        rounded = -(-self.header.disk_bytes // HEADER_BYTES) * HEADER_BYTES
        return _whole(self._read(0, rounded), self.header.disk_bytes)

    def allocate(self, node: NodeName) -> int:
        """Find a node's slot or take a free one. Raises ValueError when the disk is full."""
        disk = self.content()
        slot = slot_of(self.header, disk, node)
        if slot is not None:
            return slot
        slot = free_slot(self.header, disk)
        if slot is None:
            raise ValueError("all its slots are taken")
        self._write(self.header.slot_at(slot), write_name(self.header, node))
        time.sleep(self.header.allocate_s)  # another node may take the same slot at the same time
        if self.slot(node) != slot:
            raise ValueError("another node took the slot at the same time")
        return slot

    def mail(self, slot: int) -> Mail | None:
        """Read a slot's mailbox."""
        size = self.header.sector_bytes
        return read_mail(_whole(self._read(self.header.mailbox_at(slot), size), size))

    def look_again(self) -> None:
        """Raise ValueError when the disk is no longer what it was when it was opened: nobody finds our slot then."""
        if self._read_header() != self.header:
            raise ValueError("it was prepared anew")

    def clear(self, slot: int, owner: NodeName) -> None:
        """Empty the owner's own mailbox. What comes in at the same moment is read the next time."""
        self._write(self.header.mailbox_at(slot), write_mail(self.header, Mail(Message.CLEAR, str(owner))))

    def send(self, slot: int, mail: Mail) -> None:
        """Leave a message, and see that it is there. Raises OSError when it is not."""
        self._write(self.header.mailbox_at(slot), write_mail(self.header, mail))
        if self.mail(slot) != mail:
            raise OSError(0, "what was written cannot be read back")

    def close(self) -> None:
        """Close the disk."""
        os.close(self._descriptor)

    def _read_header(self) -> Header:
        header = read_header(self._read(0, HEADER_BYTES))
        if isinstance(header, str):
            raise ValueError(header)  # noqa: TRY004 - the disk's content is wrong, not the type of an argument
        return header

    def _read(self, at: int, size: int) -> bytes:
        with mmap.mmap(-1, size) as buffer:  # aligned, as the direct way wants it
            count = os.preadv(self._descriptor, [buffer], at)
            return buffer[:count]

    def _write(self, at: int, data: bytes) -> None:
        with mmap.mmap(-1, len(data)) as buffer:
            buffer[:] = data
            os.pwritev(self._descriptor, [buffer], at)


def _whole(data: bytes, wanted: int) -> bytes:
    """Give what was read. Raises ValueError when the disk ends before: it is too small, or became so."""
    if len(data) < wanted:
        raise ValueError(f"it is too small: it ends {wanted - len(data)} bytes before its last slot")
    return data


def refuse_short_waits(paths: tuple[str, ...], watchdog_ms: int) -> None:
    """Raise Refused when a disk's msgwait is too short for this watchdog. A disk that is not there is left out."""
    reports = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError), contextlib.closing(SbdDisk(path)) as disk:
            if why := too_short(disk.header, watchdog_ms):
                hint = (
                    "a shorter [watchdog] timeout, or a new header: sbd -d DISK -1 WATCHDOG -4 MSGWAIT create"
                )
                reports.append(
                    Report("sbd.msgwait", f"the shared disk cannot be used: {why}", hint, Place(path))
                )
    if reports:
        raise Refused(tuple(reports))


class SbdWatch:
    """The watchers of all disks of a node. `poisoned` and `note` are called from their threads."""

    def __init__(
        self,
        paths: tuple[str, ...],
        me: NodeName,
        poisoned: Callable[[str], None],
        note: Callable[[str], None],
        *,
        watchdog_ms: int,
    ) -> None:
        """`watchdog_ms`: after what time this machine's watchdog fires."""
        self._me = me
        self._watchdog_ms = watchdog_ms
        self._poisoned = poisoned
        self._note = note
        self._is_over = threading.Event()
        self._heard: dict[str, float] = {}  # when each disk was last read
        self.troubles: dict[str, str] = {}  # by disk, why it cannot be used now
        self._unread_s_max = 5.0  # until a disk says what it is
        self._had_majority = False
        self._threads = [
            threading.Thread(target=self._watch, args=(path,), name=f"sbd {path}", daemon=True)
            for path in paths
        ]
        self._paths = paths

    def start(self) -> None:
        """Begin to watch."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Ask the threads to end; one that hangs in its disk is left to it."""
        self._is_over.set()

    def has_lost_majority(self) -> bool:
        """Whether no more than half of the disks were read within the time that counts, after more were once.

        Waits for nothing.
        """
        oldest = time.monotonic() - self._unread_s_max
        has_it = 2 * sum(heard > oldest for heard in list(self._heard.values())) > len(self._paths)
        self._had_majority = self._had_majority or has_it
        return self._had_majority and not has_it

    def warnings(self) -> tuple[str, ...]:
        """Say which disks cannot be used now, before they are needed."""
        return tuple(
            f"the shared disk {path} cannot be used: {reason}; no poison pill is read from it"
            for path, reason in sorted(self.troubles.items())
        )

    def _watch(self, path: str) -> None:
        said = ""
        while not self._is_over.is_set():
            try:
                with contextlib.closing(SbdDisk(path)) as disk:
                    for mail in self._mails(disk):
                        said = ""
                        self._take(disk, mail)
            except (OSError, ValueError) as error:
                reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
                self.troubles[path] = reason
                if reason != said:
                    self._note(f"the shared disk {path} cannot be used: {reason}")
                said = reason
            self._is_over.wait(RETRY_S)

    def _mails(self, disk: SbdDisk) -> Iterator[Mail]:
        """Give each message in this node's mailbox; what is there at the first look was for an earlier life.

        After an outage of the disk nothing is cleared: a pill may have been left meanwhile.
        """
        if why := too_short(disk.header, self._watchdog_ms):
            raise ValueError(why)
        slot = disk.allocate(self._me)
        self._unread_s_max = unread_ms_max(disk.header, self._watchdog_ms) / 1000
        if disk.path not in self._heard:
            disk.clear(slot, self._me)
        while not self._is_over.is_set():
            mail = disk.mail(slot)
            disk.look_again()
            self._heard[disk.path] = time.monotonic()
            self.troubles.pop(disk.path, None)
            if mail is not None and mail.message is not Message.CLEAR:
                yield mail
                if mail.message in POISON:
                    self._is_over.wait()  # the pill stays, so that its sender sees it there
                    return
                disk.clear(slot, self._me)
            self._is_over.wait(disk.header.loop_s)

    def _take(self, disk: SbdDisk, mail: Mail) -> None:
        if mail.message in POISON:
            self._poisoned(
                f"{self._me} read the poison pill `{mail.message.name.lower()}` that {mail.sender} left on {disk.path}"
            )
        else:
            self._note(f"{mail.sender} left the message `{mail.message.name.lower()}` on {disk.path}")
