"""Fence nodes, try the devices that would, show what was fenced, and say what the cluster cannot know."""

import click

from komainu.cib.document import parse_cib
from komainu.cli.asking import ask, known_node, show_json, status_of, with_format
from komainu.cli.examples import examples
from komainu.cli.terminal import folded
from komainu.client.client import Client
from komainu.model.ids import NodeName
from komainu.model.report import Refused, Report
from komainu.model.request import (
    AskConfiguration,
    AskFencing,
    AskRing,
    Configuration,
    ConfirmNodeOff,
    Done,
    FenceNode,
    Fencing,
    RecordTrial,
    RingStatus,
)

FENCE_TIMEOUT_S = 900.0
"""How long to wait for a fencing: several devices, each with its delay and its time-out."""

_HERE = {"online", "standby", "maintenance"}


@click.group(epilog=examples("komainu fence test", "komainu fence history", "komainu fence confirm b"))
def fence() -> None:
    """Switch lost nodes off, and find out beforehand whether that works."""


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
    if any(view.name == node and view.state in _HERE for view in status.nodes):
        hint = f"to take it out of service: komainu node standby {name}"
        raise Refused((Report("cli.not-off", f"node {name} answers, so it is not off", hint),))
    if not yes:
        click.confirm(f"Have you seen with your own eyes that {name} has no power?", abort=True, err=True)
    ask(client, ConfirmNodeOff(node), Done)
    click.echo(f"node {name} counts as off; its resources may start elsewhere", err=True)


@fence.command(epilog=examples("komainu fence now b", "komainu fence now b --action off --yes"))
@click.argument("name")
@click.option("--action", type=click.Choice(["reboot", "off", "on"]), default="reboot", show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def now(client: Client, *, name: str, action: str, yes: bool) -> None:
    """Fence the node NAME now, with the devices of the configuration; wait for the outcome.

    Nothing is stopped before: it is as if its power cord were pulled.
    """
    node = known_node(status_of(client), name)
    if not yes and action != "on":
        click.confirm(f"Really cut {name} off ({action}), with all that runs on it?", abort=True, err=True)
    _fence(client, node, action)


@fence.command(epilog=examples("komainu fence history", "komainu fence history --format json"))
@with_format
@click.pass_obj
def history(client: Client, *, form: str) -> None:
    """Show which nodes were fenced, by what, and why, the newest first; then the last trial of each node."""
    reply = ask(client, AskFencing(), Fencing)
    if form == "json":
        show_json(reply)
        return
    from komainu.cli.status_text import clock

    for one in reply.history:
        device = f" with {one.device}" if one.device else ""
        head = (
            f"{clock(one.at, reply.at)}  {one.target}  {one.action}  {one.state}, by {one.delegate}{device}"
        )
        click.echo(
            folded([head, f"    because {one.reason}", *([f"    {one.outcome}"] if one.outcome else [])])
        )
    for trial in reply.trials:
        text = f"{clock(trial.at, reply.at)}  the devices were tried from {trial.node}: {trial.text}"
        click.echo(folded([text]))
    if not reply.history:
        click.echo("nothing was fenced since the cluster began", err=True)


@fence.command(
    epilog=examples("komainu fence test", "komainu fence test b", "komainu fence test b --for-real")
)
@click.argument("name", required=False)
@click.option("--for-real", is_flag=True, help="Reboot the node NAME by its devices.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_format
@click.pass_context
def test(context: click.Context, *, name: str | None, for_real: bool, yes: bool, form: str) -> None:
    """Try each fence device for each node (or only NAME) from this machine, without harm.

    Each device is asked for its monitor, its list, and the power of each node. What it takes is compared with
    its time-outs, and what in the configuration contradicts itself is named with the sum that shows it. The times are
    written down: `komainu fence history` shows them. Run it on every node: each must be able to fence the others.
    """
    client = context.find_object(Client)
    assert client is not None, "the command line always has a client"
    status = status_of(client)
    node = None if name is None else known_node(status, name)
    if for_real:
        if node is None:
            raise Refused((Report("cli.for-real", "--for-real needs the node that is to be rebooted"),))
        if not yes:
            click.confirm(f"Really reboot {node}, with all that runs on it?", abort=True, err=True)
        _fence(client, node, "reboot")
        return
    from komainu.cib.state import ClusterState
    from komainu.node import fence_warnings
    from komainu.node.fence_trial import in_short, try_devices

    cib = parse_cib(ask(client, AskConfiguration(status=True), Configuration).xml, "the configuration")
    halves_stay = "2Node" in ask(client, AskRing(), RingStatus).quorum.flags
    tried, unreached = try_devices(
        cib, node, halves_stay=halves_stay, tell=lambda text: click.echo(text, err=True)
    )
    contradictions = fence_warnings.of(ClusterState(cib), {}, halves_stay=halves_stay)
    ask(client, RecordTrial(status.node, in_short(tried)), Done)
    if form == "json":
        show_json({"tried": tried, "unreached": unreached, "contradictions": contradictions})
    else:
        for one in tried:
            what = one.action if one.target is None else f"{one.action} of {one.target}"
            word = "ok    " if one.verdict.is_good else "FAILED"
            click.echo(folded([f"{word}  {one.device}: {what}: {one.verdict.text}"]))
            if one.verdict.warning:
                click.echo(folded([f"        warning: {one.verdict.warning}"]))
        for missed in unreached:
            text = f"no device could tell the power of {missed}: it could not be fenced from here"
            click.echo(folded([f"FAILED  {text}"]))
        for text in contradictions:
            click.echo(folded([f"FAILED  {text}"]))
    if unreached or contradictions or not all(one.verdict.is_good for one in tried):
        context.exit(1)


def _fence(client: Client, node: NodeName, action: str) -> None:
    done = ask(client.patient(FENCE_TIMEOUT_S), FenceNode(node, action), Done)
    click.echo(f"{action} of {node} is done: {done.message}", err=True)
