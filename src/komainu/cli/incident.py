"""Turn `komainu drill run incident …` into the cells of one set-up and a table. Exit 0: all as promised, 1: not.

A cell of komainu misses when a daemon ended, a machine was reset, the cluster did not heal, or, where there is
a second path, the client waited for more than 100 ms. A peer's cell is shown as it is and never misses.
"""

import sys
from collections.abc import Callable, Mapping

import click
import msgspec

from komainu.cli.lab import failures_told
from komainu.lab import incident_run
from komainu.lab import lab as labs
from komainu.lab.incident import Cabling, Cell, Setup
from komainu.lab.managers import Network
from komainu.lab.stacks import Stack
from komainu.model.duration import show_ms
from komainu.model.report import Refused, Report

GAP_MAX_MS = 100
"""The longest a client may wait in any cell with a second path."""


NAME = "incident"
TITLE = "That night, with the real network managers, and the peers beside komainu"

_CHOICES = (
    ("--stack", Stack, "What runs the cluster; other drills know komainu and pacemaker."),
    ("--network", Network, "Who puts the addresses on the interfaces."),
    ("--cabling", Cabling, "The ring's way: one cable, a switch, or the service LAN as well."),
)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of the incident; one that was not given is None."""
    for option, words, text in _CHOICES:
        kinds = click.Choice([word.value for word in words])
        command = click.option(option, type=kinds, help=f"Of `incident`: {text}")(command)
    text = "Of `incident`: the manager keeps addresses without carrier."
    command = click.option("--server-config", type=click.Choice(["yes", "no"]), help=text)(command)
    return click.option("--fault", help="Of `incident`: only the faults with this in their name.")(command)


def refuse(chosen: Mapping[str, str | None]) -> None:
    """Refuse the incident's options for another drill."""
    given = [
        f"--{key.replace('_', '-')}" for key, value in chosen.items() if value is not None and key != "stack"
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: only for `komainu drill run {NAME}`")


def run(lab_name: str, form: str, chosen: Mapping[str, str | None]) -> None:
    """Carry out the faults of the chosen set-up, show each, and exit."""
    only = chosen.get("fault") or ""
    cells: list[Cell] = []
    with failures_told(), labs.ended_by_signals():
        setup = _setup(chosen)
        faults = tuple(fault for fault in setup.faults() if only in fault.name)
        if not faults:
            known = ", ".join(fault.name for fault in setup.faults())
            raise click.UsageError(f"no fault here is called `{only}`; known: {known}")
        for cell in incident_run.Incident(setup, lab_name, _tell).run(faults):
            cells.append(cell)
            click.echo(f"  {'MISS' if missed(cell) else 'ok':<4} {cell.fault}", err=True)
    click.echo(msgspec.json.format(msgspec.json.encode(cells)) if form == "json" else table(cells))
    sys.exit(1 if any(map(missed, cells)) else 0)


def _setup(chosen: Mapping[str, str | None]) -> Setup:
    """Make a set-up from the options; what was not given is as in that night. Raises Refused."""
    setup = Setup(
        Stack(chosen.get("stack") or "komainu"),
        Network(chosen.get("network") or "networkmanager"),
        chosen.get("server_config") == "yes",
        Cabling(chosen.get("cabling") or "direct"),
    )
    problems = setup.problems()
    if problems:
        raise Refused(tuple(Report("incident.setup", problem) for problem in problems))
    return setup


def missed(cell: Cell) -> tuple[str, ...]:
    """Say what komainu promised and did not keep in this cell."""
    if not Stack(cell.stack).is_komainu:
        return ()
    found = []
    if cell.daemon_exits:
        found.append(f"daemons ended: {cell.daemon_exits}")
    if cell.reboots:
        found.append(f"machines were reset: {cell.reboots}")
    if cell.cabling == Cabling.DUAL.value and (cell.gap_ms or 0) > GAP_MAX_MS:
        found.append(f"the client waited {cell.gap_ms} ms; allowed with a second path: {GAP_MAX_MS} ms")
    if cell.healed_ms is None:
        found.append(f"not as before after {show_ms(incident_run.HEAL_WITHIN_MS)}: {'; '.join(cell.lacking)}")
    return tuple(found)


def table(cells: list[Cell]) -> str:
    """Write the cells of one set-up for a terminal."""
    lines = [f"{'fault':<26} {'address':<14} {'views':>5} {'exits':>5} {'boots':>5} {'gap':>8} {'healed':>8}"]
    for cell in cells:
        lines.append(
            f"{cell.fault:<26} {address(cell):<14} {cell.membership_changes:>5} {cell.daemon_exits:>5} "
            f"{cell.reboots:>5} {_ms(cell.gap_ms):>8} {healed(cell):>8}"
        )
        thought = "; ".join(f"{node} sees {seen}" for node, seen in cell.thought.items())
        lines.append(f"    before the repair: {thought}{_listed(cell.links)}")
        if cell.two_at_once_ms:
            lines.append(f"    the service's address stood on two nodes for {show_ms(cell.two_at_once_ms)}")
        lines += [f"    MISSED: {text}" for text in missed(cell)]
        lines += [f"      {text}" for text in cell.evidence]
    return "\n".join(lines)


def address(cell: Cell) -> str:
    """Say what became of the interconnect's address: kept, or after how long it was gone."""
    return "kept" if cell.gone_ms is None else f"gone {show_ms(cell.gone_ms)}"


def healed(cell: Cell) -> str:
    """Say how long it took after the repair until all was as before."""
    return "never" if cell.healed_ms is None else _ms(cell.healed_ms)


def _ms(value: int | None) -> str:
    return "-" if value is None else f"{value} ms"


def _listed(links: tuple[str, ...]) -> str:
    return f"; links: {', '.join(links)}" if links else ""


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"  … {text}", err=True)
