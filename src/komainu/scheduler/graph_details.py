"""Say of an action in the graph what its carrier has to know: names, parameters, meta attributes.

Used alike by the plan for the controller and by the text of the graph, so that both say the same.
Source: OCF resource agent API; Pacemaker's transition graph and its CRM_meta attributes.
"""

import re
from typing import Final

from komainu.scheduler import operations, tree
from komainu.scheduler.digests import HOST_ADDRESS
from komainu.scheduler.history import base_name
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.words import Kind

_INSTANCE: Final = re.compile(r":(\d+)$")


def history_name(rsc: Resource) -> str:
    """Return the name under which the history knows (or will know) the resource."""
    return rsc.history_name or rsc.id


def operation_key(action: Action) -> str:
    """Return the key under which the action is carried out: with the name that the history knows."""
    rsc = action.resource
    if rsc is None or rsc.history_name is None or rsc.history_name == rsc.id:
        return action.key
    if action.task == "notify":
        kind, operation = action.meta.get("notify_type"), action.meta.get("notify_operation")
        return f"{rsc.history_name}_{kind}_notify_{operation}_0"
    task = action.task if action.cancels is None else action.cancels[0]
    return f"{rsc.history_name}_{task}_{action.interval_ms}"


def run_name(rsc: Resource) -> str:
    """Return the name that the agent is given: of interchangeable instances the name without number."""
    if rsc.removed and rsc.history_name is not None:
        return rsc.history_name
    return rsc.id if rsc.unique else base_name(rsc.id)


def long_name(rsc: Resource) -> str | None:
    """Return the instance's own name, where it differs from what the agent is given."""
    if rsc.unique and not (rsc.removed and rsc.history_name is not None):
        return None
    if rsc.removed and rsc.history_name is not None:
        return rsc.id
    return rsc.history_name if rsc.history_name not in {None, rsc.id, base_name(rsc.id)} else rsc.id


def parameters(job: Job, action: Action) -> dict[str, str]:
    """Return what the agent is given: the operation's own parameters, then the resource's."""
    rsc = action.resource
    if rsc is None:
        return {}
    node = action.node
    attributes = None if node is None else node.attributes
    values = dict(operations.own_parameters(job, rsc, action.config, attributes))
    if node is not None or not rsc.is_collective:
        key = None if node is None else (node.id, node.attributes)
        for name, text in operations.parameters(job, rsc, key).items():
            values.setdefault(name, text)
    if rsc.is_remote_connection and values.get("addr") == HOST_ADDRESS and rsc.launcher is not None:
        host = rsc.launcher.assigned_to or tree.current_node(rsc.launcher)
        if host is not None:
            values["addr"] = host.name
    address = _external_address(rsc)
    if address is not None:
        values["pcmk_external_ip"] = address
    return values


def _external_address(rsc: Resource) -> str | None:
    """Return the address under which the outside reaches what runs in a bundle's replica."""
    bundle = None if rsc.bundle_owner is None else rsc.bundle_owner.bundle
    replicas = () if bundle is None else bundle.replicas
    return next((replica.ip_address for replica in replicas if replica.child is rsc), None)


def meta(action: Action) -> dict[str, str]:
    """Return the CRM_meta attributes without prefix, with `_` for `-`."""
    values = dict(action.meta)
    if action.cancels is not None:
        task, interval_ms, call_id = action.cancels
        values["operation"] = task
        values["interval"] = str(interval_ms)
        if call_id is not None:
            values["call-id"] = call_id
    node = action.node
    if node is not None and not (action.is_pseudo and action.task != "stonith"):
        values["on_node"] = node.name
        values["on_node_uuid"] = node.id
    rsc = action.resource
    here = rsc
    while here is not None:
        _add_resource_meta(here, values)
        here = here.parent
    if rsc is not None and node is not None:
        _add_host(rsc, node, action, values)

    return {
        name.replace("-", "_"): text
        for name, text in values.items()
        if not name.startswith("#") and "#" not in name and ":" not in name
    }


def _add_resource_meta(rsc: Resource, values: dict[str, str]) -> None:
    clone = rsc.clone
    if clone is not None:
        values["globally-unique"] = "true" if rsc.unique else "false"
        values["notify"] = "true" if rsc.notify else "false"
        values["clone-max"] = str(clone.maximum)
        values["clone-node-max"] = str(clone.per_node)
        if rsc.is_promotable or rsc.xml_is_promotable:
            for prefix in ("promoted", "master"):
                values[f"{prefix}-max"] = str(clone.promoted_max)
                values[f"{prefix}-node-max"] = str(clone.promoted_per_node)
        return
    number = _INSTANCE.search(rsc.id)
    if number and rsc.kind is Kind.PRIMITIVE and rsc.parent is not None:
        values["clone"] = number[1]
    if rsc.launcher is not None:
        values["container"] = rsc.launcher.id
    if "remote-node" in rsc.meta:
        values["remote-node"] = rsc.meta["remote-node"]


def _add_host(rsc: Resource, node: Node, action: Action, values: dict[str, str]) -> None:
    """Tell an action on a guest where its host is."""
    launcher = node.connection.launcher if node.connection is not None else None
    if not node.is_guest or launcher is None or action.task in {"cancel", "delete", "clear_failcount"}:
        return
    task = action.meta.get("notify_operation", "") if action.task == "notify" else action.task
    goes_down = task in {"stop", "stopped", "demote", "demoted"}
    host = tree.current_node(launcher) if goes_down else launcher.assigned_to
    if host is not None:
        target = rsc.meta.get("container-attribute-target")
        if target is not None:
            values["container-attribute-target"] = target
        values["physical-host"] = host.name
