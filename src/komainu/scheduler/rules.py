"""Decide whether a rule holds for a node, a resource, an operation, at a moment.

Knows neither nodes nor resources as such, only their attributes; gives the moment at which the answer changes
with time alone through the context's `recheck`.
Source: Pacemaker Explained, "Rules".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from komainu.cib.element import Element
from komainu.model import duration, iso8601
from komainu.scheduler.options import INTEGER_MAX, parse_int

_NUMBER: Final = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
_CONDITIONS: Final = frozenset({"rule", "expression", "date_expression", "rsc_expression", "op_expression"})


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What a rule may ask about. A field that is None makes the conditions about it false."""

    now_s: int
    recheck: Callable[[int], None]
    node_attributes: Mapping[str, str] | None = None
    resource: tuple[str, str, str] | None = None  # class, provider, type
    operation: tuple[str, int] | None = None  # name, interval in ms
    submatches: tuple[str, ...] = ()  # what %0 to %9 stand for
    parameters: Mapping[str, str] | None = None
    meta: Mapping[str, str] | None = None

    def expand(self, text: str) -> str:
        """Replace %0 to %9 by what the resource pattern matched."""
        if not self.submatches:
            return text
        return re.sub(r"%(\d)", self._submatch, text)

    def _submatch(self, found: re.Match[str]) -> str:
        number = int(found[1])
        return self.submatches[number] if number < len(self.submatches) else ""


def holds(rule: Element, context: RuleContext) -> bool:
    """Evaluate a rule; without conditions it holds."""
    conditions = [child for child in rule.children if child.tag in _CONDITIONS]
    if not conditions:
        return True
    if (rule.get("boolean-op") or "and").lower() == "or":
        return any(_condition_holds(condition, context) for condition in conditions)
    return all(_condition_holds(condition, context) for condition in conditions)


def all_hold(parent: Element, context: RuleContext) -> bool:
    """Evaluate the rules of a set of name-value pairs: all must hold; without a rule the set applies."""
    return all(holds(rule, context) for rule in parent.all("rule"))


def _condition_holds(condition: Element, context: RuleContext) -> bool:
    match condition.tag:
        case "rule":
            return holds(condition, context)
        case "expression":
            return context.node_attributes is not None and _attribute_holds(condition, context)
        case "date_expression":
            return _date_holds(condition, context)
        case "rsc_expression":
            return _resource_holds(condition, context)
        case _:
            return _operation_holds(condition, context)


def _resource_holds(condition: Element, context: RuleContext) -> bool:
    if context.resource is None:
        return False
    wanted = (condition.get("class"), condition.get("provider"), condition.get("type"))
    return all(want is None or want == have for want, have in zip(wanted, context.resource, strict=True))


def _operation_holds(condition: Element, context: RuleContext) -> bool:
    if context.operation is None:
        return False
    name, interval_ms = context.operation
    if condition.get("name") != name:
        return False
    wanted = condition.get("interval")
    return wanted is None or duration.parse_ms(wanted) == interval_ms


# -- node attributes ------------------------------------------------------------------------------------


def _attribute_holds(condition: Element, context: RuleContext) -> bool:
    assert context.node_attributes is not None
    name = context.expand(condition.get("attribute") or "")
    operation = condition.get("operation") or "eq"
    actual = context.node_attributes.get(name)
    if operation in {"defined", "not_defined"}:
        return (actual is not None) == (operation == "defined")
    wanted = _wanted_value(condition, context)
    kind = condition.get("type") or _default_type(operation, actual, wanted)
    if actual is None or wanted is None:
        same = actual is None and wanted is None
        return {"eq": same, "ne": not same}.get(operation, False)
    order = compare(actual, wanted, kind)
    return {
        "eq": order == 0,
        "ne": order != 0,
        "lt": order < 0,
        "lte": order <= 0,
        "gt": order > 0,
        "gte": order >= 0,
    }.get(operation, False)


def _wanted_value(condition: Element, context: RuleContext) -> str | None:
    value = condition.get("value")
    source = condition.get("value-source") or "literal"
    if value is None or source == "literal":
        return value
    table = context.parameters if source == "param" else context.meta
    return (table or {}).get(value)


def _default_type(operation: str, actual: str | None, wanted: str | None) -> str:
    if operation in {"eq", "ne"}:
        return "string"
    has_point = "." in (actual or "") or "." in (wanted or "")
    return "number" if has_point else "integer"


def compare(left: str, right: str, kind: str) -> int:
    """Compare two values: negative, zero or positive. What is no number compares as text without case."""
    if kind == "version":
        return _compare_versions(left, right)
    if kind in {"integer", "number"}:
        numbers = _NUMBER.match(left), _NUMBER.match(right)
        if numbers[0] is not None and numbers[1] is not None:
            first, second = float(numbers[0][0]), float(numbers[1][0])
            if kind == "integer":
                wholes = _whole(first), _whole(second)
                return (wholes[0] > wholes[1]) - (wholes[0] < wholes[1])
            return (first > second) - (first < second)
    folded = left.lower(), right.lower()
    return (folded[0] > folded[1]) - (folded[0] < folded[1])


def _whole(number: float) -> int:
    """Cut off what is behind the point."""
    return int(max(-INTEGER_MAX, min(INTEGER_MAX, number)))


def _compare_versions(left: str, right: str) -> int:
    parts = [[parse_int(part, 0) for part in text.split(".")] for text in (left, right)]
    width = max(len(part) for part in parts)
    first, second = ([*part, *[0] * (width - len(part))] for part in parts)
    return (first > second) - (first < second)


# -- dates ----------------------------------------------------------------------------------------------


def _date_holds(condition: Element, context: RuleContext) -> bool:
    operation = condition.get("operation") or "in_range"
    start = iso8601.parse_moment(condition.get("start"), context.now_s)
    end = iso8601.parse_moment(condition.get("end"), context.now_s)
    now = context.now_s
    match operation:
        case "date_spec":
            spec = condition.first("date_spec")
            return spec is not None and _spec_holds(spec, now)
        case "gt":
            if start is not None and now <= start:
                context.recheck(start + 1)
            return start is not None and now > start
        case "lt":
            if end is not None and now < end:
                context.recheck(end)
            return end is not None and now < end
        case _:
            return _in_range(condition, start, end, context)


def _in_range(condition: Element, start: int | None, end: int | None, context: RuleContext) -> bool:
    length = condition.first("duration")
    if end is None and length is not None and start is not None:
        end = iso8601.add_duration(start, length.attributes)
    if start is None and end is None:
        return False
    if start is not None and context.now_s < start:
        context.recheck(start)
        return False
    if end is None:
        return True
    if context.now_s > end:
        return False
    context.recheck(end + 1)
    return True


def _spec_holds(spec: Element, now_s: int) -> bool:
    fields = iso8601.fields_of(now_s)
    return all(name not in fields or _in_span(fields[name], span) for name, span in spec.attributes.items())


def _in_span(number: int, span: str) -> bool:
    low, dash, high = span.partition("-")
    if not dash:
        return number == parse_int(span, -1)
    return (not low or number >= parse_int(low, 0)) and (not high or number <= parse_int(high, 0))
