"""Name every command, and import the one that is called.

Decides how errors become exit codes: 0 done, 1 failed, 2 misused. Knows nothing of what commands do.
"""

import importlib
import os
import sys
from typing import Final

import click

import komainu
from komainu import compiled
from komainu.cli.examples import examples
from komainu.client.client import SOCKET_PATH, Client
from komainu.model.report import Refused

EXIT_FAILED: Final = 1

COMMANDS: Final = {
    "config": ("komainu.cli.config:config", "Show, check, compare and replace the configuration."),
    "doctor": ("komainu.cli.doctor:doctor", "Say what this machine would do on a bad day, and mend it."),
    "drill": ("komainu.cli.drill:drill", "Break a rehearsal cluster on purpose and watch it hold."),
    "fence": ("komainu.cli.fence:fence", "Say what the cluster cannot know about a lost node."),
    "key": ("komainu.cli.key:key", "Make the cluster's secret key."),
    "lab": ("komainu.cli.lab:lab", "Set up a rehearsal cluster on this machine."),
    "link": ("komainu.cli.link:link", "Show this node's links; leave one to you while you work on it."),
    "node": ("komainu.cli.node:node", "Run this node's daemon; standby and online for any node."),
    "quorum": ("komainu.cli.quorum:quorum", "Show whether there is quorum, and why."),
    "resource": ("komainu.cli.resource:resource", "Start, stop and move resources; forget failures."),
    "sim": ("komainu.cli.sim:sim", "Play made-up clusters with faults and check every rule."),
    "ring": ("komainu.cli.ring:ring", "Show how the nodes reach each other."),
    "simulate": ("komainu.cli.simulate:simulate", "Show what the cluster would do."),
    "status": ("komainu.cli.status:status", "Show nodes, links, resources and what is wrong."),
    "version": ("komainu.cli.commands:version", "Show the version."),
    "witness": ("komainu.cli.witness:witness", "Be the third vote of clusters of two."),
    "why": ("komainu.cli.why:why", "Say why a resource or node is as it is."),
}
"""Each command: where it is, and its one line in the list, so that the list imports none of them."""


class LateGroup(click.Group):
    """The group of all commands; each is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands, sorted."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; suggest one for a name that is none."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {close[0]}?" if close else "komainu --help lists the commands"
            raise click.UsageError(f'there is no command "{name}"\n  hint: {hint}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group(
    cls=LateGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="Each command explains itself: komainu resource move --help",
)
@click.option(
    "--socket",
    "socket_path",
    default=SOCKET_PATH,
    envvar="KOMAINU_SOCKET",
    show_default=True,
    help="Where the daemon listens.",
)
@click.version_option(komainu.__version__, message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context, socket_path: str) -> None:
    """Keep services running when a cable, a disk or a machine fails: komainu guards them."""
    context.obj = Client(socket_path)


@click.command(epilog=examples("komainu version"))
def version() -> None:
    """Show the version of this program."""
    click.echo(f"komainu {komainu.__version__}")
    if compiled.told():
        click.echo(compiled.told())


def run(arguments: list[str]) -> int:
    """Run one command; return the exit code."""
    try:
        outcome: object = root.main(arguments, prog_name="komainu", standalone_mode=False)
    except click.ClickException as error:
        _show_misuse(error)
        return error.exit_code
    except click.Abort:
        click.echo("nothing was done", err=True)
        return EXIT_FAILED
    except Refused as refused:
        click.echo(str(refused), err=True)
        return EXIT_FAILED
    except BrokenPipeError:  # the reader, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return outcome if isinstance(outcome, int) else 0


def _show_misuse(error: click.ClickException) -> None:
    """Say what was misused and where help is, in one or two lines."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)  # the help itself, which names every command
        return
    click.echo(f"error: {error.format_message()}", err=True)
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None and "hint:" not in error.format_message():
        click.echo(f"  hint: {context.command_path} --help", err=True)
