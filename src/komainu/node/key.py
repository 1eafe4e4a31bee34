"""Read and write the cluster key: the secret that every node of one cluster holds, and nobody else.

Decides which key files are safe to use; knows nothing of what the key seals (ring/wire.py).
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Final

from komainu.model.report import Place, Refused, Report

KEY_BYTES: Final = 32
"""What `komainu key new` writes, and the least that is accepted: the strength of the ring's ciphers."""

ACCEPTED: Final = b"accept "
"""Begins the lines of keys that open but do not seal: those before the last rotation."""

KEY_FILE_BYTES_MAX: Final = 4096
"""A longer file is not a key but a mistake."""


def read_key(path: str) -> bytes:
    """Return the cluster key. Raises Refused when it is missing, open to others, or too short."""
    try:
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(KEY_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        raise _refused(
            path,
            "key.missing",
            "the cluster key does not exist",
            f"on one node: komainu key new --file {path}; then copy the file to the other nodes (scp -p)",
        ) from None
    except OSError as error:
        raise _refused(
            path,
            "key.unreadable",
            f"the cluster key cannot be read: {error.strerror}",
            "run as root, or correct the file's owner",
        ) from None
    if status.st_uid not in {0, os.geteuid()}:
        raise _refused(
            path,
            "key.owner",
            f"the cluster key belongs to user {status.st_uid}, who could change it",
            f"chown root:root {path}",
        )
    if status.st_mode & 0o077:
        raise _refused(
            path,
            "key.open",
            f"others than its owner may use the cluster key (mode {status.st_mode & 0o777:04o})",
            f"chmod 600 {path}; if somebody may have read it, make a new one",
        )
    return _decoded(path, b"\n".join(line for line in content.splitlines() if not line.startswith(ACCEPTED)))


def read_accepted_keys(path: str) -> tuple[bytes, ...]:
    """Return the other keys that the file names, which only open. `read_key` has looked at the file before."""
    lines = Path(path).read_bytes().splitlines()
    texts = [line.removeprefix(ACCEPTED) for line in lines if line.startswith(ACCEPTED)]
    return tuple(_decoded(path, text) for text in texts)


def write_keys(path: str, keys: tuple[bytes, ...]) -> None:
    """Replace the key file: the key that seals, then those that only open. Raises OSError; the old file stays then."""
    first, *others = (base64.b64encode(key) for key in keys)
    lines = [first, *(ACCEPTED + key for key in others)]
    aside = f"{path}.new"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"\n".join(lines) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    Path(aside).replace(path)
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_new_key(path: str) -> None:
    """Write a new random key, for its owner alone. Raises Refused when the file exists or cannot be written."""
    text = base64.b64encode(os.urandom(KEY_BYTES)) + b"\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise _refused(
            path,
            "key.exists",
            "the file exists, and a cluster may be using it",
            f"to replace it: stop komainu on every node, remove {path}, and call this again",
        ) from None
    except OSError as error:
        raise _refused(
            path,
            "key.unwritable",
            f"the key cannot be written: {error.strerror}",
            f"mkdir -p {Path(path).parent}; run as root, or name another file with --file",
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _decoded(path: str, content: bytes) -> bytes:
    """Return the key in a file's content: base64 text where it is that, else the bytes themselves."""
    remedy = "make a new one: komainu key new"
    if len(content) > KEY_FILE_BYTES_MAX:
        raise _refused(path, "key.long", f"this is no key: longer than {KEY_FILE_BYTES_MAX} bytes", remedy)
    try:
        key = base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        key = content
    if len(key) < KEY_BYTES:
        message = f"the cluster key holds {len(key)} bytes; at least {KEY_BYTES} are needed"
        raise _refused(path, "key.short", message, remedy)
    return key


def _refused(path: str, code: str, message: str, hint: str) -> Refused:
    return Refused((Report(code, message, hint, Place(path)),))
