"""Describe a cluster in the same words, whether corosync.conf or komainu.toml does it.

Decides which of its nodes this machine is, and which addresses are its ends of the links. Must not know what
is wrong with any of it.
Source: corosync.conf(5), votequorum(5); docs/reference/komainu-toml.md.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from komainu.model.duration import parse_ms
from komainu.model.report import Place
from komainu.network.doctor import corosync
from komainu.network.doctor.corosync import Block, Version
from komainu.network.doctor.evidence import Evidence, File
from komainu.network.doctor.ini import is_true
from komainu.network.doctor.profile import bare, whole

COROSYNC_FILE: Final = "/etc/corosync/corosync.conf"
KOMAINU_FILE: Final = "/etc/komainu/komainu.toml"
KOMAINU_PORT: Final = 5415
BY_DISTRIBUTION: Final = "the version that this distribution has"
WATCHDOG_MS: Final = 5_000
"""komainu's watchdog time-out, where neither the file nor a profile says another."""

_KOMAINU_DETECT_MS: Final = (3_000, 1_000)  # with one link, with more


@dataclass(frozen=True, slots=True)
class Recommended:
    """What a profile, one word in komainu.toml, stands for; as far as the doctor judges by it."""

    watchdog_device: str
    watchdog_ms: int
    defaults: tuple[tuple[str, str], ...]  # of resources


PROFILES: Final = {
    "linux-ha-japan": Recommended(
        "/dev/watchdog", 6_000, (("resource-stickiness", "INFINITY"), ("migration-threshold", "1"))
    )
}
"""The same as in node/profile.py, which says why; a test holds them together."""


class Stack(Enum):
    """Which program keeps the membership."""

    COROSYNC = "Corosync"
    KOMAINU = "komainu"


