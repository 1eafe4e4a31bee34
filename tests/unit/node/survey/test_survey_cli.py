"""The command `komainu doctor`, typed on trees of files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from doctor_machines import build

from komainu.cli.commands import root
from komainu.model.report import Refused
from komainu.network.doctor.peers import Summary
from komainu.node.survey import others
from komainu.node.survey.survey import examine

FILE = "etc/NetworkManager/conf.d/90-komainu.conf"


def komainu(*arguments: str, answer: str = "") -> Result:
    result = CliRunner().invoke(
        root, ["--socket", "/nowhere/d.sock", *arguments], input=answer, standalone_mode=False
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    build("centos7", tmp_path / "root")
    return tmp_path / "root"


def listing(tree: Path) -> list[str]:
    return sorted(str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir())


def test_it_only_looks(tree: Path) -> None:
    before = listing(tree)
    result = komainu("doctor", "--root", str(tree))
    assert result.return_value == 1
    assert "error NET001  eth1: a pulled cable takes its address away" in result.stdout
    assert "hint: komainu doctor --fix" in result.stderr
    assert listing(tree) == before


def test_json_has_every_finding_and_link(tree: Path) -> None:
    found = json.loads(komainu("doctor", "--root", str(tree), "--format", "json").stdout)
    assert found["node"] == "ha1"
    assert found["links"][0]["lost_after_ms"] == 6000
    (finding,) = [one for one in found["findings"] if one["rule"] == "NET001"]
    assert finding["gravity"] == "error"
    assert finding["fix"]["changes"][0]["path"] == f"/{FILE}"


def test_a_fix_is_shown_asked_for_written_and_undone(tree: Path) -> None:
    before = listing(tree)
    result = komainu("doctor", "--root", str(tree), "--fix", answer="y\n")
    assert "+match-device=interface-name:eth1" in result.stdout
    assert "on the machine itself, run: nmcli general reload conf" in result.stderr
    assert "ignore-carrier=yes" in (tree / FILE).read_text()
    assert "error NET001" not in komainu("doctor", "--root", str(tree)).stdout
    result = komainu("doctor", "--root", str(tree), "--undo")
    assert result.return_value == 0
    assert [path for path in listing(tree) if "undo.json" not in path] == before
    assert komainu("doctor", "--root", str(tree), "--undo").return_value == 1


def test_no_is_no(tree: Path) -> None:
    before = listing(tree)
    result = komainu("doctor", "--root", str(tree), "--fix", answer="n\n")
    assert "nothing was changed" in result.stderr
    assert listing(tree) == before


@pytest.mark.parametrize(
    "case", ["debian-cloud", "rhel9-overruled", "networkd-helpless", "sles15-wicked", "rhel8-keyfile"]
)
def test_what_was_fixed_is_not_found_again_and_can_be_undone(case: str, tmp_path: Path) -> None:
    build(case, tmp_path / "root")
    tree = tmp_path / "root"
    before = {path: (tree / path).read_bytes() for path in listing(tree) if (tree / path).is_file()}
    fixed = [one for one in json.loads(komainu("doctor", "--root", str(tree), "--format", "json").stdout)["findings"]
             if one["fix"]["changes"]]  # fmt: skip
    assert fixed
    komainu("doctor", "--root", str(tree), "--fix", "--yes")
    left = json.loads(komainu("doctor", "--root", str(tree), "--format", "json").stdout)["findings"]
    assert not [one for one in left if one["fix"]["changes"]]
    while komainu("doctor", "--root", str(tree), "--undo").return_value == 0:
        pass
    after = {path: (tree / path).read_bytes() for path in listing(tree) if (tree / path).is_file()}
    assert {path: text for path, text in after.items() if "undo.json" not in path} == before


def test_two_interconnects_in_one_file_are_both_fixed(tmp_path: Path) -> None:
    build("debian-cloud", tmp_path / "root")
    komainu("doctor", "--root", str(tmp_path / "root"), "--fix", "--yes")
    text = (tmp_path / "root/etc/netplan/50-cloud-init.yaml").read_text()
    assert text.count("ignore-carrier: true") == 2
    assert "# written at first boot" in text


def test_a_page_is_shown_in_eighty_columns() -> None:
    result = komainu("doctor", "--explain", "net001")
    assert result.stdout.startswith("# NET001: ")
    assert result.return_value == 0
    assert all(len(line) <= 80 for line in result.stdout.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--explain", "NET999"),
        ("--root", "/nowhere"),
        ("--fix", "--undo"),
        ("--fix", "--all"),
        ("--fix", "--format", "json"),
        ("--yes",),
        ("--format", "xml"),
    ],
)
def test_misuse_is_refused(arguments: tuple[str, ...]) -> None:
    result = CliRunner().invoke(root, ["doctor", *arguments])
    assert result.exit_code == 2
    assert not result.stdout


def test_nodes_are_compared_by_their_reports(tmp_path: Path) -> None:
    build("troubles", tmp_path / "a")
    report = komainu("doctor", "--root", str(tmp_path / "a"), "--format", "json").stdout
    told = json.loads(report)
    told["node"] = "ha2"
    for link in told["links"]:
        link["mtu"] = 9000
    told["clusters"][0]["digest"] = "another"
    (tmp_path / "ha2.json").write_text(json.dumps(told))
    text = komainu("doctor", "--root", str(tmp_path / "a"), "--peer", str(tmp_path / "ha2.json")).stdout
    assert "error CLU011  /etc/corosync/corosync.conf: ha2 has another file" in text
    assert "ha2 has another packet size" in text
    assert "eth1 of ha2 has 192.168.33.101" in text


def test_a_report_that_is_none_is_refused(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(Refused, match="no report of the doctor"):
        komainu("doctor", "--root", str(tree), "--peer", str(tmp_path / "x.json"))


SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
case "$3" in *"exec komainu doctor --format json"*) ;; *) exit 9 ;; esac
{answer}
"""


