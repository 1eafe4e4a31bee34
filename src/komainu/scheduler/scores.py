"""Write down node scores as they are at each assignment, in the form that the field's tools print.

The prefix of a line names a kind of resource; its text is part of the format that is compared with.
"""

from komainu.model.score import show
from komainu.scheduler import tree
from komainu.scheduler.job import Job, Resource
from komainu.scheduler.nodes import sort_key
from komainu.scheduler.words import Kind

_PREFIX = {
    Kind.PRIMITIVE: "pcmk__primitive_assign",
    Kind.GROUP: "pcmk__group_assign",
    Kind.CLONE: "pcmk__clone_assign",
    Kind.BUNDLE: "pcmk__bundle_assign",
}


def note(job: Job, rsc: Resource) -> None:
    """Note the scores of a resource and all below it."""
    if not job.explain:
        return
    prefix = _PREFIX[rsc.kind]
    _note(job, rsc, prefix)


def _note(job: Job, rsc: Resource, prefix: str) -> None:
    if rsc.removed and rsc.kind is Kind.PRIMITIVE and rsc.parent is None:
        return
    if not rsc.removed:
        for row in sorted(rsc.table.values(), key=lambda r: sort_key(r.node.name)):
            job.score_lines.append(
                f"{prefix}: {rsc.id} allocation score on {row.node.name}: {show(row.score)}"
            )
    for child in rsc.children:
        _note(job, child, prefix)


def note_promotion(job: Job, rsc: Resource, priority: int) -> None:
    """Note how much an instance deserves to be promoted."""
    if job.explain:
        node = tree.target(rsc)
        where = "(inactive)" if node is None else f"on {node.name}"
        job.score_lines.append(f"{rsc.id} promotion score {where}: {show(priority)}")
