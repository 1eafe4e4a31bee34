"""Run this node's daemon, and send any node to standby and back."""

import sys

import click

from komainu.cli.asking import ask, edit, known_node, status_of
from komainu.cli.examples import examples
from komainu.client.client import Client
from komainu.model.edit import SetOption
from komainu.model.request import Done, StopNode
from komainu.node.settings import SETTINGS_FILE


@click.group(
    invoke_without_command=True,
    epilog=examples(
        "komainu node", "komainu node --config ./komainu.toml --name a", "komainu node standby a"
    ),
)
@click.option("--config", default=SETTINGS_FILE, show_default=True, help="The settings to read.")
@click.option("--name", help="Which [[node]] this machine is. Default: its host name.")
@click.pass_context
def node(context: click.Context, *, config: str, name: str | None) -> None:
    """Run this node's daemon in the foreground, or change a node.

    The daemon logs to standard error. SIGTERM stops the resources in order and leaves the cluster; a second
    SIGTERM leaves at once.
    """
    if context.invoked_subcommand is None:
        from komainu.node.daemon import main as run_daemon

        sys.exit(run_daemon(config, name))


@node.command(epilog=examples("komainu node standby a"))
@click.argument("name")
@click.pass_obj
def standby(client: Client, *, name: str) -> None:
    """Move everything off the node NAME, and keep it off until it is set online."""
    target = known_node(status_of(client), name)
    option = SetOption(target, "instance_attributes", "standby", "on")
    edit(client, (option,), f"komainu node standby {name}")
    click.echo(f"node {name} is in standby; undo: komainu node online {name}", err=True)


@node.command(epilog=examples("komainu node online a"))
@click.argument("name")
@click.pass_obj
def online(client: Client, *, name: str) -> None:
    """Let the node NAME run resources again."""
    target = known_node(status_of(client), name)
    option = SetOption(target, "instance_attributes", "standby", None)
    edit(client, (option,), f"komainu node online {name}")
    click.echo(f"node {name} may run resources", err=True)


@node.command(epilog=examples("komainu node stop"))
@click.pass_obj
def stop(client: Client) -> None:
    """Stop this node: its resources in order, then the daemon."""
    click.echo(ask(client, StopNode(), Done).message, err=True)
