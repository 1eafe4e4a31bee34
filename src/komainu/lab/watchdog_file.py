"""Play a machine's watchdog device: one file, served through FUSE, that answers what a driver answers.

Decides when the machine's time is up; resets nothing. `handle` is pure: a request of the kernel in, the reply out.
Opening arms it and only one may hold it, any byte pets, `V` as the last byte before closing disarms, and a holder
that is gone without it leaves the watchdog running. Deviation: through FUSE the kernel hands the argument of
WDIOC_SETOPTIONS to nobody (it is encoded as one that only returns a value), so that call is not offered.
Source: linux/fuse.h (protocol 7.31), linux/watchdog.h.
"""

import errno
import os
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

REQUEST_BYTES_MAX: Final = 128 * 1024
"""The kernel wants a buffer for its longest write and a header; a pet is one byte."""

MINUTE_S: Final = 60
"""What a watchdog's time-out is until somebody sets it, as softdog has it."""
TIMEOUT_S_MAX: Final = 65_535

_MAJOR: Final = 7
_MINOR: Final = 31
_WRITE_BYTES_MAX: Final = 4096
_REQUEST: Final = struct.Struct("<IIQQIIIHH")
_REPLY: Final = struct.Struct("<IiQ")
_INIT: Final = struct.Struct("<IIIIHHIIHHI28x")
_ATTRIBUTES: Final = struct.Struct("<QII6Q10I")
_OPENED: Final = struct.Struct("<QII")
_WRITTEN: Final = struct.Struct("<QQII16x")
_CALLED: Final = struct.Struct("<QIIQII")
_ANSWERED: Final = struct.Struct("<iIII")
_SUPPORT: Final = struct.Struct("<II32s")


class _Call(IntEnum):
    """What the kernel asks of a file system, as far as a file that is a device is asked it."""

    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    OPEN = 14
    WRITE = 16
    RELEASE = 18
    FLUSH = 25
    INIT = 26
    INTERRUPT = 36
    IOCTL = 39
    BATCH_FORGET = 42


class _Ioctl(IntEnum):
    """What a program asks of a watchdog."""

    GET_SUPPORT = 0x80285700
    GET_STATUS = 0x80045701
    GET_BOOT_STATUS = 0x80045702
    KEEP_ALIVE = 0x80045705
    SET_TIMEOUT = 0xC0045706
    GET_TIMEOUT = 0x80045707
    GET_TIME_LEFT = 0x8004570A


_UNANSWERED: Final = {_Call.FORGET, _Call.BATCH_FORGET, _Call.INTERRUPT}
_DIRECT_AND_UNSEEKABLE: Final = 1 | 4
MODE: Final = 0o100600
"""Of the file, as mount(2) wants it, too."""

_CAN: Final = 0x80 | 0x100 | 0x8000  # a time-out can be set, a magic close, KEEPALIVE
_CARD_RESET: Final = 0x20
IDENTITY: Final = b"komainu lab"


@dataclass(slots=True)
class WatchdogFile:
    """The watchdog of one life of a machine. Times are monotonic seconds."""

    was_reset: bool = False  # it made this boot
    timeout_s: float = MINUTE_S
    expires: float | None = None  # None: not armed
    _is_held: bool = False
    _is_magic: bool = False

    def handle(self, request: bytes, now: float) -> bytes | None:
        """Answer one request of the kernel; None: it wants no answer."""
        _, call, unique, *_ = _REQUEST.unpack_from(request)
        if call in _UNANSWERED:
            return None
        try:
            answer = self._answer(call, request[_REQUEST.size :], now)
        except OSError as error:
            return _REPLY.pack(_REPLY.size, -(error.errno or errno.EIO), unique)
        return _REPLY.pack(_REPLY.size + len(answer), 0, unique) + answer

    def _answer(self, call: int, body: bytes, now: float) -> bytes:
        match call:
            case _Call.INIT:
                return _INIT.pack(_MAJOR, _MINOR, 0, 0, 1, 1, _WRITE_BYTES_MAX, 1, 0, 0, 0)
            case _Call.GETATTR | _Call.SETATTR:  # a file of one inode that nothing changes
                return _ATTRIBUTES.pack(
                    0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, MODE, 1, os.getuid(), os.getgid(), 0, 512, 0
                )
            case _Call.OPEN:
                return self._open(now)
            case _Call.WRITE:
                return self._write(body, now)
            case _Call.RELEASE:
                self._release()
                return b""
            case _Call.FLUSH:  # somebody closed one of its descriptors
                return b""
            case _Call.IOCTL:
                return self._call(body, now)
            case _:
                raise OSError(errno.ENOSYS, "a watchdog cannot do that")

    def _open(self, now: float) -> bytes:
        if self._is_held:
            raise OSError(errno.EBUSY, "another program holds it")
        self._is_held, self._is_magic = True, False
        self._pet(now)
        return _OPENED.pack(1, _DIRECT_AND_UNSEEKABLE, 0)

    def _write(self, body: bytes, now: float) -> bytes:
        size = _WRITTEN.unpack_from(body)[2]
        data = body[_WRITTEN.size : _WRITTEN.size + size]
        self._is_magic = data.endswith(b"V")
        self._pet(now)
        return struct.pack("<II", size, 0)

    def _release(self) -> None:
        self._is_held = False
        if self._is_magic:
            self.expires = None

    def _call(self, body: bytes, now: float) -> bytes:
        _, _, request, _, _, _ = _CALLED.unpack_from(body)
        data = body[_CALLED.size :]
        match request:
            case _Ioctl.GET_SUPPORT:
                answer = _SUPPORT.pack(_CAN, 1, IDENTITY)
            case _Ioctl.GET_STATUS:
                answer = struct.pack("<i", 0)
            case _Ioctl.GET_BOOT_STATUS:
                answer = struct.pack("<i", _CARD_RESET if self.was_reset else 0)
            case _Ioctl.KEEP_ALIVE:
                self._pet(now)
                answer = struct.pack("<i", 0)
            case _Ioctl.SET_TIMEOUT:
                seconds = struct.unpack_from("<i", data)[0]
                if not 1 <= seconds <= TIMEOUT_S_MAX:
                    raise OSError(errno.EINVAL, "no driver takes such a time-out")
                self.timeout_s = seconds
                self._pet(now)
                answer = struct.pack("<i", seconds)
            case _Ioctl.GET_TIMEOUT:
                answer = struct.pack("<i", int(self.timeout_s))
            case _Ioctl.GET_TIME_LEFT:
                answer = struct.pack("<i", max(0, int((self.expires or now) - now)))
            case _:
                raise OSError(errno.ENOTTY, "no such call")
        return _ANSWERED.pack(0, 0, 0, 0) + answer

    def _pet(self, now: float) -> None:
        self.expires = now + self.timeout_s
