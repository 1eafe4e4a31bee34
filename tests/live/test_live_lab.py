"""Raise real labs: cables, power, the switch, the watchdog, the client; and show that nothing is left of them.

Stand-in daemons take the cluster's place. Needs root or unprivileged user namespaces.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from komainu.lab import action, lab, preflight, procfs, protocol
from komainu.lab.files import DAEMON_LOG, WATCHDOG_FILE
from komainu.lab.layout import Layout
from komainu.lab.plant import LabFailure
from komainu.model.report import Refused

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

NAME = f"test{os.getpid()}"
SHARED = f"shared{os.getpid()}"  # the lab that the tests of cables and power have in common
SLEEP = ("sleep", "infinity")
COMMAND = [sys.executable, "-c", "from komainu.cli.lab import lab; lab()"]

WEB = """
import http.server, socket
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Node", socket.gethostname())
        self.end_headers()
    def log_message(self, *args): pass
http.server.ThreadingHTTPServer(("", 80), Page).serve_forever()
"""

PETTER = """
import socket, time
watchdog = socket.socket(socket.AF_UNIX)
watchdog.connect("/run/komainu-machine/watchdog.sock")
watchdog.sendall(b'{"arm": 400}\\n')
for _ in range(10):
    time.sleep(0.1)
    watchdog.sendall(b"pet\\n")
time.sleep(60)
"""

REAL_PETTER = f"""
import asyncio
from komainu.node.petting import Petting
from komainu.node.settings import WatchdogSettings
from komainu.node.watchdog import arm
async def main():
    watchdog = arm(WatchdogSettings("{WATCHDOG_FILE}", is_socket=False, timeout_ms=1000))
    print(watchdog.identity, watchdog.timeout_ms, watchdog.was_reset, flush=True)
    class Disk:
        busy_since_s = float("inf")
    Petting(watchdog, watchdog.timeout_ms, Disk()).start()
    await asyncio.sleep(60)
asyncio.run(main())
"""


def blueprint(daemon: tuple[str, ...] = SLEEP, *, probe: str = "", name: str = NAME) -> protocol.Blueprint:
    return protocol.Blueprint(name, Layout(), daemon, probe)


@contextlib.contextmanager
def raised(plan: protocol.Blueprint) -> Iterator[lab.Lab]:
    one = lab.start(plan)
    try:
        yield one
    finally:
        one.down()


def left_over(name: str = NAME) -> list[str]:
    """Name what is still there of a lab: processes (and with them namespaces), files, mounts."""
    found = [
        f"process {pid}: {procfs.command_line(pid)}"
        for pid in procfs.all_pids()
        if procfs.environment(pid).get("KOMAINU_LAB") == name or f"/{name}/" in procfs.command_line(pid)
    ]
    directory = lab.base_directory() / name
    if directory.exists():
        found.append(
            f"its directory with {sorted(str(one.relative_to(directory)) for one in directory.rglob('*'))}"
        )
    if name in Path("/proc/self/mountinfo").read_text(encoding="utf-8"):
        found.append("a mount")
    return found


def becomes(claim: Callable[[], object], timeout_s: float = 10) -> bool:
    """Wait for something out there that tells nobody when it is done."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.02)
    return bool(claim())


def inside(one: lab.Lab, node: str, *command: str) -> str:
    return one.run(node, command).stdout


def interface(one: lab.Lab, node: str, nic: str = "eth1") -> tuple[set[str], list[str]]:
    """Give an interface's flags and its IPv4 addresses."""
    (seen,) = json.loads(inside(one, node, "ip", "-j", "address", "show", nic))
    return set(seen["flags"]), [
        address["local"] for address in seen["addr_info"] if address["family"] == "inet"
    ]


@pytest.fixture(scope="module")
def plain() -> Iterator[lab.Lab]:
    with raised(blueprint(name=SHARED)) as one:
        yield one
    assert not left_over(SHARED)


