"""Ask the daemon on behalf of a command: unpack refusals, check names before anything is changed.

Decides how a name that does not exist is answered. Knows nothing of single commands.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import click
import msgspec

from komainu.client.client import Client
from komainu.model.edit import Edit
from komainu.model.ids import NodeName
from komainu.model.report import Place, Refused, Report
from komainu.model.request import (
    AskStatus,
    Done,
    EditConfigurationRequest,
    RefusedReply,
    Reply,
    Request,
    ResourceView,
    Status,
)

R = TypeVar("R", bound=Reply)
Command = TypeVar("Command", bound=Callable[..., object])

with_format: Callable[[Command], Command] = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to write it."
)
"""The --format option that every command that shows something has."""


def ask(client: Client, request: Request, kind: type[R]) -> R:
    """Ask and return an answer of this kind. Raises Refused when the daemon refuses."""
    reply = client.ask(request)
    if isinstance(reply, RefusedReply):
        raise Refused(
            tuple(
                Report(why.code, why.message, why.hint, Place(why.place) if why.place else None)
                for why in reply.reasons
            )
        )
    if not isinstance(reply, kind):
        raise Refused((Report("client.version", f"the daemon answered with {type(reply).__name__}"),))
    return reply


def edit(client: Client, edits: tuple[Edit, ...], reason: str) -> None:
    """Change the configuration; returns when every member has stored the change."""
    ask(client, EditConfigurationRequest(edits, reason), Done)


def show_json(value: object) -> None:
    """Print an answer as JSON."""
    click.echo(as_json(value))


def as_json(value: object) -> str:
    """Write an answer as JSON that people can read, too."""
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def status_of(client: Client) -> Status:
    """Return the cluster's state."""
    return ask(client, AskStatus(), Status)


def known_node(status: Status, name: str) -> NodeName:
    """Return the node of this name. Raises Refused, with the nearest name, when there is none."""
    names = [str(node.name) for node in status.nodes]
    return NodeName(_known("node", name, names))


def known_resource(status: Status, name: str) -> ResourceView:
    """Return the resource of this id. Raises Refused, with the nearest id, when there is none."""
    views = {str(view.resource): view for view in all_resources(status.resources)}
    return views[_known("resource", name, views)]


def all_resources(views: Iterable[ResourceView]) -> Iterator[ResourceView]:
    """Give resources with their members, in the order of the configuration."""
    for view in views:
        yield view
        yield from all_resources(view.members)


def _known(what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    if name in names:
        return name
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=1)
    listed = ", ".join(names) or "none"
    hint = f"did you mean {close[0]}?" if close else f"known: {listed}"
    raise Refused((Report(f"cli.unknown-{what}", f'there is no {what} "{name}"', hint),))
