"""Which family a distribution belongs to, by what its os-release says."""

import pytest

from komainu.network.doctor import distribution
from komainu.network.doctor.distribution import Family
from komainu.network.doctor.evidence import Evidence, File


@pytest.mark.parametrize(
    ("text", "family", "major", "installer"),
    [
        ('NAME="CentOS Linux"\nID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"', Family.RED_HAT, 7, "yum"),
        ('NAME="CentOS Stream"\nID="centos"\nVERSION_ID="9"', Family.RED_HAT, 9, "dnf"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.4"', Family.RED_HAT, 9, "dnf"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.10"', Family.RED_HAT, 8, "dnf"),
        ("ID=fedora\nVERSION_ID=42", Family.RED_HAT, 42, "dnf"),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\nVERSION_ID="15.6"', Family.SUSE, 15, "zypper"),
        ('ID="sl-micro"\nID_LIKE="suse"\nVERSION_ID="6.1"', Family.SUSE, 6, "zypper"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="22"', Family.UBUNTU, 22, "apt-get"),
        ('PRETTY_NAME="Debian GNU/Linux trixie/sid"\nID=debian', Family.DEBIAN, 0, "apt-get"),
        ("ID=arch", Family.OTHER, 0, "apt-get"),
        ("\x00rubbish", Family.OTHER, 0, "apt-get"),
    ],
)
def test_the_family_of_a_distribution(text: str, family: Family, major: int, installer: str) -> None:
    found = distribution.read(Evidence({"/etc/os-release": File("/etc/os-release", text)}))
    assert (found.family, found.major) == (family, major)
    assert found.installer.startswith(installer)


def test_an_old_red_hat_has_a_file_of_its_own() -> None:
    text = "CentOS Linux release 7.9.2009 (Core)\n"
    found = distribution.read(Evidence({"/etc/redhat-release": File("/etc/redhat-release", text)}))
    assert (found.family, found.major, found.name) == (Family.RED_HAT, 7, text.strip())
