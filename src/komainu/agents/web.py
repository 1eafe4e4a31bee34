"""Run a small web server that tells which node answers: the service of the demo.

Source: OCF resource agent API 1.1.
"""

import os
import select
import signal
import socket
import sys

from komainu.agents.resource_agent import (
    ERROR,
    NOT_CONFIGURED,
    NOT_RUNNING,
    OK,
    Agent,
    Failure,
    Parameter,
    is_probe,
    state_file,
)

ANSWER_S_MAX = 5.0
"""How long the server may take to answer a check."""

STOP_S_MAX = 3.0
"""How long the server may take to end when it is asked to; then it is killed."""

_AGENT = Agent(
    "web",
    "A small web server",
    "Serves one page that names the node it comes from, with the node in the header X-Node. It shows how a "
    "service moves between nodes; it is no server for the world.",
    [
        Parameter("port", "integer", "80", "the port to listen on", unique=True),
        Parameter("ip", "string", "0.0.0.0", "the address to listen on"),
        Parameter("page", "string", None, "text of the page, after the node's name"),
        Parameter("root", "string", None, "a folder whose files are served beside the page"),
    ],
)


def _pid_file() -> str:
    return state_file("web", "pid")


def _birth(pid: int) -> str:
    """Return when a process began, in the kernel's ticks: with the pid it names a process for ever; "" when gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:  # noqa: PTH123 - pathlib costs milliseconds at each run
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in {"Z", "X"} else fields[19]


def _running() -> int | None:
    """Return the server's pid; None when it does not run."""
    try:
        with open(_pid_file(), encoding="ascii") as file:  # noqa: PTH123 - as above
            pid, _, birth = file.read().strip().partition(" ")
    except FileNotFoundError:
        return None
    return int(pid) if pid.isdigit() and birth and _birth(int(pid)) == birth else None


def _check(ip: str, port: int) -> str:
    """Fetch the page; return what is wrong, or ""."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S_MAX)
            connection.connect((anywhere.get(ip, ip), port))
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = connection.recv(64)
    except OSError as failure:
        return f"the web server on {ip} port {port} does not answer: {failure}"
    return "" if b" 200 " in answer else f"the web server on {ip} port {port} gives no page: {answer!r}"


def _start() -> int:
    ip, port = _settings()
    if _running() is None:
        _launch(ip, port)
    wrong = _check(ip, port)
    if wrong:
        raise Failure(ERROR, wrong)
    return OK


def _launch(ip: str, port: int) -> None:
    """Start the server as a daemon; return when it listens. Raises Failure with its reason when it cannot."""
    from komainu.agents import web_server

    listener = web_server.listen(ip, port)
    page = f"{socket.gethostname()}\n{_AGENT.value('page')}".strip() + "\n"
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        listener.close()
        return
    # The first child only makes the second an orphan, in a session without a terminal.
    os.setsid()
    server = os.fork()
    if server:
        with open(_pid_file(), "w", encoding="ascii") as file:  # noqa: PTH123 - as above
            file.write(f"{server} {_birth(server)}\n")
        os._exit(0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.chdir("/")
    web_server.serve(listener, page.encode(), _AGENT.value("root"))


def _stop() -> int:
    pid = _running()
    if pid is not None:
        _end(pid)
    if os.path.exists(_pid_file()):  # noqa: PTH110 - as above
        os.unlink(_pid_file())  # noqa: PTH108 - as above
    return OK


def _end(pid: int) -> None:
    """End the server, by force when it does not listen, and wait until it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for order in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(descriptor, order)
            if select.select([descriptor], [], [], STOP_S_MAX)[0]:
                return
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
    raise Failure(ERROR, f"the web server (process {pid}) does not end, not even by force")


def _monitor() -> int:
    if _running() is None:
        if not is_probe() and os.path.exists(_pid_file()):  # noqa: PTH110 - as above
            raise Failure(NOT_RUNNING, "the process of the web server is gone")
        return NOT_RUNNING
    if os.environ.get("OCF_CHECK_LEVEL", "0") in {"", "0"}:
        return OK
    wrong = _check(*_settings())
    if wrong:
        raise Failure(ERROR, wrong)
    return OK


def _settings() -> tuple[str, int]:
    ip, port = _AGENT.value("ip"), _AGENT.number("port")
    if not 0 < port < 65_536:
        raise Failure(NOT_CONFIGURED, f"port={port} is not a port; choose one from 1 to 65535")
    return ip, port


def _validate() -> int:
    _settings()
    root = _AGENT.value("root")
    if root and not os.path.isdir(root):  # noqa: PTH112 - as above
        raise Failure(NOT_CONFIGURED, f"root={root} is not a folder of this node; create it or correct root")
    return OK


def main() -> None:
    """Do the action of the command line."""
    _AGENT.add("start", "20s", _start)
    _AGENT.add("stop", "20s", _stop)
    _AGENT.add("monitor", "20s", _monitor, interval="10s")
    _AGENT.add("validate-all", "20s", _validate)
    sys.exit(_AGENT.run())
