"""Find which addresses the configured resources stand for, so that their loss is noticed at once.

Pure. Decides only which agents are known to keep an address; whether the resource runs here is the executor's
to know. Source: the parameters of ocf:heartbeat:IPaddr2, IPaddr and IPv6addr, and of ocf:komainu:vip.
"""

from typing import Final

from komainu.cib.element import Element
from komainu.model.ids import ResourceId

_PARAMETERS: Final = {
    ("heartbeat", "IPaddr2"): "ip",
    ("heartbeat", "IPaddr"): "ip",
    ("heartbeat", "IPv6addr"): "ipv6addr",
    ("komainu", "vip"): "ip",
}

ADDRESSES_MAX: Final = 4_096
"""Addresses that are watched; beyond it a regular monitor has to notice."""


def service_addresses(cib: Element) -> tuple[tuple[str, ResourceId], ...]:
    """Return the addresses of resources, each with its resource, in the order of the configuration."""
    resources = cib.at("configuration", "resources")
    found: list[tuple[str, ResourceId]] = []
    for element in () if resources is None else resources.walk():
        if element.tag != "primitive":
            continue
        parameter = _PARAMETERS.get((element.get("provider") or "", element.get("type") or ""))
        if parameter is None:
            continue
        found += [(value, ResourceId(element.id)) for value in _values(element, parameter)]
    return tuple(found[:ADDRESSES_MAX])


def _values(primitive: Element, name: str) -> list[str]:
    """Return every value that a parameter may have; which one holds on this node its rules say."""
    return [
        pair.get("value") or ""
        for block in primitive.all("instance_attributes")
        for pair in block.all("nvpair")
        if pair.get("name") == name and pair.get("value")
    ]
