"""Turn `komainu sim …` into runs of made-up clusters, and show what came of them.

Exit 0: every rule held; 1: a rule broke; 2: misuse. Progress goes to stderr, the summary, or JSON, to stdout.
"""

import functools
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import click
import msgspec

from komainu.cli.examples import examples
from komainu.sim.faults import KINDS
from komainu.sim.scenario import NAMES, Outcome, Run, nodes_of, play
from komainu.sim.seeds import Tally, Verdict, play_all
from komainu.sim.shrink import shrink

SEEDS_MAX: Final = 10_000_000
FAULTS_MAX: Final = 100
WITHIN_S_MAX: Final = 3_600

JOBS_MAX: Final = 256
COUNT_DEFAULT: Final = 6
WITHIN_S_DEFAULT: Final = 60

TOLD_EVERY_S: Final = 0.5
"""How often the line of progress is written on a terminal; elsewhere every twentieth as often."""

TRACE_LINES: Final = 40
"""Lines of the trace that are shown with a failure; `replay` shows all."""

NODES_DEFAULT: Final = "2..5"
_RANGE: Final = re.compile(r"(\d{1,9})(?:\.\.(\d{1,9}))?$")


class Progress:
    """The line that tells how far it is."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._begun = self._told = time.monotonic()
        self._failed = 0

    def tell(self, tally: Tally) -> None:
        """Tell each failure at once, and write the line anew, but not more often than anybody reads it."""
        for failed in tally.failures[self._failed :]:
            click.echo(f"{failed.failure}\n  {command(failed.run)}", err=True)
        self._failed = len(tally.failures)
        now, is_terminal = time.monotonic(), sys.stderr.isatty()
        if (
            now - self._told < (TOLD_EVERY_S if is_terminal else TOLD_EVERY_S * 20)
            and tally.runs < self._wanted
        ):
            return
        self._told = now
        line = f"{tally.runs} of {self._wanted} runs, {len(tally.failures)} failed, {now - self._begun:.0f} s"
        click.echo(f"\r{line}" if is_terminal else line, err=True, nl=not is_terminal)


class _Nodes(click.ParamType[tuple[int, ...]]):
    """A number of nodes, or a range of them: 3, 2..7."""

    name = "N|N..M"

    def convert(
        self, value: str | tuple[int, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        found = _RANGE.match(value)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 2 <= low <= high <= len(NAMES):
            self.fail(
                f'"{value}" is not a number of nodes from 2 to {len(NAMES)}, or a range such as 2..7',
                param,
                ctx,
            )
        return tuple(range(low, high + 1))


class _Seeds(click.ParamType[range]):
    """How many seeds, from 0 on, or from which to which: 1000, 1000..1999."""

    name = "N|N..M"

    def convert(self, value: str | range, param: click.Parameter | None, ctx: click.Context | None) -> range:
        if isinstance(value, range):
            return value
        found = _RANGE.match(value)
        seeds = range(0)
        if found is not None:
            seeds = range(int(found[1]), int(found[2]) + 1) if found[2] else range(int(found[1]))
        if not seeds or seeds[-1] > SEEDS_MAX:  # no run at all would say that every rule held
            self.fail(
                f'"{value}" is not a number of seeds from 1 to {SEEDS_MAX}, or a range such as 100..199',
                param,
                ctx,
            )
        return seeds


class _Kinds(click.ParamType[tuple[str, ...]]):
    """Classes of faults, with commas between them, or all."""

    name = "all|LIST"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        if value == "all":
            return tuple(KINDS)
        names = tuple(value.split(","))
        unknown = [name for name in names if name not in KINDS]
        if unknown:
            self.fail(
                f'there is no class of faults "{unknown[0]}"; `komainu sim faults` lists them', param, ctx
            )
        return names


@dataclass(frozen=True, slots=True)
class Draw:
    """What runs are drawn from."""

    nodes: tuple[int, ...]
    kinds: tuple[str, ...]
    count: int
    within_ms: int

    def run(
        self, seed: int, kinds: tuple[str, ...] | None = None, kept: tuple[int, ...] | None = None
    ) -> Run:
        """Give the run of a seed, with these kinds of faults or all of the draw's."""
        return Run(seed, nodes_of(seed, self.nodes), kinds or self.kinds, self.count, self.within_ms, kept)


