"""Decide whether a set of nodes has quorum, and say why in one sentence.

A pure function of the options, of who counts and of who is here. Must not know: how the members found each
other, and how those who count came to be these (voters.py).

Source: votequorum(5). Deviations: `two_node` sets itself for two nodes of one vote; where the count may change,
a node that started anew does not vote until it was taken in by others or all nodes are here.
"""

from collections.abc import Collection
from dataclasses import dataclass

from komainu.model.ids import NodeId
from komainu.ring.packet import Electorate, Voters
from komainu.ring.settings import Engine, RingSettings


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether there is quorum, and the sentence that says why.

    `may_have_a_twin`: another part of the cluster may be quorate at the same time, by two_node.
    """

    quorate: bool
    reason: str
    may_have_a_twin: bool = False


@dataclass(frozen=True, slots=True)
class Turnout:
    """Who is here. `waiting`: wait_for_all, and none of them has seen all nodes since its start.

    `muted`: members that do not vote, since they started anew and do not know who counts.
    """

    members: Collection[NodeId]
    waiting: bool = False
    muted: Collection[NodeId] = ()
    has_witness: bool = False
    is_behind: bool = False  # no member holds the state of the view that it comes from


def is_two_node(settings: RingSettings) -> bool:
    """Whether one vote of two is enough. Not before it is sure that there are only two (decision 43)."""
    if not settings.is_count_agreed:
        return False
    if settings.quorum.two_node is not None:
        return settings.quorum.two_node
    options = settings.quorum
    single_votes = len(settings.nodes) == 2 and all(node.votes == 1 for node in settings.nodes)
    plain = options.expected_votes in {None, 2} and not options.auto_tie_breaker
    return single_votes and plain and options.witness is None and not options.is_dynamic


def waits_for_all(settings: RingSettings) -> bool:
    """Whether a starting cluster has to see all nodes once before it can be quorate."""
    if settings.quorum.wait_for_all is None:
        return is_two_node(settings) or settings.quorum.is_dynamic
    return settings.quorum.wait_for_all


def majorities_meet(settings: RingSettings) -> bool:
    """Whether any two quorate views share a node, so that what the first has stored is known in the second.

    Not so where a node alone is enough, or a node and a witness, which stores no state; nor where others may count
    after a while, or fewer votes are expected than there are.
    """
    options = settings.quorum
    votes = sum(node.votes for node in settings.nodes)
    is_reckoned = options.expected_votes is None or options.expected_votes >= votes
    return (
        settings.engine is Engine.BUILTIN
        and is_reckoned
        and options.witness is None
        and not options.is_dynamic
        and not is_two_node(settings)
    )


def expected_votes(settings: RingSettings, electorate: Electorate) -> int:
    """Return how many votes there are, with the witness's; more than half of them is quorum."""
    options = settings.quorum
    counted = sum(node.votes for node in settings.nodes if node.node in electorate.nodes)
    counted += 0 if options.witness is None else options.witness.votes
    if options.expected_votes is None:
        return counted
    if options.allow_downscale:
        return max(options.expected_votes, counted)
    return options.expected_votes if len(electorate.nodes) == len(settings.nodes) else counted


def judge(settings: RingSettings, voters: Voters, turnout: Turnout) -> Verdict:
    """Judge a view of these members."""
    missing = [node for node in settings.nodes if node.node not in turnout.members]
    if turnout.waiting and missing:
        names = ", ".join(node.name for node in missing)
        since = "went before its state was here" if turnout.is_behind else "was not seen since the start"
        return Verdict(False, f"wait_for_all: {names} {since}")
    verdicts = [_judge_one(settings, electorate, turnout) for electorate in voters.electorates]
    return next((verdict for verdict in verdicts if not verdict.quorate), verdicts[-1])


def _judge_one(settings: RingSettings, electorate: Electorate, turnout: Turnout) -> Verdict:
    witness = settings.quorum.witness
    expected = expected_votes(settings, electorate)
    here = [node for node in settings.nodes if node.node in electorate.nodes and node.node in turnout.members]
    votes = sum(node.votes for node in here if node.node not in turnout.muted)
    has_witness = witness is not None and turnout.has_witness
    if witness is not None and has_witness:
        votes += witness.votes
    has = f"{votes} of {expected} votes" + _whose(settings, electorate, turnout, has_witness=has_witness)
    if is_two_node(settings):
        if votes > 1:
            return Verdict(True, has)
        return Verdict(votes == 1, f"two_node: {has} is enough", may_have_a_twin=True)
    needed = expected // 2 + 1
    if votes >= needed:
        return Verdict(True, has)
    if electorate.breaker is not None and votes * 2 == expected:
        holds = electorate.breaker in turnout.members and electorate.breaker not in turnout.muted
        name = settings.of(electorate.breaker).name
        return Verdict(holds, f"auto_tie_breaker: {has}, {'with' if holds else 'without'} {name}")
    return Verdict(False, f"{has}; {needed} are needed")


def _whose(settings: RingSettings, electorate: Electorate, turnout: Turnout, *, has_witness: bool) -> str:
    """Say what does not go without saying of a count of votes."""
    said = []
    witness = settings.quorum.witness
    if witness is not None:
        said.append(f"with witness {witness.name}" if has_witness else f"without witness {witness.name}")
    if len(electorate.nodes) < len(settings.nodes):
        names = " ".join(node.name for node in settings.nodes if node.node in electorate.nodes)
        said.append(f"counting {names}")
    muted = [node.name for node in settings.nodes if node.node in turnout.muted]
    if muted:
        said.append(f"{' '.join(muted)} started anew and cannot vote yet")
    return f" ({'; '.join(said)})" if said else ""