def test_a_pulled_direct_cable_takes_the_carrier_of_both_ends_and_nothing_else(plain: lab.Lab) -> None:
    plain.perform(action.Pull(cable="interconnect"))
    for node, address in (("a", "192.168.33.101"), ("b", "192.168.33.102")):
        flags, addresses = interface(plain, node)
        assert {"UP", "NO-CARRIER"} <= flags
        assert addresses == [address]
    plain.perform(action.Plug(cable="interconnect"))
    assert becomes(lambda: "LOWER_UP" in interface(plain, "a")[0] & interface(plain, "b")[0])


def test_an_isolated_cable_carries_no_frame_between_nodes_and_keeps_its_carrier(plain: lab.Lab) -> None:
    listen = (
        "import socket; s=socket.socket(type=socket.SOCK_DGRAM); s.bind(('',999)); s.settimeout(2); s.recv(1)"
    )
    send = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.168.33.102', 999))"
    hears = [sys.executable, "-c", listen]

    def is_heard() -> bool:
        with subprocess.Popen(plain.inside("b", hears), stderr=subprocess.DEVNULL) as listener:
            while listener.poll() is None:
                plain.run("a", [sys.executable, "-c", send])
            return listener.returncode == 0

    assert is_heard()
    plain.perform(action.Isolate(cable="interconnect"))
    assert not is_heard()
    assert "LOWER_UP" in interface(plain, "a")[0]
    plain.perform(action.Rejoin(cable="interconnect"))
    assert is_heard()


def test_who_holds_an_address_is_known_from_outside(plain: lab.Lab) -> None:
    assert plain.holders("10.77.0.2") == ("b",)
    for node in ("a", "b"):
        inside(plain, node, "ip", "address", "add", "10.77.0.77/24", "dev", "eth0")
    assert plain.holders("10.77.0.77") == ("a", "b")


def test_addresses_and_interfaces_come_and_go(plain: lab.Lab) -> None:
    plain.perform(action.DelAddress(cable="interconnect"))
    flags, addresses = interface(plain, "a")
    assert "LOWER_UP" in flags
    assert not addresses
    plain.perform(action.AddAddress(cable="interconnect"))
    assert interface(plain, "b")[1] == ["192.168.33.102"]
    plain.perform(action.IfDown(cable="interconnect", node="b"))
    flags, addresses = interface(plain, "b")
    assert "UP" not in flags
    assert not addresses
    plain.perform(action.IfUp(cable="interconnect", node="b"))
    assert interface(plain, "b")[1] == ["192.168.33.102"]
    plain.perform(action.DeleteInterface(cable="interconnect", node="a"))
    assert plain.run("a", ["ip", "link", "show", "eth1"]).returncode
    plain.perform(action.CreateInterface(cable="interconnect", node="a"))
    assert interface(plain, "a")[1] == ["192.168.33.101"]


def test_a_machine_has_its_own_name_files_and_processes_and_keeps_its_disk(plain: lab.Lab) -> None:
    inside(plain, "b", "sh", "-c", "echo kept > /var/lib/komainu/disk; echo lost > /run/memory")
    plain.perform(action.PowerOff("b"))
    assert plain.pid("b") is None
    with pytest.raises(LabFailure, match="b is off"):
        plain.run("b", ["true"])
    plain.perform(action.PowerOn("b"))
    assert inside(plain, "b", "cat", "/var/lib/komainu/disk") == "kept\n"
    assert not inside(plain, "b", "ls", "/run/memory")
    assert inside(plain, "b", "hostname").strip() == "b"
    assert not inside(plain, "a", "ls", "/var/lib/komainu")
    assert inside(plain, "b", "stat", "-c", "%a", "/etc/komainu/cluster.key") == "600\n"
    assert not Path("/var/lib/komainu/disk").exists()


def test_the_switch_answers_off_only_when_nothing_is_left_of_the_machine(plain: lab.Lab) -> None:
    script = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect('/run/komainu-lab/power.sock');"
        "s.sendall(sys.argv[1].encode()+b'\\n'); print(s.makefile().readline())"
    )

    def switch(action_name: str, node: str) -> dict[str, object]:
        ask = json.dumps({"action": action_name, "node": node})
        answer: dict[str, object] = json.loads(inside(plain, "a", sys.executable, "-c", script, ask))
        return answer

    pid = plain.pid("b")
    assert switch("status", "b") == {"ok": True, "power": "on"}
    assert switch("off", "b") == {"ok": True, "power": "off"}
    assert not Path(f"/proc/{pid}").exists()
    assert switch("off", "b") == {"ok": True, "power": "off"}
    assert switch("on", "b") == {"ok": True, "power": "on"}
    assert switch("reboot", "b") == {"ok": True, "power": "on"}
    assert switch("off", "nobody")["ok"] is False
    assert switch("list", "")["nodes"] == ["a", "b"]
    reasons = [event.reason for event in plain.events() if event.kind == "power-off"]
    assert "it was fenced (reboot)" in reasons


