"""Turn `komainu lab …` into calls of the lab: raise it, look at it, go into it, tamper with it, end it.

Decides nothing but words and exit codes: 0, 1 when something failed, 2 for misuse.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import msgspec

from komainu.lab import lab as labs
from komainu.lab import protocol
from komainu.lab.action import Operation
from komainu.lab.layout import SERVICE_ADDRESS, Layout
from komainu.lab.machine import environment
from komainu.lab.managers import Network
from komainu.lab.plant import LabFailure
from komainu.model.report import Refused

DEFAULT_NAME = "demo"

_NAME = click.option("--name", default=DEFAULT_NAME, show_default=True, help="Name of the lab.")


@contextmanager
def failures_told() -> Iterator[None]:
    """Say on stderr what was refused (2) or failed (1), and exit."""
    try:
        yield
    except Refused as refused:
        click.echo(str(refused), err=True)
        sys.exit(2)
    except LabFailure as failure:
        click.echo(f"error: {failure}", err=True)
        sys.exit(1)


@click.group()
def lab() -> None:
    """Raise a cluster of machines on this computer, in namespaces, to try things out.

    Example: komainu lab up && komainu lab exec a komainu status
    """


@lab.command()
@_NAME
@click.option("--nodes", default="a,b", show_default=True, help="Names of the machines.")
@click.option("--interconnects", default=1, show_default=True, help="Direct cables, beside the service LAN.")
@click.option("--daemon", default="", help="What each machine runs. Default: komainu node.")
@click.option(
    "--network",
    type=click.Choice([one.value for one in Network]),
    default=Network.STATIC.value,
    show_default=True,
    help="Who puts the addresses on the interfaces.",
)
@click.option("--server-config", is_flag=True, help="The network manager keeps addresses without carrier.")
def up(name: str, nodes: str, interconnects: int, daemon: str, *, network: str, server_config: bool) -> None:
    """Raise a lab that stays until `komainu lab down`.

    Example: komainu lab up --nodes a,b,c --interconnects 2
    """
    layout = Layout(tuple(nodes.split(",")), interconnects)
    command = tuple(shlex.split(daemon)) or labs.DAEMON
    url = f"http://{SERVICE_ADDRESS}/"
    blueprint = protocol.Blueprint(name, layout, command, url, Network(network), server_config)
    with failures_told(), labs.ended_by_signals():
        labs.start(blueprint).keep()
    click.echo(f"lab `{name}` is up: {', '.join(layout.nodes)}")
    option = "" if name == DEFAULT_NAME else f"--name {name} "
    click.echo(f"hint: komainu lab exec {option}{layout.nodes[0]} komainu status", err=True)


@lab.command()
@_NAME
@click.option("--all", "is_all", is_flag=True, help="Every lab of this user.")
def down(name: str, is_all: bool) -> None:
    """End a lab, whatever state it is in, and leave nothing behind.

    Example: komainu lab down --all
    """
    with failures_told():
        for one in labs.names() if is_all else (name,):
            click.echo(f"lab `{one}` is down" if labs.take_down(one) else f"there is no lab `{one}`")


@lab.command()
@_NAME
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(name: str, form: str) -> None:
    """Show the machines and cables of a lab.

    Example: komainu lab status --format json
    """
    with failures_told():
        view = labs.attach(name).describe()
    if form == "json":
        click.echo(msgspec.json.encode(view))
        return
    click.echo(f"lab {view.name}")
    for one in view.machines:
        power = "on " if one.is_on else "off"
        click.echo(f"  {one.node:<8} {power}  boots: {one.boots}  daemon: {one.daemon}")
        for port in view.ports:
            if port.node == one.node:
                state = "plugged" if port.is_plugged else "PULLED"
                click.echo(f"    {port.nic:<5} {port.address:<15} {port.cable:<13} {state}")


@lab.command(name="exec", context_settings={"ignore_unknown_options": True})
@_NAME
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def execute(name: str, node: str, command: tuple[str, ...]) -> None:
    """Run a command in a machine of a lab; a shell when none is given.

    Example: komainu lab exec a ip -br address
    """
    with failures_told():
        inside = labs.attach(name).inside(node, command or ("bash",))
    terminal = {"TERM": os.environ.get("TERM", "dumb")}
    os.execvpe(inside[0], inside, {**environment(name), **terminal})  # noqa: S606 - the terminal becomes its own


@lab.command()
@_NAME
@click.argument("verb")
@click.argument("settings", nargs=-1)
def do(name: str, verb: str, settings: tuple[str, ...]) -> None:
    """Tamper with a lab: any action of a drill file, its keys as KEY=VALUE.

    Examples: komainu lab do pull cable=interconnect ·
    komainu lab do power_off node=b · komainu lab do kill node=a resource=web
    """
    wanted = {"do": verb, **dict(setting.partition("=")[::2] for setting in settings)}
    try:
        operation = msgspec.convert(wanted, type=Operation)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"{verb} {' '.join(settings)}: {error}") from error
    with failures_told():
        click.echo(labs.attach(name).perform(operation) or "done")
