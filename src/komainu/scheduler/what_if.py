"""Say what a change would make different: read the change, apply it, and compare the plans without and with it.

Changes are made by injection.py, plans by the recipe; here they are only put side by side. Knows no file.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from komainu.cib.element import Element
from komainu.model.cause import Cause
from komainu.model.ids import NodeName, ResourceId
from komainu.model.report import Refused, Report
from komainu.model.role import Role
from komainu.scheduler import graph_details, injection, recipe, summary
from komainu.scheduler.injection import Result, nearest
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.reasons import Reasons
from komainu.scheduler.rehearse import Rehearsal

FORMS: Final = (
    "node lost NODE",
    "node down NODE",
    "node up NODE",
    "resource failed RESOURCE [on NODE]",
    "constraint removed ID",
    "attribute NAME=VALUE on NODE",
    "option NAME=VALUE",
    "ticket revoked TICKET",
    "ticket granted TICKET",
    "quorum lost",
)
_UNWATCHED_MS: Final = 10_000
"""The interval of the monitor that is made up where a resource has none."""
_NOT_RUNNING: Final = 7


@dataclass(frozen=True, slots=True)
class Changed:
    """A CIB after a change, and the change as a sentence's condition: "node b were lost"."""

    cib: Element
    text: str


_Apply = Callable[[Element, re.Match[str], int], Changed]


def apply(cib: Element, text: str, now_s: int) -> Changed:
    """Apply a change that is written in one of the FORMS. Raises Refused."""
    for pattern, change in _CHANGES:
        found = pattern.fullmatch(text.strip())
        if found is not None:
            return change(cib, found, now_s)
    hint = "write one of: " + "; ".join(FORMS)
    raise Refused((Report("simulate.what-if", f'"{text}" is no change', hint),))


def _node_lost(cib: Element, found: re.Match[str], _now_s: int) -> Changed:
    return Changed(injection.lose(cib, found[1]), f"node {found[1]} were lost")


def _node_down(cib: Element, found: re.Match[str], _now_s: int) -> Changed:
    return Changed(injection.take_down(cib, found[1]), f"node {found[1]} were down, cleanly")


def _node_up(cib: Element, found: re.Match[str], _now_s: int) -> Changed:
    return Changed(injection.bring_up(cib, found[1]), f"node {found[1]} were up")


def _constraint_removed(cib: Element, found: re.Match[str], _now_s: int) -> Changed:
    return Changed(injection.remove_constraint(cib, found[1]), f"there were no constraint {found[1]}")


def _attribute_set(cib: Element, found: re.Match[str], _now_s: int) -> Changed:
    name, value, node = found.groups()
    return Changed(injection.set_node_attribute(cib, node, name, value), f"{name} were {value} on {node}")


def _option_set(cib: Element, found: re.Match[str], _now_s: int) -> Changed:
    name, value = found.groups()
    return Changed(injection.set_option(cib, name, value), f"the option {name} were {value}")


def _ticket_moved(cib: Element, found: re.Match[str], _now_s: int) -> Changed:
    granted = found[1] == "granted"
    return Changed(injection.set_ticket(cib, found[2], granted=granted), f"ticket {found[2]} were {found[1]}")


def _quorum_lost(cib: Element, _found: re.Match[str], _now_s: int) -> Changed:
    return Changed(injection.set_quorum(cib, "0"), "quorum were lost")


def _resource_failed(cib: Element, found: re.Match[str], now_s: int) -> Changed:
    job = recipe.read(cib, now_s, is_simulated=True)
    rsc, node = _active(job, found[1], found[2])
    name = rsc.history_name or graph_details.run_name(rsc)
    ops = job.entries(node.name, name)
    watching = [op.interval_ms for op in ops if op.task == "monitor" and op.interval_ms]
    result = Result(name, "monitor", watching[-1] if watching else _UNWATCHED_MS, node.name, _NOT_RUNNING)
    changed, _ = injection.inject(cib, result, now_s)
    return Changed(changed, f"{found[1]} had failed on {node.name}")


def _active(job: Job, name: str, node_name: str | None) -> tuple[Resource, Node]:
    """Find the one place where a resource is active that is meant. Raises Refused."""
    parts = [part for top in job.resources for part in top.primitives()]
    meant = [part for part in parts if name in {part.id, graph_details.run_name(part)}]
    if not meant:
        known = [graph_details.run_name(part) for part in parts]
        raise _refused(f'there is no resource "{name}" that runs an agent', nearest(name, known))
    places = [(part, node) for part in meant for node in part.active]
    if node_name is not None:
        places = [(part, node) for part, node in places if node.name == node_name]
    if len(places) > 1:
        where = ", ".join(node.name for _, node in places)
        raise _refused(f"{name} is active on {where}", f"say which: resource failed {name} on NODE")
    if not places:
        where = "" if node_name is None else f" on {node_name}"
        active = ", ".join(sorted({node.name for part in meant for node in part.active})) or "nowhere"
        raise _refused(f"{name} is not active{where}, so it cannot fail there", f"it is active: {active}")
    return places[0]


def _refused(message: str, hint: str) -> Refused:
    return Refused((Report("simulate.what-if", message, hint),))


