"""Say what goes into the controller and what comes out: plans, confirmations, and steps to take."""

from dataclasses import dataclass

from komainu.controller.limits import ANY_NUMBER, Limits
from komainu.model.operation import ActionRequest
from komainu.model.plan import Action, Plan
from komainu.model.report import Note

# -- events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlanMade:
    """Carry out this plan. Only given while no transition is under way."""

    plan: Plan
    transition: int  # unique in this coordinator's life
    limits: Limits = ANY_NUMBER


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """From now on, this much may be under way at one time. What runs already goes on."""

    limits: Limits


@dataclass(frozen=True, slots=True)
class ActionConfirmed:
    """The ordered command that records an action's outcome was applied."""

    transition: int
    action: int
    succeeded: bool  # the result was the expected one
    outcome: str  # one sentence


@dataclass(frozen=True, slots=True)
class TransitionAborted:
    """Something the plan did not count on has happened: start nothing more, wait for what runs."""

    reason: str


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The controller's deadline has come: an action took longer than its time-out and the cluster's delay."""


ControllerEvent = PlanMade | LimitsChanged | ActionConfirmed | TransitionAborted | DeadlinePassed

# -- effects --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Execute:
    """Start this action now: hand it to its node, the fencer, or the ring. Pseudo actions never come here.

    `request` is the action's own with the transition number in its key; None where the action has none.
    """

    transition: int
    action: Action
    request: ActionRequest | None


@dataclass(frozen=True, slots=True)
class TransitionEnded:
    """Nothing of the transition is under way any more. `is_complete`: every action was confirmed as expected."""

    transition: int
    is_complete: bool
    reason: str  # "complete", or why not


ControllerEffect = Execute | TransitionEnded | Note
