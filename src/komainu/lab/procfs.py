"""Find processes by what the kernel says of them: parent, namespace, environment, start.

Reads /proc only. Processes come and go while it looks: one that is gone is left out.
Source: proc(5), pid_namespaces(7).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def all_pids() -> Iterator[int]:
    """Name every process that this /proc shows."""
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            yield int(entry.name)


def parent_and_start(pid: int) -> tuple[int, int] | None:
    """Give the parent and the start time (clock ticks since boot) of a process; None when it is gone.

    A zombie counts as gone. The name in `stat` may hold anything, so reading begins after its last bracket.
    """
    try:
        fields = (PROC / str(pid) / "stat").read_text(encoding="latin-1").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else (int(fields[1]), int(fields[19]))


def children_of(parent: int) -> tuple[int, ...]:
    """Name the living children of a process."""
    found = []
    for pid in all_pids():
        seen = parent_and_start(pid)
        if seen is not None and seen[0] == parent:
            found.append(pid)
    return tuple(sorted(found))


def pid_namespace(pid: int) -> int | None:
    """Give the inode of a process's pid namespace: the same number in every /proc."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "ns/pid").stat().st_ino
    return None


def in_pid_namespace(inode: int) -> tuple[int, ...]:
    """Name the processes of a pid namespace, its first process first."""
    found = [pid for pid in all_pids() if pid_namespace(pid) == inode and parent_and_start(pid) is not None]
    return tuple(sorted(found, key=lambda pid: (innermost_pid(pid), pid)))


def environment(pid: int) -> dict[str, str]:
    """Read the environment a process was started with; empty when it is gone or not ours to see."""
    try:
        data = (PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    pairs = (item.decode("utf-8", "replace").partition("=") for item in data.split(b"\0") if item)
    return {name: value for name, _, value in pairs}


def command_line(pid: int) -> str:
    """Read a process's command line, its words joined by spaces; empty when it is gone."""
    try:
        return os.fsdecode((PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ")).strip()
    except OSError:
        return ""


def local_addresses(pid: int) -> frozenset[str]:
    """Name the IPv4 addresses that stand in a process's network namespace; empty when it is gone."""
    found, last = set(), ""
    try:
        lines = (PROC / str(pid) / "net/fib_trie").read_text(encoding="ascii").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        words = line.split()
        if len(words) == 2 and words[0] == "|--":
            last = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"]:
            found.add(last)
    return frozenset(found)


def innermost_pid(pid: int) -> int:
    """Give the number a process has in its own pid namespace."""
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text(encoding="latin-1").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return pid
