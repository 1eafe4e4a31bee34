"""What constraints name: tags, templates, and what there is not."""

import pytest
from whole_text import dummy, meta, state, whole

from komainu.cib import document as reader
from komainu.scheduler import recipe
from komainu.scheduler.job import Job
from komainu.scheduler.plan import plan
from komainu.scheduler.words import Rel

TAGS = (
    '<tag id="one"><obj_ref id="x"/></tag>',
    '<tag id="two"><obj_ref id="y"/></tag>',
)


def test_two_tags_cannot_be_colocated_and_the_plan_says_so() -> None:
    rule = '<rsc_colocation id="c" rsc="one" with-rsc="two" score="INFINITY"/>'
    document = whole("a", dummy("x") + dummy("y"), state("a"), constraints=rule)
    configuration = document.first("configuration")
    assert configuration is not None
    block = reader.parse(f"<tags>{''.join(TAGS)}</tags>", "test")
    with_tags = document.with_child(configuration.with_child(block))
    found = plan(with_tags, 1000)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("c: two templates or tags cannot be colocated")
    assert "start x on a" in [action.label for action in found.actions]


def _scheduled(constraint: str, tags: str = "") -> Job:
    cib = whole("ab", "".join(map(dummy, "uvwxyz")), state("a") + state("b"), constraints=constraint)
    text = reader.show(cib).replace("</configuration>", f"<tags>{tags}</tags></configuration>")
    job = recipe.read(reader.parse(text, "test"), 1000)
    recipe.schedule(job)
    return job


def _sets(*sets: str, sequential: str = "") -> str:
    given = f' sequential="{sequential}"' if sequential else ""
    return "".join(
        f'<resource_set id="s{number}"{given}>'
        + "".join(f'<resource_ref id="{name}"/>' for name in names.split())
        + "</resource_set>"
        for number, names in enumerate(sets)
    )


@pytest.mark.parametrize(
    ("sets", "pairs"),
    [
        (("u nobody v", "w x", "y z"), ""),
        (("u v", "w nobody x", "y z"), "uv"),
        (("u v", "w x", "y nobody z"), "uv uw ux vw vx wx"),
    ],
)
def test_sets_are_ordered_up_to_one_that_names_what_there_is_not(sets: tuple[str, ...], pairs: str) -> None:
    job = _scheduled(f'<rsc_order id="o">{_sets(*sets)}</rsc_order>')
    starts = {
        order.first_resource.id + order.then_resource.id
        for order in job.orderings
        if order.first_resource
        and order.then_resource
        and order.first_resource is not order.then_resource
        and order.first_key.endswith("_start_0")
        and order.then_key.endswith("_start_0")
    }
    assert starts == set(pairs.split())


@pytest.mark.parametrize(
    ("sequential", "sets", "pairs"),
    [
        ("true", ("u nobody v", "w x", "y z"), "ux xw wz zy"),
        ("true", ("u v", "w nobody x", "y z"), "vu ux wz zy"),
        ("true", ("u v", "w x", "y z nobody"), "vu ux xw zy"),
        ("false", ("u nobody v", "w x"), "uw ux"),
        ("false", ("u v", "w nobody x", "y z"), "uw wy wz"),
    ],
)
def test_sets_are_colocated_up_to_a_name_that_means_nothing(
    sequential: str, sets: tuple[str, ...], pairs: str
) -> None:
    inside = _sets(*sets, sequential=sequential)
    job = _scheduled(f'<rsc_colocation id="k" score="INFINITY">{inside}</rsc_colocation>')
    assert {c.dependent.id + c.primary.id for c in job.colocations} == set(pairs.split())


def test_of_a_resource_that_a_set_names_twice_the_first_mention_counts() -> None:
    """Each of them is apart from those before it; the second u would be so from itself and from v."""
    job = _scheduled(f'<rsc_colocation id="c" score="-INFINITY">{_sets("u v u w")}</rsc_colocation>')
    pairs = [f"{one.dependent.id}{one.primary.id}" for one in job.colocations]
    assert pairs == ["vu", "wu", "wv", "wu"]


def test_a_set_has_nodes_and_tickets_up_to_a_name_that_means_nothing() -> None:
    sets = _sets("u v", "w nobody x", "y")
    job = _scheduled(f'<rsc_location id="l" node="a" score="7">{sets}</rsc_location>')
    assert "".join(top.id for top in job.resources if top.table["a"].score == 7) == "uvw"
    job = _scheduled(f'<rsc_ticket id="t" ticket="T">{sets}</rsc_ticket>')
    assert "".join(top.id for top in job.resources if top.table["a"].score < 0) == "uvw"


