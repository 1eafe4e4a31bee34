"""Find links that are one, that hang on one piece of hardware, or whose address will not be there.

Source: rules NET004 and NET006 to NET013; the reasons stand in their pages.
"""

import itertools
from collections.abc import Iterator

from komainu.model.duration import show_ms
from komainu.model.report import Place
from komainu.network.doctor.cluster import Cluster, Stack
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.machine import End, Machine
from komainu.network.doctor.profile import Interface, bare, network_of

STANDARD_MTU = 1500


def dhcp(machine: Machine) -> Iterator[Finding]:
    """NET004: an interconnect gets its address by DHCP."""
    for end in machine.ends:
        profile = None if end.keeping is None else end.keeping.profile
        if profile is None or not profile.has_dhcp or end.interface is None:
            continue
        is_static = end.address in {bare(address) for address in profile.addresses}
        yield Finding(
            "NET004",
            Gravity.NOTE if is_static else Gravity.ERROR,
            end.interface.name,
            "it asks a DHCP server" + (" beside its static address" if is_static else " for its address"),
            (Seen("DHCP is on", profile.place),),
            "The link's own address is static, so nothing is lost."
            if is_static
            else f"{end.address} goes when its lease ends while the server cannot be reached, and another "
            "address may come instead: the other nodes do not know that one.",
            fix=Fix(f"give {end.interface.name} the static address {end.address}, and switch DHCP off"),
        )


def single_link(machine: Machine) -> Iterator[Finding]:
    """NET006: there is only one interconnect."""
    for cluster in machine.clusters:
        if cluster.links != 1 or len(cluster.members) < 2:
            continue
        yield Finding(
            "NET006",
            Gravity.WARNING,
            cluster.file,
            "there is only one interconnect",
            (Seen(f"{len(cluster.members)} nodes with 1 link", cluster.members[0].place),),
            f"One cable, port or switch parts the nodes: after {show_ms(cluster.formed_ms)} each side takes the "
            "other for lost, and has to fence it. With a second link over other hardware the same fault changes "
            "nothing.",
            fix=Fix("add a second link over another card and another switch; the service LAN will do"),
        )


def _pairs(machine: Machine) -> Iterator[tuple[End, Interface, End, Interface]]:
    for cluster in machine.clusters:
        ends = [(end, end.interface) for end in machine.ends_of(cluster)]
        for (one, left), (other, right) in itertools.combinations(ends, 2):
            if left is not None and right is not None:
                yield one, left, other, right


def shared_hardware(machine: Machine) -> Iterator[Finding]:
    """NET007: two links share an interface, a bond, or a card."""
    for one, left, other, right in _pairs(machine):
        names = f"link {one.number} and link {other.number}"
        mine, theirs = _physical(machine, left), _physical(machine, right)
        ports = sorted({way.name for way in mine} & {way.name for way in theirs})
        cards = sorted({way.card for way in mine if way.card} & {way.card for way in theirs if way.card})
        if not ports and not cards:
            continue
        what = f"the interface {ports[0]}" if ports else f"the PCI card {cards[0]}"
        seen = [
            Seen(f"link {end.number} ({end.address}) is on {way.name}")
            for end, way in ((one, left), (other, right))
        ]
        seen += [
            Seen(f"{way.name} is at {way.hardware}")
            for way in dict.fromkeys((*mine, *theirs))
            if cards and way.hardware
        ]
        yield Finding(
            "NET007",
            Gravity.WARNING if ports else Gravity.NOTE,
            names,
            f"both hang on {what}",
            tuple(seen),
            f"When {what} fails, both links fail at once: they count as one.",
            fix=Fix("move one of the links to another card"),
        )


def _physical(machine: Machine, interface: Interface, depth: int = 0) -> tuple[Interface, ...]:
    """Return the interfaces that one is made of in the end; itself when it is made of none."""
    lowers = [machine.interface(name) or Interface(name) for name in interface.lowers]
    if not lowers or depth > 8:
        return (interface,)
    return tuple(way for lower in lowers for way in _physical(machine, lower, depth + 1))


def same_network(machine: Machine) -> Iterator[Finding]:
    """NET008: two links lie in the same IP network."""
    for one, left, other, right in _pairs(machine):
        networks = [
            next((network_of(own) for own in machine.addresses_of(way) if bare(own) == end.address), "")
            for end, way in ((one, left), (other, right))
        ]
        if not networks[0] or networks[0] != networks[1]:
            continue
        yield Finding(
            "NET008",
            Gravity.WARNING,
            f"link {one.number} and link {other.number}",
            "both lie in the same IP network",
            (Seen(f"{one.address} on {left.name} and {other.address} on {right.name} are in {networks[0]}"),),
            "The kernel may send the packets of both links by the same interface, so that losing one of them "
            "loses both. Vendors support only links in different networks.",
            Sureness.LIKELY,
            "it depends on routes and rp_filter",
            Fix("give each link an IP network of its own"),
        )


