"""The checkers are checked: bugs planted on purpose, each found by the simulator within a bounded number of seeds.

A bug is planted by replacing one function of the real program. A checker that finds none of them is no checker.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from komainu.cib import membership, nodes
from komainu.cib.state import ClusterState
from komainu.controller.controller import Controller
from komainu.fencing.fencing import Fencer
from komainu.fencing.interface import FenceRequested, FencingEnded
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeName
from komainu.model.plan import Plan
from komainu.model.view import Position
from komainu.node import desk, drive, race
from komainu.node.coordination import Coordination
from komainu.node.desk import Desk
from komainu.node.replica import Reached, Replica
from komainu.ring import decision, quorum
from komainu.sim import world
from komainu.sim.checks import SafetyViolated
from komainu.sim.scenario import run_seed

SEEDS_MAX = 300

Plant = Callable[[pytest.MonkeyPatch], None]
PLANTED: dict[str, Plant] = {}


def planted(plant: Plant) -> Plant:
    PLANTED[plant.__name__] = plant
    return plant


@planted
def a_fencing_counts_as_done_before_the_device_answered(patch: pytest.MonkeyPatch) -> None:
    handle = Fencer.handle

    def trusting(self: Fencer, event: Any, now: Any) -> Any:
        if not isinstance(event, FenceRequested):
            return handle(self, event, now)
        record = FenceRecord(
            request=event.request,
            target=event.target,
            action=event.action,
            state=FenceState.DONE,
            delegate=NodeName("a"),
            device="trust",
            reason=event.reason,
            outcome="it will be off by now",
            at=event.wall,
        )
        return [FencingEnded(record)]

    patch.setattr(Fencer, "handle", trusting)


@planted
def nobody_waits_in_a_split(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(race, "place_of", lambda split: 0)


@planted
def both_sides_think_that_they_are_favoured_last(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(race, "place_of", lambda split: 1)


@planted
def done_is_said_before_the_others_have_it(patch: pytest.MonkeyPatch) -> None:
    keep = Desk.keep
    patch.setattr(Desk, "keep", lambda self, stable: keep(self, Position(2**40, 0)))
    patch.setattr(desk, "may_promise", lambda view, nodes, cib: True)
    patch.setattr(drive, "may_promise", lambda view, nodes, cib: True)


@planted
def what_a_lone_half_agrees_on_is_promised(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(drive, "may_promise", lambda view, nodes, cib: view is not None)


@planted
def the_disk_is_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    """Stored is said at once; then power is lost before the write."""
    patch.setattr(Replica, "_mark", lambda self: [Reached(self.state.position)])
    patch.setattr(world, "DISK_MS", (4_000, 8_000))


@planted
def an_abandoned_line_still_promises(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Desk, "abandon", lambda self: [])


@planted
def a_plan_is_carried_out_although_the_state_moved_on(patch: pytest.MonkeyPatch) -> None:
    begin = Coordination._begin_transition

    def stale(self: Any, done: Any, now: Any, wall: Any) -> Any:
        if self._proposed is not None:
            self._proposed = dataclasses.replace(self._proposed, changes=self._changes)
        return begin(self, done, now, wall)

    patch.setattr(Coordination, "_begin_transition", stale)
    patch.setattr(
        Coordination, "_may_plan", lambda self, state: not self._is_active and self._proposed is None
    )


@planted
def actions_do_not_wait_for_what_they_need(patch: pytest.MonkeyPatch) -> None:
    handle = Controller.handle

    def hasty(self: Controller, event: Any, now: Any) -> Any:
        if hasattr(event, "plan"):
            loose = tuple(dataclasses.replace(action, needs=()) for action in event.plan.actions)
            event = dataclasses.replace(event, plan=dataclasses.replace(event.plan, actions=loose))
        return handle(self, event, now)

    patch.setattr(Controller, "handle", hasty)


@planted
def every_partition_is_quorate(patch: pytest.MonkeyPatch) -> None:
    judge = quorum.judge

    def generous(*given: Any, **named: Any) -> Any:
        return dataclasses.replace(judge(*given, **named), quorate=True)

    patch.setattr(decision, "judge", generous)


@planted
def the_planner_is_not_a_function(patch: pytest.MonkeyPatch) -> None:
    plan = world.__dict__["plan"]
    calls = [0]

    def moody(*given: Any, **named: Any) -> Plan:
        calls[0] += 1
        made: Plan = plan(*given, **named)
        return dataclasses.replace(made, summary=(*made.summary, f"call {calls[0]}"))

    patch.setattr(world, "plan", moody)


@planted
def a_lost_node_counts_as_cleanly_down(patch: pytest.MonkeyPatch) -> None:
    def bury(cib: Any, name: NodeName) -> Any:
        down = {"in_ccm": "false", "crmd": "offline", "join": "down", "expected": "down"}
        return nodes.update_state(cib, name, lambda here: nodes.with_all(here.with_children(()), down))

    patch.setattr(membership, "_with_lost", bury)


@planted
def commands_are_applied_a_little_differently_on_one_node(patch: pytest.MonkeyPatch) -> None:
    apply = Replica._apply

    def sloppy(self: Any, command: Any, delivery: Any) -> Any:
        effects = apply(self, command, delivery)
        if self._me == 2 and delivery.position.index % 7 == 0:
            cib = self.state.cib.with_attribute("num_updates", "0")
            self.state = ClusterState(cib, self.state.fencing, self.state.position)
        return effects

    patch.setattr(Replica, "_apply", sloppy)


@planted
def a_snapshot_is_adopted_without_the_last_change(patch: pytest.MonkeyPatch) -> None:
    adopt = Replica._adopt

    def stale(self: Any, command: Any, delivery: Any) -> Any:
        text = getattr(self, "_first", None)
        self._first = text or command.state
        return adopt(self, msgspec.structs.replace(command, state=self._first), delivery)

    patch.setattr(Replica, "_adopt", stale)


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PLANTED[name](monkeypatch)
    for seed in range(SEEDS_MAX):
        try:
            run_seed(seed, faults=10, within_ms=90_000)
        except (SafetyViolated, AssertionError):
            return
    pytest.fail(f"not found within {SEEDS_MAX} seeds")
