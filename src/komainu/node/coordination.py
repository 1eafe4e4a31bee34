"""Decide when to plan and carry the plan's actions to the ring, on the coordinator of a view.

A core without input or output. It must not know how plans are made (the function is given), how agents are
run, or who the clients are. Every act is a command, so that each node sees the same acts in the same order.

Theory of operation. Each applied command that the running plan did not count on is a trigger: it aborts the
transition, and its position becomes part of the next plan's cause. A new plan is made when nothing of the
last one is under way, no member has an operation pending, and all members have joined. A small cluster's is made
at once; a heavy one is made beside the loop (PlanBeside, PlanArrived), and is stale if something changed meanwhile.
In a race a heavy plan is made before this side's turn and kept for it: the turn may be shorter than the planning.
The plan is first broadcast (StartTransition); when that command is delivered and nothing else came in between, the
state is still the one that was planned on, and the controller may begin. Otherwise the plan is thrown away.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final

from komainu.cib.command import (
    CancelAction,
    ChangeMembership,
    EditConfiguration,
    ForgetOperations,
    RecordFencing,
    RecordOperation,
    ReleaseNode,
    ReplaceConfiguration,
    SetAttribute,
    StartAction,
    StartTransition,
)
from komainu.cib.pending import pending_operations
from komainu.cib.state import ClusterState
from komainu.controller.controller import Controller
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
from komainu.fencing.interface import FenceRequested, Turns
from komainu.model.cause import Cause
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Instant, NodeName, WallTime
from komainu.model.moment import earliest, is_due
from komainu.model.plan import Action, Plan
from komainu.model.report import Level, Note
from komainu.model.view import ViewId
from komainu.node.devices import attempts_max
from komainu.node.interface import PlanArrived, PlanBeside
from komainu.node.membership import nodes_joined
from komainu.node.orders import Writer, command_for, fence_request
from komainu.node.outlook import MakePlan, Outlook
from komainu.node.race import GOES_FIRST
from komainu.node.replica import Broadcast, CommandApplied
from komainu.node.stance import Stance
from komainu.node.workload import CORES, LOAD, limits_of

TRIGGERS_MAX: Final = 8
"""How many causes a plan names; the oldest are the ones that began it."""

JOIN_WAIT_MS: Final = 5_000
"""How long a new member may take to say what runs on it before the others are planned without it."""

FENCE_RETRY_MS: Final = 2_000
"""Pause after a fencing that failed, so that a dead device is not asked in a tight loop."""

TRIES_IN_TURN: Final = 3
"""So often a device that fails at once, or a planner that breaks, is tried in one turn of a race: the next turn is eight
leads away."""

RECHECK_MS: Final = 15 * 60_000
"""Plan again at least this often (Pacemaker's cluster-recheck-interval), a net under missed triggers."""

PLAN_RETRY_MS: Final = 5_000
"""Pause after the planner's process broke or hung, so that it is not begun again and again in a tight loop."""

CoordinationEffect = Broadcast | FenceRequested | PlanBeside | Note


@dataclass(frozen=True, slots=True)
class Proposed:
    """A plan that waits for its StartTransition to be delivered."""

    transition: int
    plan: Plan
    changes: int  # how many relevant commands had been applied when it was made


@dataclass(frozen=True, slots=True)
class Asked:
    """A plan that is being made beside the loop."""

    number: int
    changes: int  # how many relevant commands had been applied when it was asked for
    made: PlanArrived | None = None  # it came, and waits for this side's turn


class Coordination:
    """The coordinator's loop: trigger, plan, transition, and again."""

    def __init__(self, me: NodeName, life: str, make_plan: MakePlan) -> None:
        """`life` is 36 characters that no other coordinator's life has; it ends every transition key."""
        assert len(life) == 36, "the CIB's transition keys end in a UUID"
        self._me = me
        self._life = life
        self.outlook = Outlook(make_plan)
        self._transition = 0
        self._view_id: ViewId | None = None
        self._members: tuple[NodeName, ...] = (me,)
        self._reset(is_coordinator=False)

    def _reset(self, *, is_coordinator: bool) -> None:
        self.is_coordinator = is_coordinator
        self._view_is_known = False  # the view's ChangeMembership was applied
        self._controller = Controller(self._life)
        self._asked: Asked | None = None
        self._plan_fault = ""  # why the last plan could not be made
        self._proposed: Proposed | None = None
        self._is_active = False
        self._wants_plan = False
        self._triggers: tuple[str, ...] = ()
        self._because: tuple[str, ...] = ()  # of the commands that the running transition submits
        self._in_flight: dict[tuple[int, int], Action] = {}
        self._changes = 0
        self._failed: Counter[NodeName] = Counter()  # fencings that failed since something changed
        self._has_given_up = False
        self._join_by: Instant | None = None
        self._not_before: Instant | None = None
        self._planner_rests_until: Instant | None = None
        self._turns: Turns | None = None
        self._stance = Stance()
        self._recheck_at: Instant | None = None

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is wanted."""
        own = (self._join_by, self._not_before, self._planner_rests_until, self._recheck_at)
        return earliest(*own, self._controller.deadline)

    def doing(self) -> str:
        """Say what the coordinator is at, for status."""
        if not self.is_coordinator:
            return ""
        if self._is_active:
            done, total = self._controller.progress()
            held = self._controller.throttled()
            far = f"{done} of {total} actions done" + (f", {held}" if held else "")
            return f"carrying out transition {self._transition} ({far})"
        if self._asked is not None:
            return "planning"
        if self._plan_fault:
            return f"idle; {self._plan_fault}"
        if self._wants_plan or self._proposed is not None:
            return "about to plan"
        if self._has_given_up:
            target, attempts = self._failed.most_common(1)[0]
            return f"idle; gave up fencing {target} after {attempts} attempts, until something changes"
        return "idle"

    def begin_view(self, view_id: ViewId, *, is_coordinator: bool, now: Instant) -> None:
        """Forget the last view's work: its actions that still run are seen as pending in the state."""
        self._reset(is_coordinator=is_coordinator)
        self._view_id = view_id
        if is_coordinator:
            self._join_by = Instant(now + JOIN_WAIT_MS)

    def take_turns(
        self, turns: Turns | None, state: ClusterState, now: Instant, wall: WallTime
    ) -> list[CoordinationEffect]:
        """Plan only when this side of a split may fence the other one (node/race.py); None: there is no race."""
        if self.is_coordinator:
            self._turns = turns
            self._not_before = None if turns is None else turns.next(now)
        return self._go_on(state, now, wall)

    def observe(
        self, done: CommandApplied, state: ClusterState, now: Instant, wall: WallTime
    ) -> list[CoordinationEffect]:
        """Take note of an applied command; go on with the transition or plan anew."""
        if not self.is_coordinator:
            return []
        effects: list[CoordinationEffect] = []
        match done.command:
            case ChangeMembership(view=view, members=members):
                self._members = members
                # One of an earlier view may be ordered late, and must not be planned on.
                self._view_is_known = view.view_id == self._view_id
                if self._view_is_known:
                    self._stance.told(done.command)
                self._trigger(done)
            case StartTransition() if done.origin == self._me:
                effects += self._begin_transition(done, state, now, wall)
            case StartAction() | StartTransition():
                pass
            case SetAttribute(name=name) if name == GOES_FIRST:
                pass  # nothing is planned by it
            case SetAttribute(name=name) if name in {CORES, LOAD}:
                changed = LimitsChanged(limits_of(state.cib))  # nor by these
                effects += self._carry(self._controller.handle(changed, now), wall)
            case RecordOperation(result=result):
                effects += self._confirm_operation(done, result.request.transition_key, now, wall)
            case RecordFencing(record=record):
                effects += self._confirm_fencing(done, record, state, now, wall)
            case (
                CancelAction(transition=transition, action=action)
                | ForgetOperations(transition=transition, action=action)
                | ReleaseNode(transition=transition, action=action)
            ) if done.origin == self._me and (transition, action) in self._in_flight:
                confirmed = ActionConfirmed(transition, action, done.applied.is_accepted, "done")
                effects += self._confirm(confirmed, now, wall)
            case _:
                if isinstance(done.command, ReplaceConfiguration | EditConfiguration):
                    self._failed.clear()
                self._trigger(done)
        return effects + self._go_on(state, now, wall)

    def tick(self, state: ClusterState, now: Instant, wall: WallTime) -> list[CoordinationEffect]:
        """Do what waited for time to pass."""
        if self._recheck_at is not None and now >= self._recheck_at:
            self._recheck_at = None
            self._wants_plan = True
        if self._not_before is not None and now >= self._not_before:
            self._not_before = None
        if is_due(now, self._planner_rests_until):
            self._planner_rests_until = None
        if self._join_by is not None and now >= self._join_by:
            self._join_by = None
        effects: list[CoordinationEffect] = []
        if self._controller.deadline is not None and now >= self._controller.deadline:
            effects += self._carry(self._controller.handle(DeadlinePassed(), now), wall)
        return effects + self._go_on(state, now, wall)

    # -- triggers and plans -----------------------------------------------------------------------------

    def _trigger(self, done: CommandApplied) -> None:
        """Remember that the state changed in a way that asks for a new plan."""
        if not done.applied.is_accepted:
            return
        self._changes += 1
        self._wants_plan = True
        self._triggers = (*self._triggers, str(done.position))[:TRIGGERS_MAX]

    def _go_on(self, state: ClusterState, now: Instant, wall: WallTime) -> list[CoordinationEffect]:
        """Abort what a trigger made stale, and plan when the way is free."""
        if not self.is_coordinator:
            return []
        waits = self._not_before is not None
        if word := self._stance.due(state.cib, self._turns, waits=waits, at=wall):
            return [Broadcast(word)]
        asked = self._asked
        if asked is not None and asked.made is not None and (asked.changes != self._changes or not waits):
            self._asked = None
            if asked.changes == self._changes:
                return self._conclude(asked.made, now, wall)
        if not self._wants_plan:
            return []
        effects: list[CoordinationEffect] = []
        if self._is_active:
            aborted = self._controller.handle(TransitionAborted("the cluster state changed"), now)
            effects += self._carry(aborted, wall)
        if self._may_plan(state):
            effects += self._propose(state, now, wall)
        return effects

    def _may_plan(self, state: ClusterState) -> bool:
        """Whether nothing is under way, everybody has joined, and it is this side's turn."""
        if self._is_active or self._proposed is not None or self._asked is not None:
            return False
        if self._planner_rests_until is not None:
            return False
        is_our_turn = self._not_before is None or self._stance.has_stepped_back  # it fences nobody then
        is_kept = self._turns is not None and self.outlook.is_heavy(
            state
        )  # made before the turn, kept for it
        if not self._view_is_known or not (is_our_turn or is_kept):
            return False
        if self._join_by is not None:
            if not nodes_joined(state.cib):
                return False
            self._join_by = None
        return not pending_operations(state.cib)

    def _propose(self, state: ClusterState, now: Instant, wall: WallTime) -> list[CoordinationEffect]:
        """Make a plan, or have a heavy one made."""
        self._wants_plan = False
        if self.outlook.is_heavy(state):
            wanted = self.outlook.ask(state, wall)
            self._asked = Asked(wanted.number, self._changes)
            return [wanted]
        try:
            plan = self.outlook.plan(state, wall)
        except Exception as error:  # noqa: BLE001 - a state that breaks the planner must not stop every node in turn
            return self._conclude(PlanArrived(0, None, f"{type(error).__name__}: {error}"), now, wall)
        return self._conclude(PlanArrived(0, plan), now, wall)

    def planned(
        self, arrived: PlanArrived, state: ClusterState, now: Instant, wall: WallTime
    ) -> list[CoordinationEffect]:
        """Take a plan that was made beside the loop; if the state has moved on meanwhile, plan anew."""
        self.outlook.take(arrived)
        asked = self._asked
        if asked is None or asked.number != arrived.number:
            return []  # of an earlier view, or for somebody who looks
        self._asked = None
        if asked.changes != self._changes:
            self._wants_plan = True
            return self._go_on(state, now, wall)
        if arrived.is_passing:
            self._wants_plan = True
            self._planner_rests_until = Instant(now + _pause_ms(PLAN_RETRY_MS, self._turns))
        elif self._not_before is not None and not self._stance.has_stepped_back:
            self._asked = replace(asked, made=arrived)
            return []
        return self._conclude(arrived, now, wall)

    def _conclude(self, made: PlanArrived, now: Instant, wall: WallTime) -> list[CoordinationEffect]:
        """Broadcast a plan; an empty one ends here. That there is none is said in the log, and in status until there is."""
        plan = made.plan
        if plan is None:
            self._triggers = self._triggers if made.is_passing else ()
            self._plan_fault = f"no plan could be made, everything stays as it is: {made.fault}"
            return [Note(Level.ERROR, "coordination.plan-failed", self._plan_fault)]
        self._plan_fault = ""
        self._recheck_at = Instant(now + _until_recheck(plan, wall))
        if plan.is_empty:
            self._triggers = ()
            return []
        self._transition += 1
        self._proposed = Proposed(self._transition, plan, self._changes)
        because, self._triggers = self._triggers, ()
        command = StartTransition(
            cause=Cause("plan.made", "; ".join(plan.summary) or "monitors are brought up to date", because),
            at=wall,
            user="",
            transition=self._transition,
            summary=plan.summary,
            resource_causes=plan.resource_causes,
            node_causes=plan.node_causes,
        )
        return [Broadcast(command)]

    def _begin_transition(
        self, done: CommandApplied, state: ClusterState, now: Instant, wall: WallTime
    ) -> list[CoordinationEffect]:
        """Our StartTransition was delivered: begin, unless the state has moved on since the plan was made."""
        proposed = self._proposed
        assert isinstance(done.command, StartTransition), "called for StartTransition only"
        if proposed is None or proposed.transition != done.command.transition:
            return []
        self._proposed = None
        if proposed.changes != self._changes:
            self._wants_plan = True
            return []
        self._is_active = True
        self._because = (str(done.position),)
        event = PlanMade(proposed.plan, proposed.transition, limits_of(state.cib))
        return self._carry(self._controller.handle(event, now), wall)

    # -- carrying out -----------------------------------------------------------------------------------

    def _carry(self, effects: list[ControllerEffect], wall: WallTime) -> list[CoordinationEffect]:
        """Turn the controller's effects into commands."""
        carried: list[CoordinationEffect] = []
        for effect in effects:
            match effect:
                case Execute():
                    self._in_flight[effect.transition, effect.action.action_id] = effect.action
                    writer = Writer(self._me, self._life, self._members)
                    carried.append(Broadcast(command_for(effect, writer, self._because, wall)))
                case TransitionEnded():
                    self._is_active = False
                    self._in_flight.clear()
                    self._wants_plan = self._wants_plan or not (effect.is_complete or self._has_given_up)
                case Note():
                    carried.append(effect)
        return carried

    def _confirm(self, confirmed: ActionConfirmed, now: Instant, wall: WallTime) -> list[CoordinationEffect]:
        self._in_flight.pop((confirmed.transition, confirmed.action), None)
        return self._carry(self._controller.handle(confirmed, now), wall)

    def _confirm_operation(
        self, done: CommandApplied, transition_key: str, now: Instant, wall: WallTime
    ) -> list[CoordinationEffect]:
        """A result came: of an action under way, or one that nobody counted on."""
        assert isinstance(done.command, RecordOperation), "called for RecordOperation only"
        result = done.command.result
        action, transition, life = _read_key(transition_key)
        if life != self._life or (transition, action) not in self._in_flight:
            self._trigger(done)
            return []
        succeeded = result.is_expected and done.applied.is_accepted
        if not succeeded:
            self._trigger(done)
        outcome = "as expected" if succeeded else result.exit_reason or f"exit code {result.exit_code}"
        return self._confirm(ActionConfirmed(transition, action, succeeded, outcome), now, wall)

    def _confirm_fencing(
        self, done: CommandApplied, record: FenceRecord, state: ClusterState, now: Instant, wall: WallTime
    ) -> list[CoordinationEffect]:
        """A fencing of ours starts now, or has an outcome."""
        transition, _, rest = record.request.partition(".")
        action, _, life = rest.partition(".")
        is_ours = life == self._life and transition.isdigit() and action.isdigit()
        number = (int(transition), int(action)) if is_ours else (-1, -1)
        if number not in self._in_flight:
            if record.state is not FenceState.STARTED:
                self._trigger(done)
            return []
        if record.state is FenceState.STARTED:
            return [fence_request(record, wall)] if record.delegate == self._me else []
        succeeded = record.state is FenceState.DONE and done.applied.is_accepted
        effects: list[CoordinationEffect] = []
        self._has_given_up = False
        if succeeded:
            # What the transition starts from here on, it may start because of this.
            self._because = (*self._because, str(done.position))[-TRIGGERS_MAX:]
            del self._failed[record.target]
        else:
            effects += self._note_failed(done, record, attempts_max(state.cib))
            self._not_before = _try_again(self._turns, now)
        return effects + self._confirm(ActionConfirmed(*number, succeeded, record.outcome), now, wall)

    def _note_failed(self, done: CommandApplied, record: FenceRecord, limit: int) -> list[CoordinationEffect]:
        """Count a fencing that failed; after the last attempt only a change of something leads to another."""
        self._failed[record.target] += 1
        attempts = self._failed[record.target]
        if attempts < limit:
            self._trigger(done)
            return []
        self._has_given_up = True
        text = f"gave up fencing {record.target} after {attempts} attempts: {record.outcome}"
        return [Note(Level.ERROR, "fencing.given-up", text)]


def _try_again(turns: Turns | None, now: Instant) -> Instant:
    """Return when a fencing that failed is tried again: in a race within the same turn, while that is open."""
    if turns is None:
        return Instant(now + FENCE_RETRY_MS)
    return turns.next(Instant(now + _pause_ms(FENCE_RETRY_MS, turns)))


def _pause_ms(usual_ms: int, turns: Turns | None) -> int:
    """Return how long to wait before something is tried again: in a race not so long that a turn passes unused."""
    return usual_ms if turns is None else min(usual_ms, turns.open_ms // TRIES_IN_TURN)


def _until_recheck(plan: Plan, wall: WallTime) -> int:
    """Return how many milliseconds from now time alone may change the plan."""
    if plan.recheck_at_s is None:
        return RECHECK_MS
    return max(1, min(RECHECK_MS, plan.recheck_at_s * 1000 - wall))


def _read_key(transition_key: str) -> tuple[int, int, str]:
    """Read ACTION, TRANSITION and LIFE from a key; (-1, -1, "") when it is none of ours."""
    parts = transition_key.split(":")
    if len(parts) != 4 or not parts[0].isdigit() or not parts[1].isdigit():
        return -1, -1, ""
    return int(parts[0]), int(parts[1]), parts[3]
