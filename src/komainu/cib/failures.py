"""Count failures, and forget them: fail counts among a node's transient attributes, failed history entries.

Decides what a failed operation adds, and what a cleanup takes away. Must not know what a count leads to.
Source: Pacemaker Explained, "Failure handling": `fail-count-RSC#OP_INTERVAL`, `last-failure-RSC#OP_INTERVAL`;
a failed stop counts INFINITY, a failed start too unless start-failure-is-fatal is false. Probes count nothing.
"""

import re
from collections.abc import Iterable
from typing import Final

from komainu.cib.command import ForgetOperations
from komainu.cib.edits import OWNER_TAGS
from komainu.cib.element import Element
from komainu.cib.history import change_resources, is_failure, is_pending, is_probe
from komainu.cib.nodes import name_of, node_states, update_state
from komainu.cib.options import cluster_option, is_true
from komainu.cib.pairs import set_transient, transient_value
from komainu.cib.tree import replace_child
from komainu.model.ids import NodeName
from komainu.model.operation import OperationResult
from komainu.model.score import INFINITY, Score, add, parse, show

_COUNT_NAME: Final = re.compile(r"(?:fail-count|last-failure)-(?P<resource>.+)#[^#]*$")
_INSTANCE: Final = re.compile(r":\d+$")


def with_counted_failure(cib: Element, result: OperationResult) -> Element:
    """Raise the fail count of a failed operation, and say when it failed last."""
    request = result.request
    if not is_failure(result) or is_probe(request):
        return cib
    suffix = f"{request.resource}#{request.operation}_{request.interval_ms}"
    is_fatal = request.operation == "stop" or (
        request.operation == "start" and is_true(cluster_option(cib, "start-failure-is-fatal"), default=True)
    )
    count = parse(transient_value(cib, request.node, f"fail-count-{suffix}"))
    count = INFINITY if is_fatal else add(count, Score(1))
    cib = set_transient(cib, request.node, f"fail-count-{suffix}", show(count))
    return set_transient(cib, request.node, f"last-failure-{suffix}", str(result.last_change_s))


def without_operations(cib: Element, command: ForgetOperations) -> Element:
    """Forget history and fail counts. What is pending stays: its result is still to come."""
    wanted = None if command.resource is None else _names(cib, command.resource)
    for state in tuple(node_states(cib)):
        node = name_of(state)
        if command.node in {None, node}:
            cib = _without_on(cib, node, wanted, failures_only=command.failures_only)
    return cib


def _without_on(
    cib: Element, node: NodeName, wanted: frozenset[str] | None, *, failures_only: bool
) -> Element:
    def forget(home: Element) -> Element | None:
        if wanted is not None and not _is_one(home.id, wanted):
            return home
        return _without_failures(home) if failures_only else _only_pending(home)

    cib = change_resources(cib, node, forget)
    return update_state(cib, node, lambda state: _without_counts(state, wanted))


def _without_failures(home: Element) -> Element | None:
    """Forget failed entries. When the last operation is one of them the rest is stale: forget it all."""
    failed = [entry for entry in home.children if _is_failed(entry, home.id)]
    if not failed:
        return home
    if any(entry.id == f"{home.id}_last_0" for entry in failed):
        return _only_pending(home)
    kept = tuple(entry for entry in home.children if entry not in failed)
    return home.with_children(kept) if kept else None


def _only_pending(home: Element) -> Element | None:
    kept = tuple(entry for entry in home.children if is_pending(entry))
    return home.with_children(kept) if kept else None


def _is_failed(entry: Element, resource: str) -> bool:
    """Whether an entry records a failure: it is kept as one, or it is not what the plan counted on."""
    if entry.id == f"{resource}_last_failure_0":
        return True
    if is_pending(entry):
        return False
    if entry.get("operation") == "monitor" and entry.get("interval", "0") == "0":
        return entry.get("rc-code") not in {"0", "7", "8"}
    target = (entry.get("transition-key") or "").split(":")
    return entry.get("op-status") != "0" or (len(target) > 2 and target[2] != entry.get("rc-code"))


def _without_counts(state: Element, wanted: frozenset[str] | None) -> Element:
    home = state.first("transient_attributes")
    if home is None:
        return state

    def is_unwanted(pair: Element) -> bool:
        found = _COUNT_NAME.match(pair.get("name") or "")
        return found is not None and (wanted is None or _is_one(found["resource"], wanted))

    blocks = tuple(block.without(is_unwanted) for block in home.children)
    if blocks == home.children:
        return state
    return replace_child(state, home, home.with_children(blocks))


def _is_one(name: str, wanted: frozenset[str]) -> bool:
    return name in wanted or _INSTANCE.sub("", name) in wanted


def _names(cib: Element, resource: str) -> frozenset[str]:
    """Name a resource and, of a group, clone or bundle, all that is in it."""
    section = cib.at("configuration", "resources")
    found: Iterable[Element] = () if section is None else section.walk()
    owner = next((element for element in found if element.id == resource and element.tag in OWNER_TAGS), None)
    members = () if owner is None else tuple(one.id for one in owner.walk() if one.tag in OWNER_TAGS)
    return frozenset({resource, _INSTANCE.sub("", resource), *members})
