"""The coordinator's loop: when it plans, when it throws a plan away, and what it does with outcomes."""

from collections.abc import Sequence

import msgspec

from komainu.cib.command import (
    AnyCommand,
    ChangeMembership,
    JoinNode,
    RecordFencing,
    SetAttribute,
    StartAction,
    StartTransition,
    encode,
)
from komainu.cib.initial import empty_cib
from komainu.cib.state import ClusterState
from komainu.fencing.interface import PLACES, FenceRequested, Turns
from komainu.model.cause import Cause
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Instant, NodeId, NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName
from komainu.model.plan import Action, ActionKind, Plan
from komainu.model.report import Note
from komainu.model.view import Position, View, ViewId
from komainu.node.coordination import (
    FENCE_RETRY_MS,
    JOIN_WAIT_MS,
    PLAN_RETRY_MS,
    TRIES_IN_TURN,
    Coordination,
    CoordinationEffect,
)
from komainu.node.devices import ATTEMPTS_MAX
from komainu.node.interface import PlanArrived, PlanBeside
from komainu.node.replica import Broadcast, CommandApplied, Replica
from komainu.ring.interface import Deliver, InstallView

A, B = NodeName("a"), NodeName("b")
FIRST = NodeId(1)
NAMES = {NodeId(1): A, NodeId(2): B}
LIFE = "00000000-0000-0000-0000-000000000001"
WALL = WallTime(1_700_000_000_000)
NOW = Instant(1_000)
VIEW = View(ViewId(7, NodeId(1)), (NodeId(1), NodeId(2)), quorate=True, quorum_reason="2 of 2 votes")

FENCE_B = Action(1, ActionKind.FENCE, "off", B, None, 0, 5_000, None, (), "b was lost")
EMPTY = Plan((), (), (), (), ())


def plan_of(*actions: Action) -> Plan:
    return Plan(actions, (), ("fence b",), (), ())


class Bench:
    """A coordination on a state that commands really change."""

    def __init__(self, plans: Sequence[Plan | Exception]) -> None:
        self.plans = list(plans)
        self.made = 0
        self.replica = Replica(
            NodeId(1), NAMES, ClusterState(empty_cib("t", ((NodeId(1), A), (NodeId(2), B))))
        )
        self.replica.install(
            InstallView(VIEW, Position(7, 0), NodeId(1), VIEW.members, (), VIEW.members), WALL
        )
        self.coordination = Coordination(A, LIFE, self._plan)
        self.coordination.begin_view(VIEW.view_id, is_coordinator=True, now=NOW)
        self.index = 0
        self.now = NOW

    def _plan(self, state: ClusterState, wall: WallTime) -> Plan:
        self.made += 1
        planned = self.plans.pop(0) if self.plans else EMPTY
        if isinstance(planned, Exception):
            raise planned
        return planned

    def apply(self, command: AnyCommand, origin: NodeId = FIRST) -> list[CoordinationEffect]:
        self.index += 1
        out: list[CoordinationEffect] = []
        for effect in self.replica.deliver(Deliver(Position(7, self.index), origin, encode(command), None)):
            if isinstance(effect, CommandApplied):
                out += self.coordination.observe(effect, self.replica.state, self.now, WALL)
        return out

    def gather(self) -> list[CoordinationEffect]:
        """Bring both members in; return what the last of these commands led to."""
        self.apply(ChangeMembership(Cause("t", "t"), WALL, "", VIEW, (A, B), (), ()))
        self.apply(JoinNode(Cause("t", "t"), WALL, "", A, ()))
        return self.apply(JoinNode(Cause("t", "t"), WALL, "", B, ()), NodeId(2))

    def beside(self) -> "Bench":
        """Take every plan for a heavy one."""
        self.coordination.outlook.light_max = -1
        return self

    def arrive(self, number: int, plan: Plan | None, fault: str = "") -> list[CoordinationEffect]:
        arrived = PlanArrived(number, plan, fault, is_passing=bool(fault))
        return self.coordination.planned(arrived, self.replica.state, self.now, WALL)

    def tick(self, after_ms: int) -> list[CoordinationEffect]:
        self.now = Instant(self.now + after_ms)
        return self.coordination.tick(self.replica.state, self.now, WALL)


def commands(effects: list[CoordinationEffect]) -> list[AnyCommand]:
    return [effect.command for effect in effects if isinstance(effect, Broadcast)]


def change() -> SetAttribute:
    return SetAttribute(Cause("t", "t"), WALL, "", A, "colour", "red")


