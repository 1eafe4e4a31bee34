"""Keep what the last plan said of each resource, for those who only look.

A status shows where resources are meant to be and why. Only a plan says that, and for a large cluster it takes a
good part of a second: it is made anew for a status only when the state is another, or when time alone may have
changed the answer. It must not know how plans are made; the function is given.
"""

from collections.abc import Callable

from komainu.cib.element import Element
from komainu.cib.state import ClusterState
from komainu.model.ids import WallTime
from komainu.model.plan import Placement, Plan

MakePlan = Callable[[ClusterState, WallTime], Plan]


class Outlook:
    """Where each resource is meant to be, as of the last plan."""

    def __init__(self, make_plan: MakePlan) -> None:
        self._make_plan = make_plan
        self._cib: Element | None = None
        self._placements: tuple[Placement, ...] = ()
        self._from: WallTime = WallTime(0)
        self._until: WallTime | None = None

    def plan(self, state: ClusterState, wall: WallTime) -> Plan:
        """Make a plan, and keep what it says of resources."""
        self._cib = None
        plan = self._make_plan(state, wall)
        recheck_s = plan.recheck_at_s
        self._cib, self._placements = state.cib, plan.placements
        self._from, self._until = wall, None if recheck_s is None else WallTime(1000 * recheck_s)
        return plan

    def placements(self, state: ClusterState, wall: WallTime) -> tuple[Placement, ...]:
        """Return what a plan says of resources; nothing, where none can be made.

        Why none can be made is the coordinator's to say. Who only looks must not stop a node by it.
        """
        if state.cib is self._cib and self._from <= wall and (self._until is None or wall < self._until):
            return self._placements
        try:
            return self.plan(state, wall).placements
        except Exception:  # noqa: BLE001 - a state that breaks the planner must not stop each node that is asked
            return ()
