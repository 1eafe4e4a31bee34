"""Change the configuration: replace it whole, or edit it, all or nothing.

Decides where an edit lands and which edits name nothing that exists. Must not know whether the result is a
sensible configuration; that is cib/schema.py.
Source: what `cibadmin`, `crm_attribute` and `crm_resource` make of the same wishes: see cib/pairs.py for ids.
"""

from typing import Final, NoReturn, assert_never

from komainu.cib.document import (
    DEPTH_MAX,
    TEXT_CHARACTERS_MAX,
    depth_of,
    is_storable,
    parse,
    parse_cib,
)
from komainu.cib.element import Element
from komainu.cib.nodes import is_member, name_of, node_entries, node_states
from komainu.cib.options import FIRST_SET, read_int
from komainu.cib.pairs import make_id, set_pair
from komainu.cib.problem import suggest
from komainu.cib.refusal import refuse
from komainu.cib.tree import replace_by_id, replace_child, update_at
from komainu.model.edit import Edit, Put, Remove, SetOption

CONFIGURATION: Final = ("configuration",)

SECTIONS: Final = (
    "crm_config",
    "rsc_defaults",
    "op_defaults",
    "nodes",
    "resources",
    "constraints",
    "fencing-topology",
    "acls",
    "tags",
    "alerts",
)

EDITS_MAX: Final = 200
"""Edits in one command; more are a new document."""

OWNER_TAGS: Final = frozenset({"primitive", "template", "group", "clone", "master", "bundle"})

_OPTION_SETS: Final = {
    "crm_config": ("cluster_property_set", FIRST_SET),
    "rsc_defaults": ("meta_attributes", "rsc_defaults-options"),
    "op_defaults": ("meta_attributes", "op_defaults-options"),
}
_RESOURCE_SETS: Final = frozenset({"meta_attributes", "instance_attributes", "utilization"})
_NODE_SETS: Final = frozenset({"instance_attributes", "utilization"})


def with_document(cib: Element, xml: str, file: str) -> Element:
    """Replace the configuration by that of a document. Raises Refused.

    Of a whole <cib> the schema and a greater admin_epoch are taken over; its status is not: what runs where
    is for nobody to write down. A document without a section of nodes leaves the nodes as they are, and one
    that forgets a member gets it back: a node does not go by being left out.
    """
    root = parse_cib(xml, file)
    configuration = root if root.tag == "configuration" else root.first("configuration")
    if configuration is None:
        refuse("cib.no-configuration", "the <cib> has no <configuration>", "give the configuration as well")
    if root.tag == "cib":
        schema = root.get("validate-with")
        cib = cib if schema is None else cib.with_attribute("validate-with", schema)
        admin_epoch = read_int(root.get("admin_epoch"))
        if admin_epoch > read_int(cib.get("admin_epoch")):
            cib = cib.with_attributes(admin_epoch=str(admin_epoch))
    complete = _with_nodes(configuration, cib)
    return update_at(cib, CONFIGURATION, lambda old: old if old == complete else complete)


def missing_member(cib: Element) -> str | None:
    """Name a member that the configuration does not have; None when all are there."""
    names = {node.get("uname") for node in node_entries(cib)}
    return next(
        (name_of(one) for one in node_states(cib) if is_member(one) and name_of(one) not in names), None
    )


def with_edits(cib: Element, edits: tuple[Edit, ...]) -> Element:
    """Carry edits out in order. Raises Refused at the first that fits nothing."""
    if len(edits) > EDITS_MAX:
        refuse("cib.too-many-edits", f"{len(edits)} edits in one change", f"make at most {EDITS_MAX} at once")
    for edit in edits:
        cib = update_at(cib, CONFIGURATION, lambda here: _with_edit(here, edit))  # noqa: B023 - called at once
    return cib


def _with_nodes(configuration: Element, cib: Element) -> Element:
    """Bring the nodes of the present CIB into a new configuration."""
    known = cib.at("configuration", "nodes")
    if configuration.first("nodes") is None:
        return (
            configuration if known is None else configuration.with_children((*configuration.children, known))
        )
    present = {node.get("uname") for node in node_entries(Element("cib", {}, (configuration,)))}
    missing = tuple(
        Element("node", {"id": state.id, "uname": name_of(state)})
        for state in node_states(cib)
        if is_member(state) and name_of(state) not in present
    )
    if not missing:
        return configuration
    return update_at(
        configuration, ("nodes",), lambda nodes: nodes.with_children((*nodes.children, *missing))
    )


