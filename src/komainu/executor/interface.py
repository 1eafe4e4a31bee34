"""Say what goes into the executor and what comes out: requests, ends of agents, and runs of agents."""

from dataclasses import dataclass
from typing import NewType

from komainu.model.ids import ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName, OperationResult
from komainu.model.report import Note

RunId = NewType("RunId", int)
"""One run of an agent, unique in this daemon's life."""

# -- events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ActionRequested:
    """Run this operation; with an interval, again and again until it is cancelled.

    `wall` dates the results of what needs no run, such as the stop of a fence device.
    """

    request: ActionRequest
    wall: WallTime = WallTime(0)


@dataclass(frozen=True, slots=True)
class ActionCancelled:
    """Stop the recurring operation."""

    resource: ResourceId
    operation: str
    interval_ms: int


@dataclass(frozen=True, slots=True)
class AgentFinished:
    """A run of an agent ended. `exit_code` is None when it was killed for its time-out or a signal ended it.

    `missing` means that there was no agent to run. `output` is bounded by OUTPUT_BYTES_MAX.
    """

    run: RunId
    exit_code: int | None
    timed_out: bool
    missing: bool
    output: str
    error_output: str
    wall: WallTime
    exec_ms: int


@dataclass(frozen=True, slots=True)
class ProcessesGone:
    """A process that a resource's start left behind has ended: look at the resource now, not at the next turn."""

    resource: ResourceId


@dataclass(frozen=True, slots=True)
class AddressLost:
    """The address that a resource stands for was deleted: look at the resource now."""

    resource: ResourceId
    address: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The executor's deadline has come: a recurring operation is due."""


@dataclass(frozen=True, slots=True)
class AgentDescribed:
    """An agent was asked for its meta-data; `output` is what it printed, however it ended.

    `program` is the file that was run; `missing` means that there is none.
    """

    agent: AgentName
    program: str
    output: str
    missing: bool = False


ExecutorEvent = (
    ActionRequested
    | ActionCancelled
    | AgentFinished
    | AgentDescribed
    | ProcessesGone
    | AddressLost
    | DeadlinePassed
)

# -- effects --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunAgent:
    """Run an agent once. The shell kills its process group after `timeout_ms` and reports either way.

    `action` is the agent's word for it. `environment` are the OCF_* and CRM_* variables of this run, sorted by name; the shell adds only the
    machine's own (PATH). `watch` asks the shell to report `ProcessesGone` for what a successful start leaves.
    """

    run: RunId
    request: ActionRequest
    environment: tuple[tuple[str, str], ...]
    timeout_ms: int
    action: str
    watch: bool


@dataclass(frozen=True, slots=True)
class ReportResult:
    """An operation ended, or a recurring one gave another result than the last time: tell the cluster."""

    result: OperationResult


@dataclass(frozen=True, slots=True)
class StopWatching:
    """The resource was stopped: its processes are no longer of interest."""

    resource: ResourceId


@dataclass(frozen=True, slots=True)
class DescribeAgent:
    """Ask an agent for its meta-data, beside whatever runs; answered with AgentDescribed."""

    agent: AgentName
    timeout_ms: int


ExecutorEffect = RunAgent | DescribeAgent | ReportResult | StopWatching | Note
