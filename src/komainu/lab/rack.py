"""Boot, kill and watch the machines of a lab, and keep the log of what happened to them.

A machine is on from the moment its first process is spawned until that process is reaped: `power_off` answers
only then, and its cables were cut before. Knows no socket of the outside; asks the plant for cables. Runs on
the host's event loop. Source: unshare(1), pid_namespaces(7), reboot(2).
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from komainu.lab import machine, procfs, protocol
from komainu.lab.action import Kill, KillDaemon
from komainu.lab.managers import SERVICES, Network
from komainu.lab.plant import LabFailure, Plant

BOOT_TIMEOUT_S: Final = 30
"""A boot takes 0.2 s; a loaded computer may take a hundred times longer."""

DEATH_TIMEOUT_S: Final = 20
"""SIGKILL of a pid namespace is a matter of milliseconds, unless a process hangs in the kernel."""

NETWORK_TIMEOUT_S: Final = 15
"""How long a boot waits for the network manager's addresses, as systemd's network-online.target would; a
machine whose cable is out goes on without. NetworkManager takes 1 s, without a cable 6 s (measured)."""

EVENTS_MAX: Final = 10_000
"""More events than any drill makes; a daemon that is restarted in a circle must not fill the host."""


@dataclass(slots=True)
class _Machine:
    node: str
    boots: int = 0
    shell: int | None = None  # `unshare`, which waits for the machine's first process
    bus: asyncio.StreamWriter | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # one change of power at a time
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    was_reset: bool = False  # its watchdog made, or is about to make, this boot
    daemon: str = "off"
    daemon_pid: int = 0  # as the machine counts; 0: none runs


class Children:
    """Reap every child of this process, as pid 1 must, and tell who waits for one."""

    def __init__(self) -> None:
        self._gone: dict[int, asyncio.Event] = {}
        self._ends: dict[int, int] = {}  # wait statuses

    def spawn(
        self, command: list[str], *, env: dict[str, str], fds: tuple[int, ...] = (), stdout: int | None = None
    ) -> int:
        """Start a child in a session of its own and give its pid."""
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=stdout, pass_fds=fds, start_new_session=True
        )
        process.returncode = 0  # reaped here, not by this object
        self._gone[process.pid] = asyncio.Event()
        return process.pid

    async def wait(self, pid: int, timeout_s: float) -> None:
        """Wait until a child was reaped. Raises TimeoutError."""
        gone = self._gone.get(pid)
        if gone is not None:
            async with asyncio.timeout(timeout_s):
                await gone.wait()

    def reap(self) -> None:
        """Take every child that has ended, the orphans too."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                gone = self._gone.get(pid)
                if gone is not None:
                    self._ends[pid] = status
                    gone.set()

    async def was_rebooted(self, pid: int, timeout_s: float) -> bool:
        """Wait until a machine's `unshare` was reaped; say whether a process of the machine called reboot(2).

        The kernel then lets its first process end by SIGHUP, and `unshare` ends by the same.
        """
        with contextlib.suppress(TimeoutError):
            await self.wait(pid, timeout_s)
        status = self._ends.get(pid, 0)
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGHUP


