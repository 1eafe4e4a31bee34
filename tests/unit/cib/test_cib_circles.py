"""cib/circles.py: constraints that lead in a circle are told once, with the names and what to remove."""

from cib_samples import configuration

from komainu.cib.circles import check_circles
from komainu.cib.problem import Problems


def found(*constraints: str) -> list[tuple[str, str]]:
    problems = Problems("x")
    check_circles(configuration(f"<constraints>{''.join(constraints)}</constraints>").children[0], problems)
    assert problems.errors == []
    return [(one.message, one.hint) for one in problems.warnings]


def order(name: str, first: str, then: str, more: str = "") -> str:
    return f'<rsc_order id="{name}" first="{first}" then="{then}" {more}/>'


def with_(name: str, dependent: str, primary: str, score: str = "INFINITY") -> str:
    return f'<rsc_colocation id="{name}" rsc="{dependent}" with-rsc="{primary}" score="{score}"/>'


def test_orderings_in_a_circle() -> None:
    told = found(order("o0", "a", "b"), order("o1", "b", "c"), order("o2", "c", "d"), order("o3", "d", "b"))
    message = '<rsc_order id="o3"> closes a circle: b, then c, then d, then b: none of them is ever started'
    assert told == [(message, "remove one of o1, o2, o3")]


def test_two_circles_are_told_each() -> None:
    told = found(order("o1", "a", "b"), order("o2", "b", "a"), order("o3", "c", "d"), order("o4", "d", "c"))
    assert [hint for _, hint in told] == ["remove one of o1, o2", "remove one of o3, o4"]


def test_ways_that_meet_again_are_no_circle() -> None:
    assert (
        found(order("o1", "a", "b"), order("o2", "a", "c"), order("o3", "b", "d"), order("o4", "c", "d"))
        == []
    )


def test_wishes_and_other_actions_close_no_circle() -> None:
    for more in ('kind="Optional"', 'kind="Serialize"', 'score="0"', 'first-action="stop"'):
        assert found(order("o1", "a", "b"), order("o2", "b", "a", more)) == []


def test_colocations_in_a_circle() -> None:
    told = found(with_("c1", "a", "b"), with_("c2", "b", "a"))
    message = (
        '<rsc_colocation id="c2"> closes a circle: a with b, b with a: they do not say which is placed first'
    )
    assert told == [(message, "remove one of c1, c2")]
    assert found(with_("c1", "a", "b"), with_("c2", "b", "a", "-INFINITY")) == []
    assert found(with_("c1", "a", "b"), with_("c2", "b", "a", "100")) == []


def test_a_long_chain_is_walked_quickly() -> None:
    chain = [order(f"o{number}", f"r{number}", f"r{number + 1}") for number in range(2_000)]
    assert found(*chain) == []
    ((message, _),) = found(*chain, order("back", "r2000", "r0"))
    assert "r5, then r6, then …, then r0: none" in message


GROUP = '<resources><group id="g"><primitive id="m"/><primitive id="n"/></group></resources>'
ORDER_SET = '<rsc_order id="s"><resource_set id="x"{}><resource_ref id="a"/><resource_ref id="b"/></resource_set></rsc_order>'
TOGETHER_SET = ORDER_SET.replace("rsc_order", "rsc_colocation")


def found_with_group(*constraints: str) -> list[tuple[str, str]]:
    problems = Problems("x")
    text = f"{GROUP}<constraints>{''.join(constraints)}</constraints>"
    check_circles(configuration(text).children[0], problems)
    return [(one.message, one.hint) for one in problems.warnings]


def test_a_circle_through_a_set() -> None:
    ((message, hint),) = found(ORDER_SET.format(""), order("o", "b", "a"))
    assert message == '<rsc_order id="o"> closes a circle: a, then b, then a: none of them is ever started'
    assert hint == "remove one of s, o"
    assert found(ORDER_SET.format(' sequential="false"'), order("o", "b", "a")) == []
    assert found(TOGETHER_SET.format(' score="10"'), with_("c", "a", "b")) == []
    assert found(ORDER_SET.format(' action="stop"'), order("o", "b", "a")) == []
    ((message, _),) = found(TOGETHER_SET.format(""), with_("c", "a", "b"))
    assert "b with a, a with b" in message


