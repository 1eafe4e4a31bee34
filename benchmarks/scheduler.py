"""Measure the scheduler beside Debian's crm_simulate, in one run; write docs/benchmark-scheduler.md.

Usage: python benchmarks/scheduler.py [--long] [--suite DIRECTORY] [--print]

Both programs get the same files and only plan (-R). Figures are user seconds, so that what else the machine does
disturbs them less; each is the best of the tries. A cell runs in a process of its own, for the memory's sake.
"""

import argparse
import gc
import json
import os
import platform
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import scheduler_cibs as cibs

from komainu.cib import document
from komainu.cib.element import Element
from komainu.model import iso8601
from komainu.scheduler import recipe, simulation, summary
from komainu.scheduler.plan import plan
from komainu.scheduler.remembered import Remembered

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmark-scheduler.md"
SUITE = Path(os.environ.get("KOMAINU_SCHEDULER_SUITE") or ROOT.parent / "shared" / "scheduler-suite")
SIZES = ((1_000, 8), (1_000, 32))
LONG_SIZES = ((5_000, 8), (5_000, 32))
LONG_FRESH_LIMIT_S = 900
"""crm_simulate needs over 200 s for the largest fresh clusters; what takes longer than this is not waited for."""
TEXT_EVERY = 6
"""Every how many cases of the suite are run as its own driver runs them: two processes for each."""
BYTES_MAX = 1 << 30


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    user_s: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Own:
    """What a plan of ours took in a process of its own, and again in the warm process."""

    whole: Cost
    load_s: float
    plan_s: float
    again: dict[str, float]


class Aims:
    """What was aimed at, and whether it was reached, in the order in which it was measured."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def at_least(self, what: str, aim: float, found: float) -> None:
        """Judge how many times quicker than the other program something is."""
        self._add(what, f"at least {aim:g} times quicker", f"{found:.1f} times", is_met=found >= aim)

    def under(self, what: str, aim_s: float, found_s: float) -> None:
        """Judge how long something takes."""
        self._add(what, f"under {aim_s:g} s", f"{found_s:.2f} s", is_met=found_s < aim_s)

    def unmeasured(self, what: str, why: str) -> None:
        """Say what nobody knows."""
        self._lines.append(f"| {what} | | {why} | not measured |")

    def _add(self, what: str, aim: str, found: str, *, is_met: bool) -> None:
        self._lines.append(f"| {what} | {aim} | {found} | {'met' if is_met else '**missed**'} |")

    def lines(self) -> list[str]:
        return self._lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--long", action="store_true", help="also the clusters of 5,000 primitives (half an hour)"
    )
    parser.add_argument("--suite", type=Path, help="where the scheduler suite is")
    parser.add_argument("--print", action="store_true", dest="prints", help="do not write the page")
    parser.add_argument("--tries", type=int, default=3, help="of each the best is taken")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--suite-cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cell:
        print(json.dumps(cell(Path(options.cell))))
        return
    if options.suite_cell:
        print(json.dumps(suite_cell(Path(options.suite_cell))))
        return
    lines = list(page(options))
    if options.prints:
        return
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")


# -- the page -------------------------------------------------------------------------------------------


def page(options: argparse.Namespace) -> Iterator[str]:
    yield from shown(
        HEAD.format(date=datetime.now(UTC).date().isoformat(), machine=machine(), peer=peer_version())
    )
    suite = options.suite or SUITE
    aims = Aims()
    if not suite.is_dir():
        aims.unmeasured("the regression suite", "it was not found")
        yield from shown(
            "The scheduler suite was not found, so it was not measured (KOMAINU_SCHEDULER_SUITE).\n"
        )
    else:
        yield from shown(SUITE_HEAD)
        yield from suite_rows(suite, options.tries, aims)
    yield from shown(CELLS_HEAD)
    replans: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES + (LONG_SIZES if options.long else ()):
            yield from size_rows(Path(folder), size, options.tries, Seen(replans, aims))
    if not options.long:
        aims.unmeasured(
            "clusters of 5,000 primitives", "run `make bench-scheduler LONG=--long` (much longer)"
        )
    yield from shown(REPLAN_HEAD)
    for line in [*replans, AIMS_HEAD, *aims.lines()]:
        yield from shown(line)
    yield from shown(f"\nThe load of the machine was {load()} at the end.")


HEAD = """# The scheduler beside crm_simulate

