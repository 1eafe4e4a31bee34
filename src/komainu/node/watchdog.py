"""Pet the machine's watchdog while the daemon makes progress, so that a daemon that stands still resets it.

Decides nothing but when to pet: only when the caller says that the loop turned and its deadlines were met.
Speaks to a watchdog device, or to the supervisor of a machine that is only played (lab/), over its socket.
Source: linux/watchdog.h and the kernel's watchdog-api document: opening arms, any byte pets, `V` before
closing disarms.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
from collections.abc import Callable
from typing import Final, Protocol

from komainu.model.report import Place, Refused, Report
from komainu.node.settings import WatchdogSettings

_GET_SUPPORT: Final = 0x80285700  # u32 options, u32 firmware, char[32] identity
_GET_BOOT_STATUS: Final = 0x80045702
_SET_OPTIONS: Final = 0x80045704
_SET_TIMEOUT: Final = 0xC0045706  # rounds to what the driver can, and says to what
_GET_TIMEOUT: Final = 0x80045707

_CAN_SET_TIMEOUT: Final = 0x80
_IS_ALARM_ONLY: Final = 0x400
_WAS_RESET: Final = 0x20
_DISABLE: Final = 1

_PET: Final = b"\0"
_MAGIC: Final = b"V"

Ioctl = Callable[[int, int, bytes], bytes]
"""What fcntl.ioctl does: descriptor, request, argument -> what the kernel made of the argument."""


def _ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
    return fcntl.ioctl(descriptor, request, argument)


SOCKET_TIMEOUT_S: Final = 2.0
"""How long the supervisor may take to accept; later the daemon would pet late by its own fault."""


class Watchdog(Protocol):
    """What the daemon's loop needs of either kind."""

    def pet(self) -> None:
        """Say that the daemon makes progress."""

    def expire(self) -> None:
        """Have it fire as soon as it can: this machine is to be reset."""

    def disarm(self) -> None:
        """Say that the daemon ends on purpose."""


class DeviceWatchdog:
    """A /dev/watchdog. It is armed by being opened.

    `timeout_ms` is what the driver made of the wish; `was_reset` says that it made the last boot.
    """

    def __init__(self, path: str, timeout_ms: int, ioctl: Ioctl = _ioctl) -> None:
        """Raises OSError when it cannot be opened, or would only make a noise instead of a reset."""
        self._ioctl = ioctl
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            options, _, identity = struct.unpack("II32s", self._ask(_GET_SUPPORT, bytes(40)))
            self.identity = identity.partition(b"\0")[0].decode(errors="replace")
            seconds = max(1, -(-timeout_ms // 1000))
            request = _SET_TIMEOUT if options & _CAN_SET_TIMEOUT else _GET_TIMEOUT
            seconds = self._number(request, seconds)
            self.was_reset = bool(self._number(_GET_BOOT_STATUS, 0) & _WAS_RESET)
        except OSError as error:
            if error.errno != errno.ENOTTY:
                raise
            self.identity, self.was_reset, options = "a watchdog that answers no questions", False, 0
            seconds = max(1, -(-timeout_ms // 1000))
        self.timeout_ms = 1000 * seconds
        if options & _IS_ALARM_ONLY:
            self.disarm()
            raise OSError(errno.ENOTSUP, f"{self.identity} only raises an alarm and resets nothing")

    def pet(self) -> None:
        """Write one byte."""
        os.write(self._descriptor, _PET)

    def expire(self) -> None:
        """Ask for the shortest time-out that there is."""
        with contextlib.suppress(OSError):
            self._number(_SET_TIMEOUT, 1)

    def disarm(self) -> None:
        """Disable it, write the magic character, and close; a device with nowayout stays armed all the same."""
        with contextlib.suppress(OSError):
            self._number(_SET_OPTIONS, _DISABLE)
        os.write(self._descriptor, _MAGIC)
        os.close(self._descriptor)

    def _ask(self, request: int, argument: bytes) -> bytes:
        return self._ioctl(self._descriptor, request, argument)

    def _number(self, request: int, value: int) -> int:
        """Give the driver a number and return the one that it answers; where it has no such call, ours."""
        try:
            return int(struct.unpack("i", self._ask(request, struct.pack("i", value)))[0])
        except OSError as error:
            if error.errno not in {errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL}:
                raise
            return value


class SocketWatchdog:
    """The watchdog of a played machine: JSON lines to its supervisor."""

    was_reset = False  # the supervisor does not say

    def __init__(self, path: str, timeout_ms: int) -> None:
        self.timeout_ms = timeout_ms
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(SOCKET_TIMEOUT_S)
        self._socket.connect(path)
        self._socket.sendall(json.dumps({"arm": timeout_ms}).encode() + b"\n")
        self._socket.setblocking(False)

    def pet(self) -> None:
        """Send a line; when the supervisor is gone nobody is left who could reset the machine."""
        try:
            self._socket.send(b"pet\n")
        except OSError:
            return

    def expire(self) -> None:
        """Nothing shortens the supervisor's time-out: it fires when that has passed."""

    def disarm(self) -> None:
        """Send the line that ends it, and close."""
        try:
            self._socket.send(json.dumps({"disarm": True}).encode() + b"\n")
        except OSError:
            return
        finally:
            self._socket.close()


def arm(settings: WatchdogSettings) -> DeviceWatchdog | SocketWatchdog:
    """Arm the configured watchdog. Raises Refused when it is missing or held by another program."""
    try:
        if settings.is_socket:
            return SocketWatchdog(settings.path, settings.timeout_ms)
        return DeviceWatchdog(settings.path, settings.timeout_ms)
    except OSError as error:
        hint = (
            "another program holds it: sbd, watchdog(8), or systemd (RuntimeWatchdogSec); see fuser -v "
            f"{settings.path}"
            if error.errno == errno.EBUSY
            else "modprobe softdog gives a software watchdog; without one, remove [watchdog] from the settings"
        )
        message = f"the watchdog cannot be armed: {error.strerror or error}"
        raise Refused((Report("watchdog.unusable", message, hint, Place(settings.path)),)) from None
