"""ring/clique.py: against a naive search over all sets of nodes."""

from itertools import chain, combinations, permutations

from hypothesis import given
from hypothesis import strategies as st

from komainu.model.ids import NodeId
from komainu.ring.clique import best_clique
from komainu.ring.settings import NODES_MAX

Edges = frozenset[tuple[NodeId, NodeId]]
NODES_MAX_OF_THEM = [NodeId(node) for node in range(1, NODES_MAX + 1)]
NODES = NODES_MAX_OF_THEM[:6]
BITS = {node: 1 << place for place, node in enumerate(NODES_MAX_OF_THEM)}


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
    heard=st.frozensets(st.sampled_from(list(permutations(NODES, 2)))),
    mutual=st.frozensets(st.sampled_from(list(combinations(NODES, 2)))),
    votes=st.fixed_dictionaries({node: st.integers(0, 2) for node in NODES}),
    current=st.sets(st.sampled_from(NODES)),
)
def test_the_best_is_found(
    me: NodeId, heard: Edges, mutual: Edges, votes: dict[NodeId, int], current: set[NodeId]
) -> None:
    """Who is heard, but does not hear, is no friend: neither of us nor of another."""
    heard |= mutual | {(other, one) for one, other in mutual}
    edges = frozenset(pair for pair in combinations(NODES, 2) if pair in heard and pair[::-1] in heard)
    friends = {node for node in NODES if (min(me, node), max(me, node)) in edges}
    near = {
        node: sum(BITS[other] for other in friends if (min(node, other), max(node, other)) in edges)
        for node in friends
    }
    found = best_clique(me, near, BITS, votes, current)
    expected = naive(me, edges, votes, current)
    whole_votes = sum(votes[node] for node in found)
    # A whole network is taken whole, though a voteless node adds nothing but itself.
    assert found == expected
    assert whole_votes >= votes[me]


def test_a_big_maze_ends() -> None:
    me, *others = NODES_MAX_OF_THEM
    near = {
        one: sum(BITS[other] for other in others if other != one and (one + other) % 3 != 0) for one in others
    }
    assert me in best_clique(me, near, BITS, dict.fromkeys(NODES_MAX_OF_THEM, 1), ())
