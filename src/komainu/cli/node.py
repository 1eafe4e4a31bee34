"""Run this node's daemon, send any node to standby and back, add nodes and remove them.

Decides only what is said of it. Whether a node can be added or removed is the daemon's business.
"""

import sys

import click

from komainu.cli.asking import ask, edit, known_node, status_of
from komainu.cli.examples import examples
from komainu.client.client import Client
from komainu.model.edit import SetOption
from komainu.model.ids import NodeId, NodeName
from komainu.model.request import AddNode, Done, RemoveNode, StopNode
from komainu.node.settings import KEY_FILE, SETTINGS_FILE
from komainu.ring.settings import NODE_ID_MAX


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


@node.command(epilog=examples("komainu node add c 192.168.33.103 10.77.0.3"))
@click.argument("name")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.option(
    "--id", "number", type=click.IntRange(1, NODE_ID_MAX), help="Its number. Default: the next one."
)
@click.pass_obj
def add(client: Client, *, name: str, addresses: tuple[str, ...], number: int | None) -> None:
    """Add the node NAME while the cluster runs, with its address on each link, from link 0 on.

    It counts for quorum from now on. Each node writes it into its komainu.toml; what is to be done on the new one is said.
    """
    ask(client, AddNode(NodeName(name), addresses, None if number is None else NodeId(number)), Done)
    status = status_of(client)
    click.echo(f"node {name} is added: {len(status.nodes)} nodes count from now on", err=True)
    click.echo(f"# on {name}, as root: the settings and the key of {status.node}, then the daemon")
    click.echo("mkdir -p /etc/komainu")
    click.echo(f"scp -p root@{status.node}:{SETTINGS_FILE} root@{status.node}:{KEY_FILE} /etc/komainu/")
    click.echo(f"komainu node --name {name}    # or: systemctl enable --now komainu")


@node.command(epilog=examples("komainu node remove c"))
@click.argument("name")
@click.pass_obj
def remove(client: Client, *, name: str) -> None:
    """Remove the node NAME while the cluster runs. Stop it in order first (there: komainu node stop).

    A node that is lost has to be fenced, or confirmed off, first. It does not come back until it is added again.
    """
    ask(client, RemoveNode(NodeName(name)), Done)
    left = status_of(client)
    message = f"node {name} is removed: {len(left.nodes)} count from now on ({left.quorum_reason})"
    click.echo(message, err=True)


@node.command(epilog=examples("komainu node stop"))
@click.pass_obj
def stop(client: Client) -> None:
    """Stop this node: its resources in order, then the daemon."""
    click.echo(ask(client, StopNode(), Done).message, err=True)
