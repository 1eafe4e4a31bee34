"""Read the files that are evidence, below a folder that may be a whole machine's tree or `/`.

Decides nothing; what is read stands in network/doctor/evidence.py. No read can hang or fill the memory: only
plain files are opened, without waiting, up to a size. Symbolic links are followed inside the tree alone.
"""

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from komainu.network.doctor.evidence import CONFIGURATION, KEYS, MARKS, STATE, File

FILE_BYTES_MAX: Final = 1024 * 1024
"""Largest configuration file that is read."""

STATE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Largest file that a program wrote: a CIB, or the list of installed packages, has some megabytes."""

CHUNK_BYTES: Final = 65_536

KEY_BYTES_MAX: Final = 4096
"""What a key file may have at most; the key of Corosync has up to 4 KiB."""

DIGEST_CHARACTERS: Final = 8
"""Enough to see that two keys differ, and far too little to tell a key from others that were guessed."""

MATCHES_MAX: Final = 4_000
"""Most files of one pattern; 1,000 interfaces stay well below it."""

LINKS_MAX: Final = 40
"""Symbolic links followed for one path, as the kernel does."""


def read_files(root: str) -> dict[str, File]:
    """Read all files that are evidence. Keys are paths as they are on the machine itself."""
    tree = Tree(root)
    found: dict[str, File] = {}
    for patterns, limit in ((CONFIGURATION, FILE_BYTES_MAX), (STATE, STATE_BYTES_MAX), ((*MARKS, *KEYS), 0)):
        # A path that two groups name is read by the first.
        wanted = dict.fromkeys(path for pattern in patterns for path in _matches(tree, pattern))
        read = {path: read_file(tree, path, limit) for path in wanted if path not in found}
        found |= {path: file for path, file in read.items() if file is not None}
    found |= {path: _with_digest(tree, found[path]) for path in KEYS if path in found}
    return found | {folder: File(folder, problem=problem) for folder, problem in tree.closed.items()}


class Tree:
    """The folder that stands for the root of a machine. Remembers where its folders really are."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.closed: dict[str, str] = {}  # folders whose names may not be read, and why
        self._folders: dict[str, Path] = {}

    def real(self, path: str, depth: int = 0) -> Path:
        """Resolve a path without ever leaving the tree: an absolute link begins at its root.

        Of `/` itself nothing has to be resolved; the kernel does it. Raises OSError for links that go in a circle.
        """
        if self.root == "/":
            return Path(path or "/")
        folder, _, name = path.rpartition("/")
        if not path or path == "/":
            return Path(self.root)
        above = self.folder(folder, depth)
        if name in {"", "."}:
            return above
        if name == "..":
            return above if above == Path(self.root) else above.parent
        here = above / name
        if not here.is_symlink():
            return here
        if depth >= LINKS_MAX:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = str(here.readlink())
        inside = "/" + str(above.relative_to(self.root)).removeprefix(".")
        return self.real(target if target.startswith("/") else f"{inside}/{target}", depth + 1)

    def folder(self, path: str, depth: int = 0) -> Path:
        """Resolve a folder, once."""
        if path not in self._folders:
            self._folders[path] = self.real(path, depth)
        return self._folders[path]


def read_file(tree: Tree, path: str, limit: int) -> File | None:
    """Read one file of the tree, or only look at it when the limit is 0. None: it is not there."""
    folder, _, name = path.rpartition("/")
    try:
        place = tree.folder(folder) / name
        status = place.lstat()
        target = str(place.readlink()) if stat.S_ISLNK(status.st_mode) else ""
        if limit and target:
            place = tree.real(path)
            status = place.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return File(path, problem=error.strerror or "unreadable")
    mode = stat.S_IMODE(status.st_mode)
    if limit == 0:
        return File(path, mode=mode, owner=status.st_uid, target=target, changed_s=status.st_ctime)
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        # A unit or a .network file that is a link to /dev/null is switched off on purpose.
        return File(path, problem="" if target == "/dev/null" else "no plain file", target=target)
    text, problem = _text(place, limit)
    return File(path, text, problem, mode, status.st_uid, target, status.st_ctime)


def _with_digest(tree: Tree, key: File) -> File:
    """Add a key's sum: of the key that seals, not of those before it that only open. None where it may not be read."""
    try:
        descriptor = os.open(tree.real(key.path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            content = stream.read(KEY_BYTES_MAX)
    except OSError:
        return key
    seals = [line for line in content.splitlines() if not line.startswith(b"accept ")]
    return replace(key, digest=hashlib.sha256(b"\n".join(seals)).hexdigest()[:DIGEST_CHARACTERS])


def _content(stream: io.FileIO, limit: int) -> bytes:
    """Read in pieces: for /proc/sys the kernel sets as much memory aside as is asked for, and refuses megabytes."""
    parts: list[bytes] = []
    while limit > 0 and (part := stream.read(min(limit, CHUNK_BYTES))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _text(place: Path, limit: int) -> tuple[str, str]:
    """Return a file's text, and why there is none."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            content = _content(stream, limit + 1)
    except OSError as error:
        return "", error.strerror or "unreadable"
    if len(content) > limit:
        return "", f"longer than {limit} bytes"
    try:
        return content.decode(), ""
    except UnicodeDecodeError:
        return "", "no UTF-8 text"


def _matches(tree: Tree, pattern: str) -> Iterator[str]:
    """Give the paths of the tree that match a pattern, sorted, folder by folder."""
    *parents, last = pattern.strip("/").split("/")
    folders = [""]
    for part in parents:
        folders = [f"{folder}/{name}" for folder in folders for name in _names(tree, folder, part)]
    found = [f"{folder}/{name}" for folder in folders for name in _names(tree, folder, last)]
    yield from found[:MATCHES_MAX]


def _names(tree: Tree, folder: str, part: str) -> list[str]:
    """Return the names in a folder that match; a plain name is returned untested."""
    if not set(part) & set("*?["):
        return [part]
    try:
        names = [entry.name for entry in tree.folder(folder).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        tree.closed[folder] = error.strerror or "unreadable"
        return []
    return sorted(name for name in names if fnmatchcase(name, part) and not name.startswith("."))
