"""Keep each node's history of operations: the `lrm` of its state, one entry a kind of operation.

Decides which entries an operation writes, replaces and drops, so that every reader of the field's CIB reads
it right. Must not know what a failure leads to; that is the scheduler's.
Source: Pacemaker Explained, "Operation History" (ids R_last_0, R_last_failure_0, R_OP_INTERVAL; migration
kept apart); the scheduler's reading of it: entries carry `on_node`, a reload is recorded as a start.
"""

from collections.abc import Callable, Collection
from typing import Final

from komainu.cib.digest import op_digest
from komainu.cib.document import storable
from komainu.cib.element import Element
from komainu.cib.nodes import node_state, update_state
from komainu.cib.tree import replace_child, update_at
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import ActionRequest, ExitCode, OperationResult, OpStatus

FEATURE_SET: Final = "3.19.7"
"""The Pacemaker feature set whose reading of the CIB is meant; tools print it, nobody computes with it."""

NOT_RECORDED: Final = frozenset({"notify", "meta-data", "validate-all", "cancel", "delete"})
"""Operations that say nothing about where a resource is; an entry of theirs would replace one that does."""

PENDING_CALL_ID: Final = -1

_PROBE_ANSWERS: Final = frozenset({ExitCode.OK, ExitCode.NOT_RUNNING, ExitCode.RUNNING_PROMOTED})
_DEGRADED: Final = frozenset({(0, ExitCode.DEGRADED), (8, ExitCode.DEGRADED_PROMOTED)})
_IS_AWAY: Final = frozenset({("stop", 0), ("monitor", 7), ("monitor", 5), ("monitor", 193)})
_IDENTITY: Final = ("call-id", "transition-magic", "last-rc-change", "operation_key")


def with_pending(cib: Element, request: ActionRequest, *, at_s: int) -> Element:
    """Note that an operation was handed to its node and has no result yet."""
    if request.operation in NOT_RECORDED:
        return cib
    pending = OperationResult(
        request=request,
        call_id=PENDING_CALL_ID,
        status=OpStatus.PENDING,
        exit_code=ExitCode.PENDING,
        exit_reason="",
        last_change_s=at_s,
        exec_ms=0,
        queue_ms=0,
    )
    return _update_resource(cib, request, lambda home: home.with_child(_entry(pending, _entry_id(pending))))


def with_result(cib: Element, result: OperationResult) -> Element:
    """Write the result of an operation, and drop the entries that it makes untrue."""
    request = result.request
    if request.operation in NOT_RECORDED:
        return cib
    if result.status is OpStatus.CANCELLED:
        return without_operation(cib, request.node, request.resource, request.operation, request.interval_ms)
    return _update_resource(cib, request, lambda home: _with_entries(home, result))


def is_recorded(cib: Element, result: OperationResult) -> bool:
    """Whether this very result stands in the history: a command that was sent twice counts once."""
    home = _find_resource(cib, result.request.node, result.request.resource)
    if home is None:
        return False
    entry = _entry(result, "")
    return any(
        all(other.get(name) == entry.get(name) for name in _IDENTITY) for other in home.all("lrm_rsc_op")
    )


def is_failure(result: OperationResult) -> bool:
    """Whether a result is to be shown and counted as a failure. What a probe finds is none, nor is degraded."""
    if result.status in {OpStatus.PENDING, OpStatus.CANCELLED}:
        return False
    if is_probe(result.request) and result.status is OpStatus.DONE and result.exit_code in _PROBE_ANSWERS:
        return False
    if result.status is OpStatus.DONE and (result.request.target_rc, result.exit_code) in _DEGRADED:
        return False
    return not result.is_expected


def is_probe(request: ActionRequest) -> bool:
    """Whether an operation only looks whether a resource is there."""
    return request.operation == "monitor" and request.interval_ms == 0


