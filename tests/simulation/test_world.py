"""Whole clusters of real drives under faults drawn from seeds: the safety rules after every event, rest at the end."""

import os
import subprocess
import sys

import pytest

from komainu.sim.faults import KINDS
from komainu.sim.scenario import Run, play, run_seed

SEEDS = int(os.environ.get("KOMAINU_SEEDS", "200"))
"""Runs with every class of faults mixed. `make soak` plays thousands, and each class alone."""

BLOCK = 20


@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_seeds(first: int) -> None:
    for seed in range(first, min(first + BLOCK, SEEDS)):
        run_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_each_class_of_faults_strikes_and_is_survived(kind: str) -> None:
    for seed in range(2):
        outcome = run_seed(seed, faults=2, within_ms=10_000, kinds=(kind,))
        assert dict(outcome.struck) == {kind: 2}


def test_plans_that_take_seconds_and_a_planner_that_breaks_are_survived() -> None:
    for seed in (1, 3, 4):
        assert not play(Run(seed, 2, plans_beside=True)).failure


def test_the_same_seed_gives_the_same_run_whatever_the_hash_seed() -> None:
    program = "from komainu.sim.scenario import run_seed; print('\\n'.join(run_seed(7).trace))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0]
