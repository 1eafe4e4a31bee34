"""Run the drills of the last resort, komainu beside Pacemaker, and write docs/benchmark-fencing.md from what came.

Usage: python benchmarks/fencing.py [--runs N] [--power N] [--labs N] [--only TEXT] [--again] [--render]

Each run is a command of its own: `komainu drill run NAME --stack STACK --format json`, in as many labs at once as is said.
What came is kept after each run in benchmarks/fencing-figures.json, and the page is written from that; a run that stands
there already counts, so that a measurement which was stopped goes on, and `--again` forgets those that are named. For the
loss of power, the one step of the drill `power-loss` is repeated in one lab.
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import fencing_page
import msgspec
from fencing_page import DRILLS, POWER, Figures, Run, Seen

from komainu.lab import drill as drills
from komainu.lab.runner import Result
from komainu.lab.stacks import Stack

HERE: Final = Path(__file__).resolve().parent
EQUAL_MS: Final = 1000
"""komainu's default detect_within with two links, given to Corosync as its token."""

SLACK: Final = "10"
"""The gaps are shown as they were; only what is called a miss allows for a busy computer."""

RUN_TIMEOUT_S: Final = 3600
BLOCK: Final = 5
"""Losses of power in one lab: what was measured is kept in pieces, should a run be stopped."""

Job = tuple[str, Stack, str, int]
"""A drill, its stack, the variant, and how often its step is repeated."""


class Book:
    """The figures on disk, to which every lab adds what came of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._lock = threading.Lock()
        self.figures = fencing_page.read(options.figures)

    def add(self, run: Run) -> None:
        """Keep a run, and write the page anew."""
        with self._lock:
            self.figures.runs.append(run)
            self.write()

    def write(self) -> None:
        """Write figures and page."""
        lines = [msgspec.json.encode(run).decode() for run in self.figures.runs]
        text = f'{{"earlier":{msgspec.json.encode(self.figures.earlier).decode()},\n"runs":[\n' + ",\n".join(
            lines
        )
        self._options.figures.write_text(text + "\n]}\n", encoding="utf-8")
        self._options.page.write_text(fencing_page.page(self.figures), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10, help="runs of each drill on each stack")
    parser.add_argument("--power", type=int, default=30, help="losses of power for each stack and setting")
    parser.add_argument("--labs", type=int, default=1, help="run in so many labs at once")
    parser.add_argument("--name", default="bench-fencing", help="the labs' names begin so")
    parser.add_argument("--only", default="", help="only what has this in DRILL/STACK/VARIANT")
    parser.add_argument("--again", action="store_true", help="forget first what was measured of that")
    parser.add_argument("--render", action="store_true", help="only write the page from what is there")
    parser.add_argument("--figures", type=Path, default=HERE / "fencing-figures.json")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs/benchmark-fencing.md")
    options = parser.parse_args()
    book = Book(options)
    if options.again:
        kept = [run for run in book.figures.runs if options.only not in "/".join(run.key)]
        book.figures = Figures(book.figures.earlier, kept)
    jobs = [] if options.render else _jobs(options, book.figures)
    todo = deque(jobs)

    def work(number: int) -> None:
        while todo:
            job = todo.popleft()
            print(f"{job[0]}/{job[1].value}/{job[2]}: {len(todo)} more", flush=True)
            book.add(_run(job, f"{options.name}-{number}", options.labs))

    with ThreadPoolExecutor(options.labs) as pool:
        for one in [pool.submit(work, number) for number in range(options.labs)]:
            one.result()
    book.write()
    print(f"{options.page} is written")


def _jobs(options: argparse.Namespace, figures: Figures) -> list[Job]:
    """Say what is lacking, each drill in turn, so that all meet the same load."""
    wanted = {(name, stack, "default"): options.runs for name, stacks in DRILLS for stack in stacks}
    wanted |= dict.fromkeys(fencing_page.DETECTION, options.power)
    jobs: list[Job] = []
    lacking = {}
    for key, times in wanted.items():
        if options.only in f"{key[0]}/{key[1].value}/{key[2]}":
            lacking[key] = times - figures.count(*key)
    while any(times > 0 for times in lacking.values()):
        for (name, stack, variant), times in lacking.items():
            repeated = min(BLOCK, times) if name == POWER else 1
            if times > 0:
                jobs.append((name, stack, variant, repeated))
                lacking[name, stack, variant] -= repeated
    return jobs


def _run(job: Job, lab: str, labs: int) -> Run:
    """Run a drill as a command, and read its result. Raises SystemExit when there is none."""
    name, stack, variant, times = job
    komainu = [sys.executable, "-m", "komainu.cli.main", "drill", "run"]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / f"{name}.toml"
        path.write_text(_text(name, variant, times), encoding="utf-8")
        command = [*komainu, str(path), "--stack", stack.value, "--lab", lab]
        command += ["--slack", SLACK, "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    if not done.stdout:
        raise SystemExit(f"{name} on {stack.value} gave no result:\n{done.stderr}")
    result = msgspec.json.decode(done.stdout, type=Result)
    seen = [
        Seen(
            step=one.step,
            reboots=one.reboots,
            gap_ms=one.longest_gap_ms,
            misses=one.misses,
            is_broken_off=one.is_broken_off,
        )
        for one in result.outcomes
    ]
    at = dt.datetime.now(tz=dt.UTC).strftime("%Y-%m-%d %H:%M")
    return Run(name, stack.value, variant, at, max(load, os.getloadavg()[0]), labs, seen)


def _text(name: str, variant: str, times: int) -> str:
    """Give the drill's file, with the time of detection and the repetitions that are wanted."""
    text = drills.find(name).read_text(encoding="utf-8")
    if variant == "equal":
        text = text.replace("[lab]\n", f"[lab]\ndetect_within_ms = {EQUAL_MS}\n", 1)
    before, mark, step = text.partition("[[step]]")
    return before + (mark + step) * times if name == POWER else text


if __name__ == "__main__":
    main()
