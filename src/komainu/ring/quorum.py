"""Decide whether a set of nodes has quorum, and say why in one sentence.

A pure function of the options and the members. Must not know: how the members found each other.

Source: votequorum(5): expected_votes, two_node, wait_for_all, auto_tie_breaker. Left out: last_man_standing.
Deviations: `two_node` sets itself for two nodes of one vote; the tie-breaker is always the lowest node id.
"""

from collections.abc import Collection
from dataclasses import dataclass

from komainu.model.ids import NodeId
from komainu.ring.settings import RingSettings


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether there is quorum, and the sentence that says why.

    `may_have_a_twin`: another part of the cluster may be quorate at the same time, by two_node.
    """

    quorate: bool
    reason: str
    may_have_a_twin: bool = False


def is_two_node(settings: RingSettings) -> bool:
    """Whether one vote of two is enough."""
    if settings.quorum.two_node is not None:
        return settings.quorum.two_node
    single_votes = len(settings.nodes) == 2 and all(node.votes == 1 for node in settings.nodes)
    plain = settings.quorum.expected_votes in {None, 2} and not settings.quorum.auto_tie_breaker
    return single_votes and plain


def waits_for_all(settings: RingSettings) -> bool:
    """Whether a starting cluster has to see all nodes once before it can be quorate."""
    return is_two_node(settings) if settings.quorum.wait_for_all is None else settings.quorum.wait_for_all


def judge(settings: RingSettings, members: Collection[NodeId], *, waiting: bool) -> Verdict:
    """Judge a view of these members. `waiting`: none of them has seen all nodes since its start."""
    expected = settings.quorum.expected_votes or sum(node.votes for node in settings.nodes)
    votes = sum(node.votes for node in settings.nodes if node.node in members)
    has = f"{votes} of {expected} votes"
    missing = [node for node in settings.nodes if node.node not in members]
    if waiting and missing:
        names = ", ".join(node.name for node in missing)
        return Verdict(False, f"wait_for_all: {names} was not seen since the start")
    if is_two_node(settings):
        if votes > 1:
            return Verdict(True, has)
        return Verdict(votes == 1, f"two_node: {has} is enough", may_have_a_twin=True)
    needed = expected // 2 + 1
    if votes >= needed:
        return Verdict(True, has)
    if settings.quorum.auto_tie_breaker and votes * 2 == expected:
        lowest = min(settings.nodes, key=lambda node: node.node)
        holds = lowest.node in members
        return Verdict(holds, f"auto_tie_breaker: {has}, {'with' if holds else 'without'} {lowest.name}")
    return Verdict(False, f"{has}; {needed} are needed")
