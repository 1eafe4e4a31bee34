"""Keep what was read of those parts of a CIB that have not changed since the last plan.

A CIB is an immutable value whose versions share what a change leaves alone (cib/element.py). So a part that is
the very same element as last time reads the same, and most of a status section is. What is remembered here
depends on the element alone: never on the time, the options, or anything else in the CIB; a plan made with it
equals one made without.
"""

from dataclasses import dataclass

from komainu.cib.element import Element
from komainu.scheduler import entry
from komainu.scheduler.entry import History
from komainu.scheduler.prepare import prepare


@dataclass(frozen=True, slots=True)
class NodeHistory:
    """What a node's `lrm_resources` tell of each resource, by the name that it has there."""

    xml: Element
    by_resource: dict[str, History]


class Remembered:
    """What the last plan read. Holds no more than one CIB's worth."""

    def __init__(self) -> None:
        self._configuration: tuple[Element, Element] | None = None  # as it was given, and prepared
        self._nodes: dict[str, NodeHistory] = {}

    def prepare(self, cib: Element) -> Element:
        """Return the CIB in its newest form."""
        given = cib.first("configuration")
        if given is None:
            return cib
        if self._configuration is None or self._configuration[0] is not given:
            self._configuration = given, prepare(given)
        prepared = self._configuration[1]
        return cib.with_children(tuple(prepared if child is given else child for child in cib.children))

    def histories(self, holders: dict[str, Element]) -> dict[str, dict[str, History]]:
        """Read each node's `lrm_resources`: node name -> resource name -> history. The other nodes' are forgotten."""
        nodes = {name: _read(xml, self._nodes.get(name)) for name, xml in holders.items()}
        self._nodes = nodes
        return {name: node.by_resource for name, node in nodes.items()}


def _read(xml: Element, before: NodeHistory | None) -> NodeHistory:
    if before is not None and before.xml is xml:
        return before
    known = {} if before is None else before.by_resource
    by_resource: dict[str, History] = {}
    for element in xml.all("lrm_resource"):
        past = known.get(element.id)
        by_resource[element.id] = past if past is not None and past.xml is element else entry.read(element)
    return NodeHistory(xml, by_resource)
