"""Break what a made-up cluster runs: processes that die, agents that fail it, fence devices; and operators at work."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from komainu.executor.interface import ProcessesGone
from komainu.sim.agents import Devices
from komainu.sim.machine import Agents
from komainu.sim.scene import Mend, Scene, Strike


def kill_resource(scene: Scene) -> None:
    """What runs of a resource dies."""
    world, resource = scene.world, scene.chance.choice(scene.resources)
    for machine in world.machines.values():
        if resource in machine.running:
            world.say(f"{resource} dies on {machine.name}")
            machine.running.discard(resource)
            world.give(machine, ProcessesGone(resource))


def stand_by(scene: Scene) -> Mend:
    """An operator puts a node into standby for a while."""
    asked, target = scene.node(), scene.machine().name
    scene.world.clients.set_standby(asked, target, standby=True)
    return partial(scene.world.clients.set_standby, asked, target, standby=False)


def _unwell(scene: Scene, mood: Agents) -> Mend:
    machine, world = scene.machine(), scene.world
    machine.agents = mood
    world.say(f"the agents of {machine.name} are {mood.value}")
    world.give(machine, machine.look())

    def mend() -> None:
        machine.agents = Agents.WELL
        world.say(f"the agents of {machine.name} are well again")
        world.give(machine, machine.look())

    return mend


def slow_agents(scene: Scene) -> Mend:
    """The agents of a node take seconds for what they do."""
    return _unwell(scene, Agents.SLOW)


def lying_agents(scene: Scene) -> Mend:
    """The agents of a node say that they failed when they did not, or that they started what they did not."""
    return _unwell(scene, Agents.LYING)


def hanging_agents(scene: Scene) -> Mend:
    """The agents of a node hang until they are killed for their time-out."""
    return _unwell(scene, Agents.HANGING)


def bad_devices(scene: Scene) -> Mend:
    """The fence devices are dead, slow, or do their work and deny it; at that moment a node loses its power."""
    world = scene.world
    world.devices = scene.chance.choice((Devices.DEAD, Devices.SLOW, Devices.GRUMBLING))
    world.say(f"the fence devices are {world.devices.value}")
    world.clock.after(scene.chance.randint(0, 2_000), partial(world.lose_power, scene.node()))

    def mend() -> None:
        world.devices = Devices.WELL
        world.say("the fence devices work again")

    return mend


KINDS: Final[Mapping[str, Strike]] = {
    "resource": kill_resource,
    "standby": stand_by,
    "slow-agent": slow_agents,
    "lying-agent": lying_agents,
    "hanging-agent": hanging_agents,
    "fence-device": bad_devices,
}
