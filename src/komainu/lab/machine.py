"""Play the machine: the first process of a node, which boots it, starts its daemon and holds its watchdog.

It is pid 1 of the node's namespaces: it mounts the node's files, waits for its cables, starts the daemon,
reaps what is orphaned, and tells the host what happened. It restarts nothing by itself: a daemon that ends
stays ended, so that a drill sees it. Power and reset are the host's: it kills this process, and all others
of the machine die with it. Its watchdog is a file that answers as a driver does (watchdog_file.py); where this
computer has no FUSE, a Unix socket: `{"arm": MS}`, then any line pets it, `{"disarm": true}` ends it; a connection
that is lost while armed does not disarm.
Source: linux/watchdog.h for what a watchdog must do; pid_namespaces(7).
"""

import argparse
import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from komainu.lab import protocol
from komainu.lab.files import (
    DAEMON_LOG,
    WATCHDOG_FILE,
    WATCHDOG_SOCKET,
    mount_watchdog,
    prepare_machine,
)
from komainu.lab.plant import LabFailure
from komainu.lab.watchdog_file import REQUEST_BYTES_MAX, WatchdogFile

LINE_BYTES_MAX: Final = 4096
RESTARTS_MAX: Final = 50
"""How often a service is started again in the life of a machine: no drill needs more, and one that cannot
start must not fill the log."""

SERVICE_LOG: Final = "/var/log/komainu/services.log"
NICENESS: Final = -20
"""A pet waits for the answer of this process, which has next to nothing to do. Its children do not inherit it."""

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Arm(msgspec.Struct, frozen=True):
    """A line of the watchdog's contract; both absent: a pet."""

    arm: int | None = None
    disarm: bool = False


