"""Many runs are played at once, summed up by class of faults, and ended early without leaving anything behind."""

import signal
import subprocess
import sys
import time

from komainu.sim.scenario import Run, play
from komainu.sim.seeds import ALIKE_MAX, FAILURES_MAX, Tally, Verdict, judge, parts_of, play_all, verdict_of

QUICK = Run(1, 2, ("loss",), count=1, within_ms=1_000)
LIKE_IT = Run(1, 2, ("standby",), count=1, within_ms=1_000)


def test_runs_are_summed_up_by_class_of_faults() -> None:
    told: list[int] = []
    tally = play_all([QUICK, QUICK], processes=1, tell=lambda tally: told.append(tally.runs))
    assert told == [2]  # they begin alike, so they are one part
    assert tally.by_class == {"loss": [2, 2, 0]}
    assert tally.failures == []
    assert tally.figures["lived_ms"] > 10_000
    assert not tally.is_cut_short


def test_runs_that_begin_alike_come_to_what_each_comes_to_alone() -> None:
    assert judge((QUICK, LIKE_IT)) == [verdict_of(play(QUICK)), verdict_of(play(LIKE_IT))]


def test_runs_that_follow_each_other_and_begin_alike_are_one_part() -> None:
    other = Run(2, 2, ("loss",), count=1, within_ms=1_000)
    assert list(parts_of([QUICK, LIKE_IT, other])) == [(QUICK, LIKE_IT), (other,)]
    assert [len(part) for part in parts_of([QUICK] * (ALIKE_MAX + 1))] == [ALIKE_MAX, 1]


def test_who_ends_it_early_is_told_which_runs_are_left() -> None:
    def enough(tally: Tally) -> None:
        if tally.runs >= 2:
            raise KeyboardInterrupt

    runs = [Run(seed, 2, ("loss",), count=0) for seed in range(100)]
    tally = play_all(iter(runs), processes=1, tell=enough)
    assert tally.is_cut_short
    assert tally.left == (runs[2],)


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
