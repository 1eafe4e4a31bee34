"""Names and addresses follow from a layout; what cannot be built is said."""

import pytest

from komainu.lab.layout import LAN, Layout, bridge_address, hardware_address, port_name


def test_the_interconnect_comes_first_and_the_service_lan_last() -> None:
    layout = Layout()
    assert [cable.name for cable in layout.cables] == ["interconnect", "lan"]
    assert [layout.address("b", cable) for cable in layout.cables] == ["192.168.33.102", "10.77.0.2"]


def test_each_interconnect_has_its_own_subnet_and_interface() -> None:
    cables = Layout(("a", "b", "c"), 3).cables
    assert [cable.name for cable in cables] == ["interconnect", "interconnect2", "interconnect3", "lan"]
    for key in ("nic", "bridge", "subnet"):
        assert len({getattr(cable, key) for cable in cables}) == 4


@pytest.mark.parametrize("layout", [Layout(), Layout(("a",), 0), Layout(tuple("abcdefgh"), 7)])
def test_layouts_that_can_be_built(layout: Layout) -> None:
    assert layout.problems() == ()
    names = [port_name(node, cable) for node in layout.nodes for cable in layout.cables]
    assert all(len(name) <= 15 for name in names)
    places = range(len(layout.nodes))
    addresses = {hardware_address(place, cable) for place in places for cable in layout.cables}
    assert len(addresses) == len(names)
    assert not addresses & {bridge_address(cable) for cable in layout.cables}


@pytest.mark.parametrize(
    ("layout", "problem"),
    [
        (Layout(()), "1 to 8 nodes"),
        (Layout(tuple("abcdefghi")), "1 to 8 nodes"),
        (Layout(("a", "a")), "same name"),
        (Layout(("a", "toolongname")), "toolongname"),
        (Layout(("a", "client")), "client"),
        (Layout(("a", "B")), "`B`"),
        (Layout(("a", "b"), 8), "interconnects"),
        (Layout(shared_disks=2), "1 or 3 shared disks"),
        (Layout(has_witness=True, has_lease=True), "one witness"),
        (Layout(detect_within_ms=0), "it takes 1 or more"),
    ],
)
def test_layouts_that_cannot(layout: Layout, problem: str) -> None:
    assert problem in " ".join(layout.problems())


def test_a_cable_is_found_by_its_name() -> None:
    assert Layout().cable("lan") == LAN
    assert Layout().cable("interconnect2") is None
