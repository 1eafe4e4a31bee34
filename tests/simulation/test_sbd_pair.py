"""A pair whose only fence device is a shared disk, or three: pills, disks that are lost or slow, daemons that hang.

One copy (S1) and fence before take-over (S2) are looked at after every event, reasons (S6) with every record. `make races` plays
more seeds (KOMAINU_RACES).
"""

import os

import pytest
from sbd_world import A, B, SbdWorld, formed, where

from komainu.model.ids import Instant, NodeId
from komainu.node.last_resort import LastResort
from komainu.sim.checks import SafetyViolated
from komainu.sim.scenario import RESOURCES

SEEDS = range(int(os.environ.get("KOMAINU_RACES", "104")) // 50)

TAKEN_OVER_WITHIN_MS = 60_000
"""Detection, a lead or two, and msgwait."""


def run(world: SbdWorld, milliseconds: int) -> None:
    world.run_until(Instant(world.now + milliseconds))


def ends_on_one(world: SbdWorld) -> str:
    """Run until one side has everything and one machine was reset; return who is left."""

    def is_over() -> bool:
        return len(world.tally.resets) == 1 and len(set(where(world))) == len(RESOURCES) == len(where(world))

    assert world.run_while(lambda: not is_over(), at_most_ms=TAKEN_OVER_WITHIN_MS), world.trace[-60:]
    ((_, loser),) = world.tally.resets
    (left,) = {machine.name for machine in world.machines.values()} - {loser}
    assert where(world) == [f"{resource} on {left}" for resource in sorted(RESOURCES)]
    return left


@pytest.mark.parametrize("disks", [1, 3])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_costs_one_machine(seed: int, disks: int) -> None:
    world = formed(seed, disks)
    world.network.part({A}, {B})
    ends_on_one(world)
    run(world, 30_000)
    assert len(world.tally.resets) == 1


@pytest.mark.parametrize("node", [A, B])
@pytest.mark.parametrize("seed", SEEDS)
def test_who_loses_the_disk_and_the_peer_by_one_fault_is_reset_and_the_other_goes_on(
    seed: int, node: NodeId
) -> None:
    world = formed(seed)
    world.disks[0].reaches.discard(node)
    world.network.part({A}, {B})
    assert ends_on_one(world) != world.machines[node].name


def test_of_three_disks_one_may_go() -> None:
    world = formed(0, disks=3)
    world.disks[1].reaches.clear()
    run(world, 10_000)
    assert not world.tally.resets
    world.network.part({A}, {B})
    ends_on_one(world)


def test_a_disk_that_both_lose_is_no_fault_while_they_see_each_other() -> None:
    world = formed(1)
    world.disks[0].reaches.clear()
    run(world, 30_000)
    assert not world.tally.resets
    assert len(where(world)) == len(RESOURCES)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_daemon_that_hangs_is_reset_before_the_other_takes_over(seed: int) -> None:
    world = formed(seed)
    world.hang(A)
    assert ends_on_one(world) == "b"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_slow_disk_never_lets_anything_run_twice(seed: int) -> None:
    """It may cost both machines: a write that hangs longer than a lead is a second fault (decision 29)."""
    world = formed(seed)
    world.disks[0].takes_ms = (50, 6_000)
    run(world, seed * 1_000)
    world.network.part({A}, {B})
    run(world, TAKEN_OVER_WITHIN_MS)


def found(world: SbdWorld) -> bool:
    """Whether a rule breaks, or one fault takes both machines."""
    try:
        run(world, 40_000)
    except SafetyViolated:
        return True
    return len(world.tally.resets) > 1


def test_an_agent_that_strikes_back_is_found() -> None:
    """With two links the loser's turn comes before it is off."""
    world = formed(1)
    world.looks_first = False
    world.network.part({A}, {B})
    assert found(world)


def test_a_lone_half_that_reads_no_pills_and_lives_on_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LastResort, "lost_disks", lambda self, view, cib, *, halves_stay: "")
    world = formed(1)
    active = max(world.machines.values(), key=lambda machine: len(machine.running))
    world.disks[0].reaches.discard(active.node_id)
    world.network.part({A}, {B})
    assert found(world)


def test_a_watchdog_that_fires_later_than_it_said_is_found() -> None:
    world = formed(1)
    world.fires_after_ms = 30_000
    world.network.part({A}, {B})
    assert found(world)
