"""Faults are drawn from the seed alone, and every one of them is over in the end."""

import pytest

from komainu.model.ids import Instant, NodeId
from komainu.model.link import LinkState
from komainu.network import link_ends
from komainu.sim.agents import Devices
from komainu.sim.faults import FIRST_FAULT_MS, KINDS, LASTING_MS, Misfortune, absent, draw
from komainu.sim.machine import Agents, Machine
from komainu.sim.scenario import RESOURCES, make_world


def test_the_same_seed_draws_the_same_faults_in_order_of_time() -> None:
    drawn = draw(5, tuple(KINDS), count=20, within_ms=30_000)
    assert drawn == draw(5, tuple(KINDS), count=20, within_ms=30_000)
    assert drawn != draw(6, tuple(KINDS), count=20, within_ms=30_000)
    assert [fault.at_ms for fault in drawn] == sorted(fault.at_ms for fault in drawn)
    assert all(FIRST_FAULT_MS <= fault.at_ms < FIRST_FAULT_MS + 30_000 for fault in drawn)
    assert all(LASTING_MS[0] <= fault.lasts_ms <= LASTING_MS[1] for fault in drawn)


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_of_faults_is_over_in_the_end(kind: str) -> None:
    world = make_world(3, 1)
    misfortune = Misfortune(world, draw(3, (kind,), count=2, within_ms=2_000), RESOURCES)
    late = absent(misfortune.faults, world.machines)
    for node in world.machines:
        if node not in late:
            world.boot(node)
    misfortune.schedule()
    world.run_until(misfortune.over)
    assert misfortune.struck == {kind: 2}
    assert world.network.is_clean
    assert world.devices is Devices.WELL
    for node, machine in world.machines.items():
        assert machine.agents is Agents.WELL
        assert not machine.disk.is_full
        assert machine.disk.slowness == 1
        assert machine.clock.rate_ppm == 0
        assert all(
            world.network.end_of(node, end.link) is LinkState.UP for end in world.settings[node].of(node).ends
        )


@pytest.mark.parametrize("is_used", [True, False])
def test_frames_pass_an_end_without_address_if_they_are_used(
    monkeypatch: pytest.MonkeyPatch, is_used: bool
) -> None:
    """A daemon that does not go on by frames is cut off, and its view changes: that is what the checker sees."""
    if not is_used:
        monkeypatch.setattr(link_ends, "_PASSED_BY_FRAMES", frozenset())
    world = make_world(2, 1)
    for node in world.machines:
        world.boot(node)
    world.run_until(Instant(10_000))
    assert {view_of(machine) for machine in world.machines.values()} == {(1, 2)}
    world.observer.disturbed()
    for link in (end.link for end in world.settings[NodeId(1)].of(NodeId(1)).ends):
        world.set_end(NodeId(1), link, LinkState.BY_FRAMES)
        assert world.network.carries(NodeId(1), NodeId(2), link) is is_used
        assert world.network.carries(NodeId(2), NodeId(1), link) is is_used
    world.run_until(Instant(20_000))
    assert (view_of(world.machines[NodeId(2)]) == (1, 2)) is is_used


def view_of(machine: Machine) -> tuple[int, ...]:
    assert machine.drive is not None
    view = machine.drive.ring.view
    return () if view is None else view.members


def test_a_pair_begins_whole_and_others_begin_with_a_majority() -> None:
    drawn = draw(3, ("join",), count=6, within_ms=2_000)
    sizes = (2, 3, 4, 5, 7)
    assert [len(absent(drawn, [*map(NodeId, range(nodes))])) for nodes in sizes] == [0, 1, 1, 2, 3]