def without_operation(
    cib: Element, node: NodeName, resource: ResourceId, operation: str, interval_ms: int
) -> Element:
    """Forget the entry of one recurring operation, or the pending entry of a single one."""
    key = f"{resource}_{operation}_{interval_ms}"

    def is_unwanted(entry: Element) -> bool:
        if entry.get("operation_key", entry.id) != key or entry.id == f"{resource}_last_failure_0":
            return False
        return interval_ms > 0 or is_pending(entry)

    home = _find_resource(cib, node, resource)
    if home is None or not any(is_unwanted(entry) for entry in home.children):
        return cib
    return change_resources(cib, node, lambda one: one.without(is_unwanted) if one is home else one)


def change_resources(cib: Element, node: NodeName, change: Callable[[Element], Element | None]) -> Element:
    """Change each `lrm_resource` of a node, or remove it where `change` gives None."""

    def on_list(listing: Element) -> Element:
        new = [(home, change(home)) for home in listing.children]
        if all(before is after for before, after in new):
            return listing
        return listing.with_children(tuple(after for _, after in new if after is not None))

    state = node_state(cib, node)
    if state is None or state.at("lrm", "lrm_resources") is None:
        return cib
    return update_state(cib, node, lambda here: update_at(here, ("lrm", "lrm_resources"), on_list))


def with_history(
    cib: Element,
    node: NodeName,
    history: tuple[OperationResult, ...],
    *,
    keep_open: bool,
    never_handed: Collection[str] = (),
) -> Element:
    """Replace a node's history by what its executor knows.

    `keep_open`: the node was here all along, so what it was handed and has not answered is still pending,
    and failures that were recorded stay on record. `never_handed`: transition keys that are not waited for.
    """
    settled = {*never_handed, *(result.request.transition_key for result in history)}
    kept = () if not keep_open else _open_entries(cib, node, settled)
    replaced = update_state(cib, node, _with_empty_lrm)
    for home, entry in kept:
        if not is_pending(entry):
            replaced = _put_entry(replaced, node, home, entry)
    for result in history:
        if result.request.node == node:
            replaced = with_result(replaced, result)
    # Last, since an operation without an answer was handed out after those that have one.
    for home, entry in kept:
        if is_pending(entry):
            replaced = _put_entry(replaced, node, home, entry)
    return replaced


def may_be_active(home: Element) -> bool:
    """Whether a resource may be running by its history on a node: all but a stop or an empty probe."""
    last = home.find(f"{home.id}_last_0")
    if last is None:
        return bool(home.children)
    if last.get("op-status") not in {"0", "-1", "7"}:
        return True
    return (last.get("operation"), _rc(last)) not in _IS_AWAY


def is_pending(entry: Element) -> bool:
    """Whether an entry waits for its result."""
    return entry.get("op-status") == str(int(OpStatus.PENDING))


def _rc(entry: Element) -> int:
    text = entry.get("rc-code") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def _with_entries(home: Element, result: OperationResult) -> Element:
    """Write one result into the history of its resource."""
    request = result.request
    if result.status is OpStatus.PENDING:
        return home.with_child(_entry(result, _entry_id(result)))
    if is_failure(result):
        home = home.with_child(_entry(result, f"{request.resource}_last_failure_0"))
        if request.interval_ms > 0:
            # As in the field, the last good entry stays, but nothing of this operation is pending any more.
            return home.without(lambda entry: entry.id == request.key and is_pending(entry))
    home = home.with_child(_entry(result, _entry_id(result)))
    if request.operation == "stop" and result.is_expected:
        return home.without(_is_recurring)
    return home


def _is_recurring(entry: Element) -> bool:
    return entry.get("interval", "0") != "0" and not entry.id.endswith("_last_failure_0")


def _entry_id(result: OperationResult) -> str:
    request = result.request
    if request.interval_ms > 0 or request.operation in {"migrate_to", "migrate_from"}:
        return request.key
    return f"{request.resource}_last_0"


