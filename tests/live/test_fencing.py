"""Fence with Debian's fence-agents as they are, through the fencer and the daemon's own shell.

The IPMI part needs ipmitool; pyghmi plays the machine that is fenced.
"""

import asyncio
import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from komainu.cib.document import parse
from komainu.fencing.fencing import Fencer
from komainu.fencing.interface import (
    DeadlinePassed,
    Device,
    DevicesChanged,
    FenceAgentFinished,
    FenceRequested,
    FencingEffect,
    FencingEnded,
    FencingEvent,
    RunFenceAgent,
)
from komainu.fencing.sbd import Message
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Instant, NodeName, WallTime
from komainu.node.agents import AgentEvent, AgentRunner
from komainu.node.fence_trial import try_devices
from komainu.node.sbd import SbdDisk

pytestmark = pytest.mark.live

CLONE_NEWNET = 0x40000000
PATIENCE_S = 60.0
A, B = NodeName("a"), NodeName("b")
BMC_PORT = "6230"
IPMI = {"ip": "127.0.0.1", "ipport": BMC_PORT, "username": "admin", "lanplus": "1", "power_timeout": "10"}


def agent(name: str) -> str:
    if not Path("/usr/sbin", name).exists():
        pytest.skip(f"{name} is not installed: apt-get install fence-agents")
    return name


