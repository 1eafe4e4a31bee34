"""Write what the doctor proposed, so that every step can be undone: backup, journal, then the change.

Decides only whether a file is still what the proposal was made for. A crash between two steps leaves a journal
that `undo` understands: what was not written yet is left alone.
"""

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from komainu.model.report import Place, Refused, Report
from komainu.network.doctor.evidence import RELOAD, RELOADED
from komainu.network.doctor.finding import Change, SetMode
from komainu.node.survey.files import Tree

JOURNAL: Final = "/var/lib/komainu/doctor/undo.json"

BATCHES_MAX: Final = 50
"""Most mendings that can be undone one after the other; the oldest are forgotten, their backups stay."""


class Step(msgspec.Struct, frozen=True):
    """One change as the journal keeps it. `backup` empty: the file was absent, or only its mode was changed."""

    path: str
    kind: str  # new, changed, mode
    backup: str
    mode: int  # before
    before: str  # digest of the file's content, or its mode
    after: str


class Batch(msgspec.Struct, frozen=True):
    """The changes of one mending, in order."""

    at: str
    steps: tuple[Step, ...]
    reload: tuple[str, ...] = ()  # what makes running programs read the files again


@dataclass(frozen=True, slots=True)
class Undone:
    """What `undo` did: the files that are as they were, and the commands that make programs read them again."""

    at: str
    paths: tuple[str, ...]
    reload: tuple[str, ...]


def mend(root: str, changes: tuple[Change, ...], at: str, reload: tuple[str, ...] = ()) -> None:
    """Make all changes, or none. `at` is a moment as it can stand in a file's name.

    Raises Refused when a file is no longer what it was, or cannot be written; nothing is changed then.
    """
    steps = tuple(_step(root, change, at) for change in changes)
    batches = _read_journal(root)
    _write_journal(root, (*batches, Batch(at, steps, reload)))
    try:
        for change, step in zip(changes, steps, strict=True):
            _perform(root, change, step)
    except OSError as error:
        _revert(root, steps)
        _write_journal(root, batches)
        raise _refused(
            "doctor.unwritable", f"{error.strerror}; nothing was changed", str(error.filename)
        ) from None


def undo(root: str) -> Undone | None:
    """Take the last mending back. None: there is none. Raises Refused when a file was changed since."""
    batches = _read_journal(root)
    if not batches:
        return None
    last = batches[-1]
    for step in last.steps:
        if _state(root, step) not in {step.before, step.after}:
            before = f"its text before stands in {step.backup}" if step.backup else "the doctor made it new"
            hint = f"{before}; take your change out of {step.path} to have the rest undone"
            hint = hint if step.kind != "mode" else f"its mode before was {step.mode:04o}"
            raise _refused(
                "doctor.changed-since", "the file was changed since; nothing was undone", step.path, hint
            )
    try:
        _revert(root, last.steps)
    except OSError as error:
        raise _refused("doctor.unwritable", error.strerror or "unwritable", str(error.filename)) from None
    _write_journal(root, batches[:-1])
    return Undone(last.at, tuple(step.path for step in last.steps), last.reload)


def remember_run(command: str) -> None:
    """Leave a mark of when NetworkManager was made to read its files; where that cannot be, it is only done again."""
    if command != RELOAD:
        return
    with contextlib.suppress(OSError):
        Path(RELOADED).parent.mkdir(parents=True, exist_ok=True)
        Path(RELOADED).touch()


def _place(root: str, path: str) -> Path:
    """Return where a path really is, behind every symbolic link: those are written through."""
    return Path("/", path).resolve() if root == "/" else Tree(root).real(path)


# -- steps ----------------------------------------------------------------------------------------------


def _step(root: str, change: Change, at: str) -> Step:
    """Check that a change still fits, and say how it is undone."""
    place = _place(root, change.path)
    if isinstance(change, SetMode):
        return Step(change.path, "mode", "", change.before, f"{change.before:o}", f"{change.after:o}")
    try:
        found = place.read_bytes() if place.exists() else None
    except OSError as error:
        raise _refused("doctor.unreadable", error.strerror or "unreadable", change.path) from None
    wanted = None if change.before is None else change.before.encode()
    if found != wanted:
        raise _refused(
            "doctor.changed-since",
            "the file changed meanwhile; nothing was changed",
            change.path,
            "run it again",
        )
    after = _digest(change.after.encode())
    if found is None:
        return Step(change.path, "new", "", change.mode, "absent", after)
    backup = f"{change.path}.komainu-backup-{at}"
    return Step(change.path, "changed", backup, place.stat().st_mode & 0o7777, _digest(found), after)


def _perform(root: str, change: Change, step: Step) -> None:
    place = _place(root, change.path)
    if isinstance(change, SetMode):
        place.chmod(change.after)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if step.kind == "changed":
        _write(_place(root, step.backup), place.read_bytes(), like=place)
    _write(place, change.after.encode(), like=place if step.kind == "changed" else None, mode=change.mode)


def _revert(root: str, steps: tuple[Step, ...]) -> None:
    """Bring every file back to what it was; one that was never changed stays as it is."""
    for step in reversed(steps):
        place = _place(root, step.path)
        if _state(root, step) != step.after or step.after == step.before:
            continue
        if step.kind == "mode":
            place.chmod(step.mode)
        elif step.kind == "new":
            place.unlink()
        else:
            backup = _place(root, step.backup)
            _write(place, backup.read_bytes(), like=backup)
            backup.unlink()


def _state(root: str, step: Step) -> str:
    """Say what a file is now, in the words of `before` and `after`."""
    place = _place(root, step.path)
    try:
        if step.kind == "mode":
            return f"{place.stat().st_mode & 0o7777:o}"
        return _digest(place.read_bytes())
    except OSError:
        return "absent"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(place: Path, content: bytes, *, like: Path | None, mode: int = 0o644) -> None:
    """Write a file whole or not at all; mode, owner and label are those of `like`."""
    new = place.with_name(f"{place.name}.komainu-new")
    new.unlink(missing_ok=True)  # left by a crash
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if like is None:
            new.chmod(mode)
        else:
            shutil.copystat(like, new)
            with contextlib.suppress(PermissionError):
                os.chown(new, like.stat().st_uid, like.stat().st_gid)
        new.replace(place)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- the journal ----------------------------------------------------------------------------------------


def _read_journal(root: str) -> tuple[Batch, ...]:
    place = _place(root, JOURNAL)
    try:
        return msgspec.json.decode(place.read_bytes(), type=tuple[Batch, ...])
    except FileNotFoundError:
        return ()
    except (OSError, msgspec.MsgspecError):
        hint = f"run this as root; if it is damaged, move it away: mv {JOURNAL} {JOURNAL}.damaged"
        raise _refused(
            "doctor.journal", "the list of what can be undone cannot be read", JOURNAL, hint
        ) from None


def _write_journal(root: str, batches: tuple[Batch, ...]) -> None:
    place = _place(root, JOURNAL)
    try:
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(place, msgspec.json.encode(batches[-BATCHES_MAX:]), like=None, mode=0o600)
    except OSError as error:
        raise _refused("doctor.unwritable", f"{error.strerror}; nothing was changed", JOURNAL) from None


def _refused(code: str, message: str, path: str, hint: str = "run this as root") -> Refused:
    return Refused((Report(code, message, hint, Place(path)),))
