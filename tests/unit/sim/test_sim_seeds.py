"""Many runs are played at once, summed up by class of faults, and ended early without leaving anything behind."""

import signal
import subprocess
import sys
import time

from komainu.sim.scenario import Run
from komainu.sim.seeds import FAILURES_MAX, Tally, Verdict, play_all

QUICK = Run(1, 2, ("loss",), count=1, within_ms=1_000)


def test_runs_are_summed_up_by_class_of_faults() -> None:
    told: list[int] = []
    tally = play_all([QUICK, QUICK], processes=1, tell=lambda tally: told.append(tally.runs))
    assert told == [1, 2]
    assert tally.by_class == {"loss": [2, 2, 0]}
    assert tally.failures == []
    assert tally.figures["lived_ms"] > 10_000
    assert not tally.is_cut_short


def test_a_failure_counts_for_each_class_that_struck() -> None:
    tally = Tally()
    tally.add(Verdict(QUICK, "S1 violated at 1.000 s: x", "S1", (("loss", 2), ("crash", 1)), ()))
    assert tally.by_class == {"loss": [1, 2, 1], "crash": [1, 1, 1]}
    assert len(tally.failures) < FAILURES_MAX


def test_it_can_be_ended_at_any_time_and_says_what_was_played() -> None:
    arguments = [
        "sim",
        "run",
        "--seeds",
        "100000",
        "--nodes",
        "2",
        "--jobs",
        "2",
        "--count",
        "1",
        "--within",
        "1",
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "komainu.cli.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        assert " runs, 0 failed" in running.stderr.readline()
        begun = time.monotonic()
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=60)
    assert time.monotonic() - begun < 60
    assert running.returncode == 0
    assert "cut short: not all runs were played" in said
