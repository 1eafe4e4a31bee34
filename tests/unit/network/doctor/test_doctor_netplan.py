import pytest
from doctor_evidence import tree

from komainu.network.doctor.evidence import File
from komainu.network.doctor.netplan import read, with_key
from komainu.network.doctor.profile import Interface, Manager

FILE = "/etc/netplan/10.yaml"
PLAN = """network:
  ethernets:
    # the interconnect
    eth1:   
      addresses: [10.0.0.1/24]  # static
    eth2:
      dhcp4: true
"""  # noqa: W291 - editors leave such blanks


def test_files_merge_by_name_and_key() -> None:
    later = "network:\n  renderer: NetworkManager\n  ethernets:\n    eth1: {ignore-carrier: true, addresses: ['fd00::1/64']}\n"
    plan = read(tree({FILE: PLAN, "/run/netplan/20.yaml": later}))
    profile = plan.find(Interface("eth1"))
    assert profile is not None
    assert profile.manager is Manager.NETWORKMANAGER
    assert profile.addresses == ("10.0.0.1/24", "fd00::1/64")
    assert profile.settings["ignore-carrier"].value == "true"
    assert str(profile.place) == "/run/netplan/20.yaml:4"


def test_a_device_is_found_by_its_mac_and_a_bond_by_its_ports() -> None:
    text = (
        "network:\n  ethernets:\n    one: {match: {macaddress: '52:54:00:00:00:01'}, set-name: eth1}\n"
        "  bonds:\n    bond0: {interfaces: [one], addresses: [10.0.0.1/24: {label: x}]}\n"
    )
    plan = read(tree({FILE: text}))
    assert plan.find(Interface("eth1", mac="52:54:00:00:00:01")) is not None
    assert plan.find(Interface("eth1", mac="52:54:00:00:00:02")) is None
    bond = plan.find(Interface("bond0"))
    assert bond is not None
    assert (bond.kind, bond.lowers, bond.addresses) == ("bond", ("one",), ("10.0.0.1/24",))


def test_a_key_is_added_by_one_line_and_everything_else_stays() -> None:
    text = with_key(File(FILE, PLAN), "eth1", "ignore-carrier", "true")
    assert text == PLAN.replace("    eth1:   \n", "    eth1:   \n      ignore-carrier: true\n")


def test_a_key_that_says_otherwise_is_replaced_only_where_it_belongs() -> None:
    plan = PLAN.replace("dhcp4: true", "ignore-carrier: false") + "    eth3:\n      ignore-carrier: false\n"
    text = with_key(File(FILE, plan), "eth2", "ignore-carrier", "true")
    assert text is not None
    assert text.count("ignore-carrier: true") == 1
    assert text.count("ignore-carrier: false") == 1
    assert text.endswith("    eth3:\n      ignore-carrier: false\n")


@pytest.mark.parametrize(
    "text",
    [
        "network: {ethernets: {eth1: {dhcp4: false}}}\n",  # no line of its own
        "network:\n  ethernets:\n    eth1: {dhcp4: false}\n",
        "network:\n  ethernets:\n    eth1:\n",  # nothing below
        "network:\n  renderer: networkd\n",
        "network:\n  note: |\n    eth1:\n      x\n  ethernets:\n    eth0:\n      dhcp4: true\n",  # only looks like it
        "network:\n  ethernets:\n    eth1: &a\n      dhcp4: false\n    eth2: *a\n",
        "half: [",
    ],
)
def test_what_cannot_be_edited_by_lines_is_left_alone(text: str) -> None:
    assert with_key(File(FILE, text), "eth1", "ignore-carrier", "true") is None


@pytest.mark.parametrize(
    "text",
    [
        "half: [",
        "- a\n- b\n",
        "[" * 5000,
        "a: &a [*a]",
        "? [1]\n: 2\n",
        "\x00",
        "network: 3",
        "x: 2026-99-99",
    ],
)
def test_nonsense_is_told_or_means_nothing(text: str) -> None:
    assert read(tree({FILE: text})).profiles == ()
