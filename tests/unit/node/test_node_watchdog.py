"""The watchdog's two kinds say what their counterparts expect."""

import errno
import json
import socket
import struct
from pathlib import Path

import pytest

from komainu.model.report import Refused
from komainu.node.settings import WatchdogSettings
from komainu.node.watchdog import DeviceWatchdog, SocketWatchdog, arm


def test_the_socket_kind_speaks_lines(tmp_path: Path) -> None:
    path = str(tmp_path / "watchdog.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        watchdog = arm(WatchdogSettings(path, is_socket=True, timeout_ms=4000))
        connection, _ = server.accept()
        watchdog.pet()
        watchdog.pet()
        watchdog.disarm()
        with connection, connection.makefile("rb") as lines:
            arming, *pets, disarming = lines.read().splitlines()
    assert isinstance(watchdog, SocketWatchdog)
    assert json.loads(arming) == {"arm": 4000}
    assert pets == [b"pet", b"pet"]
    assert json.loads(disarming) == {"disarm": True}


def test_a_supervisor_that_is_gone_harms_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "watchdog.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        watchdog = arm(WatchdogSettings(path, is_socket=True, timeout_ms=4000))
        server.accept()[0].close()
    watchdog.pet()
    watchdog.disarm()


def test_the_device_kind_writes_bytes_and_the_magic_close(tmp_path: Path) -> None:
    path = tmp_path / "watchdog"  # a file takes bytes but no time-out, as some drivers do
    path.touch()
    watchdog = arm(WatchdogSettings(str(path), is_socket=False, timeout_ms=2500))
    watchdog.pet()
    watchdog.disarm()
    assert isinstance(watchdog, DeviceWatchdog)
    assert watchdog.timeout_ms == 3000  # the device counts whole seconds; never less than was asked for
    assert path.read_bytes() == b"\0V"


def test_no_watchdog_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="modprobe softdog"):
        arm(WatchdogSettings(str(tmp_path / "none"), is_socket=False, timeout_ms=2500))


class Driver:
    """What the kernel's side of a device does: rounds to five seconds, remembers what it was told."""

    def __init__(self, *, options: int = 0x8180, boot_status: int = 0, nowayout: bool = False) -> None:
        self.options = options
        self.boot_status = boot_status
        self.timeout_s = 60
        self.is_disabled = False
        self.nowayout = nowayout

    def ioctl(self, descriptor: int, request: int, argument: bytes) -> bytes:
        match request:
            case 0x80285700:
                return struct.pack("II32s", self.options, 1, b"Made-up Timer")
            case 0x80045702:
                return struct.pack("i", self.boot_status)
            case 0x80045704 if not self.nowayout:
                self.is_disabled = struct.unpack("i", argument)[0] == 1
                return argument
            case 0xC0045706:
                self.timeout_s = -(-struct.unpack("i", argument)[0] // 5) * 5
                return struct.pack("i", self.timeout_s)
            case 0x80045707:
                return struct.pack("i", self.timeout_s)
            case _:
                raise OSError(errno.EOPNOTSUPP, "not supported")


def test_the_device_is_asked_for_what_it_made_of_the_time_out(tmp_path: Path) -> None:
    path = tmp_path / "watchdog"
    path.touch()
    driver = Driver(boot_status=0x20)
    watchdog = DeviceWatchdog(str(path), 6_500, driver.ioctl)
    assert (watchdog.identity, watchdog.timeout_ms, watchdog.was_reset) == ("Made-up Timer", 10_000, True)
    watchdog.expire()
    assert driver.timeout_s == 5
    watchdog.disarm()
    assert driver.is_disabled
    assert path.read_bytes() == b"V"


def test_a_driver_with_a_fixed_time_out_says_which(tmp_path: Path) -> None:
    path = tmp_path / "watchdog"
    path.touch()
    watchdog = DeviceWatchdog(str(path), 5_000, Driver(options=0x8100).ioctl)
    assert watchdog.timeout_ms == 60_000
    watchdog.disarm()


def test_nowayout_lets_the_daemon_end_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "watchdog"
    path.touch()
    driver = Driver(nowayout=True)
    DeviceWatchdog(str(path), 5_000, driver.ioctl).disarm()
    assert not driver.is_disabled


def test_an_alarm_is_no_watchdog(tmp_path: Path) -> None:
    path = tmp_path / "watchdog"
    path.touch()
    with pytest.raises(OSError, match="resets nothing"):
        DeviceWatchdog(str(path), 5_000, Driver(options=0x8580).ioctl)
