"""Raise a lab, find it again, ask it, go into its machines, and take it down so that nothing is left.

The outside's handle: everything of the lab itself lives under its host process (host.py). Refusals are
`Refused` with the place and the remedy. Source: unshare(1), nsenter(1).
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from komainu.lab import managers, preflight, procfs, protocol, stacks
from komainu.lab.action import Operation
from komainu.lab.machine import environment
from komainu.lab.plant import LabFailure
from komainu.model.report import Refused, Report

RAISE_TIMEOUT_S: Final = 60
"""Raising takes 1 s on an idle computer."""

ASK_TIMEOUT_S: Final = 60
"""Longer than the host's own limits for booting and dying, so that its reason is heard."""

DOWN_TIMEOUT_S: Final = 10
LAUNCH_GRACE_S: Final = 5
"""A directory without a host is taken for one that is just being raised for so long."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
"""A lab's name is a directory's name and stands in the paths of sockets, which may have 107 characters."""

DAEMON: Final = (sys.executable, "-m", "komainu.cli.main", "node")
_POLL_S: Final = 0.01
_REMOVAL_PAUSE_S: Final = 0.05


def base_directory() -> Path:
    """Give the directory that holds the labs of this user."""
    if os.geteuid() == 0:
        return Path("/run/komainu-lab")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "komainu-lab" if runtime else Path(f"/tmp/komainu-lab-{os.geteuid()}")


def names() -> tuple[str, ...]:
    """Name the labs that have a directory, up or not."""
    base = base_directory()
    return tuple(sorted(entry.name for entry in base.iterdir())) if base.is_dir() else ()


def directory_of(name: str) -> Path:
    """Give the directory of a lab. Raises Refused when the name is none: it must never lead elsewhere."""
    if not NAME.fullmatch(name):
        hint = "use up to 32 letters, digits and -"
        raise Refused((Report("lab.name", f"`{name}` cannot name a lab", hint),))
    return base_directory() / name


class Lab:
    """One lab that is up."""

    def __init__(self, name: str, lifeline: socket.socket | None = None) -> None:
        self.name = name
        self._directory = directory_of(name)
        self._lifeline = lifeline
        self._control: socket.socket | None = None
        self._heard = b""

    def keep(self) -> None:
        """Let the lab outlive this process."""
        if self._lifeline is not None:
            self._lifeline.sendall(b"keep\n")
            self._lifeline.close()
            self._lifeline = None

    def describe(self) -> protocol.LabView:
        """Ask how machines and cables stand."""
        reply = self._ask(protocol.Describe())
        assert isinstance(reply, protocol.LabView)
        return reply

    def perform(self, operation: Operation) -> str:
        """Do something to the lab; returns when it is done. Raises LabFailure."""
        reply = self._ask(protocol.Perform(operation))
        assert isinstance(reply, protocol.Fine)
        return reply.detail

    def events(self, first: int = 0) -> tuple[protocol.LabEvent, ...]:
        """Ask what happened to the machines since the event `first`."""
        reply = self._ask(protocol.AskEvents(first))
        assert isinstance(reply, protocol.Events)
        return reply.events

    def service(self, *, since: int, until: int) -> protocol.ServiceSeen:
        """Ask what the client saw between two moments of the monotonic clock (ms)."""
        reply = self._ask(protocol.AskService(since=since, until=until))
        assert isinstance(reply, protocol.ServiceSeen)
        return reply

    def pid(self, node: str) -> int | None:
        """Give the pid, as counted out here, of a machine's first process; None when it is off."""
        inode = next((one.pid_namespace for one in self.describe().machines if one.node == node), None)
        found = () if inode is None else procfs.in_pid_namespace(inode)
        return found[0] if found else None

    def root(self, node: str) -> Path | None:
        """Give a machine's file system as a path from out here; None when it is off."""
        pid = self.pid(node)
        return None if pid is None else Path(f"/proc/{pid}/root")

    def holders(self, address: str) -> tuple[str, ...]:
        """Name the machines on which an address stands at this moment, as their kernels have it."""
        return tuple(one.node for one in self.describe().machines if self._has(one.node, address))

    def inside(self, node: str, command: Sequence[str]) -> list[str]:
        """Give the command line that runs a command in a machine. Raises LabFailure when it is off."""
        pid = self.pid(node)
        if pid is None:
            raise LabFailure(f"{node} is off, or the lab `{self.name}` has no such node")
        user = () if os.geteuid() == 0 else ("-U", "--preserve-credentials")
        return ["nsenter", "-t", str(pid), *user, "-m", "-u", "-i", "-n", "-p", "--", *command]

    def run(
        self, node: str, command: Sequence[str], *, stdin: str = "", timeout_s: float = ASK_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in a machine and take what it says. Raises LabFailure."""
        try:
            return subprocess.run(
                self.inside(node, command),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                env=environment(self.name),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabFailure(f"`{' '.join(command)}` on {node} did not end within {timeout_s:g} s") from error

    def _has(self, node: str, address: str) -> bool:
        pid = self.pid(node)
        return pid is not None and address in procfs.local_addresses(pid)

    def down(self) -> None:
        """End the lab and wait until nothing is left of it."""
        held = host_process(
            self._directory
        )  # read first: a host that loses its lifeline removes its files itself
        for connection in (self._control, self._lifeline):
            if connection is not None:
                connection.close()
        self._control = self._lifeline = None
        take_down(self.name)
        if held is not None:
            _wait_gone(held, DOWN_TIMEOUT_S)

    def _ask(self, request: protocol.ControlRequest) -> protocol.ControlReply:
        try:
            if self._control is None:
                self._control = connect(self._directory)
            self._control.sendall(msgspec.json.encode(request) + b"\n")
            line, self._heard = read_line(self._control, self._heard)
        except OSError as error:
            raise LabFailure(f"the lab `{self.name}` does not answer: {error}") from error
        reply: protocol.ControlReply = msgspec.json.decode(line, type=protocol.ControlReply)
        if isinstance(reply, protocol.Failed):
            raise LabFailure(reply.error)
        return reply


def connect(directory: Path, timeout_s: float = ASK_TIMEOUT_S) -> socket.socket:
    """Connect to a host's control socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(str(directory / protocol.CONTROL_SOCKET))
    except OSError:
        connection.close()
        raise
    return connection


def read_line(connection: socket.socket, heard: bytes = b"") -> tuple[bytes, bytes]:
    """Read one line; give it and what was read beyond it. Raises OSError when the other end is gone."""
    while b"\n" not in heard:
        part = connection.recv(65_536)
        if not part:
            raise ConnectionResetError("it ended")
        heard += part
    line, _, rest = heard.partition(b"\n")
    return line, rest


def attach(name: str) -> Lab:
    """Find a lab that is up. Raises Refused with the command that raises one."""
    if host_process(directory_of(name)) is None:
        others = [other for other in names() if host_process(base_directory() / other) is not None]
        hint = f"these labs are up: {', '.join(others)}" if others else "raise one with `komainu lab up`"
        raise Refused((Report("lab.not-up", f"there is no lab `{name}`", hint),))
    return Lab(name)


def start(blueprint: protocol.Blueprint) -> Lab:
    """Raise a lab. It lives as long as this process, unless `keep` is called. Raises Refused, leaving nothing."""
    directory_of(blueprint.name)
    problems = missing_or_wrong(blueprint)
    if problems:
        raise Refused(problems)
    directory = _claim(blueprint.name)
    ours, theirs = socket.socketpair()
    try:
        (directory / protocol.BLUEPRINT_FILE).write_bytes(msgspec.json.encode(blueprint))
        command = [sys.executable, "-m", "komainu.lab.host", "--launch", str(directory), str(theirs.fileno())]
        with (directory / protocol.HOST_LOG).open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                env=environment(blueprint.name),
                start_new_session=True,
                cwd="/",
            )
        process.returncode = 0  # it outlives us, or take_down ends it
        theirs.close()
        _await_ready(ours, directory)
    except BaseException:
        theirs.close()
        Lab(blueprint.name, ours).down()
        raise
    return Lab(blueprint.name, ours)


