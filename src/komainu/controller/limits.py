"""Decide whether one more operation may begin beside those that are under way.

Knows nothing of the graph, nor of what makes a limit: it is given numbers and counts. Only what runs an agent is
counted: a fencing, a release or a note in the state never waits. Each limit is at least one, so that where nothing
runs the next one may: limits alone never stop a transition.
Source: Pacemaker Explained, "Cluster Options": batch-limit, node-action-limit, migration-limit. A live migration is work
for both of its nodes, so it counts on both.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from komainu.model.ids import NodeName
from komainu.model.plan import Action, ActionKind

_MIGRATIONS: Final = frozenset({"migrate_to", "migrate_from"})
_ENDS: Final = ("migrate_source", "migrate_target")


@dataclass(frozen=True, slots=True)
class NodeLimit:
    """How many operations one node takes at a time."""

    count: int
    because: str = ""  # why it is lower than usual


@dataclass(frozen=True, slots=True)
class Limits:
    """How many operations may be under way at one time; None: any number."""

    cluster: int | None = None
    nodes: Mapping[NodeName, NodeLimit] = field(default_factory=dict)
    elsewhere: NodeLimit | None = None  # on a node that is not among `nodes`
    migrations: int | None = None  # on one node


ANY_NUMBER: Final = Limits()


@dataclass(frozen=True, slots=True)
class Lane:
    """What an action is to the limits. All actions of one lane wait for the same."""

    nodes: tuple[NodeName, ...]  # those that it is work for
    is_counted: bool = True
    is_migration: bool = False


_FREE: Final = Lane((), is_counted=False)


def lane_of(action: Action) -> Lane:
    """Say what an action is to the limits."""
    if action.kind is not ActionKind.RESOURCE:
        return _FREE
    here = () if action.node is None else (action.node,)
    if action.operation not in _MIGRATIONS:
        return Lane(here)
    meta = {} if action.request is None else dict(action.request.meta)
    ends = tuple(dict.fromkeys(NodeName(meta[end]) for end in _ENDS if end in meta))
    return Lane(ends or here, is_migration=True)


class UnderWay:
    """The operations that were begun and have not ended."""

    def __init__(self) -> None:
        self._total = 0
        self._on: Counter[NodeName] = Counter()
        self._migrations: Counter[NodeName] = Counter()

    def begin(self, lane: Lane) -> None:
        """Count an operation in."""
        self._count(lane, 1)

    def end(self, lane: Lane) -> None:
        """Count it out."""
        self._count(lane, -1)

    def hindrance(self, lane: Lane, limits: Limits) -> str:
        """Say which limit the actions of a lane have to wait for; "" when the next one may begin."""
        if not lane.is_counted:
            return ""
        if limits.cluster is not None and self._total >= limits.cluster:
            return f"the cluster is at its batch-limit of {limits.cluster}"
        for node in lane.nodes:
            limit = limits.nodes.get(node, limits.elsewhere)
            if limit is not None and self._on[node] >= limit.count:
                because = f" ({limit.because})" if limit.because else ""
                return f"node {node} is at its limit of {limit.count}{because}"
            most = limits.migrations if lane.is_migration else None
            if most is not None and self._migrations[node] >= most:
                return f"node {node} is at its migration-limit of {most}"
        return ""

    def _count(self, lane: Lane, number: int) -> None:
        if not lane.is_counted:
            return
        self._total += number
        for node in lane.nodes:
            self._on[node] += number
            self._migrations[node] += number * lane.is_migration
