"""A file answers the kernel's requests as a watchdog's driver would; the bytes are those of linux/fuse.h."""

import errno
import struct

import pytest

from komainu.lab.watchdog_file import WatchdogFile

GETATTR, OPEN, WRITE, RELEASE, FLUSH, INIT, INTERRUPT, IOCTL, STATFS = 3, 14, 16, 18, 25, 26, 36, 39, 17
GET_SUPPORT, SET_OPTIONS, SET_TIMEOUT, GET_TIME_LEFT = 0x80285700, 0x80045704, 0xC0045706, 0x8004570A


def ask(file: WatchdogFile, call: int, body: bytes = b"", now: float = 0.0) -> tuple[int, bytes]:
    """Send a request; give the error number and the answer."""
    reply = file.handle(struct.pack("<IIQQIIIHH", 40 + len(body), call, 7, 1, 0, 0, 0, 0, 0) + body, now)
    assert reply is not None
    size, error, unique = struct.unpack_from("<IiQ", reply)
    assert (size, unique) == (len(reply), 7)
    return -error, reply[16:]


def write(file: WatchdogFile, data: bytes, now: float) -> None:
    body = struct.pack("<QQIIQII", 1, 0, len(data), 0, 0, 0, 0) + data
    assert ask(file, WRITE, body, now) == (0, struct.pack("<II", len(data), 0))


def ioctl(file: WatchdogFile, request: int, value: int = 0, now: float = 0.0) -> tuple[int, bytes]:
    error, answer = ask(file, IOCTL, struct.pack("<QIIQIIi", 1, 0, request, 0, 4, 4, value), now)
    return error, answer[16:]


def test_it_is_armed_by_opening_and_counts_from_the_last_byte() -> None:
    file = WatchdogFile()
    assert ask(file, INIT)[1][:8] == struct.pack("<II", 7, 31)
    assert len(ask(file, GETATTR)[1]) == 104
    assert file == WatchdogFile(), "it is not armed yet"
    assert ask(file, OPEN, now=10.0)[0] == 0
    assert file.expires == 70.0
    assert ioctl(file, SET_TIMEOUT, 2, now=11.0) == (0, struct.pack("<i", 2))
    assert file.expires == 13.0
    write(file, b"\0", 12.0)
    assert file.expires == 14.0
    assert ioctl(file, GET_TIME_LEFT, now=12.5) == (0, struct.pack("<i", 1))


def test_only_one_may_hold_it() -> None:
    file = WatchdogFile()
    ask(file, OPEN)
    assert ask(file, OPEN)[0] == errno.EBUSY
    ask(file, RELEASE)
    assert ask(file, OPEN)[0] == 0


@pytest.mark.parametrize(
    ("last", "is_armed"), [(b"V", False), (b"\0", True), (b"V\0", True), (b"\0V", False)]
)
def test_only_the_magic_character_as_the_last_one_disarms(last: bytes, is_armed: bool) -> None:
    file = WatchdogFile()
    ask(file, OPEN)
    write(file, last, 5.0)
    assert ask(file, FLUSH) == (0, b"")
    assert file.expires is not None, "closing disarms, not writing"
    ask(file, RELEASE)
    assert (file.expires is not None) == is_armed


@pytest.mark.parametrize("was_reset", [True, False])
def test_it_says_what_it_can_and_whether_it_made_the_boot(was_reset: bool) -> None:
    file = WatchdogFile(was_reset=was_reset)
    options, firmware, identity = struct.unpack("<II32s", ioctl(file, GET_SUPPORT)[1])
    assert (options, firmware, identity.rstrip(b"\0")) == (0x8180, 1, b"komainu lab")
    assert ioctl(file, 0x80045702) == (0, struct.pack("<i", 0x20 if was_reset else 0))


@pytest.mark.parametrize(
    ("request_code", "value", "error"),
    [(SET_OPTIONS, 1, errno.ENOTTY), (SET_TIMEOUT, 0, errno.EINVAL), (SET_TIMEOUT, 70_000, errno.EINVAL)],
)
def test_what_it_cannot_is_refused_and_changes_nothing(request_code: int, value: int, error: int) -> None:
    file = WatchdogFile()
    assert ioctl(file, request_code, value)[0] == error
    assert ask(file, STATFS)[0] == errno.ENOSYS
    assert file == WatchdogFile()


def test_what_wants_no_answer_gets_none() -> None:
    request = struct.pack("<IIQQIIIHH", 40, INTERRUPT, 7, 1, 0, 0, 0, 0, 0)
    assert WatchdogFile().handle(request, 0.0) is None
