"""Record fencing: the bounded history of it, and what a confirmed fencing makes of its target.

Decides nothing about who is fenced; must not know the devices.
Source: DESIGN.md, section 1 (S2): what ran on a lost node starts elsewhere only after it is confirmed off.
"""

from collections.abc import Collection
from typing import Final

from msgspec import structs

from komainu.cib.command import ConfirmOff, RecordFencing
from komainu.cib.element import Element
from komainu.cib.membership import (
    with_confirmed_off,
    with_fencing_begun,
    with_fencing_done,
    with_fencing_failed,
)
from komainu.cib.nodes import is_member, node_id, node_state
from komainu.cib.pairs import set_transient
from komainu.cib.refusal import refuse
from komainu.cib.state import FENCING_HISTORY_MAX
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeName
from komainu.model.view import Position

_MAKES_DOWN: Final = frozenset({"off", "reboot"})
_WAITING_AGENTS: Final = frozenset({"fence_watchdog", "fence_sbd"})


def with_fencing(cib: Element, command: RecordFencing) -> Element:
    """Change the status as the record demands. Raises Refused for a node that nobody knows."""
    record = command.record
    if node_id(cib, record.target) is None:
        refuse("cib.unknown-node", f"there is no node {record.target} to be fenced")
    if record.state is FenceState.STARTED:
        return cib if record.action == "on" else with_fencing_begun(cib, record.target, record.request)
    if record.state is FenceState.DONE and record.action in _MAKES_DOWN:
        struck_at = command.at if _cut_power(cib, record.device) else None
        return with_fencing_done(cib, record.target, record.request, struck_at=struck_at)
    if record.state is FenceState.DONE:
        return set_transient(cib, record.target, "#node-unfenced", str(max(1, record.at // 1000)))
    return with_fencing_failed(cib, record.target, record.request)


def _cut_power(cib: Element, devices: str) -> bool:
    """Whether these devices did it themselves, rather than wait until the node must have reset itself."""
    resources = cib.at("configuration", "resources")
    stonith = [] if resources is None else [one for one in resources.walk() if one.get("class") == "stonith"]
    agents = {one.id: one.get("type") for one in stonith}
    return all(agents.get(name) not in {None, *_WAITING_AGENTS} for name in devices.split("+"))


def with_operator_word(cib: Element, command: ConfirmOff) -> Element:
    """Believe the operator that a node is off; never of a node that is here. Raises Refused."""
    if node_id(cib, command.node) is None:
        refuse("cib.unknown-node", f"there is no node {command.node}", "`komainu status` lists the nodes")
    if is_member(node_state(cib, command.node)):
        refuse(
            "cib.node-is-here",
            f"node {command.node} is a member of the cluster, so it is not off",
            f"to take it out of service: komainu node standby {command.node}",
        )
    return with_confirmed_off(cib, command.node)


def record_history(history: tuple[FenceRecord, ...], record: FenceRecord) -> tuple[FenceRecord, ...]:
    """Add a record, or bring the one of the same request up to date; the oldest go when there are too many."""
    if any(other.request == record.request for other in history):
        return tuple(record if other.request == record.request else other for other in history)
    return (*history, record)[-FENCING_HISTORY_MAX:]


def without_delegates(
    history: tuple[FenceRecord, ...], members: Collection[NodeName]
) -> tuple[FenceRecord, ...]:
    """End what a node that is not here any more had begun: nobody else can say what came of it.

    Should it come back and say so after all, its word counts.
    """

    def ended(record: FenceRecord) -> FenceRecord:
        if record.state is not FenceState.STARTED or record.delegate in members:
            return record
        outcome = f"{record.delegate}, which ran the devices, went before it said what came of it"
        return structs.replace(record, state=FenceState.FAILED, outcome=outcome)

    return tuple(map(ended, history))


def operator_record(command: ConfirmOff, position: Position, origin: NodeName) -> FenceRecord:
    """Write down that an operator vouched for a node being off."""
    return FenceRecord(
        request=f"operator.{position}",
        target=command.node,
        action="off",
        state=FenceState.DONE,
        delegate=origin,
        device="operator",
        reason=command.cause.text,
        outcome=f"confirmed by {command.user or 'an operator'}",
        at=command.at,
    )
