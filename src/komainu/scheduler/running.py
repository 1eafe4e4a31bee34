"""Note that a resource is active on a node, with all that follows from it at once.

Source: Pacemaker Explained, "multiple-active"; priority-fencing-delay weighs nodes by what runs on them.
"""

from komainu.model.role import Role
from komainu.scheduler import tree
from komainu.scheduler.job import Job, Node, Resource
from komainu.scheduler.words import Kind, MultipleActive


def add(job: Job, rsc: Resource, node: Node, *, is_failed: bool) -> None:
    """Add a node to those where the resource is active."""
    if node in rsc.active:
        return
    rsc.active.append(node)
    is_primitive = rsc.kind is Kind.PRIMITIVE
    if is_primitive:
        node.running.append(rsc)
        _add_priority(rsc, node, is_failed=is_failed)
    if is_primitive and node.maintenance:
        rsc.managed = False
        rsc.maintenance = True
    if not rsc.managed:
        _stay(rsc, node)
        return
    if is_primitive and len(rsc.active) > 1:
        _settle_multiple(job, rsc)
    if rsc.parent is not None:
        add(job, rsc.parent, node, is_failed=False)


def _add_priority(rsc: Resource, node: Node, *, is_failed: bool) -> None:
    if is_failed:
        return
    weight = rsc.priority + (1 if rsc.role is Role.PROMOTED else 0)
    if weight == 0:
        return
    node.priority += weight
    if node.is_guest and node.connection is not None and node.connection.launcher is not None:
        for host in node.connection.launcher.active:
            host.priority += weight


def _stay(rsc: Resource, node: Node) -> None:
    """An unmanaged resource stays where it is, and so do the collectives around it."""
    tree.add_score(rsc, node, 1_000_000)
    parent = rsc.parent
    while parent is not None:
        parent.active.append(node)
        parent = parent.parent


def _settle_multiple(job: Job, rsc: Resource) -> None:
    match rsc.multiple_active:
        case MultipleActive.STOP_ONLY:
            tree.ban_everywhere(job, rsc)
        case MultipleActive.BLOCK:
            rsc.managed, rsc.blocked = False, True
            parent = rsc.parent
            is_whole = parent is not None and parent.multiple_active is MultipleActive.BLOCK
            if parent is not None and is_whole and parent.kind in {Kind.GROUP, Kind.BUNDLE}:
                for sibling in parent.children:
                    sibling.managed, sibling.blocked = False, True
        case _:
            pass
