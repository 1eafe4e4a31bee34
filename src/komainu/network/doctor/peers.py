"""Compare this machine with what the doctor found on the other nodes of its cluster.

Decides what has to be alike on all nodes, and what must not. Must not know how their summaries came here: they
are what `komainu doctor --format json` wrote there. A field that an older report has not is not compared.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import msgspec

import komainu
from komainu.model.report import Place
from komainu.network.doctor.cluster import Stack
from komainu.network.doctor.evidence import KEYS
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.machine import End, Machine
from komainu.network.doctor.profile import bare

APART_S_MAX: Final = 1.0
"""Clocks that are looked after differ by milliseconds; what is asked over a network is known to parts of a second."""


class LinkSummary(msgspec.Struct, frozen=True):
    """One end of a link: where it is, and what becomes of it without carrier."""

    cluster: str  # the file that describes it
    link: int
    address: str
    interface: str | None
    mac: str
    mtu: int | None
    manager: str | None
    lost_after_ms: int | None


class ClusterSummary(msgspec.Struct, frozen=True):
    """One cluster: its file, a digest of the file's text without comments, and the program."""

    file: str
    digest: str
    program: str


class Summary(msgspec.Struct, frozen=True):
    """What other nodes need to know of this one.

    `keys` has a digest of each key by its file; `names` where its /etc/hosts leads each node's name. `clock_s` is its
    wall clock as it looked; `apart_s` is filled in by who asked it: how far that is from the clock here.
    """

    node: str
    system: str
    links: tuple[LinkSummary, ...]
    clusters: tuple[ClusterSummary, ...]
    keys: dict[str, str] = {}
    names: dict[str, str] = {}
    clock_s: float | None = None
    apart_s: float = 0


def summarise(machine: Machine) -> Summary:
    """Say what other nodes need to know of this one."""
    evidence = machine.evidence
    members = [member for one in machine.clusters for member in one.members]
    looked_up = {name: machine.resolve(name) for one in members for name in (one.name, *one.ends)}
    return Summary(
        machine.hostname,
        machine.distribution.name,
        tuple(_link(end) for end in machine.ends),
        tuple(
            ClusterSummary(
                one.file,
                _digest(evidence.text(one.file)),
                f"komainu {komainu.__version__}"
                if one.stack is Stack.KOMAINU and machine.is_live
                else one.label,
            )
            for one in machine.clusters
        ),
        {path: evidence.files[path].digest for path in KEYS if evidence.has(path)},
        {name: bare(address) for name, address in looked_up.items() if address != name},
        evidence.clock_s,
    )


def _link(end: End) -> LinkSummary:
    way, keeping = end.interface, end.keeping
    return LinkSummary(
        end.cluster.file,
        end.number,
        end.address,
        None if way is None else way.name,
        "" if way is None else way.mac,
        None if way is None else way.mtu,
        None if keeping is None else keeping.manager.value,
        None if keeping is None else keeping.after_ms,
    )


def _digest(text: str) -> str:
    """Return a digest of what a file says: comments and layout may differ from node to node."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    said = [line for line in lines if line and not line.startswith("#")]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def compare(machine: Machine, peers: tuple[Summary, ...]) -> Iterator[Finding]:
    """Give what does not fit among this machine and its peers; nothing where there are none."""
    if not peers:
        return
    told = (summarise(machine), *peers)
    yield from _files(told)
    yield from _keys(told)
    yield from _sizes(told)
    yield from _twins(told)
    yield from _names(told)
    yield from _clocks(peers)


# -- what has to be alike -------------------------------------------------------------------------------

Said = Iterable[tuple[str, str]]
"""Which node says what."""


def _parted(said: Said) -> list[tuple[str, list[str]]]:
    """Return each thing said with the nodes that say it, this machine's first; nothing when all say the same."""
    groups: dict[str, list[str]] = {}
    for node, what in said:
        if what:
            groups.setdefault(what, []).append(node)
    return list(groups.items()) if len(groups) > 1 else []


def _others(groups: list[tuple[str, list[str]]]) -> str:
    """Name the nodes that are not as the first."""
    names = [node for _, nodes in groups[1:] for node in nodes]
    return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} another"


def _rows(groups: list[tuple[str, list[str]]]) -> tuple[Seen, ...]:
    return tuple(Seen(f"{', '.join(nodes)}: {what}") for what, nodes in groups)


