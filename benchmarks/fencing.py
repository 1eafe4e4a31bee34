"""Run the drills of the last resort, komainu beside Pacemaker, and write docs/benchmark-fencing.md from what came.

Usage: python benchmarks/fencing.py [--runs N] [--power N] [--results FILE] [--only TEXT] [--note TEXT] [--render]

Each run is a command of its own: `komainu drill run NAME --stack STACK --format json`. What came of it is kept in a
file of JSON lines; runs that stand there already count, so that a run which was stopped can be taken up. For the
loss of power, the one step of the drill `power-loss` is repeated in one lab.
"""

import argparse
import datetime as dt
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from komainu.lab import drill as drills
from komainu.lab.runner import Outcome, Result
from komainu.lab.stacks import Stack

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs/benchmark-fencing.md"
DRILLS: Final = (
    ("fencing", (Stack.KOMAINU, Stack.PACEMAKER)),
    ("fencing-more", (Stack.KOMAINU, Stack.PACEMAKER)),
    ("fencing-none", (Stack.KOMAINU, Stack.PACEMAKER)),
    ("fencing-witness", (Stack.KOMAINU,)),
    ("fencing-clients", (Stack.KOMAINU,)),
    ("fencing-watchdog", (Stack.KOMAINU,)),
    ("fencing-sbd", (Stack.KOMAINU,)),
)
POWER: Final = "power-loss"
EQUAL_MS: Final = 1000
"""komainu's default detect_within with two links, given to Corosync as its token."""

SLACK: Final = "10"
"""The gaps are shown as they were; only what is called a miss allows for a busy computer."""

RUN_TIMEOUT_S: Final = 3600
BLOCK: Final = 5
"""Losses of power in one lab: what was measured is kept in pieces, should a run be stopped."""


class Run(msgspec.Struct, frozen=True):
    """One run of a drill. `variant` is "default", or "equal" where the time of detection was given."""

    drill: str
    stack: str
    variant: str
    at: str
    result: Result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="runs of each drill on each stack")
    parser.add_argument("--power", type=int, default=30, help="losses of power for each stack and setting")
    parser.add_argument("--results", type=Path, default=ROOT / "build/fencing.jsonl")
    parser.add_argument("--only", default="", help="only what has this in DRILL/STACK/VARIANT")
    parser.add_argument("--note", default="", help="a sentence for the page: what else the machine did")
    parser.add_argument("--render", action="store_true", help="only write the page from what is there")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    if not options.render:
        for name, stacks in DRILLS:
            for stack in stacks:
                _measure(options, (name, stack, "default"), options.runs)
        for stack, variant in (
            (Stack.KOMAINU, "default"),
            (Stack.PACEMAKER, "default"),
            (Stack.PACEMAKER, "equal"),
        ):
            _measure(options, (POWER, stack, variant), options.power)
    PAGE.write_text(page(read(options.results), options.note), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} is written")


def read(path: Path) -> list[Run]:
    """Read what was measured so far."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Run) for line in path.read_bytes().splitlines()]


def _measure(options: argparse.Namespace, what: tuple[str, Stack, str], wanted: int) -> None:
    """Run one drill on one stack until there are as many runs as are wanted."""
    name, stack, variant = what
    label = f"{name}/{stack.value}/{variant}"
    if options.only not in label:
        return
    while True:
        known = [one for one in read(options.results) if _key(one) == (name, stack.value, variant)]
        have = sum(len(one.result.outcomes) for one in known) if name == POWER else len(known)
        if have >= wanted:
            return
        print(f"{label}: {have + 1} of {wanted}", flush=True)
        result = _run(name, stack, variant, min(BLOCK, wanted - have))
        at = dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M")
        line = msgspec.json.encode(Run(name, stack.value, variant, at, result))
        with options.results.open("ab") as out:
            out.write(line + b"\n")


def _run(name: str, stack: Stack, variant: str, times: int) -> Result:
    """Run a drill as a command, and read its result. Ends the program when there is none."""
    lab = f"bench-{name}-{stack.value}-{variant}"[:32]
    komainu = [sys.executable, "-m", "komainu.cli.main", "drill", "run"]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"{name}.toml"
        path.write_text(_text(name, variant, times), encoding="utf-8")
        command = [
            *komainu,
            str(path),
            "--stack",
            stack.value,
            "--lab",
            lab,
            "--slack",
            SLACK,
            "--format",
            "json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    if not done.stdout:
        raise SystemExit(f"{name} on {stack.value} gave no result:\n{done.stderr}")
    return msgspec.json.decode(done.stdout, type=Result)


def _text(name: str, variant: str, times: int) -> str:
    """Give the drill's file, with the time of detection and the repetitions that are wanted."""
    text = drills.find(name).read_text(encoding="utf-8")
    if variant == "equal":
        text = text.replace("[lab]\n", f"[lab]\ndetect_within_ms = {EQUAL_MS}\n", 1)
    before, mark, step = text.partition("[[step]]")
    return before + (mark + step) * times if name == POWER else text


