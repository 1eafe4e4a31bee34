"""Decide which actions of a plan may start now, and when a transition is over.

Knows nothing of what actions do, of nodes or of the cluster state: it walks the graph.
Source: Pacemaker's transitioner as its users know it: an action starts when all it needs is confirmed; after
the first failure, or when the cluster state changed in a way the plan did not count on, nothing more is
started and a new plan is made once nothing is under way.

Theory of operation: an action is *waiting* for what it needs, then *ready*, then *running*, then *confirmed*. Pseudo
actions are confirmed as soon as they could start. What is ready runs as soon as the limits leave room
(controller/limits.py), the most urgent first; one that has to wait keeps none back that another node has room for.
The transition ends when nothing runs and nothing may start.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final, assert_never

import msgspec

from komainu.controller.interface import (
    ActionConfirmed,
    ControllerEffect,
    ControllerEvent,
    DeadlinePassed,
    Execute,
    LimitsChanged,
    PlanMade,
    TransitionAborted,
    TransitionEnded,
)
from komainu.controller.limits import Lane, Limits, UnderWay, lane_of
from komainu.model.duration import show_ms
from komainu.model.ids import Instant
from komainu.model.operation import ActionRequest
from komainu.model.plan import Action, ActionKind
from komainu.model.report import Level, Note

CLUSTER_DELAY_MS: Final = 60_000
"""What an action may take on top of its time-out, for the ring and for the queue on its node, before it counts
as lost. The field's cluster-delay."""

TIMEOUT_MS_DEFAULT: Final = 20_000
"""Time-out of an action that came without one; the field's default."""

HINDRANCES_TOLD_MAX: Final = 3
"""So many limits are named to who looks; in a large cluster at its start each node may be at its own."""


@dataclass(slots=True)
class _Transition:
    """One plan on its way."""

    number: int
    actions: dict[int, Action]
    limits: Limits
    unmet: dict[int, set[int]] = field(default_factory=dict)  # action: what it still waits for
    followers: dict[int, list[int]] = field(default_factory=dict)  # action: what waits for it
    ready: dict[Lane, list[tuple[int, int]]] = field(default_factory=dict)  # heaps of (-priority, action)
    running: dict[int, Instant] = field(default_factory=dict)  # to the instant at which it counts as lost
    real: int = 0  # how many actions somebody carries out
    done: int = 0  # how many of these are confirmed
    under_way: UnderWay = field(default_factory=UnderWay)
    stopped_because: str = ""  # set: start nothing more

    def begin(self) -> None:
        """Find what each action waits for; what waits for nothing is ready."""
        free: list[int] = []
        for number, action in self.actions.items():
            self.real += action.kind is not ActionKind.PSEUDO
            if not action.needs:
                self._make_ready(action, free)
                continue
            self.unmet[number] = set(action.needs)
            for need in self.unmet[number]:
                self.followers.setdefault(need, []).append(number)
        self.confirm(*free)

    def confirm(self, *numbers: int) -> None:
        """Take actions for done: what needed only these is ready, and a pseudo action is done by that."""
        done = list(numbers)
        while done:
            number = done.pop()
            self.done += self.actions[number].kind is not ActionKind.PSEUDO
            for follower in self.followers.get(number, ()):
                unmet = self.unmet[follower]
                unmet.discard(number)
                if not unmet:
                    del self.unmet[follower]
                    self._make_ready(self.actions[follower], done)

    def end(self, number: int) -> bool:
        """Take an action for ended, well or not; false when it was not under way."""
        if self.running.pop(number, None) is None:
            return False
        self.under_way.end(lane_of(self.actions[number]))
        return True

    def next(self) -> Action | None:
        """Take the most urgent action that has room; None when none has."""
        able = [(heap[0], lane) for lane, heap in self.ready.items() if not self._hindrance(lane)]
        if not able:
            return None
        (_, number), lane = min(able, key=lambda one: one[0])
        heappop(self.ready[lane])
        if not self.ready[lane]:
            del self.ready[lane]
        self.under_way.begin(lane)
        return self.actions[number]

    def hindrances(self) -> list[str]:
        """Say what keeps actions waiting that are ready."""
        return sorted({hindrance for lane in self.ready if (hindrance := self._hindrance(lane))})

    def _hindrance(self, lane: Lane) -> str:
        return self.under_way.hindrance(lane, self.limits)

    def _make_ready(self, action: Action, done: list[int]) -> None:
        if action.kind is ActionKind.PSEUDO:
            done.append(action.action_id)
        else:
            heappush(self.ready.setdefault(lane_of(action), []), (-action.priority, action.action_id))


