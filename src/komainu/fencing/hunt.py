"""Decide in which order the fencing of one node goes: levels, devices of a level, and steps of a device.

Knows nothing of runs, times and answers; fencing.py goes the way that is laid out here.
Source: Pacemaker Explained, "Fencing Topologies", "Advanced Fencing Configurations" (a reboot by several devices
switches all off before any on, so that no supply keeps the node alive), "Unfencing".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from komainu.fencing.agent_facts import UNKNOWN, WATCHDOG_AGENT, AgentFacts
from komainu.fencing.interface import Device, DevicesChanged, FenceRequested
from komainu.fencing.reach import Question
from komainu.model.ids import Instant, NodeName, WallTime

WATCHDOG: Final = Device("watchdog", WATCHDOG_AGENT, ())
"""The device of last resort: the target's own watchdog."""


class Phase(Enum):
    """What a hunt is at."""

    CHOOSING = "choosing"  # the next stage or device is to be looked at
    LEARNING = "learning"  # agents are being asked for their meta-data
    ASKING = "asking"  # the device says whether it reaches the target
    WAITING = "waiting"  # for the delay, and until the device is free
    RUNNING = "running"
    COUNTING = "counting"  # until the target's watchdog must have fired


@dataclass(frozen=True, slots=True)
class Step:
    """One action of one device. Where it `may_skip`, a device that does not reach the target is passed over."""

    device: Device
    action: str
    is_needed: bool = True
    may_skip: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Devices that must all do their part; `missing` names those that are not configured."""

    devices: tuple[Device, ...]
    missing: tuple[str, ...] = ()
    title: str = ""  # "level 1", or "" without a topology
    may_skip: bool = False


@dataclass(slots=True)
class Hunt:
    """The fencing of one target by one action, for all who asked."""

    target: NodeName
    action: str
    timeout_ms: int
    delay_ms: int  # of the request: waited for once, before the first device
    requests: dict[str, FenceRequested]
    wall: WallTime
    stages: list[Stage] = field(default_factory=list)  # still to be tried; the first is the current one
    steps: list[Step] = field(default_factory=list)  # of the current stage; the first is the current one
    phase: Phase = Phase.LEARNING
    is_under_way: bool = False  # the current stage was begun
    is_past: bool = False  # its target is back in another life
    question: Question = Question.LIST  # what the device is asked, while asking
    not_before: Instant | None = None  # the end of a delay, or of counting
    struck: Instant | None = None  # when the first device was run
    device_ends: Instant | None = None  # when the device's time is over, once it was run
    attempts_left: int = 0
    reached: set[str] = field(default_factory=set)  # devices that are known to reach the target
    worked: list[str] = field(default_factory=list)  # devices of this stage that did their part
    failures: list[str] = field(default_factory=list)


def stages_of(
    target: NodeName, action: str, known: DevicesChanged, facts: Mapping[str, AgentFacts]
) -> list[Stage]:
    """Return the ways to fence a node, the preferred one first.

    Unfencing is all devices of which it is a part; everything else is done by one level, or by one device
    where there is no topology for the target.
    """
    by_name = {device.name: device for device in known.devices}
    usual = [device for device in known.devices if device.agent != WATCHDOG_AGENT]
    if action == "on":
        unfencing = tuple(device for device in usual if facts.get(device.agent, UNKNOWN).unfences)
        if unfencing:
            return [Stage(unfencing, may_skip=True)]
    levels = sorted(
        (level for level in known.levels if level.target == target), key=lambda level: level.index
    )
    if levels:
        return [
            Stage(
                tuple(by_name[name] for name in level.devices if name in by_name),
                tuple(name for name in level.devices if name not in by_name),
                f"level {level.index}",
            )
            for level in levels
        ]
    stages = [Stage((device,)) for device in sorted(usual, key=lambda device: -device.priority)]
    if known.watchdog_ms and target in known.self_resetting and action != "on":
        stages.append(Stage((by_name.get(WATCHDOG.name, WATCHDOG),)))
    return stages


def steps_of(stage: Stage, action: str, facts: Mapping[str, AgentFacts]) -> list[Step]:
    """Return what the devices of a stage do, in order. Once all are off, a failed `on` is no matter."""
    devices = stage.devices

    def can(device: Device, what: str) -> bool:
        return facts.get(device.agent, UNKNOWN).can(what)

    is_one = len(devices) == 1 and (devices[0].agent == WATCHDOG_AGENT or can(devices[0], "reboot"))
    if action != "reboot" or is_one:
        return [Step(device, action, may_skip=stage.may_skip) for device in devices]
    # An `on` that unfences would let a node that may still run back to its disks.
    revived = (
        device
        for device in devices
        if device.agent != WATCHDOG_AGENT
        and can(device, "on")
        and not facts.get(device.agent, UNKNOWN).unfences
    )
    return [
        *(Step(device, "off") for device in devices),
        *(Step(device, "on", is_needed=False) for device in revived),
    ]
