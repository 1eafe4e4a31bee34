"""Run the real agents in a fresh network namespace, through the executor and the daemon's own shell.

Needs root, or `unshare --user --map-root-user --mount` around pytest.
"""

import asyncio
import ctypes
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path

import pytest

from komainu.executor.executor import Executor
from komainu.executor.interface import (
    ActionRequested,
    AgentDescribed,
    AgentFinished,
    DeadlinePassed,
    DescribeAgent,
    ExecutorEffect,
    ExecutorEvent,
    ProcessesGone,
    ReportResult,
    RunAgent,
    StopWatching,
)
from komainu.executor.traits import read_traits
from komainu.model.ids import Instant, NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName, OperationResult, OpStatus
from komainu.node.agents import AgentEvent, AgentRunner
from komainu.node.processes import ProcessWatch

pytestmark = pytest.mark.live

NODE = NodeName(f"live{os.getpid()}")
CLONE_NEWNET = 0x40000000
PATIENCE_S = 20.0
HEARTBEAT = Path("/usr/lib/ocf/resource.d/heartbeat")
VIP = "10.77.0.100"
NOTHING: Mapping[str, str] = {}
AT_VIP = {"ip": VIP}

KOMAINU_DUMMY = AgentName("ocf", "komainu", "dummy")
KOMAINU_VIP = AgentName("ocf", "komainu", "vip")
KOMAINU_WEB = AgentName("ocf", "komainu", "web")