_CHANGES: Final[tuple[tuple[re.Pattern[str], _Apply], ...]] = (
    (re.compile(r"node lost (\S+)"), _node_lost),
    (re.compile(r"node down (\S+)"), _node_down),
    (re.compile(r"node up (\S+)"), _node_up),
    (re.compile(r"resource failed (\S+)(?: on (\S+))?"), _resource_failed),
    (re.compile(r"constraint removed (\S+)"), _constraint_removed),
    (re.compile(r"attribute ([^\s=]+)=(\S*) on (\S+)"), _attribute_set),
    (re.compile(r"option ([^\s=]+)=(\S*)"), _option_set),
    (re.compile(r"ticket (revoked|granted) (\S+)"), _ticket_moved),
    (re.compile(r"quorum lost"), _quorum_lost),
)


# -- the comparison -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ResourceDifference:
    """A resource to which other things happen: where it is now, where it would be, and with the change.

    The reasons say what is done with it; they are empty where nothing is.
    """

    resource: ResourceId
    now: tuple[str, ...]
    without: tuple[str, ...]
    with_change: tuple[str, ...]
    reason_without: str
    reason: str


@dataclass(frozen=True, slots=True)
class NodeDifference:
    """A node that is fenced (or let go) in only one of the plans."""

    node: NodeName
    only_with_change: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What is different between two plans. Actions are named as `start web on b`, in the order of their doing."""

    condition: str
    resources: tuple[ResourceDifference, ...]
    nodes: tuple[NodeDifference, ...]
    no_longer: tuple[str, ...]
    instead: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both plans are the same."""
        return not (self.resources or self.nodes or self.no_longer or self.instead)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One plan, carried out on paper: what was done, why, and where everything was before and after."""

    now: dict[str, tuple[str, ...]]
    then: dict[str, tuple[str, ...]]
    reasons: dict[str, str]
    nodes: dict[NodeName, Cause]
    actions: tuple[str, ...]


def _play(cib: Element, now_s: int) -> _Outcome:
    job = recipe.read(cib, now_s, is_simulated=True)
    now = _places(job)
    graph = recipe.schedule(job)
    changes = summary.changes(job)
    why = Reasons(job, changes)
    rehearsal = Rehearsal(job, graph, cib)
    rehearsal.run()
    then = _places(recipe.read(rehearsal.cib, now_s, is_simulated=True))
    touched = {graph_details.run_name(c.resource) for c in changes if c.resource is not None}
    return _Outcome(
        now,
        then,
        {name: why.of_resource(ResourceId(name)) for name in touched},
        dict(why.node_causes(graph)),
        tuple(dict.fromkeys(_name(action) for action in rehearsal.done if _is_real(action))),
    )


def compare(cib: Element, changed: Changed, now_s: int) -> Difference:
    """Plan without and with a change; return the difference."""
    without, with_change = _play(cib, now_s), _play(changed.cib, now_s)
    found = []
    for name in dict.fromkeys((*without.then, *with_change.then)):
        places = [outcome.then.get(name, ()) for outcome in (without, with_change)]
        reasons = [outcome.reasons.get(name, "") for outcome in (without, with_change)]
        if places[0] != places[1] or reasons[0] != reasons[1]:
            now = without.now.get(name, ())
            found.append(ResourceDifference(ResourceId(name), now, places[0], places[1], *reasons))
    return Difference(
        changed.text,
        tuple(found),
        _nodes(without, with_change),
        tuple(name for name in without.actions if name not in with_change.actions),
        tuple(name for name in with_change.actions if name not in without.actions),
    )


def _places(job: Job) -> dict[str, tuple[str, ...]]:
    """Say of each resource that an agent runs where it is; instances of a clone count as one."""
    found: dict[str, list[str]] = {}
    for top in job.resources:
        for rsc in top.primitives():
            places = found.setdefault(graph_details.run_name(rsc), [])
            places += [_place(node, rsc.role) for node in rsc.active if node.online or node.unclean]
    return {name: tuple(sorted(places)) for name, places in found.items()}


def _place(node: Node, role: Role) -> str:
    return f"{node.name} ({role.label})" if role in {Role.PROMOTED, Role.UNPROMOTED} else node.name


def _is_real(action: Action) -> bool:
    """Tell whether somebody carries an action out whom an administrator cares for."""
    return not action.is_pseudo and action.task != "notify"


def _name(action: Action) -> str:
    where = "" if action.node is None else f" on {action.node.name}"
    if action.task == "stonith" and action.node is not None:
        return f"fence {action.node.name} ({action.meta.get('stonith_action')})"
    if action.resource is None:
        return f"{action.task}{where}"
    every = f" every {action.interval_ms} ms" if action.interval_ms else ""
    return f"{action.task} {graph_details.run_name(action.resource)}{every}{where}"


def _nodes(without: _Outcome, with_change: _Outcome) -> tuple[NodeDifference, ...]:
    before, after = without.nodes, with_change.nodes
    only = [NodeDifference(node, True, cause.text) for node, cause in after.items() if node not in before]
    gone = [NodeDifference(node, False, cause.text) for node, cause in before.items() if node not in after]
    return (*only, *gone)
