"""Say what the cluster would do about a CIB, and carry it out on paper: `komainu simulate`.

Takes the options of the field's `crm_simulate`. With `--server` one warm process answers a JSON line a case.
Source: Pacemaker's `crm_simulate`.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from komainu.cib import document
from komainu.cib.element import Element
from komainu.cib.schema import validate
from komainu.model.report import Place, Refused, Report, Severity
from komainu.scheduler import graph_xml, iso8601, recipe, status_text, summary
from komainu.scheduler.graph import Graph
from komainu.scheduler.job import Job
from komainu.scheduler.options import parse_int
from komainu.scheduler.rehearse import Rehearsal

EXAMPLES = """\b
Examples:
  komainu simulate service.xml          check it, and see what it would lead to
  komainu simulate -x cib.xml -S -s     as crm_simulate does, with the scores
"""

_NO_SCHEMA = (
    'Schema validation of configuration is disabled (support for validate-with set to "none" is deprecated '
    "and will be removed in a future release)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options as they were given."""

    xml_file: str | None
    xml_pipe: bool
    carries_out: bool
    runs: bool
    shows_scores: bool
    given: str | None
    dot_file: str | None
    graph_file: str | None
    output_file: str | None
    quiet: bool
    verbose: int
    server: bool
    file: str | None


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a simulation: the second, and the line that says where it comes from."""

    now_s: int
    line: str


def moment_of(cib: Element, given: str | None) -> Moment:
    """Choose the time: as given, else as the CIB was last used, else the clock's."""
    if given is not None:
        now_s = iso8601.parse_moment(given, int(time.time()))
        if now_s is None:
            raise click.BadParameter(f"{given!r} is no date; write 2026-07-01T12:00:00Z", param_hint="-t")
        return Moment(now_s, f"Setting effective cluster time: {given}")
    original = parse_int(cib.get("execution-date"), -1)
    if original >= 0:
        return Moment(original, f"Using the original execution date of: {iso8601.show_moment(original)}")
    return Moment(int(time.time()), "")


@dataclass(slots=True)
class Simulation:
    """One CIB, planned once: what follows is text about it."""

    cib: Element
    moment: Moment
    job: Job
    graph: Graph
    before: list[str]
    before_banner: list[str]
    changes: list[str]

    def summary_lines(self, *, carries_out: bool) -> list[str]:
        """Write the status, the changes and, if wanted, what carrying them out leads to."""
        lines = [self.moment.line] if self.moment.line else []
        lines += [*self.before_banner, "Current cluster status:", *self.before, "", "Transition Summary:"]
        lines += [*self.changes, ""]
        if not carries_out:
            return lines
        rehearsal = Rehearsal(self.job, self.graph, self.cib)
        is_whole = rehearsal.run()
        lines += ["Executing Cluster Transition:", *rehearsal.lines]
        if not is_whole:
            lines += ["Transition failed: terminated", "An invalid transition was produced"]
        if self.moment.line:
            lines.append(self.moment.line)
        after = recipe.read(rehearsal.cib, self.moment.now_s, is_simulated=True)
        return [*lines, "", "Revised Cluster Status:", *status_text.write(after)]


def simulate_cib(cib: Element, given: str | None, *, explain: bool = True) -> Simulation:
    """Plan for a CIB."""
    moment = moment_of(cib, given)
    job = recipe.read(cib, moment.now_s, explain=explain, is_simulated=True)
    before, banner = status_text.write(job), status_text.banner(job)
    graph = recipe.schedule(job)
    return Simulation(cib, moment, job, graph, before, banner, summary.text(job))


