from pathlib import Path

import pytest

from komainu.model.report import Refused
from komainu.network.doctor.finding import Change, SetMode, Write
from komainu.node.survey import mend as mending
from komainu.node.survey.mend import JOURNAL, mend, undo

OLD, NEW, KEY = "/etc/old.conf", "/etc/deep/er/new.conf", "/etc/key"
CHANGES: tuple[Change, ...] = (Write(OLD, "a\n", "b\n"), Write(NEW, None, "c\n"), SetMode(KEY, 0o644, 0o600))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/old.conf").write_text("a\n")
    (tmp_path / "etc/old.conf").chmod(0o640)
    (tmp_path / "etc/key").write_text("secret")
    (tmp_path / "etc/key").chmod(0o644)
    return tmp_path


def contents(root: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(root)): (path.read_text(), path.stat().st_mode & 0o777)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not str(path).endswith(JOURNAL)
    }


def test_changes_are_written_with_a_backup_and_undone(root: Path) -> None:
    before = contents(root)
    mend(str(root), CHANGES, "now")
    assert contents(root) == {
        "etc/old.conf": ("b\n", 0o640),
        "etc/old.conf.komainu-backup-now": ("a\n", 0o640),
        "etc/deep/er/new.conf": ("c\n", 0o644),
        "etc/key": ("secret", 0o600),
    }
    undone = undo(str(root))
    assert undone is not None
    assert undone.paths == (OLD, NEW, KEY)
    assert contents(root) == before
    assert undo(str(root)) is None


def test_mendings_are_undone_one_after_the_other(root: Path) -> None:
    mend(str(root), (Write(OLD, "a\n", "b\n"),), "1")
    mend(str(root), (Write(OLD, "b\n", "c\n"),), "2")
    for expected in ("b\n", "a\n"):
        undo(str(root))
        assert (root / "etc/old.conf").read_text() == expected


def test_a_file_that_changed_meanwhile_is_left_alone(root: Path) -> None:
    before = contents(root)
    with pytest.raises(Refused, match=r"changed meanwhile.*\n.*run it again"):
        mend(str(root), (CHANGES[1], Write(OLD, "not a\n", "b\n")), "now")
    assert contents(root) == before


def test_a_file_that_changed_since_is_not_undone(root: Path) -> None:
    mend(str(root), CHANGES, "now")
    (root / "etc/old.conf").write_text("mine\n")
    with pytest.raises(Refused, match="komainu-backup-now"):
        undo(str(root))
    assert (root / "etc/old.conf").read_text() == "mine\n"
    assert (root / "etc/deep/er/new.conf").exists()


@pytest.mark.parametrize("step", range(len(CHANGES)))
def test_a_crash_between_two_steps_can_be_undone(
    root: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(root)
    perform = mending._perform
    done: list[str] = []

    def crash(folder: str, change: Change, planned: mending.Step) -> None:
        if len(done) == step:
            raise KeyboardInterrupt
        perform(folder, change, planned)
        done.append(change.path)

    monkeypatch.setattr(mending, "_perform", crash)
    with pytest.raises(KeyboardInterrupt):
        mend(str(root), CHANGES, "now")
    undo(str(root))
    assert contents(root) == before


def test_what_cannot_be_written_changes_nothing(root: Path) -> None:
    before = contents(root)
    with pytest.raises(Refused, match="nothing was changed"):
        mend(str(root), (*CHANGES, Write("/etc/key/below", None, "x")), "now")
    assert contents(root) == before
    assert undo(str(root)) is None


def test_a_link_of_the_tree_is_written_through_and_never_leaves_it(root: Path) -> None:
    (root / "etc/link.conf").symlink_to("/etc/old.conf")
    mend(str(root), (Write("/etc/link.conf", "a\n", "b\n"),), "now")
    assert (root / "etc/link.conf").is_symlink()
    assert (root / "etc/old.conf").read_text() == "b\n"


def test_a_journal_that_is_broken_is_told(root: Path) -> None:
    (root / JOURNAL[1:]).parent.mkdir(parents=True)
    (root / JOURNAL[1:]).write_text("{")
    with pytest.raises(Refused, match="cannot be read"):
        undo(str(root))
