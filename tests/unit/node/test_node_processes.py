"""Check the watch itself: where groups are, what is found in them, and that none of it can fail."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from komainu.model.ids import NodeName, ResourceId
from komainu.node import processes
from komainu.node.processes import ProcessWatch

WEB = ResourceId("web")
NODE = NodeName(f"unit{os.getpid()}")
"""Of this run alone: a lab on the same machine may have a node a with a resource web."""

MARK = {"OCF_RESOURCE_INSTANCE": "web", "OCF_RESKEY_CRM_meta_on_node": NODE}
PATIENCE_S = 5.0


@pytest.fixture(name="spawn")
def spawn_sleepers() -> Iterator[Callable[..., int]]:
    sleepers = []

    def spawn(**environment: str) -> int:
        sleeper = subprocess.Popen(["sleep", "60"], env=environment)
        sleepers.append(sleeper)
        return sleeper.pid

    yield spawn
    for sleeper in sleepers:
        sleeper.kill()
        sleeper.wait()


def fake_hierarchy(folder: Path, node: str = NODE) -> Path:
    """Make what looks like a hierarchy: real files in place of the kernel's."""
    place = folder / "komainu" / node
    place.mkdir(parents=True)
    (place / "cgroup.procs").touch()
    return folder


def watch_in(groups: Path, report: Callable[[ResourceId], None] = lambda _: None) -> ProcessWatch:
    return ProcessWatch(NODE, report, list, groups=groups)


def test_without_a_hierarchy_there_are_no_groups(tmp_path: Path) -> None:
    watch = watch_in(tmp_path / "nothing")
    assert not watch.has_groups
    assert watch.entry(WEB) is None
    watch.close()


def test_a_hierarchy_that_cannot_be_written_is_as_none(tmp_path: Path) -> None:
    (tmp_path / "komainu").touch()  # in the way of the folder
    assert not watch_in(tmp_path).has_groups


def test_the_machines_mounts_are_read() -> None:
    assert all(path.is_absolute() for path in processes._cgroup_mounts())


def test_an_entry_opens_the_resources_own_group(tmp_path: Path) -> None:
    watch = watch_in(fake_hierarchy(tmp_path))
    group = tmp_path / f"komainu/{NODE}/resource.web"
    group.mkdir()
    (group / "cgroup.procs").touch()
    entry = watch.entry(WEB)
    assert entry is not None
    os.write(entry, b"0")
    os.close(entry)
    assert (group / "cgroup.procs").read_text() == "0"


def test_a_group_that_cannot_be_entered_is_passed_over(tmp_path: Path) -> None:
    watch = watch_in(fake_hierarchy(tmp_path))
    assert watch.entry(WEB) is None  # a folder on a disk has no cgroup.procs of its own


def test_a_name_cannot_lead_out_of_the_hierarchy(tmp_path: Path) -> None:
    watch = watch_in(fake_hierarchy(tmp_path))
    watch.entry(ResourceId("../../b"))
    assert sorted(path.name for path in (tmp_path / "komainu").iterdir()) == [NODE]


def test_members_of_inner_groups_belong_to_the_resource(tmp_path: Path, spawn: Callable[..., int]) -> None:
    inner = fake_hierarchy(tmp_path) / f"komainu/{NODE}/resource.web/worker"
    inner.mkdir(parents=True)
    pid = spawn()
    (inner / "cgroup.procs").write_text(f"{pid}\n")
    assert watch_in(tmp_path)._processes(WEB) == [pid]


def test_by_environment_only_this_resource_on_this_node_is_found(
    tmp_path: Path, spawn: Callable[..., int]
) -> None:
    pid = spawn(**MARK)
    spawn(**{**MARK, "OCF_RESOURCE_INSTANCE": "web2"})
    spawn(**{**MARK, "OCF_RESKEY_CRM_meta_on_node": "other"})
    assert watch_in(tmp_path / "none")._processes(WEB) == [pid]


def test_processes_that_end_together_are_one_event(tmp_path: Path, spawn: Callable[..., int]) -> None:
    pids = [spawn(**MARK) for _ in range(3)]

    async def scene() -> None:
        gone: asyncio.Queue[ResourceId] = asyncio.Queue()
        watch = watch_in(tmp_path / "none", gone.put_nowait)
        watch.watch(WEB)
        for pid in pids[:2]:
            os.kill(pid, 9)
        assert await asyncio.wait_for(gone.get(), PATIENCE_S) == WEB
        os.kill(pids[2], 9)
        assert await asyncio.wait_for(gone.get(), PATIENCE_S) == WEB
        assert gone.empty()
        watch.close()

    asyncio.run(scene())


def test_a_pause_hears_nothing_and_says_whether_there_was_a_watch(
    tmp_path: Path, spawn: Callable[..., int]
) -> None:
    pid = spawn(**MARK)

    async def scene() -> None:
        gone: asyncio.Queue[ResourceId] = asyncio.Queue()
        watch = watch_in(tmp_path / "none", gone.put_nowait)
        assert not watch.pause(WEB)
        watch.watch(WEB)
        os.kill(pid, 9)
        assert watch.pause(WEB)
        await asyncio.sleep(processes.GATHER_S * 2)
        assert gone.empty()
        watch.stop(WEB)

    asyncio.run(scene())
