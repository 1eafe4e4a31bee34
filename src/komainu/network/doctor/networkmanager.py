"""Merge NetworkManager's configuration as it does itself, and say what it does with an interface.

Decides whether carrier is ignored for an interface, who said so, and who was overruled. Must not know what
that means for a cluster.
Source: NetworkManager.conf(5) (order of files, device sections, device lists), nm-settings-keyfile(5); the
order among device sections of several files was measured (NetworkManager 1.42): of two that match, the one
in the file that sorts last wins; a device section, even the plain one, beats main.ignore-carrier.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from komainu.model.report import Place
from komainu.network.doctor import ini
from komainu.network.doctor.evidence import Evidence, File
from komainu.network.doctor.ini import Entry, Section
from komainu.network.doctor.profile import Interface, Manager, Profile, bare, whole

CARRIER_WAIT_MS: Final = 6_000
"""How long a lost carrier is waited for by default; the manual page says 5 s, the program does 6."""

IGNORES_BY_ITSELF: Final = frozenset({"bond", "bridge", "team"})
"""Kinds of interface whose carrier is ignored by default, since their ports come and go."""

CONFIGURATION_FOLDER: Final = "/etc/NetworkManager/conf.d"

FOLDERS: Final = ("/usr/lib/NetworkManager/conf.d", "/run/NetworkManager/conf.d", CONFIGURATION_FOLDER)

_MAIN: Final = "/etc/NetworkManager/NetworkManager.conf"
_INTERN: Final = "/var/lib/NetworkManager/NetworkManager-intern.conf"
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$")
_NUMBERED_ADDRESS: Final = re.compile(r"address(es)?[0-9]*$")


@dataclass(frozen=True, slots=True)
class Claim:
    """One setting that speaks about an interface's carrier, and what it says."""

    is_ignored: bool
    is_global: bool  # it speaks about every interface
    entry: Entry
    section: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether carrier is ignored for an interface: the claim that counts (None: the default), and the rest."""

    is_ignored: bool
    claim: Claim | None
    overruled: tuple[Claim, ...]
    wait_ms: int = CARRIER_WAIT_MS
    wait_entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class NetworkManager:
    """The merged configuration: device sections in the order in which they count, and the main lists."""

    files: tuple[File, ...]
    devices: tuple[Section, ...]  # those that count first stand first
    ignored: tuple[tuple[str, Entry], ...]  # main.ignore-carrier: each term with the line that gave it
    ignored_entry: Entry | None
    unmanaged: tuple[str, ...]
    profiles: tuple[Profile, ...]
    refused: tuple[File, ...]  # profiles that NetworkManager does not read, since others may
    takes_ifupdown: bool = False  # it manages what /etc/network/interfaces names, too (Debian)

    def carrier(self, interface: Interface) -> Verdict:
        """Decide whether carrier is ignored for an interface."""
        claims = list(self._claims(interface))
        wait = next(
            (
                entry
                for section in self._matching(interface)
                if (entry := section.last("carrier-wait-timeout")) is not None
            ),
            None,
        )
        wait_ms = CARRIER_WAIT_MS if wait is None else whole(wait.value)
        by_kind = interface.kind in IGNORES_BY_ITSELF
        return Verdict(
            is_ignored=claims[0].is_ignored if claims else by_kind,
            claim=claims[0] if claims else None,
            overruled=tuple(claim for claim in claims[1:] if claim.is_ignored != claims[0].is_ignored),
            wait_ms=CARRIER_WAIT_MS if wait_ms is None else wait_ms,
            wait_entry=wait,
        )

    def is_unmanaged(self, interface: Interface) -> bool:
        """Tell whether the configuration keeps NetworkManager's hands off an interface."""
        for section in self._matching(interface):
            managed = ini.is_true(section.value("managed"))
            if managed is not None:
                return not managed
        return matches(self.unmanaged, interface)

    def with_file(self, file: File, evidence: Evidence) -> "NetworkManager":
        """Return what would hold if this file were there, too."""
        return read(replace(evidence, files={**evidence.files, file.path: file}))

    def _matching(self, interface: Interface) -> Iterator[Section]:
        for section in self.devices:
            terms = _terms(section.value("match-device", "*"))
            if matches(terms, interface):
                yield section

    def _claims(self, interface: Interface) -> Iterator[Claim]:
        for section in self._matching(interface):
            entry = section.last("ignore-carrier")
            says = None if entry is None else ini.is_true(entry.value)
            if entry is not None and says is not None:
                terms = _terms(section.value("match-device", "*"))
                yield Claim(says, _is_global(terms), entry, section.name)
        if self.ignored_entry is None:
            return
        terms = [term for term, _ in self.ignored]
        if matches(terms, interface):
            named = [entry for term, entry in self.ignored if matches([term], interface)]
            yield Claim(True, _is_global(terms), named[0] if named else self.ignored_entry, "main")
        else:
            yield Claim(False, False, self.ignored_entry, "main")


def read(evidence: Evidence) -> NetworkManager:
    """Read and merge every file of NetworkManager."""
    files = tuple(_in_order(evidence))
    merged: dict[str, list[Entry]] = {}
    for file in files:
        sections = ini.parse(file).sections
        if _is_switched_off(sections):
            continue
        for section in sections:
            # A section that comes again counts anew, so that the file that sorts last wins.
            earlier = merged.pop(section.name, []) if section.name.startswith("device") else None
            entries = merged.setdefault(section.name, [] if earlier is None else earlier)
            entries.extend(section.entries)
    main = Section("main", Place(""), tuple(merged.get("main", ())))
    keyfile = Section("keyfile", Place(""), tuple(merged.get("keyfile", ())))
    named = [name for name in merged if name.startswith("device-")]
    order = [*_last_file_first(named, merged), *(["device"] if "device" in merged else [])]
    ignored = _list_of(main, "ignore-carrier")
    spoken = [entry for entry in main.entries if entry.key.rstrip("+-") == "ignore-carrier"]
    profiles, refused = _profiles(evidence)
    return NetworkManager(
        files=files,
        devices=tuple(Section(name, Place(""), tuple(merged[name])) for name in order),
        ignored=ignored,
        ignored_entry=spoken[-1] if spoken else None,
        unmanaged=tuple(term for term, _ in _list_of(keyfile, "unmanaged-devices")),
        profiles=profiles,
        refused=refused,
        takes_ifupdown=ini.is_true(Section("", Place(""), tuple(merged.get("ifupdown", ()))).value("managed"))
        is True,
    )