def _tag(name: str, members: str) -> str:
    references = "".join(f'<obj_ref id="{member}"/>' for member in members.split())
    return f'<tag id="{name}">{references}</tag>'


@pytest.mark.parametrize(
    ("constraint", "members", "named"),
    [
        (_sets("u t"), "v w", "uvw"),
        (_sets("u t"), "v nobody w", "u"),  # nothing is replaced, so the tag means nothing
        (_sets("u t v", "nobody"), "w", "u"),
        ("", "v nobody w", "v"),  # one side alone is a set that ends there
    ],
)
def test_tags_are_replaced_where_all_names_mean_something(constraint: str, members: str, named: str) -> None:
    about = "" if constraint else 'rsc="t"'
    tag = _tag("t", members)
    job = _scheduled(f'<rsc_location id="l" {about} node="a" score="7">{constraint}</rsc_location>', tag)
    assert "".join(top.id for top in job.resources if top.table["a"].score == 7) == named
    job = _scheduled(f'<rsc_ticket id="k" {about} ticket="T">{constraint}</rsc_ticket>', tag)
    assert "".join(top.id for top in job.resources if top.table["a"].score < 0) == named


def test_only_a_pair_is_compared_by_another_attribute_than_the_name() -> None:
    pair = '<rsc_colocation id="k" rsc="u" with-rsc="v" score="1" node-attribute="colour"/>'
    assert [c.node_attribute for c in _scheduled(pair).colocations] == ["colour"]
    sets = f'<rsc_colocation id="k" score="1" node-attribute="colour">{_sets("u v")}</rsc_colocation>'
    assert [c.node_attribute for c in _scheduled(sets).colocations] == ["#uname"]


@pytest.mark.parametrize(
    ("actions", "in_sets", "in_a_pair"),
    [(("demote", "start"), True, False), (("start", "stop"), False, True), (("start", "start"), True, True)],
)
def test_between_sets_the_second_action_tells_whether_the_first_holds_it_up(
    actions: tuple[str, str], in_sets: bool, in_a_pair: bool
) -> None:
    first, then = actions
    pair = f'<rsc_order id="o" first="u" first-action="{first}" then="v" then-action="{then}"/>'
    sets = _sets("u", "v").replace('"s0"', f'"s0" action="{first}"').replace('"s1"', f'"s1" action="{then}"')
    for constraint, holds_up in ((pair, in_a_pair), (f'<rsc_order id="o">{sets}</rsc_order>', in_sets)):
        (order,) = (
            order
            for order in _scheduled(constraint).orderings
            if (order.first_key, order.then_key) == (f"u_{first}_0", f"v_{then}_0")
        )
        assert bool(order.flags & Rel.UNRUNNABLE_FIRST_BLOCKS) is holds_up


def test_of_a_tag_in_an_ordering_the_second_does_not_do_what_the_first_does() -> None:
    """A set starts unless it says otherwise; in a pair, the second does by default what the first does."""
    document = whole(
        "a",
        dummy("x") + dummy("y"),
        state("a"),
        constraints='<rsc_order id="o" first="x" then="{}" first-action="stop"/>',
    )
    for then, task in (("y", "stop"), ("two", "start")):
        text = reader.show(document).replace("{}", then)
        text = text.replace("</configuration>", f"<tags>{''.join(TAGS)}</tags></configuration>")
        job = recipe.read(reader.parse(text, "test"), 1000)
        recipe.schedule(job)
        assert f"y_{task}_0" in [order.then_key for order in job.orderings if order.first_key == "x_stop_0"]


def test_a_fence_device_avoids_the_nodes_that_are_reached_through_a_connection_only() -> None:
    """What is left in the configuration of a remote node that is gone takes nothing anyway."""
    guest = dummy("vm", meta("vm", remote_node="g"))
    fencer = '<primitive id="f" class="stonith" type="fence_x"/>'
    document = whole("ar", fencer + guest, state("a"))
    text = reader.show(document).replace('id="r" uname="r"', 'id="r" uname="r" type="remote"')
    job = recipe.read(reader.parse(text, "test"), 1000)
    recipe.schedule(job)
    scores = {row.node.name: row.score for row in job.by_id["f"].table.values()}
    assert scores == {"a": 0, "g": -1_000_000, "r": 0}
