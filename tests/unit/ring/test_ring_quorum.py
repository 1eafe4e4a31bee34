"""ring/quorum.py: votequorum's answers, as a table."""

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.ring.quorum import is_two_node, judge, waits_for_all
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings


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
    verdict = judge(settings, {NodeId(each) for each in members}, waiting=waiting)
    assert (verdict.quorate, verdict.reason) == (quorate, reason)


def test_two_node_sets_itself() -> None:
    assert is_two_node(ring(2))
    assert waits_for_all(ring(2))
    assert not is_two_node(ring(3))
    assert not is_two_node(ring(2, votes={1: 2}))
    assert not waits_for_all(ring(2, QuorumOptions(wait_for_all=False)))
