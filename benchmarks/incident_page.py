"""Write docs/incident.md from the cells that were measured. Decides only words and tables; measures nothing."""

import subprocess
from collections.abc import Iterator

from komainu.cli.incident import GAP_MAX_MS, address, healed, missed
from komainu.lab.incident import Cabling, Cell
from komainu.model.duration import show_ms

STACKS = ("komainu", "corosync3", "corosync3-udpu", "pacemaker")
NAMES = {
    "komainu": "komainu",
    "corosync3": "Corosync 3, knet",
    "corosync3-udpu": "Corosync 3, udpu",
    "pacemaker": "Corosync 3, knet + Pacemaker",
}
PACKAGES = ("network-manager", "systemd", "corosync", "libknet1", "pacemaker")
NOTHING_PASSES = ("cable pulled", "switch dies", "ifdown", "interface deleted")
"""Faults after which the interconnect carries nothing, so that a node without a second path is alone."""

HEAD = """# The incident, live

One night, the interconnect cable of a two-node cluster was pulled. NetworkManager took the address away, Corosync
crashed, the watchdog reset the node, and since the cable was direct, the same happened on the other node. Here
the same is done with the real programs, with komainu and with today's peers. `make bench-incident` measures
everything on this page again and rewrites it: 43 set-ups, four at a time, by the cells' own times some 45 minutes.
`make incident-sample` measures that night's cell with each stack in a few minutes, and one set-up is `komainu drill run
incident --stack … --network …`.

Two machines in namespaces, each with its own NetworkManager or systemd-networkd (unchanged packages), its own
D-Bus and files; a service LAN for the client, who asks the web server every 20 ms. `direct` and `switch`: the
interconnect is the ring's only link. `dual`: the service LAN is its second link. Each fault hits the node that runs
the service, stays for 12 s, is repaired, and the cluster has 30 s to be as before. No fencing and, for the peers,
no watchdog: what is compared is what the ring does, and a reset would hide it. So their `reboots` are 0 here.
"""


def page(cells: list[Cell], note: str = "") -> str:
    """Write the whole page."""
    parts = [
        HEAD,
        f"Measured with {versions()}; {moments(cells)}.\n",
        *([f"{note}\n"] if note else []),
        *listings(cells),
        *summary(cells),
        *promises(cells),
    ]
    for network, server in dict.fromkeys((cell.network, cell.server_config) for cell in cells):
        chosen = [cell for cell in cells if (cell.network, cell.server_config) == (network, server)]
        parts += section(network, chosen, server=server)
    return "\n".join(parts)


def versions() -> str:
    """Name the packages that took part, as installed."""
    command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return ", ".join(done.stdout.split("\n")).strip(", ") or "packages of unknown version"


def moments(cells: list[Cell]) -> str:
    """Say when each stack was measured: they need not have been measured together."""
    told = []
    for stack in STACKS:
        found = sorted({cell.measured for cell in cells if cell.stack == stack and cell.measured})
        if found:
            until = f" to {found[-1].rpartition(' ')[2]}" if found[-1] != found[0] else ""
            told.append(f"{NAMES[stack]}: {found[0]}{until}")
    return "; ".join(told) or "at a time that was not written down"


def listings(cells: list[Cell]) -> Iterator[str]:
    """Show the two listings: the address that is gone, and the address that stays."""
    yield "## The two listings\n"
    for server in (False, True):
        found = [
            cell
            for cell in cells
            if (cell.network, cell.server_config, cell.cabling) == ("networkmanager", server, "direct")
            and cell.fault == "cable pulled"
            and cell.listing
        ]
        if found:
            how = "With what NetworkManager-config-server ships" if server else "NetworkManager as it is"
            text = "\n".join(line.rstrip() for line in found[0].listing.splitlines())
            yield f"{how}; 12 s after the cable was pulled:\n\n```text\n$ ip addr show eth1\n{text}\n```\n"