def shared_switch(machine: Machine) -> Iterator[Finding]:
    """NET009: whether two links share a switch cannot be seen from a node."""
    for cluster in machine.clusters:
        ends = machine.ends_of(cluster)
        if len(ends) < 2:
            continue
        yield Finding(
            "NET009",
            Gravity.NOTE,
            cluster.file,
            "whether its links share a switch is not known",
            tuple(Seen(f"link {end.number}: {end.address} on {end.name}") for end in ends),
            "If they do, that switch, or its power supply, takes all links at once.",
            Sureness.UNKNOWN,
            "a node cannot see past its own port; LLDP would tell",
            Fix("follow the cables: no two links through one switch"),
        )


def direct_with_watchdog(machine: Machine) -> Iterator[Finding]:
    """NET010: two nodes, whose only way to be sure that the other one is off is a watchdog."""
    for cluster in machine.clusters:
        if len(cluster.members) != 2 or not _only_watchdog(machine, cluster) or cluster.quorum.has_witness:
            continue
        alone = [
            end
            for end in machine.ends_of(cluster)
            if end.interface and machine.has_one_neighbour(end.interface)
        ]
        seen = [Seen(f"no fence device is configured; {by}", place) for by, place in _by_watchdog(machine)]
        seen += [Seen(f"{end.name}: the peer is the only neighbour") for end in alone]
        is_there = not machine.lacks_watchdog
        if not is_there:
            seen.append(Seen("/dev/watchdog does not exist on this machine"))
        yield Finding(
            "NET010",
            Gravity.ERROR,
            cluster.file,
            "two nodes have nothing but a watchdog to fence each other"
            if is_there
            else "two nodes have nothing to fence each other: they count on a watchdog that is not there",
            tuple(seen),
            "When the interconnect is cut, both nodes see the same thing, the more so with a direct cable, where "
            f"both lose their carrier at once. {_after_the_cut(cluster, is_there=is_there)}",
            Sureness.LIKELY if alone else Sureness.UNKNOWN,
            "the neighbour table has only the peer behind the interconnect"
            if alone
            else "whether the cable is direct cannot be seen from here",
            Fix("add a fence device of each node's own (IPMI, a power switch), or a third vote (a witness)"),
        )


def _only_watchdog(machine: Machine, cluster: Cluster) -> bool:
    """Tell whether the nodes count each other as off by a watchdog, and by nothing else.

    Where nobody counts on one, nothing is fenced at all: that is CLU004.
    """
    return (
        machine.guards.fencing_enabled is not False and machine.guards.only_watchdog and not cluster.has_disks
    )


def _after_the_cut(cluster: Cluster, *, is_there: bool) -> str:
    """Say what becomes of two halves that have nothing but a watchdog, or not even that."""
    if cluster.stack is Stack.KOMAINU:
        return (
            "Both halves of a pair keep quorum, so no watchdog resets the lost one, and komainu does not count it as off: "
            "what ran there is not taken over until somebody confirms that it is off."
        )
    if is_there:
        return (
            "By a watchdog a node can only reset itself: either both do, and the service is down, or none does, and both "
            "run it."
        )
    return (
        "Each takes the other for off after a while, and nothing has switched it off: both run the service."
    )


def _by_watchdog(machine: Machine) -> Iterator[tuple[str, Place | None]]:
    """Say why the nodes would count each other as off."""
    guards = machine.guards
    if guards.uses_sbd:
        yield "SBD without a disk", guards.sbd_place
    elif guards.wait_ms:
        yield f"stonith-watchdog-timeout={show_ms(guards.wait_ms)}", Place(machine.cib_source)


