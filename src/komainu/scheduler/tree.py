"""Answer questions about a resource and all below it: where it is active, in which role, whether it is managed.

Changes nothing. Bundles answer by their containers, other collectives by their members.
"""

from komainu.model.role import Role
from komainu.scheduler.job import Candidate, Job, Node, Resource
from komainu.scheduler.words import Kind, add_scores


def parts(rsc: Resource) -> list[Resource]:
    """Return the resources that answer for a collective."""
    if rsc.bundle is not None:
        return [replica.container for replica in rsc.bundle.replicas]
    return rsc.children


def role(rsc: Resource, *, current: bool) -> Role:
    """Return the role: of a primitive its own, of a collective the greatest of its parts."""
    if rsc.kind is Kind.PRIMITIVE:
        return rsc.role if current else rsc.next_role
    return max((role(part, current=current) for part in parts(rsc)), default=Role.UNKNOWN)


def locations(rsc: Resource, *, current: bool = True, pending: bool = False) -> list[Node]:
    """Return the nodes: where it is active (and, with `pending`, is becoming so), or where it is assigned."""
    if rsc.kind is Kind.PRIMITIVE and not pending and len(rsc.active) < 2:
        if current:
            return list(rsc.active)
        return [] if rsc.assigned_to is None else [rsc.assigned_to]
    found: dict[str, Node] = {}
    for primitive in _leaves(rsc):
        nodes: list[Node | None] = list(primitive.active) if current else [primitive.assigned_to]
        if pending and not primitive.active:
            nodes.append(primitive.pending_node)
        for node in nodes:
            if node is not None:
                found.setdefault(node.id, node)
    return list(found.values())


def _leaves(rsc: Resource) -> list[Resource]:
    if rsc.kind is Kind.PRIMITIVE:
        return [rsc]
    return [leaf for part in parts(rsc) for leaf in _leaves(part)]


def target(rsc: Resource) -> Node | None:
    """Return the node it is assigned to, if it is exactly one."""
    nodes = locations(rsc, current=False)
    return nodes[0] if len(nodes) == 1 else None


def current_node(rsc: Resource) -> Node | None:
    """Return the node where it is now; of several, the one that it is leaving in a migration, or a clean one."""
    if rsc.partial_source is not None and rsc.partial_source in rsc.active:
        return rsc.partial_source
    nodes = locations(rsc) if rsc.kind is Kind.BUNDLE else rsc.active
    clean = [node for node in nodes if node.is_clean_online]
    if rsc.requires >= 2:  # what needs fencing is believed wherever it may be
        return nodes[0] if nodes else None
    return next(iter(clean or nodes), None)


def is_active(rsc: Resource, *, everywhere: bool) -> bool:
    """Tell whether it is active: `everywhere` asks for all parts, otherwise one is enough."""
    if rsc.kind is Kind.PRIMITIVE:
        return any(_counts_as_active(rsc, node) for node in rsc.active)
    answers = [is_active(part, everywhere=everywhere) for part in parts(rsc)]
    return all(answers) and bool(answers) if everywhere else any(answers)


def _counts_as_active(rsc: Resource, node: Node) -> bool:
    return node.unclean or node.online or not rsc.managed


def set_next_role(rsc: Resource, new: Role) -> None:
    """Set the role that a resource shall have."""
    rsc.next_role = new


def is_below(rsc: Resource, ancestor: Resource) -> bool:
    """Tell whether one resource contains the other."""
    here = rsc.parent
    while here is not None:
        if here is ancestor:
            return True
        here = here.parent
    return False


def ban(rsc: Resource, node: Node | None = None) -> None:
    """Forbid a node (without one: all) to a resource and all below it."""
    add_score(rsc, node, -1_000_000)


def ban_everywhere(job: Job, rsc: Resource) -> None:
    """Forbid all nodes of the cluster to a resource and all below it, also those that its table does not have."""
    for node in job.nodes:
        ban(rsc, node)


def add_score(rsc: Resource, node: Node | None, score: int) -> None:
    """Add a score for a node (without one: for all in the table) to a resource and all below it."""
    for part in rsc.walk():
        rows = list(part.table.values()) if node is None else [part.table.get(node.id)]
        for row in rows:
            if row is not None:
                row.score = add_scores(row.score, score)
            elif node is not None:
                part.table[node.id] = Candidate(
                    node, add_scores(node.base_score, score), discovery=node.default_discovery
                )


def guests_of(job: Job, host: Node) -> list[Node]:
    """Return the guest nodes that live on a node now."""
    return [
        node
        for node in job.nodes
        if node.is_guest
        and node.connection is not None
        and node.connection.launcher is not None
        and host in node.connection.launcher.active
    ]


def contains_remote_node(rsc: Resource) -> Resource | None:
    """Return the connection of the remote node that a launcher brings up, if any."""
    return next((other for other in rsc.launched if other.is_remote_connection), None)
