"""Say what a bundle does in each phase: containers spread over nodes, and a clone inside them.

Source: Pacemaker Explained, "Bundles".
"""

from komainu.model.role import Role
from komainu.scheduler import (
    actions,
    assign,
    clone,
    colocation,
    instances,
    location,
    ordering,
    scores,
    spread,
    together,
)
from komainu.scheduler.actions import find_first, key_of
from komainu.scheduler.job import Action, BundleSettings, Colocation, Job, Location, Node, Replica, Resource
from komainu.scheduler.words import INFINITY, Flag, Kind, Rel

_INNER = frozenset({"notify", "notified", "promote", "promoted", "demote", "demoted"})
"""What is done by what the containers contain, not by the containers."""


def _settings(rsc: Resource) -> BundleSettings:
    assert rsc.bundle is not None, "a bundle has its settings"
    return rsc.bundle


class Bundle:
    """The variant of bundles."""

    def assign(self, job: Job, rsc: Resource, prefer: Node | None, *, final: bool) -> Node | None:
        """Assign the containers, then what goes with each, then what is inside."""
        settings = _settings(rsc)
        scores.note(job, rsc)
        if not rsc.unassigned or rsc.assigning:
            return None
        rsc.assigning = True
        containers = spread.sort([replica.container for replica in settings.replicas])
        spread.assign_instances(
            job, rsc, containers, maximum=settings.replicas_max, per_node=settings.per_host
        )
        for replica in settings.replicas:
            _assign_replica(job, replica, final=final)
        inner = settings.child
        if inner is not None:
            own = {replica.node for replica in settings.replicas}
            for row in inner.table.values():
                row.score = 0 if row.node in own else -INFINITY
            inner.variant.assign(job, inner, prefer, final=final)
        rsc.assigning = rsc.unassigned = False
        return None

    def create_actions(self, job: Job, rsc: Resource) -> None:
        """Create the actions of all parts, and the bundle's own points of order."""
        settings = _settings(rsc)
        for replica in settings.replicas:
            for part in (replica.ip, replica.container, replica.connection):
                if part is not None:
                    part.variant.create_actions(job, part)
        clone.create_points(job, rsc, [replica.container for replica in settings.replicas])
        inner = settings.child
        if inner is None:
            return
        inner.variant.create_actions(job, inner)
        if inner.xml_is_promotable:
            for task in ("promote", "promoted", "demote", "demoted"):
                point = clone.pseudo(job, rsc, task, optional=True, runnable=True)
                if task.endswith("ed"):
                    point.priority = INFINITY

    def create_probe(self, job: Job, rsc: Resource, node: Node) -> bool:
        """Probe addresses and containers; what is inside only on its own node."""
        settings = _settings(rsc)
        any_probed = False
        for replica in settings.replicas:
            any_probed = _probe_replica(job, settings, replica, node) or any_probed
        return any_probed

    def apply_location(self, rsc: Resource, location_: Location) -> None:
        """Apply it to containers and addresses; to what is inside only where it is about a role."""
        settings = _settings(rsc)
        location.apply(rsc, location_)
        for replica in settings.replicas:
            for part in (replica.container, replica.ip):
                if part is not None:
                    part.variant.apply_location(part, location_)
        if settings.child is not None and location_.role is not Role.UNKNOWN:
            settings.child.variant.apply_location(settings.child, location_)
            settings.child.locations.insert(0, location_)

    def apply_as_dependent(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Leave it to the primary."""
        primary.variant.apply_as_primary(job, dependent, primary, colocation_)

    def apply_as_primary(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Draw a dependent to where containers are."""
        if primary.unassigned:
            return
        inner = _settings(primary).child
        if dependent.unassigned and together.is_about_inside(dependent, colocation_):
            return
        is_about_promotion = (
            colocation_.primary_role is not Role.UNKNOWN
            and colocation_.dependent_role is Role.PROMOTED
            and not dependent.unassigned
        )
        if is_about_promotion and inner is not None:
            clone.follow_role_in_priority(dependent, inner, colocation_, demands=False)
            return
        if (
            colocation_.dependent.kind in {Kind.CLONE, Kind.BUNDLE}
            and colocation_.primary_role is Role.UNKNOWN
        ):
            partner = instances.compatible(job, dependent, primary, Role.UNKNOWN, current=False)
            if partner is not None:
                partner.variant.apply_as_primary(job, dependent, partner, colocation_)
            elif colocation_.score >= INFINITY:
                assign.settle(job, dependent, None, force=True, final=True)
            return
        hosts: list[Node] = []
        for replica in _settings(primary).replicas:
            host = replica.container.assigned_to
            if host is None or replica.container.blocked:
                continue
            child = replica.child
            if colocation_.primary_role is Role.PROMOTED and (
                child is None or child.next_role < Role.PROMOTED
            ):
                continue
            hosts.append(host)
            if colocation_.score < INFINITY:
                together.apply(dependent, replica.container, colocation_)
        if colocation_.score >= INFINITY:
            clone.keep_only(dependent, primary, colocation_, hosts)

    def representative(self, rsc: Resource, *, sorting: bool) -> Resource:
        """Speak for itself."""
        _ = sorting
        return rsc

    def collect_this_with(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """The bundle's own matter to itself and to its containers, and to its clone once roles are chosen."""
        if _is_concerned(rsc, original):
            found.extend(rsc.this_with)

    def collect_with_this(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """Others with the bundle matter to itself and to its containers, and to its clone once roles are chosen."""
        if _is_concerned(rsc, original):
            found.extend(rsc.with_this)

    def action_flags(self, action: Action, node: Node | None) -> int:
        """Give the flags that follow from the containers, or from what is inside."""
        assert action.resource is not None, "a bundle's action has a resource"
        inner = _settings(action.resource).child
        if inner is not None and action.task in _INNER:
            own = find_first(inner, action.task, None)
            if own is not None:
                flags = inner.variant.action_flags(own, node)
                action.clear(~flags & (Flag.OPTIONAL))
                return flags
        return instances.collective_flags(action, None)

    def add_internal_constraints(self, job: Job, rsc: Resource) -> None:
        """Order the parts between the bundle's beginning and its completion."""
        settings = _settings(rsc)
        inner = settings.child
        if inner is not None:
            _order_points(job, rsc, inner, (("start", "running"), ("stop", "stopped")))
        for replica in settings.replicas:
            _order_replica(job, rsc, replica)
        if inner is None:
            return
        inner.variant.add_internal_constraints(job, inner)
        if inner.xml_is_promotable:
            clone.order_roles(job, rsc)
            _order_points(job, rsc, inner, (("promote", "promoted"), ("demote", "demoted")))


def _order_points(job: Job, rsc: Resource, inner: Resource, points: tuple[tuple[str, str], ...]) -> None:
    """Let what is inside begin after the bundle, and be done before it."""
    for begin, done in points:
        ordering.tasks(job, (rsc, begin), (inner, begin), Rel.THEN_IMPLIES_FIRST_GRAPHED)
        ordering.tasks(job, (inner, done), (rsc, done), Rel.FIRST_IMPLIES_THEN_GRAPHED)


def _is_concerned(bundle: Resource, original: Resource) -> bool:
    settings = _settings(bundle)
    if original is bundle or any(replica.container is original for replica in settings.replicas):
        return True
    inner = settings.child
    if inner is None or not inner.xml_is_promotable or original.top is not inner:
        return False
    return inner.is_visited if original is inner else not original.unassigned


def _assign_replica(job: Job, replica: Replica, *, final: bool) -> None:
    host = replica.container.assigned_to
    if replica.ip is not None:
        replica.ip.variant.assign(job, replica.ip, host, final=final)
    connection = replica.connection
    if connection is not None:
        if host is not None and host.is_remote and host.connection is not None:
            _bind(job, "#replica-remote-with-host-remote", connection, host.connection)
        connection.variant.assign(job, connection, host, final=final)
    child = replica.child
    if child is None:
        return
    for row in child.table.values():
        row.score = INFINITY if row.node is replica.node and row.score >= 0 else -INFINITY
    assert child.parent is not None, "what is inside belongs to a clone"
    child.parent.assigning = True
    child.variant.assign(job, child, replica.node, final=final)
    child.parent.assigning = False


def _bind(job: Job, name: str, dependent: Resource, primary: Resource) -> None:
    colocation.add(
        job,
        Colocation(
            name,
            dependent,
            primary,
            INFINITY,
            Role.UNKNOWN,
            Role.UNKNOWN,
            "#uname",
            influence=True,
            is_explicit=False,
        ),
    )


def _order_replica(job: Job, rsc: Resource, replica: Replica) -> None:
    container = replica.container
    before, after = Rel.THEN_IMPLIES_FIRST_GRAPHED, Rel.FIRST_IMPLIES_THEN_GRAPHED
    container.variant.add_internal_constraints(job, container)
    ordering.starts(job, rsc, container, Rel.UNRUNNABLE_FIRST_BLOCKS | before)
    if replica.child is not None:
        ordering.stops(job, rsc, replica.child, before)
    ordering.stops(job, rsc, container, before)
    ordering.tasks(job, (container, "start"), (rsc, "running"), after)
    ordering.tasks(job, (container, "stop"), (rsc, "stopped"), after)
    if replica.ip is not None:
        replica.ip.variant.add_internal_constraints(job, replica.ip)
        up = Rel.ORDERED | Rel.UNRUNNABLE_FIRST_BLOCKS | Rel.GUEST_ALLOWED
        ordering.starts(job, replica.ip, container, up)
        ordering.stops(job, container, replica.ip, Rel.ORDERED | Rel.THEN_IMPLIES_FIRST | Rel.GUEST_ALLOWED)
        _bind(job, "#ip-with-container", replica.ip, container)
    if replica.connection is not None:
        replica.connection.variant.add_internal_constraints(job, replica.connection)


def _probe_replica(job: Job, settings: BundleSettings, replica: Replica, node: Node) -> bool:
    any_probed = False
    if replica.ip is not None:
        any_probed = replica.ip.variant.create_probe(job, replica.ip, node)
    if replica.child is not None and node is replica.node:
        any_probed = replica.child.variant.create_probe(job, replica.child, node) or any_probed
    container = replica.container
    if container.variant.create_probe(job, container, node):
        any_probed = True
        for other in settings.replicas if settings.per_host == 1 else ():
            if other is not replica:
                flags = Rel.ORDERED | Rel.IF_ON_SAME_NODE
                ordering.tasks(job, (container, "monitor"), (other.container, "start"), flags)
    connection = replica.connection
    if connection is not None and connection.variant.create_probe(job, connection, node):
        any_probed = True
        for probe in actions.find_exact(connection, key_of(connection.id, "monitor"), node):
            ordering.between(job, (container, key_of(container.id, "start")), probe, Rel.NESTED_REMOTE_PROBE)
    return any_probed
