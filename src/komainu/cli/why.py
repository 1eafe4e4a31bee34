"""Ask why a resource or node is as it is, now or at an earlier moment; or why a plan would make it so.

Decides who is asked: the daemon's memory, or the scheduler about a CIB (a file's, the live cluster's).
"""

import re
import time
from datetime import datetime
from typing import Final

import click

from komainu.cli import cib_source, why_plan
from komainu.cli.asking import ask, show_json, with_format
from komainu.cli.examples import examples
from komainu.cli.status_text import clock
from komainu.cli.terminal import fold
from komainu.client.client import Client
from komainu.model.duration import parse_ms
from komainu.model.ids import WallTime
from komainu.model.request import AskWhy, Why

_TIME_OF_DAY: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?$")


@click.command(
    epilog=examples(
        "komainu why web",
        "komainu why web --at 12:03",
        "komainu why b --at 2h",
        "komainu why web --file cib.xml",
        "komainu why web --plan",
    )
)
@click.argument("subject")
@click.option(
    "--at",
    "moment",
    metavar="TIME",
    help="As of that moment: 12:03, 12:03:30, 2026-03-01T12:03, or 10min (ago).",
)
@click.option("--file", "file", metavar="CIB", help="Ask about the plan for this CIB; - is standard input.")
@click.option("--plan", "plans", is_flag=True, help="Ask about the plan for the live cluster's CIB.")
@with_format
@click.pass_obj
def why(
    client: Client, *, subject: str, moment: str | None, file: str | None, plans: bool, form: str
) -> None:
    """Say why SUBJECT, a resource or a node, is as it is: the answer, then what led to it.

    With --file or --plan no history is asked, but the scheduler: where the resource would go and what speaks for
    each node, what would have to change, and what demands each thing that would be done. Where no komainu daemon
    runs but Pacemaker does, --plan reads its CIB with `cibadmin --query`.
    """
    if file is not None or plans:
        if moment is not None or (file is not None and plans):
            raise click.UsageError("--at, --file and --plan exclude each other")
        cib = cib_source.live(client) if file is None else cib_source.read(file, is_checked=False)
        why_plan.show(cib, subject, form)
        return
    now = WallTime(time.time_ns() // 1_000_000)
    at = None if moment is None else read_moment(moment, now)
    answer = ask(client, AskWhy(subject, at), Why)
    if form == "json":
        show_json(answer)
        return
    click.echo("\n".join(fold(answer.answer, "")))
    if not answer.chain:
        click.echo("  hint: `komainu status` names resources, nodes and links (link0, link1 …)", err=True)
    for line in answer.chain:
        begin = clock(line.at, now, milliseconds=True) + "  " * (line.depth + 1)
        because = "because " if line.depth else ""
        click.echo("\n".join(fold(f"{begin}{because}{line.text}  [{line.node}]", " " * (len(begin) + 2))))


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
