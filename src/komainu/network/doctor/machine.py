"""Put all facts of one machine together: its interfaces, who looks after them, its clusters, what stayed unknown.

Decides which interface carries which link. Must not know what is wrong with any of it; that is for the rules.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from komainu.cib.document import parse_cib
from komainu.cib.element import Element
from komainu.model.report import Place, Refused
from komainu.network.doctor import cluster, corosync, distribution, guards, ini, interfaces, wiring
from komainu.network.doctor.cluster import COROSYNC_FILE, KOMAINU_FILE, Cluster
from komainu.network.doctor.distribution import Distribution, Family
from komainu.network.doctor.evidence import Evidence, File
from komainu.network.doctor.guards import Guards
from komainu.network.doctor.profile import Interface, bare
from komainu.network.doctor.wiring import Keeping, Wiring

CIB_FILE: Final = "/var/lib/pacemaker/cib/cib.xml"

_BY_PROGRAMS: Final = ("/sys/", "/proc/", "/dev/", "/var/lib/dpkg/", CIB_FILE)
"""Where a file that refuses to be read is no news, or is told elsewhere."""

_ODD_LINES_MAX: Final = 3  # of one file: who has seen three bad lines opens the file
_COROSYNC_3_SINCE: Final = {Family.RED_HAT: 8, Family.DEBIAN: 10, Family.UBUNTU: 20, Family.SUSE: 16}


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be checked, and what therefore stays unknown."""

    subject: str
    problem: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class HostsLine:
    """One line of /etc/hosts."""

    address: str
    names: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class End:
    """This machine's end of a link of a cluster. `interface` None: no interface has the address."""

    cluster: Cluster
    number: int
    address: str
    interface: Interface | None
    keeping: Keeping | None

    @property
    def name(self) -> str:
        """Name the end for people."""
        return f"link {self.number}" if self.interface is None else self.interface.name


@dataclass(frozen=True, slots=True)
class Machine:
    """All that is known of one machine."""

    evidence: Evidence
    distribution: Distribution
    hostname: str
    interfaces: tuple[Interface, ...]
    wiring: Wiring
    hosts: tuple[HostsLine, ...]
    clusters: tuple[Cluster, ...]
    ends: tuple[End, ...]
    cib: Element | None
    cib_source: str
    guards: Guards
    gaps: tuple[Gap, ...]

    @property
    def is_live(self) -> bool:
        """Tell whether this is a running machine, and no tree of its files."""
        return self.evidence.processes is not None

    @property
    def lacks_watchdog(self) -> bool:
        """Tell whether this running machine is seen to have no watchdog, and none elsewhere is named."""
        names = (cluster.watchdog_device for cluster in self.clusters)
        elsewhere = any(name and not name.startswith("/dev/watchdog") for name in names)
        seen = bool(self.guards.watchdogs) or any(self.evidence.matching("/dev/watchdog*"))
        return self.is_live and not seen and not elsewhere

    def interface(self, name: str) -> Interface | None:
        """Return the interface of a name."""
        return next((one for one in self.interfaces if one.name == name), None)

    def addresses_of(self, interface: Interface) -> tuple[str, ...]:
        """Return an interface's addresses: what the kernel has, and what its profile wants besides."""
        profile = self.wiring.profile_of(interface)
        wanted = () if profile is None else profile.addresses
        held = {bare(address) for address in interface.addresses}
        return (*interface.addresses, *(address for address in wanted if bare(address) not in held))

    def has_one_neighbour(self, interface: Interface) -> bool:
        """Tell whether the kernel knows no neighbour but one on an interface, as on a direct cable."""
        rows = [line.split() for line in self.evidence.text("/proc/net/arp").splitlines()[1:]]
        return len([row for row in rows if row and row[-1] == interface.name]) == 1

    def resolve(self, name: str) -> str:
        """Return the address of a host name by /etc/hosts; the name itself where it is not there."""
        return next((line.address for line in self.hosts if name in line.names), name)

    def ends_of(self, of: Cluster) -> tuple[End, ...]:
        """Return this machine's ends of a cluster's links."""
        return tuple(end for end in self.ends if end.cluster is of)


def build(evidence: Evidence) -> Machine:
    """Put the facts of a machine together. Never fails: what cannot be read becomes a gap."""
    gaps = list(_unreadable(evidence))
    wires = wiring.read(evidence)
    gaps += _odd_lines(evidence, wires)
    system = distribution.read(evidence)
    ways = interfaces.read(evidence, wires.profiles)
    cib, source = _cib(evidence, gaps)
    machine = Machine(
        evidence=evidence,
        distribution=system,
        hostname=_hostname(evidence),
        interfaces=ways,
        wiring=wires,
        hosts=tuple(_hosts(evidence)),
        clusters=(),
        ends=(),
        cib=cib,
        cib_source=source,
        guards=guards.read(evidence, cib),
        gaps=(),
    )
    clusters = tuple(_located(machine, one) for one in _clusters(evidence, system, gaps))
    machine = replace(machine, clusters=clusters)
    ends = tuple(end for one in clusters for end in _ends(machine, one))
    return replace(machine, ends=ends, gaps=tuple(gaps))