def mtu(machine: Machine) -> Iterator[Finding]:
    """NET011: packet sizes that do not fit together, as far as one node can see."""
    for end in machine.ends:
        way = end.interface
        if way is None:
            continue
        profile = machine.wiring.profile_of(way)
        wanted = None if profile is None else profile.mtu
        if wanted is not None and way.mtu is not None and wanted != way.mtu:
            yield _mtu_finding(
                way,
                Gravity.WARNING,
                (
                    Seen(f"the kernel has {way.mtu}"),
                    Seen(f"MTU {wanted}", None if profile is None else profile.place),
                ),
                "The next restart of the network changes the packet size of this node alone, and with it which "
                "packets reach its peers.",
                f"set it on every node to the same value: {wanted} or {way.mtu}",
            )
        for lower in (machine.interface(name) for name in way.lowers):
            if lower is not None and lower.mtu is not None and way.mtu is not None and lower.mtu < way.mtu:
                yield _mtu_finding(
                    way,
                    Gravity.ERROR,
                    (Seen(f"{way.name} has {way.mtu}"), Seen(f"{lower.name} below it has {lower.mtu}")),
                    "Packets larger than that are lost without a word: heartbeats pass, and everything larger, "
                    "such as a configuration, does not.",
                    f"set the MTU of {lower.name} to {way.mtu}",
                )
        netmtu = end.cluster.netmtu
        if netmtu is not None and way.mtu is not None and netmtu > way.mtu:
            yield _mtu_finding(
                way,
                Gravity.ERROR,
                (Seen(f"netmtu: {netmtu} in {end.cluster.file}"), Seen(f"the kernel has {way.mtu}")),
                "Corosync sends packets that are cut into pieces or lost.",
                f"set netmtu to {way.mtu}, or leave it out",
            )
        if (way.mtu or wanted or STANDARD_MTU) != STANDARD_MTU:
            yield _mtu_finding(
                way, Gravity.NOTE, (Seen(f"MTU {way.mtu or wanted}"),),
                "All nodes and every switch between them need the same; a smaller one on the way loses large "
                "packets only.", "compare it on every node (--peer), and try: ping -M do -s SIZE PEER",
            )  # fmt: skip


def _mtu_finding(
    way: Interface, gravity: Gravity, seen: tuple[Seen, ...], effect: str, advice: str
) -> Finding:
    is_note = gravity is Gravity.NOTE
    return Finding(
        "NET011",
        gravity,
        way.name,
        "its packet size is not the usual one" if is_note else "its packet size does not fit",
        seen,
        effect,
        Sureness.UNKNOWN if is_note else Sureness.CERTAIN,
        "the other nodes and the switches cannot be seen from here" if is_note else "",
        Fix(advice),
    )


def duplicate_address(machine: Machine) -> Iterator[Finding]:
    """NET012: an address of a link is there twice."""
    for cluster in machine.clusters:
        owners: dict[str, list[str]] = {}
        for member in cluster.members:
            for number, end in enumerate(member.ends):
                name = f"link {number} of {member.name or member.place}"
                owners.setdefault(bare(machine.resolve(end)), []).append(name)
        for address, names in owners.items():
            if len(names) > 1:
                yield _duplicate(address, f"{address} is {' and '.join(names)}", cluster.file)
    for address in dict.fromkeys(end.address for end in machine.ends):
        holders = [
            way.name
            for way in machine.interfaces
            if address in {bare(own) for own in machine.addresses_of(way)}
        ]
        if len(holders) > 1:
            yield _duplicate(address, f"{address} is on {' and '.join(holders)}", "this machine")


def _duplicate(address: str, seen: str, where: str) -> Finding:
    return Finding(
        "NET012",
        Gravity.ERROR,
        address,
        "the address is there twice",
        (Seen(f"{seen} ({where})"),),
        "Packets for it reach now the one, now the other: links flap, and nodes take each other for lost.",
        fix=Fix("give each end of each link an address of its own"),
    )


def missing_address(machine: Machine) -> Iterator[Finding]:
    """NET013: an address of a link is not on this machine, or no longer."""
    told = machine.evidence.outputs.get("addresses")
    is_told = told is not None and not told.problem
    for end in machine.ends:
        if end.interface is not None and not (machine.is_live and is_told):
            continue
        if end.interface is not None and end.address in {bare(own) for own in end.interface.addresses}:
            continue
        where = "no interface has it" if end.interface is None else f"{end.interface.name} should have it"
        yield Finding(
            "NET013",
            Gravity.ERROR if end.interface is not None else Gravity.WARNING,
            end.address,
            "this link has no address now"
            if end.interface is not None
            else "no interface has this link's address",
            (Seen(f"link {end.number} of {end.cluster.file} is {end.address}; {where}"),),
            f"Link {end.number} is dead on this node until the address is there."
            if machine.is_live
            else f"If nothing else sets it, link {end.number} is dead on this node.",
            Sureness.CERTAIN if machine.is_live else Sureness.LIKELY,
            "" if machine.is_live else "a file tree does not show the addresses of the kernel",
            Fix(f"set {end.address} in the network configuration, and bring the interface up"),
        )


def odd_name(machine: Machine) -> Iterator[Finding]:
    """NET016: an interconnect's name has characters that configuration files cannot hold."""
    for end in machine.ends:
        name = "" if end.interface is None else end.interface.name
        if all(character.isascii() and (character.isalnum() or character in "._-@") for character in name):
            continue
        yield Finding(
            "NET016",
            Gravity.NOTE,
            name,
            "the interface has an unusual name",
            (Seen(f"its name is {name!r}"),),
            "Lists of devices in configuration files are parted by commas, semicolons and blanks; a name with "
            "such characters may not be matched.",
            Sureness.LIKELY,
            "it depends on the network manager",
            Fix("rename it (systemd.link(5)), or match it by its MAC address"),
        )
