"""Say what the cluster cannot know about a lost node: that it is off."""

import click

from komainu.cli.asking import ask, known_node, status_of
from komainu.cli.examples import examples
from komainu.client.client import Client
from komainu.model.report import Refused, Report
from komainu.model.request import ConfirmNodeOff, Done


@click.group(epilog=examples("komainu fence confirm b"))
def fence() -> None:
    """Say what the cluster cannot know about a lost node."""


@fence.command(epilog=examples("komainu fence confirm b"))
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask; I have seen that it is off.")
@click.pass_obj
def confirm(client: Client, *, name: str, yes: bool) -> None:
    """Say that the node NAME is off, so that its resources may start elsewhere.

    If the node is still running, two copies of a resource will destroy its data. Look at the machine first.
    """
    status = status_of(client)
    node = known_node(status, name)
    if any(view.name == node and view.state in {"online", "standby", "maintenance"} for view in status.nodes):
        hint = f"to take it out of service: komainu node standby {name}"
        raise Refused((Report("cli.not-off", f"node {name} answers, so it is not off", hint),))
    if not yes:
        click.confirm(f"Have you seen with your own eyes that {name} has no power?", abort=True, err=True)
    ask(client, ConfirmNodeOff(node), Done)
    click.echo(f"node {name} counts as off; its resources may start elsewhere", err=True)
