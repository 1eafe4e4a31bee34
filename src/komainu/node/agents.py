"""Run agents as the executor and the fencer ask: their own session, bounded output, killed when time is up.

A shell: it decides nothing about what an agent's end means. An agent has ended when its first process has,
whatever it left running and whoever still holds its pipes. No agent is ever run through a shell.
Source: OCF resource agent API 1.1 and fence agent API (paths, one argument, options on standard input);
Pacemaker kills the process group of an agent at its time-out, with SIGKILL, and so do we.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Final, assert_never

from komainu.executor.environment import ALWAYS, EXIT_REASON_PREFIX
from komainu.executor.interface import (
    AgentDescribed,
    AgentFinished,
    DescribeAgent,
    ProcessesGone,
    RunAgent,
    StopWatching,
)
from komainu.fencing import device as fence_device
from komainu.fencing.interface import Device, FenceAgentFinished, RunFenceAgent
from komainu.model.ids import NodeName, ResourceId, WallTime
from komainu.model.operation import OUTPUT_BYTES_MAX, AgentName, ExitCode
from komainu.node.processes import ProcessWatch

AgentEvent = AgentFinished | AgentDescribed | FenceAgentFinished | ProcessesGone

OWN_AGENTS: Final = Path(__file__).resolve().parent.parent / "agents"
"""Where the agents of the provider `komainu` and the package's own fence agents are."""

OCF_ROOT: Final = Path("/usr/lib/ocf")
FENCE_FOLDER: Final = Path("/usr/sbin")

DEATH_S_MAX: Final = 5.0
"""How long a killed agent may take to die, since it may hang in the kernel; then its end is reported anyway."""

READ_BYTES: Final = 65_536
"""One read from an agent: the size of a pipe."""

DRAINED_BYTES_MAX: Final = 16 * 1024 * 1024
"""Output that is read and thrown away. An agent that prints more blocks until its time-out, rather than have
the daemon do nothing but read."""

FENCE_NICENESS: Final = -15
"""A fence agent goes before ordinary work, as the daemon does: a busy machine must not put a take-over off."""

_INHERITED: Final = ("HOME", "LANG", "LC_ALL", "TZ")
_PATH_DEFAULT: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class _Pipe:
    """What one of the agent's outputs has said: the last part of it, since reasons stand at the end."""

    descriptor: int
    kept: bytearray = field(default_factory=bytearray)
    read_bytes: int = 0

    def take(self) -> bool:
        """Read once; return whether there may be more."""
        try:
            data = os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.read_bytes += len(data)
        self.kept += data
        del self.kept[:-OUTPUT_BYTES_MAX]
        return bool(data)

    @property
    def text(self) -> str:
        return self.kept.decode("utf-8", errors="replace")


@dataclass(slots=True)
class _Run:
    """One agent in flight."""

    process: subprocess.Popen[bytes]
    pidfd: int
    started: float  # the loop's clock
    outputs: tuple[_Pipe, _Pipe]
    report: Callable[["_End"], None]
    timer: asyncio.TimerHandle | None = None
    is_late: bool = False
    is_reported: bool = False


