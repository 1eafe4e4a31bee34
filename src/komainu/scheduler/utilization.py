"""Keep account of what nodes can hold and resources need, and forbid nodes that are too small.

Source: Pacemaker Explained, "Utilization and Placement Strategy".
"""

from collections.abc import Iterable, Iterator, Mapping

from komainu.model.role import Role
from komainu.scheduler import together
from komainu.scheduler.job import Colocation, Job, Node, Resource
from komainu.scheduler.options import parse_int
from komainu.scheduler.words import INFINITY, Kind

Amounts = dict[str, int]


def _numbers(table: Mapping[str, str]) -> Amounts:
    return {name: parse_int(text, 0) for name, text in table.items()}


def prepare(job: Job) -> None:
    """Read what each node can hold."""
    for node in job.nodes:
        node.capacity = _numbers(node.utilization)


def consume(node: Node, rsc: Resource) -> None:
    """Take what a resource needs from a node."""
    for name, amount in _numbers(rsc.utilization).items():
        if name in node.capacity:
            node.capacity[name] -= amount


def restore(node: Node, rsc: Resource) -> None:
    """Give it back."""
    for name, amount in _numbers(rsc.utilization).items():
        if name in node.capacity:
            node.capacity[name] += amount


def compare_capacity(left: Node, right: Node) -> int:
    """Compare free capacity: negative when the left node has more of more things."""
    balance = 0
    for name in sorted({*left.capacity, *right.capacity}):
        have = left.capacity.get(name, 0), right.capacity.get(name, 0)
        balance += (have[0] < have[1]) - (have[0] > have[1])
    return balance


def fits(node: Node, demand: Amounts) -> bool:
    """Tell whether a node has room for a demand."""
    return all(node.capacity.get(name, 0) >= amount for name, amount in demand.items())


def _add(demand: Amounts, rsc: Resource) -> None:
    for name, amount in _numbers(rsc.utilization).items():
        demand[name] = demand.get(name, 0) + amount


# -- resources that have to be together -----------------------------------------------------------------


def bound_together(rsc: Resource) -> list[Resource]:
    """Return the resource and all that a chain of mandatory colocations binds to it, in the order found.

    Which instance of a clone a single resource will be with cannot be known, so from a clone only other clones
    are reached among those that depend on it.
    """
    found = [rsc]
    known = {rsc}
    for current in found:
        if current.kind is Kind.GROUP and (current.colocated_members or current.parent is not None):
            others: Iterable[Resource] = current.children
        else:
            others = _bound_directly(current)
        for other in others:
            if other not in known:
                known.add(other)
                found.append(other)
    return found


def _bound_directly(rsc: Resource) -> Iterator[Resource]:
    for colocation in together.this_with(rsc):
        if _binds(rsc, colocation.primary, colocation):
            yield colocation.primary
    for colocation in together.with_this(rsc):
        is_uncertain = rsc.kind is Kind.CLONE and colocation.dependent.kind is not Kind.CLONE
        if not is_uncertain and _binds(colocation.dependent, rsc, colocation):
            yield colocation.dependent


def _binds(dependent: Resource, primary: Resource, colocation: Colocation) -> bool:
    if colocation.score < INFINITY:
        return False
    if colocation.dependent_role is Role.UNKNOWN and colocation.primary_role is Role.UNKNOWN:
        return True  # whatever their roles will be
    return together.effect_of(dependent, primary, colocation, is_preview=True) is together.Effect.LOCATION


def _demand_of(rsc: Resource, members: list[Resource]) -> Amounts:
    """Add up what is not assigned yet; of a clone one instance, unless some are listed themselves."""
    demand: Amounts = {}
    counted: set[str] = set()
    listed = set(members)
    for other in members:
        if not other.unassigned:
            continue
        parts = other.primitives()
        if other.kind is Kind.CLONE:
            if not listed.isdisjoint(parts):
                continue
            parts = other.children[0].primitives()
        for part in parts:
            if part.id not in counted and (part.unassigned or part is rsc):
                counted.add(part.id)
                _add(demand, part)
    return demand


def ban_too_small(job: Job, rsc: Resource) -> Node | None:
    """Forbid the nodes that cannot hold the resource; return the one with the most room, if it matters.

    If some node can take all that has to be together, those that cannot are out; otherwise those that cannot
    take the resource alone.
    """
    if job.options.placement_strategy == "default":
        return None
    members = bound_together(rsc)
    whole = _demand_of(rsc, members)
    alone: Amounts = {}
    _add(alone, rsc)
    usable = [row for row in rsc.table.values() if together.is_row_available(row)]
    fits_whole = [row for row in usable if fits(row.node, whole)]
    if fits_whole:
        for row in usable:
            if row not in fits_whole:
                row.score = -INFINITY
        return None
    roomiest: Node | None = None
    for row in sorted(usable, key=lambda r: r.node.name):
        if not fits(row.node, alone):
            row.score = -INFINITY
        elif roomiest is None or compare_capacity(row.node, roomiest) < 0:
            roomiest = row.node
    return roomiest
