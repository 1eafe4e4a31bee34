"""A pair with a witness and watchdogs, and no fence device: the half without the vote resets itself, in time.

A watchdog fires as late as it may here: its whole time-out after the node has stopped petting it.
"""

import re
from dataclasses import replace

import pytest

from komainu.cib.document import parse_cib, show
from komainu.model.ids import Instant, NodeId
from komainu.node.interface import DriveEffect, ResetMachine
from komainu.ring.settings import QuorumOptions, WitnessOptions
from komainu.sim.checks import SafetyViolated
from komainu.sim.machine import Machine
from komainu.sim.race_world import BOOT_MS, QUICK_BOOT_MS, RaceWorld, Tally
from komainu.sim.races import READY_WITHIN_MS
from komainu.sim.scenario import RESOURCES, make_setup

WATCHDOG_MS = 5_000
PROMISE = '<nvpair id="o3" name="stonith-watchdog-timeout" value="10s"/></cluster_property_set>'
A, B = NodeId(1), NodeId(2)

STORAGE = "/shared/komainu.lease"


class WatchdogWorld(RaceWorld):
    """A world in which every machine has a watchdog, and nothing else would fence it."""

    fires_after_ms = WATCHDOG_MS

    def start_daemon(self, node: NodeId) -> None:
        """Start a daemon and arm its watchdog."""
        super().start_daemon(node)
        drive = self.machines[node].drive
        if drive is not None:
            drive.last_resort.armed(WATCHDOG_MS)

    def hang(self, node: NodeId) -> None:
        """Let a daemon stand still, with its services running on; nothing pets its watchdog any more."""
        self.freeze(node, 60_000)
        if self.witness is not None:
            self.witness.reaches.discard(node)  # the daemon is what asks it
        self._fire_later(self.machines[node])

    def _carry(self, machine: Machine, effect: DriveEffect) -> None:
        if isinstance(effect, ResetMachine):
            self.say(f"{machine.name} pets no more: {effect.reason}")
            self._fire_later(machine)
        else:
            super()._carry(machine, effect)

    def _fire_later(self, machine: Machine) -> None:
        life = machine.life

        def fire() -> None:
            if machine.life == life and machine.is_on:
                self.lose_power(machine.node_id)

        self.clock.after(self.fires_after_ms, fire)


def where(world: WatchdogWorld) -> list[str]:
    """Name where each resource runs."""
    homes = ((resource, machine.name) for machine in world.machines.values() for resource in machine.running)
    return [f"{resource} on {name}" for resource, name in sorted(homes)]


def formed(seed: int, path: str = "") -> WatchdogWorld:
    """Make a pair that serves. `path`: its witness is on shared storage."""
    setup = make_setup(2, seed, links=1 + seed % 2)
    quorum = QuorumOptions(witness=WitnessOptions("w", path=path))
    text = show(setup.state.cib)
    device = re.search(r'<primitive id="fence".*?</primitive>', text, re.DOTALL)
    assert device is not None
    cib = parse_cib(text.replace(device[0], "").replace("</cluster_property_set>", PROMISE), "a test")
    settings = tuple(replace(each, quorum=quorum) for each in setup.settings)
    world = WatchdogWorld(replace(setup, settings=settings, state=replace(setup.state, cib=cib)))
    for node in (A, B):
        world.boot(node)
    assert world.run_while(lambda: len(where(world)) < len(RESOURCES), at_most_ms=READY_WITHIN_MS), (
        world.trace[-50:]
    )
    world.run_until(Instant(world.now + (10_000 if path else 5_000)))
    world.tally = Tally()
    world.checks.last_fault = world.now
    return world


def part(world: WatchdogWorld) -> None:
    world.network.part({A}, {B})


