"""The state on disk: a crash at any step leaves the old or the new text, never a torn one."""

import itertools
import random
from pathlib import Path

import pytest

from komainu.model.report import Refused, Report
from komainu.node.disk import VERSIONS_MAX, PromiseFile, RealFolder, StateFile

MARK = "<end/>"


def text(epoch: int, updates: int = 0) -> str:
    return (
        f'komainu-state\n<cib epoch="{epoch}" admin_epoch="0" num_updates="{updates}">{"x" * 50}</cib>{MARK}'
    )


def decode(stored: str) -> str:
    if not stored.startswith("komainu-state") or not stored.endswith(MARK):
        raise Refused((Report("test.torn", "it is torn"),))
    return stored


class PowerLost(Exception):
    pass


class FakeFolder:
    """A file system that forgets what was not synced, and may keep any part of it."""

    def __init__(self, steps: int = 10**9) -> None:
        self.files: dict[str, int] = {}  # name -> number of its content, as a running system sees it
        self.contents: dict[int, bytes] = {}
        self.durable_files: dict[str, int] = {}
        self.durable_contents: set[int] = set()
        self.pending: list[dict[str, int]] = []  # the names after each change since the last sync
        self.steps = steps
        self.taken = 0

    def _step(self) -> None:
        if self.taken == self.steps:
            raise PowerLost
        self.taken += 1

    def _name(self) -> None:
        self.pending.append(dict(self.files))

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.contents[self.files[name]]

    def write(self, name: str, data: bytes) -> None:
        self._step()
        number = len(self.contents)
        self.contents[number] = data
        self.files[name] = number
        self._name()

    def sync_file(self, name: str) -> None:
        self._step()
        self.durable_contents.add(self.files[name])

    def rename(self, old: str, new: str) -> None:
        if old not in self.files:
            raise FileNotFoundError(old)
        self._step()
        self.files[new] = self.files.pop(old)
        self._name()

    def link(self, old: str, new: str) -> None:
        if old not in self.files:
            raise FileNotFoundError(old)
        if new in self.files:
            raise FileExistsError(new)
        self._step()
        self.files[new] = self.files[old]
        self._name()

    def sync_names(self) -> None:
        self._step()
        self.durable_files = dict(self.files)
        self.pending.clear()

    def after_power_loss(self, chance: random.Random) -> "FakeFolder":
        """Return the folder as a machine finds it: some of the last renames, and torn contents."""
        found = FakeFolder()
        found.files = dict(chance.choice([self.durable_files, *self.pending]))
        for number, data in self.contents.items():
            cut = len(data) if number in self.durable_contents else chance.randrange(len(data))
            found.contents[number] = data[:cut]
        found.durable_files = dict(found.files)
        found.durable_contents = set(found.contents)
        return found


@pytest.mark.parametrize("same_configuration", [True, False])
def test_power_lost_after_any_step_gives_the_old_or_the_new_state(*, same_configuration: bool) -> None:
    old, new = text(4), text(4, 1) if same_configuration else text(5)
    chance = random.Random(1)
    crashes = 0
    for steps in itertools.count():
        folder = FakeFolder()
        for epoch in range(5):
            StateFile(folder, "cib").store(text(epoch))
        folder.steps = folder.taken + steps
        is_stored = False
        try:
            StateFile(folder, "cib").store(new)
            is_stored = True
        except PowerLost:
            crashes += 1
        for _ in range(20):
            after = folder.after_power_loss(chance)
            loaded = StateFile(after, "cib").load(decode)
            assert loaded.notes == ()
            assert loaded.value in ({new} if is_stored else {old, new})
            StateFile(after, "cib").store(text(9))  # and life goes on
            assert StateFile(after, "cib").load(decode).value == text(9)
        if is_stored:
            break
    assert crashes >= 4


def test_power_lost_after_any_step_gives_the_old_or_the_new_promise() -> None:
    chance = random.Random(3)
    for steps in range(5):
        folder = FakeFolder()
        PromiseFile(folder, "state").store(1000)
        folder.steps = folder.taken + steps
        is_stored = False
        try:
            PromiseFile(folder, "state").store(2000)
            is_stored = True
        except PowerLost:
            pass
        for _ in range(20):
            kept = PromiseFile(folder.after_power_loss(chance), "state").load()
            assert kept in ({2000} if is_stored else {1000, 2000})
    assert is_stored


def test_a_promise_that_was_never_made_or_cannot_be_read(tmp_path: Path) -> None:
    file = PromiseFile(RealFolder(str(tmp_path)), str(tmp_path))
    assert file.load() == 0
    (tmp_path / "promised").write_text("12 apples")
    with pytest.raises(Refused, match="holds no number") as refused:
        file.load()
    assert refused.value.reports[0].hint.endswith(f"rm {tmp_path}/promised, and start this one again")
    (tmp_path / "promised").unlink()
    (tmp_path / "promised").mkdir()
    with pytest.raises(Refused, match="cannot be read"):
        file.load()


def test_power_lost_in_the_first_store_gives_nothing_or_the_new_state() -> None:
    chance = random.Random(2)
    for steps in range(5):
        folder = FakeFolder(steps)
        is_stored = False
        try:
            StateFile(folder, "cib").store(text(1))
            is_stored = True
        except PowerLost:
            pass
        loaded = StateFile(folder.after_power_loss(chance), "cib").load(decode)
        assert loaded.value == text(1) if is_stored else loaded.value in {None, text(1)}


def test_earlier_configurations_are_kept_but_not_each_status(tmp_path: Path) -> None:
    file = StateFile(RealFolder(str(tmp_path)), str(tmp_path))
    for epoch in range(1, 13):
        for updates in range(3):
            file.store(text(epoch, updates))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["state", *(f"state.{number}" for number in range(1, VERSIONS_MAX + 1))]
    assert (tmp_path / "state").read_text() == text(12, 2)
    assert (tmp_path / "state.1").read_text() == text(11, 2)
    assert (tmp_path / "state.9").read_text() == text(3, 2)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


def test_a_damaged_state_gives_way_to_the_one_before_and_says_so(tmp_path: Path) -> None:
    file = StateFile(RealFolder(str(tmp_path)), "cib")
    file.store(text(1))
    file.store(text(2))
    (tmp_path / "state").write_text("rubbish")
    loaded = file.load(decode)
    assert loaded.value == text(1)
    assert "is damaged (state: error: it is torn); going on with state.1" in loaded.notes[0].message


def test_nothing_stored_is_no_state(tmp_path: Path) -> None:
    assert StateFile(RealFolder(str(tmp_path)), "cib").load(decode).value is None


def test_only_damaged_states_are_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"\xff\xfe")
    (tmp_path / "state.1").write_text("")
    with pytest.raises(Refused, match="no stored cluster state can be read") as caught:
        StateFile(RealFolder(str(tmp_path)), str(tmp_path)).load(decode)
    assert "takes the state from the others" in str(caught.value)
