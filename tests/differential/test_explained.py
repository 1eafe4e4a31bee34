"""A difference accounts for its own lines where its cause is in the CIB, and the page has a row for each."""

from collections.abc import Sequence
from pathlib import Path

import explained
import older
import pytest
from reference import UNFINISHED, Disagreement

from komainu.cib import document
from komainu.cib.element import Element

PAGE = Path(__file__).parents[2] / "docs" / "compat-scheduler.md"


def _cib(resources: str, *, constraints: str = "", options: str = "", status: str = "") -> Element:
    return document.parse(
        f"<cib><configuration><crm_config>{options}</crm_config><nodes/><resources>{resources}</resources>"
        f"<constraints>{constraints}</constraints></configuration><status>{status}</status></cib>",
        "test",
    )


def _reason(cib: Element, *found: Disagreement) -> str | None:
    """Return the reason of a disagreement that no other way of doing things changes."""
    return explained.reason(cib, lambda _: list(found))


GROUP = '<primitive id="a"/><group id="g"><primitive id="b"/></group>'
GUEST = '<primitive id="r"><meta_attributes id="m"><nvpair id="n" name="remote-node" value="g"/></meta_attributes></primitive>'


# -- the table --------------------------------------------------------------------------------------------


def _rows() -> list[str]:
    """Return the first column of the page's table of differences."""
    section = PAGE.read_text(encoding="utf-8").split("## Where 2.1.5 differs")[1].split("\n## ")[0]
    lines = section.splitlines()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    return [row for row in rows if row != "What"]


NOT_GENERATED = (
    "`concurrent-fencing`",
    "finite colocations of a clone",
    "colocated clones of groups",
    "active instances and better nodes",
    "live migration of a group's member",
    "a live migration behind a connection",
    "transitions that cannot be finished",
    "what is behind a connection",
    "results of a simulated `cancel`",
    "`fence-remote-without-quorum`",
    "`clone-node-max` above 1",
    "fail counts by operation",
    "`on_node` in the history",
    "scores of instances",
    "texts",
)
"""Rows of what is not generated, or not compared (reference.py): nothing has to be explained by them."""


def test_the_page_and_the_table_of_differences_agree() -> None:
    rows = _rows()
    for difference in explained.DIFFERENCES:
        assert len([row for row in rows if row.startswith(difference.row)]) == 1, difference
    named = [difference.row for difference in explained.DIFFERENCES] + list(NOT_GENERATED)
    assert [row for row in rows if not row.startswith(tuple(named))] == []
    assert [name for name in NOT_GENERATED if not any(row.startswith(name) for row in rows)] == []


def test_each_way_is_a_difference_and_no_name_stands_twice() -> None:
    names = [difference.name for difference in explained.DIFFERENCES]
    assert len(names) == len(set(names))
    assert {each.name for each in explained.DIFFERENCES if each.explains is None} == set(older.WAYS)


# -- how reasons are put together -------------------------------------------------------------------------


CHAIN, APART = "wishes along a chain of colocations", "room for a dependent that must be apart"
SCORE = Disagreement("scores", ("a allocation score on n1: 0",), ("a allocation score on n1: 5",))
OTHER = Disagreement("scores", ("b allocation score on n1: 0",), ("b allocation score on n1: 5",))


@pytest.mark.parametrize("needed", [(CHAIN,), (APART,), (CHAIN, APART)])
def test_the_fewest_ways_are_named_that_leave_nothing(needed: tuple[str, ...]) -> None:
    def ask(ways: Sequence[str]) -> list[Disagreement]:
        return [one for name, one in zip(needed, (SCORE, OTHER), strict=False) if name not in ways]

    assert explained.reason(_cib(GROUP), ask) == ", ".join(sorted(needed))


def test_ways_are_named_that_do_nothing_alone() -> None:
    def ask(ways: Sequence[str]) -> list[Disagreement]:
        return [] if {CHAIN, APART} <= set(ways) else [SCORE]

    assert explained.reason(_cib(GROUP), ask) == ", ".join(sorted((CHAIN, APART)))


def test_what_no_way_takes_away_is_not_explained_by_what_is_in_the_cib() -> None:
    """A chain is there, and dependents that must be apart; neither has to do with it."""
    chain = '<rsc_colocation id="c" rsc="a" with-rsc="b" score="5"/>'
    chain += '<rsc_colocation id="d" rsc="b" with-rsc="x" score="-INFINITY"/>'
    assert _reason(_cib(GROUP, constraints=chain), SCORE) is None


def test_a_line_and_a_way_together() -> None:
    clone = '<clone id="c"><meta_attributes id="m"><nvpair id="o" name="ordered" value="true"/></meta_attributes><primitive id="p"/></clone>'
    edge = Disagreement("edges", (), ("p_start_0 n1 -> p_start_0 n3",))

    def ask(ways: Sequence[str]) -> list[Disagreement]:
        return [edge] if CHAIN in ways else [edge, SCORE]

    assert explained.reason(_cib(clone), ask) == f"instances of an ordered clone, {CHAIN}"
    assert explained.reason(_cib(GROUP), ask) is None


