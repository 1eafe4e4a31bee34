"""Name why a result came: the action that was asked for, or what this node itself has seen.

A core without input or output. Causes of commands refer to earlier flight records by their position.
"""

from typing import Final

from komainu.model.cause import Cause
from komainu.model.fencing import FenceRecord
from komainu.model.ids import Instant, NodeName, ResourceId
from komainu.model.operation import OperationResult
from komainu.ring.interface import LinkChanged

ASKED_MAX: Final = 1_000
"""Operations whose command position is remembered; far more than are ever under way."""


class Causes:
    """What was asked of one node, and what it saw, as far as results will have to refer to it."""

    def __init__(self, me: NodeName) -> None:
        self._me = me
        self._asked: dict[str, str] = {}  # transition key or fence request -> position of its command
        self._gone: dict[ResourceId, Instant] = {}

    def asked(self, key: str, position: str) -> None:
        """Remember which command asked for something."""
        self._asked[key] = position
        while len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]

    def saw_process_end(self, resource: ResourceId, now: Instant) -> None:
        """Remember that a process of a resource ended: its monitor is about to say what that means."""
        self._gone[resource] = now

    def of_result(self, result: OperationResult) -> Cause:
        """Name why an operation's result came."""
        request = result.request
        what = f"{request.operation} of {request.resource} on {self._me}"
        if result.is_expected:
            self._gone.pop(request.resource, None)
            return Cause("operation.done", f"{what}: as expected", self._because(request.transition_key))
        seen = f"a process of {request.resource} ended; " if self._gone.pop(request.resource, None) else ""
        outcome = result.exit_reason or f"exit code {result.exit_code}"
        because = () if request.interval_ms else self._because(request.transition_key)
        return Cause("operation.failed", f"{seen}{what} failed: {outcome}", because)

    def of_fencing(self, record: FenceRecord) -> Cause:
        """Name why a fencing ended as it did."""
        text = f"fencing of {record.target} by {record.device or 'no device'}: {record.outcome}"
        return Cause(f"fencing.{record.state.value}", text, self._because(record.request))

    def _because(self, key: str) -> tuple[str, ...]:
        position = self._asked.get(key)
        return () if position is None else (position,)


def of_link(change: LinkChanged, peer: NodeName) -> Cause:
    """Say what became of a link."""
    return Cause(
        f"link.{change.state.value}", f"link {change.link} to {peer}: {change.reason or change.state.label}"
    )
