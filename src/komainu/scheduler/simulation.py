"""Plan for a CIB, carry the plan out on paper, and write both down as the field's tool does.

Knows no file and no clock. Source: the text of Pacemaker's `crm_simulate`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from komainu.cib.element import Element
from komainu.model import iso8601
from komainu.scheduler import recipe, status_details, status_text, summary
from komainu.scheduler.graph import Graph
from komainu.scheduler.injection import Result
from komainu.scheduler.job import Job
from komainu.scheduler.options import parse_int
from komainu.scheduler.rehearse import Rehearsal
from komainu.scheduler.remembered import Remembered


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a simulation: the second, and the line that says where it comes from."""

    now_s: int
    line: str


def moment_of(cib: Element, given: str | None, clock_s: int) -> Moment | None:
    """Choose the time: as given, else as the CIB was last used, else the clock's; None when it is no time."""
    if given is not None:
        now_s = iso8601.parse_moment(given, clock_s)
        return None if now_s is None else Moment(now_s, f"Setting effective cluster time: {given}")
    original = parse_int(cib.get("execution-date"), -1)
    if original >= 0:
        return Moment(original, f"Using the original execution date of: {iso8601.show_moment(original)}")
    return Moment(clock_s, "")


@dataclass(frozen=True, slots=True)
class Details:
    """What is shown of a status beside nodes and resources."""

    attributes: bool = False
    failures: bool = False

    def write(self, job: Job, *, shows_pending: bool = True) -> list[str]:
        """Write a status with these details."""
        lines = status_text.write(job, shows_pending=shows_pending)
        if self.attributes:
            lines += status_details.attributes(job)
        if self.failures:
            lines += status_details.failures(job)
        return lines


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
    remembered: Remembered
    details: Details = Details()

    def lines(self) -> list[str]:
        """Write the status and the changes."""
        return [*self.status_lines(), "", *self.change_lines()]

    def status_lines(self) -> list[str]:
        """Write the present status."""
        head = [self.moment.line] if self.moment.line else []
        return [*head, *self.before_banner, "Current cluster status:", *self.before]

    def change_lines(self) -> list[str]:
        """Write the changes."""
        return ["Transition Summary:", *self.changes, ""]

    def carry_out(self, failing: Iterable[Result] = ()) -> tuple[Element, list[str]]:
        """Carry the plan out; return the CIB that results, and what was done and led to."""
        rehearsal = Rehearsal(self.job, self.graph, self.cib, failing)
        is_whole = rehearsal.run()
        lines = ["Executing Cluster Transition:", *rehearsal.lines]
        if not is_whole:
            lines += ["Transition failed: terminated", "An invalid transition was produced"]
        if self.moment.line:
            lines.append(self.moment.line)
        remembered = self.remembered  # most of the CIB is as it was
        after = recipe.read(rehearsal.cib, self.moment.now_s, is_simulated=True, remembered=remembered)
        return rehearsal.cib, [
            *lines,
            "",
            "Revised Cluster Status:",
            *self.details.write(after, shows_pending=False),
        ]


def status_of(cib: Element, moment: Moment, details: Details = Details()) -> list[str]:
    """Write the status of a CIB, without planning."""
    job = recipe.read(cib, moment.now_s, is_simulated=True)
    head = [moment.line] if moment.line else []
    return [*head, *status_text.banner(job), "Current cluster status:", *details.write(job)]


def simulate(
    cib: Element, moment: Moment, *, explain: bool = True, details: Details = Details()
) -> Simulation:
    """Plan for a CIB."""
    remembered = Remembered()
    job = recipe.read(cib, moment.now_s, explain=explain, is_simulated=True, remembered=remembered)
    before, banner = details.write(job), status_text.banner(job)
    graph = recipe.schedule(job)
    return Simulation(cib, moment, job, graph, before, banner, summary.text(job), remembered, details)
