"""Say what could not be checked, so that silence is never taken for health.

Source: rule DOC001.
"""

from collections.abc import Iterator

from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.machine import Machine


def could_not_be_checked(machine: Machine) -> Iterator[Finding]:
    """DOC001: something could not be read, or did not answer."""
    for subject in dict.fromkeys(gap.subject for gap in machine.gaps):
        yield Finding(
            "DOC001",
            Gravity.WARNING,
            subject,
            "could not be checked",
            tuple(Seen(gap.problem, gap.place) for gap in machine.gaps if gap.subject == subject),
            "What depends on it is unknown: that nothing else was found about it means nothing.",
            Sureness.UNKNOWN,
            fix=Fix("mend it, or run this as root, and run it again"),
        )


def no_cluster(machine: Machine) -> Iterator[Finding]:
    """DOC002: nothing on this machine says which interfaces are interconnects."""
    if machine.clusters:
        return
    yield Finding(
        "DOC002",
        Gravity.WARNING,
        machine.hostname or "this machine",
        "no cluster is described here",
        (Seen("neither /etc/corosync/corosync.conf nor /etc/komainu/komainu.toml describes one"),),
        "Which interfaces are interconnects is unknown, so none of them was checked.",
        Sureness.UNKNOWN,
        "only a cluster's configuration says which addresses matter",
        Fix("run this on a node of the cluster, or name its file tree with --root"),
    )


def who_am_i(machine: Machine) -> Iterator[Finding]:
    """DOC003: the cluster's configuration does not have this machine."""
    for cluster in machine.clusters:
        if cluster.me is not None or machine.ends_of(cluster):
            continue
        names = ", ".join(
            member.name or member.ends[0] for member in cluster.members if member.name or member.ends
        )
        yield Finding(
            "DOC003",
            Gravity.WARNING,
            cluster.file,
            "this machine is none of its nodes",
            (Seen(f"nodes: {names or 'none'}; this machine is called {machine.hostname or 'nothing'}"),),
            "Neither an address nor the host name of this machine is there, so its links could not be checked.",
            Sureness.UNKNOWN,
            "an address may be missing at this moment",
            Fix("compare the addresses of the nodes with `ip address`"),
        )