def test_no_plan_before_all_members_have_joined() -> None:
    bench = Bench([plan_of(FENCE_B)])
    bench.apply(ChangeMembership(Cause("t", "t"), WALL, "", VIEW, (A, B), (), ()))
    bench.apply(JoinNode(Cause("t", "t"), WALL, "", A, ()))
    assert bench.made == 0
    assert bench.coordination.deadline == NOW + JOIN_WAIT_MS
    bench.tick(JOIN_WAIT_MS)
    assert bench.made == 1


def test_a_membership_of_an_earlier_view_is_not_planned_on() -> None:
    bench = Bench([plan_of(FENCE_B)])
    old = View(ViewId(6, NodeId(1)), (NodeId(1),), quorate=True, quorum_reason="")
    bench.apply(ChangeMembership(Cause("t", "t"), WALL, "", old, (A,), ((B, "silent"),), ()))
    bench.tick(JOIN_WAIT_MS)
    assert bench.made == 0


def test_a_plan_is_broadcast_before_anything_is_done() -> None:
    bench = Bench([plan_of(FENCE_B)])
    (started,) = commands(bench.gather())
    assert isinstance(started, StartTransition)
    assert started.cause.because == ("7.1", "7.2", "7.3")
    (fencing,) = commands(bench.apply(started))
    assert isinstance(fencing, RecordFencing)
    assert fencing.record.state is FenceState.STARTED
    assert fencing.cause.because == ("7.4",)


def test_a_plan_is_thrown_away_when_something_came_in_between() -> None:
    bench = Bench([plan_of(FENCE_B), EMPTY])
    (started,) = commands(bench.gather())
    bench.apply(change())
    assert commands(bench.apply(started)) == []
    assert bench.made == 2


def test_a_heavy_plan_is_made_beside_and_then_broadcast() -> None:
    bench = Bench([]).beside()
    (wanted,) = bench.gather()
    assert wanted == PlanBeside(1, bench.replica.state.cib, WALL)
    assert bench.coordination.doing() == "planning"
    (started,) = commands(bench.arrive(1, plan_of(FENCE_B)))
    assert isinstance(started, StartTransition)
    assert started.cause.because == ("7.1", "7.2", "7.3")
    (fencing,) = commands(bench.apply(started))
    assert isinstance(fencing, RecordFencing)
    assert bench.made == 0


def test_a_heavy_plan_that_is_stale_when_it_arrives_is_made_anew() -> None:
    bench = Bench([]).beside()
    bench.gather()
    assert bench.apply(change()) == []
    (wanted,) = bench.arrive(1, plan_of(FENCE_B))
    assert wanted == PlanBeside(2, bench.replica.state.cib, WALL)
    assert bench.arrive(1, plan_of(FENCE_B)) == []
    assert bench.arrive(2, EMPTY) == []
    assert bench.coordination.doing() == "idle"


def test_a_plan_of_an_earlier_view_counts_for_nothing() -> None:
    bench = Bench([]).beside()
    bench.gather()
    bench.coordination.begin_view(ViewId(8, NodeId(1)), is_coordinator=True, now=NOW)
    assert bench.arrive(1, plan_of(FENCE_B)) == []


def test_a_planner_that_broke_is_said_and_asked_again_after_a_pause() -> None:
    bench = Bench([]).beside()
    bench.gather()
    (note,) = bench.arrive(1, None, "the process that plans ended")
    assert isinstance(note, Note)
    assert "the process that plans ended" in note.message
    assert "the process that plans ended" in bench.coordination.doing()
    assert bench.tick(PLAN_RETRY_MS - 1) == []
    (wanted,) = bench.tick(1)
    assert isinstance(wanted, PlanBeside)
    (started,) = commands(bench.arrive(2, plan_of(FENCE_B)))
    assert started.cause.because == ("7.1", "7.2", "7.3")
    assert "process" not in bench.coordination.doing()


def test_a_change_during_a_transition_stops_it_and_is_planned_on() -> None:
    bench = Bench([plan_of(FENCE_B), EMPTY])
    (started,) = commands(bench.gather())
    (fencing,) = commands(bench.apply(started))
    assert isinstance(fencing, RecordFencing)
    bench.apply(fencing)
    bench.apply(change())
    assert bench.made == 1, "what runs is waited for"
    bench.apply(RecordFencing(Cause("t", "t"), WALL, "", _ended(fencing, FenceState.DONE)))
    assert bench.made == 2


def test_a_fencing_runs_when_its_start_is_delivered_and_not_before() -> None:
    bench = Bench([plan_of(FENCE_B)])
    (started,) = commands(bench.gather())
    effects = bench.apply(started)
    assert not any(isinstance(effect, FenceRequested) for effect in effects)
    (fencing,) = commands(effects)
    (request,) = [effect for effect in bench.apply(fencing) if isinstance(effect, FenceRequested)]
    assert (request.target, request.timeout_ms) == (B, 5_000)


