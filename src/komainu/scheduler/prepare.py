"""Bring a configuration into the one form that the rest of the scheduler reads: references resolved, old words renewed.

Decides nothing about the cluster. What has gone out of use (nagios, upstart, rkt, `can_fail` …) is left out.
Source: Pacemaker's schema upgrades, as far as the scheduler's behaviour depends on them.
"""

from dataclasses import replace
from typing import Final

from komainu.cib.element import Element
from komainu.scheduler.options import parse_int

_GONE_META: Final = frozenset({"can_fail", "restart-type", "role_after_failure", "remove-after-stop"})
_LEVEL_MAX: Final = 9
"""Fencing levels above this index were given up by the field."""


def prepare(configuration: Element) -> Element:
    """Return a configuration in its newest form."""
    renewed = configuration
    if any("id-ref" in element.attributes for element in configuration.walk()):
        renewed = _resolve(configuration, _by_id(configuration), 0)
    return renewed.with_children(tuple(_renew_section(section) for section in renewed.children))


def _by_id(configuration: Element) -> dict[str, Element]:
    """Return the first element of each id."""
    by_id: dict[str, Element] = {}
    for element in configuration.walk():
        if element.id:
            by_id.setdefault(element.id, element)
    return by_id


def names_unfencing(configuration: Element) -> bool:
    """Tell whether any resource needs unfencing or any device provides it."""
    return any(
        element.tag == "nvpair"
        and element.get("value") == "unfencing"
        and element.get("name") in {"requires", "provides"}
        for section in configuration.children
        if section.tag in {"resources", "rsc_defaults"}
        for element in section.walk()
    )


_DEPTH_MAX: Final = 40
"""A reference that leads back to itself must end; no valid document is deeper."""


def _resolve(element: Element, by_id: dict[str, Element], depth: int) -> Element:
    """Put what an `id-ref` names in its place; a name given along with the reference wins."""
    if depth > _DEPTH_MAX:
        return element
    reference = element.get("id-ref")
    if reference is not None:
        target = by_id.get(reference)
        if target is None or target.tag != element.tag:
            return element
        kept = {name: text for name, text in element.attributes.items() if name not in {"id", "id-ref"}}
        element = replace(target, attributes={**target.attributes, **kept})
    children = tuple(_resolve(child, by_id, depth + 1) for child in element.children)
    if all(new is old for new, old in zip(children, element.children, strict=True)):
        return element
    return element.with_children(children)


def _renew_section(section: Element) -> Element:
    match section.tag:
        case "resources":
            kept = section.without(_is_gone)
            return kept.with_children(tuple(_renew_resource(child) for child in kept.children))
        case "constraints":
            return section.with_children(tuple(_renew_constraint(child) for child in section.children))
        case "fencing-topology":
            return section.without(lambda level: _level_index(level) > _LEVEL_MAX)
        case _:
            return section


def _level_index(level: Element) -> int:
    return parse_int(level.get("index"), 0)


def _is_gone(resource: Element) -> bool:
    return resource.get("class") in {"nagios", "upstart"} or resource.first("rkt") is not None


def _renew_resource(element: Element) -> Element:
    if element.tag == "master":
        flag = Element("nvpair", {"id": f"{element.id}-promotable", "name": "promotable", "value": "true"})
        block = Element(
            "meta_attributes", {"id": f"{element.id}-promotable-meta", "score": "INFINITY"}, (flag,)
        )
        element = replace(element, tag="clone", children=(block, *element.children))
    if element.tag in {"clone", "group"}:
        kept = element.without(_is_gone)
        return kept.with_children(tuple(_renew_resource(child) for child in kept.children))
    if element.tag == "meta_attributes":
        return element.without(lambda pair: pair.get("name") in _GONE_META)
    return element


def _renew_constraint(element: Element) -> Element:
    """Make a location's `lifetime` part of its rules."""
    lifetime = element.first("lifetime")
    if element.tag != "rsc_location" or lifetime is None:
        return element
    limits = tuple(lifetime.all("rule"))
    rules = tuple(element.all("rule"))
    if not rules:
        shared = {name: element.attributes[name] for name in ("score",) if name in element.attributes}
        node = Element(
            "expression", {"attribute": "#uname", "operation": "eq", "value": element.get("node") or ""}
        )
        rules = (Element("rule", {"id": f"{element.id}-rule", **shared}, (node,)),)
        element = element.with_attributes(score=None, node=None)
    merged = tuple(_limit(rule, limits) for rule in rules)
    others = tuple(child for child in element.children if child.tag not in {"rule", "lifetime"})
    return element.with_children((*merged, *others))


def _limit(rule: Element, limits: tuple[Element, ...]) -> Element:
    inner = replace(rule, attributes={"id": f"{rule.id}-own", "boolean-op": rule.get("boolean-op") or "and"})
    return rule.with_attribute("boolean-op", "and").with_children((inner, *limits))
