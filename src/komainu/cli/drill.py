"""Turn `komainu drill …` into a lab, a run and a table. Exit 0: all as expected, 1: not, 2: misuse.

Progress goes to stderr, one line a step; the table, or JSON, to stdout. Readable without colour, at 80 columns.
"""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from komainu.cli import incident
from komainu.cli.lab import failures_told
from komainu.cli.terminal import fold
from komainu.lab import drill as drills
from komainu.lab import lab as labs
from komainu.lab import protocol
from komainu.lab.files import DAEMON_LOG
from komainu.lab.runner import Outcome, Result, Runner, now_ms
from komainu.lab.stacks import DAEMON, PACEMAKER_LOG, Stack
from komainu.model.duration import show_ms


@click.group()
def drill() -> None:
    """Rehearse failures on a cluster of namespaces and see what they do to the service.

    Example: komainu drill run demo
    """


@drill.command(name="list")
def list_drills() -> None:
    """Name the drills that ship.

    Example: komainu drill list
    """
    for name, path in drills.built_in().items():
        with failures_told():
            click.echo(f"{name:<12} {drills.load(path).title}")
    click.echo(f"{incident.NAME:<12} {incident.TITLE}")


@drill.command()
@click.argument("name")
def check(name: str) -> None:
    """Check a drill file and run nothing.

    Example: komainu drill check my-drill.toml
    """
    with failures_told():
        found = drills.load(drills.find(name))
    click.echo(f"{found.title}: {len(found.steps)} steps, nothing wrong")


@drill.command()
@click.argument("name")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--keep", is_flag=True, help="Leave the lab up afterwards, to look into it.")
@click.option("--lab", "lab_name", default="drill", show_default=True, help="Name of the lab.")
@click.option(
    "--engine",
    type=click.Choice(["builtin", "corosync"]),
    help="What carries the ring. Default: as the drill has it, else builtin.",
)
@click.option(
    "--slack",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    help="Allow so many times the service gaps: for a computer that is busy with other work.",
)
@click.option("--logs", type=click.Path(path_type=Path), help="Copy the daemons' logs into this directory.")
@incident.options
def run(
    name: str,
    form: str,
    keep: bool,
    lab_name: str,
    *,
    engine: str | None,
    slack: int,
    logs: Path | None,
    **chosen: str | None,
) -> None:
    """Raise a lab, carry out the drill NAME (or a .toml file), and take the lab down.

    The drill `incident` is the night this program was written for, with the real network managers and peers.

    Examples: komainu drill run demo ·
    komainu drill run incident --network networkmanager --server-config no --cabling direct
    """
    if name == incident.NAME:
        if keep or logs is not None or slack != 1 or engine == "corosync":
            raise click.UsageError(
                "--keep, --logs, --slack and --engine: not for the incident; "
                "for the engine, --stack komainu-on-corosync"
            )
        incident.run(lab_name, form, chosen)
        return
    incident.refuse(chosen)
    console = Console(stderr=True, highlight=False)
    with failures_told(), labs.ended_by_signals():
        found = drills.load(drills.find(name))
        stack = _stack(chosen.get("stack"), engine, found.cluster.engine)
        found = drills.with_slack(drills.for_stack(found, stack), slack)
        console.print(found.title, style="bold", markup=False)
        result = None
        while result is None or (len(result.outcomes) < len(found.steps) and not stack.is_komainu):
            # What a peer's cluster did not recover from must not spoil the steps that follow.
            begun = 0 if result is None else len(result.outcomes)
            left = msgspec.structs.replace(found, steps=found.steps[begun:])
            blueprint = protocol.Blueprint(
                lab_name, found.layout, DAEMON[stack], found.cluster.probe, stack=stack
            )
            lab = labs.start(blueprint)
            try:
                result = _joined(result, carry_out(left, lab, console, stack))
            finally:
                if logs is not None:
                    _copy_logs(lab, found.layout.nodes, logs, stack)
                if keep:
                    lab.keep()
                else:
                    lab.down()
    click.echo(msgspec.json.format(msgspec.json.encode(result)) if form == "json" else table(result))
    if keep:
        click.echo(
            f"hint: the lab is still up: komainu lab exec --name {lab_name} a komainu status", err=True
        )
    sys.exit(0 if result.is_passed else 1)


