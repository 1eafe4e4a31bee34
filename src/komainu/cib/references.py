"""Check that ids are unique and that what is named exists.

Decides which references are errors and which may be right after all: a node that the cluster has not met yet
is only a warning. Must not know what the references are for.
Source: Pacemaker Explained, "Constraints" (a tag may stand for a resource), "Reusing XML elements" (id-ref).
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from komainu.cib.edits import OWNER_TAGS
from komainu.cib.element import Element
from komainu.cib.problem import Problems, label
from komainu.cib.vocabulary import REFERRING, SEPARATE_IDS

_TO_RESOURCE: Final = {
    "rsc_location": ("rsc",),
    "rsc_order": ("first", "then"),
    "rsc_colocation": ("rsc", "with-rsc"),
    "rsc_ticket": ("rsc",),
}


@dataclass(frozen=True, slots=True)
class _Known:
    """What can be referred to."""

    ids: dict[str, Element]
    resources: frozenset[str]  # and tags, which stand for resources
    templates: frozenset[str]
    nodes: frozenset[str]
    roles: frozenset[str]


def check_references(configuration: Element, problems: Problems) -> None:
    """Report every id that is used twice, and every name that nothing has."""
    known = _collect(configuration, problems)
    for element in configuration.walk():
        _check_id_ref(element, known, problems)
        for name in _TO_RESOURCE.get(element.tag, ()):
            _check_resource(element, element.get(name), known, problems)
        match element.tag:
            case "resource_ref":
                _check_resource(element, element.id, known, problems)
            case "primitive" | "template":
                _check_template(element, known, problems)
            case "obj_ref":
                _check_known(element, element.id, known.ids, "object", problems)
            case "role" | "role_ref":
                _check_known(element, element.id, known.roles, "ACL role", problems)
            case "rsc_location":
                _check_node(element, element.get("node"), known, problems)
            case "fencing-level":
                _check_level(element, known, problems)
            case "acl_permission":
                _check_permission(element, known, problems)
            case _:
                pass


def _collect(configuration: Element, problems: Problems) -> _Known:
    """Find what can be referred to, and report ids that are used twice."""
    ids: dict[str, Element] = {}
    separate: dict[tuple[str, str], Element] = {}
    for element in configuration.walk():
        if not element.id or element.tag in REFERRING:
            continue
        if element.tag in SEPARATE_IDS:
            first = separate.setdefault((element.tag, element.id), element)
        else:
            first = ids.setdefault(element.id, element)
        if first is not element:
            _report_twice(first, element, problems)
    tags = {one.id for one in ids.values() if one.tag == "tag"}
    return _Known(
        ids=ids,
        resources=frozenset({one.id for one in ids.values() if one.tag in OWNER_TAGS} | tags),
        templates=frozenset(one.id for one in ids.values() if one.tag == "template"),
        nodes=frozenset(_node_names(configuration)),
        roles=frozenset(one.id for one in ids.values() if one.tag == "acl_role"),
    )


def _report_twice(first: Element, second: Element, problems: Problems) -> None:
    line = "" if first.line is None else f" on line {first.line}"
    problems.error(
        second,
        "cib.duplicate-id",
        f'the id "{second.id}" of <{second.tag}> is used by a <{first.tag}>{line}',
        "give each element an id of its own",
    )


def _node_names(configuration: Element) -> Iterator[str]:
    """Name every node: those of the cluster, and those that resources connect."""
    for element in configuration.walk():
        if element.tag == "node":
            yield element.get("uname") or ""
            yield element.id
        elif element.tag == "primitive" and element.get("type") == "remote":
            yield element.id
        elif element.tag == "nvpair" and element.get("name") == "remote-node":
            yield element.get("value") or ""


def _check_id_ref(element: Element, known: _Known, problems: Problems) -> None:
    wanted = element.get("id-ref")
    if wanted is None:
        return
    found = known.ids.get(wanted)
    # A primitive's operations may be shared under the primitive's own id in older configurations.
    alike = {element.tag, *(("primitive", "template") if element.tag == "operations" else ())}
    if found is None or found.tag not in alike:
        candidates = (one.id for one in known.ids.values() if one.tag in alike)
        problems.error(
            element,
            "cib.unknown-reference",
            f'there is no <{element.tag}> with the id "{wanted}"',
            problems.suggest(wanted, candidates, "define it, or write the element out here"),
        )


def _check_resource(element: Element, wanted: str | None, known: _Known, problems: Problems) -> None:
    if wanted is not None and wanted not in known.resources:
        problems.error(
            element,
            "cib.unknown-resource",
            f'{label(element)} names the resource "{wanted}", which does not exist',
            problems.suggest(wanted, known.resources, "define the resource, or remove this"),
        )


def _check_template(element: Element, known: _Known, problems: Problems) -> None:
    wanted = element.get("template")
    if wanted is not None and wanted not in known.templates:
        problems.error(
            element,
            "cib.unknown-template",
            f'{label(element)} uses the template "{wanted}", which does not exist',
            problems.suggest(wanted, known.templates, "define the <template>"),
        )


def _check_known(
    element: Element, wanted: str, names: Collection[str], what: str, problems: Problems
) -> None:
    if wanted and wanted not in names:
        problems.error(
            element,
            "cib.unknown-reference",
            f'<{element.tag}> names the {what} "{wanted}", which does not exist',
            problems.suggest(wanted, names, "define it, or remove this"),
        )


def _check_node(element: Element, wanted: str | None, known: _Known, problems: Problems) -> None:
    if wanted is not None and known.nodes and wanted not in known.nodes:
        problems.warning(
            element,
            "cib.unknown-node",
            f'{label(element)} names the node "{wanted}", which the cluster has not met',
            problems.suggest(wanted, known.nodes, "it has no effect until such a node joins"),
        )


def _check_level(element: Element, known: _Known, problems: Problems) -> None:
    _check_node(element, element.get("target"), known, problems)
    for device in (element.get("devices") or "").split(","):
        if device.strip() and device.strip() not in known.resources:
            problems.warning(
                element,
                "cib.unknown-device",
                f'{label(element)} names the fence device "{device.strip()}", which does not exist',
                problems.suggest(device.strip(), known.resources, "define it: without it the level fails"),
            )


def _check_permission(element: Element, known: _Known, problems: Problems) -> None:
    wanted = element.get("reference")
    if wanted is not None and wanted not in known.ids and wanted not in known.nodes:
        problems.warning(
            element,
            "cib.unknown-reference",
            f'{label(element)} is about the object "{wanted}", which does not exist',
            problems.suggest(wanted, known.ids, "it has no effect"),
        )