@pytest.fixture(autouse=True)
def _own_network() -> Iterator[None]:
    """Move this thread into a network namespace of its own, with one cable in it, and back again."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(home)
        pytest.skip(f"no network namespace can be made: {os.strerror(ctypes.get_errno())}; run as root")
    try:
        ip("link set lo up")
        ip("link add v0 type veth peer name v1")
        ip("addr add 10.77.0.1/24 dev v0")
        ip("link set v0 up")
        ip("link set v1 up")
        yield
    finally:
        assert libc.setns(home, CLONE_NEWNET) == 0
        os.close(home)


def ip(arguments: str) -> str:
    return subprocess.run(["ip", *arguments.split()], check=True, capture_output=True, text=True).stdout


def set_promotion(value: str) -> None:
    Path("/proc/sys/net/ipv4/conf/v0/promote_secondaries").write_text(value)


class Hands:
    """One node's executor joined to its shell, as the daemon joins them."""

    def __init__(self, groups: Path | None) -> None:
        self.executor = Executor(NODE)
        self.runner = AgentRunner(NODE, self.take, groups=groups)
        self.results: asyncio.Queue[OperationResult] = asyncio.Queue()
        self.gone_at: list[float] = []
        self.described: asyncio.Queue[AgentDescribed] = asyncio.Queue()
        self.timer: asyncio.TimerHandle | None = None

    def take(self, event: AgentEvent) -> None:
        assert isinstance(event, AgentFinished | AgentDescribed | ProcessesGone)
        if isinstance(event, ProcessesGone):
            self.gone_at.append(time.monotonic())
        self.handle(event)
        if isinstance(event, AgentDescribed):
            self.described.put_nowait(event)

    def handle(self, event: ExecutorEvent) -> None:
        now = Instant(time.monotonic_ns() // 1_000_000)
        for effect in self.executor.handle(event, now):
            self.carry_out(effect)
        if self.timer is not None:
            self.timer.cancel()
        if self.executor.deadline is not None:
            wait_s = max(0, self.executor.deadline - now) / 1000
            self.timer = asyncio.get_running_loop().call_later(wait_s, self.handle, DeadlinePassed())

    def carry_out(self, effect: ExecutorEffect) -> None:
        match effect:
            case RunAgent() | DescribeAgent():
                self.runner.run(effect)
            case StopWatching():
                self.runner.stop_watching(effect)
            case ReportResult(result):
                self.results.put_nowait(result)
            case _:
                pass

    async def do(
        self,
        agent: AgentName,
        operation: str,
        parameters: Mapping[str, str] = NOTHING,
        *,
        interval_ms: int = 0,
        timeout_ms: int = 10_000,
        target_rc: int = 0,
    ) -> OperationResult:
        request = ActionRequest(
            node=NODE,
            resource=ResourceId(f"live-{agent.agent_type}"),
            agent=agent,
            operation=operation,
            interval_ms=interval_ms,
            timeout_ms=timeout_ms,
            parameters=tuple(sorted(parameters.items())),
            meta=(),
            target_rc=target_rc,
            transition_key=f"1:1:{target_rc}:live",
            digest="",
        )
        self.handle(ActionRequested(request, WallTime(time.time_ns() // 1_000_000)))
        return await self.next()

    async def next(self) -> OperationResult:
        return await asyncio.wait_for(self.results.get(), PATIENCE_S)


Scene = Callable[[Hands], Coroutine[None, None, None]]


def play(scene: Scene, groups: Path | None = None) -> None:
    async def all_of_it() -> None:
        hands = Hands(groups)
        try:
            await scene(hands)
        finally:
            if hands.timer is not None:
                hands.timer.cancel()
            hands.runner.close()

    asyncio.run(all_of_it())


def test_an_agent_says_what_it_can_take_without_a_restart() -> None:
    async def scene(hands: Hands) -> None:
        assert (await hands.do(KOMAINU_DUMMY, "start")).is_expected
        await asyncio.wait_for(hands.described.get(), PATIENCE_S)
        assert (await hands.do(KOMAINU_DUMMY, "reload-agent", {"op_sleep": "0"})).restart_on == ("state",)
        assert (await hands.do(KOMAINU_DUMMY, "stop")).is_expected

    play(scene)


@pytest.mark.skipif(not HEARTBEAT.is_dir(), reason="resource-agents is not installed")
@pytest.mark.parametrize("name", ["Dummy", "IPaddr2", "Filesystem", "pgsql"])
def test_the_fields_agents_say_what_they_are(name: str) -> None:
    async def scene(hands: Hands) -> None:
        hands.runner.run(DescribeAgent(AgentName("ocf", "heartbeat", name), 30_000))
        described = await asyncio.wait_for(hands.described.get(), PATIENCE_S)
        assert read_traits(described.output) is not None

    play(scene)


def test_the_vip_comes_and_goes() -> None:
    async def scene(hands: Hands) -> None:
        assert (await hands.do(KOMAINU_VIP, "monitor", AT_VIP, target_rc=7)).is_expected
        assert (await hands.do(KOMAINU_VIP, "start", AT_VIP)).is_expected
        assert f"{VIP}/24" in ip("-4 -o addr show dev v0")
        assert (await hands.do(KOMAINU_VIP, "start", AT_VIP)).is_expected
        assert (await hands.do(KOMAINU_VIP, "monitor", AT_VIP)).is_expected
        ip(f"addr del {VIP}/24 dev v0")
        assert (await hands.do(KOMAINU_VIP, "monitor", AT_VIP)).exit_code == 7
        assert (await hands.do(KOMAINU_VIP, "start", AT_VIP)).is_expected
        assert (await hands.do(KOMAINU_VIP, "stop", AT_VIP)).is_expected
        assert VIP not in ip("-4 -o addr show")
        assert (await hands.do(KOMAINU_VIP, "stop", AT_VIP)).is_expected

    play(scene)


def test_the_vip_of_an_interface_that_is_gone_can_be_stopped() -> None:
    async def scene(hands: Hands) -> None:
        assert (await hands.do(KOMAINU_VIP, "start", AT_VIP)).is_expected
        ip("link del v0")
        assert (await hands.do(KOMAINU_VIP, "monitor", AT_VIP)).exit_code == 7
        assert (await hands.do(KOMAINU_VIP, "stop", AT_VIP)).is_expected

    play(scene)


def test_a_vip_takes_no_other_address_along() -> None:
    async def scene(hands: Hands) -> None:
        set_promotion("0")
        assert (await hands.do(KOMAINU_VIP, "start", AT_VIP)).is_expected
        set_promotion("1")
        ip("addr del 10.77.0.1/24 dev v0")
        ip("addr add 10.77.0.1/24 dev v0")
        set_promotion("0")
        assert (await hands.do(KOMAINU_VIP, "stop", AT_VIP)).is_expected
        assert "10.77.0.1/24" in ip("-4 -o addr show dev v0")

    play(scene)


@pytest.mark.parametrize(
    ("parameters", "exit_code", "words"),
    [
        ({"ip": "10.9.9.9"}, 1, "set nic"),
        ({"ip": "banana"}, 6, "is not an IP address"),
        ({}, 6, "the parameter ip is not set"),
        ({"ip": "10.9.9.9", "nic": "nope"}, 1, "there is no interface nope"),
        ({"ip": VIP, "cidr_netmask": "99"}, 6, "not a number from 0 to 32"),
    ],
)
def test_what_is_wrong_with_a_vip_is_said(parameters: dict[str, str], exit_code: int, words: str) -> None:
    async def scene(hands: Hands) -> None:
        result = await hands.do(KOMAINU_VIP, "start", parameters)
        assert (result.exit_code, result.status) == (exit_code, OpStatus.DONE)
        assert words in result.exit_reason

    play(scene)


def test_a_vip_is_announced() -> None:
    import socket

    async def scene(hands: Hands) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as wire:
            wire.bind(("v1", 0x0806))
            wire.settimeout(PATIENCE_S)
            assert (await hands.do(KOMAINU_VIP, "start", {"ip": VIP, "arp_count": "3"})).is_expected
            frames = [wire.recv(64) for _ in range(6)]
        address = socket.inet_aton(VIP)
        assert {frame[20:22] for frame in frames} == {b"\0\1", b"\0\2"}
        assert all(frame[28:32] == address and frame[38:42] == address for frame in frames)

    play(scene)


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as page:
        return str(page.read(), "utf-8")


def web_pid() -> int:
    return int(Path("/run/komainu/agents/web-live-web.pid").read_text().split()[0])


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def has_groups() -> bool:
    probe = ProcessWatch(NODE, lambda _: None, list)
    return probe.has_groups


@pytest.mark.parametrize("by_group", [True, False], ids=["cgroups", "environment"])
def test_a_killed_web_server_is_known_within_a_second(tmp_path: Path, *, by_group: bool) -> None:
    if by_group and not has_groups():
        pytest.skip("no cgroup 2 hierarchy can be written here")

    async def scene(hands: Hands) -> None:
        assert hands.runner.watch.has_groups is by_group
        assert (await hands.do(KOMAINU_WEB, "monitor", target_rc=7)).is_expected
        assert (await hands.do(KOMAINU_WEB, "start", {"page": "hello"})).is_expected
        assert (await hands.do(KOMAINU_WEB, "monitor", interval_ms=60_000)).is_expected
        assert fetch("http://127.0.0.1/").endswith("hello\n")
        deep = await hands.do(KOMAINU_WEB, "monitor", {"OCF_CHECK_LEVEL": "10"}, interval_ms=50_000)
        assert deep.is_expected

        killed_at = time.monotonic()
        os.kill(web_pid(), signal.SIGKILL)
        failed = await hands.next()
        assert (failed.exit_code, failed.exit_reason) == (7, "the process of the web server is gone")
        assert hands.gone_at[0] - killed_at < 0.5
        assert time.monotonic() - killed_at < 2.0
        await hands.next()  # the deep monitor says the same
        assert (await hands.do(KOMAINU_WEB, "stop")).is_expected
        assert (await hands.do(KOMAINU_WEB, "start")).is_expected
        assert (await hands.do(KOMAINU_WEB, "stop")).is_expected
        assert (await hands.do(KOMAINU_WEB, "monitor", target_rc=7)).is_expected
        assert len(hands.gone_at) == 1

    play(scene, None if by_group else tmp_path / "none")


def test_a_web_server_that_does_not_listen_is_killed_by_its_stop() -> None:
    async def scene(hands: Hands) -> None:
        assert (await hands.do(KOMAINU_WEB, "start")).is_expected
        pid = web_pid()
        os.kill(pid, signal.SIGSTOP)
        assert (await hands.do(KOMAINU_WEB, "stop")).is_expected
        assert not is_alive(pid)

    play(scene)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"ip": "10.1.2.3"}, "start its vip before"),
        ({"port": "0"}, "is not a port"),
        ({"port": "x"}, "whole number"),
    ],
)
def test_what_is_wrong_with_a_web_server_is_said(parameters: dict[str, str], words: str) -> None:
    async def scene(hands: Hands) -> None:
        result = await hands.do(KOMAINU_WEB, "start", parameters)
        assert not result.is_expected
        assert words in result.exit_reason

    play(scene)