def _hostname(evidence: Evidence) -> str:
    return (evidence.text("/proc/sys/kernel/hostname") or evidence.text("/etc/hostname")).strip()


def _hosts(evidence: Evidence) -> Iterator[HostsLine]:
    for number, line in enumerate(evidence.text("/etc/hosts").splitlines(), 1):
        words = line.partition("#")[0].split()
        if len(words) > 1:
            yield HostsLine(words[0], tuple(words[1:]), Place("/etc/hosts", number))


# -- what could not be read -----------------------------------------------------------------------------


def _unreadable(evidence: Evidence) -> Iterator[Gap]:
    for path, file in sorted(evidence.files.items()):
        if file.problem and not path.startswith(_BY_PROGRAMS):
            yield Gap(path, f"it cannot be read: {file.problem}", Place(path))
    for name, output in sorted(evidence.outputs.items()):
        if output.problem and name != "journal":  # NET017, which alone asks it, says how sure it is without
            yield Gap(name, f"the command gave no answer: {output.problem}")


def _odd_lines(evidence: Evidence, wires: Wiring) -> Iterator[Gap]:
    for file in (*wires.networkmanager.files, *(one.file for one in wires.networkd)):
        for place in ini.parse(file).odd[:_ODD_LINES_MAX]:
            yield Gap(file.path, "the line is neither a [section] nor a key=value", place)
    for place, problem in wires.netplan.odd:
        yield Gap(place.file, f"the file makes no sense to netplan: {problem}", place)
    ring = evidence.files.get(COROSYNC_FILE)
    for place in corosync.parse(ring)[1][:_ODD_LINES_MAX] if ring is not None else ():
        yield Gap(COROSYNC_FILE, "the line makes no sense, or its block never ends", place)


def _cib(evidence: Evidence, gaps: list[Gap]) -> tuple[Element | None, str]:
    """Return the configuration of the resources, and where it is from."""
    output = evidence.outputs.get("cib")
    is_told = output is not None and not output.problem and output.text.strip()
    text = output.text if output is not None and is_told else evidence.text(CIB_FILE)
    source = "the running cluster" if is_told else CIB_FILE
    if not text:
        file = evidence.files.get(CIB_FILE)
        if file is not None and file.problem:
            gaps.append(Gap(CIB_FILE, f"the file cannot be read: {file.problem}", Place(CIB_FILE)))
        return None, source
    try:
        root = parse_cib(text, source)
    except Refused as refused:
        gaps.append(Gap(source, refused.reports[0].message, refused.reports[0].place))
        return None, source
    return root, source


# -- clusters -------------------------------------------------------------------------------------------


def _clusters(evidence: Evidence, system: Distribution, gaps: list[Gap]) -> Iterator[Cluster]:
    for path in (COROSYNC_FILE, KOMAINU_FILE):
        file = evidence.files.get(path)
        if file is None or file.problem:
            continue
        try:
            found = _cluster(file, evidence, system)
        except (ValueError, RecursionError) as error:
            gaps.append(Gap(path, f"the file makes no sense: {error}", Place(path)))
            continue
        ends = [end for member in found.members for end in member.ends]
        if not ends or not all(end.startswith("127.") or end == "::1" for end in ends):
            yield found  # a file of nothing but loopback is the example that a package brings


def _cluster(file: File, evidence: Evidence, system: Distribution) -> Cluster:
    if file.path == KOMAINU_FILE:
        return cluster.from_komainu(file)
    is_new = 0 < _COROSYNC_3_SINCE.get(system.family, 0) <= system.major
    hint = ((3, 1, 0), cluster.BY_DISTRIBUTION) if is_new else (None, "")
    return cluster.from_corosync(file, cluster.read_version(evidence, hint))


def _located(machine: Machine, one: Cluster) -> Cluster:
    own = frozenset(bare(address) for way in machine.interfaces for address in machine.addresses_of(way))
    names = (machine.hostname, machine.hostname.partition(".")[0])
    return replace(one, me=cluster.find_me(one.members, names, own, machine.resolve))


def _ends(machine: Machine, one: Cluster) -> Iterator[End]:
    """Give this machine's ends of a cluster's links, each with the interface that has its address."""
    addresses = one.me.ends if one.me is not None else tuple(_bound(machine, one))
    for number, address in enumerate(addresses):
        wanted = bare(machine.resolve(address))
        if wanted.startswith("127.") or wanted == "::1":
            continue  # no end of a link; the rule about names says so
        way = _holder(machine, wanted)
        yield End(one, number, wanted, way, None if way is None else machine.wiring.keeping(way))


def _holder(machine: Machine, address: str) -> Interface | None:
    """Find the interface that has an address: in the kernel, else by its profile."""
    for held in (lambda way: way.addresses, machine.addresses_of):
        for way in machine.interfaces:
            if address in {bare(own) for own in held(way)}:
                return way
    return None


def _bound(machine: Machine, one: Cluster) -> Iterator[str]:
    """Give the addresses of this machine that lie in the networks that `bindnetaddr` names."""
    for network in one.bind_networks:
        for address in (own for way in machine.interfaces for own in machine.addresses_of(way)):
            try:
                is_inside = ipaddress.ip_address(network) in ipaddress.ip_interface(address).network
            except ValueError:
                continue
            if is_inside:
                yield bare(address)
