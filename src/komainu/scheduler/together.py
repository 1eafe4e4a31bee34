"""Compute what colocations are worth: how a dependent follows its primary, and what a primary owes its dependents.

Works on node tables and promotion priorities; assigns nothing itself.
Source: Pacemaker Explained, "Colocation Constraints"; roundings and exceptions as its regression suite pins them.
"""

from enum import Enum
from typing import Final

from komainu.model.role import Role
from komainu.scheduler import colocation as sorting
from komainu.scheduler import tree
from komainu.scheduler.job import Candidate, Colocation, Node, Resource, Table, copy_table
from komainu.scheduler.location import node_attribute
from komainu.scheduler.words import INFINITY, Kind, add_scores

_TURNED_NEGATIVE: Final = -100 * INFINITY
"""Marks a node that would have become negative where that is not allowed; it ends as 1."""

_BY_NODE: Final = "#uname"
"""The attribute by which resources are together on one node: its own name, but for what runs in a bundle."""


class Effect(Enum):
    """What a colocation acts upon."""

    NOTHING = "nothing"
    LOCATION = "location"
    ROLE = "role"


def this_with(rsc: Resource) -> list[Colocation]:
    """Return the colocations in which the resource depends on others, strongest first."""
    found: list[Colocation] = []
    rsc.variant.collect_this_with(rsc, rsc, found)
    return sorting.sort_this_with(found)


def with_this(rsc: Resource) -> list[Colocation]:
    """Return the colocations in which others depend on the resource, strongest first."""
    if rsc.dependents is not None:
        return rsc.dependents
    found: list[Colocation] = []
    rsc.variant.collect_with_this(rsc, rsc, found)
    found = sorting.sort_with_this(found)
    if rsc.top_with_bundle.kind is not Kind.BUNDLE:  # there it depends on what has been decided
        rsc.dependents = found
    return found


def is_mandatory(colocation: Colocation) -> bool:
    """Tell whether the score is a demand, not a wish."""
    return abs(colocation.score) >= INFINITY


def is_row_available(row: Candidate) -> bool:
    """Tell whether a node can take the resource whose table this is."""
    return row.score >= 0 and row.node.is_available


def any_available(table: Table) -> bool:
    """Tell whether some node can take the resource."""
    return any(is_row_available(row) for row in table.values())


def has_influence(colocation: Colocation, primary: Resource | None = None) -> bool:
    """Tell whether the dependent's wishes count for the primary.

    A container that runs well does not move for the sake of its connection.
    """
    primary = primary or colocation.primary
    dependent = colocation.dependent
    is_bundle_connection = dependent.is_remote_connection and dependent.bundle_owner is not None
    if is_bundle_connection and not primary.failed and len(primary.active) == 1:
        return False
    return colocation.influence or not primary.active


def _role_holder(rsc: Resource) -> Resource:
    """Return the resource whose role counts: a bundle's container has that of the bundled resource."""
    owner = rsc.bundle_owner
    if owner is not None and owner.bundle is not None:
        for replica in owner.bundle.replicas:
            if replica.container is rsc and replica.child is not None:
                return replica.child
    return rsc


def is_about_inside(dependent: Resource, colocation: Colocation) -> bool:
    """Tell whether a colocation is about the role of what runs in a container, not about the container."""
    return colocation.dependent_role is Role.PROMOTED and _role_holder(dependent) is not dependent


def effect_of(
    dependent: Resource, primary: Resource, colocation: Colocation, *, is_preview: bool = False
) -> Effect:
    """Tell what a colocation affects at this point of the run; as a preview, what it will affect."""
    if primary.unassigned and not is_preview:
        return Effect.NOTHING
    holder = _role_holder(dependent)
    parent = holder.parent
    if parent is not None and parent.kind is Kind.GROUP:
        parent = parent.parent
    is_in_promotable = parent is not None and parent.is_promotable
    if is_in_promotable and colocation.dependent_role >= Role.UNPROMOTED and not holder.unassigned:
        return Effect.ROLE
    if not dependent.unassigned and not is_preview:
        return Effect.NOTHING
    for role, rsc in ((colocation.dependent_role, holder), (colocation.primary_role, _role_holder(primary))):
        if role is not Role.UNKNOWN and role is not rsc.next_role:
            return Effect.NOTHING
    return Effect.LOCATION


def apply(dependent: Resource, primary: Resource, colocation: Colocation) -> None:
    """Apply a colocation between two resources that each are on one node at most."""
    match effect_of(dependent, primary, colocation):
        case Effect.NOTHING:
            return
        case Effect.ROLE:
            apply_to_priority(dependent, primary, colocation)
        case Effect.LOCATION:
            apply_to_table(dependent, primary, colocation)


def attribute_of(node: Node, name: str, rsc: Resource) -> str | None:
    """Return the value by which nodes are compared in a colocation; of what runs in a bundle, its host's."""
    if not node.is_remote:
        return node.attributes.get(name)
    launcher = node.connection.launcher if node.connection is not None else None
    is_beside = rsc.kind is Kind.PRIMITIVE and rsc.parent is rsc.bundle_owner
    if rsc.bundle_owner is not None and not is_beside and node.is_guest and launcher is not None:
        host = launcher.assigned_to or tree.current_node(launcher)
        return None if host is None else host.attributes.get(name)
    return node_attribute(node, name, rsc)