def test_a_circle_through_a_group() -> None:
    ((message, hint),) = found_with_group(order("o1", "a", "m"), order("o2", "g", "a"))
    assert "m, then n, then a, then m" in message or "a, then m, then n, then a" in message
    assert hint == "remove one of o1, o2"
    assert found_with_group(order("o1", "m", "a"), order("o2", "a", "n")) == []
    ((message, hint),) = found_with_group(with_("c1", "g", "a"), with_("c2", "a", "n"))
    assert hint == "remove one of c1, c2"
    assert found_with_group(with_("c1", "g", "a"), with_("c2", "n", "a")) == []
    twice = GROUP.replace('id="n"', 'id="m"')
    problems = Problems("x")
    check_circles(configuration(f"{twice}<constraints/>").children[0], problems)
    assert problems.warnings == []


def sets(kind: str, *members: str | list[str], more: str = "") -> str:
    """Write a constraint of sets; each is told by the names of its members."""
    text = ""
    for number, one in enumerate(members):
        references = "".join(f'<resource_ref id="{name}"/>' for name in one)
        text += f'<resource_set id="x{number}" {more}>{references}</resource_set>'
    return f'<rsc_{kind} id="s">{text}</rsc_{kind}>'


LOOSE = 'sequential="false"'


def test_a_circle_from_one_set_to_the_next() -> None:
    ((message, hint),) = found(sets("order", "ab", "cd"), order("o", "d", "a"))
    assert message.endswith(
        "closes a circle: a, then b, then c, then d, then a: none of them is ever started"
    )
    assert hint == "remove one of s, o"
    ((message, _),) = found(sets("order", "ab", "cd", more=LOOSE), order("o", "d", "a"))
    assert "circle: a, then d, then a:" in message
    ((message, _),) = found(sets("order", "a", "b", "c"), order("o", "c", "a"))
    assert "circle: a, then b, then c, then a:" in message
    ((message, hint),) = found(sets("order", "ab", "a"))
    assert "circle: a, then b, then a:" in message
    assert hint == "remove one of s"
    assert found(sets("order", "ab", "cd", more=LOOSE), order("o", "b", "a")) == []


def test_sets_that_demand_something_else_close_no_circle() -> None:
    for more in ('action="stop"', 'role="Promoted"', f'{LOOSE} require-all="false"'):
        assert found(sets("order", "ab", "cd", more=more), order("o", "d", "a")) == []


def test_a_circle_of_colocated_sets() -> None:
    # Each set depends on the one after it: a on d; in a set each member on the one before it.
    ((message, hint),) = found(sets("colocation", "ab", "cd"), with_("c", "c", "b"))
    for pair in ("b with a", "a with d", "d with c", "c with b"):
        assert pair in message
    assert hint == "remove one of s, c"
    assert found(sets("colocation", "ab", "cd"), with_("c", "b", "c")) == []
    ((message, _),) = found(sets("colocation", "ab", "cd", more=LOOSE), with_("c", "c", "b"))
    assert "c with b, b with c" in message
    assert found(sets("colocation", "ab", "cd", more='role="Promoted"'), with_("c", "c", "b")) == []


def test_a_circle_of_sets_through_a_group() -> None:
    ((message, hint),) = found_with_group(sets("order", ["a"], ["g"], more=LOOSE), order("o", "n", "a"))
    assert "a, then m, then n, then a" in message or "m, then n, then a, then m" in message
    assert hint == "remove one of s, o"


def test_sets_of_many_are_walked_quickly() -> None:
    many = [[f"{side}{number}" for number in range(2_000)] for side in "ab"]
    ((message, _),) = found(sets("order", *many, more=LOOSE), order("o", "b7", "a5"))
    assert "circle: b7, then a5, then b7:" in message
