"""The file or disk that is a witness: prepared, shown, and refused with the reason."""

import json
from pathlib import Path

import pytest

from komainu.cli.commands import run
from komainu.model.ids import NodeId
from komainu.model.view import ViewId
from komainu.node.key import write_new_key
from komainu.node.lease_file import LeaseFile, create
from komainu.witness.message import Question
from komainu.witness.slots import LEASE_MS_MIN, Header, Page, slot_of, write_page

SETTINGS = """\
[cluster]
name = "office"
key_file = "KEY"

[cluster.quorum.witness]
path = "PATH"

[[node]]
name = "a"
id = 1
links = ["192.168.33.101"]

[[node]]
name = "b"
id = 2
links = ["192.168.33.102"]
"""
HEADER = Header(LEASE_MS_MIN, "office", b"u" * 16)


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    key, file = str(tmp_path / "key"), tmp_path / "komainu.toml"
    write_new_key(key)
    file.write_text(SETTINGS.replace("KEY", key).replace("PATH", str(tmp_path / "lease")), encoding="utf-8")
    return ["--config", str(file), "--name", "a"]


def test_what_the_settings_name_is_prepared_once(
    tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["witness", "lease", "create", "--lease", "5s", *settings]) == 0
    file = LeaseFile(str(tmp_path / "lease"))
    assert (file.header.lease_ms, file.header.cluster) == (5_000, "office")
    file.write(1, write_page(Page(NodeId(1), 1, 1, 0, None, ()), file.header))
    file.close()
    assert "is prepared for the cluster office: 1064960 bytes, lease 5 s" in capsys.readouterr().err
    assert run(["witness", "lease", "create", *settings]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path}/lease: error: it cannot be used: something is on it already" in said
    assert "hint: --overwrite" in said
    assert run(["witness", "lease", "create", "--overwrite", *settings]) == 0


def test_a_lease_that_is_too_short_is_refused(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["witness", "lease", "create", "--lease", "10ms", *settings]) == 1
    assert '--lease: error: "10ms" is no lease' in capsys.readouterr().err


def test_who_writes_and_who_is_the_clerk_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "lease")
    create(path, HEADER, may_overwrite=False)
    file = LeaseFile(path)

    def write(node: NodeId, number: int, claim: int) -> None:
        view = ViewId(1, node)
        question = Question(1, node, 1, number, view, (node,), (node,), None, False, 550)
        file.write(slot_of(node), write_page(Page(node, 9, number, claim, question, ()), HEADER))

    write(NodeId(1), 1, 7)
    write(NodeId(2), 1, 8)
    monkeypatch.setattr("komainu.cli.lease.time.sleep", lambda _: write(NodeId(2), 2, 8))
    assert run(["witness", "lease", "show", path]) == 0
    assert capsys.readouterr().out.replace("\n    ", " ").splitlines() == [
        f"{path}: cluster office, lease 500 ms",
        "node 1: silent; asked last for the part 1",
        "node 2: asks for the part 2, is the clerk",
    ]
    assert run(["witness", "lease", "show", path, "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["cluster"], [each["node"] for each in shown["nodes"]]) == ("office", [1, 2])
    file.close()


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["witness", "lease", "show", str(tmp_path / "nowhere")]) == 1
    said = capsys.readouterr().err
    assert "nowhere: error: it cannot be used: No such file or directory" in said
    assert "hint: is the storage mounted here? If it is new: komainu witness lease create" in said


def test_a_file_or_disk_needs_no_key(settings: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["witness", "key", *settings]) == 1
    assert "a file or disk needs no key" in capsys.readouterr().err


def test_a_path_has_to_come_from_somewhere(
    tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "komainu.toml"
    file.write_text(
        file.read_text(encoding="utf-8")
        .replace("path = ", "address = ")
        .replace(str(tmp_path / "lease"), "10.0.0.5"),
        encoding="utf-8",
    )
    assert run(["witness", "lease", "create", *settings]) == 1
    assert "the settings name no file or disk as the witness" in capsys.readouterr().err
