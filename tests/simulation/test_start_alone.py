"""One node of a pair is started alone, since the other is dead: one safe step of an operator lets it go on."""

from komainu.model.ids import Instant, NodeId, NodeName
from komainu.model.report import Note
from komainu.model.request import ConfirmNodeOff
from komainu.node.interface import DriveEffect
from komainu.sim.machine import Machine
from komainu.sim.scenario import RESOURCES, make_world, trouble
from komainu.sim.world import World

A, B = NodeId(1), NodeId(2)


def run(world: World, milliseconds: int) -> None:
    world.run_until(Instant(world.now + milliseconds))


def quorum(world: World, node: NodeId) -> tuple[bool, str]:
    drive = world.machines[node].drive
    assert drive is not None
    assert drive.ring.view is not None
    return drive.ring.view.quorate, drive.ring.view.quorum_reason


def remarks(world: World, node: NodeId) -> list[str]:
    drive = world.machines[node].drive
    assert drive is not None
    return drive.ring.remarks(world.now)


def fencings(world: World) -> list[str]:
    return [line for line in world.trace if " fences " in line]


def started_alone(seed: int) -> World:
    world = make_world(2, seed)
    for node in (A, B):
        world.boot(node)
    run(world, 30_000)
    for node in (A, B):
        world.lose_power(node, boot_again=False)
    run(world, 1_000)
    world.boot(A)
    run(world, 20_000)
    return world


def runs_on(world: World, node: NodeId) -> bool:
    return all(resource in world.machines[node].running for resource in RESOURCES)


def test_alone_it_waits_until_the_operator_confirms_that_the_other_is_off() -> None:
    for seed in range(2):
        world = started_alone(seed)
        assert quorum(world, A) == (False, "wait_for_all: b was not seen since the start")
        assert not world.machines[A].running
        assert remarks(world, A) == [
            "nothing is started before b was seen. To start without, once it is off: komainu fence confirm b"
        ]
        world.clients.ask(A, ConfirmNodeOff(NodeName("b")))
        run(world, 20_000)
        assert quorum(world, A)[0]
        assert remarks(world, A) == []
        assert runs_on(world, A)
        world.clients.set_option(A, "alone")
        run(world, 2_000)
        assert "alone" in world.checks.acknowledged
        world.boot(B)  # it comes without a shot, and takes the state of who went on
        run(world, 30_000)
        assert trouble(world) == ""
        assert fencings(world) == []
        for machine in world.machines.values():
            world.checks.acknowledged_is_kept(machine, world.now)


def test_half_that_came_without_the_state_goes_on_when_its_peer_never_returns() -> None:
    # b is in a view with a, but a dies before b has its state: b may be behind what a promised.
    world = make_world(2, 5)
    for node in (A, B):
        world.boot(node)
    run(world, 30_000)
    world.lose_power(B, boot_again=False)
    run(world, 5_000)
    world.boot(B)
    drive = world.machines[B].drive
    assert drive is not None
    carry = world._carry

    def cut_off_in_a_view(machine: Machine, effect: DriveEffect) -> None:
        """Part them before a's state can be on its way."""
        if machine.node_id == B and isinstance(effect, Note) and "of 1 2" in effect.message:
            world.network.part((A,), (B,))
        carry(machine, effect)

    world._carry = cut_off_in_a_view  # type: ignore[method-assign] # to look between two effects
    while drive.ring.view is None or len(drive.ring.view.members) < 2:
        run(world, 1)
    assert not drive.replica.is_synced
    world.lose_power(A, boot_again=False)
    run(world, 15_000)
    assert quorum(world, B) == (False, "wait_for_all: a went before its state was here")
    world.clients.ask(B, ConfirmNodeOff(NodeName("a")))
    run(world, 20_000)
    assert quorum(world, B)[0]
    assert runs_on(world, B)


def test_a_node_that_is_here_again_has_to_be_confirmed_anew() -> None:
    world = make_world(3, 2)
    for node in world.machines:
        world.boot(node)
    run(world, 20_000)
    drive = world.machines[A].drive
    assert drive is not None
    view = drive.ring.view
    assert view is not None
    assert not drive.lone_start.confirmed(NodeName("b"), view)  # with quorum nobody is waited for
    drive.lone_start.begin_view((A, B))
    assert not drive.lone_start._off
