"""A difference makes the later version, has the size of the change, and keeps what is shared."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cib.difference import Changed, Kept, difference, later
from komainu.cib.element import Element

names = st.sampled_from("abc")
attributes = st.dictionaries(st.sampled_from(("id", "x", "y")), st.sampled_from(("", "1", "é\n")), max_size=2)
trees = st.recursive(
    st.builds(Element, names, attributes),
    lambda below: st.builds(Element, names, attributes, st.lists(below, max_size=4).map(tuple)),
    max_leaves=12,
)


def sent(change: Changed) -> Changed:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Changed)


@settings(max_examples=50)
@given(old=trees, new=trees, kept=st.lists(st.integers(0, 3), max_size=4))
def test_it_makes_the_later_version(old: Element, new: Element, kept: list[int]) -> None:
    shared = tuple(old.children[index] for index in kept if index < len(old.children))
    new = Element(old.tag, new.attributes, (*new.children, *shared), line=7)
    made = later(old, sent(difference(old, new)))
    assert made == new
    assert made.line == 7
    first = len(made.children) - len(shared)
    assert all(one is other for one, other in zip(made.children[first:], shared, strict=True))


def test_one_change_among_thousand_is_small() -> None:
    old = Element("status", {}, tuple(Element("lrm_resource", {"id": f"r{n}"}) for n in range(1000)))
    new = old.with_child(Element("lrm_resource", {"id": "r500"}, (Element("lrm_rsc_op", {"id": "x"}),)))
    change = difference(old, new)
    assert change.children[0] == Kept(0, 500)
    assert change.children[2] == Kept(501, 499)
    assert len(msgspec.msgpack.encode(change)) < 200
