"""cib/nodes.py: how nodes are found, and what their states say."""

import pytest
from cib_samples import A, B, new_state, two_members

from komainu.cib.element import Element
from komainu.cib.nodes import has_joined, is_member, name_of, node_id, node_state, update_state, with_all
from komainu.model.ids import NodeName


@pytest.mark.parametrize(
    ("in_ccm", "membership"),
    [(None, False), ("false", False), ("0", False), ("true", True), ("1700000000", True)],
)
def test_membership_is_a_word_or_a_time(in_ccm: str | None, membership: bool) -> None:
    state = Element("node_state", {} if in_ccm is None else {"in_ccm": in_ccm, "join": "member"})
    assert is_member(state) is membership
    assert has_joined(state) is membership


def test_nodes_are_found_by_name() -> None:
    cib = two_members().cib
    state = node_state(cib, B)
    assert state is not None
    assert (name_of(state), node_id(cib, B), node_id(cib, NodeName("z"))) == ("b", "2", None)
    assert not is_member(node_state(cib, NodeName("z")))


def test_the_state_of_an_unknown_node_is_not_made() -> None:
    cib = new_state().cib
    assert update_state(cib, NodeName("z"), lambda here: here) is cib
    made = update_state(cib, A, lambda here: with_all(here, {"crmd": "online"}))
    state = node_state(made, A)
    assert state is not None
    assert dict(state.attributes) == {"id": "1", "uname": "a", "crmd": "online"}


def test_nothing_new_gives_the_same_element() -> None:
    state = Element("node_state", {"crmd": "online"})
    assert with_all(state, {"crmd": "online", "join": None}) is state
    assert with_all(state, {"crmd": None}) == Element("node_state")
