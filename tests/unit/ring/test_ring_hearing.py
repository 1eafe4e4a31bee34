"""ring/hearing.py: what is kept up news by news is what would be found anew from all words."""

from hypothesis import given
from hypothesis import strategies as st

from komainu.model.ids import Incarnation, NodeId
from komainu.model.view import Position
from komainu.ring.hearing import Hearing
from komainu.ring.packet import Beat, Member, Vote

NODES = [NodeId(node) for node in range(1, 6)]
lives = st.sampled_from([Incarnation(1), Incarnation(2)])
members = st.builds(Member, st.sampled_from(NODES), lives)
friends = st.dictionaries(st.sampled_from(NODES), st.tuples(lives, st.frozensets(members)))


def beat(hears: frozenset[Member]) -> Beat:
    return Beat(None, tuple(sorted(hears)), (), 0, None, 0, 0, Position(), (), Vote.UNKNOWN)


@given(st.lists(friends, min_size=1, max_size=6))
def test_what_is_kept_is_what_all_words_together_say(
    seen: list[dict[NodeId, tuple[Incarnation, frozenset[Member]]]],
) -> None:
    """Friends come, go, change their words and their lives: what earlier ones said of other lives does not count."""
    hearing = Hearing(NODES)
    for each in seen:
        present = {Member(node, life): beat(hears) for node, (life, hears) in each.items()}
        expected = {
            one.node: {
                other.node
                for other in present
                if other != one and other in present[one].hears and one in present[other].hears
            }
            for one in present
        }
        assert hearing.near(present) == {node: hearing.set_of(near) for node, near in expected.items()}
