"""Watch the processes that a resource's start left behind, so that a dead one is known in milliseconds.

A shell: it decides nothing about the resource, it only says that a process is gone. Where a cgroup 2 hierarchy
can be written, each resource has a group of its own, KOMAINU/NODE/RESOURCE, and its processes are the group's;
elsewhere they are found by the environment that they inherited from their agent. It never fails for the lack
of cgroups: then the next monitor has to find out, as everywhere else.
Source: cgroups(7), pidfd_open(2), proc(5).
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from komainu.model.ids import NodeName, ResourceId

GATHER_S: Final = 0.02
"""Processes that end within this time are one event: a server takes its workers with it."""

LOOK_AGAIN_S: Final = (0.01, 0.1, 1.0)
"""When a new watch looks again: a process that is just being executed shows no environment,
and a daemon may still be dividing itself when its start returns."""

WATCHED_MAX: Final = 256
"""Processes of one resource that are watched, the oldest first: a thousand workers need no thousand pidfds."""

GROUP_RETRY_S: Final = 1.0
"""When a stopped resource's group is tried again: a zombie that is not reaped yet keeps it busy."""

_PROC: Final = Path("/proc")


@dataclass(slots=True)
class _Watch:
    """The watched processes of one resource: pidfds by pid."""

    pidfds: dict[int, int] = field(default_factory=dict)
    gathering: asyncio.TimerHandle | None = None
    looks: tuple[asyncio.TimerHandle, ...] = ()


class ProcessWatch:
    """Report the resources of one node whose processes end."""

    def __init__(
        self,
        node: NodeName,
        report: Callable[[ResourceId], None],
        agents: Callable[[], Iterable[int]],
        *,
        groups: Path | None = None,
    ) -> None:
        """`agents` names the agents in flight by their pid, which is their session too: they are not watched.

        `groups` is a cgroup 2 mount to use in place of the machine's own; one that cannot be written is as none.
        """
        self._node = node
        self._report = report
        self._agents = agents
        self._watches: dict[ResourceId, _Watch] = {}
        self._groups = _own_groups(node, [groups] if groups is not None else _cgroup_mounts())

    @property
    def has_groups(self) -> bool:
        """Whether each resource has a cgroup of its own."""
        return self._groups is not None

    def entry(self, resource: ResourceId) -> int | None:
        """Open the door of the resource's group: a process that writes 0 to it has entered; None without groups."""
        group = self._group(resource)
        if group is None:
            return None
        try:
            group.mkdir(parents=True, exist_ok=True)
            return os.open(group / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            return None

    def watch(self, resource: ResourceId) -> None:
        """Watch what the resource has now, in place of what was watched before."""
        self.pause(resource)
        watch = self._watches[resource] = _Watch()
        self._look(resource, watch)
        loop = asyncio.get_running_loop()
        watch.looks = tuple(loop.call_later(wait_s, self._look, resource, watch) for wait_s in LOOK_AGAIN_S)

    def pause(self, resource: ResourceId) -> bool:
        """Watch nothing for now, while an operation may end processes; return whether the resource was watched."""
        watch = self._watches.pop(resource, None)
        if watch is None:
            return False
        for timer in (watch.gathering, *watch.looks):
            if timer is not None:
                timer.cancel()
        for pid in list(watch.pidfds):
            self._drop(watch, pid)
        return True

    def stop(self, resource: ResourceId) -> None:
        """Watch it no more, and remove its group."""
        self.pause(resource)
        if not self._remove_group(resource):
            asyncio.get_running_loop().call_later(GROUP_RETRY_S, self._remove_group, resource)

    def close(self) -> None:
        """Let go of everything; processes stay, with their groups. Empty groups go."""
        for resource in list(self._watches):
            self.pause(resource)
        if self._groups is None:
            return
        for group in [*self._groups.glob("resource.*"), self._groups]:
            with contextlib.suppress(OSError):
                group.rmdir()

    # -- watching ---------------------------------------------------------------------------------------

    def _look(self, resource: ResourceId, watch: _Watch) -> None:
        """Watch the resource's processes that are not watched yet."""
        loop = asyncio.get_running_loop()
        for pid in self._processes(resource):
            if pid in watch.pidfds or len(watch.pidfds) >= WATCHED_MAX:
                continue
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                self._gather(resource, watch)  # it ended between the look and now
                continue
            except OSError:
                return  # no descriptors left, or no pidfd: the monitors have to find out
            watch.pidfds[pid] = pidfd
            loop.add_reader(pidfd, self._ended, resource, watch, pid)

    def _ended(self, resource: ResourceId, watch: _Watch, pid: int) -> None:
        self._drop(watch, pid)
        self._gather(resource, watch)

    def _gather(self, resource: ResourceId, watch: _Watch) -> None:
        if watch.gathering is None:
            loop = asyncio.get_running_loop()
            watch.gathering = loop.call_later(GATHER_S, self._tell, resource, watch)

    def _tell(self, resource: ResourceId, watch: _Watch) -> None:
        watch.gathering = None
        self._look(resource, watch)
        self._report(resource)

    @staticmethod
    def _drop(watch: _Watch, pid: int) -> None:
        pidfd = watch.pidfds.pop(pid)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)

    # -- finding ----------------------------------------------------------------------------------------

    def _processes(self, resource: ResourceId) -> list[int]:
        """Name the resource's processes, the oldest first; agents in flight are not among them."""
        agents = set(self._agents())
        group = self._group(resource)
        found = _started_for(resource, self._node) if group is None else _group_members(group)
        return [pid for pid in sorted(found) if _session(pid) not in agents]

    def _group(self, resource: ResourceId) -> Path | None:
        # The prefix keeps a resource from having the name of one of the kernel's own files.
        return None if self._groups is None else self._groups / f"resource.{resource.replace('/', '_')}"

    def _remove_group(self, resource: ResourceId) -> bool:
        group = self._group(resource)
        if group is None or resource in self._watches:
            return True
        try:
            group.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def _cgroup_mounts() -> list[Path]:
    """Name where cgroup 2 is mounted, by this process's own mount table."""
    try:
        table = (_PROC / "self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    mounts = []
    for line in table.splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            mounts.append(Path(before.split()[4]))
    return mounts


def _own_groups(node: NodeName, mounts: Iterable[Path]) -> Path | None:
    """Make this node's place in the first hierarchy that takes it."""
    for mount in mounts:
        place = mount / "komainu" / node.replace("/", "_")
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            if os.access(place / "cgroup.procs", os.W_OK):
                return place
    return None


def _group_members(group: Path) -> Iterator[int]:
    """Name the processes of a group and of the groups below it."""
    for folder, _, _ in os.walk(group):
        with contextlib.suppress(OSError):
            for line in (Path(folder) / "cgroup.procs").read_text(encoding="ascii").split():
                yield int(line)


def _started_for(resource: ResourceId, node: NodeName) -> Iterator[int]:
    """Name the processes that inherited the environment of this resource's agent on this node."""
    marks = {f"OCF_RESOURCE_INSTANCE={resource}".encode(), f"OCF_RESKEY_CRM_meta_on_node={node}".encode()}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if marks <= set((entry / "environ").read_bytes().split(b"\0")):
                yield int(entry.name)


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0