def test_a_machine_that_reboots_itself_boots_again(plain: lab.Lab) -> None:
    reboot = "import ctypes; ctypes.CDLL(None).reboot(0x01234567)"
    assert becomes(lambda: plain.describe().machines[1].daemon == "running")
    known = len(plain.events())
    plain.run("b", [sys.executable, "-c", reboot])
    reason = "it rebooted itself"
    assert becomes(
        lambda: [event.kind for event in plain.events(known) if event.reason == reason] == ["reset", "boot"]
    )
    assert becomes(lambda: plain.describe().machines[1].daemon == "running")


def test_a_daemon_that_ends_stays_ended_until_it_is_started(plain: lab.Lab) -> None:
    def daemon() -> str:
        return plain.describe().machines[0].daemon

    assert becomes(lambda: daemon() == "running")
    plain.perform(action.KillDaemon("a"))
    assert becomes(lambda: daemon() == "killed by SIGKILL")
    plain.perform(action.StartDaemon("a"))
    assert becomes(lambda: daemon() == "running")
    with pytest.raises(LabFailure, match="runs no process"):
        plain.perform(action.Kill("a", resource="web"))


def test_a_second_lab_of_the_same_name_is_refused(plain: lab.Lab) -> None:
    with pytest.raises(Refused, match="is up already"):
        lab.start(blueprint(name=SHARED))
    assert plain.describe().name == SHARED


def test_a_watchdog_that_is_not_petted_resets_the_machine() -> None:
    with raised(blueprint((sys.executable, "-c", PETTER))) as one:
        assert becomes(lambda: any(event.kind == "reset" for event in one.events()))
        events = one.events()
        reset = next(event for event in events if event.kind == "reset")
        started = next(
            event for event in events if event.kind == "daemon-started" and event.node == reset.node
        )
        assert reset.reason == "the watchdog was not petted for 0.4 s"
        assert reset.at - started.at > 1000, "it was petted for a second, and armed for 0.4 s more"
    assert not left_over()


def test_the_daemons_own_petting_holds_a_device_off_until_it_hangs() -> None:
    """The code that speaks to /dev/watchdog, on a file that answers its calls; the next boot knows what made it."""
    with raised(blueprint((sys.executable, "-c", REAL_PETTER))) as one:
        if not inside(one, "a", "grep", WATCHDOG_FILE, "/proc/self/mounts"):
            pytest.skip("this computer gives no FUSE: machines have a socket in place of a device")
        time.sleep(1.2)  # longer than the time-out
        assert not [event for event in one.events() if event.kind == "reset"]
        stopped = time.monotonic_ns() // 1_000_000
        one.perform(action.KillDaemon("a", "STOP"))
        assert becomes(lambda: one.describe().machines[0].boots == 2)
        assert becomes(lambda: one.describe().machines[0].daemon == "running")
        (reset,) = [event for event in one.events() if event.kind == "reset"]
        assert (reset.node, reset.reason) == ("a", "the watchdog was not petted for 1 s")
        assert 900 <= reset.at - stopped <= 2000
        assert becomes(lambda: inside(one, "a", "grep", "-c", "komainu lab 1000", DAEMON_LOG) == "2\n")
        said = inside(one, "a", "grep", "komainu lab", DAEMON_LOG).splitlines()
        assert said == ["komainu lab 1000 False", "komainu lab 1000 True"]