def test_a_failed_fencing_is_tried_again_after_a_pause() -> None:
    bench = Bench([plan_of(FENCE_B), plan_of(FENCE_B)])
    (started,) = commands(bench.gather())
    (fencing,) = commands(bench.apply(started))
    assert isinstance(fencing, RecordFencing)
    bench.apply(fencing)
    bench.apply(RecordFencing(Cause("t", "t"), WALL, "", _ended(fencing, FenceState.FAILED)))
    assert bench.made == 1
    bench.tick(FENCE_RETRY_MS - 1)
    assert bench.made == 1
    bench.tick(1)
    assert bench.made == 2


def test_in_a_race_a_failed_fencing_is_tried_again_in_the_same_turn_and_then_in_the_next_one() -> None:
    turns = Turns(NOW, 0, 2_000, 600)
    bench = Bench([plan_of(FENCE_B)] * 4)
    (started,) = commands(bench.gather())
    bench.coordination.take_turns(turns, bench.replica.state, NOW, WALL)
    pause_ms, begun = 600 // TRIES_IN_TURN, []
    for _ in range(TRIES_IN_TURN + 1):
        begun.append(bench.now - NOW)
        (fencing,) = commands(bench.apply(started))
        assert isinstance(fencing, RecordFencing)
        bench.apply(fencing)
        bench.apply(RecordFencing(Cause("t", "t"), WALL, "", _ended(fencing, FenceState.FAILED)))
        made = bench.made
        wait_ms = turns.next(Instant(bench.now + pause_ms)) - bench.now
        bench.tick(wait_ms - 1)
        assert bench.made == made
        waited = commands(bench.tick(1))
        started = waited[0] if waited else started
    assert begun == [0, 200, 400, PLACES * 2_000]


def test_in_a_race_a_heavy_plan_is_made_before_the_turn_and_kept_for_it() -> None:
    bench = Bench([]).beside()
    bench.coordination.take_turns(Turns(NOW, 1, 2_000, 500), bench.replica.state, NOW, WALL)
    assert any(isinstance(effect, PlanBeside) for effect in bench.gather())
    bench.tick(900)
    assert bench.arrive(1, plan_of(FENCE_B)) == []
    assert bench.tick(1_099) == []
    (started,) = commands(bench.tick(1))
    assert isinstance(started, StartTransition)


def test_a_heavy_plan_that_was_kept_is_made_anew_when_something_changed() -> None:
    bench = Bench([]).beside()
    bench.coordination.take_turns(Turns(NOW, 1, 2_000, 500), bench.replica.state, NOW, WALL)
    bench.gather()
    assert bench.arrive(1, plan_of(FENCE_B)) == []
    (wanted,) = bench.apply(change())
    assert isinstance(wanted, PlanBeside)
    assert bench.tick(2_000) == []
    assert commands(bench.arrive(wanted.number, plan_of(FENCE_B)))


def test_in_a_race_a_planner_that_broke_is_asked_again_in_the_same_turn() -> None:
    turns = Turns(NOW, 0, 2_000, 600)
    bench = Bench([]).beside()
    bench.coordination.take_turns(turns, bench.replica.state, NOW, WALL)
    bench.tick(0)
    bench.gather()
    bench.arrive(1, None, "the process that plans ended")
    pause_ms = 600 // TRIES_IN_TURN
    assert bench.tick(pause_ms - 1) == []
    (wanted,) = bench.tick(1)
    assert isinstance(wanted, PlanBeside)
    assert commands(bench.arrive(wanted.number, plan_of(FENCE_B)))
    assert turns.is_open(bench.now)


def test_a_node_is_fenced_by_another_where_there_is_one() -> None:
    fence_a = Action(1, ActionKind.FENCE, "off", A, None, 0, 5_000, None, (), "stop failed", delay_ms=3_000)
    bench = Bench([plan_of(fence_a)])
    (started,) = commands(bench.gather())
    (fencing,) = commands(bench.apply(started))
    assert isinstance(fencing, RecordFencing)
    assert (fencing.record.delegate, fencing.record.delay_ms) == (B, 3_000)
    assert not any(isinstance(effect, FenceRequested) for effect in bench.apply(fencing))


def test_a_fencing_is_given_up_after_the_last_attempt_until_something_changes() -> None:
    bench = Bench([plan_of(FENCE_B)] * (ATTEMPTS_MAX + 1))
    (started,) = commands(bench.gather())
    notes: list[CoordinationEffect] = []
    for attempt in range(ATTEMPTS_MAX):
        (fencing,) = commands(bench.apply(started))
        assert isinstance(fencing, RecordFencing)
        bench.apply(fencing)
        failed = RecordFencing(Cause("t", "t"), WALL, "", _ended(fencing, FenceState.FAILED))
        notes = [effect for effect in bench.apply(failed) if isinstance(effect, Note)]
        waited = commands(bench.tick(FENCE_RETRY_MS))
        assert bool(waited) == (attempt < ATTEMPTS_MAX - 1)
        started = waited[0] if waited else started
    assert [note.code for note in notes if isinstance(note, Note)] == ["fencing.given-up"]
    assert bench.coordination.doing().startswith("idle; gave up fencing b after 10 attempts")
    (again,) = commands(bench.apply(change()))
    assert isinstance(again, StartTransition)


