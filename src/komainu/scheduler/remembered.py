"""Keep what was read of those parts of a CIB that have not changed since the last plan.

A CIB is an immutable value whose versions share what a change leaves alone (cib/element.py). So a part that is
the very same element as last time reads the same, and most of a status section is. A resource's description is
kept as long as it is configured in the same words, under the same defaults and options, and no rule decides about
it. So nothing remembered depends on the time or on what else is in the CIB: a plan made with it equals one made
without.
"""

from dataclasses import dataclass

from komainu.cib.element import Element
from komainu.scheduler import description, entry
from komainu.scheduler.description import Descriptions
from komainu.scheduler.entry import History
from komainu.scheduler.options import Options
from komainu.scheduler.prepare import names_unfencing, prepare


@dataclass(frozen=True, slots=True)
class NodeHistory:
    """What a node's `lrm_resources` tell of each resource, by the name that it has there."""

    xml: Element
    by_resource: dict[str, History]


@dataclass(frozen=True, slots=True)
class Basis:
    """What all descriptions rest on: the sections of defaults, the options, and whether nodes are unfenced."""

    defaults: tuple[Element | None, Element | None]  # rsc_defaults, op_defaults
    options: Options
    unfencing_in_use: bool


class Remembered:
    """What the last plan read. Holds no more than one CIB's worth."""

    def __init__(self) -> None:
        self._configuration: tuple[Element, Element] | None = None  # as it was given, and prepared
        self._unfencing: tuple[Element, bool] | None = (
            None  # a prepared configuration, and whether it names it
        )
        self._nodes: dict[str, NodeHistory] = {}
        self._basis: Basis | None = None
        self._descriptions = Descriptions()

    def prepare(self, cib: Element) -> Element:
        """Return the CIB in its newest form."""
        given = cib.first("configuration")
        if given is None:
            return cib
        if self._configuration is None or self._configuration[0] is not given:
            self._configuration = given, prepare(given)
        prepared = self._configuration[1]
        return cib.with_children(tuple(prepared if child is given else child for child in cib.children))

    def names_unfencing(self, cib: Element) -> bool:
        """Tell whether anything in a prepared CIB needs or provides unfencing."""
        configuration = cib.first("configuration")
        if configuration is None:
            return False
        if self._unfencing is None or self._unfencing[0] is not configuration:
            self._unfencing = configuration, names_unfencing(configuration)
        return self._unfencing[1]

    def descriptions(self, basis: Basis) -> Descriptions:
        """Begin the descriptions of a plan, with those of the last one where they rest on the same."""
        is_same = basis == self._basis and all(map(description.is_lasting, filter(None, basis.defaults)))
        self._basis = basis
        self._descriptions = Descriptions(self._descriptions if is_same else None)
        return self._descriptions

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
        name = element.id
        past = known.get(name)
        by_resource[name] = past if past is not None and past.xml is element else entry.read(element)
    return NodeHistory(xml, by_resource)
