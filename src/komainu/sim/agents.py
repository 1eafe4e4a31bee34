"""Run agents and fence devices of a made-up world: how long they take, what they say, and what is true afterwards.

A lying agent says that something is wrong which is not, or that something runs which does not. It never says that
a resource is stopped which runs: against that no cluster manager has a remedy, and S1 cannot hold.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from komainu.executor.interface import AgentDescribed, AgentFinished, DescribeAgent, RunAgent
from komainu.fencing.interface import FenceAgentFinished, RunFenceAgent
from komainu.model.ids import NodeName
from komainu.sim.machine import Agents, Machine

if TYPE_CHECKING:
    from komainu.sim.world import World

AGENT_MS: Final = (5, 60)
FENCE_MS: Final = (50, 400)
SLOW_AGENT_MS: Final = (500, 15_000)
SLOW_FENCE_MS: Final = (3_000, 15_000)

STRUCK_SHARE: Final = 0.4
"""Of the runs of agents on a machine whose agents are not well, so many are struck."""

NOT_RUNNING: Final = 7
FAILED: Final = 1


class Devices(Enum):
    """How the fence devices are at present."""

    WELL = "well"
    DEAD = "dead"
    SLOW = "slow"
    GRUMBLING = "grumbling"  # they do their work and say that they could not


@dataclass(frozen=True, slots=True)
class _Run:
    """What will come of one run of an agent."""

    took_ms: int
    exit_code: int | None  # None: it is killed for its time-out
    starts: bool = False  # the resource runs from its beginning on
    stops: bool = False  # the resource is gone at its end


META_DATA: Final = (
    '<resource-agent name="sim"><actions><action name="reload-agent"/></actions></resource-agent>'
)


def run_agent(world: "World", machine: Machine, run: RunAgent) -> None:
    """Run an agent: a start counts from its beginning, a stop from its end, as S1 must see it."""
    resource = run.request.resource
    mood = machine.agents
    if mood is not Agents.WELL and world.chance.random() >= STRUCK_SHARE:
        mood = Agents.WELL
    fate = _fate(world, machine, run, mood)
    if fate.starts:
        world.say(f"{machine.name} starts {resource}")
        world.checks.fenced_before(machine, resource, world.by_name, world.now)
        machine.running.add(resource)

    def finish() -> None:
        if fate.stops:
            world.say(f"{machine.name} stopped {resource}")
            machine.running.discard(resource)
        code = fate.exit_code
        if code != 0 and run.request.operation == "stop":
            world.checks.unstopped[machine.name] = world.now
        if code == 0 and run.request.operation == "monitor" and not _is_device(run):
            code = 0 if resource in machine.running else NOT_RUNNING
            if mood is Agents.LYING:
                code = FAILED
                world.say(f"the agent of {resource} on {machine.name} lies: its monitor fails")
        world.give(
            machine,
            AgentFinished(
                run=run.run,
                exit_code=code,
                timed_out=code is None,
                missing=False,
                output="",
                error_output="",
                wall=world.wall_of(machine),
                exec_ms=fate.took_ms,
            ),
        )

    world.later(machine, fate.took_ms, finish)


def _fate(world: "World", machine: Machine, run: RunAgent, mood: Agents) -> _Run:
    """Decide what will come of a run."""
    operation, resource = run.request.operation, run.request.resource
    is_start = operation == "start" and not _is_device(run)
    is_stop = operation == "stop"
    took_ms = world.chance.randint(*AGENT_MS)
    match mood:
        case Agents.SLOW:
            took_ms = min(world.chance.randint(*SLOW_AGENT_MS), run.timeout_ms)
        case Agents.HANGING:
            world.say(f"{operation} of {resource} hangs on {machine.name}")
            return _Run(run.timeout_ms, None, starts=is_start)
        case Agents.LYING if is_start:
            if world.chance.random() < 0.5:
                world.say(f"the agent of {resource} on {machine.name} lies: it starts nothing")
                return _Run(took_ms, 0)
            world.say(f"the agent of {resource} on {machine.name} lies: its start fails, it says")
            return _Run(took_ms, FAILED, starts=True)
        case Agents.LYING if is_stop:
            world.say(f"the agent of {resource} on {machine.name} lies: its stop fails, it says")
            return _Run(took_ms, FAILED, stops=True)
        case _:
            pass
    return _Run(took_ms, 0, starts=is_start, stops=is_stop)


def _is_device(run: RunAgent) -> bool:
    return run.request.agent.agent_class == "stonith"


def describe_agent(world: "World", machine: Machine, asked: DescribeAgent) -> None:
    """Answer for an agent that can take its parameters without a restart."""
    answer = AgentDescribed(asked.agent, str(asked.agent), META_DATA)
    world.later(machine, AGENT_MS[1], lambda: world.give(machine, answer))


def run_fence_agent(world: "World", machine: Machine, run: RunFenceAgent) -> None:
    """Run a fence device: it takes the target's power at the end of its run, if it works at all."""
    options = dict(run.options)
    target = options.get("nodename", options.get("port", ""))
    action = options.get("action", "")
    devices = world.devices
    if action in {"off", "reboot"} and target in world.by_name:
        world.checks.has_cause(world.by_name[NodeName(target)], world.now)

    def act() -> None:
        # The device does its work even if the daemon that asked has died meanwhile.
        if devices is not Devices.DEAD and action in {"off", "reboot"} and target in world.by_name:
            victim = world.by_name[NodeName(target)]
            world.say(f"{machine.name} fences {target}")
            if victim.is_on:
                world.checks.not_both(victim.name, tuple(world.machines.values()), world.now)
            world.lose_power(victim.node_id)

    is_good = devices in {Devices.WELL, Devices.SLOW}

    def finish() -> None:
        world.give(
            machine,
            FenceAgentFinished(
                run=run.run,
                exit_code=0 if is_good else FAILED,
                timed_out=False,
                missing=False,
                output="",
                error_output="" if is_good else "the device does not answer",
                wall=world.wall_of(machine),
            ),
        )

    took = world.chance.randint(*(SLOW_FENCE_MS if devices is Devices.SLOW else FENCE_MS))
    world.clock.after(took, act)
    world.later(machine, took + 1, finish)
