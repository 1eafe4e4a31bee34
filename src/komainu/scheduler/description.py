"""Hold what the configuration says of a resource, whatever the state of the cluster and the time.

Filled as it is asked for, by those who read the configuration; decides nothing. What a description is made from
stands in it, so that one of an earlier plan can serve again where a resource is still described by the same words
(remembered.py). Must not know nodes, histories or the time: what depends on those is not kept here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from komainu.cib.element import Element
from komainu.model.role import Role


@dataclass(frozen=True, slots=True)
class Recurring:
    """One configured recurring operation; role UNKNOWN: none was given."""

    task: str
    interval_ms: int
    role: Role
    key: str


@dataclass(frozen=True, slots=True)
class Digested:
    """The parameters that enter an operation's digest, and the digest."""

    parameters: Mapping[str, str]
    digest: str


Operation = tuple[str, int]
"""The task of an operation, and its interval in milliseconds."""


@dataclass(eq=False, slots=True)
class Description:
    """One resource as it is configured. Its values are shared between plans and changed by nobody."""

    xml: Element
    parent: "Description | None"
    agent: tuple[str, str, str]  # class, provider and type
    operations: tuple[Element, ...]
    attribute_xml: tuple[Element, ...]  # elements whose instance_attributes apply, nearest first
    has_parameter_rules: bool  # whether its parameters may differ between nodes
    meta: Mapping[str, str] = field(default_factory=dict)
    own_meta: Mapping[str, str] = field(default_factory=dict)  # without rsc_defaults and implied values
    utilization: Mapping[str, str] = field(default_factory=dict)
    found: dict[tuple[str, int, bool], Element | None] = field(
        default_factory=dict
    )  # operations.py looks for them
    operation_meta: dict[Operation, dict[str, str]] = field(default_factory=dict)
    parameters: dict[str | None, dict[str, str]] = field(
        default_factory=dict
    )  # by node id where rules decide
    digested: dict[Operation, Digested] = field(default_factory=dict)
    recurring: tuple[Recurring, ...] | None = None  # once asked for
    keys: dict[str, str] = field(default_factory=dict)  # of its single operations, by task
    _is_lasting: bool | None = None

    @property
    def is_lasting(self) -> bool:
        """Whether it says the same at any time: no rule decides about any of it."""
        if self._is_lasting is None:  # a plan that is not followed by another never asks
            above = self.parent
            self._is_lasting = (above is None or above.is_lasting) and is_lasting(self.xml)
        return self._is_lasting


def describe(xml: Element, parent: Description | None) -> Description:
    """Begin the description of a resource; its meta attributes and utilization are still to be read."""
    operations = xml.first("operations")
    attribute_xml = (xml,) if parent is None else (xml, *parent.attribute_xml)
    has_rules = (parent is not None and parent.has_parameter_rules) or any(
        block.tag == "instance_attributes" and block.first("rule") is not None for block in xml.children
    )
    return Description(
        xml,
        parent,
        (xml.get("class") or "", xml.get("provider") or "", xml.get("type") or ""),
        () if operations is None else tuple(operations.all("op")),
        attribute_xml,
        has_rules,
    )


def is_lasting(xml: Element) -> bool:
    """Tell whether what an element says is the same at any time."""
    for element in xml.walk():
        attributes = element.attributes
        if (
            element.tag == "rule"
            or attributes.get("name") == "interval-origin"
            or "interval-origin" in attributes
        ):
            return False
    return True


class Descriptions:
    """The descriptions of one plan, by id of resource; those of an earlier plan serve again where they fit."""

    def __init__(self, before: "Descriptions | None" = None) -> None:
        self._before = {} if before is None else before.by_id
        self._alike: dict[tuple[int, tuple[str, str, str]], Description] = {}
        self.by_id: dict[str, Description] = {}

    def find(self, xml: Element, parent: Description | None) -> Description | None:
        """Return the description of an earlier plan, if it still says what is configured."""
        known = self._before.get(xml.id)
        if known is None or not known.is_lasting or known.parent is not parent or known.xml != xml:
            return None
        self.by_id[xml.id] = known
        return known

    def keep(self, made: Description) -> None:
        """Keep a description that was made for this plan.

        Instances have their operations from one place, so what is read of these is read once for all of them. Only a
        fence device's own parameters have a say in it.
        """
        self.by_id[made.xml.id] = made
        operations = made.xml.first("operations")
        if operations is None or made.agent[0] == "stonith":
            return
        first = self._alike.setdefault((id(operations), made.agent), made)
        made.found, made.operation_meta = first.found, first.operation_meta
