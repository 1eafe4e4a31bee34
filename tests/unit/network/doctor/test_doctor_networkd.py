import pytest
from doctor_evidence import tree

from komainu.network.doctor.networkd import DROP_MS, carrier_loss, read
from komainu.network.doctor.profile import Interface

FILE = "/etc/systemd/network/10-eth1.network"


@pytest.mark.parametrize(
    ("settings", "after_ms"),
    [
        ("", DROP_MS),
        ("IgnoreCarrierLoss=yes", None),
        ("IgnoreCarrierLoss=5s", 5_000),
        ("IgnoreCarrierLoss=no", DROP_MS),
        ("ConfigureWithoutCarrier=yes", None),
        ("ConfigureWithoutCarrier=yes\nIgnoreCarrierLoss=no", DROP_MS),
        ("KeepConfiguration=static", DROP_MS),
        ("ConfigureWithoutCarrier=no", DROP_MS),
        ("IgnoreCarrierLoss=gibberish", DROP_MS),
    ],
)
def test_what_each_setting_does_without_carrier(settings: str, after_ms: int | None) -> None:
    (file,) = read(tree({FILE: f"[Match]\nName=eth1\n[Network]\nAddress=10.0.0.1/24\n{settings}\n"}))
    assert carrier_loss(file).after_ms == after_ms


def test_drop_ins_come_after_the_file_sorted_by_name_over_all_folders() -> None:
    files = {
        FILE: "[Match]\nName=eth1\n[Network]\nIgnoreCarrierLoss=no\n",
        "/etc/systemd/network/10-eth1.network.d/50.conf": "[Network]\nIgnoreCarrierLoss=no\n",
        "/usr/lib/systemd/network/10-eth1.network.d/90.conf": "[Network]\nIgnoreCarrierLoss=yes\n",
    }
    (file,) = read(tree(files))
    assert carrier_loss(file).after_ms is None


def test_a_name_in_etc_hides_the_same_name_elsewhere_and_the_first_that_fits_counts() -> None:
    files = {
        "/usr/lib/systemd/network/10-eth1.network": "[Match]\nName=*\n",
        FILE: "[Match]\nName=eth1\n",
        "/run/systemd/network/05-other.network": "[Match]\nName=!eth1 eth2\n",
    }
    found = read(tree(files))
    assert [file.file.path.rpartition("/")[2] for file in found] == ["05-other.network", "10-eth1.network"]
    assert [file.fits(Interface("eth1")) for file in found] == [False, True]
    assert found[0].fits(Interface("eth3"))
    assert not found[1].fits(Interface("eth3"))


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("MACAddress=52-54-00-00-00-01", True),
        ("MACAddress=52:54:00:00:00:02", False),
        ("Type=ether", True),
        ("Type=wlan", False),
        ("Driver=virtio*", False),
        ("Name=en* eth*", True),
        ("", False),
    ],
)
def test_what_a_match_fits(match: str, expected: bool) -> None:
    (file,) = read(tree({FILE: f"[Match]\n{match}\n"}))
    assert file.fits(Interface("eth1", mac="52:54:00:00:00:01", driver="e1000e")) is expected


def test_addresses_are_found_in_both_kinds_of_section() -> None:
    text = "[Match]\nName=eth1\n[Network]\nDHCP=ipv4\nAddress=10.0.0.1/24\n[Address]\nAddress=10.0.0.2/24\n"
    (file,) = read(tree({FILE: text}))
    assert file.profile.addresses == ("10.0.0.1/24", "10.0.0.2/24")
    assert file.profile.has_dhcp
