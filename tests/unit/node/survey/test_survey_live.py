import asyncio
import time
from pathlib import Path

import pytest

from komainu.network.doctor.evidence import COMMANDS
from komainu.node.survey import live
from komainu.node.survey.survey import examine, look


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    script = f"(sleep 5; touch {mark}) & sleep 5"
    begin = time.monotonic()
    found = asyncio.run(live.run(("sh", "-c", script), timeout_s=0.1))
    assert time.monotonic() - begin < 2
    assert "did not answer within 0.1 s" in found.problem


def test_a_command_that_fails_says_why() -> None:
    assert asyncio.run(live.run(("sh", "-c", "echo no rights >&2; exit 3"))).problem.endswith("no rights")
    assert asyncio.run(live.run(("sh", "-c", "exit 3"))).problem.endswith("exit code 3")
    assert "No such file" in asyncio.run(live.run(("/nowhere/program",))).problem


def test_a_command_that_answers_is_read_and_bytes_that_are_no_text_do_no_harm() -> None:
    found = asyncio.run(live.run(("printf", r"ok\377")))
    assert found.text.startswith("ok")
    assert found.problem == ""


def test_this_process_is_among_the_processes() -> None:
    name = Path("/proc/self/comm").read_text().strip()
    assert abs(live.processes()[name] - time.time()) < 3_600  # this test run has begun within the hour


@pytest.mark.parametrize(
    ("text", "name"), [("7 (a b) c) S " + "0 " * 18 + "42 0", "a b) c"), ("7 (x) S " + "0 " * 18 + "42", "x")]
)
def test_a_process_may_have_any_name(text: str, name: str) -> None:
    assert live._stat(text) == (name, 42)


def test_commands_of_programs_that_do_not_run_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "COMMANDS", {"devices": COMMANDS["devices"], "addresses": ("true",)})
    assert set(live.outputs({})) == {"addresses"}


def test_a_machine_without_ip_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "COMMANDS", {"addresses": ("komainu-no-such-program",)})
    assert "not installed" in live.outputs({})["addresses"].problem


def test_nothing_runs_for_a_file_tree(tmp_path: Path) -> None:
    evidence = look(str(tmp_path))
    assert evidence.processes is None
    assert not evidence.outputs


def test_this_machine_is_examined_without_a_fault_and_in_time() -> None:
    begin = time.monotonic()
    assert examine().text()
    assert time.monotonic() - begin < 5  # far above what it takes, for machines that are busy
