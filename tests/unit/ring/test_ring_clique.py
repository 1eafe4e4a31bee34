"""ring/clique.py: against a naive search over all sets of nodes."""

from itertools import chain, combinations

from hypothesis import given
from hypothesis import strategies as st

from komainu.model.ids import NodeId
from komainu.ring.clique import best_clique

Edges = frozenset[tuple[NodeId, NodeId]]
NODES = [NodeId(node) for node in range(1, 7)]


def naive(me: NodeId, edges: Edges, votes: dict[NodeId, int], current: set[NodeId]) -> tuple[NodeId, ...]:
    others = [node for node in NODES if node != me]
    sets = chain.from_iterable(combinations(others, size) for size in range(len(others) + 1))
    cliques = [tuple(sorted((me, *chosen))) for chosen in sets]
    whole = [clique for clique in cliques if all(pair in edges for pair in combinations(clique, 2))]
    return max(
        whole,
        key=lambda clique: (
            sum(votes[node] for node in clique),
            len(clique),
            len(current & set(clique)),
            [-node for node in clique],
        ),
    )


@given(
    me=st.sampled_from(NODES),
    edges=st.frozensets(st.sampled_from(list(combinations(NODES, 2)))),
    votes=st.fixed_dictionaries({node: st.integers(0, 2) for node in NODES}),
    current=st.sets(st.sampled_from(NODES)),
)
def test_the_best_is_found(me: NodeId, edges: Edges, votes: dict[NodeId, int], current: set[NodeId]) -> None:
    def knows(one: NodeId, other: NodeId) -> bool:
        return (min(one, other), max(one, other)) in edges

    friends = [node for node in NODES if node != me and knows(me, node)]
    found = best_clique(me, friends, knows, votes, current)
    expected = naive(me, edges, votes, current)
    whole_votes = sum(votes[node] for node in found)
    # A whole network is taken whole, though a voteless node adds nothing but itself.
    assert found == expected
    assert whole_votes >= votes[me]


def test_a_big_maze_ends() -> None:
    nodes = [NodeId(node) for node in range(1, 33)]
    found = best_clique(
        nodes[0], nodes[1:], lambda one, other: (one + other) % 3 != 0, dict.fromkeys(nodes, 1), ()
    )
    assert nodes[0] in found
