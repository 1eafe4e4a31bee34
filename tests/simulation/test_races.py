"""Fence races of a pair: exactly one side goes on, never none, and at most one machine is reset.

KOMAINU_RACES says how many, a quarter of them again with a witness, and an eighth with one on storage; `make races` runs 1,000.
"""

import os

import pytest

from komainu.fencing.duel import Duel
from komainu.fencing.interface import Turns
from komainu.node import race
from komainu.ring.settings import DETECT_WITHIN_ONE_LINK_MS, WitnessOptions
from komainu.sim.checks import SafetyViolated
from komainu.sim.races import KINDS, run_race

RACES = int(os.environ.get("KOMAINU_RACES", "104"))
BLOCK = 26

WITHIN = 300
"""Races in which a bug that was planted must be found."""

REGRESSIONS: dict[int, str] = {
    5: "a duct was cut: a carrier that went with a silence was taken for the peer's loss of power by both",
    390: "the way went dark before the pair had named who goes first: then the lower id does",
}


@pytest.mark.parametrize("first", range(0, RACES, BLOCK))
def test_races(first: int) -> None:
    for seed in range(first, min(first + BLOCK, RACES)):
        run_race(seed)


@pytest.mark.parametrize("first", range(0, RACES // 4, BLOCK))
def test_races_with_a_witness(first: int) -> None:
    for seed in range(first, min(first + BLOCK, RACES // 4)):
        run_race(seed, witness=WitnessOptions("w"))


@pytest.mark.parametrize("first", range(0, RACES // 8, BLOCK))
def test_races_with_a_witness_on_shared_storage(first: int) -> None:
    for seed in range(first, min(first + BLOCK, RACES // 8)):
        run_race(seed, witness=WitnessOptions("w", path="/shared/lease"))


@pytest.mark.parametrize("first", range(0, RACES // 8, BLOCK))
def test_races_of_machines_that_stand_still_for_moments(first: int) -> None:
    for seed in range(first, min(first + BLOCK, RACES // 8)):
        run_race(seed, stalls=1 + seed % 2)


def test_a_moment_of_standing_still_costs_no_round() -> None:
    """The service stopped for 25 s when both of a pair that was cut in two had just stood still for 150 ms."""
    assert run_race(0, stalls=1).decided_ms - run_race(0).decided_ms < DETECT_WITHIN_ONE_LINK_MS


def test_a_default_run_has_every_kind() -> None:
    assert len(KINDS) <= BLOCK


@pytest.mark.parametrize("seed", sorted(REGRESSIONS))
def test_what_races_once_found(seed: int) -> None:
    assert len(run_race(seed).resets) <= 1


def test_a_device_that_fails_at_first_costs_no_second_round() -> None:
    outcome = run_race(54)
    assert outcome.situation == "1 links, service being moved, the device fails at first"
    assert outcome.decided_ms < 2 * DETECT_WITHIN_ONE_LINK_MS, "the first turn was enough; a lead is longer"


@pytest.mark.parametrize("seed", [0, 17])
def test_plans_that_take_longer_than_a_turn_are_ready_for_it(seed: int) -> None:
    """They were asked for as the turn opened, came when it was over, and nobody ever went on."""
    outcome = run_race(seed, plans_beside=True)
    assert len(outcome.survivors) == 1
    assert len(outcome.resets) == 1


def test_a_race_says_who_is_left_and_who_was_reset() -> None:
    outcome = run_race(0)
    assert outcome.kind == "switches go dark"
    assert len(outcome.survivors) == 1
    assert len(outcome.resets) == 1
    assert set(outcome.survivors).isdisjoint(outcome.resets)


def _found(plant: str) -> None:
    for seed in range(WITHIN):
        try:
            run_race(seed)
        except SafetyViolated:
            return
    pytest.fail(f"{plant}: not found within {WITHIN} races")


def test_races_find_that_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "place_of", lambda split: 0)
    _found("nobody waits")


def test_races_find_that_a_failed_fencing_is_tried_again_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes first tries a dead device again just when it is the other side's turn."""
    monkeypatch.setattr(Duel, "may_strike", lambda self, target, action, now: True)
    monkeypatch.setattr(Turns, "next", lambda self, now: max(now, self.begun + self.place * self.lead_ms))
    _found("tried again at any time")
