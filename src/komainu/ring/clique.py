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
    near: Mapping[NodeId, int],
    bits: Mapping[NodeId, int],
    votes: Mapping[NodeId, int],
    current: Collection[NodeId],
) -> tuple[NodeId, ...]:
    """Return the best set of nodes with `me` in which all hear each other, sorted.

    `near`: those that hear me and are heard, and for each the others of these that it hears and is heard by, as a set of
    `bits`: a lower node has a lower one (hearing.py). Most votes win, then most nodes, then most nodes of the current
    view (no change without need), then the lowest ids.
    """
    nodes = {bits[node]: node for node in near}

    def rank(clique: tuple[NodeId, ...]) -> tuple[int, int, int, list[int]]:
        kept = sum(1 for node in clique if node in current)
        return sum(votes[node] for node in clique), len(clique), kept, [-node for node in clique]

    best: tuple[NodeId, ...] = (me,)
    stack: list[tuple[tuple[NodeId, ...], int]] = [((me,), sum(nodes))]
    for _ in range(STEPS_MAX):
        if not stack:
            break
        chosen, left = stack.pop()
        if not left:
            best = max(best, tuple(sorted(chosen)), key=rank)
            continue
        first = left & -left
        rest = left ^ first
        near_first = near[nodes[first]]
        # Without `first` is looked at later, so that lower ids are tried first when the steps run out.
        if rest & ~near_first:
            stack.append((chosen, rest))
        stack.append(((*chosen, nodes[first]), rest & near_first))
    return best
