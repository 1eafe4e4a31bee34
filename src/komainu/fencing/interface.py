"""Say what goes into the fencing core and what comes out: requests, devices' answers, runs of fence agents."""

from dataclasses import dataclass
from typing import NewType

from komainu.model.fencing import FenceRecord
from komainu.model.ids import NodeName, WallTime
from komainu.model.report import Note

FenceRunId = NewType("FenceRunId", int)
"""One run of a fence agent, unique in this daemon's life."""


@dataclass(frozen=True, slots=True)
class Device:
    """A fence device of the configuration: a `class="stonith"` primitive, its agent and its options.

    `parameters` are its instance attributes, pcmk_* among them; the core takes those out (COMPAT section 3).
    """

    name: str
    agent: str  # fence_lab
    parameters: tuple[tuple[str, str], ...]


# -- events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DevicesChanged:
    """The configuration's fence devices, all of them, in document order."""

    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True)
class FenceRequested:
    """Fence a node. Requests for the same target and action that run at the same time share one run."""

    request: str
    target: NodeName
    action: str  # off, reboot, on
    timeout_ms: int
    reason: str
    wall: WallTime


@dataclass(frozen=True, slots=True)
class FenceAgentFinished:
    """A run of a fence agent ended; exit code None when it was killed for its time-out or is missing."""

    run: FenceRunId
    exit_code: int | None
    timed_out: bool
    missing: bool
    output: str
    error_output: str
    wall: WallTime


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The core's deadline has come: a delay is over."""


FencingEvent = DevicesChanged | FenceRequested | FenceAgentFinished | DeadlinePassed

# -- effects --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunFenceAgent:
    """Run a fence agent once with these options on its standard input, one `key=value` a line."""

    run: FenceRunId
    agent: str
    options: tuple[tuple[str, str], ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class FencingEnded:
    """A request is settled: its record is DONE or FAILED, with the device that did it and what it said."""

    record: FenceRecord


FencingEffect = RunFenceAgent | FencingEnded | Note
