"""ring/quorum.py: votequorum's answers, as a table."""

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.ring.packet import Electorate, Voters
from komainu.ring.quorum import Turnout, is_two_node, judge, majorities_meet, waits_for_all
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings, WitnessOptions
from komainu.ring.voters import first_voters


def ring(
    count: int, quorum: QuorumOptions | None = None, votes: dict[int, int] | None = None
) -> RingSettings:
    nodes = tuple(
        NodeSettings(
            NodeId(node),
            NodeName(f"n{node}"),
            (LinkEnd(LinkNumber(0), f"10.0.0.{node}"),),
            (votes or {}).get(node, 1),
        )
        for node in range(1, count + 1)
    )
    return RingSettings("test", NodeId(1), nodes, quorum=quorum or QuorumOptions())


@pytest.mark.parametrize(
    ("settings", "members", "waiting", "quorate", "reason"),
    [
        (ring(3), {1, 2}, False, True, "2 of 3 votes"),
        (ring(3), {3}, False, False, "1 of 3 votes; 2 are needed"),
        (ring(4), {1, 2}, False, False, "2 of 4 votes; 3 are needed"),
        (ring(2), {1, 2}, True, True, "2 of 2 votes"),
        (ring(2), {2}, False, True, "two_node: 1 of 2 votes is enough"),
        (ring(2), {2}, True, False, "wait_for_all: n1 was not seen since the start"),
        (ring(2, QuorumOptions(two_node=False)), {2}, False, False, "1 of 2 votes; 2 are needed"),
        (ring(2, votes={1: 2}), {1}, False, True, "2 of 3 votes"),
        (ring(2, votes={1: 2}), {2}, False, False, "1 of 3 votes; 2 are needed"),
        (
            ring(4, QuorumOptions(auto_tie_breaker=True)),
            {1, 4},
            False,
            True,
            "auto_tie_breaker: 2 of 4 votes, with n1",
        ),
        (
            ring(4, QuorumOptions(auto_tie_breaker=True)),
            {2, 3},
            False,
            False,
            "auto_tie_breaker: 2 of 4 votes, without n1",
        ),
        (ring(3, QuorumOptions(expected_votes=5)), {1, 2, 3}, False, True, "3 of 5 votes"),
        (ring(3, QuorumOptions(expected_votes=5)), {1, 2}, False, False, "2 of 5 votes; 3 are needed"),
        (
            ring(3, QuorumOptions(wait_for_all=True)),
            {1, 2},
            True,
            False,
            "wait_for_all: n3 was not seen since the start",
        ),
    ],
)
def test_judge(settings: RingSettings, members: set[int], waiting: bool, quorate: bool, reason: str) -> None:
    turnout = Turnout({NodeId(each) for each in members}, waiting)
    verdict = judge(settings, first_voters(settings), turnout)
    assert (verdict.quorate, verdict.reason) == (quorate, reason)


def voters(*electorates: tuple[int, ...], breaker: int | None = None) -> Voters:
    tie = None if breaker is None else NodeId(breaker)
    return Voters(7, tuple(Electorate(tuple(NodeId(node) for node in nodes), tie) for nodes in electorates))


@pytest.mark.parametrize(
    ("who", "turnout", "quorate", "reason"),
    [
        (voters((1, 2)), Turnout((NodeId(1), NodeId(2))), True, "2 of 2 votes (counting n1 n2)"),
        (
            voters((1, 2)),
            Turnout((NodeId(2), NodeId(3))),
            False,
            "1 of 2 votes (counting n1 n2); 2 are needed",
        ),
        (
            voters((1, 2), breaker=1),
            Turnout((NodeId(1),)),
            True,
            "auto_tie_breaker: 1 of 2 votes (counting n1 n2), with n1",
        ),
        (
            voters((1, 2, 3), (1, 2)),
            Turnout((NodeId(2), NodeId(3))),
            False,
            "1 of 2 votes (counting n1 n2); 2 are needed",
        ),
        (voters((1, 2, 3), (1, 2)), Turnout((NodeId(1), NodeId(2))), True, "2 of 2 votes (counting n1 n2)"),
        (
            voters((1, 2, 3)),
            Turnout((NodeId(1), NodeId(2)), muted=(NodeId(2),)),
            False,
            "1 of 3 votes (n2 started anew and cannot vote yet); 2 are needed",
        ),
    ],
)
def test_who_counts(who: Voters, turnout: Turnout, quorate: bool, reason: str) -> None:
    verdict = judge(ring(3, QuorumOptions(last_man_standing=True)), who, turnout)
    assert (verdict.quorate, verdict.reason) == (quorate, reason)


@pytest.mark.parametrize(
    ("has_witness", "quorate", "reason"),
    [
        (True, True, "2 of 3 votes (with witness w)"),
        (False, False, "1 of 3 votes (without witness w); 2 are needed"),
    ],
)
def test_a_witness_has_votes(has_witness: bool, quorate: bool, reason: str) -> None:
    settings = ring(2, QuorumOptions(witness=WitnessOptions("w")))
    verdict = judge(settings, first_voters(settings), Turnout((NodeId(1),), has_witness=has_witness))
    assert (verdict.quorate, verdict.reason, is_two_node(settings)) == (quorate, reason, False)


def test_majorities_meet_where_nodes_alone_decide() -> None:
    assert majorities_meet(ring(3))
    assert majorities_meet(ring(2, QuorumOptions(auto_tie_breaker=True)))
    assert not majorities_meet(ring(2))
    assert not majorities_meet(ring(3, QuorumOptions(expected_votes=2)))
    assert not majorities_meet(ring(3, QuorumOptions(last_man_standing=True)))
    assert not majorities_meet(ring(3, QuorumOptions(witness=WitnessOptions("w"))))


def test_two_node_sets_itself() -> None:
    assert is_two_node(ring(2))
    assert waits_for_all(ring(2))
    assert not is_two_node(ring(3))
    assert not is_two_node(ring(2, votes={1: 2}))
    assert not waits_for_all(ring(2, QuorumOptions(wait_for_all=False)))
