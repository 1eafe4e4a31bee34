"""Keep what the last plan said of each resource, for those who only look; know which plans are made beside the loop.

A status shows where resources are meant to be and why. Only a plan says that: for a small cluster it is made anew
for a status when the state is another, or when time alone may have changed the answer. A heavy one would keep the
loop, so that whoever looks sees what the last plan said, and a new one is asked for. It must not know how plans
are made, nor where; the function is given, and what is heavy is asked of the shells as `PlanBeside`.
"""

from collections.abc import Callable
from typing import Final

from komainu.cib.element import Element
from komainu.cib.state import ClusterState
from komainu.model.ids import WallTime
from komainu.model.plan import Placement, Plan
from komainu.node.interface import PlanArrived, PlanBeside

MakePlan = Callable[[ClusterState, WallTime], Plan]

LIGHT_MAX: Final = 200
"""Primitives and constraints, times nodes, that are planned for in the loop: it takes some 20 ms, a fifth of what
a heartbeat may be late before anybody wonders. More is heavy."""


class Outlook:
    """Where each resource is meant to be, as of the last plan."""

    def __init__(self, make_plan: MakePlan, light_max: int = LIGHT_MAX) -> None:
        self._make_plan = make_plan
        self.light_max = light_max
        self._cib: Element | None = None
        self._placements: tuple[Placement, ...] = ()
        self._from: WallTime = WallTime(0)
        self._until: WallTime | None = None
        self._asked: PlanBeside | None = None
        self._number = 0

    def is_heavy(self, state: ClusterState) -> bool:
        """Whether a plan for this state would keep the loop for too long."""
        configuration = state.cib.first("configuration")
        if configuration is None:
            return False
        nodes, resources, constraints = map(configuration.first, ("nodes", "resources", "constraints"))
        things = 0 if constraints is None else len(constraints.children)
        members = 1 if nodes is None else max(1, len(nodes.children))
        for element in () if resources is None else resources.walk():
            if things * members > self.light_max:
                return True
            things += element.tag == "primitive"
        return things * members > self.light_max

    def plan(self, state: ClusterState, wall: WallTime) -> Plan:
        """Make a plan, and keep what it says of resources."""
        self._cib = None
        plan = self._make_plan(state, wall)
        self._keep(plan, state.cib, wall)
        return plan

    def ask(self, state: ClusterState, wall: WallTime) -> PlanBeside:
        """Have a heavy plan made; the last that was asked for is the one that counts."""
        self._number += 1
        self._asked = PlanBeside(self._number, state.cib, wall)
        return self._asked

    def take(self, arrived: PlanArrived) -> None:
        """Keep what a plan says that was made beside."""
        asked = self._asked
        if asked is None or asked.number != arrived.number:
            return  # a newer one is on its way
        self._asked = None
        if arrived.plan is not None:
            self._keep(arrived.plan, asked.cib, asked.wall)

    def look(self, state: ClusterState, wall: WallTime) -> list[PlanBeside]:
        """Ask for what somebody who looks will want to see, if it is heavy and not known."""
        is_wanted = self._asked is None and not self._is_kept(state, wall) and self.is_heavy(state)
        return [self.ask(state, wall)] if is_wanted else []

    def placements(self, state: ClusterState, wall: WallTime) -> tuple[Placement, ...]:
        """Return what a plan says of resources; nothing, where none can be made.

        Why none can be made is the coordinator's to say. Who only looks must not stop a node by it.
        """
        if self._is_kept(state, wall) or self.is_heavy(state):
            return self._placements
        try:
            return self.plan(state, wall).placements
        except Exception:  # noqa: BLE001 - a state that breaks the planner must not stop each node that is asked
            return ()

    def _is_kept(self, state: ClusterState, wall: WallTime) -> bool:
        """Whether what is kept was planned for this state, and time has not changed it."""
        return state.cib is self._cib and self._from <= wall and (self._until is None or wall < self._until)

    def _keep(self, plan: Plan, cib: Element, wall: WallTime) -> None:
        recheck_s = plan.recheck_at_s
        self._cib, self._placements = cib, plan.placements
        self._from, self._until = wall, None if recheck_s is None else WallTime(1000 * recheck_s)
