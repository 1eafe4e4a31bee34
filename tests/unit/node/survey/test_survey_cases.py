"""Golden cases of the doctor: a machine in NAME.toml, and in NAME.txt what is found on it."""

from pathlib import Path

import pytest
from doctor_machines import CASES, NAMES, evidence

from komainu.network.doctor.checkup import WIDTH, check_up


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    text = check_up(evidence(name, tmp_path / "root")).text() + "\n"
    golden = CASES / f"{name}.txt"
    if request.config.getoption("--rewrite"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_prose_fits_a_narrow_terminal(name: str) -> None:
    for line in (CASES / f"{name}.txt").read_text().splitlines():
        is_quoted = line.startswith(" " * 10)  # a changed line, a path, a rule of a firewall: shown as it is
        assert len(line) <= WIDTH or is_quoted or " " not in line.strip(), line
