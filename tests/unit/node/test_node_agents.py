"""Check how agents are run: their environment, their end, their output, and what they leave behind."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from komainu.executor.environment import environment_of
from komainu.executor.interface import AgentFinished, ProcessesGone, RunAgent, RunId, StopWatching
from komainu.fencing.interface import FenceAgentFinished, FenceRunId, RunFenceAgent
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import OUTPUT_BYTES_MAX, ActionRequest, AgentName
from komainu.node import agents
from komainu.node.agents import AgentEvent, AgentRunner

NODE = NodeName(f"unit{os.getpid()}")
"""Of this run alone: a lab on the same machine may run a resource of the same name."""

PATIENCE_S = 5.0
"""How long a test waits for what is expected within milliseconds."""


class Stage:
    """A runner with a folder of agents written for the test, and the events it reported."""

    def __init__(self, folder: Path, groups: Path | None) -> None:
        self.folder = folder
        self.events: asyncio.Queue[AgentEvent] = asyncio.Queue()
        self.runner = AgentRunner(
            NODE, self.events.put_nowait, ocf_root=folder, fence_folder=folder, groups=groups
        )

    def agent(self, text: str, *, mode: int = 0o755) -> None:
        path = self.folder / "resource.d/test/thing"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(mode)

    async def run(
        self,
        operation: str = "start",
        *,
        timeout_ms: int = 4000,
        kind: str = "thing",
        agent_class: str = "ocf",
    ) -> AgentFinished:
        self.begin(operation, timeout_ms=timeout_ms, kind=kind, agent_class=agent_class)
        event = await self.next()
        assert isinstance(event, AgentFinished)
        return event

    def begin(
        self, operation: str, *, timeout_ms: int = 4000, kind: str = "thing", agent_class: str = "ocf"
    ) -> None:
        agent = AgentName(agent_class, "test" if agent_class == "ocf" else None, kind)
        request = ActionRequest(
            node=NODE,
            resource=ResourceId("res"),
            agent=agent,
            operation=operation,
            interval_ms=0,
            timeout_ms=timeout_ms,
            parameters=(("folder", str(self.folder)), ("pcmk_host_list", "x")),
            meta=(),
            target_rc=0,
            transition_key="",
            digest="",
        )
        watch = operation in {"start", "monitor", "promote"}
        self.runner.run(RunAgent(RunId(1), request, environment_of(request), timeout_ms, operation, watch))

    async def next(self) -> AgentEvent:
        return await asyncio.wait_for(self.events.get(), PATIENCE_S)

    async def kill_watched(self) -> None:
        """Kill the daemon that an agent left, once it is watched: what is just being executed is seen a little later."""
        pid = int(await self.read("pid"))
        async with asyncio.timeout(PATIENCE_S):
            while pid not in self.runner.watch._watches[ResourceId("res")].pidfds:  # noqa: ASYNC110 - the kernel decides
                await asyncio.sleep(0.005)
        os.kill(pid, signal.SIGKILL)

    async def read(self, name: str) -> str:
        """Read what an agent wrote, as soon as it is there."""
        async with asyncio.timeout(PATIENCE_S):
            while not (path := self.folder / name).exists() or not path.read_text():  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(0.005)
        return path.read_text()


Play = Callable[[Callable[[Stage], Coroutine[None, None, None]]], None]


@pytest.fixture(name="play")
def play_on_a_stage(tmp_path: Path) -> Play:
    def play(scene: Callable[[Stage], Coroutine[None, None, None]]) -> None:
        async def all_of_it() -> None:
            stage = Stage(tmp_path, groups=tmp_path / "no-groups")
            try:
                await scene(stage)
            finally:
                stage.runner.close()

        asyncio.run(all_of_it())

    return play


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while is_alive(pid):  # noqa: ASYNC110 - another process decides
            await asyncio.sleep(0.005)


def test_an_agent_gets_its_action_and_its_environment(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent('echo "$1 $OCF_RESOURCE_INSTANCE $OCF_ROOT"; echo oops >&2; pwd; [ -n "$PATH" ]; exit 7')
        ended = await stage.run("monitor")
        assert (ended.exit_code, ended.timed_out, ended.missing) == (7, False, False)
        assert ended.output == f"monitor res {stage.folder}\n/\n"
        assert ended.error_output == "oops\n"
        assert ended.wall > 0

    play(scene)


def test_an_agent_reads_nothing_and_leads_its_own_session(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent("cat; read -r stat < /proc/$$/stat; set -- $stat; [ $1 = $6 ] && [ $1 = $5 ]")
        assert (await stage.run()).exit_code == 0

    play(scene)


@pytest.mark.parametrize("kind", ["no-such-script", "../init.d/x"])
def test_a_script_of_the_machine_that_is_missing_is_not_installed(play: Play, kind: str) -> None:
    async def scene(stage: Stage) -> None:
        ended = await stage.run("monitor", kind=kind, agent_class="lsb")
        if "/" in kind:
            assert ended.missing
        else:
            assert ended.exit_code == 5
            assert ended.error_output == f"ocf-exit-reason:/etc/init.d/{kind} is not installed\n"

    play(scene)


@pytest.mark.parametrize("kind", ["nothing", "../test/thing", ".hidden", ""])
def test_a_missing_agent_is_missing(play: Play, kind: str) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent("exit 0")
        ended = await stage.run(kind=kind)
        assert (ended.missing, ended.exit_code) == (True, None)

    play(scene)


def test_an_agent_that_may_not_be_run_says_so(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent("exit 0", mode=0o644)
        ended = await stage.run()
        assert ended.exit_code == 4
        assert "may not be run" in ended.error_output

    play(scene)


def test_an_agent_that_is_no_program_says_so(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent("exit 0")
        (stage.folder / "resource.d/test/thing").write_bytes(b"\x7fELF nonsense")
        ended = await stage.run()
        assert ended.exit_code is None
        assert "could not be run" in ended.error_output

    play(scene)


def test_an_agent_whose_interpreter_is_missing_says_so(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent("exit 0")
        (stage.folder / "resource.d/test/thing").write_text("#!/nowhere/perl\n")
        ended = await stage.run()
        assert (ended.exit_code, ended.missing) == (5, False)
        assert "interpreter" in ended.error_output

    play(scene)


def test_a_signal_leaves_no_exit_code(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent("kill -9 $$")
        ended = await stage.run()
        assert (ended.exit_code, ended.timed_out, ended.missing) == (None, False, False)

    play(scene)


def test_at_the_time_out_the_agent_is_killed_with_its_children(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent('echo working; sleep 60 & echo $! > "$OCF_RESKEY_folder/child"; trap "" TERM; wait')
        ended = await stage.run(timeout_ms=300)
        assert (ended.exit_code, ended.timed_out) == (None, True)
        assert ended.output == "working\n"
        assert 300 <= ended.exec_ms < 2000
        await gone(int(await stage.read("child")))

    play(scene)


def test_a_megabyte_of_output_is_bounded_and_its_end_is_kept(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent(
            "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo; echo ocf-exit-reason:the end >&2; exit 1"
        )
        ended = await stage.run()
        assert ended.exit_code == 1
        assert len(ended.error_output) == OUTPUT_BYTES_MAX
        assert ended.error_output.endswith("ocf-exit-reason:the end\n")

    play(scene)


def test_an_agent_that_never_stops_talking_ends_at_its_time_out(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("komainu.node.agents.DRAINED_BYTES_MAX", 1_000_000)

    async def scene(stage: Stage) -> None:
        stage.agent("exec yes")
        assert (await stage.run(timeout_ms=300)).timed_out

    play(scene)


def test_a_daemon_that_holds_the_pipes_delays_nothing(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent('setsid sleep 60 & echo $! > "$OCF_RESKEY_folder/daemon"; echo started')
        ended = await stage.run()
        assert (ended.exit_code, ended.output) == (0, "started\n")
        assert ended.exec_ms < 2000
        os.kill(int(await stage.read("daemon")), signal.SIGKILL)

    play(scene)


DAEMON = """
case $1 in
start) setsid sleep 60 >/dev/null 2>&1 & echo $! > "$OCF_RESKEY_folder/pid" ;;
stop) kill -9 $(cat "$OCF_RESKEY_folder/pid") ;;
slow) ;;
esac
"""


def test_a_process_that_a_start_left_is_watched(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent(DAEMON)
        await stage.run("start")
        await stage.kill_watched()
        assert await stage.next() == ProcessesGone(ResourceId("res"))
        assert stage.events.empty()

    play(scene)


def test_a_process_in_the_agents_own_session_is_watched_too(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent('sleep 60 >/dev/null 2>&1 & echo $! > "$OCF_RESKEY_folder/pid"')
        await stage.run("start")
        await stage.kill_watched()
        assert await stage.next() == ProcessesGone(ResourceId("res"))

    play(scene)


def test_what_a_probe_finds_is_watched_too(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent(DAEMON)
        await stage.run("start")
        stage.runner.close()
        await stage.run("monitor")
        await stage.kill_watched()
        assert await stage.next() == ProcessesGone(ResourceId("res"))

    play(scene)


def test_processes_that_a_stop_ends_are_no_news(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent(DAEMON)
        await stage.run("start")
        assert (await stage.run("stop")).exit_code == 0
        stage.runner.stop_watching(StopWatching(ResourceId("res")))
        await gone(int(await stage.read("pid")))
        stage.agent("exit 0")
        await stage.run("monitor")  # would come after the news, were there any

    play(scene)


def test_an_agent_in_flight_is_not_what_it_leaves_behind(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent(DAEMON)
        await stage.run("start")
        stage.agent(
            'echo $$ > "$OCF_RESKEY_folder/agent"; until [ -e "$OCF_RESKEY_folder/go" ]; do sleep 0.05; done'
        )
        stage.begin("monitor")
        await stage.read("agent")
        await stage.kill_watched()
        assert await stage.next() == ProcessesGone(ResourceId("res"))
        (stage.folder / "go").touch()
        assert isinstance(await stage.next(), AgentFinished)
        assert stage.events.empty()

    play(scene)


def fence_agent(stage: Stage, text: str) -> None:
    path = stage.folder / "fence_test"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_fence_agent_reads_its_options(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        fence_agent(stage, "cat; echo done >&2; exit 3")
        options = (("action", "off"), ("port", "b"), ("trick", "x\naction=on"))
        stage.runner.run(RunFenceAgent(FenceRunId(4), "fence_test", options, 4000))
        ended = await stage.next()
        assert isinstance(ended, FenceAgentFinished)
        assert (ended.run, ended.exit_code) == (FenceRunId(4), 3)
        assert ended.output == "action=off\nport=b\ntrick=x action=on\n"
        assert ended.error_output == "done\n"

    play(scene)


def test_a_fence_agent_may_be_missing_or_hang(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.runner.run(RunFenceAgent(FenceRunId(1), "fence_none", (), 4000))
        ended = await stage.next()
        assert isinstance(ended, FenceAgentFinished)
        assert ended.missing
        fence_agent(stage, "exec sleep 60")
        stage.runner.run(RunFenceAgent(FenceRunId(2), "fence_test", (), 100))
        ended = await stage.next()
        assert isinstance(ended, FenceAgentFinished)
        assert (ended.exit_code, ended.timed_out) == (None, True)

    play(scene)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may go before others")
def test_a_fence_agent_goes_before_ordinary_work(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        niceness = 'cut -d " " -f 19 /proc/self/stat'
        fence_agent(
            stage, f"until [ $({niceness}) = {agents.FENCE_NICENESS} ]; do sleep 0.01; done; {niceness}"
        )
        stage.runner.run(RunFenceAgent(FenceRunId(1), "fence_test", (), 4000))
        ended = await stage.next()
        assert isinstance(ended, FenceAgentFinished)
        assert (ended.exit_code, ended.output.strip()) == (0, str(agents.FENCE_NICENESS))

    play(scene)


def test_a_fence_device_is_monitored_through_its_agent(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        fence_agent(stage, "cat")
        ended = await stage.run("start", kind="fence_test", agent_class="stonith")
        assert ended.output == f"action=monitor\nfolder={stage.folder}\n"

    play(scene)


def test_closing_kills_what_runs_and_says_nothing(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        stage.agent('echo $$ > "$OCF_RESKEY_folder/agent"; exec sleep 60')
        stage.begin("start")
        pid = int(await stage.read("agent"))
        stage.runner.close()
        assert not is_alive(pid)
        assert stage.events.empty()

    play(scene)


def test_many_agents_are_started_one_in_each_turn_of_the_loop(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = 0
    started: list[int] = []
    spawn = agents._spawn

    def recorded(order: agents._Order, entry: int | None) -> tuple[subprocess.Popen[bytes], int]:
        started.append(turn)
        return spawn(order, entry)

    async def scene(stage: Stage) -> None:
        nonlocal turn
        stage.agent("exit 0")
        for _ in range(5):
            stage.begin("start")
        async with asyncio.timeout(PATIENCE_S):
            while len(started) < 5:
                turn += 1
                await asyncio.sleep(0)
        for _ in range(5):
            await stage.next()

    monkeypatch.setattr(agents, "_spawn", recorded)
    play(scene)
    assert started == sorted(set(started))
