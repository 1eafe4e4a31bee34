"""Drop orderings that cannot be meant, once it is known what will be done where.

A guest node lives in a resource. An ordering by which that resource waits for something inside the guest, or by
which what is inside goes down only after it, would let it wait for itself. Migrations that wait for each other to
make room do not wait.
Source: Pacemaker Explained, "Guest Nodes"; its regression suite for migrations that change places.
"""

from komainu.scheduler.graph import holds
from komainu.scheduler.job import Action, Job, Node, Relation, Resource
from komainu.scheduler.words import Rel

_DOWN = frozenset({"stop", "demote"})


def drop(job: Job) -> None:
    """Drop what cannot be meant, beginning with the newest action."""
    for action in reversed(job.actions):
        for relation in reversed(action.before):
            if relation.flags and (
                _is_about_own_guest(action, relation) or _changes_places(action, relation)
            ):
                relation.flags = 0


def _is_about_own_guest(then: Action, relation: Relation) -> bool:
    """Tell whether a launcher waits for what is in it, or that for the launcher's end."""
    first = relation.action
    if first.resource is None or relation.flags & Rel.GUEST_ALLOWED:
        return False
    if _launches(then.resource, first.node):
        return True
    is_on_the_way_down = first.task in _DOWN and then.task in _DOWN and then.resource is not None
    return is_on_the_way_down and _launches(first.resource, then.node)


def _launches(rsc: Resource | None, node: Node | None) -> bool:
    """Tell whether a guest node lives in a resource."""
    if rsc is None or node is None or node.connection is None:
        return False
    return node.connection.launcher is rsc


def _changes_places(action: Action, relation: Relation) -> bool:
    if relation.flags != Rel.IF_ON_SAME_NODE_OR_TARGET or action.task != "migrate_to":
        return False
    return action.resource is not None and _leads_back(action, relation)


def _leads_back(action: Action, relation: Relation) -> bool:
    """Tell whether an action would wait for itself, if it waited for this input."""
    if not holds(action, relation):
        return False
    waiting, seen = [relation.action], {relation.action.number}
    while waiting:
        here = waiting.pop()
        for before in here.before:
            if not holds(here, before):
                continue
            if before.action is action:
                return True
            if before.action.number not in seen:
                seen.add(before.action.number)
                waiting.append(before.action)
    return False
