"""Decide which instances of a promotable clone are promoted.

Source: Pacemaker Explained, "Promotable Clones"; agents say by the attribute `master-NAME` what a promotion is worth.
"""

from functools import cmp_to_key

from komainu.model import score
from komainu.model.role import Role
from komainu.scheduler import instances, scores, spread, together, tree
from komainu.scheduler.history import base_name
from komainu.scheduler.job import Colocation, Job, Location, Node, Resource
from komainu.scheduler.location import node_attribute
from komainu.scheduler.words import INFINITY, add_scores


def add_to_nodes(clone: Resource) -> None:
    """Before instances are assigned: let them like the nodes where they would be promoted."""
    settings = clone.clone
    assert settings is not None, "only clones are promotable"
    if settings.added_promoted_constraints:
        return
    settings.added_promoted_constraints = True
    for instance in clone.children:
        for row in instance.table.values():
            if not row.node.is_available:
                continue
            value = promotion_score(instance, row.node) or 0
            if value > 0:
                row.score = add_scores(row.score, value)
            instance.promotion_priority = max(instance.promotion_priority, value)


def promotion_score(rsc: Resource, node: Node) -> int | None:
    """Return what promoting an instance on a node is worth; None when nothing was said."""
    if rsc.children:
        values = [promotion_score(child, node) for child in rsc.children]
        known = [value for value in values if value is not None]
        return sum(known) if known else None
    if not _applies(rsc, node):
        return None
    name = rsc.history_name or rsc.id
    text = node_attribute(node, f"master-{name}", rsc)
    if text is None and not rsc.unique:
        text = node_attribute(node, f"master-{base_name(rsc.id)}", rsc)
    return None if text is None else int(score.parse(text))


def _applies(rsc: Resource, node: Node) -> bool:
    row = rsc.table.get(node.id)
    if row is None or row.score < 0:
        return False
    top = rsc.top
    if not top.unique:
        name = base_name(rsc.id)
        twins = [part for part in top.primitives() if base_name(part.id) == name]
        active = next((twin for twin in twins if node in twin.active), None)
        if active is rsc:
            return True
        if active is None and any(node.id in twin.known for twin in twins):
            return True
    if not rsc.active and not rsc.known:
        return True
    return node.id in rsc.known or node in rsc.active


# -- the choice -----------------------------------------------------------------------------------------


def set_roles(job: Job, clone: Resource) -> None:
    """After instances are assigned: promote the best, as many as may be."""
    settings = clone.clone
    assert settings is not None, "only clones are promotable"
    for row in clone.table.values():
        row.count = 0
    for instance in clone.children:
        _set_priority(job, clone, instance)
    _sort(clone)
    for instance in clone.children:
        # Up to here its own worth decided between instances whose nodes are worth the same.
        instance.promotion_priority = instance.sort_index
        scores.note_promotion(job, instance, instance.sort_index)
        if settings.promoted_count < settings.promoted_max or not clone.managed:
            if _promote(job, instance):
                settings.promoted_count += 1
        else:
            _keep_unpromoted(instance)


def _set_priority(job: Job, clone: Resource, instance: Resource) -> None:
    """Set what promoting an instance is worth: its score, its locations, its colocations."""
    if tree.role(instance, current=True) is Role.STARTED:
        for part in instance.walk():
            if part.role is Role.STARTED:
                part.role = Role.UNPROMOTED
    home = instances.place(instance, current=False)
    next_role = tree.role(instance, current=False)
    if next_role in {Role.STARTED, Role.UNKNOWN}:
        value = None if home is None else promotion_score(instance, home)
        instance.promotion_priority = -1 if value is None else value
    elif next_role in {Role.UNPROMOTED, Role.STOPPED}:
        instance.promotion_priority = -INFINITY
    if home is not None:
        _add_locations(instance, instance.locations, home)
        _add_locations(instance, clone.locations, home)
    for colocation in together.this_with(instance):
        if colocation.dependent_role is not Role.UNKNOWN:  # where it is to be is settled
            instance.variant.apply_as_dependent(job, instance, colocation.primary, colocation)
    instance.sort_index = INFINITY if next_role is Role.PROMOTED else instance.promotion_priority


