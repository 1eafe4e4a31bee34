"""Write a transition graph as text: the field's XML, and the dot form for pictures.

Source: Pacemaker's transition graph (`crm_simulate --save-graph`, `--save-dotfile`).
"""

import re
from xml.sax.saxutils import quoteattr

from komainu.scheduler import graph_details, routes, tree
from komainu.scheduler.graph import Graph, Synapse
from komainu.scheduler.job import Action, Job, Node

_PSEUDO = "pseudo_event"
_TO_ESCAPE = re.compile('[&<>"\n\r\t]')


def write(job: Job, graph: Graph) -> str:
    """Write the graph as XML."""
    options = job.options
    fatal = "INFINITY" if options.start_failure_is_fatal else "1"
    header = {
        "cluster-delay": options.cluster_delay,
        "fencing-timeout": options.fencing_timeout,
        "failed-stop-offset": "INFINITY",
        "failed-start-offset": fatal,
        "batch-limit": str(options.batch_limit),
        "transition_id": "1",
    }
    if options.migration_limit > 0:
        header["migration-limit"] = str(options.migration_limit)
    if job.recheck_at_s is not None:
        header["recheck-by"] = str(job.recheck_at_s)
    if not graph.synapses:
        return f"<transition_graph{_attributes(header)}/>\n"
    lines = [f"<transition_graph{_attributes(header)}>"]
    known: dict[int, str] = {}
    for number, synapse in enumerate(graph.synapses):
        lines += _synapse(job, number, synapse, known)
    lines.append("</transition_graph>")
    return "\n".join(lines) + "\n"


def _attributes(values: dict[str, str]) -> str:
    if _TO_ESCAPE.search("".join(values.values())):
        return "".join([f" {name}={quoteattr(text)}" for name, text in values.items()])
    return "".join([f' {name}="{text}"' for name, text in values.items()])


def _synapse(job: Job, number: int, synapse: Synapse, known: dict[int, str]) -> list[str]:
    """Write one synapse; `known` has the actions that were named as inputs before, by their numbers."""
    priority = f' priority="{synapse.priority}"' if synapse.priority > 0 else ""
    lines = [f'  <synapse id="{number}"{priority}>', "    <action_set>"]
    lines += _whole(job, synapse.action)
    lines.append("    </action_set>")
    if not synapse.inputs:
        return [*lines, "    <inputs/>", "  </synapse>"]
    lines.append("    <inputs>")
    for first in synapse.inputs:
        if first.number not in known:
            tag, values = identity(first)
            known[first.number] = f"        <{tag}{_attributes(values)}/>"
        lines += ["      <trigger>", known[first.number], "      </trigger>"]
    return [*lines, "    </inputs>", "  </synapse>"]


def tag_of(action: Action) -> str:
    """Say who carries an action out."""
    if action.task == "stonith":
        return _PSEUDO if action.is_pseudo else "crm_event"
    if action.task in {"do_shutdown", "clear_failcount", "lrm_delete"} or (
        action.task == "probe_complete" and action.resource is None
    ):
        return "crm_event" if action.task != "probe_complete" else "rsc_op"
    return _PSEUDO if action.is_pseudo else "rsc_op"


def identity(action: Action) -> tuple[str, dict[str, str]]:
    """Return an action's element and the attributes by which it is known."""
    tag = tag_of(action)
    values: dict[str, str] = {}
    if action.task == "lrm_delete":
        values["mode"] = "cib"
    values["id"] = str(action.number)
    values["operation"] = action.task
    key = graph_details.operation_key(action)
    values["operation_key"] = key
    if key != action.key:
        values["internal_operation_key"] = action.key
    has_node = tag != _PSEUDO or action.task == "stonith"
    if has_node and action.node is not None:
        values["on_node"] = action.node.name
        values["on_node_uuid"] = action.node.id
        router = routes.router(action)
        if router is not None:
            values["router_node"] = router.name
    rsc = action.resource
    if rsc is not None and rsc.lock_time and action.task in {"start", "stop"} and not action.is_pseudo:
        values["shutdown-lock"] = str(rsc.lock_time)
    return tag, values


def _whole(job: Job, action: Action) -> list[str]:
    tag, values = identity(action)
    lines = [f"      <{tag}{_attributes(values)}>"]
    rsc = action.resource
    if rsc is not None and not action.is_pseudo:
        about = {"id": graph_details.run_name(rsc)}
        long_name = graph_details.long_name(rsc)
        if long_name is not None:
            about["long-id"] = long_name
        for name in ("class", "provider", "type"):
            text = rsc.xml.get(name)
            if text is not None:
                about[name] = text
        lines.append(f"        <primitive{_attributes(about)}/>")
    lines += _details(job, action)
    lines += _downed(job, action)
    lines += _maintenance(job, action)
    return [*lines, f"      </{tag}>"]


