"""komainu simulate FILE: a person's own file is checked, taken as a cluster that is up, and told in full."""

import json
from pathlib import Path

import pytest
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


# -- events ---------------------------------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path) -> str:
    """The service, up and running, saved as a CIB."""
    saved = str(tmp_path / "running.xml")
    code, _, said = run(service(tmp_path), "-O", saved)
    assert code == 0, said
    return saved


def test_a_lost_node_is_told_in_the_fields_order(running: str) -> None:
    code, out, said = run("-x", running, "-S", "--node-fail", "a", "--quorum", "1")
    assert code == 0, said
    modified = out.partition("Performing Requested Modifications:\n")[2].partition("\n\n")[0]
    assert modified.splitlines() == ["  * Setting quorum: 1", "  * Failing node a"]
    assert "Fence (" in out
    assert "OFFLINE: [ a ]" in out.partition("Revised Cluster Status:")[2]


def test_a_status_alone_is_not_planned_for(running: str) -> None:
    code, out, _ = run("-x", running)
    assert code == 0
    assert "Current cluster status:" in out
    assert "Transition Summary:" not in out


def test_an_operation_that_is_told_to_fail_ends_the_transition(tmp_path: Path) -> None:
    _, out, _ = run(service(tmp_path), "-S", "--op-fail", "web_start_0@a=1", "--op-fail", "web_start_0@b=1")
    assert "failed with rc=1" in out
    assert "Injecting attribute fail-count-web#start_0=value++" in out
    assert "FAILED" in out.partition("Revised Cluster Status:")[2]
    assert "An invalid transition" not in out


def test_the_result_may_replace_the_file(running: str) -> None:
    assert run("-x", running, "-X", "-d", "a")[0] == 0
    _, out, _ = run("-x", running)
    assert "OFFLINE: [ a ]" in out
    assert "Started b" in out


def test_in_place_wants_a_file(running: str) -> None:
    code, _, said = run("-p", "-X", given=Path(running).read_text(encoding="utf-8"))
    assert (code, "name one with -x" in said) == (1, True)


def test_details_of_the_status(running: str) -> None:
    _, out, _ = run("-x", running, "-S", "-A", "-c", "--op-inject", "web_monitor_10000@a=7")
    after = out.partition("Revised Cluster Status:")[2]
    assert "  * Node Attributes:" in after
    assert "web: migration-threshold=" in after
    assert "web_monitor_10000 on a 'not running' (7)" in after


def test_files_are_saved(running: str, tmp_path: Path) -> None:
    names = {option: tmp_path / option.strip("-") for option in ("-I", "-O", "-D", "-G")}
    code, _, said = run(
        "-x", running, "-S", "-a", "-f", "a", *(str(part) for pair in names.items() for part in pair)
    )
    assert code == 0, said
    assert 'in_ccm="false"' in names["-I"].read_text(encoding="utf-8")
    assert 'color="blue"' in names["-D"].read_text(encoding="utf-8")
    assert "<transition_graph" in names["-G"].read_text(encoding="utf-8")
    assert run("-x", str(names["-O"]))[0] == 0


def test_a_file_that_cannot_be_written_is_said(running: str) -> None:
    code, _, said = run("-x", running, "-S", "-O", "/nonexistent/out.xml")
    assert (code, "/nonexistent/out.xml: No such file" in said) == (1, True)


def test_the_plan_as_json(running: str) -> None:
    _, out, _ = run("-x", running, "-S", "-f", "a", "--format", "json")
    plan = json.loads(out)
    assert any(action["kind"] == "fence" for action in plan["actions"])


def test_scores_and_room(running: str) -> None:
    _, out, _ = run("-x", running, "-S", "-s", "-U")
    assert "Assignment Scores and Utilization Information:" in out
    assert "Original: a capacity:" in out
    assert "allocation score on a" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-f", "c"), 'there is no node "c"'),
        (("-i", "wb_monitor_0@a=7"), 'did you mean "web"?'),
        (("-g", "nothing"), 'no resource depends on a ticket "nothing"'),
        (("-t", "yesterday"), "is no date"),
        (("-q", "maybe"), "Invalid value"),
    ],
)
def test_events_that_cannot_be_are_refused(running: str, arguments: tuple[str, ...], message: str) -> None:
    code, out, said = run("-x", running, "-S", *arguments)
    assert code in {1, 2}
    assert out == ""
    assert message in said


def test_without_a_cluster_a_live_check_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, said = run("-L", "-S")
    assert code == 1
    assert "no komainu daemon answers" in said
    tool = tmp_path / "cibadmin"
    tool.write_text("#!/bin/sh\necho 'Connection refused' >&2; exit 102\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    code, _, said = run("-L", "-S")
    assert code == 1
    assert "cibadmin says: Connection refused" in said
    assert "Name a file instead" in said


def test_a_live_pacemaker_is_asked_by_its_own_tool(
    running: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "cibadmin"
    tool.write_text(f"#!/bin/sh\nexec cat {running}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    code, out, said = run("-L", "-S", "-f", "a")
    assert code == 0, said
    assert "Fence (" in out


def test_what_a_change_would_make_different(running: str) -> None:
    code, out, said = run("-x", running, "-W", "node lost a")
    assert code == 0, said
    assert out.startswith("If node a were lost:\n  node a has to be fenced:")
    assert "db would run on b, not on a" in out
    assert "What would be done:\n  fence a (reboot)" in out
    _, out, _ = run("-x", running, "-W", "node lost a", "--format", "json")
    assert json.loads(out)["nodes"][0]["node"] == "a"


def test_two_changes_are_made_together(running: str) -> None:
    _, out, _ = run("-x", running, "-W", "node lost a", "-W", "option stop-all-resources=true")
    assert out.startswith("If node a were lost and the option stop-all-resources were true:")


def test_a_change_without_a_difference_says_so(running: str) -> None:
    _, out, _ = run("-x", running, "-W", "option batch-limit=3")
    assert "nothing else would be done" in out


def test_profile_says_how_long_each_file_takes(tmp_path: Path) -> None:
    path = service(tmp_path)
    code, out, _ = run("--profile", str(tmp_path), "--repeat", "2")
    assert code == 0
    heading, line = out.splitlines()
    assert heading == "Timings:"
    assert line.startswith(f"  * Testing {path} ... ")
    assert line.endswith(" secs")


def test_profile_wants_a_folder_with_cibs(tmp_path: Path) -> None:
    for folder, wrong in ((tmp_path, "holds no CIB"), (tmp_path / "none", "is no folder")):
        code, out, said = run("--profile", str(folder))
        assert code == 1
        assert out == ""
        assert wrong in said
        assert "files that end in .xml" in said


def test_a_request_that_is_none_is_answered_and_ends_nothing(tmp_path: Path) -> None:
    asked = [
        "no JSON",
        "{}",
        json.dumps({"xml": str(tmp_path / "absent.xml")}),
        json.dumps({"xml": service(tmp_path)}),
    ]
    code, out, _ = run("--server", given="".join(f"{line}\n" for line in asked))
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert ["error" in answer for answer in answers] == [True, True, True, False]
    assert "absent.xml" in answers[2]["error"]
