"""Run a witness: the third vote of clusters of two, on any small machine; and make the key that it needs."""

import base64
import sys

import click

from komainu.cli.examples import examples
from komainu.cli.lease import lease, settings_of
from komainu.model.report import Refused, Report
from komainu.node.settings import SETTINGS_FILE as NODE_SETTINGS
from komainu.node.witness_server import SETTINGS_FILE


@click.group(
    invoke_without_command=True,
    epilog=examples("komainu witness", "komainu witness --config ./witness.toml", "komainu witness key"),
)
@click.option("--config", default=SETTINGS_FILE, show_default=True, help="The settings to read.")
@click.pass_context
def witness(context: click.Context, *, config: str) -> None:
    """Be the witness of one or more clusters, in the foreground.

    Its vote goes to one part of each cluster, so that a pair that is split knows which half goes on.
    """
    if context.invoked_subcommand is None:
        from komainu.node.witness_server import main as run_witness

        sys.exit(run_witness(config))


@witness.command(epilog=examples("komainu witness key >witness.key"))
@click.option("--config", default=NODE_SETTINGS, show_default=True, help="The settings of a node.")
@click.option("--name", help="Which [[node]] this machine is. Default: its host name.")
def key(*, config: str, name: str | None) -> None:
    """Print the key for this cluster's witness; run it on a node.

    It is derived from the cluster key. Who has it can vote, but cannot take part in the ring.
    """
    from komainu.witness.message import witness_key

    settings = settings_of(config, name)
    if settings.ring.quorum.witness is None or settings.ring.quorum.witness.path:
        hint = 'add [cluster.quorum.witness] with address = "…"; a file or disk needs no key'
        raise Refused((Report("witness.unused", "the settings name no witness that has a key", hint),))
    click.echo(base64.b64encode(witness_key(settings.key, settings.ring.cluster)).decode())


witness.add_command(lease)