def _last_file_first(names: list[str], merged: dict[str, list[Entry]]) -> list[str]:
    """Order device sections: those of the last file first, within one file as they stand."""
    files: list[str] = []
    for name in names:
        file = merged[name][-1].place.file if merged[name] else ""
        if file not in files:
            files.append(file)
    return sorted(names, key=lambda name: -files.index(merged[name][-1].place.file if merged[name] else ""))


def _in_order(evidence: Evidence) -> Iterator[File]:
    """Give the files that count, the first read first; a name in /etc hides that in /run and /usr/lib."""
    by_folder = [
        {file.path.rpartition("/")[2]: file for file in evidence.matching(f"{folder}/*.conf")}
        for folder in FOLDERS
    ]
    vendor, running, local = by_folder
    yield from (file for name, file in vendor.items() if name not in running and name not in local)
    yield from (file for name, file in running.items() if name not in local)
    if evidence.has(_MAIN):
        yield evidence.files[_MAIN]
    yield from local.values()
    if evidence.has(_INTERN):
        yield evidence.files[_INTERN]


def _is_switched_off(sections: Iterable[Section]) -> bool:
    return any(
        section.name == ".config" and ini.is_true(section.value("enable")) is False for section in sections
    )


def _list_of(section: Section, key: str) -> tuple[tuple[str, Entry], ...]:
    """Return a list's terms: `key=` begins it anew, `key+=` appends, `key-=` takes away."""
    terms: list[tuple[str, Entry]] = []
    for entry in section.entries:
        if entry.key == key:
            terms = [(term, entry) for term in _terms(entry.value)]
        elif entry.key == f"{key}+":
            terms += [(term, entry) for term in _terms(entry.value)]
        elif entry.key == f"{key}-":
            gone = _terms(entry.value)
            terms = [(term, by) for term, by in terms if term not in gone]
    return tuple(terms)


def _terms(text: str) -> list[str]:
    return [term for term in re.split(r"[,;\s]+", text) if term]


def _is_global(terms: Iterable[str]) -> bool:
    """Tell whether a device list reaches further than interfaces that it names."""
    return any(term in {"*", "interface-name:*"} or term.startswith(("type:", "except:")) for term in terms)


def matches(terms: Iterable[str], interface: Interface) -> bool:
    """Tell whether a device list covers an interface: an `except:` that fits beats every other term.

    A list of nothing but `except:` covers all that they do not.
    """
    plain = [term for term in terms if not term.startswith("except:")]
    excepted = [term[len("except:") :] for term in terms if term.startswith("except:")]
    if any(_fits(term, interface) for term in excepted):
        return False
    if excepted and not plain:
        return True
    return any(_fits(term, interface) for term in plain)


def _fits(term: str, interface: Interface) -> bool:
    kind, colon, pattern = term.partition(":")
    if term == "*":
        return True
    if _MAC.match(term):
        return term.lower() == interface.mac.lower()
    if not colon:
        return term == interface.name
    match kind:
        case "interface-name":
            if pattern.startswith("="):
                return pattern[1:] == interface.name
            return fnmatchcase(interface.name, pattern.removeprefix("~"))
        case "mac":
            return pattern.lower() == interface.mac.lower()
        case "type":
            return pattern == interface.kind
        case "driver":
            return fnmatchcase(interface.driver, pattern)
        case _:
            return False


def _profiles(evidence: Evidence) -> tuple[tuple[Profile, ...], tuple[File, ...]]:
    """Read the keyfiles. One that others than root may read is ignored by NetworkManager, so here, too."""
    profiles: list[Profile] = []
    refused: list[File] = []
    for folder in ("/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections"):
        for file in evidence.matching(f"{folder}/*"):
            if file.problem:
                continue
            is_foreign = evidence.processes is not None and file.owner != 0  # a tree may be anybody's copy
            if file.mode & 0o077 or is_foreign:
                refused.append(file)
            else:
                profiles.append(_profile(file))
    return tuple(profiles), tuple(refused)


def _profile(file: File) -> Profile:
    document = ini.parse(file)
    connection = document.named("connection")
    families = [document.named("ipv4"), document.named("ipv6")]
    wired = (
        document.named("ethernet") if document.named("ethernet").entries else document.named("802-3-ethernet")
    )
    addresses = [
        entry.value.split(",")[0].strip()
        for family in families
        for entry in family.entries
        if _NUMBERED_ADDRESS.match(entry.key)
    ]
    return Profile(
        Manager.NETWORKMANAGER,
        Place(file.path),
        connection.value("id"),
        interface=connection.value("interface-name"),
        mac=wired.value("mac-address"),
        addresses=tuple(address for address in addresses if bare(address)),
        has_dhcp=families[0].value("method") == "auto",
        mtu=whole(wired.value("mtu")),
        kind=connection.value("type").replace("802-3-", ""),
        controller=connection.value("controller", connection.value("master")),
        settings={entry.key: entry for entry in connection.entries},
    )
