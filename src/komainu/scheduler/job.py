"""Hold everything one scheduling run works on: nodes, resources, actions, and the relations between them.

Decides nothing. One `Job` is made per plan, owned by the recipe in plan.py, filled by each phase in turn, and
thrown away; nothing outside this room sees it. What must not be known here: where the CIB came from, the clock.
Source: Pacemaker Explained (resources, constraints, operations); the order of phases stands in plan.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from komainu.cib.element import Element
from komainu.model.role import Role
from komainu.scheduler.description import Description, Descriptions
from komainu.scheduler.entry import Entry, History
from komainu.scheduler.options import Options, is_true
from komainu.scheduler.words import INFINITY, Discovery, Flag, Kind, MultipleActive, Requires, Step


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """One attribute of a node that counts a resource's failures, or says when the last one was."""

    name: str  # of the resource, with its instance number where the attribute has one
    value: str
    is_count: bool


@dataclass(eq=False, repr=False, slots=True)
class Node:
    """One node as the run sees it, shared by all tables. `base_score` is inherited by every resource's table."""

    id: str
    name: str
    is_remote: bool = False
    base_score: int = 0
    attributes: dict[str, str] = field(default_factory=dict)
    permanent: dict[str, str] = field(default_factory=dict)
    failures: dict[str, list[FailureRecord]] = field(default_factory=dict)  # by resource; see failcounts.py
    utilization: dict[str, str] = field(default_factory=dict)
    online: bool = False
    standby: bool = False
    standby_on_fail: bool = False
    pending: bool = False
    unclean: bool = False
    unseen: bool = True
    shutdown: bool = False
    expected_up: bool = False
    is_dc: bool = False
    maintenance: bool = False
    allows_discovery: bool = True
    default_discovery: Discovery = Discovery.ALWAYS
    reset_needed: bool = False  # a guest or remote node whose connection failed
    was_fenced: bool = False  # remote nodes only: since their last failure
    remote_maintenance: bool = False
    is_unpacked: bool = False
    connection: "Resource | None" = None
    running: list["Resource"] = field(default_factory=list)
    assigned_count: int = 0
    assigned: list["Resource"] = field(default_factory=list)
    capacity: dict[str, int] = field(default_factory=dict)
    priority: int = 0

    def __repr__(self) -> str:
        return f"Node({self.name})"  # not all that hangs on it: that is the whole job

    @property
    def is_guest(self) -> bool:
        """Whether the node lives in a resource of this cluster (a virtual machine, a container)."""
        return self.is_remote and self.connection is not None and self.connection.launcher is not None

    @property
    def is_bare_remote(self) -> bool:
        """Whether the node is remote but a machine of its own."""
        return self.is_remote and (self.connection is None or self.connection.launcher is None)

    @property
    def is_bundle_node(self) -> bool:
        """Whether the node is a replica of a bundle."""
        launcher = self.connection.launcher if self.connection is not None else None
        return launcher is not None and launcher.bundle_owner is not None

    @property
    def is_available(self) -> bool:
        """Whether resources may be assigned to it, as far as the node alone is concerned."""
        return (
            self.online
            and not self.shutdown
            and not self.unclean
            and not self.standby
            and not self.maintenance
        )

    @property
    def is_clean_online(self) -> bool:
        """Whether actions can be carried out on it with certainty."""
        return self.online and not self.unclean


@dataclass(eq=False, slots=True)
class Candidate:
    """One row of a resource's node table: how much it would like to be on the node."""

    node: Node
    score: int = 0
    count: int = 0
    discovery: Discovery = Discovery.ALWAYS

    def copy(self) -> "Candidate":
        """Make an independent row for the same node."""
        return Candidate(self.node, self.score, self.count, self.discovery)


Table = dict[str, Candidate]
"""A resource's node table, by node id. A node that is absent differs from one with minus INFINITY."""


def copy_table(table: Table) -> Table:
    """Make an independent copy, for what may have to be undone."""
    return {node_id: row.copy() for node_id, row in table.items()}


