"""Find the .network file that systemd-networkd uses for an interface, and say what it does without carrier.

Decides which file and which drop-ins count. Must not know what that means for a cluster.
Source: systemd.network(5), systemd.unit(5) (folders, drop-ins); measured with systemd 252: a static address
goes 10 ms after the carrier; KeepConfiguration=static does not keep it; ConfigureWithoutCarrier=yes implies
IgnoreCarrierLoss=yes, and an explicit IgnoreCarrierLoss=no beats it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from komainu.model.duration import parse_ms
from komainu.model.report import Place
from komainu.network.doctor import ini
from komainu.network.doctor.evidence import Evidence, File
from komainu.network.doctor.ini import Entry, Section
from komainu.network.doctor.profile import Interface, Manager, Profile, whole

DROP_MS: Final = 10
"""How soon after the carrier the address goes by default."""

_FOLDERS: Final = ("/usr/lib/systemd/network", "/run/systemd/network", "/etc/systemd/network")


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """One .network file with its drop-ins: all sections in the order in which they are read."""

    file: File
    sections: tuple[Section, ...]

    def last(self, section: str, key: str) -> Entry | None:
        """Return the entry of a key that counts: the last one."""
        found = [entry for part in self.sections if part.name == section for entry in part.all(key)]
        return found[-1] if found else None

    def fits(self, interface: Interface) -> bool:
        """Tell whether its [Match] fits. One without any key fits nothing but what it names."""
        keys = [entry for part in self.sections if part.name == "Match" for entry in part.entries]
        return bool(keys) and all(_fits(entry, interface) for entry in keys)

    @property
    def profile(self) -> Profile:
        """Return what it wants of an interface."""
        network = [entry for part in self.sections if part.name == "Network" for entry in part.entries]
        own = [entry for part in self.sections if part.name == "Address" for entry in part.all("Address")]
        addresses = [entry.value for entry in (*network, *own) if entry.key == "Address" and entry.value]
        names = self.last("Match", "Name")
        mtu = self.last("Link", "MTUBytes")
        dhcp = self.last("Network", "DHCP")
        return Profile(
            Manager.NETWORKD,
            Place(self.file.path),
            self.file.path.rpartition("/")[2],
            interface="" if names is None else names.value,
            addresses=tuple(addresses),
            has_dhcp=dhcp is not None and dhcp.value.lower() in {"yes", "ipv4", "true", "both", "1"},
            mtu=None if mtu is None else whole(mtu.value),
            settings={entry.key: entry for entry in network},
        )


@dataclass(frozen=True, slots=True)
class CarrierLoss:
    """What a .network file does when the carrier goes. `after_ms` None: the address is kept."""

    after_ms: int | None
    entry: Entry | None  # the setting that counts; None: the default
    overruled: tuple[Entry, ...] = ()  # settings that look as if they kept the address, and do not


def read(evidence: Evidence) -> tuple[NetworkFile, ...]:
    """Return all .network files in the order in which they are tried."""
    files: dict[str, File] = {}
    for folder in _FOLDERS:  # a later folder hides the same name in an earlier one
        files |= {file.path.rpartition("/")[2]: file for file in evidence.matching(f"{folder}/*.network")}
    return tuple(
        NetworkFile(
            files[name],
            tuple(
                section
                for file in (files[name], *_drop_ins(evidence, name))
                for section in ini.parse(file).sections
            ),
        )
        for name in sorted(files)
        if files[name].target != "/dev/null"
    )


def _drop_ins(evidence: Evidence, name: str) -> Iterator[File]:
    found: dict[str, File] = {}
    for folder in _FOLDERS:
        for file in evidence.matching(f"{folder}/{name}.d/*.conf"):
            found[file.path.rpartition("/")[2]] = file
    return (found[key] for key in sorted(found))


def _fits(entry: Entry, interface: Interface) -> bool:
    words = entry.value.split()
    match entry.key:
        case "Name":
            return _fits_names(words, interface.name)
        case "MACAddress" | "PermanentMACAddress":
            return interface.mac.lower() in {word.lower().replace("-", ":") for word in words}
        case "Driver":
            return _fits_names(words, interface.driver)
        case "Type":
            return _fits_names(words, {"ethernet": "ether"}.get(interface.kind, interface.kind))
        case _:  # Host, Path, Virtualization …: what cannot be checked is taken to fit
            return True


def _fits_names(words: list[str], name: str) -> bool:
    """Match a list of shell patterns; a list that begins with `!` fits what it does not name."""
    if words and words[0].startswith("!"):
        patterns = [words[0][1:], *words[1:]]
        return not any(fnmatchcase(name, pattern) for pattern in patterns)
    return any(fnmatchcase(name, pattern) for pattern in words)


def carrier_loss(network: NetworkFile) -> CarrierLoss:
    """Say what a .network file does when the carrier goes."""
    without = network.last("Network", "ConfigureWithoutCarrier")
    ignore = network.last("Network", "IgnoreCarrierLoss")
    keep = network.last("Network", "KeepConfiguration")
    configures = without is not None and ini.is_true(without.value) is True
    helpless = tuple(entry for entry in (keep,) if entry is not None and entry.value.startswith("static"))
    if ignore is None or not ignore.value:
        if configures:
            return CarrierLoss(None, without)
        return CarrierLoss(DROP_MS, None, helpless)
    says = ini.is_true(ignore.value)
    if says is True and ignore.value.strip() != "1":
        return CarrierLoss(None, ignore)
    waits_ms = parse_ms(ignore.value) if says is None else None
    overruled = (*helpless, *((without,) if without is not None and configures else ()))
    return CarrierLoss(waits_ms or DROP_MS, ignore, overruled)
