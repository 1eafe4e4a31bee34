"""Check what each element says alone but not together: options, agents, operations, constraints, fencing.

Decides which combinations are errors, since they cannot do what they say, and which are warnings, since they
hardly do what is meant. Must not know how the scheduler weighs them.
Source: Pacemaker Explained: "Cluster Options", "Resource Options", "Properties of operations" (a name and an
interval once a resource), "Constraints", "Fencing".
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from komainu.cib.element import Element
from komainu.cib.known_options import AGENT_CLASSES, CLUSTER_OPTIONS, META_OF, NODE_ATTRIBUTES
from komainu.cib.options import cluster_option, is_true
from komainu.cib.problem import Problems, label
from komainu.cib.value import INTEGER, Kind
from komainu.model.duration import parse_ms
from komainu.model.iso8601 import parse_moment

_WITHOUT_VALUE: Final = frozenset({"defined", "not_defined"})
_UNSET: Final = "#default"


def check_consistency(configuration: Element, problems: Problems) -> None:
    """Report what does not go together."""
    for element in configuration.walk():
        check = _CHECKS.get(element.tag)
        if check is not None:
            check(element, problems)
        _check_options(element, problems)
    _check_fencing(configuration, problems)


def _check_options(owner: Element, problems: Problems) -> None:
    """Check the names and values of the options in an element's own sets."""
    for block in owner.children:
        match block.tag:
            case "cluster_property_set":
                _check_pairs(block, CLUSTER_OPTIONS, "cluster option", problems)
            case "meta_attributes" if owner.tag in META_OF:
                _check_pairs(block, META_OF[owner.tag], "meta attribute", problems)
            case "instance_attributes" if owner.tag == "node":
                _check_pairs(block, NODE_ATTRIBUTES, "", problems)
            case "utilization":
                _check_pairs(block, {}, "", problems, every=INTEGER)
            case _:
                pass


def _check_pairs(
    block: Element, known: Mapping[str, Kind], what: str, problems: Problems, every: Kind | None = None
) -> None:
    """Check one set: each name once, and known where `what` says of what kind it is; each value as it should."""
    seen: set[str] = set()
    for pair in block.all("nvpair"):
        name, value = pair.get("name"), pair.get("value")
        if name is None:
            continue
        if name in seen:
            problems.warning(
                pair,
                "cib.twice-in-set",
                f'{label(block)} sets "{name}" more than once; only the first counts',
                "keep one of them",
            )
        seen.add(name)
        kind = known.get(name, every)
        if kind is None and what:
            problems.warning(
                pair,
                "cib.unknown-option",
                f'"{name}" in {label(block)} is no {what} that the cluster knows',
                problems.suggest(name, known, "it is kept, and has no effect"),
            )
        elif kind is not None and value is not None and value != _UNSET and not kind.accepts(value):
            problems.error(
                pair,
                "cib.bad-value",
                f'{name}="{value}" in {label(block)} is not {kind.name}',
                kind.hint(value),
            )


def _check_primitive(element: Element, problems: Problems) -> None:
    """Check the agent, and that no operation is there twice."""
    _check_operations(element, problems)
    agent_class = element.get("class")
    if agent_class is None:
        return
    if agent_class not in AGENT_CLASSES:
        problems.error(
            element,
            "cib.unknown-class",
            f'{label(element)} has an agent of the unknown class "{agent_class}"',
            problems.suggest(agent_class, AGENT_CLASSES, f"known are {', '.join(AGENT_CLASSES)}"),
        )
    elif agent_class == "ocf" and element.get("provider") is None:
        problems.error(
            element,
            "cib.no-provider",
            f"{label(element)} has an OCF agent without a provider",
            'add provider="heartbeat", or whoever provides the agent',
        )
    elif agent_class != "ocf" and element.get("provider") is not None:
        problems.error(
            element,
            "cib.needless-provider",
            f"{label(element)} has a provider, but agents of class {agent_class} have none",
            "remove the attribute provider",
        )


def _check_operations(element: Element, problems: Problems) -> None:
    """A name and an interval name an operation: of two that are alike only one can be told from its history."""
    seen: dict[tuple[str, int], Element] = {}
    operations = element.first("operations")
    for op in () if operations is None else operations.all("op"):
        key = (op.get("name") or "", parse_ms(op.get("interval")) or 0)
        first = seen.setdefault(key, op)
        if first is op:
            continue
        # Pacemaker runs two that differ in their role, more or less; many old configurations have them.
        report = problems.error if first.get("role") == op.get("role") else problems.warning
        report(
            op,
            "cib.duplicate-operation",
            f'{label(element)} has the operation {key[0]} with interval "{op.get("interval", "0")}" twice',
            "give one of them another interval, be it a second longer",
        )


