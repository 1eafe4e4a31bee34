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


class UnderWay:
    """The operations that were begun and have not ended."""

    def __init__(self) -> None:
        self._total = 0
        self._on: Counter[NodeName] = Counter()
        self._migrations: Counter[NodeName] = Counter()

    def begin(self, action: Action) -> None:
        """Count an operation in."""
        self._count(action, 1)

    def end(self, action: Action) -> None:
        """Count it out."""
        self._count(action, -1)

    def hindrance(self, action: Action, limits: Limits) -> str:
        """Say which limit an operation has to wait for; "" when it may begin."""
        if action.kind is not ActionKind.RESOURCE:
            return ""
        if limits.cluster is not None and self._total >= limits.cluster:
            return f"the cluster is at its batch-limit of {limits.cluster}"
        for node in _places(action):
            limit = limits.nodes.get(node, limits.elsewhere)
            if limit is not None and self._on[node] >= limit.count:
                because = f" ({limit.because})" if limit.because else ""
                return f"node {node} is at its limit of {limit.count}{because}"
            migrating = self._migrations[node]
            if (
                limits.migrations is not None
                and action.operation in _MIGRATIONS
                and migrating >= limits.migrations
            ):
                return f"node {node} is at its migration-limit of {limits.migrations}"
        return ""

    def _count(self, action: Action, number: int) -> None:
        if action.kind is not ActionKind.RESOURCE:
            return
        self._total += number
        for node in _places(action):
            self._on[node] += number
            if action.operation in _MIGRATIONS:
                self._migrations[node] += number


def _places(action: Action) -> tuple[NodeName, ...]:
    """Return the nodes that an operation is work for."""
    if action.operation in _MIGRATIONS and action.request is not None:
        ends = dict(action.request.meta)
        both = tuple(NodeName(ends[end]) for end in _ENDS if end in ends)
        if both:
            return tuple(dict.fromkeys(both))
    return () if action.node is None else (action.node,)
