"""Write docs/benchmark-fencing.md from the figures that benchmarks/fencing.py kept. Nothing in the page is written by hand."""

import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from komainu.lab import drill as drills
from komainu.lab.stacks import Stack

BOTH: Final = (Stack.KOMAINU, Stack.PACEMAKER)
DRILLS: Final = (
    ("fencing", BOTH),
    ("fencing-more", BOTH),
    ("fencing-none", BOTH),
    ("fencing-witness", BOTH),
    ("fencing-qnetd", (Stack.KOMAINU_ON_COROSYNC, Stack.PACEMAKER)),
    ("fencing-clients", (Stack.KOMAINU,)),
    ("fencing-watchdog", BOTH),
    ("fencing-sbd", BOTH),
    ("fencing-lease", (Stack.KOMAINU,)),
    ("fencing-restart", (Stack.KOMAINU,)),
)
POWER: Final = "power-loss"
DETECTION: Final = {
    (POWER, Stack.KOMAINU, "default"): "default: detect_within 1 s",
    (POWER, Stack.PACEMAKER, "default"): "default: token 3 s",
    (POWER, Stack.PACEMAKER, "equal"): "token 1 s",
}

AIM_MS: Final = 1500
RUNS_AIM: Final = 10
_TIME: Final = re.compile(r"\b(\d+)(?= ms\b)")
_HEAD: Final = """# The last resort, beside Pacemaker

Written by `make bench-fencing` (benchmarks/fencing.py) from benchmarks/fencing-figures.json. Two machines in network
namespaces, real daemons, real agents, one fence device; the peer is Debian's Corosync 3 and Pacemaker 2.1 with default
settings and the same configuration, with corosync-qnetd as its witness, and with sbd where there is a shared disk or
a watchdog only. A client asks for the service every 20 ms. What is expected is what komainu promises
(`src/komainu/drills/`); where the peer does otherwise, that is no fault of its programs, but a difference. What is called
not as expected allows ten times the gaps that a drill names, since the machine did other work. A machine of the lab is
back 0.2 s after it was fenced, which may be before the peer has placed its resources anew: they may then come back to
it. After a step from which the peer does not recover within 2 min the next one begins in a new lab."""


class Seen(msgspec.Struct, frozen=True):
    """What came of one step in one run."""

    step: str
    reboots: int
    gap_ms: int
    misses: tuple[str, ...] = ()
    is_broken_off: bool = False


class Run(msgspec.Struct, frozen=True):
    """One run of a drill. `variant` is "default", or "equal" where the time of detection was given."""

    drill: str
    stack: str
    variant: str
    at: str
    load: float
    labs: int
    seen: list[Seen]

    @property
    def key(self) -> tuple[str, str, str]:
        """Say what was run."""
        return self.drill, self.stack, self.variant


class Earlier(msgspec.Struct, frozen=True):
    """A row of which only what the page said is left: its cells, and what was not as expected."""

    cells: str
    missed: str = ""


class EarlierDrill(msgspec.Struct, frozen=True):
    """Such rows of one drill on one stack, by step."""

    when: str
    steps: dict[str, Earlier]


class Figures(msgspec.Struct):
    """All that was measured. `earlier` is by DRILL/STACK, and gives way to runs."""

    earlier: dict[str, EarlierDrill]
    runs: list[Run]

    def of(self, name: str, stack: Stack, variant: str = "default") -> list[Run]:
        """Give the runs of one drill on one stack."""
        return [run for run in self.runs if run.key == (name, stack.value, variant)]

    def count(self, name: str, stack: Stack, variant: str) -> int:
        """Count what counts: runs, and losses of power."""
        runs = self.of(name, stack, variant)
        return sum(len(run.seen) for run in runs) if name == POWER else len(runs)


def read(path: Path) -> Figures:
    """Read what was measured so far."""
    return msgspec.json.decode(path.read_bytes(), type=Figures) if path.exists() else Figures({}, [])


def page(figures: Figures) -> str:
    """Write the page."""
    lines = [_HEAD, "", "## The active node loses its power", ""]
    lines += ["The fence device answers in 0.2 s. The time in which the client got no answer, ms:", ""]
    lines += ["| stack | detection | runs | p50 | p99 | worst |", "|---|---|---|---|---|---|"]
    lines += [
        *_power_rows(figures),
        "",
        *_power_ratio(figures),
        *(f"- {one}" for one in _power_when(figures)),
    ]
    for name, stacks in DRILLS:
        known = [
            stack for stack in stacks if figures.of(name, stack) or f"{name}/{stack.value}" in figures.earlier
        ]
        if known:
            title = drills.load(drills.find(name)).title
            lines += ["", f"## `{name}`: {title}", "", *_drill(name, known, figures)]
    return "\n".join(lines) + "\n"


def _power_rows(figures: Figures) -> Iterator[str]:
    for key, words in DETECTION.items():
        gaps = _power_gaps(figures, key)
        if gaps:
            p50 = f"{statistics.median(gaps):.0f}"
            yield f"| {key[1].value} | {words} | {len(gaps)} | {p50} | {_p99(gaps)} | {gaps[-1]} |"