class Controller:
    """Carry one plan at a time, from its first action to its end."""

    deadline: Instant | None  # wake me then with DeadlinePassed: an action is overdue

    def __init__(self, identity: str = "") -> None:
        """`identity` replaces the UUID of transition keys where given: one value per life of a coordinator."""
        self.deadline = None
        self._identity = identity
        self._transition: _Transition | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a transition is under way."""
        return self._transition is not None

    def progress(self) -> tuple[int, int]:
        """Return how many actions are done, of how many; points that nobody carries out are not counted."""
        transition = self._transition
        if transition is None:
            return 0, 0
        return transition.done, transition.real

    def throttled(self) -> str:
        """Say which limits keep actions waiting; "" when none does."""
        transition = self._transition
        hindrances = [] if transition is None or transition.stopped_because else transition.hindrances()
        if transition is None or not hindrances:
            return ""
        told = "; ".join(hindrances[:HINDRANCES_TOLD_MAX])
        more = len(hindrances) - HINDRANCES_TOLD_MAX
        return f"{len(transition.running)} under way; {told}" + (f"; and {more} more" if more > 0 else "")

    def handle(self, event: ControllerEvent, now: Instant) -> list[ControllerEffect]:
        """Apply one event; return what is to be started, in order."""
        effects: list[ControllerEffect] = []
        match event:
            case PlanMade(plan, number, limits):
                assert self._transition is None, f"transition {number} was begun while another is under way"
                actions = {action.action_id: action for action in plan.actions}
                self._transition = _Transition(number, actions, limits)
                self._transition.begin()
            case LimitsChanged(limits):
                if self._transition is not None:
                    self._transition.limits = limits
            case ActionConfirmed():
                self._on_confirmed(event)
            case TransitionAborted(reason):
                self._stop(reason)
            case DeadlinePassed():
                effects.extend(self._drop_overdue(now))
            case _:
                assert_never(event)
        effects.extend(self._advance(now))
        running = {} if self._transition is None else self._transition.running
        self.deadline = min(running.values(), default=None)
        return effects

    def _on_confirmed(self, event: ActionConfirmed) -> None:
        transition = self._transition
        if transition is None or transition.number != event.transition:
            return  # of a transition that was given up
        if not transition.end(event.action):
            return
        if event.succeeded:
            transition.confirm(event.action)
        else:
            self._stop(f"{transition.actions[event.action].label} failed: {event.outcome}")

    def _stop(self, reason: str) -> None:
        """Start nothing more. The first reason stays: the later ones often follow from it."""
        if self._transition is not None and not self._transition.stopped_because:
            self._transition.stopped_because = reason

    def _drop_overdue(self, now: Instant) -> list[ControllerEffect]:
        transition = self._transition
        if transition is None:
            return []
        effects: list[ControllerEffect] = []
        for number in sorted(number for number, lost_at in transition.running.items() if lost_at <= now):
            transition.end(number)
            action = transition.actions[number]
            reason = f"{action.label} gave no result within {show_ms(_patience_ms(action))}"
            effects.append(Note(Level.ERROR, "controller.action-lost", reason, {"action": number}))
            self._stop(reason)
        return effects

    def _advance(self, now: Instant) -> list[ControllerEffect]:
        """Start whatever may, and end the transition when nothing is left to wait for."""
        transition = self._transition
        if transition is None:
            return []
        effects: list[ControllerEffect] = []
        if not transition.stopped_because:
            effects.extend(self._start(transition, now))
        if not transition.running:
            self._transition = None
            reason = transition.stopped_because or _why_stuck(transition) or "complete"
            effects.append(TransitionEnded(transition.number, reason == "complete", reason))
        return effects

    def _start(self, transition: _Transition, now: Instant) -> list[ControllerEffect]:
        effects: list[ControllerEffect] = []
        while (action := transition.next()) is not None:
            transition.running[action.action_id] = Instant(now + _patience_ms(action))
            effects.append(Execute(transition.number, action, self._request(action, transition.number)))
        return effects

    def _request(self, action: Action, number: int) -> ActionRequest | None:
        """Return the action's request with the transition's number, and our identity, in its key."""
        if action.request is None:
            return None
        request = action.request
        uuid = self._identity or request.transition_key.rpartition(":")[2]
        key = f"{action.action_id}:{number}:{request.target_rc}:{uuid}"
        return msgspec.structs.replace(request, transition_key=key)


def _patience_ms(action: Action) -> int:
    """Return how long an action may take in all."""
    return (action.timeout_ms or TIMEOUT_MS_DEFAULT) + CLUSTER_DELAY_MS


def _why_stuck(transition: _Transition) -> str:
    """Say which actions can never start, since what they need is never confirmed; "" when all are done."""
    if not transition.unmet:
        return ""
    labels = ", ".join(transition.actions[number].label for number in sorted(transition.unmet)[:3])
    return f"{len(transition.unmet)} actions of the plan wait for each other: {labels}"