# -- single lines -----------------------------------------------------------------------------------------


def test_instances_of_an_ordered_clone() -> None:
    clone = '<clone id="c"><meta_attributes id="m"><nvpair id="o" name="ordered" value="{}"/></meta_attributes><primitive id="p"/></clone>'
    skips = Disagreement("edges", (), ("p_start_0 n1 -> p_start_0 n3",))
    assert _reason(_cib(clone.format("true")), skips) == "instances of an ordered clone"
    assert _reason(_cib(clone.format("false")), skips) is None
    assert _reason(_cib(clone.format("true")), Disagreement("edges", skips.only_ours, ())) is None


def test_the_word_for_a_live_migration() -> None:
    line = "Move a ( n1 -> n2 ) due to {} b stop"
    found = Disagreement("summary", (line.format("unrunnable"),), (line.format("unmigrateable"),))
    assert _reason(_cib(GROUP), found) == "the word for a live migration"
    moved = Disagreement("summary", ("Move a ( n1 -> n3 ) due to unrunnable b stop",), found.only_ours)
    assert _reason(_cib(GROUP), moved) is None
    assert _reason(_cib(GROUP), found, SCORE) is None


def test_a_collective_on_a_lost_node() -> None:
    shown = ("Resource Group: g (unmanaged):", "b (ocf:pacemaker:Dummy): FAILED n1 (UNCLEAN, unmanaged)")
    found = Disagreement("status", (), shown)
    lost = _cib(GROUP, status='<node_state uname="n1" in_ccm="false"/>')
    assert _reason(lost, found) == "a collective on lost nodes only"
    assert _reason(_cib(GROUP, status='<node_state uname="n1" in_ccm="true"/>'), found) is None
    more = Disagreement("status", (), (*shown, "a (ocf:pacemaker:Dummy): Started n2"))
    assert _reason(lost, more) is None


def test_what_follows_a_bundle() -> None:
    bundle = '<bundle id="b"><podman/><primitive id="x"/></bundle><primitive id="a"/>'
    edges = ("b-podman-0_start_0 n1 -> a_start_0 n2",), ("x_start_0 b-0 -> a_start_0 n2",)
    assert _reason(_cib(bundle), Disagreement("edges", *edges)) == "what follows a bundle"
    assert _reason(_cib(bundle), Disagreement("edges", edges[0], ("y_start_0 b-0 -> a_start_0 n2",))) is None
    assert _reason(_cib(bundle), Disagreement("edges", edges[0], ())) is None


def test_clones_in_series() -> None:
    clones = "".join(f'<clone id="{name}"><primitive id="{name}i"/></clone>' for name in "xy")
    found = Disagreement("edges", ("xi_start_0 n1 -> yi_start_0 n1",), ())
    order = '<rsc_order id="o" first="x" then="y" kind="{}"/>'
    why = "clones that are put in series"
    assert _reason(_cib(clones, constraints=order.format("Serialize")), found) == why
    assert _reason(_cib(clones, constraints=order.format("Optional")), found) is None


# -- the whole --------------------------------------------------------------------------------------------


def test_what_only_one_of_them_finishes() -> None:
    unfinished = Disagreement(UNFINISHED, ("an invalid transition was produced",), ())
    status = Disagreement("status", ("a: Stopped",), ("a: Started n1",))
    assert _reason(_cib(GUEST), status, unfinished) == "what only one of them finishes, with guests"
    assert _reason(_cib(GROUP), status, unfinished) is None
    assert _reason(_cib(GUEST), status) is None
    assert _reason(_cib(GUEST), status, SCORE, unfinished) is None


def test_a_circle_through_a_group() -> None:
    found = Disagreement("summary", ("Start d ( n1 )",), ())
    sets = "".join(
        f'<rsc_colocation id="{one}{other}" rsc="{one}" with-rsc="{other}" score="INFINITY"/>'
        for one, other in ("gd", "db")
    )
    resources = GROUP + '<primitive id="d"/>'
    assert _reason(_cib(resources, constraints=sets), found) == "mandatory colocations in a circle"
    one_way = sets.replace('with-rsc="b"', 'with-rsc="a"')
    assert _reason(_cib(resources, constraints=one_way), found) is None


def test_a_group_with_its_own_member() -> None:
    found = Disagreement("actions", ("g_start_0",), ())
    rule = '<rsc_colocation id="c" rsc="g" with-rsc="{}" score="-INFINITY"/>'
    why = "a collective that must be with its own"
    assert _reason(_cib(GROUP, constraints=rule.format("b")), found) == why
    assert _reason(_cib(GROUP, constraints=rule.format("a")), found) is None
    elsewhere = Disagreement("actions", ("a_start_0 n1",), ())
    assert _reason(_cib(GROUP, constraints=rule.format("b")), elsewhere) is None
