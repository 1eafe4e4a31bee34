"""Move a running resource without stopping it: migrate_to on its node, migrate_from on the next.

Source: Pacemaker Explained, "Migrating Resources" (allow-migrate).
"""

from komainu.scheduler import actions, ordering
from komainu.scheduler.job import Job, Node, Resource
from komainu.scheduler.words import Flag, Rel


def is_possible(rsc: Resource, current: Node | None) -> bool:
    """Tell whether a resource can be migrated from where it is."""
    target = rsc.assigned_to
    if not rsc.migratable or not rsc.managed or rsc.failed or rsc.start_pending:
        return False
    return current is not None and not current.unclean and target is not None and not target.unclean


def create(job: Job, rsc: Resource, current: Node) -> None:
    """Create a migration beside stop and start; if any part of it falls through, these become real again."""
    target = rsc.assigned_to
    assert target is not None, "a migration leads somewhere"
    start = actions.make(job, rsc, "start", target, optional=True)
    stop = actions.make(job, rsc, "stop", current, optional=True)
    sent = None
    if rsc.partial_target is None:
        sent = actions.make(job, rsc, "migrate_to", current, optional=True)
    come = actions.make(job, rsc, "migrate_from", target, optional=True)
    start.set(Flag.MIGRATABLE | Flag.PSEUDO)
    stop.set(Flag.MIGRATABLE)
    come.set(Flag.MIGRATABLE)
    ends = {"migrate_source": current.name, "migrate_target": target.name}
    if sent is None:
        come.needs = start.needs
    else:
        sent.set(Flag.MIGRATABLE)
        sent.needs = start.needs
        ordering.tasks(job, (rsc, "monitor"), (rsc, "migrate_to"), Rel.ORDERED)
        ordering.tasks(
            job, (rsc, "migrate_to"), (rsc, "migrate_from"), Rel.ORDERED | Rel.UNMIGRATABLE_THEN_BLOCKS
        )
        sent.meta.update(ends)
        if not rsc.is_remote_connection:
            sent.meta["record-pending"] = "true"
    ordering.tasks(job, (rsc, "migrate_from"), (rsc, "stop"), Rel.ORDERED | Rel.UNMIGRATABLE_THEN_BLOCKS)
    ordering.tasks(
        job,
        (rsc, "migrate_from"),
        (rsc, "start"),
        Rel.ORDERED | Rel.FIRST_ELSE_THEN | Rel.UNMIGRATABLE_THEN_BLOCKS,
    )
    come.meta.update(ends)
