"""Turn the health of nodes into location constraints for every resource.

Source: Pacemaker Explained, "Tracking Node Health".
"""

from komainu.model import score
from komainu.scheduler import location
from komainu.scheduler.job import Candidate, Job, Location, Node
from komainu.scheduler.options import is_true
from komainu.scheduler.words import add_scores


def apply(job: Job) -> None:
    """Weigh each node's health attributes."""
    options = job.options
    if options.health_strategy == "none":
        return
    base = 0
    if options.health_strategy == "progressive":
        base = int(score.parse(options.text("node-health-base")))
    for node in job.nodes:
        total = _health_score(job, node, base)
        if total == 0:
            continue
        for rsc in job.resources:
            if total < 0 and is_true(rsc.meta.get("allow-unhealthy-nodes")):
                continue
            rows = {node.id: Candidate(node, total)}
            location.add(job, Location(options.health_strategy, rsc, rows))


def _health_score(job: Job, node: Node, base: int) -> int:
    total = base
    for name in sorted(node.attributes):
        if name.startswith("#health"):
            total = add_scores(total, attribute_score(job, node.attributes[name]))
    return total


def attribute_score(job: Job, value: str) -> int:
    """Return what one health attribute is worth: a colour, or a score of its own."""
    coloured = job.options.health_score(value)
    return int(score.parse(value)) if coloured is None else int(coloured)


def colour(node: Node) -> str:
    """Return the colour of a node for people: red below zero, yellow above, else empty."""
    worst = 0
    for name, value in node.attributes.items():
        if name.startswith("#health"):
            worst = min(worst, _severity(value))
    return {0: "", -1: "yellow", -2: "red"}[worst]


def _severity(value: str) -> int:
    word = value.strip().lower()
    if word in {"red", "yellow", "green"}:
        return {"red": -2, "yellow": -1, "green": 0}[word]
    number = score.parse(value)
    return -2 if number < 0 else 0
