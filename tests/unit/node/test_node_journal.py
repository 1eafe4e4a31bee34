"""The disk thread and the flight record's files."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from komainu.model.report import Note
from komainu.node import flight as flight_module
from komainu.node.disk import PromiseFile, StateFile
from komainu.node.flight import FlightFile
from komainu.node.interface import Persist, Persisted, PersistFailed
from komainu.node.journal import Journal
from komainu.ring.interface import PromiseKept

Told = Persisted | PersistFailed | PromiseKept


class SlowFolder:
    """A disk that stands still until it is told to go on, and may refuse."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.is_working = threading.Event()
        self.error: OSError | None = None
        self.stored: list[bytes] = []

    def read(self, name: str) -> bytes:
        raise FileNotFoundError(name)

    def write(self, name: str, data: bytes) -> None:
        self.is_working.set()
        assert self.go_on.wait(5)
        if self.error:
            raise self.error
        self.stored.append(data)

    def sync_file(self, name: str) -> None:
        pass

    def rename(self, old: str, new: str) -> None:
        pass

    def link(self, old: str, new: str) -> None:
        raise FileNotFoundError(old)

    def sync_names(self) -> None:
        pass


def files(folder: SlowFolder) -> tuple[StateFile, PromiseFile]:
    return StateFile(folder, "cib"), PromiseFile(folder, "state")


def run(tmp_path: Path, folder: SlowFolder, count: int, *, promised: tuple[int, ...] = ()) -> list[Told]:
    """Persist while the disk stands still, then let it go on."""

    async def life() -> list[Told]:
        told: list[Told] = []
        notes: list[Note] = []
        enough = asyncio.Event()

        def report(event: Told) -> None:
            told.append(event)
            if len(told) == count:
                enough.set()

        journal = Journal(files(folder), FlightFile(str(tmp_path)), report, notes.append)
        journal.start()
        journal.persist(Persist(0, "text 0"))
        assert await asyncio.to_thread(folder.is_working.wait, 5)
        for token in range(1, count):
            journal.persist(Persist(token, f"text {token}"))
        for counter in promised:
            journal.promise(counter)
        journal.append("a record\n")
        assert journal.busy_since_s <= time.monotonic(), "the watchdog sees that the disk stands still"
        folder.go_on.set()
        async with asyncio.timeout(5):
            await enough.wait()
        journal.end(5)
        return told

    return asyncio.run(life())


def test_of_the_states_that_wait_only_the_newest_is_written_and_all_are_confirmed(tmp_path: Path) -> None:
    folder = SlowFolder()
    told = run(tmp_path, folder, 5)
    assert told == [Persisted(token) for token in range(5)]
    assert folder.stored == [b"text 0", b"text 4"]
    assert (tmp_path / "flight.jsonl").read_text() == "a record\n"


def test_the_newest_promise_is_written_before_the_states_that_wait(tmp_path: Path) -> None:
    folder = SlowFolder()
    told = run(tmp_path, folder, 3, promised=(2000, 3000))
    assert told[:2] == [Persisted(0), PromiseKept(3000)]
    assert folder.stored == [b"text 0", b"3000\n", b"text 2"]


def test_a_disk_that_refuses_a_promise_is_told(tmp_path: Path) -> None:
    folder = SlowFolder()
    folder.error = OSError(28, "No space left on device")
    told = run(tmp_path, folder, 2, promised=(2000,))
    assert told[1] == PersistFailed(0, "No space left on device")


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    folder = SlowFolder()
    folder.error = OSError(28, "No space left on device")
    told = run(tmp_path, folder, 2)
    assert told == [PersistFailed(token, "No space left on device") for token in range(2)]


def test_flight_files_rotate_and_are_read_back_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flight_module, "FILE_BYTES_MAX", 100)
    flight = FlightFile(str(tmp_path))
    for number in range(200):
        flight.append([f"record {number}\n"])
    flight.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [*(f"flight.{number}.jsonl" for number in range(1, 8)), "flight.jsonl"]
    lines = [line.decode() for line in FlightFile(str(tmp_path)).read(30)]
    assert lines == [f"record {number}" for number in range(170, 200)]


def test_a_torn_line_does_not_take_the_next_one_with_it(tmp_path: Path) -> None:
    (tmp_path / "flight.jsonl").write_text('{"torn": ')
    flight = FlightFile(str(tmp_path))
    flight.append(["whole\n"])
    flight.close()
    assert FlightFile(str(tmp_path)).read(10) == [b'{"torn": ', b"whole"]


def test_a_flight_record_that_cannot_be_written_is_said_once_and_costs_nothing_else(tmp_path: Path) -> None:
    async def life() -> list[str]:
        notes: list[str] = []
        told = asyncio.Event()

        def note(one: Note) -> None:
            notes.append(one.code)
            told.set()

        folder = tmp_path / "flight"
        folder.write_text("a file in the way")
        journal = Journal(files(SlowFolder()), FlightFile(str(folder)), lambda _: None, note)
        journal.start()
        for wanted in ("disk.flight-lost", "disk.flight-back"):
            if wanted == "disk.flight-back":
                folder.unlink()
                folder.mkdir()
            journal.append("a record\n")
            async with asyncio.timeout(5):
                await told.wait()
            told.clear()
        journal.end(5)
        return notes

    assert asyncio.run(life()) == ["disk.flight-lost", "disk.flight-back"]


def test_a_fault_of_the_thread_is_seen_by_the_loop(tmp_path: Path) -> None:
    class BrokenFolder(SlowFolder):
        def write(self, name: str, data: bytes) -> None:
            raise AssertionError("an invariant")

    async def life() -> object:
        seen: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: seen.set_result(context["exception"])
        )
        journal = Journal(files(BrokenFolder()), FlightFile(str(tmp_path)), lambda _: None, lambda _: None)
        journal.start()
        journal.persist(Persist(1, "text"))
        async with asyncio.timeout(5):
            return await seen

    assert str(asyncio.run(life())) == "an invariant"
