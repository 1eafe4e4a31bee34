"""Check this machine before a cable is pulled: what its settings would do, and what mends it.

Decides nothing but words and exit codes: 0 nothing found but notes, 1 warnings or errors, 2 misuse.
"""

import shlex
import subprocess
import time
from importlib import resources
from typing import Final

import click

from komainu.cli.asking import show_json, with_format
from komainu.cli.doctor_nodes import check_all, say_how
from komainu.cli.examples import examples
from komainu.cli.terminal import fold, width
from komainu.client.client import Client
from komainu.model.report import Refused
from komainu.model.request import AskConfiguration, Configuration
from komainu.node.survey.mend import mend, remember_run, undo
from komainu.node.survey.survey import examine, read_report

CIB_TIMEOUT_S: Final = 0.3
"""How long komainu's daemon is waited for; without it the configuration of Pacemaker is looked for."""

RELOAD_TIMEOUT_S: Final = 10
ROUNDS_MAX: Final = 8
"""Two changes of one file are made one after the other; no file has more interconnects than a ring links."""


@click.command(
    epilog=examples(
        "komainu doctor",
        "komainu doctor --explain NET001",
        "komainu doctor --all",
        "komainu doctor --fix",
        "komainu doctor --undo",
    )
)
@click.option("--fix", "is_fix", is_flag=True, help="Show each change, ask, and write it with a backup.")
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
@click.option("--undo", "is_undo", is_flag=True, help="Take back what the last --fix changed.")
@click.option("--explain", metavar="RULE", help="Show the page of a rule, such as NET001.")
@click.option(
    "--root",
    default="/",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="Check the file tree of another machine.",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="Compare with another node's report, as --format json writes it.",
)
@click.option("--all", "is_all", is_flag=True, help="Check all nodes, over ssh, and compare them.")
@with_format
@click.pass_context
def doctor(context: click.Context, /, **options: str | bool | tuple[str, ...] | None) -> int:
    """Say what this machine's settings would do to the cluster on a bad day.

    Nothing is changed without --fix. Works beside Pacemaker and Corosync, and without a daemon of komainu.
    """
    root = str(options["root"])
    if options["explain"]:
        return _explain(str(options["explain"]))
    if options["is_undo"]:
        _refuse(options, "is_fix", "--undo and --fix exclude each other")
        return _undo(root)
    if options["is_fix"]:
        _refuse(options, "is_all", "--fix mends this machine; run it on each node that --all finds ill")
        if options["form"] == "json":
            raise click.UsageError("--fix asks, and --format json has nobody to ask")
        return _fix(context, root, is_asked=not options["yes"])
    _refuse(options, "yes", "--yes is for --fix")
    peers = options["peers"]
    compared = tuple(read_report(peer) for peer in peers) if isinstance(peers, tuple) else ()
    checkup = examine(root, _cib(context, root))
    if options["is_all"] and root != "/":
        return say_how(checkup.other_nodes)
    if options["is_all"]:
        return check_all(checkup, compared, str(options["form"]))
    checkup = checkup.beside(compared)
    if options["form"] == "json":
        show_json(checkup.report())
    else:
        click.echo(checkup.text(width()))
        if checkup.changes or checkup.reloads:
            click.echo("  hint: komainu doctor --fix", err=True)
    return checkup.exit_code


def _refuse(options: dict[str, str | bool | tuple[str, ...] | None], name: str, message: str) -> None:
    if options[name]:
        raise click.UsageError(message)


def _cib(context: click.Context, root: str) -> str:
    """Return the configuration that komainu's daemon has; nothing when there is none."""
    if root != "/":
        return ""
    try:
        answer = Client(context.find_root().params["socket_path"], CIB_TIMEOUT_S).ask(AskConfiguration())
    except Refused:
        return ""
    return answer.xml if isinstance(answer, Configuration) else ""


def _explain(rule: str) -> int:
    """Show a rule's page."""
    pages = resources.files("komainu.network.doctor") / "pages"
    known = sorted(page.name.removesuffix(".md") for page in pages.iterdir() if page.name.endswith(".md"))
    if rule.upper() not in known:
        raise click.UsageError(f'there is no rule "{rule}"; there are {", ".join(known)}')
    for line in (pages / f"{rule.upper()}.md").read_text(encoding="utf-8").splitlines():
        is_layout = line.startswith((" ", "|"))
        rest = "  " if line.startswith("- ") else ""
        click.echo("\n".join([line] if is_layout else fold(line, rest)))
    return 0


# -- changes --------------------------------------------------------------------------------------------


def _fix(context: click.Context, root: str, *, is_asked: bool) -> int:
    """Show and make changes until none is left; then look again."""
    commands: list[str] = []
    for turn in range(ROUNDS_MAX):
        checkup = examine(root, _cib(context, root))
        changes = checkup.next_changes
        if not changes:
            _only_reload(root, checkup.reloads, is_asked=is_asked)
            break
        for change in changes:
            click.echo(change.diff(), nl=False)
        if is_asked and not click.confirm("Write this?", err=True):
            click.echo("nothing was changed" if not commands else "nothing more was changed", err=True)
            break
        at = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f".{turn}"
        mend(root, changes, at, checkup.commands("reload"))
        _reload(root, checkup.commands("reload"))
        where = "" if root == "/" else f" --root {shlex.quote(root)}"
        commands += [*checkup.commands("then"), f"komainu doctor --undo{where}"]
    for command in dict.fromkeys(commands):
        wanted = "to take it back" if "--undo" in command else "now run, when a short gap does no harm"
        click.echo(f"{wanted}: {command}", err=True)
    after = examine(root, _cib(context, root))
    click.echo(f"now: {after.summary}", err=True)
    return after.exit_code


def _only_reload(root: str, commands: tuple[str, ...], *, is_asked: bool) -> None:
    """Run commands that belong to no change, each after it was asked for."""
    for command in commands:
        if root == "/" and is_asked and not click.confirm(f"Run `{command}`?", err=True):
            click.echo(f"not run: {command}", err=True)
            continue
        _reload(root, (command,))


def _reload(root: str, commands: tuple[str, ...]) -> None:
    """Run what makes a running program read its files again; nothing runs in a file tree."""
    for command in commands:
        if root != "/":
            click.echo(f"on the machine itself, run: {command}", err=True)
            continue
        try:
            done = subprocess.run(
                shlex.split(command), capture_output=True, text=True, timeout=RELOAD_TIMEOUT_S, check=False
            )
            problem = done.stderr.strip() if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = str(error)
        if not problem:
            remember_run(command)
        click.echo(f"{command}: {problem}" if problem else f"ran: {command}", err=True)


def _undo(root: str) -> int:
    done = undo(root)
    if done is None:
        click.echo("there is nothing to undo", err=True)
        return 1
    for path in done.paths:
        click.echo(f"{path} is as it was before {done.at}", err=True)
    _reload(root, done.reload)
    return 0
