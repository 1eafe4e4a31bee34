"""Show the ring: the way to each peer by each link, and what was dropped.

Decides only how it is written; says what corosync-cfgtool -s says, and why.
"""

import click

from komainu.cli.asking import as_json, ask, with_format
from komainu.cli.examples import examples
from komainu.cli.status_text import clock
from komainu.cli.terminal import folded
from komainu.client.client import Client
from komainu.model.duration import show_ms
from komainu.model.link import LinkState
from komainu.model.request import AskRing, LinkView, RingStatus


@click.group(epilog=examples("komainu ring status", "komainu ring status --history"))
def ring() -> None:
    """Show how the nodes reach each other."""


@ring.command(
    epilog=examples(
        "komainu ring status", "komainu ring status --history", "komainu ring status --format json"
    )
)
@click.option("--history", is_flag=True, help="Show what became of each link, oldest first.")
@with_format
@click.pass_obj
def status(client: Client, *, history: bool, form: str) -> None:
    """Show each link to each peer with its round trip and loss, and what was dropped."""
    found = ask(client, AskRing(), RingStatus)
    click.echo(as_json(found) if form == "json" else folded(_lines(found, with_history=history)))


def _lines(found: RingStatus, *, with_history: bool) -> list[str]:
    quorum = "quorate" if found.quorum.is_quorate else "NOT QUORATE"
    lines = [
        f"Cluster {found.cluster}: {quorum}: {found.quorum.reason}",
        (
            f"this node {found.node} (id {found.node_id}), engine {found.engine}, view {found.view or 'none yet'}, "
            f"coordinator {found.coordinator or 'none'}"
        ),
        f"links {found.link_mode}; a silent node is lost within {show_ms(found.detect_within_ms)}",
    ]
    for number in sorted({link.link for link in found.links}):
        lines += ["", f"link {number}"]
        for link in found.links:
            if link.link == number:
                lines.append(f"  to {link.peer}: {_way(link, found)}")
                lines += _history(link, found) if with_history else []
    over = {link.peer: link.over for link in found.links if link.over is not None}
    if over:
        lines += [
            "",
            *(f"{peer} is reached over {middle}: no link to it carries" for peer, middle in over.items()),
        ]
    if found.strangers:
        lines += ["", "not believed", *(f"  {sentence}" for sentence in found.strangers)]
    if found.counters:
        lines += ["", "counters since the start"]
        width = max(len(name) for name in found.counters)
        lines += [f"  {name:{width}}  {found.counters[name]}" for name in sorted(found.counters)]
    return lines


def _way(link: LinkView, found: RingStatus) -> str:
    parts = []
    if link.state is LinkState.UP:
        parts.append("up")
    else:
        since = clock(link.since, found.at, milliseconds=True)
        parts.append(f"{'up' if link.state.is_usable else 'down'} since {since}: {link.reason}")
    if link.peer_state not in {LinkState.UP, LinkState.SILENT}:
        parts.append(f"{link.peer}'s end: {link.peer_reason}")
    if link.state.is_usable and link.round_trip_ms is not None:
        parts.append(f"round trip {link.round_trip_ms:.1f} ms")
    if link.state.is_usable and link.loss is not None:
        parts.append(f"loss {100 * link.loss:.0f} %")
    if link.is_damped:
        parts.append("flapped: second to other links until it holds")
    if link.is_used:
        parts.append("in use")
    return ", ".join(parts)


def _history(link: LinkView, found: RingStatus) -> list[str]:
    return [
        f"    {clock(each.at, found.at, milliseconds=True)}  {each.state.value}: {each.reason}"
        for each in link.history
    ]
