"""Describe what was asked of an agent and what came of it, with the numbers that OCF and the CIB use.

Source: OCF resource agent API 1.1 (exit codes); Pacemaker's `lrm_rsc_op` (execution status).
"""

from enum import IntEnum
from typing import Final

import msgspec

from komainu.model.ids import NodeName, ResourceId


class ExitCode(IntEnum):
    """Exit codes of OCF agents, and two of our own range for what happened around them."""

    OK = 0
    ERROR = 1
    BAD_ARGUMENTS = 2
    UNIMPLEMENTED = 3
    NO_PRIVILEGE = 4
    NOT_INSTALLED = 5
    NOT_CONFIGURED = 6
    NOT_RUNNING = 7
    RUNNING_PROMOTED = 8
    FAILED_PROMOTED = 9
    DEGRADED = 190
    DEGRADED_PROMOTED = 191
    PENDING = 193

    @property
    def label(self) -> str:
        """The words for people: `not running`."""
        return self.name.lower().replace("_", " ")


class OpStatus(IntEnum):
    """What became of an operation, beside the exit code: the CIB's `op-status`."""

    PENDING = -1
    DONE = 0
    CANCELLED = 1
    TIMEOUT = 2
    NOT_SUPPORTED = 3
    ERROR = 4
    HARD = 5
    FATAL = 6
    NOT_INSTALLED = 7


class AgentName(msgspec.Struct, frozen=True):
    """Which agent runs a resource: `ocf:komainu:web`, `systemd:nginx`, `stonith:fence_lab`."""

    agent_class: str
    provider: str | None
    agent_type: str

    def __str__(self) -> str:
        """Write it as people do: class:provider:type."""
        parts = (self.agent_class, self.provider, self.agent_type)
        return ":".join(part for part in parts if part is not None)


class ActionRequest(msgspec.Struct, frozen=True):
    """One operation that a node is to carry out, as the plan asks for it.

    `meta` are the OCF_RESKEY_CRM_meta_* values without their prefix, with `_` for `-`. `interval_ms` 0 is a
    single operation (a probe when the operation is monitor). `transition_key` is the CIB's
    `ACTION:TRANSITION:TARGET_RC:UUID`; `digest` is the CIB's op-digest of the parameters.
    """

    node: NodeName
    resource: ResourceId
    agent: AgentName
    operation: str
    interval_ms: int
    timeout_ms: int
    parameters: tuple[tuple[str, str], ...]  # sorted by name
    meta: tuple[tuple[str, str], ...]  # sorted by name
    target_rc: int
    transition_key: str
    digest: str

    @property
    def key(self) -> str:
        """The CIB's operation_key: RESOURCE_OPERATION_INTERVAL."""
        return f"{self.resource}_{self.operation}_{self.interval_ms}"


class OperationResult(msgspec.Struct, frozen=True):
    """What came of an operation: the content of one `lrm_rsc_op`. Times are wall-clock seconds or ms."""

    request: ActionRequest
    call_id: int  # grows with every operation of one executor
    status: OpStatus
    exit_code: int
    exit_reason: str  # the agent's own sentence (ocf-exit-reason), or ours when it could not be run
    last_change_s: int  # wall clock, seconds: when this result was first seen
    exec_ms: int
    queue_ms: int
    restart_on: tuple[str, ...] | None = (
        None  # parameters whose change needs a restart; None: any change does
    )

    @property
    def is_expected(self) -> bool:
        """Whether the agent answered what the plan counted on."""
        return self.status is OpStatus.DONE and self.exit_code == self.request.target_rc


OUTPUT_BYTES_MAX: Final = 65_536
"""How much of an agent's output is kept. An agent that prints a megabyte must not fill the daemon."""
