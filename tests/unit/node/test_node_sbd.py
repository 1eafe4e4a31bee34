"""A node takes its slot, reads its mail, and says when its disks are gone. Plain files stand for disks."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from komainu.fencing.sbd import Header, Mail, Message, write_header
from komainu.model.ids import NodeName
from komainu.model.report import Refused
from komainu.node.sbd import SbdDisk, SbdWatch, refuse_short_waits

B = NodeName("b")
HEADER = Header(allocate_s=0, loop_s=0, watchdog_s=1, msgwait_s=2)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(write_header(HEADER).ljust(1024 * 1024, b"\0"))
    return path


def wait_until(claim: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not claim() and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert claim()


def test_a_slot_is_taken_once_and_mail_is_kept(disk: Path) -> None:
    one = SbdDisk(str(disk))
    assert one.slot(B) is None
    assert one.allocate(NodeName("a")) == 0
    assert one.allocate(B) == 1
    assert one.allocate(B) == 1
    one.send(1, Mail(Message.TEST, "a"))
    one.close()
    other = SbdDisk(str(disk))
    assert other.mail(1) == Mail(Message.TEST, "a")
    assert other.mail(0) == Mail(Message.CLEAR, "")
    other.close()


@pytest.mark.parametrize("content", [b"", b"foreign" * 1000])
def test_a_foreign_disk_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "disk"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"small|header"):
        SbdDisk(str(path))


def test_a_pill_is_swallowed_and_an_old_one_is_not(disk: Path) -> None:
    one = SbdDisk(str(disk))
    slot = one.allocate(B)
    one.send(slot, Mail(Message.OFF, "an earlier life"))
    pills: list[str] = []
    notes: list[str] = []
    watch = SbdWatch((str(disk),), B, pills.append, notes.append, watchdog_ms=1000)
    watch.start()
    wait_until(lambda: one.mail(slot) == Mail(Message.CLEAR, "b"))
    assert not pills
    with contextlib.suppress(OSError):  # it may be read and cleared before it was seen there
        one.send(slot, Mail(Message.TEST, "a"))
    wait_until(lambda: notes == [f"a left the message `test` on {disk}"])
    wait_until(lambda: one.mail(slot) == Mail(Message.CLEAR, "b"))
    one.send(slot, Mail(Message.RESET, "a"))
    wait_until(lambda: pills == [f"b read the poison pill `reset` that a left on {disk}"])
    assert one.mail(slot) == Mail(Message.RESET, "a"), "its sender can see that it is there"
    assert not watch.has_lost_majority()
    wait_until(watch.has_lost_majority)
    watch.close()
    one.close()


def test_a_disk_that_is_missing_is_named_once_and_never_was_a_majority(tmp_path: Path) -> None:
    notes: list[str] = []
    path = str(tmp_path / "none")
    watch = SbdWatch((path,), B, notes.append, notes.append, watchdog_ms=1000)
    watch.start()
    wait_until(lambda: notes == [f"the shared disk {path} cannot be used: No such file or directory"])
    assert not watch.has_lost_majority()
    assert watch.warnings() == (
        f"the shared disk {path} cannot be used: No such file or directory; no poison pill is read from it",
    )
    watch.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "small"), (b"foreign" * 1000, "header"), (write_header(HEADER).ljust(4096, b"\0"), "small")],
)
def test_status_says_of_a_disk_that_is_none_of_ours_that_it_cannot_be_used(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "disk"
    path.write_bytes(content)
    watch = SbdWatch((str(path),), B, _never, lambda _: None, watchdog_ms=1000)
    watch.start()
    wait_until(watch.warnings)
    assert said in watch.warnings()[0]
    assert path.read_bytes() == content, "nothing was written to it"
    watch.close()


def test_a_disk_that_vanishes_is_named_and_one_that_comes_back_is_not(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("komainu.node.sbd.RETRY_S", 0.01)
    watch = SbdWatch((str(disk),), B, _never, lambda _: None, watchdog_ms=1000)
    watch.start()
    wait_until(lambda: SbdDisk(str(disk)).slot(B) is not None)
    assert watch.warnings() == ()
    content = disk.read_bytes()
    os.truncate(disk, 0)
    wait_until(watch.warnings)
    disk.write_bytes(content)
    wait_until(lambda: not watch.warnings())
    watch.close()


def test_a_disk_that_loses_its_header_is_named_though_its_slots_can_be_read(
    disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("komainu.node.sbd.RETRY_S", 0.01)
    watch = SbdWatch((str(disk),), B, _never, lambda _: None, watchdog_ms=1000)
    watch.start()
    wait_until(lambda: SbdDisk(str(disk)).slot(B) is not None)
    with disk.open("r+b") as file:
        file.write(bytes(512))
    wait_until(watch.warnings)
    watch.close()


def _never(reason: str) -> None:
    raise AssertionError(reason)


def test_a_disk_whose_senders_wait_too_short_is_refused_with_the_sum(disk: Path, tmp_path: Path) -> None:
    refuse_short_waits((str(disk), str(tmp_path / "none")), 1000)
    with pytest.raises(Refused, match=r"msgwait \(2 s\) is below 2 x the watchdog \(1001 ms\) = 2002 ms"):
        refuse_short_waits((str(disk),), 1001)
