"""Measure the ring beside Corosync 3 in labs on this machine; keep the figures, and write docs/benchmark-ring.md from them.

Usage: python benchmarks/ring.py [--only PART]... [--times N] [--labs N] [--resume] [--seconds N] [--minutes N]
(as root: Corosync needs it)

Parts: order, idle, detection, blip, suspicion, flood, fuzz, sizes; all when none is named. A part that is measured replaces its
figures in benchmarks/ring-figures.json; the page (ring_page.py) says of each when, how often and under which load it was
measured. Detection and blips are kept piece by piece: `--resume` measures only what is lacking, `--labs N` in so many labs at
once. Detection is read from the daemons' own records. Where more views began than expected, or later than promised, the
records of all machines are kept in build/ring-odd.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ring_fuzz
import ring_page
import ring_sizes
from ring_labs import NAME, STACKS, Book, Shape, View, await_whole, fill, raised, views_since

from komainu.lab import action, procfs
from komainu.lab import lab as labs
from komainu.lab.machine import environment
from komainu.lab.stacks import DAEMON, Stack

HERE = Path(__file__).resolve().parent
SIZES = {"64 B": 64, "1.6 kB": 1600, "40 kB": 40_000, "1 MB": 1_000_000}
START_COROSYNC = "komainu config corosync --write --in-container {}; corosync && renice -n -15 -p $(pidof corosync) >/dev/null"
WITHOUT_CRYPTO = "&& sed -i 's/aes256/none/; s/sha256/none/' /etc/corosync/corosync.conf"
ENGINES = ("builtin", "corosync")
FAULTS = ("power off", "SIGKILL", "SIGSTOP", "cable")
BLIPS_MS = (200, 500, 1000, 1500, 2000, 3000, 5000, 10_000)
NODES = (2, 8, 16, 32, 64)  # as many as a ring may have (ring/settings.py)
WATCHER, BROKEN = "b", 3  # the node that is broken is c
VIEWS_EXPECTED = 2  # one without a node, one with it again
DETECTED_WITHIN_S = 30
PROMISED_MS = 1000  # detect_within's default with two links
IDLE_S = 20
READY_WITHIN_S = 120
SIZE_WITHIN_S = 600  # of CPU time: twice the nodes take up to eight times as long
BUSY_PER_CORE = 2
DROP = (
    "nft add table inet bench && nft add chain inet bench arriving '{{ type filter hook input priority 0; }}' && "
    "nft add rule inet bench arriving iifname != lo numgen random mod 100 '<' {} counter drop"
)
Figures = dict[str, Any]


# -- ordered messages -------------------------------------------------------------------------------------


def measure_order(options: argparse.Namespace) -> Figures:
    rows: dict[str, dict[str, float]] = {}
    for nodes in (2, 3):
        for kind, stack in STACKS.items():
            with raised(nodes, stack, ("sleep", "infinity")) as lab:
                names = ("a", "b", "c")[:nodes]
                if kind != "builtin":
                    more = WITHOUT_CRYPTO if kind == "libcpg" else ""
                    for node in names:
                        lab.run(node, ["sh", "-c", START_COROSYNC.format(more)])
                for label, size in SIZES.items():
                    found = rows[f"{nodes} {kind} {label}"] = load(lab, names, kind, size, options.seconds)
                    said = f"{found['rate']:.1f}/s, {found['p50_ms']:.2f} ms" if found else "no figure"
                    print(f"{nodes} nodes, {ring_page.CALLED[kind]}, {label}: {said}", flush=True)
    return {"seconds": options.seconds, "rows": rows}


def load(lab: labs.Lab, names: tuple[str, ...], kind: str, size: int, seconds: float) -> dict[str, float]:
    program = [sys.executable, str(HERE / "ring_load.py"), kind, str(size), str(seconds)]
    running = [
        subprocess.Popen(lab.inside(node, program), stdout=subprocess.PIPE, text=True, env=environment(NAME))
        for node in names
    ]
    try:
        out, _ = running[-1].communicate(timeout=90 + seconds)
        return json.loads(out) if out.strip() else {}
    except subprocess.TimeoutExpired:
        return {}
    finally:
        for node in names:
            lab.run(node, ["pkill", "-9", "-f", "ring_load.py"])
        for one in running:
            one.wait()


# -- detection, blips, idle cost ----------------------------------------------------------------------------


def measure_detection(options: argparse.Namespace) -> Figures:
    """Break a node in each way: how soon does a view begin without it on another, and which views besides?"""
    wanted = {f"{kind} {fault}": options.times for fault in FAULTS for kind in ENGINES}
    book = Book(options.begun.get("rows", {}), options.keep, options.odd / "detection")
    fill(book, wanted, Shape(3, ring_on_lan=True, once=_detect), options.labs, options.name)
    return {"rows": book.rows}


def _detect(lab: labs.Lab, row: str, book: Book) -> dict[str, Any]:
    await_whole(lab, 3)
    time.sleep(1)
    kind, fault = row.split(" ", 1)
    since = time.time_ns() // 1_000_000
    took = break_and_watch(lab, fault)
    await_whole(lab, 3)
    views = len(views_since(lab, WATCHER, since))
    found = {"ms": took, "views": views}
    more = 1 if row == "corosync SIGSTOP" else 0  # the reset that mends it ends its Corosync, too
    is_expected = VIEWS_EXPECTED <= views <= VIEWS_EXPECTED + more
    if took is None or not is_expected or (kind == "builtin" and took > PROMISED_MS):
        book.odd(lab, {"row": row, "since": since, **found})
    return found


def break_and_watch(lab: labs.Lab, fault: str, watcher: str = WATCHER) -> float | None:
    """Break node c, wait for the view without it on another, mend c; return the time of detection in ms."""
    since = time.time_ns() // 1_000_000
    match fault:
        case "power off":
            lab.perform(action.PowerOff("c"))
        case "SIGKILL":
            lab.perform(action.KillDaemon("c", "KILL"))
        case "SIGSTOP":
            lab.perform(action.KillDaemon("c", "STOP"))
        case _:
            lab.perform(action.Pull("interconnect", "c"))
            lab.perform(action.Pull("lan", "c"))
    until = time.monotonic() + DETECTED_WITHIN_S
    seen: list[View] = []
    while not seen and time.monotonic() < until:
        time.sleep(0.05)
        seen = [view for view in views_since(lab, watcher, since) if BROKEN not in view.members]
    match fault:
        case "power off":
            lab.perform(action.PowerOn("c"))
        case "SIGKILL":
            lab.perform(action.StartDaemon("c"))
        case "SIGSTOP":
            lab.perform(action.Reset("c"))
        case _:
            lab.perform(action.Plug("interconnect", "c"))
            lab.perform(action.Plug("lan", "c"))
    return float(seen[0].at - since) if seen else None


def measure_blips(options: argparse.Namespace) -> Figures:
    """Cut the only link between two nodes for a moment: how many views began on b?"""
    wanted = {f"{kind} {blip_ms}": options.times for blip_ms in BLIPS_MS for kind in ENGINES}
    book = Book(options.begun.get("rows", {}), options.keep, options.odd / "blip")
    fill(book, wanted, Shape(2, ring_on_lan=False, once=_blip), options.labs, options.name)
    return {"rows": book.rows}


def _blip(lab: labs.Lab, row: str, book: Book) -> int:
    await_whole(lab, 2)
    time.sleep(1)
    since = time.time_ns() // 1_000_000
    lab.perform(action.Pull("interconnect", "a"))
    time.sleep(int(row.split()[1]) / 1000)
    lab.perform(action.Plug("interconnect", "a"))
    time.sleep(3)  # a view that comes late is counted, too
    await_whole(lab, 2)
    views = len(views_since(lab, WATCHER, since))
    if views not in {0, VIEWS_EXPECTED}:
        book.odd(lab, {"row": row, "since": since, "views": views})
    return views


def measure_suspicion(options: argparse.Namespace) -> Figures:
    """Load all cores, harm nobody, and count the views that begin; then the same in the simulator, with loss."""
    busy_count = BUSY_PER_CORE * (os.cpu_count() or 1)
    cases = [(kind, loss) for loss in (0.0, ring_page.LOSS) for kind in ENGINES]
    rows: dict[str, dict[str, int]] = {}
    for first in range(0, len(cases), options.labs):
        together = cases[first : first + options.labs]
        ready = threading.Barrier(len(together), timeout=READY_WITHIN_S)
        with ThreadPoolExecutor(len(together)) as pool:
            jobs = [pool.submit(_suspected, options, one, ready, busy_count) for one in together]
            for (kind, loss), job in zip(together, jobs, strict=True):
                rows[f"{kind} {loss:g}"] = job.result()
                print(f"{ring_page.CALLED[kind]}, loaded, loss {loss:g}: {job.result()}", flush=True)
    lossy = [
        ring_sizes.views_under_loss(3, seed, loss=ring_page.LOSS, minutes=options.minutes)
        for seed in range(options.times)
    ]
    print(f"simulated, with loss: {lossy} views", flush=True)
    return {"minutes": options.minutes, "busy": busy_count, "rows": rows, "lossy": lossy}


def _suspected(
    options: argparse.Namespace, case: tuple[str, float], ready: threading.Barrier, busy_count: int
) -> dict[str, int]:
    """Count the views that begin on b, and what is dropped, in one lab while all cores are loaded. The first to be ready loads them."""
    kind, loss = case
    name = f"{options.name}-{kind}-{loss * 100:.0f}"
    with raised(3, STACKS[kind], DAEMON[STACKS[kind]], name=name) as lab:
        await_whole(lab, 3)
        for node in ("a", "b", "c") if loss else ():
            lab.run(node, ["sh", "-ec", DROP.format(round(loss * 100))]).check_returncode()
        is_first = ready.wait() == 0
        since = time.time_ns() // 1_000_000
        compute = [sys.executable, "-c", "while True: pass"]
        busy = [subprocess.Popen(compute) for _ in range(busy_count if is_first else 0)]
        try:
            time.sleep(options.minutes * 60)
        finally:
            for one in busy:
                one.kill()
                one.wait()
        views = views_since(lab, WATCHER, since)
        if views:
            book = Book({}, lambda _found: None, options.odd / "suspicion")
            book.odd(lab, {"row": name, "since": since, "views": [view.members for view in views]})
        dropped = [dropped_by(lab, node) for node in ("a", "b", "c") if loss]
        return {"views": len(views), "dropped": sum(dropped)}


def dropped_by(lab: labs.Lab, node: str) -> int:
    """Read how many packets a node's filter has dropped."""
    listed = lab.run(node, ["nft", "list", "table", "inet", "bench"]).stdout
    return int(listed.split("counter packets ")[1].split()[0])


