"""Put made-up events into a CIB: nodes come and go, operations fail, tickets are lost, constraints are removed.

Used to ask "what if". Each function takes a CIB and returns another; what follows from it is the planner's
business. A name that is not in the CIB is refused, with the nearest that is.
Source: `crm_simulate --help` ("Synthetic Cluster Events", "Operation Specification"), and what Debian's
Pacemaker 2.1.5 writes into the CIB that `--save-input` saves.
Deviates: an unknown node or resource, or an operation nobody has heard of, is refused instead of ignored.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from komainu.cib.element import Element
from komainu.model import score
from komainu.model.report import Refused, Report
from komainu.scheduler import entry as entries
from komainu.scheduler.relations import parse_key
from komainu.scheduler.words import add_scores

UUID: Final = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
"""Stands in the transition keys of made-up results, as in those of `crm_simulate`."""

REASON: Final = "Simulated action result"
TASKS: Final = ("monitor", "start", "stop", "promote", "demote", "migrate_to", "migrate_from", "notify")
CONSTRAINTS: Final = ("rsc_location", "rsc_colocation", "rsc_order", "rsc_ticket")
_LISTED_MAX: Final = 20
"""How many names an error lists; more hide what it says."""
_RESULT_MAX: Final = 255
_NOT_RUNNING: Final = 7  # a probe that finds nothing is no failure
_SPEC: Final = re.compile(r"(?P<key>[^@=\s]+_[a-z_]+_\d+)@(?P<node>[^@=\s]+)=(?P<rc>\d+)$")
_RSC: Final = frozenset({"primitive", "group", "clone", "master", "bundle"})
_UP: Final = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
_DOWN: Final = {"in_ccm": "false", "crmd": "offline", "join": "down", "expected": "down"}
_FAILED: Final = {"in_ccm": "false"}


@dataclass(frozen=True, slots=True)
class Result:
    """How one operation of a resource on a node ended: `web_monitor_10000@a=7`."""

    resource: str
    task: str
    interval_ms: int
    node: str
    rc: int

    @property
    def key(self) -> str:
        """The operation key."""
        return f"{self.resource}_{self.task}_{self.interval_ms}"


def _refuse(code: str, message: str, hint: str) -> Refused:
    return Refused((Report(f"simulate.{code}", message, hint),))


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to a wrong one, or which there are."""
    names = sorted(set(known))
    close = get_close_matches(name, names, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    more = f" and {len(names) - _LISTED_MAX} more" if len(names) > _LISTED_MAX else ""
    return f"there are: {', '.join(names[:_LISTED_MAX])}{more}" if names else "there are none"


def parse_result(text: str) -> Result:
    """Read `RESOURCE_TASK_INTERVAL@NODE=CODE`. Raises Refused when it is none."""
    found = _SPEC.match(text)
    hint = "write RESOURCE_TASK_INTERVAL@NODE=CODE, as in web_monitor_10000@a=7"
    if found is None:
        raise _refuse("operation", f'"{text}" names no operation with its result', hint)
    resource, task, interval_ms = parse_key(found["key"])
    rc = int(found["rc"][:9])
    if task not in TASKS:
        raise _refuse("operation", f'"{task}" is no operation of a resource', nearest(task, TASKS))
    if rc > _RESULT_MAX:
        raise _refuse("operation", f"{rc} is no exit code: they end at {_RESULT_MAX}", hint)
    return Result(resource, task, interval_ms, found["node"], rc)


# -- quorum, options, tickets --------------------------------------------------------------------------


def set_quorum(cib: Element, value: str) -> Element:
    """Say whether the cluster has quorum."""
    return cib.with_attribute("have-quorum", value)


def set_option(cib: Element, name: str, value: str) -> Element:
    """Set a cluster option."""

    def change(section: Element) -> Element:
        kept = section.first("cluster_property_set") or Element(
            "cluster_property_set", {"id": "cib-bootstrap-options"}
        )
        return section.with_child(_with_pair(kept, name, value, f"{kept.id}-{name}"))

    return _edit(cib, ("configuration", "crm_config"), change)


def set_ticket(
    cib: Element, name: str, *, granted: bool | None = None, standby: bool | None = None
) -> Element:
    """Grant or revoke a ticket, make it standby or active."""
    _check_ticket(cib, name)
    words = {None: None, True: "true", False: "false"}

    def change(holder: Element) -> Element:
        state = holder.find(name) or Element("ticket_state", {"id": name})
        for attribute, word in (("granted", words[granted]), ("standby", words[standby])):
            if word is not None:
                state = state.with_attribute(attribute, word)
        return holder.with_child(state)

    return _edit(cib, ("status", "tickets"), change)


def _check_ticket(cib: Element, name: str) -> None:
    constraints = cib.at("configuration", "constraints")
    known = {element.get("ticket") or "" for element in (constraints.walk() if constraints else ())}
    holder = cib.at("status", "tickets")
    known |= {state.id for state in (holder.children if holder else ())}
    if name not in known:
        known.discard("")
        raise _refuse("ticket", f'no resource depends on a ticket "{name}"', nearest(name, known))


# -- nodes ----------------------------------------------------------------------------------------------


def bring_up(cib: Element, name: str) -> Element:
    """Let a node come up; one that is not configured is added."""
    if name not in _nodes(cib):
        node = Element("node", {"id": name, "uname": name})
        cib = _edit(cib, ("configuration", "nodes"), lambda section: section.with_child(node))
    return _edit_state(cib, name, lambda state: _set(state, _UP))


def take_down(cib: Element, name: str) -> Element:
    """Let a node be down, cleanly: nothing is known of it, and nothing runs on it."""
    _check_node(cib, name)
    return _edit_state(cib, name, lambda state: _set(state.with_children(()), _DOWN))


def lose(cib: Element, name: str) -> Element:
    """Let a node disappear with all that runs on it."""
    _check_node(cib, name)
    return _edit_state(cib, name, lambda state: _set(state, _FAILED))


def set_node_attribute(cib: Element, name: str, attribute: str, value: str) -> Element:
    """Set a transient attribute of a node, which wins over a permanent one."""
    _check_node(cib, name)
    return _with_transient(cib, name, {attribute: value})


def _nodes(cib: Element) -> dict[str, str]:
    """Return the names of nodes, remote ones included, with their ids."""
    section = cib.at("configuration", "nodes")
    found = {node.get("uname") or node.id: node.id for node in (section.children if section else ())}
    status = cib.first("status")
    for state in status.all("node_state") if status else ():
        found.setdefault(state.get("uname") or state.id, state.id)
    resources = cib.at("configuration", "resources")
    for element in resources.walk() if resources else ():
        if element.tag == "primitive" and (element.get("provider"), element.get("type")) == (
            "pacemaker",
            "remote",
        ):
            found.setdefault(element.id, element.id)
        if element.tag == "nvpair" and element.get("name") == "remote-node":
            guest = element.get("value") or ""
            found.setdefault(guest, guest)
    return found


def _check_node(cib: Element, name: str) -> None:
    known = _nodes(cib)
    if name not in known:
        raise _refuse("node", f'there is no node "{name}"', nearest(name, known))


def _edit_state(cib: Element, name: str, change: Callable[[Element], Element]) -> Element:
    """Change a node's state, made where there is none."""
    node_id = _nodes(cib).get(name, name)

    def in_status(status: Element) -> Element:
        states = [state for state in status.all("node_state") if name in {state.id, state.get("uname")}]
        state = states[0] if states else Element("node_state", {"id": node_id, "uname": name})
        return status.with_child(change(state))

    return _edit(cib, ("status",), in_status)


def _with_transient(cib: Element, name: str, values: dict[str, str]) -> Element:
    def change(state: Element) -> Element:
        holder = state.first("transient_attributes") or Element("transient_attributes", {"id": state.id})
        pairs = holder.first("instance_attributes") or Element(
            "instance_attributes", {"id": f"status-{state.id}"}
        )
        for attribute, value in values.items():
            pairs = _with_pair(pairs, attribute, value, f"{pairs.id}-{attribute.replace('#', '.')}")
        return state.with_child(holder.with_child(pairs))

    return _edit_state(cib, name, change)


def _transient(cib: Element, name: str, attribute: str) -> str | None:
    status = cib.first("status")
    for state in status.all("node_state") if status else ():
        holder = state.at("transient_attributes", "instance_attributes")
        if name in {state.id, state.get("uname")} and holder is not None:
            return next((p.get("value") for p in holder.children if p.get("name") == attribute), None)
    return None


# -- results of operations ------------------------------------------------------------------------------


def inject(cib: Element, result: Result, now_s: int) -> tuple[Element, tuple[str, ...]]:
    """Let an operation have ended so; return the CIB and a sentence for each attribute that was set.

    Raises Refused when the node or the resource does not exist.
    """
    _check_node(cib, result.node)
    cib, counted = record(cib, result, _agent(cib, result.resource), now_s)
    return cib, describe(cib, result.node, counted)


def record(cib: Element, result: Result, agent: dict[str, str], now_s: int) -> tuple[Element, dict[str, str]]:
    """Write a result into the history of its node, and count it there if it is a failure."""
    counted: dict[str, str] = {}
    if result.rc != 0 and (result.rc != _NOT_RUNNING or result.interval_ms):
        suffix = f"{result.resource}#{result.task}_{result.interval_ms}"
        count = f"fail-count-{suffix}"
        before = _transient(cib, result.node, count)
        counted[count] = score.show(add_scores(int(score.parse(before)), 1))
        counted[f"last-failure-{suffix}"] = str(now_s)
    cib = _edit_state(cib, result.node, lambda state: _with_result(state, result, agent, now_s))
    return (_with_transient(cib, result.node, counted) if counted else cib), counted


def describe(cib: Element, node: str, counted: dict[str, str]) -> tuple[str, ...]:
    """Say which attributes were set, as the field's tool says it."""
    node_id = _nodes(cib).get(node, node)
    return tuple(
        f"  * Injecting attribute {name}={'value++' if name.startswith('fail-count') else text} "
        f"into /node_state '{node_id}'"
        for name, text in counted.items()
    )


def _agent(cib: Element, name: str) -> dict[str, str]:
    """Return class, provider and type of a primitive; a number behind a colon names an instance."""
    section = cib.at("configuration", "resources")
    known: dict[str, Element] = {}
    for element in section.walk() if section else ():
        if element.tag in {"primitive", "template"}:
            known[element.id] = element
        if element.tag in _RSC - {"primitive"} and element.id == name:
            inner = next((e.id for e in element.walk() if e.tag == "primitive"), "")
            raise _refuse(
                "resource",
                f'"{name}" is a {element.tag}: only what is in it runs operations',
                f'name what is in it, such as "{inner}"',
            )
    bare, colon, number = name.rpartition(":")
    found = known.get(name) or (known.get(bare) if colon and number.isdigit() else None)
    if found is None:
        found = _in_history(cib, name)
    if found is None:
        raise _refuse("resource", f'there is no resource "{name}"', nearest(name, known))
    template = known.get(found.get("template") or "")
    source = found if template is None else template
    return {key: value for key in ("class", "provider", "type") if (value := source.get(key))}


def _in_history(cib: Element, name: str) -> Element | None:
    status = cib.first("status")
    return next(
        (e for e in (status.walk() if status else ()) if e.tag == "lrm_resource" and e.id == name), None
    )


def _with_result(state: Element, result: Result, agent: dict[str, str], now_s: int) -> Element:
    lrm = state.first("lrm") or Element("lrm", {"id": state.id})
    holder = lrm.first("lrm_resources") or Element("lrm_resources")
    history = holder.find(_history_name(holder, result.resource)) or Element(
        "lrm_resource", {"id": result.resource, **agent}
    )
    call = 1 + max((entries.parse(op).call_id for op in history.all("lrm_rsc_op")), default=0)
    kept = history
    for entry in _entries(result, history.id, call, now_s):
        before = history.find(entry.id)
        digest = None if before is None else before.get("op-digest")
        kept = kept.with_child(entry if digest is None else entry.with_attribute("op-digest", digest))
    return state.with_child(lrm.with_children(_put(lrm, holder.with_child(kept))))


def _put(parent: Element, child: Element) -> tuple[Element, ...]:
    """Put a child in the place of the first one with its tag."""
    tags = [other.tag for other in parent.children]
    if child.tag not in tags:
        return (*parent.children, child)
    index = tags.index(child.tag)
    return (*parent.children[:index], child, *parent.children[index + 1 :])


def _history_name(holder: Element, name: str) -> str:
    """Return the name under which the history has a resource: with or without an instance's number."""
    if holder.find(name) is not None:
        return name
    bare, colon, number = name.rpartition(":")
    return bare if colon and number.isdigit() and holder.find(bare) is not None else name


def _entries(result: Result, name: str, call: int, now_s: int) -> list[Element]:
    """Write the entries of a result: the operation's last one, and that of the last failure."""
    key = f"{call}:-1:0:{UUID}"
    values = {
        "operation_key": f"{name}_{result.task}_{result.interval_ms}",
        "operation": result.task,
        "transition-key": key,
        "transition-magic": f"0:{result.rc};{key}",
        "on_node": result.node,
        "exit-reason": REASON if result.rc else "",
        "call-id": str(call),
        "rc-code": str(result.rc),
        "op-status": "0",
        "interval": str(result.interval_ms),
        "last-rc-change": str(now_s),
    }
    keeps_own = result.interval_ms or result.task in {"migrate_to", "migrate_from"}
    own = f"{name}_{result.task}_{result.interval_ms}" if keeps_own else f"{name}_last_0"
    found = []
    if not (result.interval_ms and result.rc):
        found.append(Element("lrm_rsc_op", {"id": own, **values}))
    if result.rc:
        found.append(Element("lrm_rsc_op", {"id": f"{name}_last_failure_0", **values}))
    return found


# -- the configuration ----------------------------------------------------------------------------------


def remove_constraint(cib: Element, name: str) -> Element:
    """Remove a constraint."""
    section = cib.at("configuration", "constraints")
    known = [element.id for element in (section.children if section else ()) if element.tag in CONSTRAINTS]
    if name not in known:
        raise _refuse("constraint", f'there is no constraint "{name}"', nearest(name, known))
    return _edit(cib, ("configuration", "constraints"), lambda kept: kept.without(lambda e: e.id == name))


def add_preference(cib: Element, resource: str, node: str, score: str) -> Element:
    """Let a resource like a node, by a location constraint that is newer than all others."""
    constraint = Element(
        "rsc_location",
        {"id": f"what-if-{resource}-{node}", "rsc": resource, "node": node, "score": score},
    )
    return _edit(cib, ("configuration", "constraints"), lambda kept: kept.with_child(constraint))


def _set(element: Element, values: dict[str, str]) -> Element:
    for name, text in values.items():
        element = element.with_attribute(name, text)
    return element


def _with_pair(holder: Element, name: str, value: str, new_id: str) -> Element:
    """Set a name-value pair in a set of them."""
    pair = next((p for p in holder.all("nvpair") if p.get("name") == name), None)
    pair = pair or Element("nvpair", {"id": new_id, "name": name})
    return holder.with_child(pair.with_attribute("value", value))


def _edit(parent: Element, path: tuple[str, ...], change: Callable[[Element], Element]) -> Element:
    """Change the element at a path below another; what is missing on the way is made."""
    if not path:
        return change(parent)
    child = parent.first(path[0]) or Element(path[0])
    changed = _edit(child, path[1:], change)
    return parent.with_children(_put(parent, changed))
