"""Check the walk over the graph: what starts when, and how a transition ends."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.controller.controller import CLUSTER_DELAY_MS, Controller
from komainu.controller.interface import (
    ActionConfirmed,
    ControllerEffect,
    DeadlinePassed,
    Execute,
    LimitsChanged,
    PlanMade,
    TransitionAborted,
    TransitionEnded,
)
from komainu.controller.limits import ANY_NUMBER, Limits, NodeLimit
from komainu.model.ids import Instant, NodeName, ResourceId
from komainu.model.operation import ActionRequest, AgentName
from komainu.model.plan import Action, ActionKind, Plan

NODE = NodeName("a")
B = NodeName("b")
T0 = Instant(5000)


def action(
    number: int,
    *needs: int,
    kind: ActionKind = ActionKind.RESOURCE,
    priority: int = 0,
    timeout_ms: int = 1000,
    node: NodeName = NODE,
) -> Action:
    resource = ResourceId(f"r{number}")
    request = None
    if kind is ActionKind.RESOURCE:
        agent = AgentName("ocf", "komainu", "dummy")
        key = f"{number}:0:0:plan-uuid"
        request = ActionRequest(node, resource, agent, "start", 0, timeout_ms, (), (), 0, key, "d")
    return Action(number, kind, "start", node, resource, 0, timeout_ms, request, needs, "because", priority)


def pseudo(number: int, *needs: int) -> Action:
    return action(number, *needs, kind=ActionKind.PSEUDO)


def begin(
    controller: Controller, *actions: Action, number: int = 7, limits: Limits = ANY_NUMBER
) -> list[ControllerEffect]:
    plan = Plan(actions, (), (), (), ())
    return controller.handle(PlanMade(plan, number, limits), T0)


def started(effects: list[ControllerEffect]) -> list[int]:
    return [effect.action.action_id for effect in effects if isinstance(effect, Execute)]


def confirm(controller: Controller, number: int, *, succeeded: bool = True) -> list[ControllerEffect]:
    outcome = "ok" if succeeded else "not running"
    return controller.handle(ActionConfirmed(7, number, succeeded, outcome), T0)


def test_actions_start_when_what_they_need_is_confirmed() -> None:
    controller = Controller()
    assert started(begin(controller, action(1), action(2, 1), action(3, 1, 2), action(4))) == [1, 4]
    assert controller.progress() == (0, 4)
    assert started(confirm(controller, 1)) == [2]
    assert started(confirm(controller, 4)) == []
    assert started(confirm(controller, 2)) == [3]
    assert confirm(controller, 3) == [TransitionEnded(7, is_complete=True, reason="complete")]
    assert not controller.is_busy
    assert controller.progress() == (0, 0)
    assert controller.deadline is None


def test_pseudo_actions_are_confirmed_in_passing_and_never_given_out() -> None:
    controller = Controller()
    assert started(begin(controller, pseudo(1), pseudo(2, 1), action(3, 2), pseudo(4, 3))) == [3]
    assert controller.progress() == (0, 1)
    assert confirm(controller, 3) == [TransitionEnded(7, is_complete=True, reason="complete")]


def test_an_empty_plan_is_complete_at_once() -> None:
    assert begin(Controller()) == [TransitionEnded(7, is_complete=True, reason="complete")]


def test_urgent_actions_come_first() -> None:
    assert started(begin(Controller(), action(1), action(2, priority=5), action(3))) == [2, 1, 3]


def test_after_a_failure_nothing_more_starts() -> None:
    controller = Controller()
    begin(controller, action(1), action(2), action(3, 2))
    assert confirm(controller, 1, succeeded=False) == []
    assert confirm(controller, 2) == [
        TransitionEnded(7, is_complete=False, reason="start r1 on a failed: not running")
    ]


def test_an_abort_waits_for_what_runs_and_keeps_the_first_reason() -> None:
    controller = Controller()
    begin(controller, action(1), action(2, 1))
    assert controller.handle(TransitionAborted("node b joined"), T0) == []
    assert controller.handle(TransitionAborted("something else"), T0) == []
    assert confirm(controller, 1) == [TransitionEnded(7, is_complete=False, reason="node b joined")]
    assert controller.handle(TransitionAborted("nothing runs"), T0) == []


def test_an_action_that_gives_no_result_is_lost() -> None:
    controller = Controller()
    begin(controller, action(1, timeout_ms=2000), action(2, timeout_ms=9000), action(3, 1))
    assert controller.deadline == T0 + 2000 + CLUSTER_DELAY_MS
    effects = controller.handle(DeadlinePassed(), controller.deadline)
    assert not any(isinstance(effect, TransitionEnded) for effect in effects)
    assert controller.deadline == T0 + 9000 + CLUSTER_DELAY_MS
    ended = confirm(controller, 2)[-1]
    assert isinstance(ended, TransitionEnded)
    assert not ended.is_complete
    assert "gave no result within" in ended.reason


def test_what_belongs_to_another_transition_is_ignored() -> None:
    controller = Controller()
    begin(controller, action(1))
    assert controller.handle(ActionConfirmed(6, 1, True, ""), T0) == []
    assert controller.handle(ActionConfirmed(7, 99, True, ""), T0) == []
    assert controller.is_busy


def test_the_transition_number_stands_in_the_key() -> None:
    (effect,) = begin(Controller(), action(1))
    assert isinstance(effect, Execute)
    assert effect.request is not None
    assert effect.request.transition_key == "1:7:0:plan-uuid"
    (effect,) = begin(Controller("my-life"), action(1))
    assert isinstance(effect, Execute)
    assert effect.request is not None
    assert effect.request.transition_key == "1:7:0:my-life"


def test_what_finds_no_room_waits_and_says_for_what() -> None:
    controller = Controller()
    limits = Limits(cluster=3, nodes={NODE: NodeLimit(2), B: NodeLimit(4, "its load is high")})
    actions = (*map(action, range(4)), action(4, node=B), action(5, node=B))
    plan = Plan(actions, (), (), (), ())
    assert started(controller.handle(PlanMade(plan, 7, limits), T0)) == [0, 1, 4]
    assert controller.throttled() == "3 under way; the cluster is at its batch-limit of 3"
    assert started(confirm(controller, 4)) == [5]
    assert started(confirm(controller, 5)) == []
    assert controller.throttled() == "2 under way; node a is at its limit of 2"
    assert started(confirm(controller, 0)) == [2]
    assert started(confirm(controller, 1)) == [3]
    assert controller.throttled() == ""


def test_limits_that_change_hold_for_what_has_not_begun() -> None:
    controller = Controller()
    actions = [action(number) for number in range(4)]
    begin(controller, *actions, limits=Limits(nodes={NODE: NodeLimit(2)}))
    lower = Limits(nodes={NODE: NodeLimit(1, "its load is high")})
    assert controller.handle(LimitsChanged(lower), T0) == []
    assert started(confirm(controller, 0)) == []
    assert controller.throttled() == "1 under way; node a is at its limit of 1 (its load is high)"
    assert started(controller.handle(LimitsChanged(Limits()), T0)) == [2, 3]
    assert controller.handle(LimitsChanged(lower), T0) == []
    for number in (1, 2):
        confirm(controller, number)
    assert confirm(controller, 3) == [TransitionEnded(7, is_complete=True, reason="complete")]
    assert controller.handle(LimitsChanged(lower), T0) == []


def test_an_action_that_was_lost_leaves_its_place() -> None:
    controller = Controller()
    begin(controller, action(1), action(2), limits=Limits(elsewhere=NodeLimit(1)))
    assert controller.deadline is not None
    effects = controller.handle(DeadlinePassed(), controller.deadline)
    assert isinstance(effects[-1], TransitionEnded)


def test_a_plan_that_waits_for_itself_is_ended_with_its_reason() -> None:
    controller = Controller()
    (ended,) = begin(controller, action(1, 2), action(2, 1))
    assert isinstance(ended, TransitionEnded)
    assert not ended.is_complete
    assert "wait for each other: start r1 on a, start r2 on a" in ended.reason


def test_a_second_plan_while_one_runs_is_a_bug() -> None:
    controller = Controller()
    begin(controller, action(1))
    with pytest.raises(AssertionError):
        begin(controller, action(2))


def test_of_many_nodes_at_their_limits_a_few_are_named() -> None:
    controller = Controller()
    actions = [action(number, node=NodeName(f"n{number % 5}")) for number in range(10)]
    assert len(started(begin(controller, *actions, limits=Limits(elsewhere=NodeLimit(1))))) == 5
    assert controller.throttled().startswith("5 under way; node n0 is at its limit of 1; node n1")
    assert controller.throttled().endswith("; and 2 more")


def test_a_fencing_waits_for_no_limit() -> None:
    fencing = action(3, kind=ActionKind.FENCE)
    limits = Limits(cluster=1, elsewhere=NodeLimit(1))
    assert started(begin(Controller(), action(1), action(2), fencing, limits=limits)) == [1, 3]


@settings(deadline=None)
@given(st.data())
def test_every_graph_is_walked_in_order_to_its_end(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 25))
    actions = []
    for number in range(size):
        needs = data.draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        kind = data.draw(st.sampled_from([ActionKind.RESOURCE, ActionKind.PSEUDO]))
        actions.append(action(number, *sorted(needs), kind=kind, node=data.draw(st.sampled_from([NODE, B]))))
    width = data.draw(st.integers(1, 5))
    limits = Limits(cluster=width, elsewhere=NodeLimit(data.draw(st.integers(1, 3))))
    kinds = {step.action_id: step.kind for step in actions}
    controller = Controller()
    confirmed: set[int] = set()
    effects = begin(controller, *actions, limits=limits)
    running = set(started(effects))
    while running:
        assert len(running) <= width
        for step in effects:
            if isinstance(step, Execute):
                real = {need for need in step.action.needs if kinds[need] is not ActionKind.PSEUDO}
                assert real <= confirmed
        number = data.draw(st.sampled_from(sorted(running)))
        running.discard(number)
        confirmed.add(number)
        effects = confirm(controller, number)
        running |= set(started(effects))
    assert effects[-1] == TransitionEnded(7, is_complete=True, reason="complete")
    assert confirmed == {number for number, kind in kinds.items() if kind is not ActionKind.PSEUDO}