def _check_nodes(element: Element, problems: Problems) -> None:
    """A name is one node."""
    seen: set[str] = set()
    for node in element.all("node"):
        name = node.get("uname") or ""
        if name in seen:
            problems.error(
                node, "cib.duplicate-node", f'there are two nodes called "{name}"', "remove one of them"
            )
        seen.add(name)


def _check_order(element: Element, problems: Problems) -> None:
    first, then = element.get("first"), element.get("then")
    actions = (element.get("first-action", "start"), element.get("then-action", element.get("first-action")))
    if first is not None and first == then and actions[0] == (actions[1] or "start"):
        problems.error(
            element,
            "cib.order-with-itself",
            f'{label(element)} orders "{first}" after itself',
            "name two resources",
        )


def _check_colocation(element: Element, problems: Problems) -> None:
    one = element.get("rsc")
    if one is not None and one == element.get("with-rsc"):
        problems.error(
            element,
            "cib.colocation-with-itself",
            f'{label(element)} places "{one}" with itself',
            "name two resources",
        )


def _check_set(element: Element, problems: Problems) -> None:
    """A set that is written out has members, each once."""
    members = Counter(child.id for child in element.all("resource_ref"))
    if not members and element.get("id-ref") is None:
        problems.error(
            element, "cib.empty", f"{label(element)} has no resources", "add a <resource_ref>, or remove it"
        )
    for name in sorted(name for name, count in members.items() if count > 1):
        problems.warning(
            element, "cib.twice-in-set", f'{label(element)} names "{name}" more than once', "name it once"
        )


def _check_expression(element: Element, problems: Problems) -> None:
    needs_value = element.get("operation") not in _WITHOUT_VALUE
    if needs_value and element.get("value") is None:
        problems.error(
            element,
            "cib.missing-attribute",
            f'{label(element)} compares with nothing: it has no attribute "value"',
            'add value="…", or use the operation defined',
        )


def _check_date(element: Element, problems: Problems) -> None:
    """Check that a date expression has what its operation compares with, and that its dates exist."""
    has = {name for name in ("start", "end") if element.get(name) is not None}
    for name in sorted(has):
        if parse_moment(element.get(name)) is None:
            problems.warning(
                element,
                "cib.no-date",
                f'{name}="{element.get(name)}" of {label(element)} is no date that exists; it counts as not given',
                "write 2026-07-01, or 2026-07-01T12:00:00Z",
            )
    has |= {child.tag for child in element.children}
    operation = element.get("operation", "in_range")
    needs = {
        "gt": ({"start"},),
        "lt": ({"end"},),
        "in_range": ({"start"}, {"end"}),
        "date_spec": ({"date_spec"},),
    }.get(operation or "", ())
    if needs and not any(need <= has for need in needs):
        words = " or ".join(sorted(name for need in needs for name in need))
        problems.error(
            element,
            "cib.missing-attribute",
            f"{label(element)} with the operation {operation} has no {words}",
            f"add {words}",
        )


def _check_level(element: Element, problems: Problems) -> None:
    if (element.get("target-attribute") is None) != (element.get("target-value") is None):
        problems.error(
            element,
            "cib.missing-attribute",
            f"{label(element)} has one of target-attribute and target-value without the other",
            "give both",
        )


def _check_fencing(configuration: Element, problems: Problems) -> None:
    """Without fencing a lost node's resources stay where they are: say so before that night."""
    cib = Element("cib", {}, (configuration,))
    resources = configuration.first("resources")
    if resources is None or not any(one.tag == "primitive" for one in resources.walk()):
        return
    option = cluster_option(cib, "fencing-enabled") or cluster_option(cib, "stonith-enabled")
    if not is_true(option, default=True):
        return
    has_device = any(one.get("class") == "stonith" for one in resources.walk())
    has_watchdog = is_true(cluster_option(cib, "have-watchdog"), default=False)
    if not has_device and not has_watchdog:
        problems.warning(
            resources,
            "cib.no-fence-device",
            "fencing is on, but there is no fence device: no resource will be started",
            'add a primitive of class "stonith", or set stonith-enabled to false and know what that means',
        )


_CHECKS: Final[dict[str, Callable[[Element, Problems], None]]] = {
    "primitive": _check_primitive,
    "template": _check_primitive,
    "nodes": _check_nodes,
    "rsc_order": _check_order,
    "rsc_colocation": _check_colocation,
    "resource_set": _check_set,
    "expression": _check_expression,
    "date_expression": _check_date,
    "fencing-level": _check_level,
}