def _with_edit(configuration: Element, edit: Edit) -> Element:
    match edit:
        case Put():
            return _with_put(configuration, edit)
        case Remove():
            return _with_removal(configuration, edit)
        case SetOption():
            return _with_option(configuration, edit)
        case _:
            assert_never(edit)


def _with_put(configuration: Element, edit: Put) -> Element:
    """Put an element: in the place of the one with its id, or at the end of its section."""
    if edit.section not in SECTIONS:
        refuse(
            "cib.unknown-section",
            f'there is no section "{edit.section}"',
            suggest(edit.section, SECTIONS),
        )
    element = parse(edit.xml, "<edit>")
    if not element.id:
        refuse("cib.no-id", f"the <{element.tag}> has no id", "give it one: it is how it is found again")

    def put(section: Element) -> Element:
        known = section.find(element.id)
        if known is None:
            return section.with_children((*section.children, element))
        if known == element:
            return section
        return replace_by_id(section, element.id, element) or section

    changed = update_at(configuration, (edit.section,), put)
    if depth_of(changed) > DEPTH_MAX:
        refuse("cib.too-deep", f"elements are nested deeper than {DEPTH_MAX}", "flatten them")
    return changed


def _with_removal(configuration: Element, edit: Remove) -> Element:
    removed = replace_by_id(configuration, edit.element_id, None) if edit.element_id else None
    if removed is None:
        _refuse_unknown(configuration, edit.element_id)
    return removed


def _with_option(configuration: Element, edit: SetOption) -> Element:
    """Set one pair of an option section, a node, or a resource."""
    text = edit.name + (edit.value or "")
    if not edit.name or not is_storable(text) or len(text) > TEXT_CHARACTERS_MAX:
        refuse(
            "cib.bad-text",
            f"the option {edit.name[:80]!r} has no name, holds control characters, or is too long",
            f"give it a name and a plain text of at most {TEXT_CHARACTERS_MAX} characters",
        )
    if edit.owner in _OPTION_SETS:
        set_tag, set_id = _OPTION_SETS[edit.owner]
        _check_set(edit, frozenset({set_tag}))
        if edit.value is None and configuration.first(edit.owner) is None:
            return configuration
        return update_at(
            configuration,
            (edit.owner,),
            lambda owner: set_pair(owner, set_tag, set_id, edit.name, edit.value),
        )
    node = _node(configuration, edit.owner)
    if node is not None:
        _check_set(edit, _NODE_SETS)
        set_id = (
            f"nodes-{node.id}" if edit.set_tag == "instance_attributes" else f"nodes-{node.id}-utilization"
        )
        changed = set_pair(node, edit.set_tag, set_id, edit.name, edit.value)
        return update_at(configuration, ("nodes",), lambda nodes: _replaced(nodes, node, changed))
    resource = _resource(configuration, edit.owner)
    if resource is None:
        _refuse_unknown(configuration, edit.owner)
    _check_set(edit, _RESOURCE_SETS)
    changed = set_pair(resource, edit.set_tag, make_id(edit.owner, edit.set_tag), edit.name, edit.value)
    if changed is resource:
        return configuration
    return update_at(
        configuration, ("resources",), lambda section: replace_by_id(section, edit.owner, changed) or section
    )


def _replaced(parent: Element, old: Element, new: Element) -> Element:
    return parent if old is new else replace_child(parent, old, new)


def _check_set(edit: SetOption, allowed: frozenset[str]) -> None:
    if edit.set_tag not in allowed:
        refuse(
            "cib.wrong-set",
            f'{edit.owner} has no set "{edit.set_tag}"',
            f"it has {', '.join(sorted(allowed))}",
        )


def _node(configuration: Element, owner: str) -> Element | None:
    """Find a node by name, else by id."""
    section = configuration.first("nodes")
    nodes = () if section is None else tuple(section.all("node"))
    named = next((node for node in nodes if node.get("uname") == owner), None)
    return named or next((node for node in nodes if node.id == owner), None)


def _resource(configuration: Element, owner: str) -> Element | None:
    section = configuration.first("resources")
    found = () if section is None else section.walk()
    return next((element for element in found if element.id == owner and element.tag in OWNER_TAGS), None)


def _refuse_unknown(configuration: Element, wanted: str) -> NoReturn:
    known = {element.id for element in configuration.walk() if element.id}
    known |= {node.get("uname") or "" for node in configuration.walk() if node.tag == "node"}
    refuse(
        "cib.unknown-id",
        f'there is nothing called "{wanted}" in the configuration',
        suggest(wanted, known, "`komainu config show` lists what there is"),
    )
