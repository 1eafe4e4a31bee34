"""komainu simulate FILE: a person's own file is checked, taken as a cluster that is up, and told in full."""

from pathlib import Path

from click.testing import CliRunner

from komainu.cli.simulate import simulate
from komainu.sim.scenario import SERVICE


def run(*arguments: str, given: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(simulate, list(arguments), input=given)
    return result.exit_code, result.stdout, result.stderr


def service(tmp_path: Path, **changes: str) -> str:
    text = SERVICE.format(hosts="a b")
    text = text.replace("<nodes/>", '<nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>')
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "service.xml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_without_status_is_taken_as_a_cluster_that_is_up(tmp_path: Path) -> None:
    code, out, said = run(service(tmp_path))
    assert code == 0
    assert "Start      web" in out
    assert "Revised Cluster Status:" in out
    assert "all nodes are taken as online" in said


def test_a_file_with_a_mistake_is_refused_with_its_line(tmp_path: Path) -> None:
    code, out, said = run(service(tmp_path, provider="provder"))
    assert code == 1
    assert out == ""
    assert "service.xml:" in said
    assert 'did you mean "provider"?' in said


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    code, _, said = run(str(tmp_path / "nothing.xml"))
    assert (code, "No such file" in said) == (1, True)


def test_broken_xml_is_refused() -> None:
    code, _, said = run("-p", given="<cib><conf")
    assert (code, "malformed XML" in said) == (1, True)


def test_no_file_and_an_unknown_option_are_misuse() -> None:
    assert run()[0] == 2
    assert run("--bogus")[0] == 2


def test_without_carrying_out_the_plan_stands_alone(tmp_path: Path) -> None:
    _, out, _ = run(service(tmp_path), "-R")
    assert "Transition Summary:" in out
    assert "Revised Cluster Status:" not in out
