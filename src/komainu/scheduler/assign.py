"""Choose the node of a single resource: weigh its colocations, sort its nodes, take the best that can run it.

Decides where, not what is done about it. Groups, clones and bundles come here for each of their members.
Source: Pacemaker Explained, "Colocation Constraints", "Utilization and Placement Strategy".
"""

from collections.abc import Iterable
from functools import cmp_to_key

from komainu.model.role import Role
from komainu.scheduler import scores, together, tree, utilization
from komainu.scheduler.actions import quorum_policy
from komainu.scheduler.job import Candidate, Colocation, Job, Node, Resource, Table, copy_table
from komainu.scheduler.words import INFINITY, Flag, Kind, Step


def primitive(job: Job, rsc: Resource, prefer: Node | None, *, final: bool) -> Node | None:
    """Assign a primitive. With `final=False` the assignment can be undone and has no effect on actions."""
    parent = rsc.parent
    if parent is not None and not parent.assigning:
        parent.variant.assign(job, parent, prefer, final=final)
    if not rsc.unassigned:
        return rsc.assigned_to
    if rsc.assigning:
        return None
    rsc.assigning = True
    job.ledger.weighed(rsc, Step.SPREAD)
    _weigh_colocations(job, rsc)
    if rsc.next_role is Role.STOPPED:
        tree.ban_everywhere(job, rsc)
        job.ledger.weighed(rsc, Step.TARGET)
    scores.note(job, rsc)
    if job.options.fencing_enabled and not (job.has_fence_device or job.options.have_watchdog):
        rsc.managed = False
    if not rsc.managed:
        rsc.next_role = rsc.role
        settle(job, rsc, tree.current_node(rsc), force=True, final=final)
    elif job.options.stop_all_resources:
        settle(job, rsc, None, force=True, final=final)
    else:
        if quorum_policy(job, rsc) == "freeze" and rsc.next_role > rsc.role:
            rsc.next_role = rsc.role
        _choose(job, rsc, prefer, final=final)
    rsc.assigning = False
    if rsc.is_remote_connection:
        _settle_remote_node(job, rsc)
    return rsc.assigned_to


def _weigh_colocations(job: Job, rsc: Resource) -> None:
    """Mandatory colocations come before optional ones, in both directions."""
    own, others = together.this_with(rsc), together.with_this(rsc)
    for wants_mandatory in (True, False):
        for colocation in own:
            if together.is_mandatory(colocation) is wants_mandatory:
                follow_primary(job, rsc, colocation)
                job.ledger.weighed(rsc, Step.DEPENDENT, colocation)
        for colocation in others:
            if together.is_mandatory(colocation) is wants_mandatory:
                together.add_dependent_wishes(colocation, rsc)
                job.ledger.weighed(rsc, Step.PRIMARY, colocation)


def follow_primary(job: Job, rsc: Resource, colocation: Colocation) -> None:
    """Weigh one colocation in which the resource depends on another, which is assigned first."""
    primary = colocation.primary
    may_undo = colocation.dependent_role is Role.PROMOTED or (
        colocation.score < 0 and not together.is_mandatory(colocation)
    )
    before = copy_table(rsc.table) if may_undo else None
    if primary.unassigned:
        primary.variant.assign(job, primary, None, final=True)
    rsc.variant.apply_as_dependent(job, rsc, primary, colocation)
    if before is not None and not together.any_available(rsc.table):
        rsc.table = before


# -- the choice -----------------------------------------------------------------------------------------


def _choose(job: Job, rsc: Resource, prefer: Node | None, *, final: bool) -> None:
    roomiest = utilization.ban_too_small(job, rsc)
    job.ledger.weighed(rsc, Step.ROOM)
    job.ledger.decided(job, rsc)
    prefer = prefer or roomiest
    rows = sort_nodes(job, _best_rows(rsc.table), tree.current_node(rsc))
    chosen = rows[0] if rows else None
    if chosen is not None:
        preferred = None if prefer is None else rsc.table.get(prefer.id)
        if preferred is not None and preferred.score >= chosen.score and together.is_row_available(preferred):
            chosen = preferred
        else:
            chosen = _prefer_current(rsc, chosen, rows)
    settle(job, rsc, chosen, force=False, final=final)


