"""Make the secret key that all nodes of a cluster share, and replace it."""

import click

from komainu.cli.asking import ask
from komainu.cli.examples import examples
from komainu.client.client import Client
from komainu.model.request import Done, RotateClusterKey
from komainu.node.key import write_new_key
from komainu.node.settings import KEY_FILE


@click.group(epilog=examples("komainu key new"))
def key() -> None:
    """Make and replace the cluster's secret key."""


@key.command(epilog=examples("komainu key rotate"))
@click.pass_obj
def rotate(client: Client) -> None:
    """Replace the cluster key on every node while the cluster runs; nothing is interrupted.

    All nodes have to be here. The two keys before still open, so that a node that is restarted meanwhile is not cut
    off: whoever may have read the key is shut out by the third replacement.
    """
    ask(client, RotateClusterKey(), Done)
    click.echo("every node accepts the new key, and begins to use it", err=True)


@key.command(epilog=examples("komainu key new --file ./cluster.key"))
@click.option("--file", default=KEY_FILE, show_default=True, help="Where to write it.")
def new(file: str) -> None:
    """Write a new random key, readable by its owner alone. An existing file is never overwritten."""
    write_new_key(file)
    click.echo(
        f"{file} is written; copy it to every node of the cluster: scp -p {file} root@NODE:{file}", err=True
    )
