"""Who only looks gets what the last plan said, and a new plan only when the answer may be another."""

from komainu.cib.element import Element
from komainu.cib.initial import empty_cib
from komainu.cib.state import ClusterState
from komainu.model.ids import NodeName, ResourceId, WallTime
from komainu.model.plan import Placement, Plan
from komainu.model.role import Role
from komainu.node.interface import PlanArrived
from komainu.node.outlook import LIGHT_MAX, Outlook

PLACEMENT = Placement(ResourceId("web"), (), Role.STOPPED, NodeName("a"), Role.STARTED, "it fits")


class Planner:
    """Counts the plans; each is good until a second of the wall clock, if one is given."""

    def __init__(self, recheck_at_s: int | None = None) -> None:
        self.made = 0
        self.recheck_at_s = recheck_at_s
        self.is_broken = False

    def __call__(self, state: ClusterState, wall: WallTime) -> Plan:
        self.made += 1
        if self.is_broken:
            raise ValueError("this state breaks the planner")
        return Plan((), (PLACEMENT,), (), (), (), recheck_at_s=self.recheck_at_s)


def state() -> ClusterState:
    return ClusterState(empty_cib("test", ()))


def test_a_state_that_was_planned_for_is_not_planned_again() -> None:
    planner, now = Planner(), state()
    outlook = Outlook(planner)
    outlook.plan(now, WallTime(5_000))
    assert outlook.placements(now, WallTime(6_000)) == (PLACEMENT,)
    assert planner.made == 1


def test_another_state_is_planned_once() -> None:
    planner, first, second = Planner(), state(), state()
    outlook = Outlook(planner)
    for each in (first, first, second, second):
        assert outlook.placements(each, WallTime(5_000)) == (PLACEMENT,)
    assert planner.made == 2


def test_a_plan_is_made_anew_when_time_may_change_it() -> None:
    planner, now = Planner(recheck_at_s=7), state()
    outlook = Outlook(planner)
    for wall, made in ((5_000, 1), (6_999, 1), (7_000, 2), (6_500, 3)):
        outlook.placements(now, WallTime(wall))
        assert planner.made == made


def heavy() -> ClusterState:
    leaves = tuple(Element("primitive", {"id": f"r{number}"}) for number in range(LIGHT_MAX // 2 + 1))
    nodes = Element("nodes", {}, (Element("node", {"id": "1"}), Element("node", {"id": "2"})))
    configuration = Element("configuration", {}, (nodes, Element("resources", {}, leaves)))
    return ClusterState(Element("cib", {}, (configuration,)))


def test_what_is_heavy_is_asked_for_once_and_shown_when_it_has_arrived() -> None:
    planner, first, second = Planner(), heavy(), heavy()
    outlook, wall = Outlook(planner), WallTime(5_000)
    assert not outlook.is_heavy(state())
    assert outlook.is_heavy(first)
    assert outlook.placements(first, wall) == ()
    (asked,) = outlook.look(first, wall)
    assert asked.cib is first.cib
    assert outlook.look(second, wall) == []  # one at a time
    outlook.take(PlanArrived(asked.number, planner(first, wall)))
    assert outlook.placements(second, wall) == (PLACEMENT,)  # as it was a moment ago
    assert outlook.look(first, wall) == []
    (again,) = outlook.look(second, wall)
    outlook.take(PlanArrived(again.number, None, "it broke"))
    assert outlook.placements(second, wall) == (PLACEMENT,)
    assert planner.made == 1


def test_a_state_that_breaks_the_planner_shows_no_placements() -> None:
    planner, good, bad = Planner(), state(), state()
    outlook = Outlook(planner)
    outlook.placements(good, WallTime(5_000))
    planner.is_broken = True
    assert outlook.placements(bad, WallTime(5_000)) == ()
    planner.is_broken = False
    assert outlook.placements(bad, WallTime(5_000)) == (PLACEMENT,)
