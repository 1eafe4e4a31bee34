"""Spread the instances of a collective over nodes, without shuffling those that may stay where they are.

Source: Pacemaker Explained, "Clones" (clone-max, clone-node-max); the early pass is pinned by its regression suite.
"""

from functools import cmp_to_key

from komainu.scheduler import assign, instances, together, tree
from komainu.scheduler.job import Candidate, Job, Node, Resource, Table, copy_table
from komainu.scheduler.words import INFINITY


def number_of(rsc: Resource) -> int:
    """Return an instance's number."""
    _, colon, number = rsc.id.rpartition(":")
    return int(number) if colon and number.isdigit() else 0


def parent_row(instance: Resource, node: Node) -> Candidate | None:
    """Return the row of a node in the table of the whole."""
    parent = instance.parent
    return None if parent is None else parent.table.get(node.id)


def assign_instances(
    job: Job, collective: Resource, parts: list[Resource], *, maximum: int, per_node: int
) -> None:
    """Assign instances: those that may stay first, the rest then, no more than the maximum."""
    spread = _Spread(job, collective, parts, maximum=maximum, per_node=per_node)
    spread.run()


class _Spread:
    """One collective being assigned."""

    def __init__(
        self, job: Job, collective: Resource, parts: list[Resource], *, maximum: int, per_node: int
    ) -> None:
        self._job = job
        self._whole = collective
        self._parts = parts
        self._maximum = maximum
        self._per_node = per_node
        self._assigned = 0

    def run(self) -> None:
        """Assign all."""
        available = 0
        for row in self._whole.table.values():
            row.count = 0
            available += row.node.is_available
        optimal = max(1, self._maximum // available) if available else 1
        for instance in self._parts:
            if self._assigned >= self._maximum:
                break
            home = self._home(instance, optimal)
            if home is not None and self._assign_early(instance, home):
                self._assigned += 1
        for instance in self._parts:
            if not instance.unassigned:
                continue
            if self._assigned >= self._maximum:
                tree.ban(instance)
            elif self._assign(instance, None) is not None:
                self._assigned += 1

    def _home(self, instance: Resource, optimal: int) -> Node | None:
        """Return the node where an instance should stay, if it may."""
        active = tree.locations(instance)
        if not active or not instance.unassigned or instance.failed:
            return None
        node = tree.current_node(instance)
        if node is None or not node.is_available or node.base_score < 0:
            return None
        row, own = parent_row(instance, node), instance.table.get(node.id)
        if row is not None and (row.score < 0 or row.count >= optimal):
            return None
        return None if own is None or own.score < 0 else node

    def _assign_early(self, instance: Resource, home: Node) -> bool:
        """Try to keep an instance at home.

        Each time it prefers another node, a place there is reserved for one of those still to come, and it is
        tried again.
        """
        parent = instance.parent
        if parent is None or home.id not in parent.table:
            return False
        tables = {part: copy_table(part.table) for part in instance.walk()}
        whole = parent.table
        parent.table = copy_table(whole)
        chosen: Node | None = None
        for _ in range(self._maximum - self._assigned):
            chosen = self._assign(instance, home)
            if chosen is home:
                break
            for part, table in tables.items():
                part.table = copy_table(table)
            if chosen is None:
                instance.unassigned = True
                self._leave_nowhere(instance)
                break
            assign.release(instance)
            chosen = None
        parent.table = whole
        if chosen is None:
            return False
        _count(instance, chosen)
        return True

    def _leave_nowhere(self, instance: Resource) -> None:
        """Members that found no node on trial keep to that, now with all that follows from it."""
        for member in instance.primitives():
            if not member.unassigned and member.assigned_to is None:
                assign.settle(self._job, member, None, force=True, final=True)

    def _assign(self, instance: Resource, prefer: Node | None) -> Node | None:
        if not instance.unassigned:
            return instances.place(instance, current=False)
        if instance.assigning:
            return None
        _ban_unavailable(instance, self._per_node)
        chosen = instance.variant.assign(self._job, instance, prefer, final=prefer is None)
        if chosen is None:
            return None
        _count(instance, chosen)
        return chosen


def _count(instance: Resource, node: Node) -> None:
    row = parent_row(instance, node)
    if row is not None:
        row.count += 1


def _ban_unavailable(instance: Resource, per_node: int) -> None:
    for node_id, row in instance.table.items():
        if _can_take(instance, row, per_node):
            continue
        for part in instance.walk():
            own = part.table.get(node_id)
            if own is not None:
                own.score = -INFINITY


def _can_take(instance: Resource, row: Candidate, per_node: int) -> bool:
    if instance.removed or not row.node.is_available:
        return False
    whole = parent_row(instance, row.node)
    return whole is not None and whole.score >= 0 and whole.count < per_node


# -- the order of instances -----------------------------------------------------------------------------


def sort(parts: list[Resource]) -> list[Resource]:
    """Put instances in the order in which they are assigned."""
    return sorted(parts, key=cmp_to_key(Order().compare))


class Order:
    """Which of two instances comes first. What a present node is worth is weighed once per instance."""

    def __init__(self) -> None:
        self._worth: dict[str, int] = {}

    def compare(self, left: Resource, right: Resource) -> int:
        """Tell which of two instances comes first: negative when the left one does."""
        nodes = [tree.locations(left), tree.locations(right)]
        if nodes[0] and nodes[1] and len(nodes[0]) != len(nodes[1]):
            return len(nodes[0]) - len(nodes[1])
        homes = [tree.current_node(rsc) for rsc in (left, right)]
        allowed = [_may_be_on(rsc, home) for home, rsc in zip(homes, (left, right), strict=True)]
        if allowed[0] != allowed[1]:
            return -1 if allowed[0] else 1
        if left.promotion_priority != right.promotion_priority:
            return right.promotion_priority - left.promotion_priority
        homes = [home if is_allowed else None for home, is_allowed in zip(homes, allowed, strict=True)]
        first, second = homes
        if first is None or second is None:
            if first is second:
                return number_of(left) - number_of(right)
            return 1 if first is None else -1
        return self._compare_active((left, first), (right, second))

    def _compare_active(self, left: tuple[Resource, Node], right: tuple[Resource, Node]) -> int:
        """Compare two instances that are both active where they may be."""
        if left[1].is_available != right[1].is_available:
            return -1 if left[1].is_available else 1
        rows = parent_row(*left), parent_row(*right)
        if (rows[0] is None) != (rows[1] is None):
            return 1 if rows[0] is None else -1
        if rows[0] is not None and rows[1] is not None and rows[0].count != rows[1].count:
            return rows[0].count - rows[1].count
        failed = [_has_failed(rsc) for rsc, _ in (left, right)]
        if failed[0] != failed[1]:
            return 1 if failed[0] else -1
        worths = [self._worth_of(rsc, node) for rsc, node in (left, right)]
        if worths[0] != worths[1]:
            return worths[1] - worths[0]
        return number_of(left[0]) - number_of(right[0])

    def _worth_of(self, instance: Resource, node: Node) -> int:
        if instance.id not in self._worth:
            self._worth[instance.id] = _colocated_score(instance, node)
        return self._worth[instance.id]


def _may_be_on(rsc: Resource, home: Node | None) -> bool:
    if home is None:
        return True
    row = rsc.table.get(home.id)
    return row is not None and row.score >= 0


def _has_failed(rsc: Resource) -> bool:
    return any(part.failed for part in rsc.walk())


def _colocated_score(instance: Resource, node: Node) -> int:
    """Return what the node is worth where an instance is, by its colocations alone: what it likes itself is no matter."""
    table: Table = {node.id: Candidate(node, node.base_score)}
    for colocation in together.this_with(instance):
        table = together.add_wishes(
            table, instance, colocation.primary, colocation, keeps_positive=False, keeps_hopeless=True
        )
    for colocation in together.with_this(instance):
        if together.has_influence(colocation, instance):
            table = together.add_wishes(
                table, instance, colocation.dependent, colocation, keeps_positive=True
            )
    row = table.get(node.id)
    return -INFINITY if row is None else row.score