@dataclass(eq=False, slots=True)
class Relation:
    """One input of an action: `action` comes before (or, in the other list, after) the owner of the list."""

    action: "Action"
    flags: int


@dataclass(eq=False, repr=False, slots=True)
class Action:
    """One thing that might be done. Most stay optional and never leave this room."""

    number: int
    key: str
    task: str
    resource: "Resource | None"
    node: Node | None
    flags: int
    interval_ms: int = 0
    reason: str | None = None
    because: "Action | None" = None  # the action that demands or prevents this one
    meta: dict[str, str] = field(default_factory=dict)
    needs: Requires = Requires.NOTHING
    config: Element | None = None
    priority: int = 0
    is_forced_into_graph: bool = False
    is_dumped: bool = False
    is_on_dc: bool = False
    is_reschedule: bool = False
    is_migration_abort: bool = False
    is_detached: bool = False  # notifications: counted, but not carried out by anybody
    required_runnable_before: int = 0
    runnable_before: int = 0
    before: list[Relation] = field(default_factory=list)
    after: list[Relation] = field(default_factory=list)
    before_by_number: dict[int, int] = field(default_factory=dict)  # union of flags per first action
    parts: "tuple[Action, ...]" = ()  # a collective's: those that it stands for; see instances.py
    cancels: "tuple[str, int, str | None] | None" = None  # task, interval_ms and call id of what is cancelled
    seen: bool = False

    def __repr__(self) -> str:
        return f"Action({self.key} on {'no node' if self.node is None else self.node.name})"

    def has(self, flag: int) -> bool:
        """Tell whether all these flags are set."""
        return self.flags & flag == flag

    @property
    def is_optional(self) -> bool:
        """Whether nothing demands the action."""
        return bool(self.flags & Flag.OPTIONAL)

    @property
    def is_runnable(self) -> bool:
        """Whether nothing prevents the action."""
        return bool(self.flags & Flag.RUNNABLE)

    @property
    def is_pseudo(self) -> bool:
        """Whether the action is only a point that others wait for."""
        return bool(self.flags & Flag.PSEUDO)

    def set(self, flag: int) -> None:
        """Set flags."""
        self.flags |= flag

    def clear(self, flag: int) -> None:
        """Clear flags."""
        self.flags &= ~flag

    def give_reason(self, reason: str | None, *, overwrite: bool = False) -> None:
        """Keep why the action is as it is; the first reason stays unless told otherwise."""
        if overwrite or self.reason is None:
            self.reason = reason


@dataclass(eq=False, slots=True)
class Location:
    """A wish about nodes, for one resource, perhaps only in one role."""

    id: str
    resource: "Resource"
    rows: dict[str, Candidate]
    role: Role = Role.UNKNOWN
    discovery: Discovery = Discovery.ALWAYS


@dataclass(eq=False, slots=True)
class Colocation:
    """A wish to be where another resource is (or is not)."""

    id: str
    dependent: "Resource"
    primary: "Resource"
    score: int
    dependent_role: Role
    primary_role: Role
    node_attribute: str
    influence: bool
    is_explicit: bool = True  # written in the CIB, not following from a group or bundle


@dataclass(eq=False, slots=True)
class TicketConstraint:
    """A resource's dependence on a ticket."""

    id: str
    resource: "Resource"
    ticket: "Ticket"
    loss_policy: str
    role: Role


@dataclass(eq=False, slots=True)
class Ticket:
    """A ticket as the status section has it."""

    id: str
    is_granted: bool = False
    is_standby: bool = False
    last_granted: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Ordering:
    """A relation that is still to be bound to actions: each side is a resource with a key, or an action."""

    first: "Action | None"
    first_resource: "Resource | None"
    first_key: str
    then: "Action | None"
    then_resource: "Resource | None"
    then_key: str
    flags: int