def apply_to_table(dependent: Resource, primary: Resource, colocation: Colocation) -> None:
    """Weigh the dependent's nodes by where the primary is."""
    score, name = colocation.score, colocation.node_attribute
    home = primary.assigned_to
    if home is None and score < 0:
        return
    table = copy_table(dependent.table)
    value = None if home is None else attribute_of(home, name, primary)
    for row in table.values():
        if home is None:
            row.score = add_scores(-score, row.score)
        elif attribute_of(row.node, name, dependent) == value:
            if score < INFINITY:
                row.score = add_scores(score, row.score)
        elif score >= INFINITY:
            row.score = -INFINITY
    if abs(score) >= INFINITY or any_available(table):
        dependent.table = table


def apply_to_priority(dependent: Resource, primary: Resource, colocation: Colocation) -> None:
    """Weigh the dependent's promotion by where the primary is."""
    home, there = tree.target(primary), tree.target(dependent)
    if home is None or there is None:
        return
    name, score = colocation.node_attribute, colocation.score
    if attribute_of(there, name, dependent) != attribute_of(home, name, primary):
        if score >= INFINITY and colocation.dependent_role is Role.PROMOTED:
            dependent.promotion_priority = -INFINITY
        return
    wanted = colocation.primary_role
    if wanted is not Role.UNKNOWN and wanted is not _role_holder(primary).next_role:
        return
    if colocation.dependent_role is Role.UNPROMOTED:
        score = -score
    dependent.promotion_priority = add_scores(score, dependent.promotion_priority)


# -- what dependents wish for their primary -------------------------------------------------------------


def add_dependent_wishes(colocation: Colocation, primary: Resource, *, keeps_positive: bool = False) -> None:
    """Add to the primary's table what one dependent, and all that depend on it in turn, would like."""
    if has_influence(colocation):
        factor = colocation.score / INFINITY
        walk = _Walk(primary, keeps_positive=keeps_positive, follows_primaries=False)
        primary.table = walk.add(colocation.dependent, primary.table, colocation, factor)


def add_wishes(
    table: Table,
    target: Resource,
    speaker: Resource,
    colocation: Colocation,
    *,
    keeps_positive: bool,
    keeps_hopeless: bool = False,
    follows_primaries: bool = False,
) -> Table:
    """Return a table of the target with what another resource, and what is colocated with that, wishes."""
    walk = _Walk(target, keeps_positive=keeps_positive, follows_primaries=follows_primaries)
    walk.keeps_hopeless = keeps_hopeless
    return walk.add(speaker, table, colocation, colocation.score / INFINITY)


def wishes_for_sorting(rsc: Resource, *, follows_primaries: bool, table: Table | None = None) -> Table:
    """Return a resource's table with the wishes of what it is colocated with; changes nothing."""
    walk = _Walk(rsc, keeps_positive=False, follows_primaries=follows_primaries)
    return walk.start(rsc, table)


Scores = dict[str, int]
"""A node table without anything but its scores, by node id: a walk makes many, and they are quickly copied."""


