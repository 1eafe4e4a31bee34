"""Choose, of all actions, those that are really to be carried out, each with what it waits for.

Decides nothing new: an action is in when it is demanded, can run and has somebody to run it.
Source: Pacemaker's transition graph.
"""

from dataclasses import dataclass, field
from operator import attrgetter

from komainu.scheduler import notify, remote_actions
from komainu.scheduler.job import Action, Job, Relation, Resource
from komainu.scheduler.words import Flag, Kind, Rel

_WITHOUT_EFFECT = Rel.ORDERED | Rel.THEN_IMPLIES_FIRST_GRAPHED | Rel.FIRST_IMPLIES_THEN_GRAPHED


@dataclass(eq=False, slots=True)
class Synapse:
    """One action of the graph and the inputs that must be confirmed before it fires."""

    action: Action
    priority: int
    inputs: list[Action]


@dataclass(eq=False, slots=True)
class Graph:
    """A transition: its synapses in the order in which they are looked at, and its bold edges."""

    synapses: list[Synapse] = field(default_factory=list)
    edges: set[tuple[int, int]] = field(default_factory=set)  # numbers of input and action


def build(job: Job) -> Graph:
    """Build the graph: resources in their order, then what belongs to no resource, newest first."""
    graph = Graph()
    notify.create_all(job)
    for rsc in job.resources:
        _add_resource(graph, rsc)
    remote_actions.note_maintenance(job)
    for action in reversed(job.actions):
        _add(graph, action)
    return graph


def _add_resource(graph: Graph, rsc: Resource) -> None:
    if rsc.kind is Kind.CLONE or rsc.kind is Kind.BUNDLE:
        for action in reversed(rsc.actions):
            rsc.variant.action_flags(action, None)  # settles what the instances decided last
        for child in _graph_order(rsc):
            _add_resource(graph, child)
        if rsc.kind is Kind.BUNDLE:
            return  # its own points of order come with what belongs to no resource
        for action in reversed(rsc.actions):
            _add(graph, action)
        return
    for action in reversed(rsc.actions):
        _add(graph, action)
    for child in rsc.children:
        _add_resource(graph, child)


def _graph_order(rsc: Resource) -> list[Resource]:
    if rsc.bundle is None:
        return rsc.children
    parts: list[Resource | None] = [rsc.bundle.child]
    for replica in rsc.bundle.replicas:
        parts += [replica.ip, replica.container, replica.connection]
    return [part for part in parts if part is not None]


def _add(graph: Graph, action: Action) -> None:
    if not action.seen:
        action.seen = True
        _merge_inputs(action)
    if action.is_dumped or not belongs(action):
        return
    action.is_dumped = True
    rsc_priority = 0 if action.resource is None else _priority_of(action.resource)
    synapse = Synapse(action, max(rsc_priority, action.priority), [])
    graph.synapses.append(synapse)
    for relation in action.before:
        if holds(action, relation):
            synapse.inputs.append(relation.action)
            graph.edges.add((relation.action.number, action.number))


def _priority_of(rsc: Resource) -> int:
    """An instance's own rank is for the choice only; a member keeps what its colocations made of it."""
    is_member = rsc.parent is not None and rsc.parent.kind is Kind.GROUP
    return rsc.promotion_priority if is_member else rsc.priority


def _merge_inputs(action: Action) -> None:
    """Make one input of several relations with the same first action, in the order of their numbers."""
    if len(action.before) < 2:
        return
    merged: dict[int, Relation] = {}
    for relation in sorted(action.before, key=_first_number):
        known = merged.setdefault(relation.action.number, relation)
        known.flags |= relation.flags
    action.before = list(merged.values())


_first_number = attrgetter("action.number")


def belongs(action: Action) -> bool:
    """Tell whether an action is to be carried out."""
    if not action.is_runnable or (action.is_optional and not action.is_forced_into_graph):
        return False
    rsc = action.resource
    if rsc is not None and not rsc.managed and action.task != "monitor" and not action.interval_ms:
        return False
    if action.is_pseudo or action.task in {"stonith", "do_shutdown"}:
        return True
    node = action.node
    if node is None:
        return False
    if action.is_on_dc or (node.is_guest and not node.reset_needed):
        return True
    return node.is_clean_online


def holds(action: Action, relation: Relation) -> bool:
    """Tell whether a relation holds, as far as its two actions are concerned."""
    first, flags = relation.action, relation.flags
    if flags == 0:
        return False
    if not first.is_runnable and (
        not flags & ~_WITHOUT_EFFECT or flags & (Rel.MIN_RUNNABLE | Rel.UNMIGRATABLE_THEN_BLOCKS)
    ):
        return False
    if flags & Rel.IF_FIRST_UNMIGRATABLE and first.flags & Flag.MIGRATABLE:
        return False
    if flags == Rel.ORDERED and first.flags & Flag.MIGRATABLE and first.key.endswith("_stop_0"):
        # What is only moved is not missed by others; but the way to where it was must stay until it is cleared.
        way = None if first.node is None else first.node.connection
        return way is not None and way is action.resource
    if flags == Rel.IF_ON_SAME_NODE_OR_TARGET:
        return _is_load_input(action, relation)
    if flags == Rel.IF_REQUIRED_ON_SAME_NODE:
        are_apart = first.node is not None and action.node is not None and first.node is not action.node
        if are_apart or first.is_optional:
            relation.flags = 0
            return False
    elif _is_ignored_failure(action, first) or (
        first.is_optional and not first.is_forced_into_graph and not first.is_dumped and not belongs(first)
    ):
        return False
    return True


def _is_load_input(action: Action, relation: Relation) -> bool:
    first = relation.action
    rsc = action.resource
    target = action.node
    if rsc is not None and action.task == "migrate_to":
        target = rsc.assigned_to
    if first.node is not target or (action.task != "migrate_to" and first.is_optional):
        relation.flags = 0
        return False
    return True


def _is_ignored_failure(action: Action, first: Action) -> bool:
    """A failed stop that nobody will repeat does not hold up a clone."""
    rsc = first.resource
    return (
        rsc is not None
        and rsc is not action.resource
        and rsc.failed
        and not rsc.managed
        and first.key.endswith("_stop_0")
        and action.resource is not None
        and action.resource.kind is Kind.CLONE
    )
