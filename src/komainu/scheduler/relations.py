"""Bind orderings to the actions that exist, once all have been created.

Says which relations there are; what they do is decided in fixpoint.py.
Source: Pacemaker Explained, "Ordering Constraints".
"""

import re
from typing import Final

from komainu.model.role import Role
from komainu.scheduler import actions, tree
from komainu.scheduler.actions import key_of, relate
from komainu.scheduler.job import Action, Job, Ordering, Resource
from komainu.scheduler.words import Flag, Rel

_KEY: Final = re.compile(
    r"(.*)_(pre_notify|post_notify|confirmed-pre_notify|confirmed-post_notify)_([a-z]+)_(\d+)$"
)
_COMPOUND: Final = ("_migrate_to", "_migrate_from", "_clear_failcount", "_lrm_delete")
"""The endings that are tasks of more than one word."""


def parse_key(key: str) -> tuple[str, str, int]:
    """Take an operation key apart, from the right: resource, task, interval."""
    notification = _KEY.match(key) if "_notify_" in key else None
    if notification:
        return notification[1], f"{notification[2]}_{notification[3]}", int(notification[4])
    rest, _, interval = key.rpartition("_")
    if rest.endswith(_COMPOUND):
        ending = next(ending for ending in _COMPOUND if rest.endswith(ending))
        return rest.removesuffix(ending), ending[1:], int(interval)
    resource, _, task = rest.rpartition("_")
    return resource, task, int(interval) if interval.isdigit() else 0


def bind(job: Job) -> None:
    """Bind every ordering, in the order in which they were made."""
    for order in job.orderings:
        if order.first is None and order.first_resource is not None:
            _bind_first(job, order, order.first_resource)
        elif (
            order.first is not None and order.first.resource is not None
        ) or order.then_resource is not None:
            _bind_then(order, order.first)
        else:
            relate(order.first, order.then, order.flags)


def _find(rsc: Resource, key: str) -> list[Action]:
    """Find actions by key; a key of another resource is translated to this one."""
    found = actions.find_all(rsc, key, None)
    if found:
        return found
    owner, task, interval_ms = parse_key(key)
    return [] if owner == rsc.id else actions.find_all(rsc, key_of(rsc.id, task, interval_ms), None)


def _bind_first(job: Job, order: Ordering, first_rsc: Resource) -> None:
    firsts = _find(first_rsc, order.first_key)
    if not firsts and first_rsc is order.then_resource:
        return
    if not firsts:
        _, task, interval_ms = parse_key(order.first_key)
        role = tree.role(first_rsc, current=True)
        if (role is Role.STOPPED and task == "stop") or (role is Role.UNPROMOTED and task == "demote"):
            return
        firsts = [actions.make(job, first_rsc, task, None, optional=True, interval_ms=interval_ms)]
    for first in firsts:
        _bind_then(order, first)


def _bind_then(order: Ordering, first: Action | None) -> None:
    then_rsc = order.then_resource
    if order.then is not None:
        thens = [order.then]
    elif then_rsc is not None:
        thens = _find(then_rsc, order.then_key)
    else:
        return
    flags = order.flags
    if first is not None and first.is_migration_abort and first.resource is then_rsc:
        flags &= ~Rel.FIRST_IMPLIES_THEN
    for then in thens:
        if first is not None:
            relate(first, then, flags)
        elif flags & Rel.FIRST_IMPLIES_THEN:
            then.clear(Flag.RUNNABLE)