def _power_gaps(figures: Figures, key: tuple[str, Stack, str]) -> list[int]:
    return sorted(seen.gap_ms for run in figures.of(*key) for seen in run.seen if not seen.is_broken_off)


def _power_ratio(figures: Figures) -> Iterator[str]:
    """Say how much longer the peer's gap is, beside the aims."""
    each = [_power_gaps(figures, key) for key in DETECTION]
    if all(each):
        ours, default, equal = (statistics.median(gaps) for gaps in each)
        yield f"By the medians the peer's gap is {default / ours:.1f} times as long at both defaults (the aim is 5) and"
        yield f"{equal / ours:.1f} times at equal detection. komainu's own aim is 1500 ms; {_within(each[0])} of {len(each[0])} are within it."
        yield ""


def _within(gaps: list[int]) -> int:
    return sum(gap <= AIM_MS for gap in gaps)


def _power_when(figures: Figures) -> Iterator[str]:
    for (name, stack, variant), words in DETECTION.items():
        runs = figures.of(name, stack, variant)
        if runs:
            yield f"{stack.value}, {words}: {_when(runs)}."
        misses = _misses([seen for run in runs for seen in run.seen])
        yield from (f"{stack.value}, {words}, not as expected: {miss}" for miss in misses)


def _when(runs: list[Run]) -> str:
    """Say when, under which load and beside how many other labs."""
    first, last = runs[0].at, runs[-1].at
    span = first if first == last else f"{first} to {last if last[:10] != first[:10] else last[11:]}"
    labs, loads = max(run.labs for run in runs), [run.load for run in runs]
    beside = "one lab at a time" if labs == 1 else f"up to {labs} labs at once"
    load = f"{min(loads):.0f} to {max(loads):.0f}" if max(loads) - min(loads) > 1 else f"{max(loads):.0f}"
    return f"{span} UTC, load {load} on two cores, {beside}"


def _p99(values: list[int]) -> int:
    """Give the least value that is not exceeded by 99 of 100; of fewer than 100 values that is the greatest."""
    return values[max(0, -(-len(values) * 99 // 100) - 1)]


def _drill(name: str, stacks: list[Stack], figures: Figures) -> Iterator[str]:
    heads = [f"{stack.value}: as expected | reboots | gap p50, worst (ms)" for stack in stacks]
    yield f"| step | {' | '.join(heads)} |"
    yield "|---" * (1 + 3 * len(stacks)) + "|"
    missed: list[str] = []
    for step in drills.load(drills.find(name)).steps:
        cells = []
        for stack in stacks:
            seen = [one for run in figures.of(name, stack) for one in run.seen if one.step == step.name]
            earlier = figures.earlier.get(f"{name}/{stack.value}")
            if seen or earlier is None or step.name not in earlier.steps:
                cells.append(_cells(seen))
                missed += [f"- {stack.value}, {step.name}: {one}" for one in _misses(seen)]
            else:
                row = earlier.steps[step.name]
                cells.append(row.cells)
                missed += [f"- {stack.value}, {step.name}: {row.missed}"] if row.missed else []
        yield f"| {step.name} | {' | '.join(cells)} |"
    yield ""
    for stack in stacks:
        runs, earlier = figures.of(name, stack), figures.earlier.get(f"{name}/{stack.value}")
        when = f"{_runs(len(runs))}, {_when(runs)}" if runs else earlier.when if earlier else ""
        yield f"- {stack.value}: {when}."
    if missed:
        yield from ("", "Not as expected, and how often:", "", *missed)


def _runs(count: int) -> str:
    said = "one run" if count == 1 else f"{count} runs"
    return f"{said} ({RUNS_AIM} are the aim)" if count < RUNS_AIM else said


def _misses(seen: list[Seen]) -> list[str]:
    """Say each kind of miss once, with its times from the least to the greatest."""
    kinds: dict[str, list[list[int]]] = {}
    for one in seen:
        for miss in one.misses:
            text = " ".join(miss.split())
            kinds.setdefault(_TIME.sub("#", text), []).append(list(map(int, _TIME.findall(text))))
    said = []
    for kind, times in kinds.items():
        text = kind
        for values in zip(*times, strict=True):
            span = str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"
            text = text.replace("#", span, 1)
        said.append(f"{text} ({len(times)} of {len(seen)})")
    return said


def _cells(seen: list[Seen]) -> str:
    """Give a step's cells; of one that was broken off neither reboots nor the gap were counted to the end."""
    if not seen:
        return "- | - | -"
    good = f"{sum(not one.misses for one in seen)} of {len(seen)}"
    whole = [one for one in seen if not one.is_broken_off]
    if not whole:
        return f"{good} | - | -"
    gaps = sorted(one.gap_ms for one in whole)
    return f"{good} | {_counted([one.reboots for one in whole])} | {statistics.median(gaps):.0f}, {gaps[-1]}"


def _counted(values: Iterable[int]) -> str:
    """Say each value, and how often it came where there are several."""
    counts = sorted(Counter(values).items())
    return (
        str(counts[0][0]) if len(counts) == 1 else ", ".join(f"{value} ({times})" for value, times in counts)
    )
