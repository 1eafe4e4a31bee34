"""Show this node's links, change those of the cluster, and leave one to the operator while he works on it.

Decides only how a link is written. Which address is put back, which change is possible, is the daemon's business.
"""

import click

from komainu.cli.asking import as_json, ask, with_format
from komainu.cli.examples import examples
from komainu.cli.status_text import clock
from komainu.cli.terminal import fold
from komainu.client.client import Client
from komainu.model.ids import NodeName
from komainu.model.link import LinkState
from komainu.model.request import (
    AddLink,
    AskLinks,
    ChangeLink,
    Done,
    EndView,
    Links,
    LinkView,
    ReleaseLink,
    RemoveLink,
)


@click.group(
    epilog=examples("komainu link list", "komainu link add a=10.99.0.1 b=10.99.0.2", "komainu link release 0")
)
def link() -> None:
    """Show and change the cluster's links, and leave one to you while you work on it."""


@link.command(name="list", epilog=examples("komainu link list"))
@with_format
@click.pass_obj
def list_links(client: Client, *, form: str) -> None:
    """Show each link: this node's end, what guards it, and the way to each peer."""
    links = ask(client, AskLinks(), Links)
    click.echo(as_json(links) if form == "json" else "\n".join(link_lines(links)))


@link.command(epilog=examples("komainu link add a=10.99.0.1 b=10.99.0.2"))
@click.argument("ends", metavar="NODE=ADDRESS...", nargs=-1, required=True)
@click.pass_obj
def add(client: Client, *, ends: tuple[str, ...]) -> None:
    """Add a link while the cluster runs: the address of every node on it.

    Each node writes it into its komainu.toml. The addresses need not be there yet.
    """
    ask(client, AddLink(tuple(_end_of(end) for end in ends)), Done)
    click.echo("the link is added on every node that is here; see it: komainu link list", err=True)


@link.command(epilog=examples("komainu link change 1 b=10.77.0.9"))
@click.argument("number", type=int)
@click.argument("ends", metavar="NODE=ADDRESS...", nargs=-1, required=True)
@click.pass_obj
def change(client: Client, *, number: int, ends: tuple[str, ...]) -> None:
    """Give nodes other addresses on link NUMBER while the cluster runs, all at once.

    The other links carry on meanwhile. Where it is the only one, put the new addresses on the interfaces first, beside the
    old ones.
    """
    ask(client, ChangeLink(number, tuple(_end_of(end) for end in ends)), Done)
    click.echo(f"link {number} is changed; see it: komainu link list", err=True)


@link.command(epilog=examples("komainu link remove 2"))
@click.argument("number", type=int)
@click.pass_obj
def remove(client: Client, *, number: int) -> None:
    """Remove link NUMBER, the last one, while the cluster runs."""
    ask(client, RemoveLink(number), Done)
    click.echo(f"link {number} is removed on every node that is here", err=True)


@link.command(epilog=examples("komainu link release 0"))
@click.argument("number", type=int)
@click.pass_obj
def release(client: Client, *, number: int) -> None:
    """Leave this node's end of link NUMBER alone.

    An address that you delete is not put back, and no raw frames are sent: the link is down if you take it
    down. It stays so until `komainu link guard` or the next start of the daemon.
    """
    ask(client, ReleaseLink(number, is_released=True), Done)
    click.echo(f"link {number} is yours; when you are done: komainu link guard {number}", err=True)


@link.command(epilog=examples("komainu link guard 0"))
@click.argument("number", type=int)
@click.pass_obj
def guard(client: Client, *, number: int) -> None:
    """Guard this node's end of link NUMBER again, as its settings say."""
    ask(client, ReleaseLink(number, is_released=False), Done)
    click.echo(f"link {number} is guarded", err=True)


def _end_of(text: str) -> tuple[NodeName, str]:
    """Read NODE=ADDRESS."""
    name, equals, address = text.partition("=")
    if not (name and equals and address):
        raise click.BadParameter(f"{text!r}: write the node's name and its address: a=10.99.0.1")
    return NodeName(name), address


def link_lines(links: Links) -> list[str]:
    """Write the links for a terminal; what is longer than its line goes on below, further in."""
    lines = []
    for end in links.ends:
        lines += fold(f"link {end.link}  {_place(end)}")
        lines += _wrapped(f"{links.node}'s end: {_state(end)}")
        lines += _wrapped(f"guard: {_guard(end)}")
        lines += [part for one in links.links if one.link == end.link for part in _wrapped(_way(one, links))]
    return [*lines, *_dropped(links)]


def _wrapped(text: str) -> list[str]:
    return fold(f"  {text}")


def _dropped(links: Links) -> list[str]:
    if not links.dropped:
        return []
    last = {one: clock(one.last, links.at) for one in links.dropped}
    return [
        "dropped since the start of this daemon",
        *(
            part
            for one in links.dropped
            for part in _wrapped(f"{one.count} packets {one.meaning}, last at {last[one]}")
        ),
    ]


def _place(end: EndView) -> str:
    kind = "service LAN" if end.is_service else "interconnect"
    return f"{end.interface or 'no interface'}  {end.address}  {kind}"


def _state(end: EndView) -> str:
    if end.state is LinkState.UP:
        return "up"
    return f"{'up' if end.state.is_usable else 'down'}: {end.reason or end.state.label}"


def _guard(end: EndView) -> str:
    if end.is_released:
        return f"released, until: komainu link guard {end.link}"
    parts = ["goes on by raw frames when the address is gone" if end.keep_talking else "no raw frames"]
    if end.keep_address:
        parts.append("puts the address back when it is deleted")
        if end.has_given_up:
            parts.append(f"has given up; again: komainu link guard {end.link}")
        elif end.kept:
            times = "once" if end.kept == 1 else f"{end.kept} times"
            parts.append(f"did so {times} within the last minute")
    return "; ".join(parts)


def _way(one: LinkView, links: Links) -> str:
    if one.state is LinkState.UP and one.peer_state is LinkState.UP:
        trip = "" if one.round_trip_ms is None else f", round trip {one.round_trip_ms:.1f} ms"
        return f"to {one.peer}: up{trip}"
    since = clock(one.since, links.at, milliseconds=True)
    up = "up" if one.state.is_usable else "down"
    peer = "" if one.peer_state is LinkState.UP else f"; {one.peer}'s end: {one.peer_reason}"
    return f"to {one.peer}: {up} since {since}: {one.reason}{peer}"