def test_the_client_measures_how_long_the_service_was_away() -> None:
    with raised(blueprint((sys.executable, "-c", WEB), probe="http://10.77.0.2/")) as one:
        assert becomes(lambda: one.service(since=0, until=lab_now()).answers > 20)
        began = lab_now()
        one.perform(action.Pull(cable="lan", node="b"))
        assert becomes(lambda: lab_now() - began > 400)
        one.perform(action.Plug(cable="lan", node="b"))
        assert becomes(lambda: one.service(since=began, until=lab_now()).answers > 20)
        seen = one.service(since=began, until=lab_now())
        assert {stint.node for stint in seen.stints} == {"b"}
        # What the computer itself stood still is taken off the gap.
        assert 350 < seen.longest_gap_ms + seen.stalled_ms < 5000


def lab_now() -> int:
    return time.monotonic_ns() // 1_000_000


# -- nothing is left ------------------------------------------------------------------------------------


def test_up_and_down_leave_nothing() -> None:
    up = subprocess.run(
        [*COMMAND, "up", "--name", NAME, "--daemon", "sleep infinity"], capture_output=True, check=True
    )
    assert b"is up" in up.stdout
    entered = subprocess.run([*COMMAND, "exec", "--name", NAME, "a", "sh", "-c", "exit 7"], check=False)
    assert entered.returncode == 7
    subprocess.run([*COMMAND, "down", "--name", NAME], check=True)
    assert not left_over()


def take_down_if_whole() -> None:
    """Take the lab down when it is up with all its machines; a half of one is no lab, and has to go by itself."""
    with contextlib.suppress(Refused, LabFailure):
        found = lab.attach(NAME)
        if all(machine.is_on for machine in found.describe().machines):
            found.down()


@pytest.mark.parametrize("after_s", [0.1, 0.25, 0.4, 0.55, 0.7])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_command_that_is_stopped_while_it_raises_a_lab_leaves_nothing(number: int, after_s: float) -> None:
    command = [*COMMAND, "up", "--name", NAME, "--daemon", "sleep infinity"]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as up:
        try:
            up.wait(after_s)
        except subprocess.TimeoutExpired:
            up.send_signal(number)
        up.wait(20)
    # A signal that comes when the lab is up already ends only the command: the lab is to stay until `lab down`.
    if number == signal.SIGKILL:
        lab.take_down(NAME)
    take_down_if_whole()
    assert becomes(lambda: not left_over()), left_over()


def test_a_lab_dies_with_the_command_that_holds_it() -> None:
    program = (
        "import sys, time; from komainu.lab import lab, protocol; from komainu.lab.layout import Layout;"
        f"one = lab.start(protocol.Blueprint({NAME!r}, Layout(), {SLEEP!r}, ''));"
        "print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        holder.kill()
    assert becomes(lambda: not left_over()), left_over()


def test_down_cleans_up_after_a_host_that_was_killed() -> None:
    one = lab.start(blueprint())
    held = lab.host_process(lab.base_directory() / NAME)
    assert held is not None
    os.kill(held.pid, signal.SIGKILL)
    assert becomes(lambda: not [item for item in left_over() if not item.startswith("its directory")])
    assert lab.take_down(NAME)
    one.down()
    assert not left_over()


def test_a_pid_that_is_used_again_is_not_killed(tmp_path: Path) -> None:
    host = protocol.HostProcess(pid=os.getpid(), start=1)
    directory = tmp_path / NAME
    directory.mkdir()
    (directory / protocol.HOST_FILE).write_text(json.dumps({"pid": host.pid, "start": host.start}))
    assert lab.host_process(directory) is None


def test_a_host_that_hangs_is_killed() -> None:
    one = lab.start(blueprint())
    held = lab.host_process(lab.base_directory() / NAME)
    assert held is not None
    (host,) = procfs.children_of(held.pid)
    os.kill(host, signal.SIGSTOP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab, "DOWN_TIMEOUT_S", 0.5)
        one.down()
    assert becomes(lambda: not left_over()), left_over()


def test_the_control_socket_refuses_what_it_does_not_know(plain: lab.Lab) -> None:
    connection = lab.connect(lab.base_directory() / SHARED)
    with connection, contextlib.closing(connection.makefile("rb")) as replies:
        for line in (b"nonsense\n", b'{"type": "perform", "operation": {"do": "explode"}}\n'):
            connection.sendall(line)
            assert json.loads(replies.readline())["type"] == "failed"
    assert isinstance(connection, socket.socket)