class Variant(Protocol):
    """What each kind of resource does in its own way; one value per kind, in the file of its name."""

    def assign(self, job: "Job", rsc: "Resource", prefer: Node | None, *, final: bool) -> Node | None:
        """Choose a node for the resource (for its members, in a collective)."""

    def create_actions(self, job: "Job", rsc: "Resource") -> None:
        """Create the actions that lead from the present role to the next."""

    def create_probe(self, job: "Job", rsc: "Resource", node: Node) -> bool:
        """Create what finds out whether the resource is active on a node of which nothing is known."""

    def add_internal_constraints(self, job: "Job", rsc: "Resource") -> None:
        """Order what belongs to the resource itself."""

    def apply_location(self, rsc: "Resource", location: Location) -> None:
        """Add a location's scores to the node table."""

    def apply_as_dependent(
        self, job: "Job", dependent: "Resource", primary: "Resource", colocation: Colocation
    ) -> None:
        """Weigh a colocation on the dependent's behalf."""

    def apply_as_primary(
        self, job: "Job", dependent: "Resource", primary: "Resource", colocation: Colocation
    ) -> None:
        """Weigh a colocation onto a dependent that is a primitive, an instance or a clone."""

    def representative(self, rsc: "Resource", *, sorting: bool) -> "Resource":
        """Return the resource whose table speaks for this one as a dependent."""

    def collect_this_with(self, rsc: "Resource", original: "Resource", found: list[Colocation]) -> None:
        """Add the colocations in which `original`, at or below the resource, depends on others."""

    def collect_with_this(self, rsc: "Resource", original: "Resource", found: list[Colocation]) -> None:
        """Add the colocations in which others depend on `original`, at or below the resource."""

    def action_flags(self, action: Action, node: Node | None) -> int:
        """Give the flags of an action as they follow from the members."""


@dataclass(eq=False, slots=True)
class CloneSettings:
    """What only clones have."""

    maximum: int
    per_node: int
    promoted_max: int = 0
    promoted_per_node: int = 0
    is_ordered: bool = False
    interleave: bool = False
    minimum: int = 0
    template: Element | None = None
    made: int = 0
    promoted_count: int = 0
    added_promoted_constraints: bool = False


@dataclass(eq=False, slots=True)
class Replica:
    """One replica of a bundle: its container and what comes with it."""

    offset: int
    container: "Resource"
    ip: "Resource | None" = None
    child: "Resource | None" = None
    connection: "Resource | None" = None
    node: Node | None = None
    ip_address: str | None = None


@dataclass(eq=False, slots=True)
class BundleSettings:
    """What only bundles have."""

    prefix: str
    engine: str
    replicas_max: int
    per_host: int
    promoted_max: int
    image: str
    child: "Resource | None" = None  # the implicit clone around the primitive
    replicas: list[Replica] = field(default_factory=list)
    attribute_target_is_host: bool = False


@dataclass(eq=False, slots=True)
class ActionNotifications:
    """The points between which instances are told of one task: before it, and after it is done."""

    task: str
    action: Action
    pre: Action
    pre_done: Action
    post: Action
    post_done: Action