def _stack(chosen: str | None, engine: str | None, engine_of_drill: str) -> Stack:
    """Choose what runs the cluster. Raises UsageError for what has no resources to watch."""
    is_corosync = (engine or engine_of_drill) == "corosync"
    stack = Stack(chosen or ("komainu-on-corosync" if is_corosync else "komainu"))
    if not stack.runs_service:
        raise click.UsageError(
            f"--stack {stack.value} runs no resources, so no drill can watch a service; "
            "take komainu, komainu-on-corosync or pacemaker"
        )
    if engine == "corosync" and stack is not Stack.KOMAINU_ON_COROSYNC:
        raise click.UsageError(f"--engine corosync is komainu's; --stack {stack.value} has its own")
    return stack


def _joined(before: Result | None, after: Result) -> Result:
    """Put the steps of one lab behind those of the labs before it."""
    if before is None:
        return after
    return Result(
        before.title,
        before.is_passed and after.is_passed,
        before.setup_ms,
        before.steps_ms + after.steps_ms,
        (*before.outcomes, *after.outcomes),
    )


def carry_out(found: drills.Drill, lab: labs.Lab, console: Console, stack: Stack = Stack.KOMAINU) -> Result:
    """Run a drill and show its progress, a line a step."""
    with console.status("the lab is up") as spinner:

        def tell(text: str) -> None:
            spinner.update(Text(text, no_wrap=True, overflow="ellipsis"))

        def done(outcome: Outcome) -> None:
            number = len(lines) + 1
            lines.append(outcome)
            console.print(step_line(number, outcome), markup=False, soft_wrap=True)
            for miss in outcome.misses:
                console.print(f"           {miss}", style="red", markup=False, soft_wrap=True)

        lines: list[Outcome] = []
        runner = Runner(found, lab, tell, stack)
        setup_ms = runner.set_up()
        console.print(f"set up in {show_ms(setup_ms)}; step, result, longest gap, service on:", markup=False)
        began = now_ms()
        outcomes = runner.run(done)
    is_passed = not any(outcome.misses for outcome in outcomes)
    return Result(found.title, is_passed, setup_ms, now_ms() - began, outcomes)


def step_line(number: int, outcome: Outcome) -> str:
    """Say a step in one line: how it went, the longest gap, where the service runs, what was done."""
    verdict = "MISS" if outcome.misses else "ok"
    return f"{number:>4}  {verdict:<4} {outcome.longest_gap_ms:>6} ms  {outcome.service_on or '-':<3} {outcome.step}"


def table(result: Result) -> str:
    """Write the table at the end, for a terminal of 80 columns."""
    lines = ["", "step  reboots  exits  views  longest gap  settled  service  result"]
    for number, one in enumerate(result.outcomes, start=1):
        stall = "" if one.stalled_ms < one.longest_gap_ms else "*"
        lines.append(
            f"{number:>4}  {one.reboots:>7}  {one.daemon_exits:>5}  {one.membership_changes:>5}  "
            f"{one.longest_gap_ms:>8} ms{stall:<1} {show_ms(one.settled_ms):>8}  {one.service_on or '-':<7}  "
            f"{'MISSED' if one.misses else 'ok'}"
        )
    for number, one in enumerate(result.outcomes, start=1):
        lines += ["", *_wrapped(f"{number:>2}  {one.step}", "    "), *_wrapped(f"    {one.happened}", "    ")]
        lines += [line for text in one.power for line in _wrapped(f"      {text}", "        ")]
        for miss in one.misses:
            lines += _wrapped(f"    MISSED: {miss}", "      ")
    if any(one.stalled_ms >= one.longest_gap_ms for one in result.outcomes):
        lines += ["", "* a processor of this computer stood still for longer than that"]
    missed = sum(bool(one.misses) for one in result.outcomes)
    verdict = "every step as expected" if result.is_passed else f"{missed} step(s) not as expected"
    lines += ["", f"{verdict}; {len(result.outcomes)} steps in {show_ms(result.steps_ms)}"]
    return "\n".join(lines)


def _wrapped(text: str, indent: str) -> list[str]:
    return fold(text, indent)


def _copy_logs(lab: labs.Lab, nodes: tuple[str, ...], directory: Path, stack: Stack) -> None:
    """Copy what each daemon logged; a machine that is off has its log, but nobody to read it."""
    directory.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        root = lab.root(node)
        if root is not None:
            source = root / (DAEMON_LOG if stack.is_komainu else PACEMAKER_LOG).lstrip("/")
            (directory / f"{node}.log").write_bytes(source.read_bytes() if source.exists() else b"")