def _server() -> None:
    """Answer one JSON line a request, until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        try:
            answer = _answer(request["xml"], request.get("args") or [])
        except Exception as error:  # noqa: BLE001 - one bad case must not end the run of all others
            answer = {"error": f"{type(error).__name__}: {error}"}
        answer["seconds"] = time.perf_counter() - started
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _answer(path: str, arguments: list[str]) -> dict[str, str | float]:
    given = arguments[arguments.index("-t") + 1] if "-t" in arguments else None
    cib = document.parse(Path(path).read_text(encoding="utf-8"), path)
    simulation = simulate_cib(cib, given)
    warnings = [_NO_SCHEMA] if cib.get("validate-with") == "none" else []
    return {
        "summary": "\n".join([*warnings, *simulation.summary_lines(carries_out=True)]) + "\n",
        "dot": graph_xml.write_dot(simulation.job, simulation.graph),
        "graph": graph_xml.write(simulation.job, simulation.graph),
        "scores": "\n".join(simulation.job.score_lines) + "\n",
        "stderr": "".join(warnings),
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@click.option("-x", "--xml-file", "xml_file", help="Read the CIB from this file; - is standard input.")
@click.option("-p", "--xml-pipe", "xml_pipe", is_flag=True, help="Read the CIB from standard input.")
@click.option("-S", "--simulate", "carries_out", is_flag=True, help="Carry the transition out on paper.")
@click.option(
    "-R", "--run", "runs", is_flag=True, help="Plan and show the transition, without carrying it out."
)
@click.option("-s", "--show-scores", "shows_scores", is_flag=True, help="Show every score that was weighed.")
@click.option("-t", "--set-datetime", "given", help="Plan as of this moment.")
@click.option("-D", "--save-dotfile", "dot_file", help="Write the transition graph in dot form.")
@click.option("-G", "--save-graph", "graph_file", help="Write the transition graph as XML.")
@click.option("-O", "--save-output", "output_file", help="Write the CIB that results.")
@click.option("-Q", "--quiet", is_flag=True, help="Show scores without headings.")
@click.option("-V", "--verbose", count=True, help="Accepted for compatibility.")
@click.option("--server", is_flag=True, help="Answer a JSON line for each JSON line on standard input.")
@click.argument("file", required=False)
def simulate(**options: Any) -> None:
    """Show what the cluster would do about a configuration and status, and why.

    With FILE alone, the file is checked first, and what would be done is carried out on paper. A FILE without
    status is taken as that of a cluster that has just come up: all nodes online, nothing known to run.
    """
    wanted = Wanted(**options)
    if wanted.server:
        _server()
        return
    source = wanted.file or ("-" if wanted.xml_pipe else wanted.xml_file)
    if source is None:
        raise click.UsageError("Name a CIB: komainu simulate FILE; or give it on standard input with -p.")
    try:
        cib = _read(source, is_checked=wanted.file is not None)
    except Refused as refused:
        click.echo(str(refused), err=True)
        sys.exit(1)
    if cib.get("validate-with") == "none":
        click.echo(_NO_SCHEMA, err=True)
    simulation = simulate_cib(cib, wanted.given)
    _save(wanted, simulation)
    if wanted.shows_scores:
        heading = [] if wanted.quiet else ["Assignment Scores:"]
        click.echo("\n".join([*heading, *simulation.job.score_lines]))
    if not wanted.quiet:
        carries_out = wanted.carries_out or (wanted.file is not None and not wanted.runs)
        click.echo("\n".join(simulation.summary_lines(carries_out=carries_out)))


def _read(source: str, *, is_checked: bool) -> Element:
    """Read a CIB from a file or standard input; with `is_checked` as a person's own, whole or refused."""
    name = "<stdin>" if source == "-" else source
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        report = Report("simulate.unreadable", f"the file cannot be read: {reason}", place=Place(name))
        raise Refused((report,)) from None
    if not is_checked:
        return document.parse(text, name)
    cib = document.parse_cib(text, name)
    if cib.tag == "configuration":
        cib = Element("cib", {"validate-with": "pacemaker-3.9", "have-quorum": "1"}, (cib,))
    reports = validate(cib, name)
    errors = tuple(report for report in reports if report.severity is Severity.ERROR)
    if errors:
        raise Refused(errors)
    for report in reports:
        click.echo(str(report), err=True)
    return _with_status(cib)


def _with_status(cib: Element) -> Element:
    """Give a CIB without status that of a cluster that has just come up."""
    status = cib.first("status")
    if status is not None and status.children:
        return cib
    up = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
    nodes = cib.at("configuration", "nodes")
    states = tuple(
        Element("node_state", {"id": node.id, "uname": node.get("uname") or node.id, **up})
        for node in (() if nodes is None else nodes.all("node"))
    )
    if not states:
        click.echo("warning: the configuration names no nodes, so nothing can run", err=True)
    click.echo(
        "note: no status in the file: all nodes are taken as online, with nothing known to run", err=True
    )
    quorate = cib.with_attribute("have-quorum", cib.get("have-quorum") or "1")
    return quorate.without(lambda child: child.tag == "status").with_child(Element("status", {}, states))


def _save(wanted: Wanted, simulation: Simulation) -> None:
    """Write the files that were asked for."""
    job, graph = simulation.job, simulation.graph
    if wanted.dot_file:
        Path(wanted.dot_file).write_text(graph_xml.write_dot(job, graph), encoding="utf-8")
    if wanted.graph_file:
        Path(wanted.graph_file).write_text(graph_xml.write(job, graph), encoding="utf-8")
    if wanted.output_file:
        rehearsal = Rehearsal(job, graph, simulation.cib)
        if wanted.carries_out:
            rehearsal.run()
        Path(wanted.output_file).write_text(document.show(rehearsal.cib), encoding="utf-8")


if __name__ == "__main__":
    simulate()
