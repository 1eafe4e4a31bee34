"""Decide which actions of a plan may start now, and when a transition is over.

Knows nothing of what actions do, of nodes or of the cluster state: it walks the graph.
Source: Pacemaker's transitioner as its users know it: an action starts when all it needs is confirmed; after
the first failure, or when the cluster state changed in a way the plan did not count on, nothing more is
started and a new plan is made once nothing is under way.

Theory of operation: an action is *waiting*, then *running*, then *confirmed*. Pseudo actions are confirmed as
soon as they could start. The transition ends when nothing runs and nothing may start.
"""

from dataclasses import dataclass, field
from typing import Final, assert_never

import msgspec

from komainu.controller.interface import (
    ActionConfirmed,
    ControllerEffect,
    ControllerEvent,
    DeadlinePassed,
    Execute,
    PlanMade,
    TransitionAborted,
    TransitionEnded,
)
from komainu.model.duration import show_ms
from komainu.model.ids import Instant
from komainu.model.operation import ActionRequest
from komainu.model.plan import Action, ActionKind
from komainu.model.report import Level, Note

RUNNING_ACTIONS_MAX: Final = 30
"""Actions under way at one time in the whole cluster: a recovery of hundreds of resources must not make the
nodes so slow that healthy services time out."""

CLUSTER_DELAY_MS: Final = 60_000
"""What an action may take on top of its time-out, for the ring and for the queue on its node, before it counts
as lost. The field's cluster-delay."""

TIMEOUT_MS_DEFAULT: Final = 20_000
"""Time-out of an action that came without one; the field's default."""


@dataclass(slots=True)
class _Transition:
    """One plan on its way."""

    number: int
    actions: dict[int, Action]
    waiting: set[int]
    running: dict[int, Instant] = field(default_factory=dict)  # to the instant at which it counts as lost
    confirmed: set[int] = field(default_factory=set)
    stopped_because: str = ""  # set: start nothing more

    def ready(self) -> list[Action]:
        """Return what may start, the most urgent first."""
        able = [
            self.actions[number]
            for number in self.waiting
            if all(need in self.confirmed for need in self.actions[number].needs)
        ]
        return sorted(able, key=lambda action: (-action.priority, action.action_id))


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
        real = {key for key, action in transition.actions.items() if action.kind is not ActionKind.PSEUDO}
        return len(real & transition.confirmed), len(real)

    def handle(self, event: ControllerEvent, now: Instant) -> list[ControllerEffect]:
        """Apply one event; return what is to be started, in order."""
        effects: list[ControllerEffect] = []
        match event:
            case PlanMade(plan, number):
                assert self._transition is None, f"transition {number} was begun while another is under way"
                actions = {action.action_id: action for action in plan.actions}
                self._transition = _Transition(number, actions, set(actions))
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
        if transition.running.pop(event.action, None) is None:
            return
        if event.succeeded:
            transition.confirmed.add(event.action)
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
            del transition.running[number]
            action = transition.actions[number]
            reason = f"{action.label} gave no result within {show_ms(_patience_ms(action))}"
            effects.append(Note(Level.ERROR, "controller.action-lost", reason, {"action": number}))
            self._stop(reason)
        return effects

    def _advance(self, now: Instant) -> list[ControllerEffect]:
        """Confirm and start whatever may, and end the transition when nothing is left to wait for."""
        transition = self._transition
        if transition is None:
            return []
        effects: list[ControllerEffect] = []
        # Each round confirms a pseudo action or is the last, so there are at most as many as actions.
        while not transition.stopped_because:
            ready = transition.ready()
            pseudo = {action.action_id for action in ready if action.kind is ActionKind.PSEUDO}
            if not pseudo:
                effects.extend(self._start(transition, ready, now))
                break
            transition.confirmed |= pseudo
            transition.waiting -= pseudo
        if not transition.running:
            self._transition = None
            reason = transition.stopped_because or _why_stuck(transition) or "complete"
            effects.append(TransitionEnded(transition.number, reason == "complete", reason))
        return effects

    def _start(self, transition: _Transition, ready: list[Action], now: Instant) -> list[ControllerEffect]:
        room = RUNNING_ACTIONS_MAX - len(transition.running)
        effects: list[ControllerEffect] = []
        for action in ready[:room]:
            transition.waiting.discard(action.action_id)
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
    if not transition.waiting:
        return ""
    labels = ", ".join(transition.actions[number].label for number in sorted(transition.waiting)[:3])
    return f"{len(transition.waiting)} actions of the plan wait for each other: {labels}"
