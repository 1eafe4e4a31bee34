"""Define what the scheduler answers and the controller carries out: actions, placements, and their reasons."""

from dataclasses import dataclass
from enum import Enum

from komainu.model.cause import Cause
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import ActionRequest
from komainu.model.provenance import Explanation
from komainu.model.role import Role


class ActionKind(Enum):
    """Who carries an action out."""

    RESOURCE = "resource"  # an executor runs an agent
    CANCEL = "cancel"  # an executor stops a recurring operation
    PSEUDO = "pseudo"  # nobody: a point that others wait for
    FENCE = "fence"  # the fencer of the coordinator
    SHUTDOWN = "shutdown"  # the node may leave
    CLEAR_FAILURES = "clear-failures"  # fail counts that expired
    DELETE_HISTORY = "delete-history"  # of a resource that is no longer configured


@dataclass(frozen=True, slots=True)
class Action:
    """One step of a transition.

    `needs` are the ids of the actions that must be confirmed before it starts; all are in the transition.
    `request` is complete for RESOURCE actions except its transition_key's transition number, which the
    controller fills in (`ACTION:TRANSITION:TARGET_RC:UUID`). `priority` puts some first where several may go.
    """

    action_id: int
    kind: ActionKind
    operation: str  # start, stop, monitor, … ; off, reboot for FENCE
    node: NodeName | None  # where it runs; the target for FENCE
    resource: ResourceId | None
    interval_ms: int
    timeout_ms: int
    request: ActionRequest | None
    needs: tuple[int, ...]
    reason: str  # one sentence in the field's words; never empty
    priority: int = 0
    delay_ms: int = 0  # FENCE: how long to wait first (priority-fencing-delay)

    @property
    def label(self) -> str:
        """Name it for people: `start web on b`."""
        thing = "" if self.resource is None else f" {self.resource}"
        where = "" if self.node is None else f" on {self.node}"
        return f"{self.operation}{thing}{where}"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a resource is and will be, and why. Groups and clones have one too, over their members."""

    resource: ResourceId
    current: tuple[NodeName, ...]
    current_role: Role
    target: NodeName | None
    target_role: Role
    reason: str  # why it will be there, or nowhere


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer of `plan(state, now)`. Equal states and times give equal plans (S5).

    `recheck_at_s` is the wall-clock second at which time alone changes the answer (a failure expires, a rule
    begins); None when only events do. `summary` says each change in one line, as the transition summary does.
    """

    actions: tuple[Action, ...]  # sorted by action_id
    placements: tuple[Placement, ...]
    summary: tuple[str, ...]
    resource_causes: tuple[tuple[ResourceId, Cause], ...]  # for each resource with an action: why
    node_causes: tuple[tuple[NodeName, Cause], ...]  # for each node fenced or shut down: why
    recheck_at_s: int | None = None
    explanation: Explanation | None = None  # only where it was asked for
    warnings: tuple[str, ...] = ()  # what of the configuration is passed over, and why

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be done."""
        return not self.actions
