"""Hold a whole lab in one process tree: the host owns the plant, the machines and the client.

It is pid 1 of its own pid, mount and network namespaces. When it ends, however it ends, the kernel ends
everything in it: no process, namespace, interface or mount is left. `--launch` writes down who we are and
becomes `unshare`, which runs the host inside. The lifeline is a socket pair to the command that started the
lab: when that command dies without having said `keep`, the lab goes too.
Source: unshare(1), pid_namespaces(7); the decisions about names and reports are made by the command.
"""

import argparse
import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Final, assert_never

import msgspec

from komainu.lab import action, files, gap, machine, managers, preflight, procfs, protocol, stacks
from komainu.lab.plant import LabFailure, Plant
from komainu.lab.rack import Children, Rack
from komainu.model import duration

ANSWERS_MAX: Final = 200_000
"""An hour of answers, 50 a second: about 20 MB."""

CLIENT_TIMEOUT_S: Final = 15

_WITNESS: Final = (sys.executable, "-m", "komainu.cli.main", "witness")


class Host:
    """One lab, served to commands over control.sock and to fence agents over power.sock."""

    def __init__(self, directory: Path, blueprint: protocol.Blueprint) -> None:
        self._directory = directory
        self._blueprint = blueprint
        self._children = Children()
        self._plant = Plant(blueprint.layout, is_managed=blueprint.network is not managers.Network.STATIC)
        self._rack = Rack(blueprint, directory, self._plant, self._children)
        self._answers: deque[protocol.Served] = deque(maxlen=ANSWERS_MAX)
        self._device = action.FenceDevice("good")
        self._one_at_a_time = asyncio.Lock()
        self._ended = asyncio.Event()
        self._collector: asyncio.Task[None] | None = None
        self._disks: tuple[int, ...] = ()  # held open until the lab ends

    async def run(self, lifeline: socket.socket) -> None:
        """Raise the lab, serve it until it is taken down, and leave nothing behind."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._children.reap)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._ended.set)
        reader, writer = await asyncio.open_connection(sock=lifeline)
        watch = asyncio.create_task(self._watch_lifeline(reader))
        raising = asyncio.create_task(self._raise())
        ended = asyncio.create_task(self._ended.wait())
        await asyncio.wait({raising, ended}, return_when=asyncio.FIRST_COMPLETED)
        if raising.done():
            failure = raising.exception()
            said = protocol.Ready() if failure is None else protocol.Unable(str(failure))
            writer.write(msgspec.json.encode(said) + b"\n")
            if failure is None:
                await ended
            elif not isinstance(failure, (LabFailure, OSError, TimeoutError)):
                raise failure
        raising.cancel()
        watch.cancel()

    async def _raise(self) -> None:
        """Build the plant, then boot all machines at once, then start the client."""
        key = secrets.token_bytes(32)
        layout = self._blueprint.layout
        is_file = files.can_play_watchdog(self._directory / "watchdog")
        for node in layout.nodes:
            root = self._directory / "store" / node
            files.write_settings(
                root,
                layout=layout,
                name=self._blueprint.name,
                key=key,
                engine=self._blueprint.stack.engine,
                watchdog=files.watchdog_line(is_file=is_file),
            )
            files.write_extra(root, self._extra_files(node))
        files.prepare_disks(self._directory, layout.shared_disks)
        if not self._blueprint.stack.is_komainu:
            self._disks = files.attach_disks(self._directory, layout.shared_disks)
        self._plant.build()
        await asyncio.start_unix_server(self._serve_power, self._directory / protocol.POWER_SOCKET)
        if layout.has_witness:
            self._certify()
            self._start_witness(layout.nodes[0])
        if layout.has_lease:
            self._prepare_lease(layout.nodes[0])
        await asyncio.gather(*(self._rack.power_on(node, "the lab was raised") for node in layout.nodes))
        if self._blueprint.probe_url:
            await self._start_client(self._blueprint.probe_url)
        await asyncio.start_unix_server(self._serve_control, self._directory / protocol.CONTROL_SOCKET)

    def _start_witness(self, node: str) -> None:
        """Start the witness beside the machines, with the key that the first one's settings give; or a qnetd."""
        self._plant.add_witness()
        env = machine.environment(self._blueprint.name)
        log = os.open(self._directory / "witness.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if self._blueprint.stack is stacks.Stack.KOMAINU:
            command = self._witness_command(node)
        else:
            command = list(stacks.qnetd_command(self._directory, self._blueprint.layout))
        self._children.spawn(command, env=env, stdout=log)
        os.close(log)

    def _certify(self) -> None:
        """Make the certificates of a qnetd and of the machines, where they are wanted. Raises LabFailure."""
        layout, name = self._blueprint.layout, self._blueprint.name
        if not layout.witness_has_tls or self._blueprint.stack is stacks.Stack.KOMAINU:
            return
        command = stacks.certify_command(self._directory, name)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabFailure(f"Corosync's tools made no certificates: {done.stderr.strip()}")
        for node in layout.nodes:
            files.give_certificates(self._directory, self._directory / "store" / node)

    def _witness_command(self, node: str) -> list[str]:
        """Make the settings of komainu's own witness; give its command."""
        secret = self._directory / files.WITNESS_KEY
        secret.touch(mode=0o600)
        secret.write_bytes(subprocess.check_output([*_WITNESS, "key", *self._as_node(node)]))
        return [*_WITNESS, "--config", str(files.write_witness(self._directory, self._blueprint.name))]

    def _prepare_lease(self, node: str) -> None:
        """Prepare the file that is the witness, as an administrator does."""
        path = self._directory / Path(files.SHARED).name / Path(files.LEASE_FILE).name
        path.parent.mkdir()
        subprocess.check_output(
            [*_WITNESS, "lease", "create", str(path), *self._as_node(node)], stderr=subprocess.DEVNULL
        )

    def _as_node(self, node: str) -> list[str]:
        """Give the options by which a command that runs beside the machines reads a node's settings."""
        private = self._directory / "store" / node / "private/etc/komainu"
        text = (private / "komainu.toml").read_text(encoding="utf-8")
        outside = self._directory / "witness-node.toml"
        outside.write_text(text.replace("/etc/komainu", str(private)), encoding="utf-8")
        return ["--config", str(outside), "--name", node]

    def _extra_files(self, node: str) -> tuple[managers.MachineFile, ...]:
        plan = self._blueprint
        network = managers.files(plan.layout, node, plan.network, server_config=plan.server_config)
        return (*network, *stacks.files(plan.layout, plan.stack, plan.name))

    async def _watch_lifeline(self, reader: asyncio.StreamReader) -> None:
        """End the lab when the command that started it is gone without having said `keep`."""
        with contextlib.suppress(ConnectionError):
            if await reader.readline() == b"keep\n":
                return
        self._ended.set()

    async def _start_client(self, url: str) -> None:
        """Start the probe in a namespace of its own and collect what it prints."""
        out, into = os.pipe()
        env = machine.environment(self._blueprint.name)
        command = ["unshare", "--net", "--", sys.executable, "-m", "komainu.lab.client", url]
        pid = self._children.spawn(command, env=env, stdout=into)
        os.close(into)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(out, "rb"))
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            if await reader.readline() != b"ready\n":
                raise LabFailure("the client's probe did not start")
        self._plant.connect_client(pid)
        self._collector = asyncio.create_task(self._collect(reader))

    async def _collect(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._answers.append(msgspec.json.decode(line, type=protocol.Served))

    # -- commands -----------------------------------------------------------------------------------------

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._reply(line)) + b"\n")
                await writer.drain()
        writer.close()

    async def _reply(self, line: bytes) -> protocol.ControlReply:
        try:
            request = msgspec.json.decode(line, type=protocol.ControlRequest)
            return await self._answer(request)
        except (LabFailure, OSError, TimeoutError, msgspec.MsgspecError) as failure:
            return protocol.Failed(str(failure) or type(failure).__name__)

    async def _answer(self, request: protocol.ControlRequest) -> protocol.ControlReply:
        match request:
            case protocol.Describe():
                return protocol.LabView(self._blueprint.name, self._rack.views(), self._ports())
            case protocol.AskEvents(first):
                return protocol.Events(tuple(self._rack.events[max(0, first) :]))
            case protocol.AskService(since, until):
                return gap.seen(tuple(self._answers), since=since, until=until)
            case protocol.Perform(operation):
                async with self._one_at_a_time:
                    return protocol.Fine(await self._perform(operation))
            case protocol.TakeDown():
                self._ended.set()
                return protocol.Fine()
        assert_never(request)

    async def _perform(self, operation: action.Operation) -> str:
        node = getattr(operation, "node", None)
        if node is not None and node not in self._blueprint.layout.nodes:
            raise LabFailure(f"the lab has no node `{node}`")
        match operation:
            case action.PowerOff(node):
                await self._rack.power_off(node, "its power was cut")
            case action.PowerOn(node):
                await self._rack.power_on(node, "it was switched on")
            case action.Reset(node):
                await self._rack.reset(node, "it was reset")
            case action.StartDaemon(node):
                self._rack.start_daemon(node)
            case action.Kill() | action.KillDaemon():
                return self._rack.kill(operation)
            case action.FenceDevice():
                self._device = operation
            case _:
                self._rewire(operation)
        return ""

    def _rewire(self, operation: action.WireAction | action.CableAction) -> None:
        cable = self._blueprint.layout.cable(operation.cable)
        if cable is None:
            raise LabFailure(f"the lab has no cable `{operation.cable}`")
        if isinstance(operation, action.CableAction):
            self._plant.isolate(cable, is_isolated=isinstance(operation, action.Isolate))
            return
        nodes = self._blueprint.layout.nodes if operation.node is None else (operation.node,)
        match operation:
            case action.Pull():
                self._plant.set_carrier(nodes, cable, is_plugged=False)
            case action.Plug():
                self._plant.set_carrier(nodes, cable, is_plugged=True)
            case _:
                for node in nodes:
                    self._plant.work(operation, node, self._rack.pid(node))

    def _ports(self) -> tuple[protocol.PortView, ...]:
        layout = self._blueprint.layout
        return tuple(
            protocol.PortView(
                node, cable.name, cable.nic, layout.address(node, cable), self._plant.is_plugged(node, cable)
            )
            for node in layout.nodes
            for cable in layout.cables
        )

    # -- the power switch ---------------------------------------------------------------------------------

    async def _serve_power(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._switch(line)) + b"\n")
                await writer.drain()
        writer.close()

    async def _switch(self, line: bytes) -> protocol.PowerAnswer:
        """Switch a machine as a fence agent asks. It must finish even when the asker dies by it."""
        try:
            ask = msgspec.json.decode(line, type=protocol.PowerAsk)
            if self._device.mood == "dead":
                return protocol.PowerAnswer(ok=False, error="it is dead, as the drill wants it")
            if self._device.mood == "lies" and ask.action in {"off", "on", "reboot"}:
                return protocol.PowerAnswer(ok=True, power="on" if ask.action == "on" else "off")
            if self._device.mood == "slow":
                await asyncio.sleep((duration.parse_ms(self._device.takes) or 0) / 1000)
            if ask.action == "list":
                return protocol.PowerAnswer(ok=True, nodes=self._blueprint.layout.nodes)
            if ask.node not in self._blueprint.layout.nodes:
                return protocol.PowerAnswer(ok=False, error=f"no machine `{ask.node}` is on this switch")
            if ask.action in {"off", "reboot"}:
                await self._rack.power_off(ask.node, f"it was fenced ({ask.action})")
            if ask.action in {"on", "reboot"}:
                reason = f"its power was switched on by a fence device ({ask.action})"
                self._rack.switch_on(ask.node, reason)
                return protocol.PowerAnswer(ok=True, power="on")
            is_on = self._rack.pid(ask.node) is not None
            return protocol.PowerAnswer(ok=True, power="on" if is_on else "off")
        except (LabFailure, OSError, TimeoutError, msgspec.MsgspecError) as failure:
            return protocol.PowerAnswer(ok=False, error=str(failure))


