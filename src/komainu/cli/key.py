"""Make the secret key that all nodes of a cluster share."""

import click

from komainu.cli.examples import examples
from komainu.node.key import write_new_key
from komainu.node.settings import KEY_FILE


@click.group(epilog=examples("komainu key new"))
def key() -> None:
    """Make the cluster's secret key."""


@key.command(epilog=examples("komainu key new --file ./cluster.key"))
@click.option("--file", default=KEY_FILE, show_default=True, help="Where to write it.")
def new(file: str) -> None:
    """Write a new random key, readable by its owner alone. An existing file is never overwritten."""
    write_new_key(file)
    click.echo(
        f"{file} is written; copy it to every node of the cluster: scp -p {file} root@NODE:{file}", err=True
    )
