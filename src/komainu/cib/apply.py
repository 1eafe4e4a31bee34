"""Apply a command to the cluster state: the one way in which it changes, alike on every node.

Decides what each command makes of the state, or that it is refused. Must not know who submitted it, what time
it is here, or what follows. `apply` is total: for every command of any content it returns, and a refused one
leaves everything but the position as it was, since a command that stopped one node would stop all (DESIGN.md,
section 2).
"""

from dataclasses import replace
from typing import assert_never

from komainu.cib.command import (
    AdoptSnapshot,
    AnyCommand,
    CancelAction,
    ChangeLayout,
    ChangeMembership,
    ConfirmKey,
    ConfirmOff,
    EditConfiguration,
    ForgetOperations,
    JoinNode,
    LeaveNode,
    RecordFencing,
    RecordOperation,
    ReleaseNode,
    ReplaceConfiguration,
    RotateKey,
    SetAttribute,
    StartAction,
    StartTransition,
)
from komainu.cib.document import is_storable, storable
from komainu.cib.durable import load
from komainu.cib.edits import missing_member, with_document, with_edits
from komainu.cib.element import Element
from komainu.cib.failures import with_counted_failure, without_operations
from komainu.cib.fencing import (
    operator_record,
    record_history,
    with_fencing,
    with_operator_word,
    without_delegates,
)
from komainu.cib.history import is_recorded, with_pending, with_result, without_operation
from komainu.cib.membership import with_join, with_leave, with_nodes, with_other_nodes, with_view
from komainu.cib.nodes import has_joined, is_lost, name_of, node_id, node_state, node_states
from komainu.cib.pairs import set_transient
from komainu.cib.refusal import refuse
from komainu.cib.schema import validate
from komainu.cib.state import Applied, ClusterState
from komainu.cib.version import (
    is_same_configuration,
    version_of,
    with_configuration_change,
    with_status_change,
)
from komainu.model.edit import Version
from komainu.model.ids import NodeName
from komainu.model.operation import ActionRequest
from komainu.model.report import Refused, Severity
from komainu.model.view import Position


def apply(
    state: ClusterState,
    command: AnyCommand,
    *,
    position: Position,
    origin: NodeName,
    is_quorate: bool,
) -> Applied:
    """Apply one command. Never raises; what is refused says why.

    `position` is where the state stands afterwards, `origin` the node that submitted the command, and
    `is_quorate` whether the view in which it was delivered has quorum.
    """
    try:
        match command:
            case ReplaceConfiguration() | EditConfiguration():
                _check_may_change(state.cib, command.expected, is_quorate=is_quorate)
                return _with_configuration(state, command, position, origin)
            case ChangeMembership():
                return _with_membership(state, command, position, origin, is_quorate=is_quorate)
            case ChangeLayout():
                return _with_layout(state, command, position, is_quorate=is_quorate)
            case AdoptSnapshot():
                adopted = load(command.state, "<snapshot>")
                return Applied(replace(adopted, position=position), changes_configuration=True)
            case _:
                return _with_status(state, command, position, origin)
    except Refused as refused:
        return Applied(replace(state, position=position), refused.reports)


def _check_may_change(cib: Element, expected: Version | None, *, is_quorate: bool) -> None:
    if not is_quorate:
        refuse(
            "cib.no-quorum",
            "this part of the cluster has no quorum, so its configuration cannot be changed",
            "`komainu status` says who is missing",
        )
    current = version_of(cib)
    if expected is not None and not is_same_configuration(expected, current):
        refuse(
            "cib.stale",
            f"the configuration is at {current} by now; the change was made for {expected}",
            "look at the new one, and make the change again",
        )


def _with_configuration(
    state: ClusterState,
    command: ReplaceConfiguration | EditConfiguration,
    position: Position,
    origin: NodeName,
) -> Applied:
    """Change the configuration, unless that makes it wrong in a way in which it was not wrong before."""
    if isinstance(command, ReplaceConfiguration):
        changed = with_document(state.cib, command.xml, "<configuration>")
    else:
        changed = with_edits(state.cib, command.edits)
    if changed == state.cib:
        return Applied(replace(state, position=position))
    missing = missing_member(changed)
    if missing is not None:
        refuse(
            "cib.node-is-here", f"node {missing} is a member, so it cannot be removed", "stop it there first"
        )
    _check_no_new_errors(state.cib, changed)
    stamped = with_configuration_change(
        changed, at=command.at, origin=NodeName(storable(origin)), user=storable(command.user)
    )
    return Applied(replace(state, cib=stamped, position=position), changes_configuration=True)


def _check_no_new_errors(before: Element, changed: Element) -> None:
    errors = [each for each in validate(changed, "<configuration>") if each.severity is Severity.ERROR]
    if not errors:
        return  # nearly always: what was there before need not be looked at again
    known = {(report.code, report.message) for report in validate(before, "<configuration>")}
    new = tuple(report for report in errors if (report.code, report.message) not in known)
    if new:
        raise Refused(new)