def _entry(result: OperationResult, entry_id: str) -> Element:
    """Write a result as an `lrm_rsc_op`."""
    request = result.request
    operation = request.operation
    if operation in {"reload", "reload-agent"}:
        operation = "start" if result.status in {OpStatus.DONE, OpStatus.PENDING} else "monitor"
    attributes = {
        "id": entry_id,
        "operation_key": f"{request.resource}_{operation}_{request.interval_ms}",
        "operation": operation,
        "crm-debug-origin": "komainu",
        "crm_feature_set": FEATURE_SET,
        "transition-key": request.transition_key,
        "transition-magic": f"{int(result.status)}:{result.exit_code};{request.transition_key}",
        "exit-reason": storable(result.exit_reason),
        "on_node": request.node,
        "call-id": str(result.call_id),
        "rc-code": str(result.exit_code),
        "op-status": str(int(result.status)),
        "interval": str(request.interval_ms),
        "last-rc-change": str(result.last_change_s),
        "exec-time": str(result.exec_ms),
        "queue-time": str(result.queue_ms),
        "op-digest": request.digest,
    }
    if result.restart_on is not None and request.interval_ms == 0:
        fixed = [(name, value) for name, value in request.parameters if name in result.restart_on]
        attributes["op-force-restart"] = f" {' '.join(result.restart_on)} "
        attributes["op-restart-digest"] = op_digest(fixed)
    for name in ("migrate_source", "migrate_target"):
        value = dict(request.meta).get(name)
        if value is not None:
            attributes[name] = value
    return Element("lrm_rsc_op", {name: storable(text) for name, text in attributes.items()})


def _home(request: ActionRequest) -> Element:
    """Make the empty history of a resource."""
    attributes = {"id": request.resource, "class": request.agent.agent_class}
    if request.agent.provider is not None:
        attributes["provider"] = request.agent.provider
    attributes["type"] = request.agent.agent_type
    container = dict(request.meta).get("container")
    if container is not None:
        attributes["container"] = container
    return Element("lrm_resource", {name: storable(text) for name, text in attributes.items()})


def _find_resource(cib: Element, node: NodeName, resource: str) -> Element | None:
    state = node_state(cib, node)
    listing = None if state is None else state.at("lrm", "lrm_resources")
    if listing is None:
        return None
    return next((home for home in listing.children if home.id == resource), None)


def _update_resource(cib: Element, request: ActionRequest, change: Callable[[Element], Element]) -> Element:
    """Change the history of one resource on one node; what is missing on the way is made."""
    known = _find_resource(cib, request.node, request.resource)
    home = _home(request) if known is None else _home(request).with_children(known.children)
    return _put_resource(cib, request.node, change(home))


def _put_resource(cib: Element, node: NodeName, home: Element) -> Element:
    def on_state(state: Element) -> Element:
        known = state if state.first("lrm") is not None else _with_empty_lrm(state)
        return update_at(known, ("lrm", "lrm_resources"), lambda listing: listing.with_child(home))

    return update_state(cib, node, on_state)


def _put_entry(cib: Element, node: NodeName, home: Element, entry: Element) -> Element:
    found = _find_resource(cib, node, home.id) or home.with_children(())
    return _put_resource(cib, node, found.with_child(entry))


def _with_empty_lrm(state: Element) -> Element:
    empty = Element("lrm", {"id": state.id}, (Element("lrm_resources"),))
    known = state.first("lrm")
    if known is None:
        return state.with_children((*state.children, empty))
    return replace_child(state, known, empty)


def _open_entries(
    cib: Element, node: NodeName, settled: Collection[str]
) -> tuple[tuple[Element, Element], ...]:
    """Find the pending entries that are not settled, and the failures on record."""
    state = node_state(cib, node)
    listing = None if state is None else state.at("lrm", "lrm_resources")
    return tuple(
        (home, entry)
        for home in (() if listing is None else listing.children)
        for entry in home.children
        if entry.id == f"{home.id}_last_failure_0"
        or (is_pending(entry) and entry.get("transition-key") not in settled)
    )
