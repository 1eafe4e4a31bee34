"""Take out of a graph what could never be carried out: what waits for itself, or for what will not be done.

A transition that cannot be finished would hold up all that comes after it. Orderings that lead in a circle, and
demands on what cannot be done, leave the actions concerned where they are, blocked, with a reason and a warning;
all others are carried out. Must not know how an action came into the graph.
"""

from typing import Final

from komainu.scheduler.graph import Graph, Synapse
from komainu.scheduler.job import Action, Job
from komainu.scheduler.words import Flag

_TOLD_MAX: Final = 8
"""The longest circle that a warning names whole; who reads it has to find one constraint in it."""

CIRCLE: Final = "circular ordering"


def leave_out(job: Job, graph: Graph) -> None:
    """Take out the synapses that would never fire, and mark their actions as blocked."""
    stuck = _stuck(graph)
    if not stuck:
        return
    kept = {synapse.action.number for synapse in graph.synapses} - stuck.keys()
    for circle in _circles(stuck):
        for action in circle:
            action.give_reason(CIRCLE)
        names = [_label(action) for action in circle]
        if len(names) > _TOLD_MAX:
            names[_TOLD_MAX - 1 : -1] = ["…"]
        job.warnings.append(f"orderings lead in a circle, nothing of it is done: {' after '.join(names)}")
    for synapse in stuck.values():
        prevents = next(first for first in synapse.inputs if first.number not in kept)
        action = synapse.action
        action.clear(Flag.RUNNABLE)
        action.because = action.because or prevents
        name = "" if prevents.resource is None else f"{prevents.resource.id} "
        action.give_reason(f"unrunnable {name}{prevents.task}")
    graph.synapses = [synapse for synapse in graph.synapses if synapse.action.number in kept]
    graph.edges = {(first, then) for first, then in graph.edges if then in kept}


def _stuck(graph: Graph) -> dict[int, Synapse]:
    """Return the synapses that are left when all that can fire has fired."""
    waiting = {synapse.action.number: synapse for synapse in graph.synapses}
    counts = {number: len(synapse.inputs) for number, synapse in waiting.items()}
    followers: dict[int, list[int]] = {}
    for number, synapse in waiting.items():
        for first in synapse.inputs:
            followers.setdefault(first.number, []).append(number)
    ready = [number for number, count in counts.items() if not count]
    while ready:
        done = ready.pop()
        del waiting[done]
        for number in followers.get(done, ()):
            counts[number] -= 1
            if not counts[number]:
                ready.append(number)
    return waiting


def _circles(stuck: dict[int, Synapse]) -> list[list[Action]]:
    """Return circles among what is stuck, one for each place where a walk from input to input comes back."""
    circles: list[list[Action]] = []
    seen: set[int] = set()
    for number in stuck:
        walk: dict[int, Action] = {}
        here: int | None = number
        while here is not None and here not in seen:
            seen.add(here)
            walk[here] = stuck[here].action
            here = next((first.number for first in stuck[here].inputs if first.number in stuck), None)
        if here in walk:
            found = list(walk.values())
            start = list(walk).index(here)
            circles.append([*found[start:], walk[here]])
    return circles


def _label(action: Action) -> str:
    name = action.key if action.resource is None else f"{action.task} of {action.resource.id}"
    return name if action.node is None else f"{name} on {action.node.name}"