@dataclass(frozen=True, slots=True)
class _End:
    """How a run ended, for either kind of agent."""

    exit_code: int | None = None
    timed_out: bool = False
    missing: bool = False
    output: str = ""
    error_output: str = ""
    exec_ms: int = 0


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be run: the program with its argument, its environment and what it reads."""

    command: list[str]
    environment: dict[str, str]
    standard_input: bytes = b""
    timeout_ms: int = 0
    is_urgent: bool = False


class AgentRunner:
    """Run the agents of one node inside a running event loop, and watch what they start."""

    def __init__(
        self,
        node: NodeName,
        report: Callable[[AgentEvent], None],
        *,
        ocf_root: Path = OCF_ROOT,
        fence_folder: Path = FENCE_FOLDER,
        groups: Path | None = None,
    ) -> None:
        """`report` is called from the loop, never from within `run`. `groups`: see ProcessWatch."""
        self._report = report
        self._ocf_root = ocf_root
        self._fence_folder = fence_folder
        self._runs: dict[int, _Run] = {}
        self._waiting: deque[RunAgent | DescribeAgent] = deque()
        self.watch = ProcessWatch(
            node, lambda gone: report(ProcessesGone(gone)), self._sessions, groups=groups
        )

    def run(self, effect: RunAgent | DescribeAgent | RunFenceAgent) -> None:
        """Start an agent; its end is reported later, whatever comes of it.

        To start one takes milliseconds, and a plan may ask for hundreds: they are started one in each turn of the
        loop, so that heartbeats and the watchdog come in between. A fence agent does not wait.
        """
        if isinstance(effect, RunFenceAgent):
            self._run_fence_agent(effect)
            return
        self._waiting.append(effect)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._start_next)

    def _start_next(self) -> None:
        if not self._waiting:
            return  # closed meanwhile
        effect = self._waiting[0]
        match effect:
            case RunAgent():
                self._run_resource_agent(effect)
            case DescribeAgent():
                self._describe(effect)
            case _:
                assert_never(effect)
        self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._start_next)

    def stop_watching(self, effect: StopWatching) -> None:
        """Let go of a resource that was stopped."""
        self.watch.stop(effect.resource)

    def close(self) -> None:
        """Kill the agents in flight, report nothing more, and leave all services as they are."""
        self.watch.close()
        self._waiting.clear()
        for run in list(self._runs.values()):
            run.is_reported = True
            _kill_group(run.process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                run.process.wait(timeout=DEATH_S_MAX)
            self._let_go(run)

    # -- the two kinds of agents ------------------------------------------------------------------------

    def _run_resource_agent(self, effect: RunAgent) -> None:
        request = effect.request
        was_watched = request.operation != "monitor" and self.watch.pause(request.resource)

        def finish(end: _End) -> None:
            if was_watched or (effect.watch and end.exit_code in {ExitCode.OK, ExitCode.RUNNING_PROMOTED}):
                self.watch.watch(request.resource)
            self._report(
                AgentFinished(
                    run=effect.run,
                    exit_code=end.exit_code,
                    timed_out=end.timed_out,
                    missing=end.missing,
                    output=end.output,
                    error_output=end.error_output,
                    wall=_wall(),
                    exec_ms=end.exec_ms,
                )
            )

        leaves_processes = effect.watch and request.operation != "monitor"
        order = self._order_of(effect)
        self._start(order, finish, request.resource if leaves_processes else None)

    def _order_of(self, effect: RunAgent) -> _Order | None:
        """Say what to run for a resource; None when there is no such agent."""
        request = effect.request
        if request.agent.agent_class == "stonith":
            device = Device(request.resource, request.agent.agent_type, request.parameters)
            options = fence_device.options_of(device, "monitor", None)
            return self._fence_order(device.agent, options, effect.timeout_ms)
        command = self._command_of(request.agent)
        if command is None:
            return None
        environment = {**_machine_environment(), **dict(effect.environment), "OCF_ROOT": str(self._ocf_root)}
        return _Order([*command, effect.action], environment, b"", effect.timeout_ms)

    def _describe(self, effect: DescribeAgent) -> None:
        command = self._ocf_command(effect.agent)

        def finish(end: _End) -> None:
            program = command[-1] if command else str(effect.agent)
            self._report(AgentDescribed(effect.agent, program, end.output, missing=end.missing))

        environment = {**_machine_environment(), **dict(ALWAYS), "OCF_ROOT": str(self._ocf_root)}
        order = _Order([*command, "meta-data"], environment, b"", effect.timeout_ms) if command else None
        self._start(order, finish, None)

    def _run_fence_agent(self, effect: RunFenceAgent) -> None:
        def finish(end: _End) -> None:
            self._report(
                FenceAgentFinished(
                    run=effect.run,
                    exit_code=end.exit_code,
                    timed_out=end.timed_out,
                    missing=end.missing,
                    output=end.output,
                    error_output=end.error_output,
                    wall=_wall(),
                )
            )

        order = self._fence_order(effect.agent, effect.options, effect.timeout_ms)
        self._start(None if order is None else replace(order, is_urgent=True), finish, None)

    def _fence_order(self, agent: str, options: Iterable[tuple[str, str]], timeout_ms: int) -> _Order | None:
        if not _is_plain(agent):
            return None
        # A line break would begin another option, so it cannot be part of a value.
        lines = [f"{name}={text}".replace("\n", " ") + "\n" for name, text in options]
        own = OWN_AGENTS / "fence" / agent
        command = _own_command(own) if own.is_file() else [str(self._fence_folder / agent)]
        return _Order(command, _machine_environment(), "".join(lines).encode(), timeout_ms)

    def _command_of(self, agent: AgentName) -> list[str] | None:
        """Give the command line of an agent, up to the action; None when it cannot be one."""
        if agent.agent_class == "ocf":
            return self._ocf_command(agent)
        own = _own_command(OWN_AGENTS / "service/run")
        return [*own, agent.agent_class, agent.agent_type] if _is_plain(agent.agent_type) else None

    def _ocf_command(self, agent: AgentName) -> list[str] | None:
        provider, kind = agent.provider or "heartbeat", agent.agent_type
        if not (_is_plain(provider) and _is_plain(kind)):
            return None
        own = OWN_AGENTS / "ocf" / provider / kind
        if own.is_file():
            return _own_command(own)
        return [str(self._ocf_root / "resource.d" / provider / kind)]

    # -- one run ----------------------------------------------------------------------------------------

    def _start(self, order: _Order | None, finish: Callable[[_End], None], group: ResourceId | None) -> None:
        loop = asyncio.get_running_loop()
        if order is None:
            loop.call_soon(finish, _End(missing=True))
            return
        entry = None if group is None else self.watch.entry(group)
        try:
            process, pidfd = _spawn(order, entry)
        except FileNotFoundError:
            loop.call_soon(finish, _missing(order.command[0]))
            return
        except PermissionError as failure:
            said = f"{EXIT_REASON_PREFIX}{order.command[0]} may not be run: {failure.strerror}"
            loop.call_soon(finish, _End(exit_code=ExitCode.NO_PRIVILEGE, error_output=said))
            return
        except (OSError, ValueError) as failure:  # ValueError: a NUL, or a `=` in the name of a parameter
            said = f"{EXIT_REASON_PREFIX}{order.command[0]} could not be run: {failure}"
            loop.call_soon(finish, _End(error_output=said))
            return
        finally:
            if entry is not None:
                os.close(entry)
        run = _Run(
            process=process,
            pidfd=pidfd,
            started=loop.time(),
            outputs=(_pipe(process.stdout), _pipe(process.stderr)),
            report=finish,
        )
        self._runs[process.pid] = run
        for pipe in run.outputs:
            loop.add_reader(pipe.descriptor, _take, pipe)
        loop.add_reader(run.pidfd, self._ended, run)
        run.timer = loop.call_later(order.timeout_ms / 1000, self._late, run)

    def _late(self, run: _Run) -> None:
        """The time is up: kill the agent with all its children, and give it a little time to die."""
        run.is_late = True
        _kill_group(run.process.pid)
        run.timer = asyncio.get_running_loop().call_later(DEATH_S_MAX, self._settle, run)

    def _ended(self, run: _Run) -> None:
        run.process.wait()
        # Gone before its end is reported: what it left behind in its session is no agent in flight.
        self._runs.pop(run.process.pid, None)
        self._settle(run)
        self._let_go(run)

    def _settle(self, run: _Run) -> None:
        """Report the end of a run, once; what hangs in the kernel is reaped when it comes out of it."""
        if run.is_reported:
            return
        run.is_reported = True
        for pipe in run.outputs:
            while pipe.read_bytes < DRAINED_BYTES_MAX and pipe.take():
                pass
        code = run.process.returncode
        output, error_output = run.outputs
        run.report(
            _End(
                exit_code=None if run.is_late or code is None or code < 0 else code,
                timed_out=run.is_late,
                output=output.text,
                error_output=error_output.text,
                exec_ms=round((asyncio.get_running_loop().time() - run.started) * 1000),
            )
        )

    def _let_go(self, run: _Run) -> None:
        loop = asyncio.get_running_loop()
        if run.timer is not None:
            run.timer.cancel()
        for descriptor in (run.pidfd, *(pipe.descriptor for pipe in run.outputs)):
            loop.remove_reader(descriptor)
        os.close(run.pidfd)
        for stream in (run.process.stdout, run.process.stderr):
            if stream is not None:
                stream.close()
        self._runs.pop(run.process.pid, None)

    def _sessions(self) -> Iterable[int]:
        return self._runs.keys()


def _missing(program: str) -> _End:
    """Say what is not there: the agent, or only the interpreter that its first line names."""
    if not Path(program).exists():
        return _End(missing=True)
    said = f"{EXIT_REASON_PREFIX}the interpreter in the first line of {program} is not installed"
    return _End(exit_code=ExitCode.NOT_INSTALLED, error_output=said)


def _spawn(order: _Order, entry: int | None) -> tuple[subprocess.Popen[bytes], int]:
    """Start a program in its own session, and in the group whose door `entry` is."""

    def enter() -> None:
        if entry is not None:
            with contextlib.suppress(OSError):
                os.write(entry, b"0")

    with _input_of(order.standard_input) as standard_input:
        process = subprocess.Popen(
            order.command,
            env=order.environment,
            cwd="/",
            stdin=standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=None if entry is None else enter,  # noqa: PLW1509 - one write; only so no child escapes the group
        )
    if order.is_urgent:
        with contextlib.suppress(OSError):  # where that is not allowed
            os.setpriority(os.PRIO_PROCESS, process.pid, FENCE_NICENESS)
    try:
        return process, os.pidfd_open(process.pid)
    except OSError:
        _kill_group(process.pid)
        process.communicate()
        raise


def _input_of(data: bytes) -> IO[bytes]:
    """Give what an agent reads: a file in memory, so that one that does not read it blocks nobody."""
    if not data:
        return Path(os.devnull).open("rb")
    stream = os.fdopen(os.memfd_create("options", os.MFD_CLOEXEC), "w+b")
    stream.write(data)
    stream.seek(0)
    return stream


def _pipe(stream: IO[bytes] | None) -> _Pipe:
    assert stream is not None, "agents are started with pipes"
    os.set_blocking(stream.fileno(), False)
    return _Pipe(stream.fileno())


def _take(pipe: _Pipe) -> None:
    if not pipe.take() or pipe.read_bytes >= DRAINED_BYTES_MAX:
        asyncio.get_running_loop().remove_reader(pipe.descriptor)


def _kill_group(pid: int) -> None:
    """Kill an agent and its children. It leads its own session, so the group has its pid."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _own_command(path: Path) -> list[str]:
    """Run an agent of ours with our own interpreter: quicker than to search for one, and it is surely there."""
    return [sys.executable, "-I", "-S", str(path)]


def _is_plain(name: str) -> bool:
    """Whether a name of the configuration is one file's name: hidden ones and ways elsewhere are refused."""
    return bool(name) and "/" not in name and "\0" not in name and not name.startswith(".")


def _machine_environment() -> dict[str, str]:
    found = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    path = os.environ.get("PATH", _PATH_DEFAULT)
    missing = [folder for folder in _PATH_DEFAULT.split(":") if folder not in path.split(":")]
    return {**found, "PATH": ":".join([path, *missing])}


def _wall() -> WallTime:
    return WallTime(time.time_ns() // 1_000_000)