def _add_locations(instance: Resource, locations: list[Location], home: Node) -> None:
    for location in locations:
        row = location.rows.get(home.id)
        if location.role is Role.PROMOTED and row is not None:
            instance.promotion_priority = add_scores(instance.promotion_priority, row.score)


def _sort(clone: Resource) -> None:
    """Sort instances by what the clone's nodes are worth, colocations of the promoted role included."""
    settings = clone.clone
    assert settings is not None, "only clones are promotable"
    clone.is_visited = True
    for instance in clone.children:
        home = instances.place(instance, current=False)
        row = None if home is None else clone.table.get(home.id)
        if instance.sort_index >= 0 and row is not None:
            row.score = add_scores(instance.sort_index, row.score)
    for colocation in together.this_with(clone):
        if colocation.dependent_role is Role.PROMOTED and colocation.score >= INFINITY:
            _heed_primary(clone, colocation)
    for colocation in together.with_this(clone):
        if colocation.primary_role is Role.PROMOTED and together.has_influence(colocation):
            clone.table = together.add_wishes(
                clone.table, clone, colocation.dependent, colocation, keeps_positive=True
            )
    clone.is_visited = False
    for ticket in clone.tickets:
        if ticket.role is Role.PROMOTED and (not ticket.ticket.is_granted or ticket.ticket.is_standby):
            tree.ban(clone)
    for instance in clone.children:
        _read_back(clone, instance)
    order = spread.Order()
    clone.children.sort(key=cmp_to_key(lambda left, right: _compare(order, left, right)))


def _heed_primary(clone: Resource, colocation: Colocation) -> None:
    """Promote only where the primary may be, even if that is nowhere; a mere wish must leave some node."""
    clone.table = together.add_wishes(
        clone.table,
        clone,
        colocation.primary,
        colocation,
        keeps_positive=False,
        keeps_hopeless=True,
        follows_primaries=True,
    )


def _read_back(clone: Resource, instance: Resource) -> None:
    home = instances.place(instance, current=False)
    if not instance.managed and instance.next_role is Role.PROMOTED:
        instance.sort_index = INFINITY
    elif home is None:
        instance.sort_index = -INFINITY
    elif instance.sort_index >= 0:
        row = clone.table.get(home.id)
        if row is not None:
            instance.sort_index = row.score


def _compare(order: spread.Order, left: Resource, right: Resource) -> int:
    if left.sort_index != right.sort_index:
        return right.sort_index - left.sort_index
    roles = tree.role(left, current=True), tree.role(right, current=True)
    if roles[0] is not roles[1]:
        return int(roles[1]) - int(roles[0])
    return order.compare(left, right)


def _node_for(instance: Resource) -> Node | None:
    """Return the node where an instance can be promoted; None if it cannot."""
    for child in instance.children:
        if _node_for(child) is None:
            return None
    node = instances.place(instance, current=False)
    if node is None:
        return None
    if not instance.managed:
        if tree.role(instance, current=True) is not Role.PROMOTED:
            return None
    elif instance.promotion_priority < 0 or not _is_available(node):
        return None
    clone = instance.top
    row = clone.table.get(node.id)
    if row is None or clone.clone is None:
        return None
    if row.count >= clone.clone.promoted_per_node and instance.managed:
        return None
    return node


def _is_available(node: Node) -> bool:
    if not node.is_available:
        return False
    launcher = None if node.connection is None else node.connection.launcher
    return not node.is_guest or launcher is None or bool(tree.locations(launcher, current=False))


def _promote(job: Job, instance: Resource) -> bool:
    node = _node_for(instance)
    frozen = not job.quorate and job.options.no_quorum_policy == "freeze"
    if node is None or (instance.role < Role.PROMOTED and frozen):
        _keep_unpromoted(instance)
        return False
    row = instance.top.table.get(node.id)
    if row is not None:
        row.count += 1
    for part in instance.walk():
        if part.next_role is Role.UNKNOWN:
            part.next_role = Role.PROMOTED
    return True


def _keep_unpromoted(instance: Resource) -> None:
    for part in instance.walk():
        placed = tree.locations(part, current=False)
        part.next_role = Role.UNPROMOTED if placed else Role.STOPPED