class Hands:
    """A fencer with the daemon's shell, until one request has ended."""

    def __init__(self, *devices: Device) -> None:
        self.fencer = Fencer(A)
        self.devices = devices
        self.ended: asyncio.Future[FenceRecord] | None = None

    def fence(self, action: str, target: NodeName = B) -> FenceRecord:
        return asyncio.run(self._fence(FenceRequested("1.1", target, action, 30_000, "test", WallTime(1))))

    async def _fence(self, request: FenceRequested) -> FenceRecord:
        self.ended = asyncio.get_running_loop().create_future()
        self.runner = AgentRunner(A, self.report)
        self.take(DevicesChanged(self.devices))
        self.take(request)
        try:
            return await asyncio.wait_for(self.ended, PATIENCE_S)
        finally:
            self.runner.close()

    def report(self, event: AgentEvent) -> None:
        assert isinstance(event, FenceAgentFinished)
        self.take(event)

    def take(self, event: FencingEvent) -> None:
        now = Instant(time.monotonic_ns() // 1_000_000)
        for effect in self.fencer.handle(event, now):
            self.carry_out(effect)
        if self.fencer.deadline is not None:
            loop = asyncio.get_running_loop()
            loop.call_later((self.fencer.deadline - now + 1) / 1000, lambda: self.take(DeadlinePassed()))

    def carry_out(self, effect: FencingEffect) -> None:
        assert self.ended is not None
        if isinstance(effect, RunFenceAgent):
            self.runner.run(effect)
        elif isinstance(effect, FencingEnded):
            self.ended.set_result(effect.record)


def device(name: str, kind: str, **parameters: str) -> Device:
    return Device(name, agent(kind), tuple(sorted(parameters.items())))


def test_a_dummy_of_the_package_does_what_it_is_told(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("on")
    dummy = device("dummy", "fence_dummy", pcmk_host_list="b", status_file=str(status))
    record = Hands(dummy).fence("off")
    assert (record.state, record.outcome) == (FenceState.DONE, "fence_dummy answered: done")
    assert status.read_text().strip() == "off"
    assert Hands(dummy).fence("on").state is FenceState.DONE
    assert status.read_text().strip() == "on"


def test_a_dummy_that_cannot_tell_nodes_apart_fences_nobody_without_a_list(tmp_path: Path) -> None:
    record = Hands(device("dummy", "fence_dummy", status_file=str(tmp_path / "status"))).fence("off")
    assert record.state is FenceState.FAILED
    assert "cannot tell nodes apart: set pcmk_host_list" in record.outcome


@pytest.fixture
def _bmc() -> Iterator[None]:
    """Play a machine's management controller in a network namespace of this thread's own."""
    if shutil.which("ipmitool") is None:
        pytest.skip("ipmitool is not installed: apt-get install ipmitool")
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(home)
        pytest.skip(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}; run as root")
    bmc: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        script = str(Path(__file__).with_name("fake_bmc.py"))
        bmc = subprocess.Popen([sys.executable, script, BMC_PORT], stderr=subprocess.DEVNULL)
        wait_for_port()
        yield
    finally:
        if bmc is not None:
            bmc.kill()
            bmc.wait()
        libc.setns(home, CLONE_NEWNET)
        os.close(home)


def wait_for_port() -> None:
    until = time.monotonic() + PATIENCE_S
    wanted = f":{int(BMC_PORT):04X} "
    while time.monotonic() < until:
        if any(wanted in Path(f"/proc/thread-self/net/{kind}").read_text() for kind in ("udp", "udp6")):
            return
        time.sleep(0.05)
    pytest.fail("the management controller did not come up")


def power(action: str = "status") -> str:
    base = ["ipmitool", "-I", "lanplus", "-H", "127.0.0.1", "-p", BMC_PORT, "-U", "admin", "-P", "secret"]
    return subprocess.run(
        [*base, "power", action], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    ).stdout.strip()


@pytest.mark.usefixtures("_bmc")
def test_a_machine_is_fenced_over_ipmi() -> None:
    ipmi = device("ipmi", "fence_ipmilan", pcmk_host_list="b", password="secret", **IPMI)
    assert power() == "Chassis Power is on"
    record = Hands(ipmi).fence("off")
    assert (record.state, record.outcome) == (FenceState.DONE, "fence_ipmilan answered: done")
    assert power() == "Chassis Power is off"
    assert Hands(ipmi).fence("reboot").state is FenceState.DONE
    assert power() == "Chassis Power is on"


@pytest.mark.usefixtures("_bmc")
def test_a_wrong_password_fences_nobody() -> None:
    wrong = device(
        "wrong", "fence_ipmilan", pcmk_host_list="b", password="wrong", pcmk_off_retries="1", **IPMI
    )
    record = Hands(wrong).fence("off")
    assert record.state is FenceState.FAILED
    assert power() == "Chassis Power is on"


@pytest.mark.usefixtures("_bmc")
def test_a_trial_says_what_works_and_switches_nothing() -> None:
    pairs = "".join(
        f"<nvpair id='{name}' name='{name}' value='{value}'/>"
        for name, value in {**IPMI, "password": "secret", "pcmk_host_list": "b"}.items()
    )
    agent("fence_ipmilan")
    cib = parse(
        "<cib><configuration><crm_config/><nodes><node id='1' uname='a'/><node id='2' uname='b'/></nodes>"
        f"<resources><primitive id='ipmi' class='stonith' type='fence_ipmilan'><instance_attributes id='i'>{pairs}"
        "</instance_attributes></primitive></resources><constraints/></configuration></cib>"
    )
    tried, unreached = try_devices(cib)
    assert [(one.action, one.target, one.verdict.is_good) for one in tried] == [
        ("monitor", None, True),
        ("status", B, True),
    ]
    assert unreached == [A]
    assert power() == "Chassis Power is on"


@pytest.fixture
def shared_disk(tmp_path: Path) -> Iterator[str]:
    """Make a loop device with a header by the field's own sbd."""
    if shutil.which("sbd") is None:
        pytest.skip("sbd is not installed: apt-get install sbd")
    image = tmp_path / "disk"
    image.write_bytes(bytes(2 * 1024 * 1024))
    made = subprocess.run(
        ["losetup", "--find", "--show", str(image)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        pytest.skip(f"no loop device can be made: {made.stderr.strip()}; run as root")
    device_path = made.stdout.strip()
    try:
        sbd(device_path, "-1", "1", "-4", "2", "create")
        yield device_path
    finally:
        subprocess.run(["losetup", "--detach", device_path], check=True)


def sbd(path: str, *words: str) -> str:
    done = subprocess.run(
        ["sbd", "-d", path, *words], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    return done.stdout


def test_the_fields_sbd_and_ours_see_each_other(shared_disk: str) -> None:
    sbd(shared_disk, "allocate", "a")
    disk = SbdDisk(shared_disk)
    assert (disk.header.watchdog_s, disk.header.msgwait_s) == (1, 2)
    slot = disk.allocate(B)
    assert slot == 1
    assert disk.slot(A) == 0
    listed = [line.split("\t")[:3] for line in sbd(shared_disk, "list").splitlines()]
    assert listed == [["0", "a", "clear"], ["1", "b", "clear"]]
    sbd(shared_disk, "message", "b", "off")
    mail = disk.mail(slot)
    assert mail is not None
    assert mail.message is Message.OFF
    record = Hands(Device("disk", "fence_sbd", (("devices", shared_disk), ("pcmk_host_list", "b")))).fence(
        "reboot"
    )
    assert (record.state, record.outcome) == (FenceState.DONE, "fence_sbd answered: done")
    assert "b\treset" in sbd(shared_disk, "list")
    disk.close()
