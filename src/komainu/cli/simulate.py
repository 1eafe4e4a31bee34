"""Say what the cluster would do about a CIB, and carry it out on paper: `komainu simulate`.

Takes the options of the field's `crm_simulate`. With `--server` one warm process answers a JSON line a case.
Source: Pacemaker's `crm_simulate`.
"""

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from komainu.cib import document
from komainu.cib.element import Element
from komainu.cli import cib_source, profile, what_if
from komainu.cli.asking import show_json
from komainu.cli.simulate_options import Wanted, with_options
from komainu.client.client import Client
from komainu.model.report import Refused, Report
from komainu.scheduler import graph_xml, injection, simulation, status_details
from komainu.scheduler import plan as planning
from komainu.scheduler.options import is_true
from komainu.scheduler.simulation import Details, Moment, Simulation

EXAMPLES = """\b
Examples:
  komainu simulate service.xml                check it, and see what it would lead to
  komainu simulate service.xml --node-fail b  … if node b disappeared
  komainu simulate -x cib.xml -S -s           as crm_simulate does, with the scores
  komainu simulate -L -W "node lost b"        what would become different here
"""

_NO_SCHEMA = (
    'Schema validation of configuration is disabled (support for validate-with set to "none" is deprecated '
    "and will be removed in a future release)"
)


GARBAGE_OBJECTS: Final = (20_000, 50)
"""New objects between two searches for garbage among them, and such searches between two among older ones.

One plan leaves some thousands behind, which are found before they are out of the processor's cache; a CIB is many objects and
no garbage, so that older ones should be looked at rarely.
"""


def collect_seldom() -> None:
    """Look for garbage in a way that suits plans, and never among what was imported."""
    gc.freeze()
    gc.set_threshold(*GARBAGE_OBJECTS)


# -- answering many -------------------------------------------------------------------------------------


def _server() -> None:
    """Answer one JSON line a request, until the input ends."""
    for line in sys.stdin:
        started = time.perf_counter()
        try:
            request = json.loads(line)
            answer = _answer(request["xml"], request.get("args") or [])
        except Exception as error:  # noqa: BLE001 - one bad case must not end the run of all others
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["seconds"] = time.perf_counter() - started
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _answer(path: str, arguments: list[str]) -> dict[str, str | float]:
    given = arguments[arguments.index("-t") + 1] if "-t" in arguments else None
    cib = document.parse(Path(path).read_text(encoding="utf-8"), path)
    planned = simulation.simulate(cib, _moment(cib, given))
    warnings = [_NO_SCHEMA] if cib.get("validate-with") == "none" else []
    return {
        "summary": "\n".join([*warnings, *planned.lines(), *planned.carry_out()[1]]) + "\n",
        "dot": graph_xml.write_dot(planned.job, planned.graph),
        "graph": graph_xml.write(planned.job, planned.graph),
        "scores": "\n".join(planned.job.score_lines) + "\n",
        "stderr": "".join(warnings),
    }


def _moment(cib: Element, given: str | None) -> Moment:
    moment = simulation.moment_of(cib, given, int(time.time()))
    if moment is None:
        raise click.BadParameter(f"{given!r} is no date; write 2026-07-01T12:00:00Z", param_hint="-t")
    return moment


# -- answering one --------------------------------------------------------------------------------------


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@with_options
@click.pass_context
def simulate(context: click.Context, /, **options: Any) -> None:
    """Show what the cluster would do about a configuration and status, and why.

    With FILE alone, the file is checked first, and what would be done is carried out on paper. A FILE without
    status is taken as that of a cluster that has just come up: all nodes online, nothing known to run.

    Events (--node-fail, --op-inject and their like) happen before the planning: quorum and watchdog first,
    then nodes, tickets and operations. With --what-if the plans with and without a change are compared;
    CHANGE is one of: node lost NODE, node down NODE, node up NODE, resource failed RESOURCE [on NODE],
    constraint removed ID, attribute NAME=VALUE on NODE, option NAME=VALUE, ticket revoked TICKET,
    ticket granted TICKET, quorum lost.
    """
    collect_seldom()
    wanted = Wanted(**options)
    if wanted.server:
        _server()
        return
    client = context.obj if isinstance(context.obj, Client) else Client()
    try:
        if wanted.profile is not None:
            for line in profile.lines(wanted.profile, wanted.repeat, int(time.time())):
                click.echo(line)
            return
        _simulate(wanted, client)
    except Refused as refused:
        click.echo(str(refused), err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"error: {error.filename}: {error.strerror}", err=True)
        sys.exit(1)