def _key(run: Run) -> tuple[str, str, str]:
    return run.drill, run.stack, run.variant


# -- the page -------------------------------------------------------------------------------------------


def page(runs: list[Run], note: str) -> str:
    """Write the page."""
    lines = [
        "# The last resort, beside Pacemaker",
        "",
        "Written by `make bench-fencing` (benchmarks/fencing.py). Two machines in network namespaces, real daemons, real",
        "agents, one fence device; the peer is Debian's Corosync 3 and Pacemaker 2.1 with default settings and the same",
        "configuration. A client asks for the service every 20 ms. What is expected is what komainu promises",
        "(`src/komainu/drills/`); where the peer does otherwise, that is no fault of its programs, but a difference.",
        *([note] if note else []),
        "",
        "## The active node loses its power",
        "",
        "The fence device answers in 0.2 s. The time in which the client got no answer, ms:",
        "",
        "| stack | detection | runs | p50 | p99 | worst |",
        "|---|---|---|---|---|---|",
        *_power_rows(runs),
    ]
    for name, stacks in DRILLS:
        if any(one.drill == name for one in runs):
            lines += [
                "",
                f"## `{name}`: {drills.load(drills.find(name)).title}",
                "",
                *_drill(name, stacks, runs),
            ]
    return "\n".join(lines) + "\n"


def _power_rows(runs: list[Run]) -> Iterable[str]:
    detection = {
        (Stack.KOMAINU, "default"): "default: detect_within 1 s",
        (Stack.PACEMAKER, "default"): "default: token 3 s",
        (Stack.PACEMAKER, "equal"): "token 1 s",
    }
    for (stack, variant), words in detection.items():
        outcomes = [
            outcome
            for one in runs
            if _key(one) == (POWER, stack.value, variant)
            for outcome in one.result.outcomes
            if not outcome.is_broken_off
        ]
        gaps = sorted(outcome.longest_gap_ms for outcome in outcomes)
        if gaps:
            yield (
                f"| {stack.value} | {words} | {len(gaps)} | {statistics.median(gaps):.0f} | "
                f"{_p99(gaps)} | {gaps[-1]} |"
            )


def _p99(values: list[int]) -> int:
    """Give the least value that is not exceeded by 99 of 100; of fewer than 100 values that is the greatest."""
    return values[max(0, -(-len(values) * 99 // 100) - 1)]


def _drill(name: str, stacks: tuple[Stack, ...], runs: list[Run]) -> list[str]:
    heads = [f"{stack.value}: as expected | reboots | gap p50, worst (ms)" for stack in stacks]
    lines = [f"| step | {' | '.join(heads)} |", "|---" * (1 + 3 * len(stacks)) + "|"]
    missed: list[str] = []
    for step in drills.load(drills.find(name)).steps:
        cells = []
        for stack in stacks:
            outcomes = [
                outcome
                for one in runs
                if (one.drill, one.stack) == (name, stack.value)
                for outcome in one.result.outcomes
                if outcome.step == step.name
            ]
            cells.append(_cells(outcomes))
            said = sorted({" ".join(miss.split()) for outcome in outcomes for miss in outcome.misses})
            missed += [f"- {stack.value}, {step.name}: {'; '.join(said)}"] if said else []
        lines.append(f"| {step.name} | {' | '.join(cells)} |")
    return [*lines, *(["", "Not as expected, in any run:", "", *missed] if missed else [])]


def _cells(outcomes: list[Outcome]) -> str:
    if not outcomes:
        return "- | - | -"
    good = sum(not one.misses for one in outcomes)
    reboots = ", ".join(str(count) for count in sorted({one.reboots for one in outcomes}))
    gaps = sorted(one.longest_gap_ms for one in outcomes)
    return f"{good} of {len(outcomes)} | {reboots} | {statistics.median(gaps):.0f}, {gaps[-1]}"


if __name__ == "__main__":
    main()