def test_an_agent_that_hangs_is_killed_at_its_time_out() -> None:
    async def scene(hands: Hands) -> None:
        dummy = AgentName("ocf", "komainu", "dummy")
        result = await hands.do(dummy, "start", {"op_sleep": "60"}, timeout_ms=500)
        assert (result.status, result.exit_code) == (OpStatus.TIMEOUT, 1)
        assert result.exit_reason == "start timed out after 500 ms"
        missing = await hands.do(AgentName("ocf", "komainu", "nothing"), "start")
        assert (missing.status, missing.exit_code) == (OpStatus.NOT_INSTALLED, 5)

    play(scene)


@pytest.mark.skipif(not (HEARTBEAT / "Dummy").exists(), reason="Debian's resource-agents is not installed")
def test_agents_of_others_run_unchanged() -> None:
    async def scene(hands: Hands) -> None:
        dummy = AgentName("ocf", "heartbeat", "Dummy")
        assert (await hands.do(dummy, "monitor", target_rc=7)).is_expected
        assert (await hands.do(dummy, "start")).is_expected
        assert (await hands.do(dummy, "monitor", interval_ms=10_000)).is_expected
        assert (await hands.do(dummy, "stop")).is_expected
        address = AgentName("ocf", "heartbeat", "IPaddr2")
        where = {"ip": VIP, "cidr_netmask": "24", "nic": "v0"}
        assert (await hands.do(address, "monitor", where, target_rc=7)).is_expected
        started = await hands.do(address, "start", where)
        assert started.is_expected, started
        assert f"{VIP}/24" in ip("-4 -o addr show dev v0")
        assert (await hands.do(address, "monitor", where, interval_ms=10_000)).is_expected
        assert (await hands.do(address, "stop", where)).is_expected
        assert VIP not in ip("-4 -o addr show")
        wrong = await hands.do(address, "start", {"ip": "banana", "nic": "v0"})
        assert not wrong.is_expected
        assert wrong.exit_reason

    play(scene)
