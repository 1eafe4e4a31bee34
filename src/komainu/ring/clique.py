"""Choose the members of the next view: the most votes of nodes that all hear each other.

A pure function of who hears whom. Must not know: how hearing is measured, or who asks.

Source: Bron and Kerbosch 1973 (finding all cliques), with a limit of steps. A node can know every clique that
holds itself, since all of its members are nodes that it hears and that tell it whom they hear; so all members
of the best clique find it, each for itself.
"""

from collections.abc import Collection, Mapping
from typing import Final

from komainu.model.ids import NodeId

STEPS_MAX: Final = 2000
"""Limit of the search. Whole networks end it in one step; only a maze of cut links comes near."""


def best_clique(
    me: NodeId,
    friends: Mapping[NodeId, set[NodeId]],
    votes: Mapping[NodeId, int],
    current: Collection[NodeId],
) -> tuple[NodeId, ...]:
    """Return the best set of nodes with `me` in which all hear each other, sorted.

    `friends` hear `me` and are heard; for each, it says which of the others it hears. Most votes win, then most nodes,
    then most nodes of the current view (no change without need), then the lowest ids.
    """
    members = sorted(friends)
    near = {node: {other for other in heard if node in friends[other]} for node, heard in friends.items()}
    if all(len(near[node]) == len(members) - 1 for node in members):
        return tuple(sorted([me, *members]))

    def rank(clique: tuple[NodeId, ...]) -> tuple[int, int, int, list[int]]:
        kept = sum(1 for node in clique if node in current)
        return sum(votes[node] for node in clique), len(clique), kept, [-node for node in clique]

    best: tuple[NodeId, ...] = (me,)
    stack: list[tuple[tuple[NodeId, ...], list[NodeId]]] = [((me,), members)]
    for _ in range(STEPS_MAX):
        if not stack:
            break
        chosen, left = stack.pop()
        if not left:
            best = max(best, tuple(sorted(chosen)), key=rank)
            continue
        first, rest = left[0], left[1:]
        # Without `first` is looked at later, so that lower ids are tried first when the steps run out.
        if any(other not in near[first] for other in rest):
            stack.append((chosen, rest))
        stack.append(((*chosen, first), [other for other in rest if other in near[first]]))
    return best
