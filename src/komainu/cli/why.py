"""Ask why a resource or node is as it is, now or at an earlier moment."""

import re
import time
from datetime import datetime
from textwrap import wrap
from typing import Final

import click

from komainu.cli.asking import ask, show_json, with_format
from komainu.cli.examples import examples
from komainu.cli.status_text import WIDTH, clock, printable
from komainu.client.client import Client
from komainu.model.duration import parse_ms
from komainu.model.ids import WallTime
from komainu.model.request import AskWhy, Why

_TIME_OF_DAY: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?$")


@click.command(epilog=examples("komainu why web", "komainu why web --at 12:03", "komainu why b --at 2h"))
@click.argument("subject")
@click.option(
    "--at",
    "moment",
    metavar="TIME",
    help="As of that moment: 12:03, 12:03:30, 2026-03-01T12:03, or 10min (ago).",
)
@with_format
@click.pass_obj
def why(client: Client, *, subject: str, moment: str | None, form: str) -> None:
    """Say why SUBJECT, a resource or a node, is as it is: the answer, then what led to it."""
    now = WallTime(time.time_ns() // 1_000_000)
    at = None if moment is None else read_moment(moment, now)
    answer = ask(client, AskWhy(subject, at), Why)
    if form == "json":
        show_json(answer)
        return
    for part in wrap(printable(answer.answer), WIDTH, break_long_words=False, break_on_hyphens=False):
        click.echo(part)
    for line in answer.chain:
        lead = "  " * (line.depth + 1) + ("because " if line.depth else "")
        click.echo(f"{clock(line.at, now, milliseconds=True)}{lead}{printable(line.text)}  [{line.node}]")


def read_moment(text: str, now: WallTime) -> WallTime:
    """Read a moment in the past. Raises click.BadParameter when it is none."""
    today = datetime.fromtimestamp(now / 1000).astimezone()
    time_of_day = _TIME_OF_DAY.match(text)
    ago = parse_ms(text)
    try:
        if time_of_day:
            hour, minute, second = (int(part or 0) for part in time_of_day.groups())
            moment = today.replace(hour=hour, minute=minute, second=second, microsecond=999_000)
            found = int(moment.timestamp() * 1000)
            return WallTime(found if found <= now else found - 86_400_000)
        if ago is not None and not text.isdigit():
            return WallTime(now - ago)
        return WallTime(int(datetime.fromisoformat(text).astimezone().timestamp() * 1000))
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f'"{text}" is no moment: write 12:03, 2026-03-01T12:03, or 10min', param_hint="--at"
        ) from None