def missing_or_wrong(blueprint: protocol.Blueprint) -> tuple[Report, ...]:
    """Say what stands against raising this lab here."""
    wrong = [Report("lab.layout", problem) for problem in blueprint.layout.problems()]
    programs = (*managers.PROGRAMS[blueprint.network], *stacks.programs(blueprint.layout, blueprint.stack))
    wrong.extend(
        Report("lab.program-missing", f"{path} is not installed", managers.PACKAGES_HINT)
        for path in preflight.absent(programs)
    )
    if programs and os.geteuid() != 0:  # they give up rights at their start, which only root has
        said = "network managers and peers run as root only"
        wrong.append(Report("lab.needs-root", said, "run it as root, or with komainu and static addresses"))
    return (*wrong, *preflight.missing())


def take_down(name: str) -> bool:
    """End a lab, whatever state it is in, and remove its files; False when there was none.

    Asks first; a host that does not end is killed, and the kernel ends all that is in its namespaces.
    """
    directory = directory_of(name)
    if not directory.is_dir():
        return False
    until = time.monotonic() + DOWN_TIMEOUT_S
    while time.monotonic() < until:  # a host just launched may write itself down while its directory goes
        held = host_process(directory)
        if held is not None:
            _end(held, directory)
        shutil.rmtree(directory, ignore_errors=True)
        if not directory.exists():
            break
        time.sleep(_REMOVAL_PAUSE_S)
    with contextlib.suppress(OSError):
        directory.parent.rmdir()
    return True