def _files(told: tuple[Summary, ...]) -> Iterator[Finding]:
    """CLU011: the nodes do not have the same file, or not the same program."""
    for file in dict.fromkeys(one.file for node in told for one in node.clusters):
        mine = [(node.node, one) for node in told for one in node.clusters if one.file == file]
        groups = _parted((node, one.digest) for node, one in mine)
        if groups:
            yield Finding(
                "CLU011",
                Gravity.ERROR,
                file,
                f"{_others(groups)} file",
                tuple(
                    Seen(
                        f"{', '.join(nodes)}: its text, without comments, has the sum {sum_[:8]}", Place(file)
                    )
                    for sum_, nodes in groups
                ),
                "The nodes do not agree on who is a member, by which links, or how long silence is borne: after the "
                "next restart of one of them they may not find each other.",
                fix=Fix(f"copy {file} to every node"),
            )
        groups = _parted((node, one.program) for node, one in mine)
        if groups:
            yield Finding(
                "CLU011",
                Gravity.WARNING,
                file,
                f"{_others(groups)} version",
                _rows(groups),
                "Mixed versions are for the time of an upgrade; they are tested least.",
                fix=Fix("bring all to the same version"),
            )


def _keys(told: tuple[Summary, ...]) -> Iterator[Finding]:
    """CLU012: the nodes do not have the same key."""
    for path in KEYS:
        groups = _parted((node.node, node.keys.get(path, "")) for node in told)
        if groups:
            yield Finding(
                "CLU012",
                Gravity.ERROR,
                path,
                f"{_others(groups)} key",
                tuple(Seen(f"{', '.join(nodes)}: a key with the sum {sum_}") for sum_, nodes in groups),
                "Nodes with different keys throw each other's messages away: after the next restart of one of them "
                "each thinks that the other is gone.",
                fix=Fix(
                    f"copy {path} of the nodes that see each other to the others (scp -p), and start them again"
                ),
            )


def _sizes(told: tuple[Summary, ...]) -> Iterator[Finding]:
    """NET011: sizes that differ on one link."""
    for cluster, link in dict.fromkeys((one.cluster, one.link) for node in told for one in node.links):
        ends = [
            (node.node, one)
            for node in told
            for one in node.links
            if (one.cluster, one.link) == (cluster, link)
        ]
        groups = _parted((node, "" if one.mtu is None else str(one.mtu)) for node, one in ends)
        if groups:
            ways = {node: one.interface or one.address for node, one in ends}
            yield Finding(
                "NET011",
                Gravity.ERROR,
                ways[groups[0][1][0]],
                f"{_others(groups)} packet size",
                tuple(
                    Seen(f"{', '.join(f'{ways[node]} of {node}' for node in nodes)}: {size}")
                    for size, nodes in groups
                ),
                "Packets larger than the smallest of them are lost without a word: heartbeats pass, and everything "
                "larger, such as a configuration, does not.",
                fix=Fix(f"set all to {min(int(size) for size, _ in groups)}"),
            )


def _names(told: tuple[Summary, ...]) -> Iterator[Finding]:
    """CLU009: one name leads to different addresses. To loopback: each node says so itself."""
    for name in dict.fromkeys(chain.from_iterable(node.names for node in told)):
        addresses = ((node.node, node.names.get(name, "")) for node in told)
        groups = _parted(
            (node, one) for node, one in addresses if not one.startswith("127.") and one != "::1"
        )
        if groups:
            yield Finding(
                "CLU009",
                Gravity.WARNING,
                name,
                "the node's name leads to different addresses",
                tuple(Seen(f"{', '.join(nodes)}: {one}", Place("/etc/hosts")) for one, nodes in groups),
                "What looks the node up by its name (agents, pcs, ssh) reaches it by another way from each node, or "
                "not at all.",
                Sureness.LIKELY,
                "a node with several addresses may be meant to have several lines",
                Fix("write the same lines for all nodes into every /etc/hosts"),
            )


def _clocks(peers: tuple[Summary, ...]) -> Iterator[Finding]:
    """SYS002: a clock is far from the one here."""
    for node in peers:
        if abs(node.apart_s) > APART_S_MAX:
            way = "ahead of" if node.apart_s > 0 else "behind"
            yield Finding(
                "SYS002",
                Gravity.WARNING,
                node.node,
                "its clock is not that of this machine",
                (Seen(f"{node.node} is at least {abs(node.apart_s):.1f} s {way} this machine"),),
                "Logs cannot be put in order, time-based rules and failure time-outs differ from node to node, "
                "certificates may be refused.",
                fix=Fix("have a time service run on every node, with the same sources (chrony)"),
            )


# -- what must not be alike -----------------------------------------------------------------------------


def _twins(told: tuple[Summary, ...]) -> Iterator[Finding]:
    """NET012: an address that is on two machines."""
    holders: dict[str, dict[str, str]] = {}  # address -> node -> interface
    for node in told:
        for one in node.links:
            for address in filter(None, (one.address, one.mac)):
                holders.setdefault(address, {}).setdefault(node.node, one.interface or one.address)
    for address, ways in holders.items():
        if len(ways) > 1:
            yield Finding(
                "NET012",
                Gravity.ERROR,
                address,
                "the address is there twice",
                tuple(Seen(f"{way} of {node} has {address}") for node, way in ways.items()),
                "Packets for it reach now the one, now the other: links flap, and nodes take each other for lost.",
                fix=Fix("give each its own; machines that were cloned need new MAC addresses, too"),
            )
