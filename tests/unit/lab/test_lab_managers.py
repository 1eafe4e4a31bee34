"""A machine's network manager gets settings that it takes, and only the knob makes the difference."""

import pytest

from komainu.lab import managers
from komainu.lab.layout import Layout
from komainu.lab.managers import Network


def written(network: Network, *, server_config: bool) -> dict[str, managers.MachineFile]:
    found = managers.files(Layout(), "b", network, server_config=server_config)
    return {one.path: one for one in found}


def test_static_addresses_need_no_files_and_no_program() -> None:
    assert not written(Network.STATIC, server_config=False)
    assert not managers.SERVICES[Network.STATIC]


def test_networkmanager_gets_a_private_profile_for_every_cable() -> None:
    files = written(Network.NETWORKMANAGER, server_config=False)
    profile = files["/etc/NetworkManager/system-connections/eth1.nmconnection"]
    assert profile.mode == 0o600, "it ignores one that others may read"
    assert "address1=192.168.33.102/24" in profile.text
    assert "address1=10.77.0.2/24" in files["/etc/NetworkManager/system-connections/eth0.nmconnection"].text
    assert files["/etc/hostname"].text == "b\n", "it sets the host name from there"


def test_a_profile_is_the_same_at_every_boot_and_another_on_every_node() -> None:
    path = "/etc/NetworkManager/system-connections/eth1.nmconnection"
    again = written(Network.NETWORKMANAGER, server_config=True)[path]
    assert written(Network.NETWORKMANAGER, server_config=False)[path] == again
    other = managers.files(Layout(), "a", Network.NETWORKMANAGER, server_config=False)
    assert again.text.splitlines()[2] not in {line for one in other for line in one.text.splitlines()}


@pytest.mark.parametrize("server_config", [False, True])
def test_the_server_config_is_the_only_difference(server_config: bool) -> None:
    assert (managers.SERVER_CONFIG.path in written(Network.NETWORKMANAGER, server_config=server_config)) is (
        server_config
    )
    text = written(Network.NETWORKD, server_config=server_config)["/etc/systemd/network/10-eth1.network"].text
    assert ("ConfigureWithoutCarrier=yes" in text) is server_config
    assert "Address=192.168.33.102/24" in text
