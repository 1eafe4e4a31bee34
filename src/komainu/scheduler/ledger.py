"""Keep what each step contributed to the score of each resource on each node, so that it can be said afterwards.

Decides nothing: tables are compared before and after each step. What is assigned on trial and again counts once.
"""

from dataclasses import dataclass
from typing import Final

from komainu.scheduler import assign, tree
from komainu.scheduler.job import Colocation, Job, Ledger, Node, Resource
from komainu.scheduler.words import Step

_TRIES: Final = frozenset({Step.SPREAD, Step.DEPENDENT, Step.PRIMARY, Step.TARGET, Step.ROOM})
"""The steps of an assignment, which is done anew when it was only tried."""


@dataclass(frozen=True, slots=True)
class Shift:
    """One step's change of a resource's score on a node. `before` is None where the node was not in the table."""

    step: Step
    node_id: str
    before: int | None
    after: int
    colocation: Colocation | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """One node as it stood when the choice was made."""

    node: Node
    score: int
    assigned_count: int
    is_available: bool


class Record(Ledger):
    """What happened to the tables of one run."""

    def __init__(self) -> None:
        self.ranking: dict[str, list[Ranked]] = {}  # by resource: best first
        self._shifts: dict[str, list[Shift]] = {}
        self._known: dict[str, dict[str, int]] = {}
        self._before_tries: dict[str, dict[str, int]] = {}

    def shifts(self, rsc: Resource, node: Node) -> list[Shift]:
        """Return what changed a resource's score on a node, in order."""
        return [shift for shift in self._shifts.get(rsc.id, []) if shift.node_id == node.id]

    def step(self, job: Job, step: Step) -> None:
        """Compare all tables."""
        for top in job.resources:
            for rsc in top.walk():
                self.weighed(rsc, step)
                if step is Step.INTERNAL:
                    self._before_tries[rsc.id] = dict(self._known[rsc.id])

    def weighed(self, rsc: Resource, step: Step, colocation: Colocation | None = None) -> None:
        """Compare one table."""
        shifts = self._shifts.setdefault(rsc.id, [])
        if step is Step.SPREAD:
            shifts[:] = [shift for shift in shifts if shift.step not in _TRIES]
            self._known[rsc.id] = dict(self._before_tries.get(rsc.id, {}))
        known = self._known.setdefault(rsc.id, {})
        for node_id, row in rsc.table.items():
            before = known.get(node_id)
            if before != row.score:
                shifts.append(Shift(step, node_id, before, row.score, colocation))
            known[node_id] = row.score

    def decided(self, job: Job, rsc: Resource) -> None:
        """Keep the nodes in the order of preference."""
        rows = assign.sort_nodes(job, rsc.table.values(), tree.current_node(rsc))
        self.ranking[rsc.id] = [
            Ranked(row.node, row.score, row.node.assigned_count, row.node.is_available) for row in rows
        ]