def summary(cells: list[Cell]) -> Iterator[str]:
    """Sum up each stack in one row."""
    yield "## Summary\n"
    yield "| | cells | daemon exits | reboots | wrong about its peer | service on two nodes | longest gap, dual | not healed |"
    yield "|---|---|---|---|---|---|---|---|"
    for stack in STACKS:
        own = [cell for cell in cells if cell.stack == stack]
        gaps = [cell.gap_ms for cell in own if cell.gap_ms is not None and cell.cabling == Cabling.DUAL.value]
        yield row(
            NAMES[stack],
            len(own),
            sum(cell.daemon_exits for cell in own),
            sum(cell.reboots for cell in own),
            sum(map(is_wrong, own)),
            sum(cell.two_at_once_ms > 0 for cell in own)
            if any(cell.gap_ms is not None for cell in own)
            else "-",
            f"{max(gaps)} ms" if gaps else "-",
            sum(cell.healed_ms is None for cell in own),
        )
    both = [cell for cell in cells if cell.stack == "komainu" and cell.two_at_once_ms > 0]
    cut = sum(cell.cabling != Cabling.DUAL.value for cell in both)
    yield (
        f"\nIn {len(both)} of komainu's cells the service stood on two nodes, {cut} of them with one path only. That is "
        "what a configuration without fencing means: once nothing passes between two nodes, neither can know that the "
        "other one is off, and both go on. Safety rule S2 asks for a fencing that is confirmed before a take-over; "
        "here the operator has said that he does without (`stonith-enabled=false`), for "
        "Pacemaker, too. `komainu status` and `komainu doctor` (CLU004) warn of it. What ends it is a fence device, or a second "
        "path, which none of these faults takes away.\n"
        "\n*Wrong about its peer*: 12 s after the fault, a node still counts the other one as a member of its "
        "quorate view, though nothing passes between them or the other one does not count it.\n*Service on two nodes*: without fencing, nothing can keep "
        "two nodes that are both alone from both going on. komainu takes over when its turn in a round has come, as "
        "if there were a race to be won ([two nodes](concepts/two-nodes.md)); in some rows that would only be after the 12 s.\n"
        "*Healed* is seen by polling the stacks' tools, which takes about 0.1 s.\n"
    )


def promises(cells: list[Cell]) -> Iterator[str]:
    """List every cell in which komainu did not do what it promises."""
    bad = [(cell, text) for cell in cells for text in missed(cell)]
    yield f"komainu promises: no exit, no reboot, all as before after the repair, and with a second path no gap over {GAP_MAX_MS} ms."
    if not bad:
        yield "It kept that in every cell.\n"
        return
    yield "It did not keep that here:\n"
    for cell, text in bad:
        yield f"- {cell.network}, server config {_yes(cell)}, {cell.cabling}, {cell.fault}: {text}"
    yield ""


def section(network: str, cells: list[Cell], *, server: bool) -> Iterator[str]:
    """Write the table of one network manager."""
    title = {"networkmanager": "NetworkManager", "networkd": "systemd-networkd", "static": "No manager"}[
        network
    ]
    knob = {"networkmanager": "the server config", "networkd": "ConfigureWithoutCarrier"}.get(network)
    how = "" if knob is None else f", {'with' if server else 'without'} {knob}"
    yield f"## {title}{how}\n"
    yield "| cabling | fault | stack | address | a sees; b sees | links | views | exits | reboots | gap | on two nodes | healed |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    faults = list(dict.fromkeys(cell.fault for cell in cells))
    cablings = [one.value for one in Cabling]
    for cell in sorted(
        cells, key=lambda one: (cablings.index(one.cabling), faults.index(one.fault), STACKS.index(one.stack))
    ):
        back = "" if cell.back_ms is None else f", back {show_ms(cell.back_ms)}"
        thought = "; ".join(cell.thought.values()) + (" (**wrong**)" if is_wrong(cell) else "")
        gap = "-" if cell.gap_ms is None else f"{cell.gap_ms} ms"
        twice = show_ms(cell.two_at_once_ms) if cell.two_at_once_ms else "-"
        links = ", ".join(cell.links) or "-"
        figures = (cell.membership_changes, cell.daemon_exits, cell.reboots, gap, twice, healed(cell))
        yield row(cell.cabling, cell.fault, cell.stack, address(cell) + back, thought, links, *figures)
    yield ""


def is_wrong(cell: Cell) -> bool:
    """Whether a node counts a peer that it cannot reach, or that does not count it."""
    is_cut = cell.cabling != Cabling.DUAL.value and cell.fault in NOTHING_PASSES
    together = [seen == "a b, quorate" for seen in cell.thought.values()]
    return any(together) and (is_cut or not all(together))


def row(*columns: object) -> str:
    return f"| {' | '.join(map(str, columns))} |"


def _yes(cell: Cell) -> str:
    return "yes" if cell.server_config else "no"
