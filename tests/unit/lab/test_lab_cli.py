"""What people read: the line of a step, the table at the end, and the refusals, at 80 columns."""

import json

import msgspec
import pytest
from click.testing import CliRunner

from komainu.cli.drill import drill, step_line, table
from komainu.cli.lab import lab
from komainu.lab.runner import Outcome, Result

GOOD = Outcome(
    step="the interconnect cable is pulled; the addresses stay",
    happened="a: link 0 to b is down: no carrier (eth1: carrier lost)",
    power=("a boot: it was switched on",),
    reboots=0,
    daemon_exits=0,
    membership_changes=0,
    longest_gap_ms=22,
    stalled_ms=0,
    service_on="a",
    settled_ms=204,
    took_ms=1704,
    misses=(),
)
BAD = msgspec.structs.replace(
    GOOD, longest_gap_ms=400, stalled_ms=500, misses=("longest gap …: 400 ms",), service_on=""
)


def test_the_table_fits_and_says_what_was_missed() -> None:
    text = table(Result("x", is_passed=False, setup_ms=1, steps_ms=61_500, outcomes=(GOOD, BAD)))
    assert max(map(len, text.splitlines())) <= 80
    assert "   1        0      0      0        22 ms    204 ms  a        ok" in text
    assert "400 ms*" in text
    assert "      a boot: it was switched on" in text
    assert "MISSED: longest gap" in text
    assert text.endswith("1 step(s) not as expected; 2 steps in 61.5 s")


def test_the_line_of_a_step() -> None:
    assert (
        step_line(1, GOOD) == "   1  ok       22 ms  a   the interconnect cable is pulled; the addresses stay"
    )
    assert step_line(2, BAD).startswith("   2  MISS    400 ms  -   ")


def test_a_drill_that_is_not_there_is_misuse() -> None:
    done = CliRunner().invoke(drill, ["run", "nothing"])
    assert done.exit_code == 2
    assert "there is no drill `nothing`" in done.stderr
    assert not done.stdout


def test_check_and_list() -> None:
    assert "9 steps, nothing wrong" in CliRunner().invoke(drill, ["check", "demo"]).stdout
    assert CliRunner().invoke(drill, ["list"]).stdout.startswith("demo ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["up", "--nodes", "A,B"], "cannot name a node"),
        (["up", "--name", "../x"], "cannot name a lab"),
        (["down", "--name", "../x"], "cannot name a lab"),
        (["status", "--name", ".."], "cannot name a lab"),
        (["status", "--name", "absent"], "there is no lab `absent`"),
        (["exec", "--name", "absent", "a"], "there is no lab `absent`"),
        (["do", "pull", "cabl=x"], "unknown field `cabl`"),
        (["do", "explode"], "explode"),
    ],
)
def test_misuse(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(lab, arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_down_of_nothing_is_no_failure() -> None:
    done = CliRunner().invoke(lab, ["down", "--name", "absent"])
    assert done.exit_code == 0
    assert "there is no lab" in done.stdout


def test_an_outcome_is_json() -> None:
    assert json.loads(msgspec.json.encode(GOOD))["longest_gap_ms"] == 22