@pytest.mark.parametrize(("seed", "path"), [(0, ""), (1, ""), (2, ""), (3, STORAGE)])
@pytest.mark.parametrize("seen_by", [(A,), (B,), (A, B)])
def test_the_half_without_the_vote_is_reset_and_the_other_takes_over(
    seed: int, path: str, seen_by: tuple[NodeId, ...]
) -> None:
    world = formed(seed, path)
    assert world.witness is not None
    world.witness.reaches = set(seen_by)
    began = world.now
    part(world)
    assert world.run_while(lambda: not world.tally.resets, at_most_ms=20_000), world.trace[-50:]
    ((_, loser),) = world.tally.resets
    winner = next(machine.name for machine in world.machines.values() if machine.name != loser)
    all_here = [f"{resource} on {winner}" for resource in sorted(RESOURCES)]
    assert world.run_while(lambda: where(world) != all_here, at_most_ms=30_000), world.trace[-80:]
    world.run_until(Instant(began + 60_000))
    assert where(world) == all_here
    assert [name for _, name in world.tally.resets] == [loser], "and it does not come back to be reset again"
    if len(seen_by) == 1:
        assert loser != world.machines[seen_by[0]].name


def test_the_watchdogs_are_planned_with_by_themselves() -> None:
    drive = formed(1).machines[A].drive
    assert drive is not None
    assert 'name="have-watchdog" value="true"' in show(drive.replica.state.cib)


@pytest.mark.parametrize(("seed", "path"), [(0, ""), (1, ""), (2, STORAGE), (3, STORAGE)])
def test_a_daemon_that_hangs_is_reset_before_the_other_takes_over(seed: int, path: str) -> None:
    world = formed(seed, path)
    world.hang(A)
    all_there = [f"{resource} on b" for resource in sorted(RESOURCES)]
    assert world.run_while(lambda: where(world) != all_there, at_most_ms=40_000), world.trace[-80:]
    assert [name for _, name in world.tally.resets] == ["a"]


def test_a_watchdog_that_fires_later_than_it_said_is_found() -> None:
    """These tests see it when the sum of docs/concepts/fencing.md does not hold."""
    world = formed(1)
    world.fires_after_ms = 6 * WATCHDOG_MS
    world.hang(NodeId(next(machine.node_id for machine in world.machines.values() if machine.running)))
    with pytest.raises(SafetyViolated, match="S1"):
        world.run_until(Instant(world.now + 25_000))


@pytest.mark.parametrize("seed", range(2))
def test_a_split_without_the_witness_is_a_second_fault_and_resets_both(seed: int) -> None:
    """Each lost quorum, and each had promised the other to be reset; nothing ran twice meanwhile (S1, S2)."""
    world = formed(seed)
    assert world.witness is not None
    world.witness.reaches = set()
    world.run_until(Instant(world.now + 10_000))
    assert not world.tally.resets, "the witness alone is no reason"
    part(world)
    world.run_until(Instant(world.now + 20_000))
    assert sorted(name for _, name in world.tally.resets) == ["a", "b"]
    world.witness.reaches = {A, B}
    world.network.join({A}, {B})
    both_are_back_ms = BOOT_MS[1] + READY_WITHIN_MS
    assert world.run_while(lambda: len(where(world)) < len(RESOURCES), at_most_ms=both_are_back_ms), (
        world.trace[-50:]
    )


@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize("again_ms", [500, 2_500])
def test_a_count_that_ends_late_is_about_the_life_that_it_was_begun_for(seed: int, again_ms: int) -> None:
    """The machine boots within the time that its watchdog is given, serves again, and then its daemon hangs."""
    world = formed(seed)
    assert world.witness is not None
    world.boot_ms = QUICK_BOOT_MS
    world.witness.reaches = {A}
    part(world)
    assert world.run_while(lambda: not world.tally.resets, at_most_ms=20_000), world.trace[-50:]
    world.network.join({A}, {B})
    world.witness.reaches = {A, B}
    world.tally, world.boot_ms = Tally(), BOOT_MS
    b = world.machines[B]
    world.run_while(lambda: not b.running, at_most_ms=4_000)
    world.run_until(Instant(world.now + again_ms))
    world.hang(B)
    all_there = [f"{resource} on a" for resource in sorted(RESOURCES)]
    assert world.run_while(lambda: where(world) != all_there, at_most_ms=60_000), world.trace[-80:]
    assert [name for _, name in world.tally.resets] == ["b"]
