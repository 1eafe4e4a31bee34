"""Pet the machine's watchdog while the daemon makes progress, so that a daemon that stands still resets it.

Decides nothing but when to pet: only when the caller says that the loop turned and its deadlines were met.
Speaks to a watchdog device, or to the supervisor of a machine that is only played (lab/), over its socket.
Source: linux/watchdog.h and the kernel's watchdog-api document: opening arms, any byte pets, `V` before
closing disarms.
"""

import fcntl
import json
import os
import socket
import struct
from typing import Final, Protocol

from komainu.model.report import Place, Refused, Report
from komainu.node.settings import WatchdogSettings

_SET_TIMEOUT: Final = 0xC0045706
SOCKET_TIMEOUT_S: Final = 2.0
"""How long the supervisor may take to accept; later the daemon would pet late by its own fault."""


class Watchdog(Protocol):
    """What the daemon's loop needs of either kind."""

    def pet(self) -> None:
        """Say that the daemon makes progress."""

    def disarm(self) -> None:
        """Say that the daemon ends on purpose."""


class DeviceWatchdog:
    """A /dev/watchdog. It is armed by being opened."""

    def __init__(self, path: str, timeout_ms: int) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        seconds = max(1, -(-timeout_ms // 1000))
        try:
            answer = fcntl.ioctl(self._descriptor, _SET_TIMEOUT, struct.pack("i", seconds))
        except OSError:  # some drivers have one fixed time-out
            answer = struct.pack("i", seconds)
        self.timeout_ms = 1000 * int(struct.unpack("i", answer)[0])

    def pet(self) -> None:
        """Write one byte."""
        os.write(self._descriptor, b"\0")

    def disarm(self) -> None:
        """Write the magic character and close; a device with nowayout stays armed all the same."""
        os.write(self._descriptor, b"V")
        os.close(self._descriptor)


class SocketWatchdog:
    """The watchdog of a played machine: JSON lines to its supervisor."""

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
            if error.errno == 16
            else "modprobe softdog gives a software watchdog; without one, remove [watchdog] from the settings"
        )
        message = f"the watchdog cannot be armed: {error.strerror or error}"
        raise Refused((Report("watchdog.unusable", message, hint, Place(settings.path)),)) from None
