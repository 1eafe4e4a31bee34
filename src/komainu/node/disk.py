"""Keep the cluster state durably: what was stored survives any crash, whole; the versions before it stay.

Decides in which order files are written, synced and renamed; knows nothing of the text it keeps but how to
tell one version of the configuration from another. The order is the classic one: write aside, sync the file,
rename, sync the folder. Source: POSIX rename(2) is atomic for readers, not for the disk, hence both syncs;
"All File Systems Are Not Created Equal" (Pillai et al., OSDI 2014), section 4.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

from komainu.model.report import Level, Note, Place, Refused, Report

T = TypeVar("T")

VERSIONS_MAX: Final = 9
"""Earlier configurations that are kept, as state.1 (the newest of them) to state.9."""

STATE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A larger file is not ours: four times the largest request."""

_CURRENT, _NEW = "state", "state.new"
_PROMISED: Final = "promised"
_COUNTER: Final = re.compile(rb"(\d{1,18})\n?")
_CIB_TAG: Final = re.compile(rb"<cib\s[^>]*>")
_EPOCH: Final = re.compile(rb"\b(?:admin_)?epoch=\"\d+\"")


class Folder(Protocol):
    """The few things that a file system is asked for. Tests interrupt it after each of them."""

    def read(self, name: str) -> bytes:
        """Return a file's content. Raises FileNotFoundError."""

    def write(self, name: str, data: bytes) -> None:
        """Create or replace a file's content; not yet durable."""

    def sync_file(self, name: str) -> None:
        """Make a file's content durable."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, over what had it; not yet durable. Raises FileNotFoundError."""

    def link(self, old: str, new: str) -> None:
        """Give a file a second name. Raises FileNotFoundError, FileExistsError."""

    def sync_names(self) -> None:
        """Make all names durable."""


class RealFolder:
    """A folder of the machine."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def read(self, name: str) -> bytes:
        """Return a file's content, bounded."""
        with (self._path / name).open("rb") as file:
            return file.read(STATE_BYTES_MAX + 1)

    def write(self, name: str, data: bytes) -> None:
        """Write a file for its owner alone: the state holds the passwords of fence devices."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(self._path / name, flags, 0o600), "wb") as file:
            file.write(data)

    def sync_file(self, name: str) -> None:
        """Call fsync on the file."""
        self._sync(self._path / name)

    def rename(self, old: str, new: str) -> None:
        """Call rename."""
        (self._path / old).replace(self._path / new)

    def link(self, old: str, new: str) -> None:
        """Call link."""
        (self._path / new).hardlink_to(self._path / old)

    def sync_names(self) -> None:
        """Call fsync on the folder."""
        self._sync(self._path)

    @staticmethod
    def _sync(path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[T]):
    """What was found at the start: the state, None where none was ever stored, and what is to be said of it."""

    value: T | None
    notes: tuple[Note, ...]


class StateFile:
    """The state in a folder. Not for two threads at once."""

    def __init__(self, folder: Folder, name: str) -> None:
        """`name` is how the folder is called in messages."""
        self._folder = folder
        self._name = name
        self._configuration: tuple[bytes, ...] | None = None  # what the current file holds, once it is known

    def store(self, text: str) -> None:
        """Store the text; when this returns it is durable. Raises OSError: then the earlier one still is."""
        data = text.encode()
        self._folder.write(_NEW, data)
        self._folder.sync_file(_NEW)
        configuration = _configuration_of(data)
        if configuration != self._current_configuration():
            self._keep_current()
        self._folder.rename(_NEW, _CURRENT)
        self._folder.sync_names()
        self._configuration = configuration

    def load(self, decode: Callable[[str], T]) -> Loaded[T]:
        """Return the newest sound state. `decode` raises Refused for a damaged text.

        Raises Refused when there are files but none is sound: to begin empty would throw the cluster away.
        """
        damaged: list[str] = []
        for name in (_CURRENT, *(f"{_CURRENT}.{number}" for number in range(1, VERSIONS_MAX + 1))):
            try:
                value = decode(self._folder.read(name).decode())
            except FileNotFoundError:
                continue
            except (Refused, UnicodeDecodeError, OSError) as error:
                damaged.append(f"{name}: {str(error).splitlines()[0]}")
                continue
            if name == _CURRENT:
                return Loaded(value, ())
            reason = "; ".join(damaged) or f"{_CURRENT} is missing"
            message = f"the newest state in {self._name} is damaged ({reason}); going on with {name}"
            return Loaded(value, (Note(Level.WARNING, "disk.state-damaged", message),))
        if damaged:
            raise Refused((self._no_sound_state(damaged),))
        return Loaded(None, ())

    def _current_configuration(self) -> tuple[bytes, ...] | None:
        """Return what names the stored configuration; the file is read once in a life."""
        if self._configuration is None:
            try:
                self._configuration = _configuration_of(self._folder.read(_CURRENT))
            except FileNotFoundError:
                return None
        return self._configuration

    def _keep_current(self) -> None:
        """Make the current file the newest of the earlier ones. A second name, so that it is never without."""
        for number in range(VERSIONS_MAX - 1, 0, -1):
            try:
                self._folder.rename(f"{_CURRENT}.{number}", f"{_CURRENT}.{number + 1}")
            except FileNotFoundError:
                continue
        try:
            self._folder.link(_CURRENT, f"{_CURRENT}.1")
        except FileNotFoundError:  # the first state of all
            return

    def _no_sound_state(self, damaged: list[str]) -> Report:
        return Report(
            "disk.no-sound-state",
            f"no stored cluster state can be read: {'; '.join(damaged)}",
            f"if another node has the state: mv {self._name} {self._name}.damaged, and start again; this node "
            "then takes the state from the others",
            Place(self._name),
        )


class PromiseFile:
    """The view counter up to which this node may have promised something (ring/passage.py). Not for two threads."""

    def __init__(self, folder: Folder, name: str) -> None:
        """`name` is how the folder is called in messages."""
        self._folder = folder
        self._name = name

    def store(self, counter: int) -> None:
        """Store the counter; when this returns it is durable. Raises OSError: then the earlier one still is."""
        self._folder.write(f"{_PROMISED}.new", f"{counter}\n".encode())
        self._folder.sync_file(f"{_PROMISED}.new")
        self._folder.rename(f"{_PROMISED}.new", _PROMISED)
        self._folder.sync_names()

    def load(self) -> int:
        """Return the counter; 0 where none was ever stored. Raises Refused for what is no counter."""
        try:
            found = _COUNTER.fullmatch(self._folder.read(_PROMISED))
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise Refused((self._unusable(f"cannot be read: {error.strerror}"),)) from None
        if found is None:
            raise Refused((self._unusable("holds no number"),))
        return int(found[1])

    def _unusable(self, what: str) -> Report:
        return Report(
            "disk.promise-unusable",
            f"the counter of views that this node promised {what}",
            f"when the other nodes run: rm {self._name}/{_PROMISED}, and start this one again",
            Place(f"{self._name}/{_PROMISED}"),
        )


def _configuration_of(data: bytes) -> tuple[bytes, ...]:
    """Return what names the version of the configuration: admin_epoch and epoch of the <cib> tag."""
    tag = _CIB_TAG.search(data)
    return tuple(sorted(_EPOCH.findall(tag[0]))) if tag else ()