def _prefer_current(rsc: Resource, best: Candidate, rows: list[Candidate]) -> Candidate:
    """Stay where it is, if that is just as good."""
    is_unique_instance = rsc.parent is not None and rsc.parent.kind is Kind.CLONE and rsc.parent.unique
    current = tree.current_node(rsc)
    if is_unique_instance or best.score <= 0 or not best.node.is_available or current is None:
        return best
    if not current.is_available or current.base_score < 0:
        return best
    equal = (row for row in rows if row.score == best.score and row.node is current)
    return next(equal, best)


def _best_rows(table: Table) -> list[Candidate]:
    """Return the rows with the greatest score; only between them there is anything left to choose."""
    if not table:
        return []
    scores_ = [row.score if row.node.is_available else -INFINITY for row in table.values()]
    best = max(scores_)
    return [row for row, score in zip(table.values(), scores_, strict=True) if score == best]


def _score_now(row: Candidate) -> int:
    return row.score if row.node.is_available else -INFINITY


def sort_nodes(job: Job, rows: Iterable[Candidate], active: Node | None) -> list[Candidate]:
    """Put rows in order of preference."""
    strategy = job.options.placement_strategy
    spreads = strategy != "minimal"

    def rank(row: Candidate) -> tuple[int, int, bool, str]:
        node = row.node
        return (
            -_score_now(row),
            node.assigned_count if spreads else 0,
            spreads and node is not active,
            node.name,
        )

    if strategy != "balanced":
        return sorted(rows, key=rank)

    def compare(left: Candidate, right: Candidate) -> int:
        """Room comes between score and number of resources; it is no number, but a comparison."""
        ranks = rank(left), rank(right)
        roomier = utilization.compare_capacity(left.node, right.node) if ranks[0][0] == ranks[1][0] else 0
        return roomier or (ranks[0] > ranks[1]) - (ranks[0] < ranks[1])

    return sorted(rows, key=cmp_to_key(compare))


def settle(job: Job, rsc: Resource, where: Node | Candidate | None, *, force: bool, final: bool) -> None:
    """Assign a resource (in a collective: all members) to a node, or nowhere."""
    if rsc.kind is not Kind.PRIMITIVE:
        for child in rsc.children:
            settle(job, child, where, force=force, final=final)
        return
    row = where if isinstance(where, Candidate) else None
    node = where.node if isinstance(where, Candidate) else where
    if node is not None and not force:
        score = node.base_score if row is None else row.score
        if score < 0 or not (node.is_available or node.is_guest):
            if final:
                rsc.next_role = Role.STOPPED
            node = None
    release(rsc)
    rsc.unassigned = False
    if node is None:
        if final:
            rsc.next_role = Role.STOPPED
            _demand_stops(rsc)
        return
    rsc.assigned_to = node
    node.assigned_count += 1
    node.assigned.append(rsc)
    own_row = rsc.table.get(node.id)
    if own_row is not None:
        own_row.count += 1
    utilization.consume(node, rsc)


def _demand_stops(rsc: Resource) -> None:
    """What is assigned nowhere has to stop, and whatever would keep it up cannot run."""
    for action in rsc.actions:
        if action.task == "stop":
            action.clear(Flag.OPTIONAL)
        elif action.task == "start" or (action.interval_ms and action.meta.get("op_target_rc") != "7"):
            action.clear(Flag.RUNNABLE)


def release(rsc: Resource) -> None:
    """Take an assignment back."""
    for child in rsc.children:
        release(child)
    if rsc.kind is not Kind.PRIMITIVE:
        rsc.unassigned = True
        return
    node = rsc.assigned_to
    rsc.unassigned = True
    if node is None:
        return
    rsc.next_role = Role.UNKNOWN
    rsc.assigned_to = None
    node.assigned_count -= 1
    node.assigned.remove(rsc)
    utilization.restore(node, rsc)


def _settle_remote_node(job: Job, connection: Resource) -> None:
    """A remote node comes up with its connection, or goes down with it."""
    remote = job.node_by_name.get(connection.id)
    if remote is None:
        return
    if connection.assigned_to is not None and connection.next_role is not Role.STOPPED:
        remote.online = True
        if remote.unseen:
            # Nothing about the node was known to be wrong but that nobody could reach it.
            remote.unclean = False
    else:
        remote.shutdown = True
