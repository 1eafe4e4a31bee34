"""`komainu sim`: what is misused is refused with its remedy, and what is shown can be played again."""

import json
from collections.abc import Iterable

import pytest

from komainu.cli.commands import run as komainu
from komainu.cli.sim import command
from komainu.sim.faults import KINDS
from komainu.sim.scenario import Run
from komainu.sim.seeds import Tally

SHORT = ["--count", "1", "--within", "1", "--nodes", "2"]


def test_each_class_of_faults_is_listed_with_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert komainu(["sim", "faults"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(KINDS)
    assert all(line.endswith(".") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--nodes", "9"], '"9" is not a number of nodes from 2 to 8, or a range such as 2..7'),
        (["run", "--nodes", "5..2"], '"5..2" is not a number of nodes'),
        (["run", "--faults", "rain"], 'there is no class of faults "rain"; `komainu sim faults` lists them'),
        (["run", "--seeds", "0"], '"0" is not a number of seeds from 1'),
        (["run", "--seeds", "many"], '"many" is not a number of seeds'),
        (["replay", "1", "--keep", "9"], '"9" does not name faults from 0 to 5'),
        (["replay", "1", "--keep", "a"], '"a" does not name faults from 0 to 5'),
    ],
)
def test_misuse_is_refused_with_a_remedy(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert komainu(["sim", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "hint: komainu sim" in error


def test_a_replay_prints_its_faults_its_trace_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert komainu(["sim", "replay", "3", *SHORT, "--faults", "crash"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("2 nodes; faults that were drawn:\n  0: crash at 8.")
    assert " is killed\n" in shown
    assert shown.splitlines()[-1].startswith("every rule held; ")


def test_a_run_sums_up_by_class_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        komainu(["sim", "run", "--seeds", "2", "--each", "--faults", "loss,crash", "--jobs", "1", *SHORT])
        == 0
    )
    shown = capsys.readouterr().out
    assert "loss                   2        2       0" in shown
    assert "crash                  2        2       0" in shown
    assert shown.splitlines()[-1] == "every rule held in every run"


def test_a_run_that_was_cut_short_says_how_to_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(runs: Iterable[Run], **_: object) -> Tally:
        return Tally(runs=3, is_cut_short=True, left=(list(runs)[3],))

    monkeypatch.setattr("komainu.cli.sim.play_all", cut_short)
    assert komainu(["sim", "run", "--seeds", "7..9", "--each", "--faults", "loss,crash", *SHORT]) == 0
    shown = capsys.readouterr().out
    assert "cut short: not all runs were played\nno rule broke in those that were\n" in shown
    rest = "komainu sim run --seeds 8..9 --nodes 2 --faults loss,crash --count 1 --within 1 --each"
    assert shown.endswith(f"to play the rest:\n  {rest}\n")


def test_a_run_can_be_read_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--seeds", "4..4", "--faults", "loss", "--jobs", "1", "--format", "json"]
    assert komainu(["sim", "run", *arguments, *SHORT]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["runs"] == 1
    assert shown["classes"] == {"loss": {"runs": 1, "strikes": 1, "failed": 0}}
    assert shown["failures"] == []


def test_the_command_that_replays_a_run_is_as_short_as_it_can_be() -> None:
    assert command(Run(17, 3)) == "komainu sim replay 17 --nodes 3"
    short = Run(17, 3, ("loss", "power"), count=2, within_ms=10_000, kept=(0,))
    assert (
        command(short) == "komainu sim replay 17 --nodes 3 --faults loss,power --count 2 --within 10 --keep 0"
    )
