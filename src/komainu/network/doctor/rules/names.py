"""Find names that lead to the wrong machine, or to none.

Source: rules CLU009 and CLU010; the reasons stand in their pages.
"""

import ipaddress
from collections.abc import Iterator

from komainu.network.doctor.cluster import Member, Stack
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.machine import HostsLine, Machine


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def node_names(machine: Machine) -> Iterator[Finding]:
    """CLU009: a node's name leads to localhost, or cannot be looked up here."""
    members = [member for cluster in machine.clusters for member in cluster.members]
    for member in members:
        for name in dict.fromkeys((member.name, *member.ends)):
            if not name or _is_address(name):
                continue
            line = next((line for line in machine.hosts if name in line.names), None)
            is_end = name in member.ends
            if line is not None and line.address.startswith(("127.", "::1")):
                yield _loopback(name, line, is_end=is_end)
            elif line is None and is_end:
                yield _unlisted(name, member)


def _loopback(name: str, line: HostsLine, *, is_end: bool) -> Finding:
    return Finding(
        "CLU009",
        Gravity.ERROR if is_end else Gravity.WARNING,
        name,
        "the node's name leads to this machine's loopback",
        (Seen(f"{line.address} {' '.join(line.names)}", line.place),),
        "The cluster takes 127.x for the node's address: the daemon refuses to start, or nodes talk to themselves."
        if is_end
        else "The links have addresses of their own, so the ring works; but what looks the node up by its name "
        "(agents, pcs, ssh) reaches the wrong machine.",
        fix=Fix(f"let {name} stand in /etc/hosts with its address on the interconnect, and nowhere else"),
    )


def _unlisted(name: str, member: Member) -> Finding:
    return Finding(
        "CLU009",
        Gravity.WARNING,
        name,
        "the link's address is looked up by a name that is not in /etc/hosts",
        (Seen(f"{name} stands where an address could", member.place),),
        "Without its name server this node does not find its peers when it starts.",
        Sureness.LIKELY,
        "another source of names may have it",
        Fix(f"write the address itself, or add {name} to /etc/hosts on every node"),
    )


def host_name(machine: Machine) -> Iterator[Finding]:
    """CLU010: the node's name is not the host's."""
    short = machine.hostname.partition(".")[0]
    for cluster in machine.clusters:
        me = cluster.me
        if me is None or not me.name or not machine.hostname or me.name in {machine.hostname, short}:
            continue
        is_komainu = cluster.stack is Stack.KOMAINU
        yield Finding(
            "CLU010",
            Gravity.NOTE if is_komainu else Gravity.WARNING,
            me.name,
            "the node's name is not the name of its host",
            (
                Seen(f"the node is called {me.name}", me.place),
                Seen(f"the host is called {machine.hostname}"),
            ),
            f"The daemon finds itself by the host name: it has to be started with --name {me.name}."
            if is_komainu
            else "While its address is missing, a node is found by its host name alone: it does not start, or takes "
            "the address of another node for its own.",
            Sureness.CERTAIN if is_komainu else Sureness.LIKELY,
            "" if is_komainu else "seen with Corosync 3.1.7 when the address was missing at start or reload",
            Fix(f"hostnamectl set-hostname {me.name}"),
        )
