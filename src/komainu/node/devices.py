"""Read the fence devices out of the configuration, as the fencing core wants them.

Source: COMPAT facts, section 3: a device is a primitive of class stonith; its options are its instance
attributes. A device that is disabled by its target-role is not used.
"""

from komainu.cib.element import Element
from komainu.fencing.interface import Device
from komainu.model import role
from komainu.model.role import Role


def fence_devices(cib: Element) -> tuple[Device, ...]:
    """Give every enabled fence device, in document order."""
    resources = cib.at("configuration", "resources")
    if resources is None:
        return ()
    found = (element for element in resources.walk() if element.tag == "primitive")
    return tuple(
        Device(name=primitive.id, agent=primitive.get("type") or "", parameters=_pairs(primitive))
        for primitive in found
        if primitive.get("class") == "stonith" and not _is_disabled(primitive)
    )


def _pairs(primitive: Element) -> tuple[tuple[str, str], ...]:
    pairs: dict[str, str] = {}
    for block in primitive.all("instance_attributes"):
        for pair in block.all("nvpair"):
            pairs.setdefault(pair.get("name") or "", pair.get("value") or "")
    return tuple(sorted(pairs.items()))


def _is_disabled(primitive: Element) -> bool:
    for block in primitive.all("meta_attributes"):
        for pair in block.all("nvpair"):
            if pair.get("name") == "target-role":
                return role.parse(pair.get("value")) is Role.STOPPED
    return False
