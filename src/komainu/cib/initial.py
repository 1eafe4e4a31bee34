"""Make the CIB that a cluster begins with. Decides its schema and its first options; nothing else.

Source: the CIB of a new Pacemaker cluster, and what its tools expect to find in it.
"""

from collections.abc import Iterable
from typing import Final

from komainu.cib.element import Element
from komainu.cib.history import FEATURE_SET
from komainu.cib.options import FIRST_SET
from komainu.model.ids import NodeId, NodeName

SCHEMA: Final = "pacemaker-3.9"
"""The newest schema that every tool in the field reads."""


def empty_cib(
    cluster: str = "komainu",
    nodes: Iterable[tuple[NodeId, NodeName]] = (),
    defaults: Iterable[tuple[str, str]] = (),
) -> Element:
    """Make a CIB without resources. Equal arguments give equal CIBs, so that first nodes agree at once.

    `defaults` are defaults for all resources.
    """
    options = (
        ("cluster-infrastructure", "komainu"),
        ("cluster-name", cluster),
    )
    properties = tuple(
        Element("nvpair", {"id": f"{FIRST_SET}-{name}", "name": name, "value": value})
        for name, value in options
    )
    entries = tuple(Element("node", {"id": str(number), "uname": name}) for number, name in sorted(nodes))
    configuration = Element(
        "configuration",
        {},
        (
            Element("crm_config", {}, (Element("cluster_property_set", {"id": FIRST_SET}, properties),)),
            Element("nodes", {}, entries),
            Element("resources"),
            Element("constraints"),
            *_rsc_defaults(tuple(defaults)),
        ),
    )
    attributes = {
        "crm_feature_set": FEATURE_SET,
        "validate-with": SCHEMA,
        "admin_epoch": "0",
        "epoch": "0",
        "num_updates": "0",
        "have-quorum": "0",
    }
    return Element("cib", attributes, (configuration, Element("status")))


def _rsc_defaults(defaults: tuple[tuple[str, str], ...]) -> tuple[Element, ...]:
    """Write the section of defaults, where there are any."""
    if not defaults:
        return ()
    pairs = tuple(
        Element("nvpair", {"id": f"rsc_defaults-{name}", "name": name, "value": value})
        for name, value in defaults
    )
    return (
        Element("rsc_defaults", {}, (Element("meta_attributes", {"id": "rsc_defaults-options"}, pairs),)),
    )