def _end(held: protocol.HostProcess, directory: Path) -> None:
    """Ask a host to end; kill it when it does not."""
    with contextlib.suppress(OSError):
        connection = connect(directory, timeout_s=2)
        with connection:
            connection.sendall(msgspec.json.encode(protocol.TakeDown()) + b"\n")
    if not _wait_gone(held, DOWN_TIMEOUT_S):
        _kill(held)


def host_process(directory: Path) -> protocol.HostProcess | None:
    """Give the process that holds a lab; None when it is gone, even if its pid is in use again."""
    try:
        held = msgspec.json.decode((directory / protocol.HOST_FILE).read_bytes(), type=protocol.HostProcess)
    except (OSError, msgspec.MsgspecError):
        return None
    return held if _is_alive(held) else None


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end this process as Ctrl-C does: by an exception, so that labs are taken down."""

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _claim(name: str) -> Path:
    """Make a lab's directory; a dead lab of that name is cleared away. Raises Refused when it is up."""
    directory = directory_of(name)
    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        age_s = time.time() - directory.stat().st_mtime
        is_raising = not (directory / protocol.HOST_FILE).exists() and age_s < LAUNCH_GRACE_S
        if is_raising or host_process(directory) is not None:
            hint = f"`komainu lab down {name}` ends it; another name makes a second lab"
            raise Refused((Report("lab.is-up", f"the lab `{name}` is up already", hint),))
        take_down(name)
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.mkdir(mode=0o700)
    return directory


def _await_ready(lifeline: socket.socket, directory: Path) -> None:
    lifeline.settimeout(RAISE_TIMEOUT_S)
    said: protocol.Ready | protocol.Unable
    try:
        line, _ = read_line(lifeline)
        said = msgspec.json.decode(line, type=protocol.Ready | protocol.Unable)
    except OSError as error:
        said = protocol.Unable(f"its host did not say that it is up: {error}")
    if isinstance(said, protocol.Unable):
        tail = ""
        with contextlib.suppress(OSError):
            tail = (directory / protocol.HOST_LOG).read_text(encoding="utf-8", errors="replace")[-2000:]
        raise Refused((Report("lab.not-raised", f"the lab could not be raised: {said.error}", tail.strip()),))


def _is_alive(held: protocol.HostProcess) -> bool:
    seen = procfs.parent_and_start(held.pid)
    return seen is not None and seen[1] == held.start


def _wait_gone(held: protocol.HostProcess, timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while _is_alive(held):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True


def _kill(held: protocol.HostProcess) -> None:
    """Kill the host, which is the child of the process we know, and with it all that lives in its namespaces."""
    hosts = procfs.children_of(held.pid)
    for pid in (*hosts, held.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _wait_gone(held, DOWN_TIMEOUT_S)
