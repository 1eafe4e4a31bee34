"""Compare this machine with what the doctor found on the other nodes of its cluster.

Decides what has to be alike on all nodes, and what must not. Must not know how their summaries came here: they
are what `komainu doctor --format json` wrote there.
"""

import hashlib
from collections.abc import Iterator

import msgspec

from komainu.model.report import Place
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen
from komainu.network.doctor.machine import End, Machine


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
    """What other nodes need to know of this one."""

    node: str
    system: str
    links: tuple[LinkSummary, ...]
    clusters: tuple[ClusterSummary, ...]


def summarise(machine: Machine) -> Summary:
    """Say what other nodes need to know of this one."""
    return Summary(
        machine.hostname,
        machine.distribution.name,
        tuple(_link(end) for end in machine.ends),
        tuple(
            ClusterSummary(one.file, _digest(machine.evidence.text(one.file)), one.label)
            for one in machine.clusters
        ),
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
    """Give what does not fit between this machine and its peers."""
    mine = summarise(machine)
    for peer in peers:
        yield from _clusters(mine, peer)
        for own in mine.links:
            for other in peer.links:
                yield from _links(own, other, peer)


def _clusters(mine: Summary, peer: Summary) -> Iterator[Finding]:
    """CLU011: the nodes do not have the same file, or not the same program."""
    for own in mine.clusters:
        for other in peer.clusters:
            if own.file != other.file:
                continue
            what = "file" if own.digest != other.digest else "version"
            if own.digest == other.digest and own.program == other.program:
                continue
            yield Finding(
                "CLU011",
                Gravity.ERROR if what == "file" else Gravity.WARNING,
                own.file,
                f"{peer.node} has another {what}",
                (Seen(f"here {own.program}, there {other.program}", Place(own.file)),),
                "The nodes do not agree on who is a member, by which links, or how long silence is borne: after the "
                "next restart of one of them they may not find each other."
                if what == "file"
                else "Mixed versions are for the time of an upgrade; they are tested least.",
                fix=Fix(
                    f"copy {own.file} to every node" if what == "file" else "bring both to the same version"
                ),
            )


def _links(own: LinkSummary, other: LinkSummary, peer: Summary) -> Iterator[Finding]:
    """NET011 and NET012: sizes that differ on one link; addresses that are on two machines."""
    names = (own.interface or own.address, other.interface or other.address)
    is_same_link = (own.cluster, own.link) == (other.cluster, other.link)
    if is_same_link and own.mtu is not None and other.mtu is not None and own.mtu != other.mtu:
        yield Finding(
            "NET011",
            Gravity.ERROR,
            names[0],
            f"{peer.node} has another packet size",
            (Seen(f"{names[0]} here: {own.mtu}"), Seen(f"{names[1]} of {peer.node}: {other.mtu}")),
            "Packets larger than the smaller of them are lost without a word: heartbeats pass, and everything larger, "
            "such as a configuration, does not.",
            fix=Fix(f"set both to {min(own.mtu, other.mtu)}"),
        )
    if own.address == other.address or (own.mac and own.mac == other.mac):
        twin = own.address if own.address == other.address else own.mac
        yield Finding(
            "NET012",
            Gravity.ERROR,
            twin,
            "the address is there twice",
            (Seen(f"{names[0]} here and {names[1]} of {peer.node} have {twin}"),),
            "Packets for it reach now the one, now the other: links flap, and nodes take each other for lost.",
            fix=Fix("give each its own; machines that were cloned need new MAC addresses, too"),
        )
