"""A lease's file: made once, read and written around the cache, refused when it is something else."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from komainu.node.lease_file import LeaseFile, create
from komainu.witness.slots import BLOCK_BYTES, FILE_BYTES, SLOTS, Header

HEADER = Header(2_000, "office", b"u" * 16)


def made(folder: Path) -> str:
    path = str(folder / "komainu.lease")
    create(path, HEADER, may_overwrite=False)
    return path


def test_a_new_file_has_a_header_and_blank_slots_and_is_its_owners(tmp_path: Path) -> None:
    path = made(tmp_path)
    assert Path(path).stat().st_size == FILE_BYTES
    assert Path(path).stat().st_mode & 0o777 == 0o600
    file = LeaseFile(path)
    assert replace(file.header, identity=()) == HEADER
    assert file.read(None) == dict.fromkeys(range(SLOTS), b"")
    file.close()


def test_what_is_written_is_read_and_nothing_else_changes(tmp_path: Path) -> None:
    file = LeaseFile(made(tmp_path))
    file.write(3, b"three".ljust(BLOCK_BYTES, b"\0"))
    assert file.read(frozenset({2, 3, 5})) == {2: b"", 3: b"three", 5: b""}
    assert replace(file.header, identity=()) == HEADER
    file.close()


def test_a_file_is_not_overwritten_without_a_word(tmp_path: Path) -> None:
    path = made(tmp_path)
    file = LeaseFile(path)
    file.write(3, b"three".ljust(BLOCK_BYTES, b"\0"))
    with pytest.raises(ValueError, match="something is on it already"):
        create(path, HEADER, may_overwrite=False)
    create(path, HEADER, may_overwrite=True)
    assert file.read(frozenset({3})) == {3: b""}
    file.close()


def test_a_blank_file_is_prepared(tmp_path: Path) -> None:
    path = tmp_path / "blank"
    path.write_bytes(bytes(100))
    create(str(path), HEADER, may_overwrite=False)
    LeaseFile(str(path)).close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is too small"),
        (b"SBD_SBD_".ljust(FILE_BYTES, b"\0"), "it has no header of a lease"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=said):
        LeaseFile(str(path))


def test_a_file_that_was_cut_off_is_too_small(tmp_path: Path) -> None:
    path = made(tmp_path)
    os.truncate(path, 5 * BLOCK_BYTES)
    file = LeaseFile(path)
    assert file.read(frozenset({3})) == {3: b""}
    with pytest.raises(ValueError, match="it is too small: it has to have 1064960 bytes"):
        file.read(None)
    file.close()


def test_a_file_system_that_only_reads_through_its_cache_is_refused() -> None:
    with pytest.raises((ValueError, OSError)):
        LeaseFile("/proc/self/status", is_to_write=False)


def test_what_is_neither_file_nor_disk_is_not_prepared(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="neither a file nor a disk"):
        create(str(pipe), HEADER, may_overwrite=True)
