"""Services of the machine: what scripts of /etc/init.d say, and a machine without systemd. With one: tests/live."""

from pathlib import Path

import pytest

from komainu.agents import machine_service
from komainu.agents.resource_agent import Failure

SCRIPT = """#!/bin/sh
echo "$1" >> "{log}"
exit {code}
"""


def script(tmp_path: Path, code: int) -> Path:
    path = tmp_path / "web"
    path.write_text(SCRIPT.format(log=tmp_path / "log", code=code))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("said", "code"), [(0, 0), (1, 7), (2, 7), (3, 7)])
def test_status_becomes_the_code_of_a_monitor(tmp_path: Path, said: int, code: int) -> None:
    assert machine_service.by_script(script(tmp_path, said), "monitor") == code
    assert (tmp_path / "log").read_text() == "status\n"


@pytest.mark.parametrize("said", [4, 150])
def test_a_status_that_does_not_know_is_an_error(tmp_path: Path, said: int) -> None:
    with pytest.raises(Failure, match=f"status does not know: it ended with {said}") as caught:
        machine_service.by_script(script(tmp_path, said), "monitor")
    assert caught.value.code == 1


@pytest.mark.parametrize(("said", "code"), [(1, 1), (5, 5), (6, 6), (99, 1)])
def test_a_start_that_fails_keeps_its_code_where_it_means_something(
    tmp_path: Path, said: int, code: int
) -> None:
    with pytest.raises(Failure, match=f"start ended with {said}") as caught:
        machine_service.by_script(script(tmp_path, said), "start")
    assert caught.value.code == code


def test_a_start_that_works(tmp_path: Path) -> None:
    assert machine_service.by_script(script(tmp_path, 0), "start") == 0
    assert (tmp_path / "log").read_text() == "start\n"


def test_a_script_that_is_not_there_or_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="nothing is not installed") as caught:
        machine_service.by_script(tmp_path / "nothing", "monitor")
    assert caught.value.code == 5
    unreadable = script(tmp_path, 0)
    unreadable.chmod(0o644)
    with pytest.raises(Failure, match="cannot be run: Permission denied"):
        machine_service.by_script(unreadable, "start")


@pytest.fixture(name="_no_systemd")
def without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_service, "UNIT_FOLDER", str(tmp_path / "nothing"))


@pytest.mark.usefixtures("_no_systemd")
def test_on_a_machine_without_systemd_no_unit_is_installed_and_none_is_left_to_stop() -> None:
    with pytest.raises(Failure, match="there is no systemd here") as caught:
        machine_service.by_systemd("web.service", "monitor")
    assert caught.value.code == 5
    assert machine_service.by_systemd("web.service", "stop") == 0


@pytest.mark.parametrize(
    ("name", "unit"), [("nginx", "nginx.service"), ("data.mount", "data.mount"), ("a@b", "a@b.service")]
)
def test_a_name_without_a_suffix_is_a_service(name: str, unit: str) -> None:
    assert machine_service.unit_of(name) == unit


@pytest.mark.usefixtures("_no_systemd")
def test_class_service_takes_the_script_where_there_is_no_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script(tmp_path, 3)
    monkeypatch.setattr(machine_service, "INIT_FOLDER", str(tmp_path))
    assert exit_code(monkeypatch, "service", "web", "monitor") == 7
    assert exit_code(monkeypatch, "service", "other", "monitor") == 5
    assert exit_code(monkeypatch, "lsb", "web", "promote") == 3
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "ocf-exit-reason:systemd cannot load other.service: there is no systemd here",
        "ocf-exit-reason:services of the machine have no action promote",
    ]


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["run", *arguments])
    with pytest.raises(SystemExit) as caught:
        machine_service.main()
    return caught.value.code