def measure_flood(options: argparse.Namespace) -> Figures:
    """Flood node a from b with what it must not believe; meanwhile c dies, and a has to notice."""
    program = [sys.executable, str(HERE / "ring_flood.py"), str(options.seconds)]
    with raised(3, Stack.KOMAINU, DAEMON[Stack.KOMAINU]) as lab:
        await_whole(lab, 3)
        quiet = break_and_watch(lab, "power off", "a")
        await_whole(lab, 3)
        before, memory, since = counters(lab, "a"), memory_mb(lab), time.time_ns() // 1_000_000
        flood = subprocess.run(
            lab.inside("b", program), stdout=subprocess.PIPE, text=True, env=environment(NAME), check=True
        )
        views, after = len(views_since(lab, "a", since)), counters(lab, "a")
        grown_mb = memory_mb(lab) - memory
        with subprocess.Popen(lab.inside("b", program), stdout=subprocess.DEVNULL, env=environment(NAME)):
            time.sleep(options.seconds / 4)
            flooded = break_and_watch(lab, "power off", "a")
    dropped = {
        name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)
    }
    found = {
        "seconds": options.seconds,
        "sent": json.loads(flood.stdout),
        "counted": {name: count for name, count in dropped.items() if name not in ring_page.NO_DROPS},
        "views": views,
        "grown_mb": grown_mb,
        "detected_ms": {"quiet": quiet, "flooded": flooded},
    }
    print(f"flood: {found}", flush=True)
    return found


