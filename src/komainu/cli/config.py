"""Show, check, compare and replace the configuration (the CIB).

Decides that a document is checked here first, since only here its file and lines are known; the daemon checks
it again, on every node.
"""

import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from komainu.cli.asking import ask, show_json, with_format
from komainu.cli.examples import examples
from komainu.client.client import Client
from komainu.model.edit import Version
from komainu.model.report import Place, Refused, Report, Severity
from komainu.model.request import (
    FRAME_BYTES_MAX,
    ApplyConfiguration,
    AskConfiguration,
    Configuration,
    Done,
)

if TYPE_CHECKING:
    from komainu.node.profile import Profile

SETTINGS_FILE: Final = "/etc/komainu/komainu.toml"


@click.group(
    epilog=examples(
        "komainu config show > cib.xml", "komainu config diff cib.xml", "komainu config apply cib.xml"
    )
)
def config() -> None:
    """Show, check, compare and replace the configuration."""


@config.command(epilog=examples("komainu config show > cib.xml"))
@click.option("--status", is_flag=True, help="Show the status section, too.")
@with_format
@click.pass_obj
def show(client: Client, *, status: bool, form: str) -> None:
    """Write the configuration to standard output, as XML."""
    answer = ask(client, AskConfiguration(status), Configuration)
    if form == "json":
        show_json(answer)
    else:
        click.echo(answer.xml, nl=not answer.xml.endswith("\n"))


@config.command(epilog=examples("komainu config check cib.xml"))
@click.argument("file")
def check(file: str) -> None:
    """Say what is wrong with the configuration in FILE (`-`: standard input), without a daemon."""
    warnings = _checked(_text_of(file), _shown(file), _watchdog_here())
    click.echo(f"{_shown(file)}: no errors, {warnings} warnings", err=True)


@config.command(
    epilog=examples("komainu config apply cib.xml", "komainu config apply --expected 0.7.12 cib.xml")
)
@click.argument("file")
@click.option(
    "--expected",
    metavar="VERSION",
    help="Refuse when the configuration changed since this version (komainu status shows it).",
)
@with_format
@click.pass_obj
def apply(client: Client, *, file: str, expected: str | None, form: str) -> None:
    """Replace the configuration by the one in FILE (`-`: standard input).

    Returns when every member has stored it. Nothing is applied of a document with errors.
    """
    version = None if expected is None else _version(expected)
    text = _text_of(file)
    _checked(text, _shown(file), _armed_watchdogs(client))
    done = ask(client, ApplyConfiguration(text, version, _shown(file)), Done)
    if form == "json":
        show_json(done)
    else:
        click.echo(f"{_shown(file)} is applied and stored on every member", err=True)


@config.command(epilog=examples("komainu config diff cib.xml"))
@click.argument("file")
@with_format
@click.pass_obj
def diff(client: Client, *, file: str, form: str) -> None:
    """Say what applying FILE (`-`: standard input) would change."""
    from komainu.cib.changes import describe_changes
    from komainu.cib.document import parse_cib

    new = parse_cib(_text_of(file), _shown(file))
    old = parse_cib(ask(client, AskConfiguration(), Configuration).xml, "<daemon>")
    changes = describe_changes(old, new)
    if form == "json":
        show_json(changes)
        return
    for line in changes:
        click.echo(line)
    if not changes:
        click.echo("no changes", err=True)


@config.command(
    epilog=examples(
        "komainu config corosync", "komainu config corosync --write", "komainu config corosync --read FILE"
    )
)
@click.option("--config", "settings_file", default=SETTINGS_FILE, show_default=True, help="The komainu.toml.")
@click.option("--name", help="Which node this is. Default: the host name.")
@click.option("--write", "is_written", is_flag=True, help="Write it, and Corosync's key, into /etc/corosync.")
@click.option(
    "--in-container", is_flag=True, help="Without real-time priority, which a container may not give."
)
@click.option(
    "--read", "source", metavar="FILE", help="Write a komainu.toml from this corosync.conf instead."
)
def corosync(
    settings_file: str, name: str | None, *, is_written: bool, in_container: bool, source: str | None
) -> None:
    """Write a corosync.conf from komainu.toml, to standard output: for [ring] engine = "corosync".

    The key of Corosync is derived from the cluster key, so that it is the same on every node.
    """
    from komainu.node.corosync import conf
    from komainu.node.settings import read_settings

    if source is not None:
        click.echo(conf.read_conf(_text_of(source), _shown(source)), nl=False)
        return
    host = socket.gethostname()
    names = (name,) if name else (host, host.partition(".")[0])
    settings = read_settings(settings_file, names, named=name is not None)
    text = conf.write_conf(settings.ring, in_container=in_container)
    if not is_written:
        click.echo(text, nl=False)
        return
    for path, content, mode in (
        (conf.CONF_FILE, text.encode(), 0o644),
        (conf.AUTHKEY_FILE, conf.authkey(settings.key), 0o400),
    ):
        _replace_file(Path(path), content, mode)
        click.echo(f"{path} is written", err=True)
    Path(conf.LOG_FILE).parent.mkdir(parents=True, exist_ok=True)
    device = "" if settings.ring.quorum.witness is None else " corosync-qdevice"
    click.echo(f"hint: on every node; then: systemctl restart corosync{device} komainu", err=True)


