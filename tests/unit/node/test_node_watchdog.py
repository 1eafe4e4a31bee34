"""The watchdog's two kinds say what their counterparts expect."""

import json
import socket
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