@dataclass(eq=False, repr=False, slots=True)
class Resource:
    """One resource of any kind, with all the run finds out and decides about it."""

    id: str
    kind: Kind
    description: Description
    variant: Variant
    parent: "Resource | None" = None
    children: list["Resource"] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)  # with what its parents and its kind imply
    utilization: Mapping[str, str] = field(default_factory=dict)
    history_name: str | None = None
    target_role: Role | None = None  # what target-role limits it to
    # -- flags
    managed: bool = True
    maintenance: bool = False
    blocked: bool = False
    failed: bool = False
    stop_if_failed: bool = False
    failure_ignored: bool = False
    removed: bool = False
    is_removed_launched: bool = False
    unique: bool = True
    notify: bool = False
    critical: bool = True
    migratable: bool = False
    start_pending: bool = False
    reload_needed: bool = False
    restarting: bool = False
    exclusive_discovery: bool = False
    unassigned: bool = True  # no node was chosen yet
    assigning: bool = False  # breaks circles of colocations
    is_visited: bool = False  # breaks circles while preferences are added up
    has_target_unpromoted: bool = False
    # -- settings
    priority: int = 0
    stickiness: int = 0
    requires: Requires = Requires.NOTHING
    multiple_active: MultipleActive = MultipleActive.RESTART
    migration_threshold: int = INFINITY
    failure_timeout_ms: int = 0
    reconnect_ms: int = 0
    clone: CloneSettings | None = None
    bundle: BundleSettings | None = None
    bundle_owner: "Resource | None" = None  # the bundle that this resource is a part of
    ordered_members: bool = True  # groups
    colocated_members: bool = True  # groups
    # -- what was found
    role: Role = Role.STOPPED
    next_role: Role = Role.UNKNOWN
    active: list[Node] = field(default_factory=list)
    known: dict[str, Node] = field(default_factory=dict)
    pending_node: Node | None = None
    pending_task: str | None = None
    partial_source: Node | None = None
    partial_target: Node | None = None
    dangling: list[Node] = field(default_factory=list)
    lock_node: Node | None = None
    lock_time: int = 0
    launcher: "Resource | None" = None
    launched: list["Resource"] = field(default_factory=list)
    is_remote_connection: bool = False
    is_fence_device: bool = False
    # -- what was decided
    table: Table = field(default_factory=dict)
    assigned_to: Node | None = None
    locations: list[Location] = field(default_factory=list)
    this_with: list[Colocation] = field(default_factory=list)
    with_this: list[Colocation] = field(default_factory=list)
    dependents: list[Colocation] | None = None  # those that count for it, sorted, once asked for
    tickets: list[TicketConstraint] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)  # newest last
    actions_by_key: dict[str, list[Action]] = field(default_factory=dict)
    promotion_priority: int = 0  # what an instance's promotion is worth; at first its priority
    sort_index: int = 0  # the same, after what the whole clone is told
    notifications: "dict[str, ActionNotifications]" = field(default_factory=dict)  # by task

    def __repr__(self) -> str:
        return f"Resource({self.id})"

    @property
    def xml(self) -> Element:
        """The element that describes it, with its template's content."""
        return self.description.xml

    @property
    def operations(self) -> tuple[Element, ...]:
        """The operations that are configured for it."""
        return self.description.operations

    @property
    def is_collective(self) -> bool:
        """Whether it consists of other resources."""
        return self.kind is not Kind.PRIMITIVE

    @property
    def is_promotable(self) -> bool:
        """Whether it is a promotable clone."""
        return self.clone is not None and self.clone.promoted_max > 0

    @property
    def xml_is_promotable(self) -> bool:
        """Whether its description says that it is a promotable clone."""
        return self.kind is Kind.CLONE and is_true(self.meta.get("promotable"))

    @property
    def is_anonymous_clone(self) -> bool:
        """Whether it is a clone whose instances are interchangeable."""
        return self.kind is Kind.CLONE and not self.unique

    @property
    def top(self) -> "Resource":
        """The outermost resource that contains it; a bundle's clone counts as its own top."""
        here = self
        while here.parent is not None and here.parent.kind is not Kind.BUNDLE:
            here = here.parent
        return here

    @property
    def top_with_bundle(self) -> "Resource":
        """The outermost resource that contains it, bundles included."""
        here = self
        while here.parent is not None:
            here = here.parent
        return here

    @property
    def agent_class(self) -> str:
        """The standard of its agent."""
        return self.xml.get("class") or ""

    @property
    def is_guest_connection(self) -> bool:
        """Whether it is the connection to a guest node."""
        return self.is_remote_connection and self.launcher is not None

    def walk(self) -> list["Resource"]:
        """Return the resource and all below it."""
        found = [self]
        for child in self.children:
            found += child.walk() if child.children else (child,)
        return found

    def primitives(self) -> list["Resource"]:
        """Return the primitives at or below it."""
        return [rsc for rsc in self.walk() if rsc.kind is Kind.PRIMITIVE]


