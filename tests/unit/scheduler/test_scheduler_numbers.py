"""Numbers and dates that nobody means: they count as the greatest there is, and never raise."""

import pytest
from whole_text import dummy, meta, state, whole

from komainu.scheduler import recipe, rules
from komainu.scheduler.nodes import sort_key
from komainu.scheduler.options import INTEGER_MAX, parse_int
from komainu.scheduler.plan import plan
from komainu.scheduler.words import INSTANCES_MAX

THOUSANDS = "9" * 5000
"""More digits than Python reads as a number."""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (THOUSANDS, INTEGER_MAX),
        (f"-{THOUSANDS}", -INTEGER_MAX),
        ("0" * 5000 + "7", 7),
        (str(INTEGER_MAX), INTEGER_MAX),
        (str(INTEGER_MAX + 1), INTEGER_MAX),
        ("12 and more", 12),
        ("²", -1),
    ],
)
def test_an_integer_has_a_limit(text: str, number: int) -> None:
    assert parse_int(text, -1) == number


def test_values_compare_by_size_however_long_they_are() -> None:
    assert rules.compare(THOUSANDS, "5", "integer") > 0
    assert rules.compare("5", THOUSANDS, "number") < 0


def test_node_names_with_long_numbers_have_an_order() -> None:
    names = ["n" + THOUSANDS, "n10", "n9", "n09"]
    assert sorted(names, key=sort_key) == ["n9", "n09", "n10", "n" + THOUSANDS]


@pytest.mark.parametrize("count", ["99999999999", THOUSANDS])
def test_a_clone_has_no_more_instances_than_the_limit(count: str) -> None:
    clone = f'<clone id="c">{meta("c", clone_max=count)}{dummy("x")}</clone>'
    job = recipe.read(whole("a", clone, state("a")), 1000)
    (made,) = job.resources
    assert len(made.children) == INSTANCES_MAX
    assert job.warnings == [f"c: asks for too many instances, gets {INSTANCES_MAX}"]


def test_a_plan_is_made_although_the_date_of_a_rule_is_impossible() -> None:
    rule = (
        '<rsc_location id="l" rsc="x"><rule id="r" score="-INFINITY"><date_expression id="d" operation="in_range" '
        'start="2024-01-01"><duration id="du" years="99999"/></date_expression></rule></rsc_location>'
    )
    planned = plan(whole("a", dummy("x"), state("a"), constraints=rule), 1_767_225_600)
    assert not any(action.operation == "start" for action in planned.actions)
