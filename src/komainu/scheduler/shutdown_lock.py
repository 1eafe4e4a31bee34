"""Keep a resource for the node that shut down cleanly with it, for as long as the options allow.

Source: Pacemaker Explained, "Shutdown Locks".
"""

from komainu.cib.element import Element
from komainu.scheduler import actions, tree
from komainu.scheduler.job import Job, Node, Resource
from komainu.scheduler.options import parse_int
from komainu.scheduler.words import Kind


def read(job: Job, rsc: Resource, node: Node, element: Element) -> None:
    """Take over a lock from the history, unless it has run out."""
    locked_s = parse_int(element.get("shutdown-lock"), 0)
    if locked_s <= 0:
        return
    limit = job.options.shutdown_lock_limit_s
    if limit > 0 and job.now_s > locked_s + limit:
        clear = actions.make(job, rsc, "lrm_delete", node, optional=False)
        clear.give_reason("shutdown lock expired")
        clear.meta["on-fail"] = "ignore"
        return
    rsc.lock_node, rsc.lock_time = node, locked_s


def _is_lockable(rsc: Resource) -> bool:
    return not (rsc.is_fence_device or rsc.is_remote_connection)


def apply(job: Job, rsc: Resource) -> None:
    """Set the lock of a resource whose node shuts down, and forbid all other nodes to what is locked."""
    if rsc.kind is Kind.GROUP:
        for member in rsc.children:
            apply(job, member)
        return
    if rsc.kind is not Kind.PRIMITIVE or not _is_lockable(rsc):
        return
    if rsc.lock_node is not None:
        if rsc.active:
            # It was started elsewhere in spite of the lock.
            clear = actions.make(job, rsc, "lrm_delete", rsc.lock_node, optional=False)
            clear.give_reason("shutdown lock cancelled")
            clear.meta["on-fail"] = "ignore"
            rsc.lock_node, rsc.lock_time = None, 0
    elif len(rsc.active) == 1:
        host = rsc.active[0]
        if host.shutdown and not host.unclean:
            rsc.lock_node = host
            rsc.lock_time = parse_int(host.attributes.get("shutdown"), job.now_s)
    if rsc.lock_node is None:
        return
    if job.options.shutdown_lock_limit_s > 0:
        job.recheck(rsc.lock_time + job.options.shutdown_lock_limit_s + 1)
    for node in job.nodes:
        if node is not rsc.lock_node:
            tree.ban(rsc, node)
