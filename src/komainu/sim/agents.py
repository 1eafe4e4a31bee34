"""Run agents and fence devices of a made-up world: how long they take, and what is true afterwards."""

from typing import TYPE_CHECKING, Final

from komainu.executor.interface import AgentDescribed, AgentFinished, DescribeAgent, RunAgent
from komainu.fencing.interface import FenceAgentFinished, RunFenceAgent
from komainu.model.ids import NodeName
from komainu.sim.machine import Machine

if TYPE_CHECKING:
    from komainu.sim.world import World

AGENT_MS: Final = (5, 60)
FENCE_MS: Final = (50, 400)

META_DATA: Final = (
    '<resource-agent name="sim"><actions><action name="reload-agent"/></actions></resource-agent>'
)


def run_agent(world: "World", machine: Machine, run: RunAgent) -> None:
    """Run an agent: a start counts from its beginning, a stop from its end, as S1 must see it."""
    request = run.request
    resource, operation = request.resource, request.operation
    is_device = request.agent.agent_class == "stonith"
    if operation == "start" and not is_device:
        world.say(f"{machine.name} starts {resource}")
        world.checks.fenced_before(machine, resource, world.now)
        machine.running.add(resource)
    took = world.chance.randint(*AGENT_MS)

    def finish() -> None:
        if operation == "stop":
            world.say(f"{machine.name} stopped {resource}")
            machine.running.discard(resource)
        code = 0
        if operation == "monitor" and not is_device:
            code = 0 if resource in machine.running else 7
        world.give(
            machine,
            AgentFinished(
                run=run.run,
                exit_code=code,
                timed_out=False,
                missing=False,
                output="",
                error_output="",
                wall=world.wall,
                exec_ms=took,
            ),
        )

    world.later(machine, took, finish)


def describe_agent(world: "World", machine: Machine, asked: DescribeAgent) -> None:
    """Answer for an agent that can take its parameters without a restart."""
    answer = AgentDescribed(asked.agent, str(asked.agent), META_DATA)
    world.later(machine, AGENT_MS[1], lambda: world.give(machine, answer))


def run_fence_agent(world: "World", machine: Machine, run: RunFenceAgent) -> None:
    """Run a fence device: it takes the target's power at the end of its run, if it works at all."""
    options = dict(run.options)
    target = options.get("nodename", options.get("port", ""))
    action = options.get("action", "")

    def act() -> None:
        # The device does its work even if the daemon that asked has died meanwhile.
        if world.devices_alive and action in {"off", "reboot"} and target in world.by_name:
            victim = world.by_name[NodeName(target)]
            world.say(f"{machine.name} fences {target}")
            if victim.is_on:
                world.checks.not_both(victim.name, tuple(world.machines.values()), world.now)
            world.lose_power(victim.node_id)

    def finish() -> None:
        world.give(
            machine,
            FenceAgentFinished(
                run=run.run,
                exit_code=0 if world.devices_alive else 1,
                timed_out=False,
                missing=False,
                output="",
                error_output="" if world.devices_alive else "the device does not answer",
                wall=world.wall,
            ),
        )

    took = world.chance.randint(*FENCE_MS)
    world.clock.after(took, act)
    world.later(machine, took + 1, finish)