def _simulate(wanted: Wanted, client: Client) -> None:
    cib = _read(wanted, client)
    if cib.get("validate-with") == "none":
        click.echo(_NO_SCHEMA, err=True)
    moment = _moment(cib, wanted.given)
    details = Details(wanted.shows_attributes, wanted.shows_failures)
    if wanted.what_if:
        what_if.show(cib, moment, wanted.what_if, wanted.form)
        return
    if wanted.does_nothing:
        click.echo("\n".join(simulation.status_of(cib, moment, details)))
        return
    changed, events = inject(cib, wanted, moment.now_s)
    planned = simulation.simulate(changed, moment, details=details)
    for warning in dict.fromkeys(planned.job.warnings):
        click.echo(f"warning: {warning}", err=True)
    _save(wanted, planned)
    carries_out = wanted.carries_out or wanted.in_place or (wanted.file is not None and not wanted.runs)
    output: tuple[Element, list[str]] = (changed, [])
    if carries_out:
        output = planned.carry_out([injection.parse_result(text) for text in wanted.failing])
    _save_output(wanted, output[0])
    if wanted.form == "json":
        show_json(planning.answer(planned.job, planned.graph))
        return
    status = planned.status_lines() if changed is cib else simulation.status_of(cib, moment, details)
    _show(wanted, planned, status, events)
    if output[1] and not wanted.quiet:
        click.echo("\n".join(output[1]))


def _read(wanted: Wanted, client: Client) -> Element:
    if wanted.live:
        return cib_source.live(client)
    if wanted.source is None:
        raise click.UsageError(
            "Name a CIB: komainu simulate FILE; give it on standard input with -p; or ask the cluster here with -L."
        )
    return cib_source.read(wanted.source, is_checked=wanted.file is not None)


def inject(cib: Element, wanted: Wanted, now_s: int) -> tuple[Element, list[str]]:
    """Let the events happen that were asked for, in the field's order; say each. Raises Refused."""
    lines: list[str] = []
    if wanted.quorum is not None:
        cib = injection.set_quorum(cib, "1" if is_true(wanted.quorum) else "0")
        lines.append(f"  * Setting quorum: {wanted.quorum}")
    if wanted.watchdog is not None:
        cib = injection.set_option(cib, "have-watchdog", wanted.watchdog)
        lines.append(f"  * Setting watchdog: {wanted.watchdog}")
    for names, change, text in (
        (wanted.up, injection.bring_up, "Bringing node {} online"),
        (wanted.down, injection.take_down, "Taking node {} offline"),
        (wanted.fail, injection.lose, "Failing node {}"),
    ):
        for name in names:
            cib = change(cib, name)
            lines.append(f"  * {text.format(name)}")
    for tickets, granted, standby, text in (
        (wanted.granted, True, None, "Granting ticket {}"),
        (wanted.revoked, False, None, "Revoking ticket {}"),
        (wanted.set_standby, None, True, "Making ticket {} standby"),
        (wanted.activated, None, False, "Activating ticket {}"),
    ):
        for name in tickets:
            cib = injection.set_ticket(cib, name, granted=granted, standby=standby)
            lines.append(f"  * {text.format(name)}")
    for spec in wanted.injected:
        cib, counted = injection.inject(cib, injection.parse_result(spec), now_s)
        lines += [f"  * Injecting {spec} into the configuration", *counted]
    return cib, lines


def _show(wanted: Wanted, planned: Simulation, status: list[str], events: list[str]) -> None:
    """Write the status before the events, the events, what was weighed, and the changes."""
    if not wanted.quiet:
        click.echo("\n".join([*status, ""]))
        if events:
            again = [planned.moment.line] if planned.moment.line else []
            click.echo("\n".join(["Performing Requested Modifications:", *events, *again, ""]))
    shown = []
    if wanted.shows_scores:
        shown += planned.job.score_lines
    if wanted.shows_room:
        shown += status_details.room(planned.job)
    if shown:
        titles = {
            (True, True): "Assignment Scores and Utilization Information:",
            (True, False): "Assignment Scores:",
            (False, True): "Utilization Information:",
        }
        heading = [] if wanted.quiet else [titles[wanted.shows_scores, wanted.shows_room]]
        click.echo("\n".join([*heading, *shown, *([] if wanted.quiet else [""])]))
    if not wanted.quiet:
        click.echo("\n".join(planned.change_lines()))


def _save(wanted: Wanted, planned: Simulation) -> None:
    """Write the files that the planning gives."""
    job, graph = planned.job, planned.graph
    if wanted.input_file:
        _write(wanted.input_file, document.show(planned.cib))
    if wanted.dot_file:
        dot = graph_xml.write_dot(job, graph, shows_optional=wanted.all_actions)
        _write(wanted.dot_file, dot)
    if wanted.graph_file:
        _write(wanted.graph_file, graph_xml.write(job, graph))


def _save_output(wanted: Wanted, cib: Element) -> None:
    """Write the CIB that results, where that was asked for."""
    if wanted.output_file:
        _write(wanted.output_file, document.show(cib))
    if wanted.in_place:
        if wanted.source in {None, "-"}:
            _misuse("--in-place writes into the file that was read: name one with -x")
        _write(str(wanted.source), document.show(cib))


def _misuse(message: str) -> NoReturn:
    raise Refused((Report("simulate.misuse", message),))


def _write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    simulate()
