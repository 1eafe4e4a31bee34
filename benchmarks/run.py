"""Measure komainu in a lab and in the simulator, and print figures beside those of its peer.

Usage: python benchmarks/run.py [--takeovers N]

The peer's figures (Corosync 3.1.7 with Pacemaker 2.1.5, their defaults, no fencing, the same kind of lab on a
machine of two cores) were measured once and are printed as such; a ratio against them is a guide, not a claim.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

from komainu.lab import action, flight, protocol
from komainu.lab import drill as drills
from komainu.lab import lab as labs
from komainu.lab.runner import Runner
from komainu.model.ids import Instant
from komainu.sim.scenario import make_world

PEER = {"take-over": 7_700.0, "memory": 152.0, "cpu": 0.65}
IDLE_S = 20
SIMULATED_MS = 60_000
SIMULATED_TIMES = 9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--takeovers", type=int, default=5, help="how often the active node loses its power")
    options = parser.parse_args()
    print(f"{'figure':<46} {'komainu':>12} {'aim':>10} {'peer':>10} {'ratio':>7}")
    # First, in a process that holds nothing else: as `komainu sim run` has it.
    speeds = simulated_speed()
    name = f"simulated seconds per second, median of {len(speeds)}"
    row(name, statistics.median(speeds), "s/s", "500", None)
    row("  slowest", speeds[0], "s/s", "", None)
    row("  quickest", speeds[-1], "s/s", "", None)
    found = drills.load(drills.find("demo"))
    lab = labs.start(protocol.Blueprint("bench", found.layout, labs.DAEMON, found.cluster.probe))
    try:
        Runner(found, lab, lambda _: None).set_up()
        memory, cpu = idle(lab, found.layout.nodes)
        row("memory of one idle node (PSS)", memory, "MB", "60", PEER["memory"])
        row("idle CPU of one node, % of a core", cpu, "%", "1", PEER["cpu"])
        gaps, detections = take_overs(lab, found, options.takeovers)
        row(
            f"take-over after power loss, median of {len(gaps)}",
            statistics.median(gaps),
            "ms",
            "1500",
            PEER["take-over"],
        )
        row("take-over after power loss, worst", max(gaps), "ms", "1500", PEER["take-over"])
        row("  of which detection, median", statistics.median(detections), "ms", "1000", None)
    finally:
        lab.down()


def row(name: str, value: float, unit: str, aim: str, peer: float | None) -> None:
    against = "" if peer is None else f"{peer:g}"
    ratio = "" if peer is None else f"{peer / value:.1f}x"
    print(f"{name:<46} {value:>8.1f} {unit:<3} {aim:>10} {against:>10} {ratio:>7}", flush=True)


def idle(lab: labs.Lab, nodes: tuple[str, ...]) -> tuple[float, float]:
    """Return memory in MB and CPU in percent of the node that uses more, over a quiet while."""
    time.sleep(5)
    daemons = [daemon_of(lab, node) for node in nodes]
    before = [cpu_seconds(pid) for pid in daemons]
    time.sleep(IDLE_S)
    used = [cpu_seconds(pid) - start for pid, start in zip(daemons, before, strict=True)]
    return max(pss_mb(pid) for pid in daemons), 100 * max(used) / IDLE_S


def daemon_of(lab: labs.Lab, node: str) -> int:
    """Find the daemon of a machine: the child of its first process that runs `komainu node`."""
    first = lab.pid(node)
    children = Path(f"/proc/{first}/task/{first}/children").read_text(encoding="ascii").split()
    for pid in map(int, children):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"node" in words:
            return pid
    raise SystemExit(f"{node} runs no daemon")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def take_overs(lab: labs.Lab, found: drills.Drill, times: int) -> tuple[list[float], list[float]]:
    """Cut the active node's power again and again; return service gaps and detection times in ms."""
    gaps: list[float] = []
    detections: list[float] = []
    for _ in range(times):
        active = serving(lab)
        other = next(node for node in found.layout.nodes if node != active)
        began, wall = now_ms(), time.time_ns() // 1_000_000
        lab.perform(action.PowerOff(active))
        wait_for(lambda other=other: serving(lab) == other)
        time.sleep(1)
        gaps.append(lab.service(since=began - 200, until=now_ms()).longest_gap_ms)
        root = lab.root(other)
        assert root is not None, "the survivor is on"
        lost = next(line for line in flight.read(root, wall) if line.kind == "change-membership")
        detections.append(lost.at - wall)
        lab.perform(action.PowerOn(active))
        wait_for(lambda: all(machine.daemon == "running" for machine in lab.describe().machines))
        time.sleep(6)
    return gaps, detections


def serving(lab: labs.Lab) -> str:
    seen = lab.service(since=now_ms() - 500, until=now_ms())
    return seen.stints[-1].node if seen.stints else last_served(lab)


def last_served(lab: labs.Lab) -> str:
    stints = lab.service(since=0, until=now_ms()).stints
    return stints[-1].node if stints else ""


def wait_for(claim: object, limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not claim():  # type: ignore[operator] # a callable without arguments
        if time.monotonic() > end:
            raise SystemExit("the lab did not come to where the benchmark wanted it")
        time.sleep(0.05)


def simulated_speed() -> list[float]:
    """Return the speeds of several runs, slowest first: one alone says more of the machine's moment than of the code."""
    speeds = []
    for _ in range(SIMULATED_TIMES):
        world = make_world(2, seed=1)
        for node in world.machines:
            world.boot(node)
        world.run_until(Instant(20_000))
        began = time.perf_counter()
        world.run_until(Instant(20_000 + SIMULATED_MS))
        speeds.append(SIMULATED_MS / 1000 / (time.perf_counter() - began))
    return sorted(speeds)


def now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


if __name__ == "__main__":
    main()
