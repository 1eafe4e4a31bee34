"""List the options of `komainu simulate`: those of the field's `crm_simulate`, and our own.

Source: `crm_simulate --help-all`. Left out: XML as a form of output, which nobody in the field is known to read;
for programs there is `--format json`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import click

REPEAT_MAX: Final = 1_000_000
"""Plans a file with --profile; more would take days."""

Command = TypeVar("Command", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options as they were given."""

    file: str | None
    xml_file: str | None
    xml_pipe: bool
    live: bool
    carries_out: bool
    runs: bool
    in_place: bool
    shows_scores: bool
    shows_room: bool
    shows_attributes: bool
    shows_failures: bool
    all_actions: bool
    given: str | None
    quorum: str | None
    watchdog: str | None
    up: tuple[str, ...]
    down: tuple[str, ...]
    fail: tuple[str, ...]
    granted: tuple[str, ...]
    revoked: tuple[str, ...]
    set_standby: tuple[str, ...]
    activated: tuple[str, ...]
    injected: tuple[str, ...]
    failing: tuple[str, ...]
    what_if: tuple[str, ...]
    dot_file: str | None
    graph_file: str | None
    input_file: str | None
    output_file: str | None
    form: str
    output_as: str | None
    quiet: bool
    verbose: int
    server: bool
    profile: str | None
    repeat: int

    @property
    def source(self) -> str | None:
        """The file to read, `-` for standard input; None when the live cluster is meant, or nothing."""
        return self.file or ("-" if self.xml_pipe else self.xml_file)

    @property
    def does_nothing(self) -> bool:
        """Whether only the status is asked for, as by `crm_simulate -x FILE` alone."""
        asked = (self.runs, self.carries_out, self.in_place, self.shows_scores, self.shows_room, self.file)
        files = (self.dot_file, self.graph_file, self.output_file)
        events = (self.up, self.down, self.fail, self.granted, self.revoked, self.set_standby)
        more = (self.activated, self.injected, self.failing, self.quorum, self.watchdog, self.what_if)
        return not any((*asked, *files, *events, *more))


def _flag(*names: str, text: str) -> Callable[[Command], Command]:
    return click.option(*names, is_flag=True, help=text)


def _each(*names: str, metavar: str, text: str) -> Callable[[Command], Command]:
    return click.option(*names, multiple=True, metavar=metavar, help=text)


def _file(*names: str, text: str) -> Callable[[Command], Command]:
    return click.option(*names, metavar="FILE", help=text)


def _truth(*names: str, text: str) -> Callable[[Command], Command]:
    words = click.Choice(["1", "0", "true", "false", "yes", "no", "on", "off"], case_sensitive=False)
    return click.option(*names, type=words, metavar="1|0", help=text)


_OPTIONS: Final[tuple[Callable[[Callable[..., object]], Callable[..., object]], ...]] = (
    _file("-x", "--xml-file", "xml_file", text="Read the CIB from this file; - is standard input."),
    _flag("-p", "--xml-pipe", "xml_pipe", text="Read the CIB from standard input."),
    _flag("-L", "--live-check", "live", text="Read the CIB of the cluster on this machine."),
    _flag("-S", "--simulate", "carries_out", text="Carry the transition out on paper."),
    _flag("-R", "--run", "runs", text="Plan and show the transition, without carrying it out."),
    _flag("-X", "--in-place", "in_place", text="As -S, and write the result into the file that was read."),
    _each("-W", "--what-if", "what_if", metavar="CHANGE", text="Show what CHANGE would make different."),
    _flag("-s", "--show-scores", "shows_scores", text="Show every score that was weighed."),
    _flag("-U", "--show-utilization", "shows_room", text="Show what nodes can hold and resources take."),
    _flag("-A", "--show-attrs", "shows_attributes", text="Show node attributes."),
    _flag("-c", "--show-failcounts", "shows_failures", text="Show fail counts and failed operations."),
    click.option("-t", "--set-datetime", "given", metavar="TIME", help="Plan as of this moment (ISO 8601)."),
    _truth("-q", "--quorum", "quorum", text="Say whether the cluster has quorum."),
    _truth("-w", "--watchdog", "watchdog", text="Say whether the nodes have a watchdog."),
    _each("-u", "--node-up", "up", metavar="NODE", text="Let a node come up."),
    _each("-d", "--node-down", "down", metavar="NODE", text="Let a node be down, cleanly."),
    _each("-f", "--node-fail", "fail", metavar="NODE", text="Let a node disappear."),
    _each("-g", "--ticket-grant", "granted", metavar="TICKET", text="Grant a ticket."),
    _each("-r", "--ticket-revoke", "revoked", metavar="TICKET", text="Revoke a ticket."),
    _each("-b", "--ticket-standby", "set_standby", metavar="TICKET", text="Make a ticket standby."),
    _each("-e", "--ticket-activate", "activated", metavar="TICKET", text="Activate a ticket."),
    _each(
        "-i",
        "--op-inject",
        "injected",
        metavar="OP",
        text="Let an operation have ended: web_monitor_10000@a=7.",
    ),
    _each(
        "-F",
        "--op-fail",
        "failing",
        metavar="OP",
        text="Let an operation of the transition fail: web_start_0@b=1.",
    ),
    _file("-I", "--save-input", "input_file", text="Write the CIB that is planned for."),
    _file("-O", "--save-output", "output_file", text="Write the CIB that results."),
    _file("-G", "--save-graph", "graph_file", text="Write the transition graph as XML."),
    _file("-D", "--save-dotfile", "dot_file", text="Write the transition graph in dot form."),
    _flag("-a", "--all-actions", "all_actions", text="In the dot form, show optional actions, too."),
    click.option(
        "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to write it."
    ),
    click.option("--output-as", "output_as", type=click.Choice(["text"]), hidden=True),
    _flag("-Q", "--quiet", text="Show scores without headings, and no status."),
    click.option("-V", "--verbose", count=True, help="Accepted for compatibility."),
    click.option("-P", "--profile", metavar="DIR", help="Say how long each CIB in a folder takes to plan."),
    click.option(
        "-N",
        "--repeat",
        metavar="N",
        type=click.IntRange(1, REPEAT_MAX),
        default=1,
        help="With --profile: plan each so many times.",
    ),
    _flag("--server", text="Answer a JSON line for each JSON line on standard input."),
    click.argument("file", required=False),
)


def with_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command all the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