class _Walk:
    """One walk along colocations, each resource visited once, the factor multiplied along the chain."""

    def __init__(self, target: Resource, *, keeps_positive: bool, follows_primaries: bool) -> None:
        self._target = target
        self._keeps_positive = keeps_positive
        self._follows_primaries = follows_primaries
        self._table: Table = {}  # that which is walked for
        self._available: frozenset[str] = frozenset()  # its nodes that can take anything
        self._values: dict[str, list[tuple[str, str | None]]] = {}  # by attribute: what its nodes have
        self._members: dict[
            str, dict[str, str | None]
        ] = {}  # the same, of all members met that can take anything
        self.keeps_hopeless = False  # whether a table without any node left counts, too

    def start(self, rsc: Resource, table: Table | None) -> Table:
        """Begin with a resource's own table."""
        speaker = rsc.variant.representative(rsc, sorting=True)
        if speaker is not rsc:
            rsc.is_visited = True
        self._target = speaker
        speaker.is_visited = True
        result = self._spread(speaker, self._begin(speaker.table if table is None else table), 1.0)
        speaker.is_visited = rsc.is_visited = False
        return speaker.table if result is None else self._as_table(result)

    def add(self, source: Resource, table: Table, colocation: Colocation, factor: float) -> Table:
        """Return the table with the source's wishes, and those of what is colocated with it."""
        before = self._begin(table)
        after = self._add(source, before, colocation, factor)
        return table if after is before else self._as_table(after)

    def _begin(self, table: Table) -> Scores:
        self._table = table
        self._available = frozenset([node_id for node_id, row in table.items() if row.node.is_available])
        return {node_id: row.score for node_id, row in table.items()}

    def _as_table(self, scores: Scores) -> Table:
        return {
            node_id: Candidate(row.node, scores[node_id], row.count, row.discovery)
            for node_id, row in self._table.items()
        }

    def _add(self, source: Resource, scores: Scores, colocation: Colocation, factor: float) -> Scores:
        if source.is_visited:
            return scores
        speaker = source.variant.representative(source, sorting=False)
        if speaker.is_visited:
            return scores
        source.is_visited = speaker.is_visited = True
        work = self._with_matching(scores, speaker, colocation, factor)
        result = self._spread(speaker, work, factor)
        if result is not None and self._keeps_positive and _TURNED_NEGATIVE in result.values():
            result = {node_id: 1 if score == _TURNED_NEGATIVE else score for node_id, score in result.items()}
        source.is_visited = speaker.is_visited = False
        return scores if result is None else result

    def _spread(self, source: Resource, work: Scores, factor: float) -> Scores | None:
        """Go on to what is colocated with the source; None when no node is left."""
        for node_id in self._available:
            if work[node_id] >= 0:
                break
        else:
            return work if self.keeps_hopeless else None
        colocations = this_with(source) if self._follows_primaries else with_this(source)
        for colocation in colocations:
            other = colocation.primary if self._follows_primaries else colocation.dependent
            if not self._follows_primaries and not has_influence(colocation):
                continue
            work = self._add(other, work, colocation, factor * colocation.score / INFINITY)
        return work

    def _with_matching(
        self, scores: Scores, source: Resource, colocation: Colocation, factor: float
    ) -> Scores:
        """Return the scores with those that the source gives to nodes of the same value."""
        wishes = self._wishes(colocation, source)
        if not wishes:
            return scores
        silent_below = 0 if factor < 0 and not self._outweighs(source, colocation) else -INFINITY
        result = scores.copy()
        for node_id, score in wishes:
            before = result[node_id]
            if score < silent_below or before == _TURNED_NEGATIVE:
                continue
            after = add_scores(score if factor == 1 else _round(factor, score), before)
            if self._keeps_positive and after < 0 and before >= 0:
                after = _TURNED_NEGATIVE if before > 0 else before
            result[node_id] = after
        return result

    def _wishes(self, colocation: Colocation, source: Resource) -> list[tuple[str, int]]:
        """Return the scores that the source has for nodes of the same value, but for those that are nothing."""
        name = colocation.node_attribute
        extra = _group_locations(colocation, source)
        if name == _BY_NODE and not (extra or source.bundle_owner or self._target.bundle_owner):
            return self._wishes_by_node(source.table)
        if name not in self._values:
            rows = self._table.items()
            self._values[name] = [(key, attribute_of(row.node, name, self._target)) for key, row in rows]
        best = self._best_scores(name, source, extra)
        wishes = [(node_id, best.get(value, -INFINITY)) for node_id, value in self._values[name]]
        return [(node_id, score) for node_id, score in wishes if score]

    def _wishes_by_node(self, table: Table) -> list[tuple[str, int]]:
        """Return the same where each node stands for itself alone."""
        wishes = []
        for node_id in self._table:
            row = table.get(node_id)
            score = row.score if row is not None and node_id in self._available else -INFINITY
            if score:
                wishes.append((node_id, score))
        return wishes

    def _best_scores(self, name: str, source: Resource, extra: dict[str, int]) -> dict[str | None, int]:
        """Return the source's best score among the available nodes, for each value of a node attribute."""
        members = self._members.setdefault(name, {})
        best: dict[str | None, int] = {}
        for node_id, row in source.table.items():
            node, score = row.node, row.score
            if node_id in members:
                value = members[node_id]
            elif node.is_available:
                value = attribute_of(node, name, source)
                if not node.is_remote:
                    members[node_id] = value
            else:
                continue
            if node_id in extra:
                score = add_scores(score, extra[node_id])
            if score > best.get(value, -INFINITY):
                best[value] = score
        return best

    def _outweighs(self, source: Resource, colocation: Colocation) -> bool:
        """A dependent that wants to be apart and has one node only moves a primary that is less sticky."""
        allowed = [row for row in source.table.values() if row.score >= 0]
        return len(allowed) == 1 and self._target.stickiness < abs(colocation.score)


def _round(factor: float, score: int) -> int:
    """Multiply, half away from zero; what is not nothing stays at least one."""
    product = factor * score
    delta = int(product - 0.5) if product < 0 else int(product + 0.5)
    if delta == 0 and score != 0:
        return 1 if factor > 0 else -1 if factor < 0 else 0
    return delta


def _group_locations(colocation: Colocation, source: Resource) -> dict[str, int]:
    """A member that is named itself, but is not the first, has the group's location scores too."""
    group = source.parent
    if group is None or group.kind is not Kind.GROUP:
        return {}
    if colocation.dependent is not source or not colocation.is_explicit or group.children[0] is source:
        return {}
    extra: dict[str, int] = {}
    for location in group.locations:
        if location.role is Role.UNKNOWN:
            for node_id, row in location.rows.items():
                extra[node_id] = add_scores(extra.get(node_id, 0), row.score)
    return extra
