"""Run every rule on a machine, put the findings in order, and lay them out for people.

Decides order, exit code and layout. Must not know any rule. Readable in 80 columns without colour.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from komainu.network.doctor.evidence import Evidence
from komainu.network.doctor.finding import Change, Finding, Gravity
from komainu.network.doctor.machine import Machine, build
from komainu.network.doctor.peers import Summary, compare, summarise
from komainu.network.doctor.rules.table import RULES

WIDTH: Final = 80
"""Columns where nobody says how many there are."""

SEEN_MAX: Final = 12
"""Pieces of evidence that are shown of one finding; JSON has them all."""

_ORDER: Final = {gravity: position for position, gravity in enumerate(Gravity)}


@dataclass(frozen=True, slots=True)
class Checkup:
    """A machine and what was found on it, the worst first."""

    machine: Machine
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        """Return 0 when there is nothing but notes, else 1."""
        return int(any(finding.gravity is not Gravity.NOTE for finding in self.findings))

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return every change that a fix proposes, each once."""
        fixes = [finding.fix for finding in self.findings if finding.fix is not None]
        return tuple(dict.fromkeys(change for fix in fixes for change in fix.changes))

    def commands(self, kind: str) -> tuple[str, ...]:
        """Return the commands of all fixes that change something: those to `reload`, or to be run `then`."""
        fixes = [finding.fix for finding in self.findings if finding.fix is not None and finding.fix.changes]
        found = [command for fix in fixes for command in (fix.reload if kind == "reload" else fix.then)]
        return tuple(dict.fromkeys(found))

    @property
    def reloads(self) -> tuple[str, ...]:
        """Return the commands that mend something by themselves, without a change of a file."""
        fixes = [finding.fix for finding in self.findings if finding.fix is not None]
        return tuple(dict.fromkeys(one for fix in fixes if not fix.changes for one in fix.reload))

    @property
    def next_changes(self) -> tuple[Change, ...]:
        """Return the changes that can be made at once: of several of one file, only the first."""
        return tuple({change.path: change for change in reversed(self.changes)}.values())[::-1]

    def report(self) -> dict[str, object]:
        """Return everything as plain values, for programs."""
        return {**msgspec.to_builtins(summarise(self.machine)), "findings": self.findings}

    @property
    def other_nodes(self) -> tuple[tuple[str, ...], ...]:
        """Give the ways to each other node of every cluster: its name where it has one, and its addresses."""
        others = (member for one in self.machine.clusters for member in one.members if member is not one.me)
        ways: dict[str, tuple[str, ...]] = {}
        for one in others:
            names = tuple(name for name in dict.fromkeys((one.name, *one.ends)) if name and name[0] != "-")
            if names:
                ways[names[0]] = (*ways.get(names[0], ()), *names)
        return tuple(tuple(dict.fromkeys(names)) for names in ways.values())

    def beside(self, peers: tuple[Summary, ...]) -> "Checkup":
        """Compare the machine with its peers."""
        return check_up(self.machine.evidence, peers) if peers else self

    @property
    def summary(self) -> str:
        """Count the findings in a line."""
        counts = [(gravity, sum(one.gravity is gravity for one in self.findings)) for gravity in Gravity]
        said = [f"{count} {gravity.value}{'s' * (count != 1)}" for gravity, count in counts if count]
        return ", ".join(said) or "nothing found"

    def text(self, width: int = WIDTH) -> str:
        """Lay everything out for people, in so many columns."""
        machine = self.machine
        name = machine.hostname or "a machine without a name"
        heads = [f"{name}: {machine.distribution.name}"]
        heads += [
            f"{cluster.label}: cluster {cluster.name or 'without a name'}, {len(cluster.members)} nodes, "
            f"{cluster.links} link{'s' * (cluster.links != 1)}"
            for cluster in machine.clusters
        ]
        shown: set[Change] = set()
        blocks = ["\n".join(part for line in heads for part in _wrapped(width, line, "", "    "))]
        blocks += ["\n".join(_lines(finding, shown, width)) for finding in self.findings]
        blocks.append(self.summary)
        return "\n\n".join(blocks)


def check_up(evidence: Evidence, peers: tuple[Summary, ...] = ()) -> Checkup:
    """Run every rule on what was found on a machine, and compare it with what was found on its peers."""
    machine = build(evidence)
    found = [finding for rule in RULES.values() for finding in rule(machine)]
    found += compare(machine, peers)
    unique = list(dict.fromkeys(found))
    return Checkup(
        machine, tuple(sorted(unique, key=lambda one: (_ORDER[one.gravity], one.rule, one.subject)))
    )


def _lines(finding: Finding, shown: set[Change], width: int) -> Iterator[str]:
    yield from _wrapped(
        width, f"{finding.gravity.value} {finding.rule}  {finding.subject}: {finding.title}", "", "    "
    )
    label = "seen:"
    for seen in finding.seen[:SEEN_MAX]:
        yield from _wrapped(width, str(seen), f"  {label:<6}", " " * 10)
        label = ""
    if len(finding.seen) > SEEN_MAX:
        yield f"        … and {len(finding.seen) - SEEN_MAX} more (--format json)"
    yield from _wrapped(width, finding.effect, "  then: ", " " * 8)
    sure = finding.sureness.value + (f": {finding.because}" if finding.because else "")
    yield from _wrapped(width, sure, "  sure: ", " " * 8)
    if finding.fix is None:
        return
    yield from _wrapped(width, finding.fix.advice, "  fix:  ", " " * 8)
    if finding.fix.changes and shown.issuperset(finding.fix.changes):
        yield "          (the change is shown above)"
        return
    shown.update(finding.fix.changes)
    for change in finding.fix.changes:
        yield from (f"          {_printable(line)}" for line in change.diff().splitlines())
    for command in (*finding.fix.reload, *finding.fix.then):
        yield from _wrapped(width, command, "        $ ", " " * 12)


def _wrapped(width: int, text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        _printable(text),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _printable(text: str) -> str:
    """Write control characters out: a name or a file's line must not steer the terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