def _details(job: Job, action: Action) -> list[str]:
    values = {f"CRM_meta_{name}": text for name, text in graph_details.meta(action).items()}
    numbered: dict[str, str] = {}
    for name, text in graph_details.parameters(job, action).items():
        if name[:1].isdigit():
            numbered[name] = text
        else:
            values.setdefault(name, text)
    ordered = {name: values[name] for name in sorted(values)}
    if not numbered:
        return [f"        <attributes{_attributes(ordered)}/>"]
    lines = [f"        <attributes{_attributes(ordered)}>"]
    lines += [
        f"          <param{_attributes({'name': name, 'value': numbered[name]})}/>"
        for name in sorted(numbered)
    ]
    return [*lines, "        </attributes>"]


def downed_nodes(job: Job, action: Action) -> list[Node]:
    """Return the nodes that an action is expected to take down."""
    node, rsc = action.node, action.resource
    if node is not None and action.task == "do_shutdown":
        return [node]
    if node is not None and action.task == "stonith":
        if action.meta.get("stonith_action") not in {"off", "reboot", "poweroff"}:
            return []
        return [node, *tree.guests_of(job, node)]
    if rsc is not None and rsc.is_remote_connection and action.task == "stop" and not action.is_pseudo:
        migrates = any(
            r.action.resource is rsc and r.action.task == "migrate_from" and r.flags for r in action.before
        )
        remote = job.node_by_name.get(rsc.id)
        return [] if migrates or remote is None else [remote]
    return []


def _downed(job: Job, action: Action) -> list[str]:
    nodes = downed_nodes(job, action)
    if not nodes:
        return []
    inner = [f"          <node{_attributes({'id': node.id})}/>" for node in nodes]
    return ["        <downed>", *inner, "        </downed>"]


def _maintenance(job: Job, action: Action) -> list[str]:
    if action.task != "maintenance_nodes":
        return []
    lines = ["        <maintenance>"]
    for node in job.nodes:
        if node.is_remote and node.maintenance != node.remote_maintenance:
            values = {"id": node.id, "node_in_maintenance": "1" if node.maintenance else "0"}
            lines.append(f"          <node{_attributes(values)}/>")
    return [*lines, "        </maintenance>"]


# -- dot ------------------------------------------------------------------------------------------------


def label(action: Action) -> str:
    """Name an action in the dot form and in the field's debugging output."""
    node = f" {action.node.name}" if action.node is not None else "" if action.is_pseudo else " <none>"
    if action.task == "stonith":
        return f"stonith '{action.meta.get('stonith_action')}'{node}"
    if action.task == "cancel":
        return (
            f"Cancel {action.key}{node}"
            if action.resource is None
            else f"Cancel {graph_details.operation_key(action)}{node}"
        )
    rsc = action.resource
    if rsc is not None and rsc.history_name is not None and action.task in {"notify", "notified"}:
        about = f"{action.meta.get('notify_key_type')}_notify_{action.meta.get('notify_key_operation')}"
        return f"{rsc.history_name}_{about}_0{node}"
    if rsc is not None:
        return f"{graph_details.operation_key(action)}{node}"
    return f"{action.task}{node}" if action.node is not None else action.key


def _is_left_alone(action: Action) -> bool:
    return action.resource is not None and not action.resource.managed


def write_dot(job: Job, graph: Graph, *, shows_optional: bool = False) -> str:
    """Write the graph for `dot`: what is carried out bold, what cannot run (or need not) dashed."""
    lines = [' digraph "g" {']
    drawn: set[int] = set()
    body: set[str] = set()
    for action in job.actions:
        font, style, colour = "orange" if action.is_pseudo else "black", "dashed", "black"
        if action.is_dumped:
            style, colour = "bold", "green"
        elif not shows_optional and (action.is_optional or _is_left_alone(action)):
            continue
        elif _is_left_alone(action):
            colour, font = "red", "purple"
        elif action.is_optional:
            colour = "blue"
        else:
            colour = "red"
        drawn.add(action.number)
        body.add(f'"{label(action)}" [ style={style} color="{colour}" fontcolor="{font}"]')
    for action in job.actions:
        for relation in action.before:
            first = relation.action
            if (first.number, action.number) in graph.edges:
                style = "bold"
            elif (
                not relation.flags
                or first.number not in drawn
                or action.number not in drawn
                or (first.is_dumped and action.is_dumped)
            ):
                continue
            else:
                style = "dashed"
            body.add(f'"{label(first)}" -> "{label(action)}" [ style = {style}]')
    return "\n".join([*lines, *sorted(body), "}"]) + "\n"