@config.command(epilog=examples("komainu config profile", "komainu config profile linux-ha-japan"))
@click.argument("name", required=False)
@click.option("--config", "settings_file", default=SETTINGS_FILE, show_default=True, help="The komainu.toml.")
@with_format
@click.pass_context
def profile(context: click.Context, *, name: str | None, settings_file: str, form: str) -> None:
    """Show what the profile NAME, or that of komainu.toml, means, and where the configuration departs from it.

    Exit 1 when it departs. Without a daemon only the meaning is shown.
    """
    from komainu.cib.document import parse_cib
    from komainu.node.profile import departures, meaning

    client = context.find_object(Client)
    assert client is not None, "the command line always has a client"
    chosen = _profile_of(name, settings_file)
    lines = meaning(chosen)
    try:
        xml = ask(client, AskConfiguration(), Configuration).xml
    except Refused as refused:
        found = None
        click.echo(f"not compared with the configuration: {refused.reports[0].message}", err=True)
    else:
        found = list(departures(chosen, parse_cib(xml, "<daemon>")))
    if form == "json":
        show_json({"profile": chosen.name, "meaning": lines, "departures": found})
    else:
        click.echo(f"profile {chosen.name}")
        for what, value, why in lines:
            click.echo(f"  {what}: {value} ({why})")
        for text in found or ():
            click.echo(f"departs: {text}")
    if found:
        context.exit(1)


def _profile_of(name: str | None, settings_file: str) -> "Profile":
    """Find a profile by its name, or that of this machine's settings. Raises Refused."""
    from komainu.node.profile import PROFILES
    from komainu.node.settings import read_settings

    known = ", ".join(PROFILES)
    if name is None:
        host = socket.gethostname()
        chosen = read_settings(settings_file, (host, host.partition(".")[0])).profile
        message, place = "no profile is named here", Place(settings_file)
    else:
        chosen = PROFILES.get(name)
        message, place = f'there is no profile "{name}"', None
    if chosen is None:
        raise Refused((Report("cli.profile", message, f"known: {known}", place),))
    return chosen


def _replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file so that at no moment it is half there or open to others. Raises Refused."""
    fresh = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=mode)
        fresh.chmod(mode | 0o200)
        fresh.write_bytes(content)
        fresh.chmod(mode)
        fresh.replace(path)
    except OSError as error:
        message = f"the file cannot be written: {error.strerror}"
        raise Refused((Report("cli.unwritable", message, "run it as root", Place(str(path))),)) from None


def _watchdog_here() -> Iterator[tuple[str, int]]:
    """Give this machine's watchdog as its settings have it; nothing where they are none, or not readable."""
    from komainu.node.settings import read_settings

    host = socket.gethostname()
    try:
        watchdog = read_settings(SETTINGS_FILE, (host, host.partition(".")[0])).watchdog
    except Refused:
        return
    if watchdog is not None:
        yield host, watchdog.timeout_ms


def _armed_watchdogs(client: Client) -> Iterator[tuple[str, int]]:
    """Give the watchdogs that the nodes of the running cluster have armed; it is asked only when that matters."""
    from komainu.cib.document import parse_cib
    from komainu.node.devices import armed_watchdogs

    running = ask(client, AskConfiguration(status=True), Configuration).xml
    yield from armed_watchdogs(parse_cib(running, "<daemon>"))


def _checked(text: str, file: str, watchdogs: Iterable[tuple[str, int]]) -> int:
    """Show the warnings and return how many there are. Raises Refused with every error."""
    from komainu.cib.document import parse_cib
    from komainu.cib.schema import validate
    from komainu.node.fence_warnings import contradictions

    cib = parse_cib(text, file)
    reports = validate(cib, file)
    warnings = tuple(report for report in reports if report.severity is Severity.WARNING)
    for warning in warnings:
        click.echo(str(warning), err=True)
    errors = tuple(report for report in reports if report.severity is Severity.ERROR)
    if errors:
        raise Refused(errors)
    contradictory = contradictions(cib, watchdogs, file)
    if contradictory:
        raise Refused(contradictory)
    return len(warnings)


def _text_of(file: str) -> str:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(FRAME_BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(FRAME_BYTES_MAX + 1)
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}"
        raise Refused((Report("cli.unreadable", message, "", Place(file)),)) from None
    if len(content) > FRAME_BYTES_MAX:
        raise Refused((Report("cli.too-large", f"longer than {FRAME_BYTES_MAX} bytes", "", Place(file)),))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        report = Report(
            "cli.encoding", "this is no UTF-8 text", "save it as UTF-8", Place(_shown(file), line)
        )
        raise Refused((report,)) from None


def _shown(file: str) -> str:
    return "<stdin>" if file == "-" else file


def _version(text: str) -> Version:
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        hint = "it has three numbers, as komainu status shows it: 0.7.12"
        raise click.BadParameter(f'"{text}" is no version; {hint}', param_hint="--expected")
    return Version(*(int(part) for part in parts))
