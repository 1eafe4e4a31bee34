"""ring/voters.py: the count changes in two steps, and no two parts ever have quorum by different counts."""

from itertools import combinations, pairwise

import pytest

from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.ring.packet import Electorate, Voters
from komainu.ring.quorum import Turnout, judge
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings
from komainu.ring.voters import advance, first_voters, newest


def ring(count: int, **options: object) -> RingSettings:
    nodes = tuple(
        NodeSettings(NodeId(node), NodeName(f"n{node}"), (LinkEnd(LinkNumber(0), f"10.0.0.{node}"),))
        for node in range(1, count + 1)
    )
    return RingSettings("test", NodeId(1), nodes, quorum=QuorumOptions(**options))  # type: ignore[arg-type]  # a shorthand


def nodes(*numbers: int) -> tuple[NodeId, ...]:
    return tuple(NodeId(number) for number in numbers)


def way(
    settings: RingSettings,
    voters: Voters,
    members: tuple[NodeId, ...],
    left: tuple[NodeId, ...] = (),
    *,
    is_settled: bool = True,
) -> list[Voters]:
    """Follow the views with the same members until nothing changes any more."""
    steps = []
    while (ways := advance(settings, voters, members, left, is_settled=is_settled)) != voters.electorates:
        voters = Voters(voters.since + 1, ways)
        steps.append(voters)
    return steps


def counted(steps: list[Voters]) -> list[list[tuple[NodeId, ...]]]:
    return [[electorate.nodes for electorate in step.electorates] for step in steps]


def test_the_last_man_goes_on_step_by_step() -> None:
    settings = ring(3, last_man_standing=True)
    first = first_voters(settings)
    assert way(settings, first, nodes(1, 2), is_settled=False) == []
    steps = way(settings, first, nodes(1, 2))
    assert counted(steps) == [[nodes(1, 2, 3), nodes(1, 2)], [nodes(1, 2)]]
    assert not judge(settings, steps[-1], Turnout(nodes(1))).quorate  # of two, neither may go on alone
    assert counted(way(settings, steps[-1], nodes(1, 2, 3))) == [
        [nodes(1, 2), nodes(1, 2, 3)],
        [nodes(1, 2, 3)],
    ]


def test_with_a_tie_breaker_one_of_two_goes_on() -> None:
    settings = ring(3, last_man_standing=True, auto_tie_breaker=True)
    two = way(settings, first_voters(settings), nodes(2, 3))[-1]
    assert two.electorates == (Electorate(nodes(2, 3), NodeId(2)),)
    assert judge(settings, two, Turnout(nodes(2))).quorate
    assert not judge(settings, two, Turnout(nodes(1, 3))).quorate
    assert counted(way(settings, two, nodes(2)))[-1] == [nodes(2)]


def test_the_first_of_the_list_that_is_here_breaks_ties() -> None:
    settings = ring(4, auto_tie_breaker=True, tie_breakers=nodes(3, 2))
    first = first_voters(settings)
    assert first.electorates[0].breaker == 3
    last = way(settings, first, nodes(1, 2, 4))[-1]
    assert last.electorates == (Electorate(nodes(1, 2, 3, 4), NodeId(2)),)
    assert judge(settings, last, Turnout(nodes(2, 4))).quorate


def test_who_left_cleanly_is_not_counted_down_to_the_expected_votes() -> None:
    settings = ring(5, allow_downscale=True, expected_votes=3)
    first = first_voters(settings)
    assert counted(way(settings, first, nodes(1, 2, 3, 4), nodes(5)))[-1] == [nodes(1, 2, 3, 4)]
    assert counted(way(settings, first, nodes(1, 2, 3), nodes(4, 5)))[-1] == [nodes(1, 2, 3)]
    three = way(settings, first, nodes(1, 2, 3), nodes(4, 5))[-1]
    assert way(settings, three, nodes(1, 2), nodes(3)) == []


def test_nothing_changes_where_no_option_says_so() -> None:
    settings = ring(3)
    assert way(settings, first_voters(settings), nodes(1, 2)) == []
    assert newest(settings, []) == first_voters(settings)


@pytest.mark.parametrize("count", [3, 4, 5])
def test_no_two_parts_have_quorum_by_neighbouring_counts(count: int) -> None:
    """Whoever knows the step before and whoever knows the step after, apart from each other: one has no quorum."""
    settings = ring(count, last_man_standing=True, auto_tie_breaker=True)
    everybody = nodes(*range(1, count + 1))
    parts = [part for size in range(1, count) for part in combinations(everybody, size)]
    for members in parts:
        first = first_voters(settings)
        if not judge(settings, first, Turnout(members)).quorate:
            continue
        steps = [first, *way(settings, first, members)]
        for before, after in pairwise(steps):
            for one in parts:
                others = tuple(node for node in everybody if node not in one)
                if judge(settings, after, Turnout(one)).quorate and set(one) <= set(members):
                    assert not judge(settings, before, Turnout(others)).quorate, (members, before, after, one)
