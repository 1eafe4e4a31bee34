"""Start, stop and move resources, and forget their failures.

Decides which edits of the configuration that takes; the constraints have the ids that the field's tools give
them, so that `crm_resource --clear` finds ours and we find theirs.
"""

import re
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import click

from komainu.cli.asking import ask, edit, known_node, known_resource, status_of
from komainu.cli.examples import examples
from komainu.client.client import Client
from komainu.model.edit import Edit, Put, Remove, SetOption
from komainu.model.ids import NodeName, ResourceId
from komainu.model.report import Refused, Report
from komainu.model.request import AskConfiguration, Cleanup, Configuration, Done


@click.group(
    epilog=examples(
        "komainu resource stop web", "komainu resource move web b", "komainu resource cleanup web"
    )
)
def resource() -> None:
    """Start, stop and move resources; forget failures."""


@resource.command(epilog=examples("komainu resource start web"))
@click.argument("name")
@click.pass_obj
def start(client: Client, *, name: str) -> None:
    """Let the resource NAME run: take back what `stop` did."""
    option = SetOption(
        known_resource(status_of(client), name).resource, "meta_attributes", "target-role", None
    )
    edit(client, (option,), f"komainu resource start {name}")
    click.echo(f"{name} may run; see where: komainu status", err=True)


@resource.command(epilog=examples("komainu resource stop web"))
@click.argument("name")
@click.pass_obj
def stop(client: Client, *, name: str) -> None:
    """Stop the resource NAME, and keep it stopped until it is started."""
    option = SetOption(
        known_resource(status_of(client), name).resource, "meta_attributes", "target-role", "Stopped"
    )
    edit(client, (option,), f"komainu resource stop {name}")
    click.echo(f"{name} will be stopped; undo: komainu resource start {name}", err=True)


@resource.command(
    epilog=examples(
        "komainu resource move web b", "komainu resource move web", "komainu resource move web --undo"
    )
)
@click.argument("name")
@click.argument("node", required=False)
@click.option("--undo", is_flag=True, help="Take back earlier moves of this resource.")
@click.pass_obj
def move(client: Client, *, name: str, node: str | None, undo: bool) -> None:
    """Move the resource NAME to NODE; without NODE, away from where it runs.

    This adds a location constraint, which stays until it is taken back: NAME does not return by itself.
    """
    if undo:
        if node is not None:
            raise click.UsageError("--undo takes back every move of the resource: name no node")
        _take_back(client, name)
        return
    status = status_of(client)
    view = known_resource(status, name)
    if node is None:
        nodes = view.nodes or tuple(place for member in view.members for place in member.nodes)
        if len(set(nodes)) != 1:
            raise click.UsageError(
                f"{name} runs on {'no node' if not nodes else 'several nodes'}\n"
                f"  hint: name the node it shall run on: komainu resource move {name} NODE"
            )
        constraint = _ban(view.resource, nodes[0])
        done = f"{name} may no longer run on {nodes[0]}"
    else:
        constraint = _preference(view.resource, known_node(status, node))
        done = f"{name} will run on {node}"
    edits = (*_removals(client, view.resource), constraint)
    edit(client, edits, f"komainu resource move {name}{'' if node is None else ' ' + node}")
    click.echo(f"{done}; undo: komainu resource move {name} --undo", err=True)


@resource.command(epilog=examples("komainu resource clear web"))
@click.argument("name")
@click.pass_obj
def clear(client: Client, *, name: str) -> None:
    """Take back every `move` of the resource NAME, as `move --undo` does."""
    _take_back(client, name)


@resource.command(epilog=examples("komainu resource cleanup web", "komainu resource cleanup --node b"))
@click.argument("name", required=False)
@click.option("--node", help="Only on this node.")
@click.pass_obj
def cleanup(client: Client, *, name: str | None, node: str | None) -> None:
    """Forget the failures of the resource NAME (without NAME: of all), and look anew where it runs."""
    status = status_of(client)
    target = None if name is None else known_resource(status, name).resource
    place = None if node is None else known_node(status, node)
    ask(client, Cleanup(target, place), Done)
    click.echo(f"failures of {name or 'all resources'} are forgotten", err=True)


def _take_back(client: Client, name: str) -> None:
    target = known_resource(status_of(client), name).resource
    removals = _removals(client, target)
    if not removals:
        hint = "komainu config show lists the constraints that were made otherwise"
        raise Refused((Report("cli.no-move", f"{name} was not moved by a command", hint),))
    edit(client, removals, f"komainu resource clear {name}")
    click.echo(f"{name} may run anywhere again", err=True)


def _removals(client: Client, target: ResourceId) -> tuple[Edit, ...]:
    """Find the constraints that moves of this resource have left."""
    xml = ask(client, AskConfiguration(), Configuration).xml
    constraints = ET.fromstring(xml).iter("rsc_location")  # noqa: S314 - the daemon's own document
    left = re.compile(
        rf"cli-(?:prefer-{re.escape(target)}|ban-{re.escape(target)}-on-.+|standby-{re.escape(target)})$"
    )
    ids = (one.get("id", "") for one in constraints if one.get("rsc") == target)
    return tuple(Remove(found) for found in ids if left.match(found))


def _preference(target: ResourceId, node: NodeName) -> Put:
    return _location(f"cli-prefer-{target}", target, node, "INFINITY")


def _ban(target: ResourceId, node: NodeName) -> Put:
    return _location(f"cli-ban-{target}-on-{node}", target, node, "-INFINITY")


def _location(name: str, target: ResourceId, node: NodeName, score: str) -> Put:
    attributes = {"id": name, "rsc": target, "node": node, "score": score}
    written = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    return Put("constraints", f"<rsc_location {written}/>")