class Watchdog:
    """One connection to the watchdog: whether it is armed, and until when. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.timeout_s = 0.0
        self.expires: float | None = None
        self._is_armed = False

    def line(self, line: bytes, now: float) -> None:
        """Take one line of the petter; whatever it says, it lives."""
        said = Arm()
        if line.lstrip().startswith(b"{"):
            with contextlib.suppress(msgspec.MsgspecError):
                said = msgspec.json.decode(line, type=Arm)
        if said.disarm:
            self._is_armed = False
        elif said.arm is not None:
            self._is_armed, self.timeout_s = True, said.arm / 1000
        self.expires = now + self.timeout_s if self._is_armed else None


class Machine:
    """The first process of one node."""

    def __init__(
        self, bus: socket.socket, daemon: list[str], services: list[list[str]], *, was_reset: bool
    ) -> None:
        self._bus = bus
        self._command = daemon
        self._services = services
        self._serving: dict[int, list[str]] = {}  # by pid
        self._restarts = 0
        self._daemon: int | None = None
        self._selector = selectors.DefaultSelector()
        self._file = WatchdogFile(was_reset=was_reset)
        self._watchdogs: list[Watchdog | WatchdogFile] = [self._file]

    def run(self) -> None:
        """Serve until the power goes."""
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for service in self._services:
            self._serve(service)
        door = socket.socket(socket.AF_UNIX)
        door.bind(WATCHDOG_SOCKET)
        door.listen()
        with contextlib.suppress(OSError):  # the host has looked before, and named the socket in the settings
            kernel = mount_watchdog(Path(WATCHDOG_FILE))
            self._selector.register(kernel, selectors.EVENT_READ, lambda: self._serve_file(kernel))
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
        self._tell(protocol.MachineUp())
        self._selector.register(self._bus, selectors.EVENT_READ, self._hear_host)
        self._selector.register(wake, selectors.EVENT_READ, lambda: self._reap(wake))
        self._selector.register(door, selectors.EVENT_READ, lambda: self._admit(door))
        while True:
            for key, _ in self._selector.select(self._patience()):
                key.data()
            self._check_watchdogs()

    def _tell(self, report: protocol.MachineReport) -> None:
        self._bus.sendall(msgspec.json.encode(report) + b"\n")

    def _hear_host(self) -> None:
        """Start the daemon when asked. A host that is gone means that the lab is: end, and all with us."""
        if not self._bus.recv(LINE_BYTES_MAX):
            sys.exit(0)
        if self._daemon is None:
            self._start_daemon()

    def _serve(self, command: list[str]) -> None:
        """Start a service of the machine itself, such as its network manager."""
        with Path(SERVICE_LOG).open("ab") as out:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        process.returncode = 0  # reaped below
        self._serving[process.pid] = command

    def _start_daemon(self) -> None:
        log = Path(DAEMON_LOG)
        with log.open("ab") as out:
            started = time.strftime("%Y-%m-%d %H:%M:%S")
            out.write(f"--- {started} {' '.join(self._command)}\n".encode())
            out.flush()
            try:
                process = subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
                )
            except OSError as error:
                self._tell(protocol.DaemonExited(f"could not be started: {error}"))
                return
        self._daemon = process.pid
        process.returncode = 0  # reaped below with everybody else, not by this object
        self._tell(protocol.DaemonStarted(process.pid))

    def _reap(self, wake: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            wake.recv(LINE_BYTES_MAX)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._daemon:
                    self._daemon = None
                    self._tell(protocol.DaemonExited(how_it_ended(status)))
                service = self._serving.pop(pid, None)
                if service is not None and self._restarts < RESTARTS_MAX:
                    self._restarts += 1
                    self._serve(service)

    def _admit(self, door: socket.socket) -> None:
        connection, _ = door.accept()
        watchdog = Watchdog()
        self._watchdogs.append(watchdog)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._pet(connection, watchdog))

    def _pet(self, connection: socket.socket, watchdog: Watchdog) -> None:
        data = b""
        with contextlib.suppress(OSError):
            data = connection.recv(LINE_BYTES_MAX)
        for line in data.splitlines():
            watchdog.line(line, time.monotonic())
        if not data:
            self._selector.unregister(connection)
            connection.close()
            if watchdog.expires is None:
                self._watchdogs.remove(watchdog)

    def _serve_file(self, kernel: int) -> None:
        with contextlib.suppress(BlockingIOError, FileNotFoundError):  # who asked was killed meanwhile
            reply = self._file.handle(os.read(kernel, REQUEST_BYTES_MAX), time.monotonic())
            if reply is not None:
                os.write(kernel, reply)

    def _patience(self) -> float | None:
        armed = [watchdog.expires for watchdog in self._watchdogs if watchdog.expires is not None]
        return max(0.0, min(armed) - time.monotonic()) if armed else None

    def _check_watchdogs(self) -> None:
        for watchdog in self._watchdogs:
            if watchdog.expires is not None and time.monotonic() >= watchdog.expires:
                watchdog.expires = None
                seconds = f"{watchdog.timeout_s:g}"
                self._tell(protocol.WatchdogExpired(f"the watchdog was not petted for {seconds} s"))


def how_it_ended(status: int) -> str:
    """Say in words how a process ended, by its wait status."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exited with {os.waitstatus_to_exitcode(status)}"


def environment(lab: str) -> dict[str, str]:
    """Give the environment of everything that runs in a lab; KOMAINU_LAB marks its processes."""
    programs = str(Path(sys.executable).parent)
    return {
        "PATH": f"{programs}:{PATH}",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "KOMAINU_LAB": lab,
    }


def main() -> None:
    """Become the machine named on the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--node", required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--power-socket", type=Path, required=True)
    parser.add_argument("--bus", type=int, required=True)
    parser.add_argument("--was-reset", action="store_true", help="its watchdog made this boot")
    parser.add_argument("--services", default="[]", help="JSON: a list of commands")
    parser.add_argument("daemon", nargs="+")
    args = parser.parse_args()
    socket.sethostname(args.node)
    try:
        prepare_machine(args.root, args.power_socket)
    except (LabFailure, OSError) as problem:
        raise SystemExit(f"{args.node} cannot be given its own files: {problem}") from None
    os.chdir("/")
    bus = socket.socket(fileno=args.bus)
    bus.set_inheritable(False)
    services = msgspec.json.decode(args.services, type=list[list[str]])
    Machine(bus, args.daemon, services, was_reset=args.was_reset).run()


if __name__ == "__main__":
    main()
