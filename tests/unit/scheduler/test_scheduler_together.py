"""What colocations are worth: by node, as by any attribute in which every node has a value of its own."""

from cluster_text import cib, fence_device, history, member, pair, primitive
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cib.element import Element
from komainu.cib.tree import update_at
from komainu.scheduler.plan import plan

NODES = ("n1", "n2", "n3")
Wish = tuple[str, str, int]
"""Of a resource, with another one or for a node, and how much."""

RESOURCES = st.sampled_from("abcg")
SCORES = st.sampled_from((-1_000_000, -50, -20, 7, 30, 60, 1_000_000))
TOGETHER = st.lists(st.tuples(RESOURCES, RESOURCES, SCORES), max_size=5)
PLACES = st.lists(st.tuples(RESOURCES, st.sampled_from(NODES), SCORES), max_size=4)


def cluster(attribute: str, together: list[Wish], places: list[Wish]) -> Element:
    """Return three resources and a group that run on n1, with colocations by an attribute and wishes about nodes."""
    group = Element("group", {"id": "g"}, (primitive("d"), primitive("e")))
    colocations = (
        Element(
            "rsc_colocation",
            {"id": f"c{i}", "rsc": rsc, "with-rsc": other, "score": str(score), "node-attribute": attribute},
        )
        for i, (rsc, other, score) in enumerate(together)
    )
    locations = (
        Element("rsc_location", {"id": f"l{i}", "rsc": rsc, "node": node, "score": str(score)})
        for i, (rsc, node, score) in enumerate(places)
    )
    active = [history(name, "n1") for name in "abcde"]
    made = cib(
        (fence_device(), primitive("a"), primitive("b"), primitive("c"), group),
        tuple(member(node, i, *(active if i == 1 else ())) for i, node in enumerate(NODES, 1)),
        constraints=(*colocations, *locations),
    )
    return update_at(made, ("configuration", "nodes"), with_own_names)


def with_own_names(nodes: Element) -> Element:
    """Give each node an attribute that says its name."""
    return nodes.with_children(
        tuple(
            node.with_child(
                Element(
                    "instance_attributes", {"id": f"{node.id}-own"}, (pair("own", node.get("uname") or ""),)
                )
            )
            for node in nodes.children
        )
    )


@settings(max_examples=15)
@given(TOGETHER, PLACES)
def test_nodes_are_weighed_alike_by_name_and_by_an_attribute_that_names_them(
    together: list[Wish], places: list[Wish]
) -> None:
    by_name = plan(cluster("#uname", together, places), 1_000)
    by_attribute = plan(cluster("own", together, places), 1_000)
    assert by_name.placements == by_attribute.placements
    assert by_name.summary == by_attribute.summary