def counters(lab: labs.Lab, node: str) -> dict[str, int]:
    done = lab.run(node, ["komainu", "ring", "status", "--format", "json"])
    found: dict[str, int] = json.loads(done.stdout)["counters"]
    return found


def measure_fuzz(options: argparse.Namespace) -> Figures:
    seed = 1
    began = time.monotonic()
    became = ring_fuzz.Fuzz(seed).run(options.inputs)
    found = {"seed": seed, "inputs": options.inputs, "became": became, "took_s": time.monotonic() - began}
    print(f"fuzz: {found}", flush=True)
    return found


def measure_sizes(options: argparse.Namespace) -> Figures:
    rows = []
    for nodes in NODES:
        began = time.process_time()
        found = ring_sizes.measure_size(nodes, options.times)
        print(f"{nodes} nodes: {found}", flush=True)
        if found is not None:
            rows.append(dataclasses.asdict(found))
        if found is None or (time.process_time() - began) * 8 > SIZE_WITHIN_S:
            break
    return {"times": options.times, "rows": rows, "wanted": NODES}


def measure_idle(_options: argparse.Namespace) -> Figures:
    rows: dict[str, tuple[float, float, float]] = {}
    for kind in ("builtin", "corosync"):
        with raised(2, STACKS[kind], DAEMON[STACKS[kind]]) as lab:
            await_whole(lab, 2)
            time.sleep(5)
            before, packets = cpu_ticks(lab), packets_of(lab)
            time.sleep(IDLE_S)
            ticks, sent = cpu_ticks(lab) - before, packets_of(lab) - packets
            rows[kind] = (ticks / IDLE_S, memory_mb(lab), sent / IDLE_S)
            print(f"{ring_page.CALLED[kind]}, idle: {rows[kind]}", flush=True)
    return {"seconds": IDLE_S, "rows": rows}