Written by `make bench-scheduler` on {date}: {machine}, Python {python}, against {peer}.
Nothing on this page is written by hand. Figures are user seconds, the best of a few tries; ratios are of figures from the same run on the same machine.
Whatever else the machine did at the time makes both sides slower.
""".replace("{python}", platform.python_version())

SUITE_HEAD = """## The regression suite

Planning: every case planned once in one process (`crm_simulate -P`; ours: read, plan, summary). As used: summary, scores
and graphs, as the suite's own driver asks for them: two processes a case, against one answer of `komainu simulate --server`.

| | crm_simulate | komainu | ratio |
|---|---|---|---|"""

CELLS_HEAD = """
## Generated clusters

n primitives, a quarter of them in groups of five, an interleaved clone per 500, a colocation and an order per ten,
groups with and after a clone, a 10 s monitor everywhere. *Whole*: one process from the file to the summary
(`crm_simulate -R`; ours includes Python's start). *Plan*: ours without start and reading of the file, the best of the
tries in one process. Memory is the process's greatest (ru_maxrss).

| primitives x nodes | state | crm_simulate -R | komainu, whole | ratio | plan | ratio | memory: theirs | ours |
|---|---|---|---|---|---|---|---|---|"""

REPLAN_HEAD = """
## Planning again in a live cluster

The daemon plans again after each change and keeps what it read of what did not change. Here: idle is planned, then one
thing changes, then it is planned again; the time is that of the second plan, with its reasons, as the daemon makes it.

| primitives x nodes | one monitor failed | one node lost |
|---|---|---|"""


AIMS_HEAD = """
## What was aimed at

| what | aim | found | |
|---|---|---|---|"""


def shown(line: str) -> Iterator[str]:
    print(line, flush=True)
    yield line


def machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    return f"{os.cpu_count()} cores ({model}), load {load()} at the start"


def load() -> str:
    """Give the load averages of the last 1, 5 and 15 minutes; above the number of cores they make all slower."""
    return ", ".join(f"{number:.1f}" for number in os.getloadavg())


def peer_version() -> str:
    done = subprocess.run(["crm_simulate", "--version"], capture_output=True, text=True, check=False)
    return f"crm_simulate of {done.stdout.splitlines()[0]}"


def ratio(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.1f}x"


# -- the suite ------------------------------------------------------------------------------------------


def suite_rows(suite: Path, tries: int, aims: Aims) -> Iterator[str]:
    folder = suite / "xml"
    theirs = best(peer(["-P", str(folder)]) for _ in range(tries))
    assert theirs is not None, "crm_simulate took too long for its own suite"
    ours = [own_json("--suite-cell", str(suite)) for _ in range(tries)]
    planned = min(one["plan_s"] for one in ours)
    count = len(list(folder.glob("*.xml")))
    yield from shown(
        f"| planning, {count} cases | {theirs.user_s:.1f} s | {planned:.1f} s | {ratio(theirs.user_s, planned)} |"
    )
    aims.at_least("planning the suite", 1, theirs.user_s / planned)
    chosen = cases(suite)[::TEXT_EVERY]
    used = sum(as_used(folder, name, arguments) for name, arguments in chosen) / len(chosen)
    own_s = min(answered(suite) for _ in range(tries))
    aims.at_least("the suite as it is used, a case", 20, used / own_s)
    yield from shown(
        f"| as used, a case | {1000 * used:.0f} ms (every {TEXT_EVERY}th) | {1000 * own_s:.0f} ms | {ratio(used, own_s)} |"
    )


def cases(suite: Path) -> list[tuple[str, list[str]]]:
    lines = (suite / "cases.txt").read_text(encoding="utf-8").splitlines()
    words = [shlex.split(line) for line in lines if line.strip() and not line.startswith("#")]
    return [(first, rest) for first, *rest in words]


def as_used(folder: Path, name: str, arguments: list[str]) -> float:
    """Run a case as the suite's driver does: once for the summary, once for graphs and scores."""
    file = ["-x", str(folder / f"{name}.xml")]
    with tempfile.TemporaryDirectory() as out:
        files = ["-D", f"{out}/dot", "-G", f"{out}/graph", "-sSQ"]
        runs = [peer([*file, "-S", *arguments]), peer([*file, *files, *arguments])]
        return sum(run.user_s for run in runs if run is not None)


def suite_cell(suite: Path) -> dict[str, float]:
    """Plan every case of the suite in this process."""
    planning = user_s()
    for name, arguments in cases(suite):
        path = suite / "xml" / f"{name}.xml"
        cib = document.parse(path.read_text(encoding="utf-8"), name)
        given = arguments[arguments.index("-t") + 1] if "-t" in arguments else None
        moment = simulation.moment_of(cib, given, cibs.NOW_S)
        assert moment is not None, "the suite gives good times"
        job = recipe.read(cib, moment.now_s, is_simulated=True)
        recipe.schedule(job)
        summary.text(job)
    planning = user_s() - planning
    return {"plan_s": planning}


def answered(suite: Path) -> float:
    """Have one warm server answer every case in full; return the user seconds of one, its start included."""
    asked = cases(suite)
    requests = [{"xml": str(suite / "xml" / f"{name}.xml"), "args": arguments} for name, arguments in asked]
    with tempfile.TemporaryFile("w+") as lines:
        lines.write("".join(json.dumps(request) + "\n" for request in requests))
        lines.seek(0)
        cost = measured([sys.executable, "-m", "komainu.cli.simulate", "--server"], lines)[0]
    assert cost is not None, "our own answers took too long"
    return cost.user_s / len(asked)


# -- generated clusters ---------------------------------------------------------------------------------


FRESH_AIMS = {(1_000, 32): 10, (5_000, 8): 20}
"""How many times quicker a whole fresh run shall be than the other program."""
REPLAN_AIMS_S = {(1_000, 8): 0.3, (5_000, 32): 3.0}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is told of the cells further down in the page."""

    replans: list[str]
    aims: Aims

    def fresh(self, size: tuple[int, int], theirs: Cost | None, ours: Own) -> None:
        if size not in FRESH_AIMS:
            return
        what = f"{size[0]:,} x {size[1]} fresh, whole"
        if theirs is None:
            self.aims.unmeasured(what, f"crm_simulate needs over {LONG_FRESH_LIMIT_S} s")
        else:
            self.aims.at_least(what, FRESH_AIMS[size], theirs.user_s / ours.whole.user_s)

    def replanned(self, size: tuple[int, int], ours: Own) -> None:
        name, again = f"{size[0]:,} x {size[1]}", ours.again
        self.replans.append(f"| {name} | {again['failed']:.2f} s | {again['lost']:.2f} s |")
        if size in REPLAN_AIMS_S:
            self.aims.under(f"{name} again, a monitor failed", REPLAN_AIMS_S[size], again["failed"])
            self.aims.under(f"{name} again, a node lost", REPLAN_AIMS_S[size], again["lost"])


def size_rows(folder: Path, size: tuple[int, int], tries: int, seen: Seen) -> Iterator[str]:
    fresh = cibs.fresh(*size)
    idle = cibs.idle(fresh)
    states = {"fresh": fresh, "idle": idle, "one node lost": cibs.node_lost(idle)}
    for state, cib in states.items():
        path = folder / f"{size[0]}-{size[1]}-{state.replace(' ', '-')}.xml"
        path.write_text(document.show(cib), encoding="utf-8")
        is_slow = size in LONG_SIZES
        theirs = best(peer(["-x", str(path), "-R", *peer_time()]) for _ in range(1 if is_slow else tries))
        ours = own(path, 1 if is_slow else tries)
        name = f"{size[0]:,} x {size[1]}"
        if theirs is None:
            peer_columns = f"over {LONG_FRESH_LIMIT_S} s"
            yield from shown(
                f"| {name} | {state} | {peer_columns} | {ours.whole.user_s:.2f} s | | {ours.plan_s:.2f} s | | | {ours.whole.memory_mb:.0f} MB |"
            )
        else:
            yield from shown(
                f"| {name} | {state} | {theirs.user_s:.2f} s | {ours.whole.user_s:.2f} s | {ratio(theirs.user_s, ours.whole.user_s)} "
                f"| {ours.plan_s:.2f} s | {ratio(theirs.user_s, ours.plan_s)} | {theirs.memory_mb:.0f} MB | {ours.whole.memory_mb:.0f} MB |"
            )
        if state == "fresh":
            seen.fresh(size, theirs, ours)
        if state == "idle":
            seen.replanned(size, ours)
        path.unlink()


def peer_time() -> list[str]:
    return ["-t", iso8601.show_moment(cibs.NOW_S)]


def best(runs: Iterator[Cost | None]) -> Cost | None:
    done = [run for run in runs if run is not None]
    return min(done, key=lambda cost: cost.user_s) if done else None


def peer(arguments: list[str]) -> Cost | None:
    """Run crm_simulate; None when it takes too long."""
    return measured(["crm_simulate", *arguments])[0]


def own_json(*arguments: str) -> dict[str, float]:
    cost, text = measured([sys.executable, __file__, *arguments])
    assert cost is not None, "our own plan took too long"
    return {**json.loads(text), "user_s": cost.user_s, "memory_mb": cost.memory_mb}


def own(path: Path, tries: int) -> Own:
    """Plan a file as the command does, then again in a warm process, with the changes of a live cluster."""
    command = [sys.executable, "-m", "komainu.cli.simulate", "-R", "-t", iso8601.show_moment(cibs.NOW_S)]
    whole = best(measured([*command, "-x", str(path)])[0] for _ in range(tries))
    assert whole is not None, "our own plan took too long"
    found = own_json("--cell", str(path))
    again = {name: found[name] for name in ("failed", "lost") if name in found}
    return Own(whole, found["load_s"], found["plan_s"], again)


def measured(command: list[str], given: IO[str] | None = None) -> tuple[Cost | None, str]:
    with (
        tempfile.TemporaryFile() as out,
        subprocess.Popen(command, stdin=given, stdout=out, stderr=subprocess.DEVNULL) as child,
    ):
        end = time.monotonic() + LONG_FRESH_LIMIT_S
        while True:
            pid, status, used = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                child.kill()
                return None, ""
            time.sleep(0.01)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return Cost(used.ru_utime, used.ru_maxrss / 1024), out.read().decode(errors="replace")


def user_s() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def cell(path: Path, tries: int = 3) -> dict[str, float]:
    """Plan one file in this process, and again after a change where the cluster is idle."""
    loading = user_s()
    cib = document.parse(path.read_text(encoding="utf-8"), str(path), bytes_max=BYTES_MAX)
    found = {"load_s": user_s() - loading}
    gc.collect()
    gc.freeze()  # as the daemon does with what it holds for long
    found["plan_s"] = min(planned(cib) for _ in range(tries))
    if "idle" in path.name:
        found["failed"] = min(planned_again(cib, cibs.monitor_failed(cib)) for _ in range(tries))
        found["lost"] = min(planned_again(cib, cibs.node_lost(cib)) for _ in range(tries))
    return found


def planned(cib: Element) -> float:
    start = user_s()
    job = recipe.read(cib, cibs.NOW_S)
    recipe.schedule(job)
    summary.text(job)
    return user_s() - start


def planned_again(cib: Element, changed: Element) -> float:
    remembered = Remembered()
    plan(cib, cibs.NOW_S, remembered=remembered)
    start = user_s()
    made = plan(changed, cibs.NOW_S, remembered=remembered)
    used = user_s() - start
    assert made.actions, "a change that needs nothing done measures nothing"
    return used


if __name__ == "__main__":
    main()
