"""Read the ifcfg files of the Red Hat and SUSE families, and Debian's /etc/network/interfaces.

Decides which lines give an interface its address. Must not know who reads the file on this machine: the same
ifcfg file of Red Hat serves NetworkManager and the older network scripts.
Source: nm-settings-ifcfg-rh(5), sysconfig.txt of initscripts; ifcfg(5) of wicked; interfaces(5).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from komainu.model.report import Place
from komainu.network.doctor import ini
from komainu.network.doctor.evidence import Evidence, File
from komainu.network.doctor.ini import Entry, Section
from komainu.network.doctor.profile import Manager, Profile, whole, with_prefix

RED_HAT: Final = "/etc/sysconfig/network-scripts/ifcfg-*"
SUSE: Final = "/etc/sysconfig/network/ifcfg-*"
_INTERFACES: Final = ("/etc/network/interfaces", "/etc/network/interfaces.d/*")
_LEFTOVERS: Final = (".bak", ".orig", ".rpmnew", ".rpmsave", "~", ".old", ".template")


def read_red_hat(evidence: Evidence) -> Iterator[Profile]:
    """Give the profiles in Red Hat's ifcfg files; `manager` says what NM_CONTROLLED asks for."""
    for file, section in _sections(evidence, RED_HAT):
        by_manager = ini.is_true(section.value("NM_CONTROLLED", "yes")) is not False
        yield Profile(
            Manager.NETWORKMANAGER if by_manager else Manager.INITSCRIPTS,
            Place(file.path),
            section.value("NAME") or _suffix(file),
            interface=section.value("DEVICE") or _suffix(file),
            mac=section.value("HWADDR"),
            addresses=tuple(_addresses(section)),
            has_dhcp=section.value("BOOTPROTO").lower() in {"dhcp", "bootp"},
            mtu=whole(section.value("MTU")),
            kind=section.value("TYPE").lower(),
            controller=section.value("MASTER") or section.value("BRIDGE"),
            settings={entry.key: entry for entry in section.entries},
        )


def read_suse(evidence: Evidence) -> Iterator[Profile]:
    """Give the profiles in SUSE's ifcfg files, which wicked reads."""
    for file, section in _sections(evidence, SUSE):
        lowers = [entry.value for entry in section.entries if entry.key.startswith("BONDING_SLAVE")]
        yield Profile(
            Manager.WICKED,
            Place(file.path),
            section.value("NAME") or _suffix(file),
            interface=_suffix(file),
            addresses=tuple(_addresses(section)),
            has_dhcp="dhcp" in section.value("BOOTPROTO").lower(),
            mtu=whole(section.value("MTU")),
            kind="bond" if lowers else "",
            lowers=tuple(lowers),
            settings={entry.key: entry for entry in section.entries},
        )


def _sections(evidence: Evidence, pattern: str) -> Iterator[tuple[File, Section]]:
    for file in evidence.matching(pattern):
        name = _suffix(file)
        if name != "lo" and not name.endswith(_LEFTOVERS) and not file.problem:
            yield file, ini.parse_assignments(file)


def _suffix(file: File) -> str:
    return file.path.rpartition("/ifcfg-")[2]


def _addresses(section: Section) -> Iterator[str]:
    """Give IPADDR, IPADDR0, IPADDR_1 … each with the prefix or netmask of the same number."""
    for entry in section.entries:
        if entry.key.startswith("IPADDR") and entry.value:
            number = entry.key[len("IPADDR") :]
            mask = section.value(f"PREFIX{number}") or section.value(f"PREFIXLEN{number}")
            yield with_prefix(entry.value, mask or section.value(f"NETMASK{number}"))
        elif entry.key == "IPV6ADDR" and entry.value:
            yield entry.value


@dataclass(slots=True)
class _Stanza:
    """An `iface` stanza of /etc/network/interfaces while it is read."""

    interface: str
    method: str
    place: Place
    options: list[Entry] = field(default_factory=list)


def read_interfaces(evidence: Evidence) -> Iterator[Profile]:
    """Give the profiles in Debian's /etc/network/interfaces and in its folder."""
    stanzas = [
        stanza
        for pattern in _INTERFACES
        for file in evidence.matching(pattern)
        for stanza in _stanzas(file)
        if stanza.interface != "lo"
    ]
    names = list(dict.fromkeys(stanza.interface for stanza in stanzas))
    for name in names:
        mine = [stanza for stanza in stanzas if stanza.interface == name]
        parts = [Section("", stanza.place, tuple(stanza.options)) for stanza in mine]
        found = [with_prefix(part.value("address"), part.value("netmask")) for part in parts]
        options = {entry.key: entry for stanza in mine for entry in stanza.options}
        ports = [options[key] for key in ("bond-slaves", "slaves", "bridge_ports") if key in options]
        yield Profile(
            Manager.IFUPDOWN,
            mine[0].place,
            name,
            interface=name,
            addresses=tuple(address for address in found if address),
            has_dhcp=any(stanza.method == "dhcp" for stanza in mine),
            mtu=whole(options["mtu"].value) if "mtu" in options else None,
            kind="bond" if "bond-slaves" in options or "slaves" in options else "",
            lowers=tuple(word for entry in ports for word in entry.value.split() if word != "none"),
            settings=options,
        )


def _stanzas(file: File) -> Iterator[_Stanza]:
    stanza: _Stanza | None = None
    for number, line in enumerate(file.text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        place = Place(file.path, number)
        if words[0] == "iface":
            if stanza is not None:
                yield stanza
            method = words[3] if len(words) > 3 else ""
            stanza = _Stanza(words[1], method, place) if len(words) > 1 else None
        elif words[0] in {"auto", "mapping", "source", "source-directory", "no-auto-down"} or words[
            0
        ].startswith("allow-"):
            if stanza is not None:
                yield stanza
            stanza = None
        elif stanza is not None:
            stanza.options.append(Entry(words[0], " ".join(words[1:]), place))
    if stanza is not None:
        yield stanza
