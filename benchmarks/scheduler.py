"""Measure the scheduler beside Debian's crm_simulate, part by part; keep the figures and write docs/benchmark-scheduler.md.

Usage: python benchmarks/scheduler.py [--long] [--only PART ...] [--anew] [--list] [--suite DIRECTORY]

Both programs get the same files and only plan (-R). Figures are user seconds, so that what else the machine does
disturbs them less; each is the best of the tries. A cell runs in a process of its own, for the memory's sake. What was
measured is kept in build/benchmark-scheduler, so that a run that was ended goes on where it was; --anew begins anew.
The page is written after each part.
"""

import argparse
import asyncio
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
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

import planner
import scheduler_cibs as cibs
import scheduler_page

from komainu import compiled
from komainu.cib import document
from komainu.cib.element import Element
from komainu.cli.simulate import collect_seldom
from komainu.model import iso8601
from komainu.scheduler import recipe, simulation, summary
from komainu.scheduler.plan import plan
from komainu.scheduler.remembered import Remembered

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmark-scheduler.md"
KEPT = ROOT / "build" / "benchmark-scheduler"
SUITE = Path(os.environ.get("KOMAINU_SCHEDULER_SUITE") or ROOT.parent / "shared" / "scheduler-suite")
STATES = ("fresh", "idle", "lost")
CELLS = {"1000x8": STATES, "1000x32": STATES}
LONG_CELLS = {"5000x8": STATES, "5000x32": ("idle", "lost")}
"""At 5,000 x 32 a fresh cluster would keep crm_simulate for most of a day."""
PEER_LIMIT_S = 900
"""crm_simulate needs over 200 s for the largest fresh cluster; what takes longer than this is not waited for."""
TRIES = 3
SLOW_S = 8.0
"""What takes longer than this is run once: a try more would tell little and take long."""
SUITE_TRIES = 5
"""So many times the suite is planned by each in turn: a machine that others share is slower in one minute than in the next."""
BYTES_MAX = 1 << 30
BUILT = ROOT / "build" / "compiled" / "stage" / "src"
"""Where `make compiled` leaves what it made; it is measured where it was made from the sources that lie here."""

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    user_s: float
    system_s: float
    memory_mb: float


