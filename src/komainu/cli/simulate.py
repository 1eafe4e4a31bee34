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
from komainu.scheduler import graph_xml, iso8601, recipe, status_text, summary
from komainu.scheduler.graph import Graph
from komainu.scheduler.job import Job
from komainu.scheduler.options import parse_int
from komainu.scheduler.rehearse import Rehearsal

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
    extras: tuple[str, ...]


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


@click.command(context_settings={"ignore_unknown_options": True})
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
@click.argument("extras", nargs=-1, type=click.UNPROCESSED)
def simulate(**options: Any) -> None:
    """Show what the cluster would do about a configuration and status, and why."""
    wanted = Wanted(**options)
    if wanted.server:
        _server()
        return
    for extra in wanted.extras:
        click.echo(f"warning: the option {extra} is not supported and was ignored", err=True)
    if wanted.xml_file is None and not wanted.xml_pipe:
        raise click.UsageError("Name a CIB with -x FILE, or give it on standard input with -p.")
    source = "-" if wanted.xml_pipe or wanted.xml_file is None else wanted.xml_file
    text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    cib = document.parse(text, source)
    if cib.get("validate-with") == "none":
        click.echo(_NO_SCHEMA, err=True)
    simulation = simulate_cib(cib, wanted.given)
    _save(wanted, simulation)
    if wanted.shows_scores:
        heading = [] if wanted.quiet else ["Assignment Scores:"]
        click.echo("\n".join([*heading, *simulation.job.score_lines]))
    if not wanted.quiet:
        click.echo("\n".join(simulation.summary_lines(carries_out=wanted.carries_out)))


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
