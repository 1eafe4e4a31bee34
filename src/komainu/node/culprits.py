"""Find out who deleted an address, beside the loop: which program asked, and which managers look after it.

Decides nothing: what the facts mean is network/culprit.py's business. Reads /proc and /run, and asks nmcli.
Source: proc(5); /proc/net/netlink lists the sockets with their ports; NetworkManager(8) and systemd-networkd(8)
keep the state of each interface in /run; dhcpcd(8) and dhclient(8) keep pid files there; nmcli(1): GENERAL.STATE
and GENERAL.REASON are the D-Bus property StateReason of a device, as "40 (Carrier/link changed)".
"""

import asyncio
import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from komainu.network.culprit import PID_MAX, may_say_why
from komainu.network.interface import CulpritFacts, DeviceState, FindCulprit, Process

BUDGET_S: Final = 0.1
"""How long the search may take: an answer that comes later explains nothing that is still open."""

ANSWER_TIMEOUT_S: Final = 0.5
"""How long NetworkManager may take to say why: nmcli needs 20 ms, on a machine that is busy 200 ms."""

SEARCHES_MAX: Final = 4
"""Searches at a time. Somebody who deletes an address ten times a second need not be named each time."""

_QUESTION: Final = ("-t", "-f", "GENERAL.STATE,GENERAL.REASON", "device", "show")
_NMCLI_LINE: Final = re.compile(r"GENERAL\.(STATE|REASON):([0-9]+) \((.*)\)")
_ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_MANAGERS: Final = {"NetworkManager": "NetworkManager", "systemd-network": "systemd-networkd"}


class CulpritSearch:
    """Answers each `FindCulprit` by `report`, from the loop: at once, and again if NetworkManager has to be asked why."""

    def __init__(self, report: Callable[[CulpritFacts], None]) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, question: FindCulprit) -> None:
        """Begin a search. Who asked is looked at now, since a command like `ip` is gone in a moment."""
        process = _process(question.requester)
        if len(self._tasks) >= SEARCHES_MAX:
            self._report(
                CulpritFacts(question.link, question.number, question.requester, process, managers=())
            )
            return
        task = asyncio.get_running_loop().create_task(self._search(question, process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _search(self, question: FindCulprit, process: Process | None) -> None:
        facts = await asyncio.to_thread(_find, question, process)
        self._report(facts)
        if may_say_why(facts):
            self._report(replace(facts, told=await asyncio.to_thread(ask_networkmanager, question.name)))


def _find(question: FindCulprit, process: Process | None) -> CulpritFacts:
    """Collect the facts, as far as the budget goes."""
    ends_at = time.monotonic() + BUDGET_S
    running: set[str] = set()
    inode = _inode_of(question.requester) if process is None and question.requester else None
    for pid, name in _processes(ends_at):
        running.add(name)
        if process is None and inode is not None and _has_socket(pid, inode):
            process = _process(pid)
    managers = tuple(
        _MANAGERS.get(name, name)
        for name in sorted(running)
        if _looks_after(name, question.index, question.name)
    )
    return CulpritFacts(question.link, question.number, question.requester, process, managers)


def ask_networkmanager(interface: str, program: str = "nmcli") -> DeviceState:
    """Ask NetworkManager for the state of an interface and the reason of it; a problem is told, not raised."""
    if interface.startswith("-"):
        return DeviceState(problem=f"nmcli takes the name {interface} for an option")
    try:
        said = subprocess.run(
            (program, *_QUESTION, interface),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_TIMEOUT_S,
            env=_ENVIRONMENT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return DeviceState(problem=f"nmcli did not answer within {ANSWER_TIMEOUT_S:g} s")
    except OSError as error:
        return DeviceState(problem=f"nmcli: {error.strerror}")
    found = {name: (int(number), text) for name, number, text in _NMCLI_LINE.findall(_decoded(said.stdout))}
    if found.keys() != {"STATE", "REASON"}:
        words = _decoded(said.stderr).strip().splitlines()
        return DeviceState(problem=f"nmcli: {words[0] if words else 'it gave no state'}")
    return DeviceState(*found["STATE"], *found["REASON"])


def _decoded(said: bytes) -> str:
    return said.decode(errors="replace")


def _process(port: int) -> Process | None:
    """Return the program whose process id this netlink port is; None when there is none in this network."""
    if not 0 < port <= PID_MAX:
        return None
    folder = Path("/proc") / str(port)
    try:
        if (folder / "ns/net").readlink() != Path("/proc/self/ns/net").readlink():
            return None
        parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
        return Process(port, _name_of(str(port)), _name_of(parent))
    except (OSError, IndexError):
        name = _name_of(str(port))  # a program that ends has lost its namespaces before its name
        return Process(port, name) if name else None


def _name_of(pid: str) -> str:
    with contextlib.suppress(OSError):
        return (Path("/proc") / pid / "comm").read_text(errors="replace").strip()
    return ""


def _processes(ends_at: float) -> Iterator[tuple[int, str]]:
    """Give the programs that run, until the time is over."""
    with contextlib.suppress(OSError):
        for entry in Path("/proc").iterdir():
            if time.monotonic() > ends_at:
                return
            if entry.name.isdigit():
                yield int(entry.name), _name_of(entry.name)


def _inode_of(port: int) -> str | None:
    """Return the inode of the rtnetlink socket with this port, by which its owner can be found."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/netlink").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[1] == "0" and int(columns[2]) & 0xFFFFFFFF == port:
                return columns[9]
    return None


def _has_socket(pid: int, inode: str) -> bool:
    wanted = f"socket:[{inode}]"
    with contextlib.suppress(OSError):
        return any(_link_of(entry) == wanted for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _link_of(entry: Path) -> str:
    with contextlib.suppress(OSError):
        return str(entry.readlink())
    return ""


def _looks_after(name: str, index: int, interface: str) -> bool:
    """Whether a network manager says that it looks after this interface."""
    match name:
        case "NetworkManager":
            return "managed=true" in _text(f"/run/NetworkManager/devices/{index}")
        case "systemd-network":
            state = _text(f"/run/systemd/netif/links/{index}")
            return bool(state) and "ADMIN_STATE=unmanaged" not in state
        case "dhcpcd":
            return any(Path(path).exists() for path in (f"/run/dhcpcd/{interface}.pid", "/run/dhcpcd/pid"))
        case "dhclient":
            names = (f"/run/dhclient.{interface}.pid", f"/run/dhclient-{interface}.pid")
            return any(Path(path).exists() for path in names)
        case _:
            return False


def _text(path: str) -> str:
    with contextlib.suppress(OSError):
        return Path(path).read_text(errors="replace")
    return ""