@dataclass(frozen=True, slots=True)
class Member:
    """One node of the cluster: its name where it has one, and its address or host name on each link."""

    name: str
    ends: tuple[str, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Quorum:
    """The quorum options that count."""

    two_node: bool = False
    wait_for_all: bool = False
    tie_breaker: bool = False
    has_witness: bool = False
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as one file describes it.

    `silence_ms`: how long a silent node is borne; `formed_ms`: until the membership without it. `ports` are
    UDP. `links` counts the links of the node that has fewest.
    """

    stack: Stack
    file: str
    name: str
    members: tuple[Member, ...]
    me: Member | None
    links: int
    ports: tuple[int, ...]
    silence_ms: int
    formed_ms: int
    timing_place: Place | None  # where the time is set; None: the default
    quorum: Quorum
    version: Version | None = None
    version_seen: str = ""  # how the version is known
    transport: str = ""
    watchdog_ms: int | None = None
    has_watchdog: bool = False
    watchdog_device: str = ""  # where the file names one
    has_disks: bool = False  # komainu's own poison pill
    profile: str = ""  # the word for settings that belong together
    key_file: str = ""
    is_secured: bool = True
    netmtu: int | None = None
    bind_networks: tuple[str, ...] = ()  # totem.interface.bindnetaddr, where no node list has addresses

    @property
    def label(self) -> str:
        """Name the program, with its version where it is known."""
        parts: tuple[int, ...] = () if self.version is None else self.version
        if self.version_seen == BY_DISTRIBUTION:
            parts = parts[:1]
        number = " " + ".".join(str(part) for part in parts) if parts else ""
        return f"{self.stack.value}{number}"


Resolve = Callable[[str], str]
"""Turn a host name into an address by /etc/hosts; give the name back where it is not there."""


def find_me(
    members: tuple[Member, ...], names: tuple[str, ...], own: frozenset[str], resolve: Resolve
) -> Member | None:
    """Find this machine among the members: by an address that it has, else by its host name."""
    for member in members:
        if any(bare(resolve(end)) in own for end in member.ends):
            return member
    return next((member for member in members if member.name in names), None)


# -- corosync.conf --------------------------------------------------------------------------------------


def from_corosync(file: File, version: tuple[Version | None, str]) -> Cluster:
    """Describe the cluster of a corosync.conf; `me` is found later."""
    root, _odd = corosync.parse(file)
    totem, quorum = root.first("totem"), root.first("quorum")
    members = tuple(_corosync_member(block) for block in root.first("nodelist").all("node"))
    interfaces = list(totem.all("interface"))
    number = version[0]
    is_old = number is not None and number < (3, 0, 0)
    transport = totem.value("transport", "udp" if is_old else "knet")
    silence = corosync.token_ms(totem, len(members), number)
    token = totem.entry("token")
    ends = min((len(member.ends) for member in members), default=len(interfaces))
    is_open = (
        totem.value("crypto_cipher", "none") == "none"
        and totem.value("crypto_hash", "none") == "none"
        and is_true(totem.value("secauth", "off")) is not True
    )
    return Cluster(
        Stack.COROSYNC,
        file.path,
        totem.value("cluster_name"),
        members,
        None,
        ends,
        tuple(_corosync_ports(interfaces, transport, ends)),
        silence,
        silence + corosync.consensus_ms(totem, silence),
        None if token is None else token.place,
        _corosync_quorum(quorum),
        version=number,
        version_seen=version[1],
        transport=transport,
        has_watchdog=root.first("resources").first("watchdog_device").name == "watchdog_device"
        and bool(root.first("resources").entries),
        key_file=totem.value("keyfile", "/etc/corosync/authkey"),
        is_secured=not is_open,
        netmtu=totem.number("netmtu"),
        bind_networks=tuple(
            value for block in interfaces if not members and (value := block.value("bindnetaddr"))
        ),
    )


def _corosync_member(block: Block) -> Member:
    numbered = [(f"ring{number}_addr", block.value(f"ring{number}_addr")) for number in range(8)]
    return Member(block.value("name"), tuple(value for _, value in numbered if value), block.place)


def _corosync_ports(interfaces: list[Block], transport: str, links: int) -> list[int]:
    """Return the UDP port on which each link receives: with knet they count up from the first."""
    said: dict[int, int | None] = {}
    for block in interfaces:
        number = whole(block.value("linknumber") or block.value("ringnumber", "0"))
        if number is not None:
            said[number] = block.number("mcastport")
    step = 1 if transport == "knet" else 2  # udp and udpu send from the port below
    return [said.get(link) or corosync.PORT + step * link for link in range(max(1, links))]


def _corosync_quorum(block: Block) -> Quorum:
    two_node = block.value("two_node") == "1"
    wait = block.entry("wait_for_all")
    return Quorum(
        two_node=two_node,
        # votequorum(5): two_node switches wait_for_all on, unless the file says otherwise.
        wait_for_all=two_node if wait is None else wait.value == "1",
        tie_breaker=block.value("auto_tie_breaker") == "1",
        has_witness=block.first("device").value("model") != "",
        place=next(
            (entry.place for key in ("two_node", "wait_for_all") if (entry := block.entry(key))), block.place
        ),
    )


# -- komainu.toml ---------------------------------------------------------------------------------------

Tree = Mapping[str, object]


def from_komainu(file: File) -> Cluster:
    """Describe the cluster of a komainu.toml; `me` is found later. Raises ValueError when it is no TOML."""
    tree: Tree = tomllib.loads(file.text)
    cluster, watchdog = _table(tree, "cluster"), _table(tree, "watchdog")
    word = str(cluster.get("profile", ""))
    profile = PROFILES.get(word)
    nodes = tree.get("node")
    members = tuple(
        _komainu_member(node, file.path)
        for node in (nodes if isinstance(nodes, list) else [])
        if isinstance(node, dict)
    )
    links = min((len(member.ends) for member in members), default=0)
    said = cluster.get("detect_within")
    detect = parse_ms(said) if isinstance(said, str) else None
    port = cluster.get("port")
    detect = detect or _KOMAINU_DETECT_MS[links > 1]
    waits = watchdog.get("timeout")
    default_ms = WATCHDOG_MS if profile is None else profile.watchdog_ms
    has_watchdog = bool(watchdog) or profile is not None
    device = watchdog.get("device", "" if profile is None or watchdog else profile.watchdog_device)
    return Cluster(
        Stack.KOMAINU,
        file.path,
        str(cluster.get("name", "")),
        members,
        None,
        links,
        (port if isinstance(port, int) else KOMAINU_PORT,),
        detect,
        detect,
        Place(file.path) if said is not None else None,
        _komainu_quorum(_table(cluster, "quorum"), len(members), file.path),
        watchdog_ms=(parse_ms(waits) if isinstance(waits, str) else default_ms) if has_watchdog else None,
        has_watchdog=has_watchdog,
        watchdog_device=str(device or watchdog.get("socket", "")),
        has_disks=bool(_table(tree, "sbd").get("devices")),
        profile=word,
        key_file=str(cluster.get("key_file", "/etc/komainu/cluster.key")),
    )


def _komainu_member(node: Tree, file: str) -> Member:
    links = node.get("links")
    ends = [
        link.get("address") if isinstance(link, dict) else link
        for link in (links if isinstance(links, list) else [])
    ]
    return Member(str(node.get("name", "")), tuple(str(end) for end in ends if end), Place(file))


def _komainu_quorum(table: Tree, nodes: int, file: str) -> Quorum:
    two_node = table.get("two_node", nodes == 2) is True
    return Quorum(
        two_node=two_node,
        wait_for_all=table.get("wait_for_all", two_node) is True,
        tie_breaker=table.get("auto_tie_breaker") is True,
        has_witness=bool(_table(table, "witness")),
        place=Place(file),
    )


def _table(tree: Tree, key: str) -> Tree:
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


# -- both -----------------------------------------------------------------------------------------------


def read_version(evidence: Evidence, major_hint: tuple[Version | None, str]) -> tuple[Version | None, str]:
    """Find Corosync's version: what it says itself, its package, its folder of documents, or the hint."""
    output = evidence.outputs.get("corosync")
    told = None if output is None or output.problem else corosync.version_of(output.text)
    if told is not None:
        return told, "corosync -v"
    status = evidence.text("/var/lib/dpkg/status")
    _, found, after = status.partition("\nPackage: corosync\n")
    if found:
        line = next((line for line in after.splitlines() if line.startswith("Version: ")), "")
        return corosync.version_of(line.partition(":")[2].rpartition(":")[2]), "/var/lib/dpkg/status"
    for file in evidence.matching("/usr/share/doc/corosync-*"):
        named = corosync.version_of(file.path)
        if named is not None:
            return named, file.path
    return major_hint