def main() -> None:
    # Where it is installed, its sources were compiled to bytecode once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--long", action="store_true", help="also clusters of 5,000 primitives")
    arguments.add_argument(
        "--only", nargs="*", metavar="PART", help="parts whose names begin so, measured anew"
    )
    arguments.add_argument("--anew", action="store_true", help="forget what was measured before")
    arguments.add_argument("--list", action="store_true", help="show the parts, and how long each took")
    arguments.add_argument("--suite", type=Path, default=SUITE, help="where the scheduler suite is")
    arguments.add_argument("--cell", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--again", type=Path, help=argparse.SUPPRESS)
    arguments.add_argument("--suite-cell", type=Path, help=argparse.SUPPRESS)
    wanted = arguments.parse_args()
    for path, measure in ((wanted.cell, cell), (wanted.again, again), (wanted.suite_cell, suite_cell)):
        if path is not None:
            print(json.dumps(measure(path)))
            return
    if wanted.anew and (KEPT / "figures.json").exists():
        (KEPT / "figures.json").unlink()
    figures = kept()
    everything = parts(wanted.suite, is_long=wanted.long or bool(wanted.only) or wanted.list)
    if wanted.list:
        for name in everything:
            print(f"{name:24} {took(figures, name)}")
        return
    run(everything, figures, wanted.only)


def run(everything: dict[str, Callable[[], Figures]], figures: Figures, only: list[str] | None) -> None:
    """Measure what is wanted and not there yet; write the page after each part."""
    if only is not None:
        chosen = [name for name in everything if name.startswith(tuple(only))]
    else:
        chosen = [name for name in everything if name not in figures]
    for number, name in enumerate(chosen, 1):
        print(f"[{number}/{len(chosen)}] {name} (last time {took(figures, name)}) … ", end="", flush=True)
        begun, loaded = time.monotonic(), os.getloadavg()[0]
        found = everything[name]()
        figures[name] = {
            **found,
            "date": datetime.now(UTC).isoformat(timespec="minutes"),
            "load": loaded,
            "took_s": time.monotonic() - begun,
        }
        (KEPT / "figures.json").write_text(json.dumps({"machine": machine(), **figures}, indent=1))
        PAGE.write_text(scheduler_page.page(kept()), encoding="utf-8")
        print(f"{took(figures, name)}: {json.dumps(found)}", flush=True)
    PAGE.write_text(scheduler_page.page({"machine": machine(), **figures}), encoding="utf-8")
    print(f"written: {PAGE.relative_to(ROOT)}")


def kept() -> Figures:
    """Read what was measured before."""
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / "figures.json"
    found: Figures = json.loads(file.read_text()) if file.exists() else {}
    return found


def took(figures: Figures, name: str) -> str:
    return f"{figures[name]['took_s']:.0f} s" if name in figures else "unknown"


def parts(suite: Path, *, is_long: bool) -> dict[str, Callable[[], Figures]]:
    """Name all that can be measured, in the order in which it is."""
    found: dict[str, Callable[[], Figures]] = {}
    if suite.is_dir():
        found["suite-planning"] = partial(suite_planning, suite)
        found["suite-used"] = partial(suite_used, suite)
    for size, states in {**CELLS, **(LONG_CELLS if is_long else {})}.items():
        for state in states:
            found[f"{size}-{state}"] = partial(beside, size, state)
        found[f"{size}-again"] = partial(replanned, size)
        if has_built():
            found[f"{size}-again-compiled"] = partial(replanned, size, is_compiled=True)
        if size != "1000x32":
            found[f"{size}-gap"] = partial(gaps, size)
    return found


def machine() -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    done = subprocess.run(["crm_simulate", "--version"], capture_output=True, text=True, check=False)
    peer_name = f"crm_simulate of {done.stdout.splitlines()[0]}"
    return f"{os.cpu_count()} cores ({model}), Python {platform.python_version()}, against {peer_name}"


# -- the suite ------------------------------------------------------------------------------------------


def suite_planning(suite: Path) -> Figures:
    """Plan every case once in one process, theirs and ours, in turns; the least of each."""

    def theirs() -> float:
        cost = peer(["-P", str(suite / "xml")])
        assert cost is not None, "crm_simulate took too long for its own suite"
        return cost.user_s

    def ours(*, is_compiled: bool = False) -> float:
        return own_json("--suite-cell", str(suite), is_compiled=is_compiled)["plan_s"]

    runs = {"theirs_s": theirs, "ours_s": ours}
    if has_built():
        runs["compiled_s"] = partial(ours, is_compiled=True)
    tries = [{name: run() for name, run in runs.items()} for _ in range(SUITE_TRIES)]
    least = {name: min(each[name] for each in tries) for name in runs}
    return {**least, "cases": len(list((suite / "xml").glob("*.xml")))}


def suite_used(suite: Path) -> Figures:
    """Answer every case as the suite's driver asks for it: theirs a part at a time, ours whole after each part, on average.

    The kernel's time counts as well: starting a process is much of what a case costs there.
    """
    asked = cases(suite)
    theirs, ours, compiled_s = 0.0, 0.0, 0.0
    for part in range(SUITE_TRIES):
        theirs += sum(as_used(suite / "xml", *case) for case in asked[part::SUITE_TRIES])
        ours += answered(suite) / SUITE_TRIES
        if has_built():
            compiled_s += answered(suite, is_compiled=True) / SUITE_TRIES
    found = {"theirs_s": theirs / len(asked), "ours_s": ours}
    return {**found, "compiled_s": compiled_s} if compiled_s else found


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
        return sum(run.user_s + run.system_s for run in runs if run is not None)


def suite_cell(suite: Path) -> dict[str, float]:
    """Plan every case of the suite in this process."""
    collect_seldom()  # as `komainu simulate` does
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


def answered(suite: Path, *, is_compiled: bool = False) -> float:
    """Have one warm server answer every case in full; return the seconds of one, the kernel's and its start included."""
    asked = cases(suite)
    requests = [{"xml": str(suite / "xml" / f"{name}.xml"), "args": arguments} for name, arguments in asked]
    with tempfile.TemporaryFile("w+") as lines:
        lines.write("".join(json.dumps(request) + "\n" for request in requests))
        lines.seek(0)
        cost = measured([*python(is_compiled=is_compiled), "-m", "komainu.cli.simulate", "--server"], lines)[
            0
        ]
    assert cost is not None, "our own answers took too long"
    return (cost.user_s + cost.system_s) / len(asked)


# -- generated clusters ---------------------------------------------------------------------------------


def file_of(size: str, state: str) -> Path:
    """Make the file of a cluster, unless it was made before."""
    path = KEPT / f"{size}-{state}.xml"
    if not path.exists():
        primitives, nodes = map(int, size.split("x"))
        made = cibs.fresh(primitives, nodes)
        if state != "fresh":
            made = cibs.idle(made)
        if state == "lost":
            made = cibs.node_lost(made)
        path.write_text(document.show(made), encoding="utf-8")
    return path


def read(path: Path) -> Element:
    return document.parse(path.read_text(encoding="utf-8"), str(path), bytes_max=BYTES_MAX)


def beside(size: str, state: str) -> Figures:
    """Plan a file with both programs, from the file to the summary; ours also without start and reading."""
    path = file_of(size, state)
    theirs = best(lambda: peer(["-x", str(path), "-R", *peer_time()]))

    def own(*, is_compiled: bool = False) -> Cost:
        command = [*python(is_compiled=is_compiled), "-m", "komainu.cli.simulate", "-R", *peer_time()]
        cost = best(lambda: measured([*command, "-x", str(path)])[0])
        assert cost is not None, "our own plan took too long"
        return cost

    ours = own()
    return {
        "theirs_s": None if theirs is None else theirs.user_s,
        "theirs_mb": None if theirs is None else theirs.memory_mb,
        "ours_s": ours.user_s,
        "ours_mb": ours.memory_mb,
        "plan_s": own_json("--cell", str(path))["plan_s"],
        **({"compiled_s": own(is_compiled=True).user_s} if has_built() else {}),
    }


def has_built() -> bool:
    """Tell whether there is a compiled scheduler of the sources that lie here."""
    package = BUILT / "komainu"
    is_there = (package / compiled.FOLDER).is_dir()
    return is_there and compiled.digest_of(package) == compiled.digest_of(ROOT / "src" / "komainu")


def replanned(size: str, *, is_compiled: bool = False) -> Figures:
    """Plan again after one change, in a process that has planned for the idle cluster."""
    found = own_json("--again", str(file_of(size, "idle")), is_compiled=is_compiled)
    return {name: found[name] for name in ("failed", "lost")}


def gaps(size: str) -> Figures:
    """Say how long the daemon's loop stands still meanwhile."""
    idle = read(file_of(size, "idle"))
    states = [("idle", idle), ("failed", cibs.monitor_failed(idle)), ("lost", cibs.node_lost(idle))]
    gc.collect()
    gc.freeze()
    return {way: asyncio.run(planner.measure(way, states)) for way in ("loop", "beside")}


def peer_time() -> list[str]:
    return ["-t", iso8601.show_moment(cibs.NOW_S)]


def best(run_once: Callable[[], Cost | None]) -> Cost | None:
    """Return the cheapest of the tries; None when one takes too long."""
    done: list[Cost] = []
    while len(done) < TRIES and not (done and done[-1].user_s > SLOW_S):
        cost = run_once()
        if cost is None:
            return None
        done.append(cost)
    return min(done, key=lambda cost: cost.user_s)


def peer(arguments: list[str]) -> Cost | None:
    """Run crm_simulate; None when it takes too long."""
    return measured(["crm_simulate", *arguments])[0]


def python(*, is_compiled: bool) -> list[str]:
    """Give the beginning of a command that runs Python with our sources, or with what was compiled of them."""
    return ["env", f"PYTHONPATH={BUILT}", sys.executable] if is_compiled else [sys.executable]


def own_json(*arguments: str, is_compiled: bool = False) -> dict[str, float]:
    cost, text = measured([*python(is_compiled=is_compiled), __file__, *arguments])
    assert cost is not None, "our own plan took too long"
    return {**json.loads(text), "user_s": cost.user_s, "memory_mb": cost.memory_mb}


def measured(command: list[str], given: IO[str] | None = None) -> tuple[Cost | None, str]:
    with (
        tempfile.TemporaryFile() as out,
        subprocess.Popen(command, stdin=given, stdout=out, stderr=subprocess.DEVNULL) as child,
    ):
        end = time.monotonic() + PEER_LIMIT_S
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
        return Cost(used.ru_utime, used.ru_stime, used.ru_maxrss / 1024), out.read().decode(errors="replace")


def user_s() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def tried(once: Callable[[], float]) -> float:
    found = [once()]
    while len(found) < TRIES and found[-1] <= SLOW_S:
        found.append(once())
    return min(found)


def cell(path: Path) -> dict[str, float]:
    """Plan one file in this process."""
    cib = read(path)
    gc.collect()
    gc.freeze()  # as the daemon does with what it holds for long
    return {"plan_s": tried(lambda: planned(cib))}


def again(path: Path) -> dict[str, float]:
    """Plan for an idle cluster, then after one change: what the daemon does all day."""
    cib = read(path)
    remembered = Remembered()
    plan(cib, cibs.NOW_S, remembered=remembered)
    gc.collect()
    gc.freeze()
    changes = {"failed": cibs.monitor_failed(cib), "lost": cibs.node_lost(cib)}
    return {name: tried(lambda: planned_again(changed, remembered)) for name, changed in changes.items()}  # noqa: B023 - used at once


def planned(cib: Element) -> float:
    start = user_s()
    job = recipe.read(cib, cibs.NOW_S)
    recipe.schedule(job)
    summary.text(job)
    return user_s() - start


def planned_again(changed: Element, remembered: Remembered) -> float:
    """Plan with what is remembered, as the planner's process does: what is left over is collected afterwards."""
    gc.disable()
    start = user_s()
    made = plan(changed, cibs.NOW_S, remembered=remembered)
    used = user_s() - start
    gc.enable()
    assert made.actions, "a change that needs nothing done measures nothing"
    del made
    gc.collect()
    return used


if __name__ == "__main__":
    main()