def processes_of(lab: labs.Lab) -> list[int]:
    """The daemon, and Corosync where there is one, of node a."""
    pid = lab.pid("a")
    inode = None if pid is None else procfs.pid_namespace(pid)
    every = () if inode is None else procfs.in_pid_namespace(inode)
    return [
        one
        for one in every
        if "komainu.cli.main node" in procfs.command_line(one)
        or procfs.command_line(one).startswith("corosync")
    ]


def cpu_ticks(lab: labs.Lab) -> float:
    """Ticks of 10 ms, which per second are per cent of a core."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in processes_of(lab)]
    return float(sum(int(one[11]) + int(one[12]) for one in fields))


def memory_mb(lab: labs.Lab) -> float:
    texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in processes_of(lab)]
    return (
        sum(int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("Pss:"))
        / 1024
    )


def packets_of(lab: labs.Lab) -> int:
    """What node a sent on all of its interfaces."""
    text = lab.run("a", ["cat", "/proc/net/dev"]).stdout
    rows = [line.split(":")[1].split() for line in text.splitlines() if ":" in line and " lo:" not in line]
    return sum(int(row[9]) for row in rows)


# -- which parts ----------------------------------------------------------------------------------------------

PARTS = {
    "order": measure_order,
    "idle": measure_idle,
    "detection": measure_detection,
    "blip": measure_blips,
    "suspicion": measure_suspicion,
    "flood": measure_flood,
    "fuzz": measure_fuzz,
    "sizes": measure_sizes,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be repeated")
    parser.add_argument("--times", type=int, default=5, help="how often each fault, blip, simulated run")
    parser.add_argument("--seconds", type=float, default=4.0, help="load or flood for so long, each")
    parser.add_argument("--minutes", type=float, default=10.0, help="wait so long for false suspicions")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="so many for the decoder")
    parser.add_argument(
        "--labs", type=int, default=1, help="measure in so many labs at once, where a part can"
    )
    parser.add_argument("--name", default=NAME, help="the labs' names begin so")
    parser.add_argument("--resume", action="store_true", help="measure only what is lacking of a part")
    parser.add_argument("--odd", type=Path, default=HERE.parent / "build/ring-odd", help="for records")
    parser.add_argument("--figures", type=Path, default=HERE / "ring-figures.json")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs/benchmark-ring.md")
    options = parser.parse_args()
    for part in options.only or PARTS:
        options.begun = read(options.figures).get(part, {}) if options.resume else {}
        options.keep = Keeper(options, part, options.begun.get("load", 0.0))
        options.keep(PARTS[part](options))


class Keeper:
    """Writes what was measured of one part to the figures and the page, with the highest load that was met."""

    def __init__(self, options: argparse.Namespace, part: str, load: float) -> None:
        self._options = options
        self._part = part
        self._load = max(load, os.getloadavg()[0])

    def __call__(self, found: Figures) -> None:
        if self._part != "suspicion":  # whose load is its own
            self._load = max(self._load, os.getloadavg()[0])
        figures = read(self._options.figures)
        figures[self._part] = found | {
            "date": time.strftime("%Y-%m-%d"),
            "load": self._load,
            "labs": self._options.labs,
            "cores": os.cpu_count(),
        }
        self._options.figures.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        self._options.page.write_text(ring_page.page(figures), encoding="utf-8")


def read(path: Path) -> Figures:
    """Read the figures that were kept so far."""
    found: Figures = json.loads(path.read_text()) if path.exists() else {}
    return found


if __name__ == "__main__":
    main()
