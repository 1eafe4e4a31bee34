"""Describe a fence request and its outcome, as every node keeps it in the fencing history."""

from enum import Enum

import msgspec

from komainu.model.ids import NodeName, WallTime


class FenceState(Enum):
    """How far a fencing has come."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


class FenceRecord(msgspec.Struct, frozen=True):
    """One entry of the fencing history. The same `request` goes from STARTED to DONE or FAILED."""

    request: str  # unique: TRANSITION.ACTION.LIFE of the plan and its coordinator, or "operator.N"
    target: NodeName
    action: str  # off, reboot, on
    state: FenceState
    delegate: NodeName  # the node that ran the device
    device: str  # "" until one was chosen
    reason: str  # why the target is fenced, one sentence
    outcome: str  # what the device said; "" while started
    at: WallTime
    timeout_ms: int = 0  # for one device; 0: what the configuration says
    delay_ms: int = 0  # before the first device
    took_ms: int = 0  # from the first strike of a device until it was done; 0: unknown
