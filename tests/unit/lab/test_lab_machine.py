"""The watchdog's contract, and the settings that a machine's daemon finds."""

import json
import signal
import tomllib

import pytest

from komainu.lab import client, files, machine, preflight, procfs
from komainu.lab.layout import Layout
from komainu.lab.machine import Watchdog


def expiry(watchdog: Watchdog, line: bytes, now: float) -> float | None:
    watchdog.line(line, now)
    return watchdog.expires


def test_a_watchdog_counts_from_the_last_pet() -> None:
    watchdog = Watchdog()
    assert expiry(watchdog, b"pet", 1.0) is None
    assert expiry(watchdog, b'{"arm": 500}', 10.0) == 10.5
    assert expiry(watchdog, b"pet", 10.4) == 10.9
    assert expiry(watchdog, b"{ not json", 10.8) == 11.3
    assert expiry(watchdog, b'{"disarm": true}', 11.0) is None


def test_how_a_daemon_ended_in_words() -> None:
    assert machine.how_it_ended(signal.SIGKILL) == "killed by SIGKILL"
    assert machine.how_it_ended(70 << 8) == "exited with 70"


def test_the_settings_name_every_node_with_its_links_in_order() -> None:
    settings = tomllib.loads(files.settings_text(Layout(("a", "b"), 2), "demo"))
    assert settings["cluster"]["name"] == "demo"
    assert [node["id"] for node in settings["node"]] == [1, 2]
    assert settings["node"][1]["links"] == ["192.168.33.102", "192.168.34.102", "10.77.0.2"]


@pytest.mark.parametrize(
    ("answer", "node"),
    [
        (b"HTTP/1.0 200 OK\r\nX-Node: b\r\n\r\nhello", "b"),
        (b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\na says hello", "a"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "?"),
        (b"HTTP/1.0 503 No\r\nX-Node: b\r\n\r\n", None),
        (b"", None),
        (b"\xff\x00", None),
    ],
)
def test_who_answered(answer: bytes, node: str | None) -> None:
    assert client.answering_node(answer) == node


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    (report,) = preflight.missing()
    assert "`unshare`, `nsenter`, `ip`" in report.message
    assert "apt install iproute2 util-linux" in report.hint


def test_this_process_is_found_in_proc() -> None:
    import os

    seen = procfs.parent_and_start(os.getpid())
    assert seen is not None
    assert seen[0] == os.getppid()
    assert os.getpid() in procfs.children_of(os.getppid())
    namespace = procfs.pid_namespace(os.getpid())
    assert namespace is not None
    assert os.getpid() in procfs.in_pid_namespace(namespace)
    assert procfs.environment(os.getpid()).get("PATH")
    assert "py" in procfs.command_line(os.getpid())
    assert procfs.local_addresses(2**22 + 1) == frozenset()
    assert procfs.parent_and_start(2**22 + 1) is None
    assert json.dumps(procfs.environment(2**22 + 1)) == "{}"
