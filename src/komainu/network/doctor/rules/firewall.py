"""Find firewalls that keep the ring's datagrams out.

Source: rule NET014; the reasons stand in its page.
"""

from collections.abc import Iterator

from komainu.network.doctor import firewall
from komainu.network.doctor.cluster import Stack
from komainu.network.doctor.distribution import Family
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.firewall import Packet, Verdict
from komainu.network.doctor.machine import End, Machine
from komainu.network.doctor.profile import bare

_TOOLS = {"nftables": "nft list ruleset", "iptables": "iptables-save"}


def blocked_port(machine: Machine) -> Iterator[Finding]:
    """NET014: a firewall drops the ring's datagrams, or may."""
    for end in machine.ends:
        if end.interface is None:
            continue
        ports = end.cluster.ports  # one for each link, or one for all
        for port in ports[end.number : end.number + 1] or ports[:1]:
            found = _judge(machine, end, port)
            if found is not None and found[0] is not Verdict.OPEN:
                yield _finding(machine, end, port, found)


def _judge(machine: Machine, end: End, port: int) -> tuple[Verdict, str, str] | None:
    """Judge by both firewalls: a packet has to pass both. None: neither could be asked."""
    others = [member for member in end.cluster.members if member is not end.cluster.me]
    source = next(
        (bare(machine.resolve(one.ends[end.number])) for one in others if len(one.ends) > end.number), ""
    )
    packet = Packet("" if end.interface is None else end.interface.name, source, port)
    verdicts: list[tuple[Verdict, str, str]] = []
    for tool, command in _TOOLS.items():
        output = machine.evidence.outputs.get(tool)
        if output is None or output.problem or not output.text.strip():
            continue
        chains = (
            firewall.from_nftables(output.text, packet)
            if tool == "nftables"
            else firewall.from_iptables(output.text, packet)
        )
        if chains is not None:
            verdict, by = firewall.judge(chains)
            verdicts.append((verdict, by, command))
    blocked = [one for one in verdicts if one[0] is Verdict.BLOCKED]
    unknown = [one for one in verdicts if one[0] is Verdict.UNKNOWN]
    return next(iter((*blocked, *unknown, *verdicts)), None)


def _finding(machine: Machine, end: End, port: int, found: tuple[Verdict, str, str]) -> Finding:
    verdict, by, command = found
    is_blocked = verdict is Verdict.BLOCKED
    return Finding(
        "NET014",
        Gravity.ERROR if is_blocked else Gravity.NOTE,
        end.name,
        f"the firewall {'keeps' if is_blocked else 'may keep'} UDP port {port} out",
        (Seen(f"{command}: {by}"),),
        f"The peers' datagrams {'do' if is_blocked else 'may'} not reach this node by link {end.number}: "
        "it stays alone, or is lost as soon as its other links are.",
        Sureness.CERTAIN if is_blocked else Sureness.UNKNOWN,
        "" if is_blocked else "a rule is of a kind that is not understood here",
        Fix(_advice(machine, end, port)),
    )


def _advice(machine: Machine, end: End, port: int) -> str:
    if machine.evidence.is_running("firewalld") or machine.distribution.family in {
        Family.RED_HAT,
        Family.SUSE,
    }:
        service = (
            "--add-service=high-availability"
            if end.cluster.stack is Stack.COROSYNC
            else f"--add-port={port}/udp"
        )
        return f"firewall-cmd --permanent {service} && firewall-cmd --reload"
    if machine.distribution.family is Family.UBUNTU:
        return f"ufw allow in on {end.name} to any port {port} proto udp"
    return f"accept it before the rule that drops: iifname {end.name} udp dport {port} accept"