@dataclass(eq=False, slots=True)
class FailedOperation:
    """One failed history entry, for display: what failed, where, how."""

    resource_id: str
    node: Node
    entry: Entry


class Ledger:
    """Told what weighs nodes, as it happens. This one keeps nothing, and costs nothing; ledger.py has one that does."""

    def step(self, job: "Job", step: Step) -> None:
        """All tables may have changed since the last step, for this cause."""

    def weighed(self, rsc: Resource, step: Step, colocation: Colocation | None = None) -> None:
        """One resource's table may have changed, for this cause."""

    def decided(self, job: "Job", rsc: Resource) -> None:
        """One resource's table is as it was when its node was chosen."""


@dataclass(eq=False, repr=False, slots=True)
class Job:
    """One scheduling run."""

    cib: Element
    now_s: int
    options: Options
    explain: bool = False
    ledger: Ledger = field(default_factory=Ledger)
    is_simulated: bool = False  # read from a file: secret parameters may have been removed
    op_defaults: Element | None = None
    nodes: list[Node] = field(default_factory=list)
    node_by_id: dict[str, Node] = field(default_factory=dict)
    node_by_name: dict[str, Node] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    by_id: dict[str, Resource] = field(default_factory=dict)
    by_history_name: dict[str, list[Resource]] = field(default_factory=dict)
    templates: dict[str, Element] = field(default_factory=dict)
    template_users: dict[str, list[str]] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    ticket_constraints: list[TicketConstraint] = field(default_factory=list)
    colocations: list[Colocation] = field(default_factory=list)
    locations: list[Location] = field(default_factory=list)
    orderings: list[Ordering] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    cluster_actions: dict[str, list[Action]] = field(default_factory=dict)
    failed_operations: list[FailedOperation] = field(default_factory=list)
    stop_needed: list[Resource] = field(default_factory=list)
    dc_node: Node | None = None
    quorate: bool = False
    no_quorum_panic: bool = False
    has_fence_device: bool = False
    unfencing_in_use: bool = False
    remote_nodes_exist: bool = False
    priority_fencing_armed: bool = False
    recheck_at_s: int | None = None
    score_lines: list[str] = field(default_factory=list)
    instances_total: int = 0
    instances_disabled: int = 0
    instances_blocked: int = 0
    warnings: list[str] = field(default_factory=list)
    descriptions: Descriptions = field(default_factory=Descriptions)
    history: Mapping[str, Mapping[str, History]] = field(
        default_factory=dict
    )  # by node name, by resource name
    forced_entries: set[Entry] = field(default_factory=set)  # what they tell of has to be scheduled anew
    homes: "dict[tuple[Resource, bool], dict[str, Resource]]" = field(
        default_factory=dict
    )  # of a collective's instances, once orders are settled; see instances.py
    counterparts: "dict[tuple[Resource, Resource, bool], Resource | None]" = field(
        default_factory=dict
    )  # of an instance in a collective, by whether it is the present that counts; from homes
    deferred_digest_checks: list[Callable[[], None]] = field(default_factory=list)

    def recheck(self, at_s: int) -> None:
        """Remember the earliest moment at which time alone may change the plan."""
        if at_s > self.now_s and (self.recheck_at_s is None or at_s < self.recheck_at_s):
            self.recheck_at_s = at_s

    def entries(self, node_name: str, resource_name: str) -> tuple[Entry, ...]:
        """Return what a node tells of a resource, in document order."""
        history = self.history.get(node_name, {}).get(resource_name)
        return () if history is None else history.entries

    def find(self, resource_id: str) -> Resource | None:
        """Return the resource with this id, or the one that the history knows by this name."""
        rsc = self.by_id.get(resource_id)
        if rsc is not None:
            return rsc
        known = self.by_history_name.get(resource_id)
        return known[0] if known else None
