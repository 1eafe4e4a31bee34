"""The matrix has each fault where it exists, and each names only what its lab has."""

import itertools

from komainu.lab import incident
from komainu.lab.incident import Cabling, Setup
from komainu.lab.managers import Network
from komainu.lab.stacks import Stack


def setup(**changes: object) -> Setup:
    usual: dict[str, object] = {
        "stack": Stack.KOMAINU,
        "network": Network.NETWORKMANAGER,
        "server_config": False,
        "cabling": Cabling.DIRECT,
    }
    return Setup(**{**usual, **changes})  # type: ignore[arg-type]  # the words of the set-up above


def names(one: Setup) -> list[str]:
    return [fault.name for fault in one.faults()]


def test_the_night_itself_is_in_every_set_up_and_every_fault_once() -> None:
    for network, cabling in itertools.product(Network, Cabling):
        found = names(setup(network=network, cabling=cabling))
        assert found[0] == "cable pulled"
        assert len(found) == len(set(found))


def test_a_direct_cable_has_both_ends_pulled_and_no_switch() -> None:
    direct, switched = setup(), setup(cabling=Cabling.SWITCH)
    assert [getattr(step, "node", "") for step in direct.faults()[0].harm] == [None]
    assert [getattr(step, "node", "") for step in switched.faults()[0].harm] == [incident.VICTIM]
    assert "switch dies" in names(switched)
    assert "switch dies" not in names(direct)


def test_nmcli_is_only_used_where_networkmanager_is() -> None:
    assert any("nmcli" in name for name in names(setup()))
    assert not any("nmcli" in name for name in names(setup(network=Network.NETWORKD)))
    assert "network manager restarted" not in names(setup(network=Network.STATIC))


def test_only_the_dual_cabling_gives_the_ring_a_second_path() -> None:
    paths = {one: len(setup(cabling=one).layout.ring_cables) for one in Cabling}
    assert paths == {Cabling.DIRECT: 1, Cabling.SWITCH: 1, Cabling.DUAL: 2}


def test_what_is_contradictory_is_said() -> None:
    assert setup(network=Network.STATIC, server_config=True).problems()
    assert setup(stack=Stack.COROSYNC3_UDPU, cabling=Cabling.DUAL).problems()
    assert not setup().problems()
