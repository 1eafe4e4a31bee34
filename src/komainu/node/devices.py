"""Read what the configuration says of fencing, as the fencing core wants it: devices, levels, time-outs.

Source: Pacemaker Explained, "Fencing": a device is a primitive of class stonith, its options are its instance
attributes; a level names its target, a pattern of names, or a node attribute. A device that is disabled by its
target-role is not used. When a node's watchdog can be counted on: docs/concepts/fencing.md.
"""

import re
from typing import Final

from komainu.cib.element import Element
from komainu.cib.nodes import node_entries
from komainu.cib.options import cluster_option, read_int
from komainu.cib.pairs import transient_value
from komainu.fencing.interface import Device, DevicesChanged, Level
from komainu.model import role
from komainu.model.duration import parse_ms
from komainu.model.ids import NodeName
from komainu.model.role import Role

WATCHDOG_MARK: Final = "#watchdog-ms"
"""The transient attribute by which a node says that a watchdog is armed there, and its time-out."""

MARGIN_FACTOR: Final = 2
"""A watchdog must have fired within its time-out once over, after this node noticed: the same again for both."""

ATTEMPTS_MAX: Final = 10
"""Fencings of one node that may fail in a row, where stonith-max-attempts does not say."""


def fence_devices(cib: Element) -> tuple[Device, ...]:
    """Give every enabled fence device, in document order."""
    resources = cib.at("configuration", "resources")
    if resources is None:
        return ()
    found = (element for element in resources.walk() if element.tag == "primitive")
    return tuple(
        _device(primitive)
        for primitive in found
        if primitive.get("class") == "stonith" and not _is_disabled(primitive)
    )


def _device(primitive: Element) -> Device:
    parameters = _pairs(primitive)
    priority = _meta(primitive, "priority") or dict(parameters).get("priority")
    return Device(primitive.id, primitive.get("type") or "", parameters, read_int(priority))


def fencing_of(cib: Element, *, halves_stay: bool) -> DevicesChanged:
    """Give all that the configuration says of fencing.

    `halves_stay` says that half of the nodes keep quorum (two_node): then a node that lost sight of the others
    does not reset itself, so its watchdog cannot be counted on.
    """
    watchdog_ms = watchdog_timeout_ms(cib)
    counted_on = () if halves_stay or not watchdog_ms else armed_watchdogs(cib)
    return DevicesChanged(
        devices=fence_devices(cib),
        levels=fencing_levels(cib),
        timeout_ms=parse_ms(fencing_option(cib, "timeout")) or DevicesChanged(()).timeout_ms,
        self_resetting=tuple(
            node for node, armed_ms in counted_on if MARGIN_FACTOR * armed_ms <= watchdog_ms
        ),
        watchdog_ms=watchdog_ms,
    )


def fencing_option(cib: Element, name: str) -> str | None:
    """Return a cluster option of fencing, by its newer or its older name."""
    return cluster_option(cib, f"fencing-{name}") or cluster_option(cib, f"stonith-{name}")


def attempts_max(cib: Element) -> int:
    """Return how many fencings of one node may fail before it is given up."""
    text = fencing_option(cib, "max-attempts")
    return 10**6 if text == "INFINITY" else max(1, read_int(text, ATTEMPTS_MAX))


def watchdog_timeout_ms(cib: Element) -> int:
    """Return after what time a lost node counts as reset by its watchdog; 0: it never does.

    A negative value means twice the longest time-out of the armed watchdogs.
    """
    text = (fencing_option(cib, "watchdog-timeout") or "0").strip()
    if text.startswith("-"):
        return MARGIN_FACTOR * max((armed_ms for _, armed_ms in armed_watchdogs(cib)), default=0)
    return parse_ms(text) or 0


def armed_watchdogs(cib: Element) -> tuple[tuple[NodeName, int], ...]:
    """Give the nodes that said that their watchdog is armed, with its time-out in milliseconds."""
    names = [NodeName(entry.get("uname") or "") for entry in node_entries(cib)]
    found = ((name, read_int(transient_value(cib, name, WATCHDOG_MARK))) for name in names)
    return tuple((name, armed_ms) for name, armed_ms in found if armed_ms > 0)


def fencing_levels(cib: Element) -> tuple[Level, ...]:
    """Give the fencing topology node by node: of what fits a node, its name counts before a pattern or attribute."""
    section = cib.at("configuration", "fencing-topology")
    entries = () if section is None else tuple(section.all("fencing-level"))
    found: list[Level] = []
    for node in node_entries(cib):
        name = NodeName(node.get("uname") or "")
        by_name = [entry for entry in entries if entry.get("target") == name]
        first = next((entry for entry in entries if _fits(entry, node, name)), None)
        same = [entry for entry in entries if first is not None and _target_of(entry) == _target_of(first)]
        found += [
            Level(
                name,
                read_int(entry.get("index"), 1),
                tuple((entry.get("devices") or "").replace(",", " ").split()),
            )
            for entry in by_name or same
        ]
    return tuple(found)


def _fits(level: Element, node: Element, name: NodeName) -> bool:
    """Whether a level is for this node by a pattern of names or by an attribute."""
    pattern, attribute = level.get("target-pattern"), level.get("target-attribute")
    if pattern is not None:
        try:
            return re.search(pattern, name, re.IGNORECASE) is not None
        except re.error:
            return False
    if attribute is None:
        return False
    blocks = (pair for block in node.all("instance_attributes") for pair in block.all("nvpair"))
    return any(
        pair.get("name") == attribute and pair.get("value") == level.get("target-value") for pair in blocks
    )


def _target_of(level: Element) -> tuple[str | None, ...]:
    names = ("target", "target-pattern", "target-attribute", "target-value")
    return tuple(level.get(name) for name in names)


def _pairs(primitive: Element) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    for block in primitive.all("instance_attributes"):
        for pair in block.all("nvpair"):
            pairs.setdefault(pair.get("name") or "", pair.get("value") or "")
    return tuple(sorted(pairs.items()))


def _is_disabled(primitive: Element) -> bool:
    text = _meta(primitive, "target-role")
    return text is not None and role.parse(text) is Role.STOPPED


def _meta(primitive: Element, name: str) -> str | None:
    for block in primitive.all("meta_attributes"):
        for pair in block.all("nvpair"):
            if pair.get("name") == name:
                return pair.get("value")
    return None
