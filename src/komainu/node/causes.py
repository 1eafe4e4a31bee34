"""Name why a result came: the action that was asked for, or what this node itself has seen.

A core without input or output. Causes of commands refer to earlier flight records by their position.
"""

from typing import Final, assert_never

from komainu.model.cause import Cause
from komainu.model.fencing import FenceRecord
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import OperationResult
from komainu.ring.interface import LinkChanged, PeerEndChanged, RouteChanged

ASKED_MAX: Final = 1_000
"""Operations whose command position is remembered; far more than are ever under way."""


class Causes:
    """What was asked of one node, and what it saw, as far as results will have to refer to it."""

    def __init__(self, me: NodeName) -> None:
        self._me = me
        self._asked: dict[str, str] = {}  # transition key or fence request -> position of its command
        self._seen: dict[ResourceId, str] = {}

    def asked(self, key: str, position: str) -> None:
        """Remember which command asked for something."""
        self._asked[key] = position
        while len(self._asked) > ASKED_MAX:
            del self._asked[next(iter(self._asked))]

    def saw(self, resource: ResourceId, what: str) -> None:
        """Remember what this node saw of a resource: its monitor is about to say what that means."""
        self._seen[resource] = what

    def of_result(self, result: OperationResult) -> Cause:
        """Name why an operation's result came."""
        request = result.request
        what = f"{request.operation} of {request.resource} on {self._me}"
        if result.is_expected:
            self._seen.pop(request.resource, None)
            return Cause("operation.done", f"{what}: as expected", self._because(request.transition_key))
        seen = "".join(f"{what}; " for what in (self._seen.pop(request.resource, None),) if what)
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


def seen_by_ring(
    change: LinkChanged | PeerEndChanged | RouteChanged, me: NodeName, peer: NodeName
) -> tuple[str, Cause, tuple[str, ...]]:
    """Say what the ring saw of a way to a peer: the kind of record, the cause, and whom it concerns."""
    match change:
        case LinkChanged(link=link, state=state, reason=reason):
            cause = Cause(f"link.{state.value}", f"link {link} to {peer}: {reason or state.label}")
            return "link", cause, (f"link{link}", me, peer)
        case PeerEndChanged(link=link, state=state, reason=reason):
            text = f"{peer}'s end of link {link}: {reason or state.label}"
            return "peer-link", Cause(f"link.peer-{state.value}", text), (f"link{link}", peer)
        case RouteChanged(links=links, over=over, reason=reason):
            cause = Cause("ring.direct" if over is None else "ring.relayed", reason)
            return "link", cause, (*(f"link{link}" for link in links), me, peer)
        case _:
            assert_never(change)
