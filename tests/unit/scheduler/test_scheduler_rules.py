"""Rules, dates, versions, and sets of name-value pairs."""

import pytest

from komainu.cib.element import Element
from komainu.model import iso8601
from komainu.scheduler import attributes, rules
from komainu.scheduler.rules import RuleContext


def context(now_s: int = 0, **nodes: str) -> RuleContext:
    return RuleContext(now_s, lambda _: None, node_attributes=nodes)


def expression(**words: str) -> Element:
    return Element("rule", {}, (Element("expression", {k.replace("_", "-"): v for k, v in words.items()}),))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2005-020", 1_106_179_200),
        ("2005-01-20", 1_106_179_200),
        ("2005-W03-4", 1_106_179_200),
        ("2005-020T12:30", 1_106_224_200),
        ("2005-01-20 12:30:00Z", 1_106_224_200),
        ("2005-01-20T14:30:00+02:00", 1_106_224_200),
        ("no date", None),
        ("2005-13-01", None),
    ],
)
def test_moments(text: str, seconds: int | None) -> None:
    assert iso8601.parse_moment(text) == seconds


def test_month_is_added_by_the_calendar() -> None:
    end_of_january = iso8601.parse_moment("2024-01-31")
    assert end_of_january is not None
    assert iso8601.add_duration(end_of_january, {"months": "1"}) == iso8601.parse_moment("2024-02-29")


@pytest.mark.parametrize(
    ("operation", "value", "kind", "holds"),
    [
        ("eq", "3", "string", True),
        ("lt", "20", "integer", True),
        ("lt", "20", "string", False),
        ("gte", "3.0", "number", True),
        ("gt", "2.9.1", "version", True),
        ("ne", "3", "string", False),
        ("lt", "x", "integer", True),
    ],
)
def test_expressions(operation: str, value: str, kind: str, holds: bool) -> None:
    rule = expression(attribute="size", operation=operation, value=value, type=kind)
    assert rules.holds(rule, context(size="3")) is holds


def test_missing_attribute_is_unequal_but_not_smaller() -> None:
    assert rules.holds(expression(attribute="x", operation="ne", value="1"), context())
    assert not rules.holds(expression(attribute="x", operation="lt", value="1"), context())


def test_range_of_dates_tells_when_it_ends() -> None:
    moments: list[int] = []
    rule = Element(
        "rule",
        {},
        (Element("date_expression", {"operation": "in_range", "start": "1970-01-01", "end": "1970-01-02"}),),
    )
    assert rules.holds(rule, RuleContext(5, moments.append))
    assert moments == [86_401]
    assert not rules.holds(rule, RuleContext(86_401, moments.append))


def test_date_specification() -> None:
    spec = Element("date_spec", {"hours": "9-17", "weekdays": "1-5"})
    rule = Element("rule", {}, (Element("date_expression", {"operation": "date_spec"}, (spec,)),))
    monday = iso8601.parse_moment("2024-01-01T10:00") or 0
    assert rules.holds(rule, context(monday))
    assert not rules.holds(rule, context(monday - 86_400))


def block(name: str, value: str, score: str | None = None) -> Element:
    words = {} if score is None else {"score": score}
    return Element("meta_attributes", words, (Element("nvpair", {"name": name, "value": value}),))


def test_higher_score_wins_and_among_equals_the_later_set() -> None:
    sets = [block("x", "first"), block("x", "second"), block("x", "low", "-1")]
    assert attributes.merge(sets, context()) == {"x": "second"}
    assert attributes.merge([*sets, block("x", "high", "5")], context()) == {"x": "high"}


def test_a_duration_beyond_the_calendar_ends_with_it() -> None:
    for parts in ({"years": "99999"}, {"days": "9999999999999"}, {"months": "999999", "days": "-5"}):
        assert iso8601.show_moment(iso8601.add_duration(0, parts)) == "9999-12-30 00:00:00Z"
    assert iso8601.add_duration(0, {"months": "-99999"}) < 0
    digits = "9" * 5000  # more than Python reads
    assert iso8601.show_moment(iso8601.add_duration(0, {"seconds": digits})) == "9999-12-30 00:00:00Z"
    assert iso8601.add_duration(0, {"years": f"-{digits}"}) < 0
    assert iso8601.add_duration(0, {"years": "x" * 5000}) == 0
    assert iso8601.show_moment(10**15) == "1000000000000000"
    first = iso8601.parse_moment("0001-01-01T00:00+23:00")
    assert first is not None
    assert iso8601.add_duration(first, {"seconds": "1"}) == first + 1
