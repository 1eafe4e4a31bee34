"""komainu why NAME --file CIB: how an answer reads, as text and as data, and what is refused."""

import json
from pathlib import Path

import pytest

from komainu.cli.commands import run

CIB = """
<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1" execution-date="1767225600">
  <configuration>
    <crm_config><cluster_property_set id="cib-bootstrap-options">
      <nvpair id="o" name="stonith-enabled" value="false"/>
    </cluster_property_set></crm_config>
    <nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
    <resources><primitive id="web" class="ocf" provider="pacemaker" type="Dummy"/></resources>
    <constraints>
      <rsc_location id="home" rsc="web" node="a" score="100"/>
      <rsc_location id="never" rsc="web" node="b" score="-INFINITY"/>
    </constraints>
  </configuration>
  <status>
    <node_state id="1" uname="a" in_ccm="true" crmd="online" join="member" expected="member"/>
    <node_state id="2" uname="b" in_ccm="true" crmd="online" join="member" expected="member"/>
  </status>
</cib>
"""

TEXT = """\
web will be active on a (now nowhere).

web on a: a is the only node that can run it.
  web starts on a
    because web is not running, and a can run it
  a        100
           +100  location constraint home
  b  -INFINITY  excluded: location constraint never
  to change it: for b to be chosen, this must not hold: location constraint
      never
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "cib.xml"
    path.write_text(CIB, encoding="utf-8")
    return str(path)


def test_an_answer_reads_like_this(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "web", "--file", file]) == 0
    assert capsys.readouterr().out == TEXT


def test_an_answer_as_data(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "web", "--file", file, "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    (part,) = answer["parts"]
    assert part["weighing"]["chosen"] == "a"
    assert part["weighing"]["nodes"][0]["contributions"] == [
        {"source": "location", "score": "100", "text": "location constraint home"}
    ]


def test_a_node_is_answered_for(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "a", "--file", file]) == 0
    assert capsys.readouterr().out == "node a is online.\n  comes: web\n"


def test_names_and_files_that_do_not_exist_are_refused(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "wab", "--file", file]) == 1
    assert 'did you mean "web"?' in capsys.readouterr().err
    assert run(["why", "web", "--file", f"{file}.not"]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_plan_has_no_past(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["why", "web", "--file", file, "--at", "12:03"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_a_live_pacemaker_is_asked_by_its_own_tool(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool = tmp_path / "cibadmin"
    tool.write_text(f"#!/bin/sh\nexec cat {file}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert run(["--socket", str(tmp_path / "none"), "why", "web", "--plan"]) == 0
    assert capsys.readouterr().out == TEXT
