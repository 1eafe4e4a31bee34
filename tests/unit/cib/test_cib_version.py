"""cib/version.py: versions of any text are read, and raised."""

from komainu.cib.element import Element
from komainu.cib.version import (
    is_same_configuration,
    version_of,
    with_configuration_change,
    with_status_change,
)
from komainu.model.edit import Version
from komainu.model.ids import NodeName, WallTime


def test_raising() -> None:
    cib = Element("cib", {"epoch": "4", "num_updates": "9"})
    assert version_of(with_status_change(cib)) == Version(0, 4, 10)
    changed = with_configuration_change(cib, at=WallTime(0), origin=NodeName("a"), user="")
    assert version_of(changed) == Version(0, 5, 0)
    assert changed.get("cib-last-written") == "Thu Jan  1 00:00:00 1970"
    assert changed.get("update-user") is None


def test_any_text_and_any_time() -> None:
    assert version_of(Element("cib", {"epoch": "x", "admin_epoch": "²"})) == Version()
    for at in (-(2**63), 2**63 - 1):
        with_configuration_change(Element("cib"), at=WallTime(at), origin=NodeName("a"), user="u")


def test_the_status_does_not_make_another_configuration() -> None:
    assert is_same_configuration(Version(1, 2, 3), Version(1, 2, 9))
    assert not is_same_configuration(Version(1, 2, 3), Version(1, 3, 0))