class Rack:
    """The machines of one lab."""

    def __init__(
        self, blueprint: protocol.Blueprint, directory: Path, plant: Plant, children: Children
    ) -> None:
        self._blueprint = blueprint
        self._directory = directory
        self._plant = plant
        self._children = children
        self._machines = {node: _Machine(node) for node in blueprint.layout.nodes}
        self._tasks: set[asyncio.Task[None]] = set()
        self.events: list[protocol.LabEvent] = []

    def pid(self, node: str) -> int | None:
        """Give a machine's first process; None when it is off."""
        shell = self._machines[node].shell
        if shell is None:
            return None
        return next(iter(procfs.children_of(shell)), None)

    def views(self) -> tuple[protocol.MachineView, ...]:
        """Say how the machines stand."""
        return tuple(self._view(one) for one in self._machines.values())

    async def power_on(self, node: str, reason: str) -> None:
        """Boot a machine and give it its cables; nothing happens when it is on."""
        one = self._machines[node]
        async with one.lock:
            await self._boot(one, reason)

    async def power_off(self, node: str, reason: str) -> None:
        """Cut a machine's cables, then its power; answers when nothing is left of it."""
        one = self._machines[node]
        async with one.lock:
            await self._cut(one, "power-off", reason)

    def switch_on(self, node: str, reason: str) -> None:
        """Give a machine power and do not wait for its boot, as a power switch does. A failed boot is noted."""

        async def boot() -> None:
            with contextlib.suppress(LabFailure, OSError, TimeoutError):
                await self.power_on(node, reason)

        self._keep(boot())

    async def reset(self, node: str, reason: str) -> None:
        """Cut the power and boot again."""
        one = self._machines[node]
        async with one.lock:
            await self._cut(one, "reset", reason)
            await self._boot(one, reason)

    async def _boot(self, one: _Machine, reason: str) -> None:
        if one.shell is not None:
            return
        ours, theirs = socket.socketpair()
        env = machine.environment(self._blueprint.name)
        one.shell = self._children.spawn(self._command(one, theirs.fileno()), env=env, fds=(theirs.fileno(),))
        theirs.close()
        one.was_reset = False
        reader, one.bus = await asyncio.open_connection(sock=ours)
        one.boots, one.is_up, one.daemon = one.boots + 1, asyncio.Event(), "not started"
        self._note(one.node, "boot", reason)
        self._keep(self._listen(one, one.bus, reader))
        try:
            async with asyncio.timeout(BOOT_TIMEOUT_S):
                await one.is_up.wait()
            self._plant.connect(one.node, self._first_process(one.node))
            await self._network_online(one.node)
            self.start_daemon(one.node)
        except (TimeoutError, LabFailure):
            await self._cut(one, "power-off", "it did not boot")
            raise

    async def _network_online(self, node: str) -> None:
        """Wait until a network manager has put every address where it belongs, or the patience ends."""
        if self._blueprint.network is Network.STATIC:
            return
        layout = self._blueprint.layout
        wanted = {layout.address(node, cable) for cable in layout.cables}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(NETWORK_TIMEOUT_S):
                while not wanted <= procfs.local_addresses(self._first_process(node)):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.05)

    def _first_process(self, node: str) -> int:
        pid = self.pid(node)
        if pid is None:
            raise LabFailure(f"{node} is off, or ended while it booted")
        return pid

    async def _cut(self, one: _Machine, kind: str, reason: str) -> None:
        if one.shell is None:
            return
        self._plant.silence(one.node)
        self._note(one.node, kind, reason)
        one.daemon, one.daemon_pid = "off", 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid(one.node) or one.shell, signal.SIGKILL)
        try:
            await self._children.wait(one.shell, DEATH_TIMEOUT_S)
        except TimeoutError:
            raise LabFailure(
                f"{one.node} did not die within {DEATH_TIMEOUT_S} s of its power being cut"
            ) from None
        one.shell = None
        self._plant.disconnect(one.node)

    def start_daemon(self, node: str) -> None:
        """Let a machine start its daemon, unless it runs."""
        bus = self._machines[node].bus
        if self._machines[node].shell is None or bus is None:
            raise LabFailure(f"{node} is off: it cannot start a daemon")
        bus.write(msgspec.json.encode(protocol.RunDaemon()) + b"\n")

    def kill(self, order: Kill | KillDaemon) -> str:
        """Send a signal to processes of a machine; say how many. Raises LabFailure when there is none."""
        if_any = isinstance(order, Kill) and order.if_any
        if if_any and self.pid(order.node) is None:
            return "it is off"
        first = self._first_process(order.node)
        inode = procfs.pid_namespace(first)
        inside = () if inode is None else procfs.in_pid_namespace(inode)
        daemon = self._machines[order.node].daemon_pid
        hit = [pid for pid in inside if pid != first and _is_meant(order, pid, daemon)]
        number = signal.Signals[f"SIG{order.signal}"]
        for pid in hit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if not hit and not if_any:
            raise LabFailure(f"{order.node} runs no process that is meant by: {order}")
        return f"{number.name} to {len(hit)} process(es)"

    def _command(self, one: _Machine, bus: int) -> list[str]:
        spaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--propagation", "private"]
        root = str(self._directory / "store" / one.node)
        arguments = ["--node", one.node, "--root", root, "--bus", str(bus)]
        arguments += ["--was-reset"] if one.was_reset else []
        arguments += ["--power-socket", str(self._directory / protocol.POWER_SOCKET)]
        services = msgspec.json.encode(SERVICES[self._blueprint.network]).decode()
        arguments += ["--services", services]
        program = [sys.executable, "-m", "komainu.lab.machine", *arguments, "--", *self._blueprint.daemon]
        return ["unshare", *spaces, "--fork", "--kill-child=SIGKILL", "--", *program]

    async def _listen(self, one: _Machine, bus: asyncio.StreamWriter, reader: asyncio.StreamReader) -> None:
        """Hear a machine until it ends. One that ends unasked is off, unless it rebooted itself."""
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                await self._hear(one, msgspec.json.decode(line, type=protocol.MachineReport))
        bus.close()
        one.is_up.set()
        if one.bus is not bus or one.daemon == "off" or one.shell is None:
            return
        was_rebooted = await self._children.was_rebooted(one.shell, DEATH_TIMEOUT_S)
        if was_rebooted and one.daemon != "off":  # and nobody has cut its power meanwhile
            await self.reset(one.node, "it rebooted itself")
        else:
            await self.power_off(one.node, "its first process ended")

    async def _hear(self, one: _Machine, report: protocol.MachineReport) -> None:
        match report:
            case protocol.MachineUp():
                one.is_up.set()
            case protocol.DaemonStarted(pid):
                one.daemon, one.daemon_pid = "running", pid
                self._note(one.node, "daemon-started", "")
            case protocol.DaemonExited(how):
                one.daemon, one.daemon_pid = how, 0
                self._note(one.node, "daemon-exited", how)
            case protocol.WatchdogExpired(reason):
                one.was_reset = True
                self._keep(self.reset(one.node, reason))

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, node: str, kind: str, reason: str) -> None:
        if len(self.events) < EVENTS_MAX:
            at = time.monotonic_ns() // 1_000_000
            self.events.append(protocol.LabEvent(len(self.events), at, node, kind, reason))

    def _view(self, one: _Machine) -> protocol.MachineView:
        pid = self.pid(one.node)
        inode = None if pid is None else procfs.pid_namespace(pid)
        return protocol.MachineView(one.node, one.shell is not None, one.boots, inode, one.daemon)


def _is_meant(order: Kill | KillDaemon, pid: int, daemon: int) -> bool:
    """Say whether a process is the daemon, belongs to the resource, or has the pattern in its command line."""
    if isinstance(order, KillDaemon):
        return procfs.innermost_pid(pid) == daemon
    if order.resource is not None:
        return procfs.environment(pid).get("OCF_RESOURCE_INSTANCE") == order.resource
    return order.pattern is not None and order.pattern in procfs.command_line(pid)
