"""Say what a clone does in each phase: instances of one resource on many nodes.

Source: Pacemaker Explained, "Clones", "Promotable Clones".
"""

from komainu.model.role import Role
from komainu.scheduler import (
    actions,
    assign,
    instances,
    location,
    notify,
    ordering,
    probes,
    promotion,
    scores,
    spread,
    together,
    tree,
)
from komainu.scheduler.job import Action, Colocation, Job, Location, Node, Resource
from komainu.scheduler.options import is_true
from komainu.scheduler.words import INFINITY, Discovery, Flag, Kind, Rel, add_scores


class Clone:
    """The variant of clones."""

    def assign(self, job: Job, rsc: Resource, prefer: Node | None, *, final: bool) -> Node | None:
        """Spread the instances over the nodes, then choose those to promote."""
        settings = rsc.clone
        assert settings is not None, "a clone has its settings"
        if not rsc.unassigned or rsc.assigning:
            return None
        rsc.assigning = True
        if rsc.xml_is_promotable:
            promotion.add_to_nodes(rsc)
        for colocation in together.this_with(rsc):
            primary = colocation.primary
            primary.variant.assign(job, primary, prefer, final=final)
        for colocation in together.with_this(rsc):
            together.add_dependent_wishes(colocation, rsc, keeps_positive=True)
        scores.note(job, rsc)
        rsc.children = spread.sort(rsc.children)
        spread.assign_instances(
            job, rsc, list(rsc.children), maximum=settings.maximum, per_node=settings.per_node
        )
        if rsc.xml_is_promotable:
            promotion.set_roles(job, rsc)
        rsc.assigning = rsc.unassigned = False
        return None

    def create_actions(self, job: Job, rsc: Resource) -> None:
        """Create the instances' actions and the clone's own points of order."""
        create_instance_actions(job, rsc, rsc.children)
        if rsc.xml_is_promotable:
            _create_promotion_points(job, rsc)

    def create_probe(self, job: Job, rsc: Resource, node: Node) -> bool:
        """Probe every instance where they differ; otherwise one is enough."""
        rsc.children.sort(key=spread.number_of)
        by_number = rsc.children
        if rsc.unique:
            return probes.each(job, by_number, node)
        if rsc.exclusive_discovery:
            row = rsc.table.get(node.id)
            if row is not None and row.discovery is not Discovery.EXCLUSIVE:
                del rsc.table[node.id]
                return False
        chosen = next((i for i in by_number if any(node.id in p.known for p in i.primitives())), None)
        if chosen is None:
            chosen = next((i for i in by_number if instances.place(i, current=False) is node), by_number[0])
        return chosen.variant.create_probe(job, chosen, node)

    def apply_location(self, rsc: Resource, location_: Location) -> None:
        """Apply it to the clone and to each instance."""
        location.apply(rsc, location_)
        for child in rsc.children:
            child.variant.apply_location(child, location_)

    def apply_as_dependent(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Leave it to the primary; normally the instances depend each for itself."""
        primary.variant.apply_as_primary(job, dependent, primary, colocation_)

    def apply_as_primary(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Draw a dependent to where instances are: in the wanted role, beside it, or anywhere."""
        if primary.unassigned:
            return
        if primary.xml_is_promotable and colocation_.primary_role is not Role.UNKNOWN:
            if dependent.unassigned:
                _follow_role(dependent, primary, colocation_)
            elif colocation_.dependent_role is Role.PROMOTED:
                follow_role_in_priority(dependent, primary, colocation_)
            return
        if _pairs(dependent, primary):
            _follow_partner(job, dependent, primary, colocation_)
        elif colocation_.score >= INFINITY:
            nodes = [
                place
                for instance in primary.children
                if (place := instances.place(instance, current=False)) is not None
                and not any(part.blocked for part in instance.walk())
            ]
            keep_only(dependent, primary, colocation_, nodes)
        else:
            for instance in primary.children:
                instance.variant.apply_as_primary(job, dependent, instance, colocation_)

    def representative(self, rsc: Resource, *, sorting: bool) -> Resource:
        """Speak for itself."""
        _ = sorting
        return rsc

    def collect_this_with(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """Give the clone's own, and those of a bundle around it."""
        found.extend(rsc.this_with)
        if rsc.parent is not None:
            rsc.parent.variant.collect_this_with(rsc.parent, original, found)

    def collect_with_this(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """Give the clone's own, and those of a bundle around it."""
        found.extend(rsc.with_this)
        if rsc.parent is not None:
            rsc.parent.variant.collect_with_this(rsc.parent, original, found)

    def action_flags(self, action: Action, node: Node | None) -> int:
        """Give the flags that follow from the instances."""
        return instances.collective_flags(action, node)

    def add_internal_constraints(self, job: Job, rsc: Resource) -> None:
        """Order instances between the clone's beginning and its completion."""
        settings = rsc.clone
        assert settings is not None, "a clone has its settings"
        ordering.tasks(job, (rsc, "stopped"), (rsc, "start"), Rel.ORDERED)
        ordering.tasks(job, (rsc, "start"), (rsc, "running"), Rel.UNRUNNABLE_FIRST_BLOCKS)
        ordering.tasks(job, (rsc, "stop"), (rsc, "stopped"), Rel.UNRUNNABLE_FIRST_BLOCKS)
        if rsc.xml_is_promotable:
            ordering.tasks(job, (rsc, "demoted"), (rsc, "stop"), Rel.ORDERED)
            ordering.tasks(job, (rsc, "running"), (rsc, "promote"), Rel.UNRUNNABLE_FIRST_BLOCKS)
        if settings.is_ordered:
            rsc.children.sort(key=spread.number_of)
        graphed = Rel.THEN_IMPLIES_FIRST_GRAPHED
        for index, instance in enumerate(rsc.children):
            instance.variant.add_internal_constraints(job, instance)
            ordering.starts(job, rsc, instance, Rel.UNRUNNABLE_FIRST_BLOCKS | graphed)
            ordering.tasks(job, (instance, "start"), (rsc, "running"), Rel.FIRST_IMPLIES_THEN_GRAPHED)
            ordering.stops(job, rsc, instance, graphed)
            ordering.tasks(job, (instance, "stop"), (rsc, "stopped"), Rel.FIRST_IMPLIES_THEN_GRAPHED)
            for later in rsc.children[index + 1 :] if settings.is_ordered else ():
                ordering.starts(job, instance, later, Rel.ORDERED)
                ordering.stops(job, later, instance, Rel.ORDERED)
        if rsc.xml_is_promotable:
            _order_promotion(job, rsc)


def order_roles(job: Job, rsc: Resource) -> None:
    """Order the way down of all instances before the way up of any."""
    for first, then in (
        ("stopped", "start"),
        ("stopped", "promote"),
        ("demoted", "stop"),
        ("demoted", "start"),
        ("demoted", "promote"),
        ("running", "promote"),
        ("demote", "demoted"),
    ):
        ordering.tasks(job, (rsc, first), (rsc, then), Rel.ORDERED)


def _order_promotion(job: Job, rsc: Resource) -> None:
    assert rsc.clone is not None, "a clone has its settings"
    order_roles(job, rsc)
    graphed = Rel.THEN_IMPLIES_FIRST_GRAPHED
    previous: Resource | None = None
    for instance in rsc.children:
        ordering.tasks(job, (instance, "demote"), (instance, "promote"), Rel.ORDERED)
        ordering.tasks(job, (rsc, "promote"), (instance, "promote"), Rel.UNRUNNABLE_FIRST_BLOCKS | graphed)
        ordering.tasks(job, (instance, "promote"), (rsc, "promoted"), Rel.FIRST_IMPLIES_THEN_GRAPHED)
        ordering.tasks(job, (rsc, "demote"), (instance, "demote"), graphed)
        ordering.tasks(job, (instance, "demote"), (rsc, "demoted"), Rel.FIRST_IMPLIES_THEN_GRAPHED)
        if rsc.clone.is_ordered and previous is not None:
            ordering.tasks(job, (previous, "promote"), (instance, "promote"), Rel.ORDERED)
            ordering.tasks(job, (instance, "demote"), (previous, "demote"), Rel.ORDERED)
        previous = instance


# -- colocations with a clone ---------------------------------------------------------------------------


def _pairs(dependent: Resource, primary: Resource) -> bool:
    """Tell whether a dependent is an instance of an interleaved clone with as many instances per node."""
    clone = dependent.parent
    while clone is not None and clone.kind is not Kind.CLONE:
        clone = clone.parent
    if clone is None or clone.clone is None or primary.clone is None:
        return False
    return is_true(clone.meta.get("interleave")) and clone.clone.per_node == primary.clone.per_node


def _follow_partner(job: Job, dependent: Resource, primary: Resource, colocation_: Colocation) -> None:
    partner = instances.compatible(job, dependent, primary, Role.UNKNOWN, current=False)
    if partner is not None:
        dependent.variant.apply_as_dependent(job, dependent, partner, colocation_)
    elif colocation_.score >= INFINITY:
        assign.settle(job, dependent, None, force=True, final=True)


def keep_only(
    dependent: Resource,
    primary: Resource,
    colocation_: Colocation,
    nodes: list[Node],
    scores_: dict[str, int] | None = None,
) -> None:
    """Forbid a dependent every node that is not beside one of these; add the primary's scores, if given."""
    name = colocation_.node_attribute
    allowed = {together.attribute_of(node, name, primary): node for node in reversed(nodes)}
    for row in dependent.table.values():
        match = allowed.get(together.attribute_of(row.node, name, dependent))
        if match is None:
            row.score = -INFINITY
        elif scores_ is not None:
            row.score = add_scores(row.score, scores_.get(match.id, 0))


def _follow_role(dependent: Resource, primary: Resource, colocation_: Colocation) -> None:
    nodes: list[Node] = []
    values: dict[str, int] = {}
    for instance in primary.children:
        node = instances.place(instance, current=False)
        if node is None or tree.role(instance, current=False) is not colocation_.primary_role:
            continue
        nodes.append(node)
        row = instance.table.get(node.id)
        values[node.id] = 0 if row is None else row.score
        if colocation_.score < INFINITY:
            _add_beside(dependent, primary, node, colocation_)
    is_same_role = colocation_.dependent_role is Role.PROMOTED and colocation_.primary_role is Role.PROMOTED
    if colocation_.score >= INFINITY and not is_same_role:
        keep_only(dependent, primary, colocation_, nodes, values)


def _add_beside(dependent: Resource, primary: Resource, node: Node, colocation_: Colocation) -> None:
    name = colocation_.node_attribute
    value = together.attribute_of(node, name, primary)
    for row in dependent.table.values():
        if together.attribute_of(row.node, name, dependent) == value:
            row.score = add_scores(row.score, colocation_.score)


def follow_role_in_priority(
    dependent: Resource, primary: Resource, colocation_: Colocation, *, demands: bool = True
) -> None:
    """Let an instance's promotion follow the role of a primary's instance beside it."""
    home = instances.place(dependent, current=False)
    name = colocation_.node_attribute
    value = None if home is None else together.attribute_of(home, name, dependent)
    partner = any(
        (there := instances.place(other, current=False)) is not None
        and tree.role(other, current=False) is colocation_.primary_role
        and together.attribute_of(there, name, primary) == value
        for other in primary.children
    )
    if partner:
        dependent.promotion_priority = add_scores(dependent.promotion_priority, colocation_.score)
    elif demands and colocation_.score >= INFINITY:
        dependent.promotion_priority = -INFINITY


# -- actions --------------------------------------------------------------------------------------------


class _Doing:
    """What the instances of a collective are about to do."""

    def __init__(self) -> None:
        self.starts = self.stops = self.is_active = self.restarts = False

    def look(self, rsc: Resource) -> None:
        """Take one instance into account."""
        if rsc.children:
            for child in rsc.children:
                self.look(child)
            return
        self.is_active = self.is_active or bool(rsc.active)
        starts = stops = False
        for action in rsc.actions:
            if action.is_optional:
                continue
            if action.task == "start":
                starts = starts or action.is_runnable
            elif action.task == "stop":
                stops = stops or action.is_runnable or action.is_pseudo
        self.starts, self.stops = self.starts or starts, self.stops or stops
        self.restarts = self.restarts or (starts and stops)


def pseudo(job: Job, rsc: Resource, task: str, *, optional: bool, runnable: bool) -> Action:
    """Create a point of order of a collective."""
    action = actions.make(job, rsc, task, None, optional=optional)
    action.set(Flag.PSEUDO)
    if runnable:
        action.set(Flag.RUNNABLE)
    else:
        action.clear(Flag.RUNNABLE)
    return action


def create_instance_actions(job: Job, rsc: Resource, parts: list[Resource]) -> None:
    """Create the actions of instances and the points between which they lie."""
    for instance in parts:
        instance.variant.create_actions(job, instance)
    create_points(job, rsc, parts)


def create_points(job: Job, rsc: Resource, parts: list[Resource]) -> None:
    """Create the points between which the actions of instances lie."""
    doing = _Doing()
    for instance in parts:
        doing.look(instance)
    start = pseudo(job, rsc, "start", optional=not doing.starts, runnable=True)
    running = pseudo(job, rsc, "running", optional=not doing.starts, runnable=doing.is_active or doing.starts)
    stop = pseudo(job, rsc, "stop", optional=not doing.stops, runnable=True)
    stopped = pseudo(job, rsc, "stopped", optional=not doing.stops, runnable=True)
    running.priority = stopped.priority = INFINITY
    if not doing.restarts:
        stop.set(Flag.MIGRATABLE)
    if rsc.kind is Kind.CLONE:
        notify.create_points(job, rsc, ("start", start, running), ("stop", stop, stopped))


def _create_promotion_points(job: Job, rsc: Resource) -> None:
    promotes = demotes = False
    for part in rsc.primitives():
        for action in part.actions:
            if not action.is_optional:
                promotes = promotes or action.task == "promote"
                demotes = demotes or action.task == "demote"
    promote = pseudo(job, rsc, "promote", optional=not promotes, runnable=True)
    promoted = pseudo(job, rsc, "promoted", optional=not promotes, runnable=True)
    demote = pseudo(job, rsc, "demote", optional=not demotes, runnable=True)
    demoted = pseudo(job, rsc, "demoted", optional=not demotes, runnable=True)
    promoted.priority = demoted.priority = INFINITY
    notify.create_promotion_points(job, rsc, ("promote", promote, promoted), ("demote", demote, demoted))
