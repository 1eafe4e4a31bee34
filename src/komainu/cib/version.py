"""Read and raise the version of a CIB. Decides what counts as newer; must not know what was changed.

Source: Pacemaker Explained, "Configuration Version": epoch grows with the configuration and resets
num_updates, which grows with the status.
"""

from datetime import UTC, datetime
from typing import Final

from komainu.cib.element import Element
from komainu.cib.options import read_int
from komainu.model.edit import Version
from komainu.model.ids import NodeName, WallTime

_MOMENT_MS_MAX: Final = 253_402_300_799_000  # the last second of the year 9999: datetime ends there


def version_of(cib: Element) -> Version:
    """Return the version of a CIB; what is missing or is no number counts as 0."""
    return Version(
        admin_epoch=read_int(cib.get("admin_epoch")),
        epoch=read_int(cib.get("epoch")),
        num_updates=read_int(cib.get("num_updates")),
    )


def is_same_configuration(left: Version, right: Version) -> bool:
    """Whether two versions hold the same configuration; the status may have gone on between them."""
    return (left.admin_epoch, left.epoch) == (right.admin_epoch, right.epoch)


def with_status_change(cib: Element) -> Element:
    """Raise num_updates."""
    return cib.with_attributes(num_updates=str(version_of(cib).num_updates + 1))


def with_configuration_change(cib: Element, *, at: WallTime, origin: NodeName, user: str) -> Element:
    """Raise epoch, and say when, from where and at whose wish."""
    moment = datetime.fromtimestamp(min(max(at, 0), _MOMENT_MS_MAX) // 1000, tz=UTC)
    raised = cib.with_attributes(epoch=str(version_of(cib).epoch + 1), num_updates="0")
    return (
        raised.with_attribute("cib-last-written", moment.ctime())
        .with_attribute("update-origin", origin)
        .with_attribute("update-client", "komainu")
        .with_attribute("update-user", user or None)
    )
