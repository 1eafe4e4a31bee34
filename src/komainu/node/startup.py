"""Make a machine ready for a daemon: folders, the one lock, and what was stored in an earlier life.

Decides whether a daemon may start here. Knows nothing of the loop that follows (node/daemon.py).
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from komainu.cib import durable
from komainu.cib.initial import empty_cib
from komainu.cib.state import ClusterState
from komainu.model.report import Note, Place, Refused, Report
from komainu.node.blackbox import BlackBox
from komainu.node.disk import PromiseFile, RealFolder, StateFile
from komainu.node.flight import FlightFile
from komainu.node.reconfiguration import is_removed, newer_settings
from komainu.node.settings import DaemonSettings
from komainu.recorder.line import read_lines
from komainu.recorder.record import Record
from komainu.ring.quorum import majorities_meet

LIFE_MARK: Final = "running"
"""A file in the run folder, from the arming of the watchdog to an orderly end."""

RECORDS_READ_MAX: Final = 5_000
"""Flight records that are read back, for `komainu why`: they take 1.3 kB each in memory."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a daemon begins with. The lock is held as long as `lock` is open."""

    lock: int
    state_file: StateFile
    promise_file: PromiseFile
    flight_file: FlightFile
    state: ClusterState
    promised: int
    history: tuple[Record, ...]
    notes: tuple[Note, ...]
    box: BlackBox


def prepare(settings: DaemonSettings) -> Prepared:
    """Make the folders, take the lock, and load what is stored. Raises Refused."""
    cib_folder = str(Path(settings.state_folder) / "cib")
    for path, mode in ((settings.state_folder, 0o750), (cib_folder, 0o700), (settings.run_folder, 0o755)):
        _make_folder(path, mode)
    lock = _take_lock(Path(settings.state_folder) / "lock")
    _refuse_second_life(settings)
    state_file = StateFile(RealFolder(cib_folder), cib_folder)
    loaded = state_file.load(durable.load)
    if loaded.value is not None:
        _refuse_removed(settings, loaded.value)
    # What was running in an earlier life of this daemon is not known to run now: probes will tell.
    state = _first_state(settings) if loaded.value is None else _without_status(settings, loaded.value)
    flight_file = FlightFile(settings.state_folder)
    lines = (line.decode(errors="replace") for line in flight_file.read(RECORDS_READ_MAX))
    history, _torn = read_lines(lines)
    promise_file = PromiseFile(RealFolder(settings.state_folder), settings.state_folder)
    return Prepared(
        lock,
        state_file,
        promise_file,
        flight_file,
        state,
        promise_file.load(),
        history,
        loaded.notes,
        BlackBox(Path(settings.state_folder) / "blackbox.json"),
    )


def _refuse_removed(settings: DaemonSettings, state: ClusterState) -> None:
    """Refuse to start a node that was removed: the others do not speak with it."""
    if not is_removed(settings.ring, state.layout):
        return
    name = settings.ring.of(settings.ring.me).name
    report = Report(
        "start.removed",
        f"{name} was removed from cluster {settings.ring.cluster}",
        f"on another node: komainu node add {name} ADDRESS; then bring its komainu.toml here",
        Place(settings.file),
    )
    raise Refused((report,))


def _without_status(settings: DaemonSettings, state: ClusterState) -> ClusterState:
    """Return what holds of a stored state after a start, with the nodes that it was agreed on with."""
    agreed = newer_settings(settings.ring, state.layout) or settings.ring
    return durable.without_status(state, keeps_down=majorities_meet(agreed))


def _first_state(settings: DaemonSettings) -> ClusterState:
    """Make the state that a new cluster begins with; each node of it makes the same."""
    nodes = ((entry.node, entry.name) for entry in settings.ring.nodes)
    profile = settings.profile
    defaults = () if profile is None else ((one.name, one.value) for one in profile.defaults)
    return ClusterState(empty_cib(settings.ring.cluster, nodes, defaults))


def mark_life(run_folder: str) -> None:
    """Leave a mark of a daemon that runs. The folder is empty after a boot."""
    (Path(run_folder) / LIFE_MARK).touch(mode=0o600)


def unmark_life(run_folder: str) -> None:
    """Take the mark away: this daemon ended in order."""
    (Path(run_folder) / LIFE_MARK).unlink(missing_ok=True)


def _refuse_second_life(settings: DaemonSettings) -> None:
    """Fail fast, where the profile says so: after a daemon that died the machine is to be reset."""
    mark = Path(settings.run_folder) / LIFE_MARK
    if settings.profile is None or not settings.profile.fails_fast or not mark.exists():
        return
    message = (
        f"the daemon of this node died, and the profile {settings.profile.name} wants the machine to be reset then: "
        "its watchdog is about to do it"
    )
    hint = f"if nothing of the cluster runs here and the machine is not to be reset: rm {mark}"
    raise Refused((Report("start.fail-fast", message, hint, Place(str(mark))),))


def _make_folder(path: str, mode: int) -> None:
    try:
        Path(path).mkdir(mode=mode, parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise _refused("start.folder", f"the folder cannot be made: {error.strerror}", path) from None
    if not writable:
        raise _refused("start.folder", "the folder cannot be written", path)


def _take_lock(path: Path) -> int:
    """Make sure that no other daemon uses this folder; the kernel frees the lock with the process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        report = Report(
            "start.running",
            f"a komainu daemon already runs here (process {owner})",
            "see it: komainu status; stop it: systemctl stop komainu",
            Place(str(path)),
        )
        raise Refused((report,)) from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def _refused(code: str, message: str, path: str) -> Refused:
    hint = "run as root, or name another folder in [paths]"
    return Refused((Report(code, message, hint, Place(path)),))
