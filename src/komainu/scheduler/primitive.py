"""Say what a primitive does in each phase: the variant of resources that an agent runs.

Source: Pacemaker Explained, "Primitive Resources", "Guest Nodes".
"""

from komainu.model.role import Role
from komainu.scheduler import (
    assign,
    colocation,
    location,
    ordering,
    probes,
    role_changes,
    together,
    tree,
    unfencing,
    utilization_order,
)
from komainu.scheduler.actions import key_of
from komainu.scheduler.job import Action, Colocation, Job, Location, Node, Resource
from komainu.scheduler.words import INFINITY, Rel

BUNDLE_CONNECTION_SCORE = 10_000
"""How much a bundle's connection likes its container's node: highly, but it may be elsewhere."""


class Primitive:
    """The variant of primitives."""

    def assign(self, job: Job, rsc: Resource, prefer: Node | None, *, final: bool) -> Node | None:
        """Choose a node."""
        return assign.primitive(job, rsc, prefer, final=final)

    def create_actions(self, job: Job, rsc: Resource) -> None:
        """Create what leads from the present role to the next."""
        role_changes.create(job, rsc)

    def create_probe(self, job: Job, rsc: Resource, node: Node) -> bool:
        """Probe, if nothing is known."""
        return probes.primitive(job, rsc, node)

    def apply_location(self, rsc: Resource, location_: Location) -> None:
        """Add scores to the table."""
        location.apply(rsc, location_)

    def apply_as_dependent(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Leave it to the primary, which knows whether it is one thing or many."""
        primary.variant.apply_as_primary(job, dependent, primary, colocation_)

    def apply_as_primary(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Apply it as it stands."""
        _ = job
        together.apply(dependent, primary, colocation_)

    def representative(self, rsc: Resource, *, sorting: bool) -> Resource:
        """Speak for itself."""
        _ = sorting
        return rsc

    def collect_this_with(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """Give its own; for others of its collective only what was configured for it by name."""
        if rsc is original:
            found.extend(rsc.this_with)
            if rsc.parent is not None:
                rsc.parent.variant.collect_this_with(rsc.parent, original, found)
        else:
            found.extend(c for c in rsc.this_with if c.is_explicit)

    def collect_with_this(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """Give its own; for others of its collective only what was configured for it by name."""
        if rsc is original:
            found.extend(rsc.with_this)
            if rsc.parent is not None:
                rsc.parent.variant.collect_with_this(rsc.parent, original, found)
        else:
            found.extend(c for c in rsc.with_this if c.is_explicit)

    def action_flags(self, action: Action, node: Node | None) -> int:
        """Give the action's own flags."""
        _ = node
        return action.flags

    def add_internal_constraints(self, job: Job, rsc: Resource) -> None:
        """Order stop before start, and the climb between the roles."""
        if not rsc.managed:
            return
        ordering.tasks(
            job, (rsc, "stop"), (rsc, "start"), Rel.ORDERED | Rel.FIRST_IMPLIES_THEN | Rel.INTERMEDIATE_STOP
        )
        if rsc.top.is_promotable or rsc.role > Role.UNPROMOTED:
            ordering.tasks(job, (rsc, "demote"), (rsc, "stop"), Rel.PROMOTED_THEN_IMPLIES_FIRST)
            ordering.tasks(job, (rsc, "start"), (rsc, "promote"), Rel.UNRUNNABLE_FIRST_BLOCKS)
        ordering.tasks(
            job, (rsc, "lrm_delete"), (rsc, "monitor"), Rel.IF_ON_SAME_NODE | Rel.THEN_CANCELS_FIRST
        )
        unfencing.order_restart(job, rsc)
        utilization_order.add(job, rsc)
        if rsc.launcher is not None:
            _tie_to_launcher(job, rsc, rsc.launcher)
        if rsc.is_remote_connection or rsc.is_fence_device:
            avoid_remote_nodes(rsc)


def avoid_remote_nodes(rsc: Resource) -> None:
    """Keep a resource off nodes that are reached through a connection; what is left of others is never up."""
    for row in rsc.table.values():
        if row.node.connection is not None:
            row.score = -INFINITY


def _tie_to_launcher(job: Job, rsc: Resource, launcher: Resource) -> None:
    """Keep what a launcher brings up with it."""
    remote: Resource | None = None
    if rsc.is_remote_connection:
        if rsc.bundle_owner is None:
            avoid_remote_nodes(launcher)
        ordering.between(
            job, (launcher, key_of(launcher.id, "monitor")), (rsc, key_of(rsc.id, "stop")), Rel.ORDERED
        )
    elif launcher.is_remote_connection:
        remote = launcher
    else:
        remote = tree.contains_remote_node(launcher)
    if remote is not None:
        for row in rsc.table.values():
            if row.node.connection is not remote:
                row.score = -INFINITY
        return
    ordering.starts(job, launcher, rsc, Rel.FIRST_IMPLIES_THEN | Rel.UNRUNNABLE_FIRST_BLOCKS)
    ordering.stops(job, rsc, launcher, Rel.ORDERED | Rel.THEN_IMPLIES_FIRST)
    is_bundle_connection = rsc.is_remote_connection and rsc.bundle_owner is not None
    score = BUNDLE_CONNECTION_SCORE if is_bundle_connection else INFINITY
    colocation.add(
        job,
        Colocation(
            "#resource-with-container",
            rsc,
            launcher,
            score,
            Role.UNKNOWN,
            Role.UNKNOWN,
            "#uname",
            influence=True,
            is_explicit=False,
        ),
    )
