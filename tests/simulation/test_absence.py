"""A node that was away can say afterwards why things are as they are, like one that was there all the time."""

from functools import partial

from komainu.model.ids import Instant, NodeId, ResourceId
from komainu.sim.scenario import make_world, trouble
from komainu.sim.world import World

WEB = ResourceId("web")


def calm(world: World) -> None:
    assert world.run_while(lambda: trouble(world) != "", at_most_ms=90_000), trouble(world)


def why(world: World, node: NodeId, subject: str) -> str:
    drive = world.machines[node].drive
    assert drive is not None
    return drive.index.why(subject).answer


def test_who_comes_back_knows_why_the_service_moved_meanwhile() -> None:
    world = make_world(2, seed=1)
    for node in world.machines:
        world.clock.at(Instant(0), partial(world.boot, node))
    calm(world)
    (victim,) = [node for node, machine in world.machines.items() if WEB in machine.running]
    (survivor,) = [node for node in world.machines if node != victim]
    world.lose_power(victim)
    world.run_until(Instant(world.now + 1000))
    calm(world)

    assert world.machines[survivor].name in why(world, survivor, WEB)
    assert why(world, victim, WEB) == why(world, survivor, WEB)
    assert "was fenced" in why(world, victim, world.machines[victim].name)