def test_a_planner_that_breaks_stops_nobody_and_is_asked_again_after_the_next_change() -> None:
    bench = Bench([ValueError("no such thing"), EMPTY])
    (note,) = bench.gather()
    assert isinstance(note, Note)
    assert "ValueError: no such thing" in note.message
    bench.apply(change())
    assert bench.made == 2


def test_others_than_the_coordinator_plan_nothing() -> None:
    bench = Bench([plan_of(FENCE_B)])
    bench.coordination.begin_view(VIEW.view_id, is_coordinator=False, now=NOW)
    bench.gather()
    assert bench.made == 0
    assert bench.coordination.deadline is None
    assert bench.coordination.doing() == ""


def test_the_side_that_waits_in_a_split_plans_only_after_its_wait() -> None:
    bench = Bench([plan_of(FENCE_B)])
    bench.coordination.begin_view(VIEW.view_id, is_coordinator=True, now=NOW)
    bench.coordination.take_turns(Turns(NOW, 1, 2_000, 500), bench.replica.state, NOW, WALL)
    bench.gather()
    assert bench.made == 0
    bench.tick(2_000)
    assert bench.made == 1


def test_a_side_that_steps_back_stops_at_once_and_goes_on_at_its_turn() -> None:
    """Its plan is made without quorum before its turn, and with it when the turn has come."""
    bench = Bench([plan_of(), plan_of(FENCE_B)])
    bench.coordination.begin_view(VIEW.view_id, is_coordinator=True, now=NOW)
    turns = Turns(NOW, 1, 2_000, 500, steps_back=True)
    bench.coordination.take_turns(turns, bench.replica.state, NOW, WALL)
    opening = ChangeMembership(Cause("t", "t"), WALL, "", VIEW, (A, B), (), ())
    (back,) = memberships(bench.apply(opening))
    assert not back.view.quorate
    bench.apply(JoinNode(Cause("t", "t"), WALL, "", A, ()))
    bench.apply(JoinNode(Cause("t", "t"), WALL, "", B, ()), NodeId(2))
    assert bench.made == 0
    bench.apply(back)
    assert bench.replica.state.cib.get("have-quorum") == "0"
    assert bench.made == 1
    (on,) = memberships(bench.tick(2_000))
    assert on.view.quorate
    bench.apply(on)
    assert bench.replica.state.cib.get("have-quorum") == "1"
    assert bench.made == 2


def memberships(effects: list[CoordinationEffect]) -> list[ChangeMembership]:
    return [
        effect.command
        for effect in effects
        if isinstance(effect, Broadcast) and isinstance(effect.command, ChangeMembership)
    ]


def _ended(started: RecordFencing, state: FenceState) -> FenceRecord:
    return msgspec.structs.replace(started.record, state=state, device="lab", outcome="said so")


def start(number: int) -> Action:
    """Make a start on b."""
    web, agent = ResourceId(f"web{number}"), AgentName("ocf", "komainu", "dummy")
    request = ActionRequest(B, web, agent, "start", 0, 1000, (), (), 0, f"{number}:0:0:x", "d")
    return Action(number, ActionKind.RESOURCE, "start", B, web, 0, 1000, request, (), "because")


def test_a_node_that_is_loaded_gets_less_and_status_says_so() -> None:
    bench = Bench([plan_of(*map(start, range(1, 9)))])
    (started,) = commands(bench.gather())
    bench.apply(SetAttribute(Cause("t", "t"), WALL, "", B, "#cores", "2"))
    assert [type(command) for command in commands(bench.apply(started))] == [StartAction] * 4
    doing = "carrying out transition 1 (0 of 8 actions done, 4 under way; node b is at its limit of 4)"
    assert bench.coordination.doing() == doing
    assert bench.apply(SetAttribute(Cause("t", "t"), WALL, "", B, "#load", "high")) == []
    assert "limit of 2 (its load is high, 4 otherwise)" in bench.coordination.doing()
    more = bench.apply(SetAttribute(Cause("t", "t"), WALL, "", B, "#cores", "8"))
    assert [type(command) for command in commands(more)] == [StartAction] * 4
    assert bench.coordination.doing() == "carrying out transition 1 (0 of 8 actions done)"
    assert bench.made == 1