def draws(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that say what runs are drawn from, as one argument `draw`."""

    @click.option(
        "--nodes", type=_Nodes(), default=NODES_DEFAULT, show_default=True, help="Sizes of clusters."
    )
    @click.option("--faults", type=_Kinds(), default="all", show_default=True, help="Classes of faults.")
    @click.option(
        "--count",
        type=click.IntRange(0, FAULTS_MAX),
        default=COUNT_DEFAULT,
        show_default=True,
        help="Faults in each run.",
    )
    @click.option(
        "--within",
        type=click.IntRange(1, WITHIN_S_MAX),
        default=WITHIN_S_DEFAULT,
        show_default=True,
        help="Made-up seconds over which the faults are spread.",
    )
    @functools.wraps(function)
    def collected(
        *, nodes: tuple[int, ...], faults: tuple[str, ...], count: int, within: int, **rest: object
    ) -> int:
        return function(draw=Draw(nodes, faults, count, within * 1000), **rest)

    return collected


@click.group(epilog=examples("komainu sim run --seeds 100", "komainu sim replay 17"))
def sim() -> None:
    """Play whole clusters in made-up worlds, with faults, and check every safety rule after every event."""


@sim.command(epilog=examples("komainu sim faults"))
def faults() -> None:
    """List the classes of faults."""
    for name, strike in KINDS.items():
        click.echo(f"{name:<14} {(strike.__doc__ or '').splitlines()[0]}")


@sim.command(
    epilog=examples(
        "komainu sim run --seeds 1000 --nodes 2..7 --faults all", "komainu sim run --faults loss,power --each"
    )
)
@click.option("--seeds", type=_Seeds(), default="100", show_default=True, help="How many, or from..to.")
@draws
@click.option("--each", is_flag=True, help="All seeds for each class of faults alone, not mixed.")
@click.option(
    "--jobs",
    type=click.IntRange(1, JOBS_MAX),
    default=os.cpu_count() or 1,
    help="Processes; default: one a core.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def run(seeds: range, draw: Draw, each: bool, jobs: int, form: str) -> int:
    """Play many seeds at once and sum up what came of them."""
    sets = tuple((kind,) for kind in draw.kinds) if each else (draw.kinds,)
    # Seed by seed: runs of one seed begin alike, and whoever ends it early has played all classes equally often.
    runs = (draw.run(seed, kinds) for seed in seeds for kinds in sets)
    begun = time.monotonic()
    tally = play_all(runs, processes=jobs, tell=Progress(len(seeds) * len(sets)).tell)
    took_s = time.monotonic() - begun
    if sys.stderr.isatty():
        click.echo("", err=True)
    shortest = None
    if tally.failures:
        click.echo("cutting the first failure down …", err=True)
        shortest = shrink(play(min((failed.run for failed in tally.failures), key=lambda run: run.seed)))
    if form == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(_as_data(tally, shortest, took_s))))
    else:
        lines = [*_summary(tally, took_s), *_failures(tally, shortest)]
        if tally.left:
            lines += [
                "",
                "to play the rest:",
                f"  {_command_for(range(tally.left[0].seed, seeds.stop), draw, each=each)}",
            ]
        for line in lines:
            click.echo(line)
    return 1 if tally.failures else 0


@sim.command(epilog=examples("komainu sim replay 17", "komainu sim replay 17 --nodes 3 --keep 0,4"))
@click.argument("seed", type=click.IntRange(0, SEEDS_MAX))
@draws
@click.option("--keep", help="Only these of the drawn faults, by their places: 0,4.")
@click.option("--shrink", "shrinks", is_flag=True, help="Cut the faults down to the fewest that still fail.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def replay(seed: int, draw: Draw, keep: str | None, shrinks: bool, form: str) -> int:
    """Play one seed again and print all that happens in it."""
    outcome = play(draw.run(seed, kept=_places(keep, draw.count)))
    if shrinks and outcome.failure:
        outcome = shrink(outcome, tell=lambda best: click.echo(f"shorter: {command(best.run)}", err=True))
    if form == "json":
        shown = {"failure": outcome.failure, "faults": _faults_of(outcome.run), "trace": outcome.trace}
        click.echo(msgspec.json.format(msgspec.json.encode(shown)))
        return 1 if outcome.failure else 0
    click.echo(f"{outcome.nodes} nodes; faults that were drawn:")
    for place, fault in zip(_kept(outcome.run), outcome.run.faults, strict=True):
        click.echo(f"  {place}: {fault.kind} at {fault.at_ms / 1000:.3f} s for {fault.lasts_ms / 1000:.3f} s")
    for line in outcome.trace:
        click.echo(line)
    click.echo(
        outcome.failure or f"every rule held; {outcome.lived_ms / 1000:.0f} s, {outcome.events} events"
    )
    return 1 if outcome.failure else 0


def command(run: Run) -> str:
    """Write the shortest command that plays this run again."""
    words = [f"komainu sim replay {run.seed} --nodes {run.nodes}", *_draw_of(run)]
    if run.kept is not None:
        words.append(f"--keep {','.join(map(str, run.kept))}")
    return " ".join(words)


def _command_for(seeds: range, draw: Draw, *, each: bool) -> str:
    """Write the shortest command that plays these seeds."""
    low, high = draw.nodes[0], draw.nodes[-1]
    nodes = f"--nodes {low}" if low == high else f"--nodes {low}..{high}"
    words = [f"komainu sim run --seeds {seeds.start}..{seeds.stop - 1}", nodes, *_draw_of(draw)]
    return " ".join([*words, "--each"] if each else words)


def _draw_of(drawn: Run | Draw) -> list[str]:
    """Write the options that say which faults are drawn, but for those that are so anyhow."""
    words = []
    if drawn.kinds != tuple(KINDS):
        words.append(f"--faults {','.join(drawn.kinds)}")
    if drawn.count != COUNT_DEFAULT:
        words.append(f"--count {drawn.count}")
    if drawn.within_ms != WITHIN_S_DEFAULT * 1000:
        words.append(f"--within {drawn.within_ms // 1000}")
    return words


def _places(keep: str | None, count: int) -> tuple[int, ...] | None:
    """Read which faults are to strike."""
    if keep is None:
        return None
    parts = [part for part in keep.split(",") if part]
    if not all(part.isdigit() and int(part) < count for part in parts):
        raise click.BadParameter(f'"{keep}" does not name faults from 0 to {count - 1}', param_hint="--keep")
    return tuple(sorted({int(part) for part in parts}))


def _kept(run: Run) -> tuple[int, ...]:
    return tuple(range(run.count)) if run.kept is None else run.kept


# -- what is shown ----------------------------------------------------------------------------------------


def _summary(tally: Tally, took_s: float) -> Iterator[str]:
    """Sum up by class of faults."""
    yield f"{'class of faults':<16} {'runs':>7} {'strikes':>8} {'failed':>7}"
    for name in KINDS:
        if name in tally.by_class:
            runs, strikes, failed = tally.by_class[name]
            yield f"{name:<16} {runs:>7} {strikes:>8} {failed:>7}"
    figures = tally.figures
    hours = figures.get("lived_ms", 0) / 3_600_000
    yield ""
    yield (
        f"{tally.runs} runs in {took_s:.0f} s: {hours:.1f} hours of cluster life, {figures.get('events', 0)} events, "
        f"{figures.get('view_changes', 0)} views, {figures.get('plans', 0)} plans, "
        f"{figures.get('acknowledged', 0)} changes acknowledged"
    )
    if tally.is_cut_short:
        yield "cut short: not all runs were played"
    well = "no rule broke in those that were" if tally.is_cut_short else "every rule held in every run"
    yield f"{len(tally.failures)} failed" if tally.failures else well


def _failures(tally: Tally, shortest: Outcome | None) -> Iterator[str]:
    """Show each failed run with the command that plays it again; the first one cut down, with its end."""
    for failed in sorted(tally.failures, key=lambda verdict: verdict.run.seed):
        yield ""
        yield failed.failure
        yield f"  {command(failed.run)}"
    if shortest is not None:
        yield ""
        yield f"the first one, with {len(shortest.run.faults)} of its {shortest.run.count} faults:"
        yield f"  {command(shortest.run)}"
        yield from (f"  {line}" for line in shortest.trace[-TRACE_LINES:])
        yield f"  {shortest.failure}"


def _as_data(tally: Tally, shortest: Outcome | None, took_s: float) -> dict[str, object]:
    """Give the same for programs."""
    return {
        "runs": tally.runs,
        "seconds": round(took_s, 1),
        "is_cut_short": tally.is_cut_short,
        "figures": tally.figures,
        "classes": {
            name: {"runs": runs, "strikes": strikes, "failed": failed}
            for name, (runs, strikes, failed) in sorted(tally.by_class.items())
        },
        "failures": [_failure(failed) for failed in tally.failures],
        "shortest": None if shortest is None else command(shortest.run),
    }


def _failure(failed: Verdict) -> dict[str, object]:
    return {"rule": failed.rule, "failure": failed.failure, "replay": command(failed.run)}


def _faults_of(run: Run) -> list[dict[str, object]]:
    return [
        {"place": place, "kind": fault.kind, "at_ms": fault.at_ms, "lasts_ms": fault.lasts_ms}
        for place, fault in zip(_kept(run), run.faults, strict=True)
    ]
