"""Show the state of the cluster: once, or again each second."""

import shutil
import sys
import time
from typing import Final

import click

from komainu.cli.asking import as_json, status_of, with_format
from komainu.cli.examples import examples
from komainu.cli.status_text import Line, Tone, status_lines
from komainu.client.client import Client
from komainu.model.report import Refused
from komainu.model.request import Status

REFRESH_S: Final = 1.0

_COLOURS: Final = {Tone.GOOD: "green", Tone.BAD: "red", Tone.WARNING: "yellow"}


@click.command(
    epilog=examples(
        "komainu status", "komainu status --watch", "komainu status --format json | jq '.nodes[].state'"
    )
)
@click.option("--watch", is_flag=True, help="Show it again each second, until Ctrl-C.")
@with_format
@click.pass_obj
def status(client: Client, *, watch: bool, form: str) -> int:
    """Show nodes, links, resources, failures and warnings, as this node sees them."""
    if watch:
        return _watch(client, form)
    click.echo(_text(status_of(client), form))
    return 0


def _watch(client: Client, form: str) -> int:
    """Show it each second. A daemon that is away for a moment is said to be, and waited for."""
    try:
        while True:
            try:
                text = _text(status_of(client), form)
            except Refused as refused:
                text = f"{refused}\n"
            click.echo(_over_the_last(text) if sys.stdout.isatty() else text)
            time.sleep(REFRESH_S)
    except KeyboardInterrupt:
        return 0


def _over_the_last(text: str) -> str:
    """Write over what the terminal shows, line by line, so that it does not flicker; what has no room is counted."""
    lines = text.splitlines()
    room = shutil.get_terminal_size().lines - 1
    if len(lines) > room:
        lines[room - 1 :] = [f"… and {len(lines) - room + 1} lines more: komainu status"]
    return "\033[H" + "\n".join(f"{line}\033[K" for line in lines) + "\033[J"


def _text(answer: Status, form: str) -> str:
    if form == "json":
        return as_json(answer)
    return "\n".join(_coloured(line) for line in status_lines(answer))


def _coloured(line: Line) -> str:
    """Colour the line; click leaves the colours out where standard output is no terminal."""
    match line.tone:
        case Tone.PLAIN:
            return line.text
        case Tone.HEADING:
            return click.style(line.text, bold=True)
        case tone:
            return click.style(line.text, fg=_COLOURS[tone])
