"""Name the distribution, as far as remedies differ by it.

Decides to which family a system belongs. Source: os-release(5); releases before it by /etc/redhat-release.
"""

import re
from dataclasses import dataclass
from enum import Enum

from komainu.network.doctor.evidence import Evidence


class Family(Enum):
    """Distributions that are administered alike."""

    RED_HAT = "Red Hat"
    SUSE = "SUSE"
    DEBIAN = "Debian"
    UBUNTU = "Ubuntu"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Distribution:
    """What /etc/os-release says. `major` 0: unknown."""

    name: str
    family: Family
    major: int = 0

    @property
    def installer(self) -> str:
        """Return the command that installs a package."""
        match self.family:
            case Family.RED_HAT:
                return "yum install" if 0 < self.major < 8 else "dnf install"
            case Family.SUSE:
                return "zypper install"
            case _:
                return "apt-get install"


_FAMILIES = {
    "rhel": Family.RED_HAT,
    "centos": Family.RED_HAT,
    "fedora": Family.RED_HAT,
    "sles": Family.SUSE,
    "suse": Family.SUSE,
    "opensuse": Family.SUSE,
    "ubuntu": Family.UBUNTU,
    "debian": Family.DEBIAN,
}


def read(evidence: Evidence) -> Distribution:
    """Name the distribution of a machine."""
    text = evidence.text("/etc/os-release") or evidence.text("/usr/lib/os-release")
    fields = {
        match[1]: match[2].strip("\"'") for match in re.finditer(r"^([A-Z_]+)=(.*?)\s*$", text, re.MULTILINE)
    }
    if not fields:
        release = evidence.text("/etc/redhat-release").strip()
        number = re.search(r"([0-9]{1,3})", release)
        family = Family.RED_HAT if release else Family.OTHER
        return Distribution(release or "an unknown system", family, int(number[1]) if number else 0)
    words = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    family = next((_FAMILIES[word] for word in words if word in _FAMILIES), Family.OTHER)
    number = re.match(r"([0-9]{1,3})", fields.get("VERSION_ID", ""))
    name = fields.get("PRETTY_NAME") or fields.get("NAME") or "an unnamed system"
    return Distribution(name, family, int(number[1]) if number else 0)
