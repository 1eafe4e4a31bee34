"""One real daemon in a network namespace of its own: it starts, outlives what happens, remembers, and ends.

Each test runs one function of this file in a new process inside `unshare`, where it may do what it likes.
"""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from komainu.client.client import Client
from komainu.model.edit import SetOption
from komainu.model.report import Refused
from komainu.model.request import (
    AskConfiguration,
    AskStatus,
    Configuration,
    Done,
    EditConfigurationRequest,
    Status,
)
from komainu.node.key import write_new_key

WAIT_S = 20.0
SETTINGS = """\
[cluster]
name = "alone"
key_file = "FOLDER/key"
[paths]
state = "FOLDER/state"
run = "FOLDER/run"
[[node]]
name = "a"
id = 1
links = ["10.1.0.1"]
"""


def inside_namespace(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.live
@pytest.mark.parametrize(
    "scenario",
    [
        "it_outlives_its_address_and_interface",
        "it_remembers_after_sigkill",
        "it_refuses_what_is_not_fit",
        "a_fault_ends_it_and_leaves_the_watchdog_armed",
        "a_daemon_that_stands_still_is_not_petted",
        "it_fails_fast_where_the_profile_says_so",
    ],
)
def test_inside_a_namespace(scenario: str) -> None:
    if shutil.which("unshare") is None or inside_namespace("true").returncode != 0:
        pytest.skip("this kernel gives no network namespace (unshare --user --net)")
    ran = inside_namespace(sys.executable, "-W", "error", __file__, scenario)
    assert ran.returncode == 0, ran.stdout + ran.stderr


# -- what runs inside -----------------------------------------------------------------------------------


def ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


class Daemon:
    """A daemon in a folder of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.client = Client(str(folder / "run" / "komainu.sock"), 5)
        command = (sys.executable, "-m", "komainu.cli.main", "node", "--config", str(folder / "komainu.toml"))
        with (folder / "log").open("a") as log:
            self.process = subprocess.Popen([*command, "--name", "a", *options], stderr=log)

    def status(self) -> Status | None:
        try:
            reply = self.client.ask(AskStatus())
        except Refused:
            return None
        assert isinstance(reply, Status)
        return reply

    def wait_for(self, claim: Callable[[Status], bool]) -> Status:
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            status = self.status()
            if status is not None and claim(status):
                return status
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def is_online(self) -> Status:
        return self.wait_for(lambda status: status.is_quorate and status.nodes[0].state == "online")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


def prepared(folder: Path) -> Path:
    write_new_key(str(folder / "key"))
    (folder / "komainu.toml").write_text(SETTINGS.replace("FOLDER", str(folder)))
    return folder


def set_option(daemon: Daemon, value: str) -> None:
    option = SetOption("crm_config", "cluster_property_set", "cluster-delay", value)
    reply = daemon.client.ask(EditConfigurationRequest((option,), "a test"))
    assert isinstance(reply, Done), reply


def configuration(daemon: Daemon) -> str:
    reply = daemon.client.ask(AskConfiguration())
    assert isinstance(reply, Configuration)
    return reply.xml


def it_outlives_its_address_and_interface(folder: Path) -> None:
    """S4: started without its interface, it gets, loses and regains interface and address, and never ends."""
    daemon = Daemon(prepared(folder))
    daemon.is_online()

    def until_told(arguments: str, words: str) -> None:
        """Do it, and wait for the daemon to see it: two opposite events in a row may cancel each other out."""
        before = (folder / "log").read_text().count(words)
        ip(arguments)
        daemon.wait_for(lambda _: (folder / "log").read_text().count(words) > before)

    for _ in range(2):
        ip("link add eth1 type veth peer name far")
        ip("link set far up")
        ip("link set eth1 up")
        until_told("address add 10.1.0.1/24 dev eth1", "eth1: up")
        until_told("address del 10.1.0.1/24 dev eth1", "deleted")
        until_told("address add 10.1.0.1/24 dev eth1", "eth1: up")
        until_told("link set far down", "carrier lost")
        until_told("link set far up", "eth1: up")
        until_told("link set eth1 down", "set down")
        until_told("link delete eth1", "removed")
    status = daemon.is_online()
    assert status.view == "1001.1", "no loss of a wire changes the membership of a node alone"
    assert daemon.end() == 0
    assert not (folder / "run" / "komainu.sock").exists()


def it_remembers_after_sigkill(folder: Path) -> None:
    """S3: what was acknowledged is there after a crash; so is why it was done."""
    for number in range(1, 4):
        daemon = Daemon(prepared(folder) if number == 1 else folder)
        daemon.is_online()
        if number > 1:
            assert f'"{number - 1}0s"' in configuration(daemon)
        set_option(daemon, f"{number}0s")
        assert daemon.end(signal.SIGKILL) == -signal.SIGKILL
    records = (folder / "state" / "flight.jsonl").read_text()
    assert records.count("daemon.started") >= 2  # the last second before a SIGKILL may be missing
    (folder / "state" / "cib" / "state").write_text("rubbish")
    daemon = Daemon(folder)
    daemon.is_online()
    assert "is damaged" in (folder / "log").read_text()
    assert daemon.end() == 0


def it_refuses_what_is_not_fit(folder: Path) -> None:
    """S7: a second daemon, a port in use and wrong settings are refused with a remedy, exit code 2."""
    daemon = Daemon(prepared(folder))
    daemon.is_online()
    second = Daemon(folder)
    assert second.process.wait(WAIT_S) == 2
    elsewhere = prepared(Path(tempfile.mkdtemp(dir=folder)))
    third = Daemon(elsewhere)
    assert third.process.wait(WAIT_S) == 2
    fourth = Daemon(elsewhere, "--name", "z")
    assert fourth.process.wait(WAIT_S) == 2
    assert "a komainu daemon already runs here" in (folder / "log").read_text()
    log = (elsewhere / "log").read_text()
    assert "port 5415 at 10.1.0.1 (link 0) is in use" in log
    assert 'no node is called "z" (--name); known: a' in log
    assert "Traceback" not in log
    daemon.is_online()
    assert daemon.end() == 0


class Supervisor:
    """The lab's machine: it takes what the daemon says to the watchdog."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[bytes] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(folder / "watchdog.sock"))
        self._server.listen()
        self.thread = threading.Thread(target=self._listen, daemon=True)  # else a test that failed hangs
        self.thread.start()
        with (folder / "komainu.toml").open("a") as settings:
            settings.write(f'[watchdog]\nsocket = "{folder}/watchdog.sock"\ntimeout = "1s"\n')

    def _listen(self) -> None:
        connection, _ = self._server.accept()
        with self._server, connection, connection.makefile("rb") as lines:
            for line in lines:
                self.lines.append(line.strip())


def a_fault_ends_it_and_leaves_the_watchdog_armed(folder: Path) -> None:
    """A fault of our own ends the daemon with its traceback in the log; the watchdog then resets the machine."""
    supervisor = Supervisor(prepared(folder))
    program = (
        "import sys; from komainu.node import daemon, drive, interface; handle = drive.Drive.handle\n"
        "def broken(self, event, now, wall):\n"
        "    assert not isinstance(event, interface.StopAsked), 'an invariant'\n"
        "    return handle(self, event, now, wall)\n"
        "drive.Drive.handle = broken; sys.exit(daemon.main(sys.argv[1], 'a'))"
    )
    ran = subprocess.Popen(
        [sys.executable, "-c", program, str(folder / "komainu.toml")], stderr=subprocess.PIPE, text=True
    )
    while len(supervisor.lines) < 3:
        time.sleep(0.02)
    ran.send_signal(signal.SIGTERM)
    _, log = ran.communicate(timeout=WAIT_S)
    supervisor.thread.join(WAIT_S)
    assert ran.returncode == 70
    assert "daemon.fault Traceback" in log
    assert "AssertionError: an invariant" in log
    assert supervisor.lines[:3] == [b'{"arm": 1000}', b"pet", b"pet"]
    assert set(supervisor.lines[1:]) == {b"pet"}, "it is not disarmed"


def a_daemon_that_stands_still_is_not_petted(folder: Path) -> None:
    supervisor = Supervisor(prepared(folder))
    daemon = Daemon(folder)
    daemon.is_online()
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    before = len(supervisor.lines)
    time.sleep(0.6)  # two pets would have come
    assert len(supervisor.lines) == before
    daemon.process.send_signal(signal.SIGCONT)
    daemon.is_online()
    assert daemon.end() == 0
    supervisor.thread.join(WAIT_S)
    assert supervisor.lines[-1] == b'{"disarm": true}'


def it_fails_fast_where_the_profile_says_so(folder: Path) -> None:
    """A daemon that was killed is not started again, so that nothing keeps the watchdog from its work."""
    supervisor = Supervisor(prepared(folder))
    text = (folder / "komainu.toml").read_text()
    text = text.replace('name = "alone"', 'name = "alone"\nprofile = "linux-ha-japan"')
    (folder / "komainu.toml").write_text(text.replace('["10.1.0.1"]', '["10.1.0.1", "10.2.0.1"]'))
    daemon = Daemon(folder)
    daemon.is_online()
    assert 'name="migration-threshold" value="1"' in configuration(daemon)
    daemon.end(signal.SIGKILL)
    supervisor.thread.join(WAIT_S)
    assert set(supervisor.lines[1:]) == {b"pet"}, "it is not disarmed"
    second = Daemon(folder)
    assert second.process.wait(WAIT_S) == 2
    assert (
        "the daemon of this node died, and the profile linux-ha-japan wants" in (folder / "log").read_text()
    )


if __name__ == "__main__":
    ip("link set lo up")
    with tempfile.TemporaryDirectory() as name:
        globals()[sys.argv[1]](Path(name))