def launch(directory: Path, lifeline: int) -> None:
    """Write down our pid and start time, so that a later command can find and end us; become `unshare`."""
    seen = procfs.parent_and_start(os.getpid())
    assert seen is not None
    itself = protocol.HostProcess(pid=os.getpid(), start=seen[1])
    (directory / protocol.HOST_FILE).write_bytes(msgspec.json.encode(itself))
    spaces = [
        *preflight.user_namespace(),
        "--net",
        "--mount",
        "--pid",
        "--propagation",
        "private",
        "--fork",
        "--kill-child=SIGKILL",
    ]
    program = [sys.executable, "-m", "komainu.lab.host", str(directory), str(lifeline)]
    os.execvp("unshare", ["unshare", *spaces, "--", *program])


def main() -> None:
    """Launch or be the host of the lab in the directory given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--launch", action="store_true")
    parser.add_argument("directory", type=Path)
    parser.add_argument("lifeline", type=int)
    args = parser.parse_args()
    os.set_inheritable(args.lifeline, args.launch)
    if args.launch:
        launch(args.directory, args.lifeline)
    store = args.directory / "store"
    try:  # also when a command that was stopped has just taken the blueprint away: nothing may be left
        blueprint = msgspec.json.decode(
            (args.directory / protocol.BLUEPRINT_FILE).read_bytes(), type=protocol.Blueprint
        )
        files.prepare_store(store)
        asyncio.run(Host(args.directory, blueprint).run(socket.socket(fileno=args.lifeline)))
    finally:
        _end_everything()  # a machine in the midst of booting makes its directories anew
        files.detach(store)
        shutil.rmtree(args.directory, ignore_errors=True)


def _end_everything() -> None:
    """Kill every other process of this pid namespace and wait until none is left."""
    if os.getpid() != 1:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


if __name__ == "__main__":
    main()