def _with_membership(
    state: ClusterState, command: ChangeMembership, position: Position, origin: NodeName, *, is_quorate: bool
) -> Applied:
    """Record a view. A member that the configuration lacks is added to it, but only with quorum."""
    if not all(is_storable(name) for name in command.members):
        refuse(
            "cib.bad-view", f"view {command.view.view_id} has a member with control characters in its name"
        )
    cib = state.cib
    if is_quorate and command.view.quorate and len(command.members) == len(command.view.members):
        ids = zip(command.members, command.view.members, strict=True)
        cib = with_nodes(cib, {name: str(number) for name, number in ids})
    is_new = cib is not state.cib
    changed = with_view(cib, command, is_quorate=is_quorate)
    if is_new:
        stamped = with_configuration_change(
            changed, at=command.at, origin=NodeName(storable(origin)), user=""
        )
    else:
        stamped = changed if changed == state.cib else with_status_change(changed)
    fencing = without_delegates(state.fencing, command.members)
    return Applied(
        replace(state, cib=stamped, fencing=fencing, position=position),
        # Who left in order is not fenced for it, whoever restarts meanwhile: so it has to be stored.
        changes_configuration=is_new or bool(command.left),
    )


def _with_layout(
    state: ClusterState, command: ChangeLayout, position: Position, *, is_quorate: bool
) -> Applied:
    """Change who the nodes are and how they reach each other."""
    if not is_quorate:
        refuse(
            "cib.no-quorum",
            "this part of the cluster has no quorum, so its nodes and links cannot be changed",
            "`komainu status` says who is missing",
        )
    lost = [name_of(each) for each in node_states(state.cib) if is_lost(each)]
    if lost:
        refuse(
            "cib.node-lost",
            f"{', '.join(lost)} is lost and not confirmed off: it may go on with the nodes and links as they were",
            f"wait until it is fenced, or: komainu fence confirm {lost[0]}",
        )
    current = command.expected if state.layout is None else state.layout.version
    # Greater than ours: somebody raised it in the files by hand.
    if command.expected < current or command.layout.version <= command.expected:
        refuse(
            "cib.stale-layout",
            f"nodes and links are at version {current} by now; the change was made for {command.expected}",
            "look at them with `komainu link list`, and make the change again",
        )
    names = {str(node.node): node.name for node in command.layout.nodes}
    cib = with_other_nodes(state.cib, names, added=command.added, removed=command.removed)
    changed = replace(state, cib=cib, layout=command.layout, position=position)
    return Applied(changed, changes_configuration=True)


_StatusCommand = (
    JoinNode
    | LeaveNode
    | ReleaseNode
    | StartTransition
    | StartAction
    | CancelAction
    | RecordOperation
    | ForgetOperations
    | SetAttribute
    | RecordFencing
    | ConfirmOff
    | RotateKey
    | ConfirmKey
)


def _with_status(
    state: ClusterState, command: _StatusCommand, position: Position, origin: NodeName
) -> Applied:
    """Change the status, and the fencing history where fencing is recorded."""
    fencing = state.fencing
    changed = _status_after(state.cib, command, origin)
    if isinstance(command, RecordFencing):
        fencing = record_history(fencing, command.record)
    elif isinstance(command, ConfirmOff):
        fencing = record_history(fencing, operator_record(command, position, origin))
    cib = state.cib if changed is state.cib or changed == state.cib else with_status_change(changed)
    return Applied(replace(state, cib=cib, fencing=fencing, position=position))


def _status_after(cib: Element, command: _StatusCommand, origin: NodeName) -> Element:
    """Say what each command makes of the status. Raises Refused."""
    match command:
        case JoinNode():
            if origin != command.node:
                refuse("cib.wrong-origin", f"{origin} cannot join in the name of {command.node}")
            return with_join(cib, command)
        case LeaveNode():
            return with_leave(cib, command)
        case StartTransition() | ReleaseNode() | RotateKey() | ConfirmKey():
            return cib
        case StartAction():
            _check_request(cib, command.request)
            return with_pending(cib, command.request, at_s=command.at // 1000)
        case CancelAction():
            return without_operation(
                cib, command.node, command.resource, command.operation, command.interval_ms
            )
        case RecordOperation():
            return _with_operation(cib, command)
        case ForgetOperations():
            return without_operations(cib, command)
        case SetAttribute():
            return _with_attribute(cib, command)
        case RecordFencing():
            return with_fencing(cib, command)
        case ConfirmOff():
            return with_operator_word(cib, command)
        case _:
            assert_never(command)


def _with_operation(cib: Element, command: RecordOperation) -> Element:
    """Record a result once. One that comes from a node after it was declared down is about its earlier life."""
    _check_request(cib, command.result.request)
    if is_recorded(cib, command.result):
        return cib
    return with_counted_failure(with_result(cib, command.result), command.result)


def _with_attribute(cib: Element, command: SetAttribute) -> Element:
    if node_id(cib, command.node) is None:
        refuse("cib.unknown-node", f"there is no node {command.node}", "`komainu status` lists the nodes")
    if not command.name or storable(command.name) != command.name:
        refuse("cib.bad-text", f"an attribute cannot be called {command.name[:80]!r}")
    value = None if command.value is None else storable(command.value)
    return set_transient(cib, command.node, command.name, value)


def _check_request(cib: Element, request: ActionRequest) -> None:
    """Refuse what is for a node that is not here, or has names that cannot be stored."""
    if not has_joined(node_state(cib, request.node)):
        refuse("cib.not-joined", f"node {request.node} is not a member that has joined")
    if storable(request.key) != request.key:
        refuse("cib.bad-text", f"an operation cannot be called {request.key[:80]!r}")