def ask_all(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, *arguments: str
) -> Result:
    """Check a machine whose files are this tree, with an ssh that answers so; $2 is the node or its address."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(SSH.format(answer=answer))
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr("komainu.cli.doctor.examine", lambda _root, cib: examine(str(tree), cib))
    return komainu("doctor", "--all", *arguments)


def told_by(tree: Path, tmp_path: Path, **changes: object) -> Path:
    """Write the report that another node gives: this tree's, with some things changed."""
    told = json.loads(komainu("doctor", "--root", str(tree), "--format", "json").stdout)
    report = tmp_path / "report.json"
    report.write_text(json.dumps({**told, "node": "ha2", **changes}))
    return report


def test_all_asks_the_others_and_compares(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters = [{"file": "/etc/corosync/corosync.conf", "digest": "another", "program": "Corosync 2.4.4"}]
    report = told_by(tree, tmp_path, clusters=clusters)
    result = ask_all(tree, tmp_path, monkeypatch, f"cat {report}; exit 1")
    assert result.return_value == 1
    assert "error CLU011  /etc/corosync/corosync.conf: ha2 has another file" in result.stdout
    assert f"\nha2: {len(json.loads(report.read_text())['findings'])} findings\n" in result.stdout
    assert "  error NET001  eth1: a pulled cable takes its address away" in result.stdout
    assert result.stdout.endswith("\n2 of 2 nodes checked\n")


def test_all_as_json_has_every_report(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = told_by(tree, tmp_path)
    found = json.loads(ask_all(tree, tmp_path, monkeypatch, f"cat {report}", "--format", "json").stdout)
    assert found["others"]["ha2"] == json.loads(report.read_text())
    assert found["here"]["findings"]
    assert found["not_asked"] == {}


def test_a_node_whose_name_leads_nowhere_is_asked_by_its_address(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = "[ $2 != ha2 ] || { echo 'ssh: Could not resolve hostname ha2: unknown' >&2; exit 255; }\ncat "
    result = ask_all(tree, tmp_path, monkeypatch, answer + str(told_by(tree, tmp_path)))
    assert "2 of 2 nodes checked" in result.stdout


@pytest.mark.parametrize(
    ("answer", "said", "hint"),
    [
        ("echo 'Permission denied (publickey).' >&2; exit 255", "Permission denied (publickey).", "ssh-copy-id ha2"),
        ("echo 'HOST IDENTIFICATION HAS CHANGED\nHost key verification failed.' >&2; exit 255", "Host key", "-R ha2"),
        ("echo 'No route to host' >&2; exit 255", "No route to host", "ssh ha2 komainu doctor"),
        ("echo 'sh: komainu: not found' >&2; exit 127", "sh: komainu: not found", "install komainu on ha2"),
        ("printf 'komainu: \\033[31mno' >&2; exit 3", r"komainu: \x1b[31mno", "here: komainu doctor --peer ha2.json"),
        ("echo '{{}}'", "it ended with 0, without a report", "komainu doctor --format json > ha2.json"),
        ("head -c 9 /dev/zero", "it ended with 0, without a report", "komainu doctor --format json > ha2.json"),
    ],
)  # fmt: skip
def test_a_node_that_cannot_be_asked_is_named_with_what_mends_it(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, said: str, hint: str
) -> None:
    result = ask_all(tree, tmp_path, monkeypatch, answer)
    assert result.return_value == 1
    assert f"ha2 could not be asked: {said}" in result.stdout
    assert hint in result.stderr
    assert "1 of 2 nodes checked" in result.stdout


def test_a_name_that_leads_back_here_is_no_other_node(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ask_all(tree, tmp_path, monkeypatch, f"cat {told_by(tree, tmp_path, node='ha1')}")
    assert "ha2 could not be asked: its name leads to this machine itself" in result.stdout
    assert "NET012" not in result.stdout


def test_one_that_hangs_or_never_ends_is_left_in_time(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("komainu.node.survey.others.ANSWER_TIMEOUT_S", 0.2)
    result = ask_all(tree, tmp_path, monkeypatch, "exec sleep 30")
    assert "ha2 could not be asked: no answer within 0.2 s" in result.stdout


def test_without_ssh_all_is_refused_with_another_way(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("komainu.cli.doctor.examine", lambda _root, cib: examine(str(tree), cib))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="ssh cannot be run"):
        komainu("doctor", "--all")


@pytest.mark.parametrize(("clock_s", "apart_s"), [(90.0, -10.0), (100.5, 0), (107.0, 6.0), (None, 0)])
def test_a_clock_is_apart_by_what_asking_does_not_explain(clock_s: float | None, apart_s: float) -> None:
    said = others._Said(0, b"", "", begun_s=100, ended_s=101)
    summary = Summary("b", "", (), (), clock_s=clock_s)
    assert others._apart_s(summary, said) == apart_s


def test_of_a_file_tree_all_says_how(tree: Path) -> None:
    text = komainu("doctor", "--root", str(tree), "--all").stdout
    assert text.splitlines() == [
        "ssh ha2 komainu doctor --format json > ha2.json",
        "komainu doctor --peer ha2.json",
    ]
