"""Run the demonstration as a user does: real daemons, real agents, and nothing left afterwards."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from komainu.lab import lab, preflight

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(preflight.missing()), reason="; ".join(map(str, preflight.missing()))),
]

NAME = "livedrill"
RUN = [
    sys.executable,
    "-c",
    "from komainu.cli.drill import drill; drill()",
    "run",
    "--lab",
    NAME,
    "--slack",
    "10",  # what a quiet machine can do is measured by `make demo`
    "--format",
    "json",
]


@pytest.mark.parametrize("name", ["demo", "hard", "quorum"])
def test_a_drill_that_ships_goes_as_it_says(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*RUN, "--logs", str(tmp_path), name], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["is_passed"]
    assert result["steps_ms"] < 90_000
    assert not (lab.base_directory() / NAME).exists()


def test_an_expectation_that_is_missed_is_explained(tmp_path: Path) -> None:
    cib = '<cib validate-with="pacemaker-3.9"><configuration><crm_config/><nodes/>{}</configuration><status/></cib>'
    resources = '<resources><primitive id="web" class="ocf" provider="komainu" type="dummy"/></resources><constraints/>'
    off = '<nvpair id="x" name="stonith-enabled" value="false"/>'
    options = f'<crm_config><cluster_property_set id="o">{off}</cluster_property_set></crm_config>'
    nodes = '<nodes><node id="1" uname="a"/></nodes>'
    text = cib.format(resources).replace("<crm_config/>", options).replace("<nodes/>", nodes)
    (tmp_path / "cib.xml").write_text(text, encoding="utf-8")
    drill = tmp_path / "drill.toml"
    drill.write_text(
        '[lab]\nnodes = ["a"]\n[cluster]\ncib_file = "cib.xml"\nprobe = ""\n'
        '[[step]]\nname = "reset"\nactions = [ { do = "reset", node = "a" } ]\nexpect = { reboots = 0 }\n',
        encoding="utf-8",
    )
    done = subprocess.run([*RUN, str(drill)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "reboots: 1; expected: 0" in json.loads(done.stdout)["outcomes"][0]["misses"]
