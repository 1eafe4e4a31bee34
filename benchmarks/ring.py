"""Measure the ring beside Corosync 3 in labs on this machine; keep the figures, and write docs/benchmark-ring.md from them.

Usage: python benchmarks/ring.py [--only PART]... [--times N] [--seconds N] [--minutes N]     (as root: Corosync needs it)

Parts: order, idle, detection, blip, suspicion, flood, fuzz, sizes; all when none is named. A part that is measured replaces its
figures in benchmarks/ring-figures.json; the page (ring_page.py) says of each when, how often and under which load it was
measured. Detection is read from the daemons' own records; that of Corosync alone is that of the engine under it.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ring_fuzz
import ring_page
import ring_sizes

from komainu.lab import action, procfs, protocol
from komainu.lab import lab as labs
from komainu.lab.layout import Layout
from komainu.lab.machine import environment
from komainu.lab.stacks import DAEMON, Stack

NAME = "bench-ring"
HERE = Path(__file__).resolve().parent
SIZES = {"64 B": 64, "1.6 kB": 1600, "40 kB": 40_000, "1 MB": 1_000_000}
STACKS = {
    "builtin": Stack.KOMAINU,
    "corosync": Stack.KOMAINU_ON_COROSYNC,
    "libcpg": Stack.KOMAINU_ON_COROSYNC,
}
START_COROSYNC = "komainu config corosync --write --in-container {}; corosync && renice -n -15 -p $(pidof corosync) >/dev/null"
WITHOUT_CRYPTO = "&& sed -i 's/aes256/none/; s/sha256/none/' /etc/corosync/corosync.conf"
FAULTS = ("power off", "SIGKILL", "SIGSTOP", "cable")
BLIPS_MS = (200, 500, 1000, 1500, 2000, 3000, 5000, 10_000)
NODES = (2, 8, 16, 32, 64)
IDLE_S = 20
SIZE_WITHIN_S = 600  # larger rings are not tried once one took so long
BUSY_PER_CORE = 2
Figures = dict[str, Any]


@contextmanager
def raised(
    nodes: int, stack: Stack, daemon: tuple[str, ...], *, interconnects: int = 1, ring_on_lan: bool = True
) -> Iterator[labs.Lab]:
    layout = Layout(("a", "b", "c")[:nodes], interconnects, ring_on_lan)
    lab = labs.start(protocol.Blueprint(NAME, layout, daemon, "", stack=stack))
    try:
        yield lab
    finally:
        lab.down()


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


def status(lab: labs.Lab, node: str) -> dict[str, object]:
    done = lab.run(node, ["komainu", "status", "--format", "json"])
    found: dict[str, object] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


def await_whole(lab: labs.Lab, nodes: int, within_s: float = 60) -> None:
    until = time.monotonic() + within_s
    while True:
        seen = [status(lab, node) for node in ("a", "b", "c")[:nodes]]
        is_whole = all(str(one.get("quorum_reason", "")).startswith(f"{nodes} of {nodes}") for one in seen)
        if is_whole and len({str(one["view"]) for one in seen}) == 1:
            return
        if time.monotonic() > until:
            raise SystemExit(
                f"the {nodes} nodes did not come together: {[one.get('quorum_reason') for one in seen]}"
            )
        time.sleep(0.2)


def views_since(lab: labs.Lab, node: str, since_ms: int) -> list[int]:
    """The moments (wall clock, ms) of the views that a node began."""
    root = lab.root(node)
    assert root is not None
    found = []
    for line in (root / "var/log/komainu/daemon.log").read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == "ring.view":
            moment = time.strptime(f"{words[0]} {words[1][:8]}", "%Y-%m-%d %H:%M:%S")
            at = int(time.mktime(moment)) * 1000 + int(words[1][9:12])
            if at >= since_ms:
                found.append(at)
    return found


def measure_detection(options: argparse.Namespace) -> Figures:
    rows: dict[str, list[float]] = {}
    for kind in ("builtin", "corosync"):
        with raised(3, STACKS[kind], DAEMON[STACKS[kind]]) as lab:
            for fault in FAULTS:
                found = rows[f"{kind} {fault}"] = []
                for _ in range(options.times):
                    await_whole(lab, 3)
                    time.sleep(1)
                    took = break_and_watch(lab, fault)
                    if took is not None:
                        found.append(took)
                print(f"{ring_page.CALLED[kind]}, {fault}: {[round(one) for one in found]} ms", flush=True)
    return {"times": options.times, "rows": rows}


def break_and_watch(lab: labs.Lab, fault: str, watcher: str = "b") -> float | None:
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
    until = time.monotonic() + 30
    while not (seen := views_since(lab, watcher, since)) and time.monotonic() < until:
        time.sleep(0.05)
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
    return float(seen[0] - since) if seen else None


def measure_blips(options: argparse.Namespace) -> Figures:
    """Cut the only link between two nodes for a moment: how many views began on b?"""
    rows: dict[str, list[int]] = {}
    for kind in ("builtin", "corosync"):
        with raised(2, STACKS[kind], DAEMON[STACKS[kind]], ring_on_lan=False) as lab:
            for blip_ms in BLIPS_MS:
                found = rows[f"{kind} {blip_ms}"] = []
                for _ in range(options.times):
                    await_whole(lab, 2)
                    time.sleep(3)
                    since = time.time_ns() // 1_000_000
                    lab.perform(action.Pull("interconnect", "a"))
                    time.sleep(blip_ms / 1000)
                    lab.perform(action.Plug("interconnect", "a"))
                    time.sleep(1)
                    await_whole(lab, 2)
                    found.append(len(views_since(lab, "b", since)))
                print(f"{ring_page.CALLED[kind]}, cut for {blip_ms} ms: {found} views", flush=True)
    return {"times": options.times, "rows": rows}


def measure_suspicion(options: argparse.Namespace) -> Figures:
    """Load all cores, harm nobody, and count the views that begin; then the same in the simulator, with loss."""
    busy_count = BUSY_PER_CORE * (os.cpu_count() or 1)
    rows: dict[str, int] = {}
    for kind in ("builtin", "corosync"):
        with raised(3, STACKS[kind], DAEMON[STACKS[kind]]) as lab:
            await_whole(lab, 3)
            since = time.time_ns() // 1_000_000
            busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy_count)]
            try:
                time.sleep(options.minutes * 60)
            finally:
                for one in busy:
                    one.kill()
                    one.wait()
            rows[kind] = len(views_since(lab, "b", since))
            print(f"{ring_page.CALLED[kind]}, loaded: {rows[kind]} views", flush=True)
    lossy = [
        ring_sizes.views_under_loss(3, seed, loss=ring_page.LOSS, minutes=options.minutes)
        for seed in range(options.times)
    ]
    print(f"simulated, with loss: {lossy} views", flush=True)
    return {"minutes": options.minutes, "busy": busy_count, "rows": rows, "lossy": lossy}


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
        began = time.monotonic()
        found = ring_sizes.measure_size(nodes, options.times)
        print(f"{nodes} nodes: {found}", flush=True)
        if found is not None:
            rows.append(dataclasses.asdict(found))
        if found is None or (time.monotonic() - began) * 8 > SIZE_WITHIN_S:
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
    parser.add_argument("--figures", type=Path, default=HERE / "ring-figures.json")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs/benchmark-ring.md")
    options = parser.parse_args()
    for part in options.only or PARTS:
        load_before = os.getloadavg()[0]
        found = PARTS[part](options)
        figures: Figures = json.loads(options.figures.read_text()) if options.figures.exists() else {}
        figures[part] = found | {
            "date": time.strftime("%Y-%m-%d"),
            "load": max(load_before, os.getloadavg()[0] if part != "suspicion" else 0.0),
            "cores": os.cpu_count(),
        }
        options.figures.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        options.page.write_text(ring_page.page(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
