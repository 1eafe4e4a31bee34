"""Measure the ring beside Corosync 3, in one run, in labs of two and three machines; write docs/benchmark-ring.md.

Usage: python benchmarks/ring.py [--seconds N] [--faults N] [--blips N] [--page FILE]     (as root: Corosync needs it)

Three columns: the builtin ring (encrypted, from Python), komainu on Corosync (encrypted by Kronosnet), and Corosync
alone, without encryption, loaded through libcpg. The ring's detection is read from the daemons' own records; that of
Corosync alone is that of the engine under it.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
CALLED = {"builtin": "builtin ring", "corosync": "komainu on Corosync", "libcpg": "Corosync alone"}
START_COROSYNC = "komainu config corosync --write --in-container {}; corosync"
WITHOUT_CRYPTO = "&& sed -i 's/aes256/none/; s/sha256/none/' /etc/corosync/corosync.conf"
FAULTS = ("power off", "SIGKILL", "SIGSTOP", "cable")
BLIPS_MS = (200, 500, 1000, 1500, 2000, 3000, 5000)


@dataclass
class Figures:
    """What was measured."""

    order: dict[tuple[int, str, str], dict[str, float]] = field(default_factory=dict)
    detection: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    blips: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    idle: dict[str, tuple[float, float, float]] = field(default_factory=dict)


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


def measure_order(figures: Figures, seconds: float) -> None:
    for nodes in (2, 3):
        for kind, stack in STACKS.items():
            with raised(nodes, stack, ("sleep", "infinity")) as lab:
                names = ("a", "b", "c")[:nodes]
                if kind != "builtin":
                    more = WITHOUT_CRYPTO if kind == "libcpg" else ""
                    for node in names:
                        lab.run(node, ["sh", "-c", START_COROSYNC.format(more)])
                for label, size in SIZES.items():
                    found = load(lab, names, kind, size, seconds)
                    figures.order[nodes, kind, label] = found
                    said = f"{found['rate']:.0f}/s, {found['p50_ms']:.2f} ms" if found else "no figure"
                    print(f"{nodes} nodes, {CALLED[kind]}, {label}: {said}", flush=True)


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


def measure_detection(figures: Figures, times: int) -> None:
    for kind in ("builtin", "corosync"):
        with raised(3, STACKS[kind], DAEMON[STACKS[kind]]) as lab:
            for fault in FAULTS:
                found = figures.detection.setdefault((kind, fault), [])
                for _ in range(times):
                    await_whole(lab, 3)
                    time.sleep(1)
                    took = break_and_watch(lab, fault)
                    if took is not None:
                        found.append(took)
                print(f"{CALLED[kind]}, {fault}: {[round(one) for one in found]} ms", flush=True)


def break_and_watch(lab: labs.Lab, fault: str) -> float | None:
    """Break node c, wait for the view without it on b, mend c; return the time of detection in ms."""
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
    while not (seen := views_since(lab, "b", since)) and time.monotonic() < until:
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


def measure_blips(figures: Figures, times: int) -> None:
    """Cut the only link between two nodes for a moment: how many views began on b?"""
    for kind in ("builtin", "corosync"):
        with raised(2, STACKS[kind], DAEMON[STACKS[kind]], ring_on_lan=False) as lab:
            for blip_ms in BLIPS_MS:
                found = figures.blips.setdefault((kind, blip_ms), [])
                for _ in range(times):
                    await_whole(lab, 2)
                    time.sleep(3)
                    since = time.time_ns() // 1_000_000
                    lab.perform(action.Pull("interconnect", "a"))
                    time.sleep(blip_ms / 1000)
                    lab.perform(action.Plug("interconnect", "a"))
                    time.sleep(1)
                    await_whole(lab, 2)
                    found.append(len(views_since(lab, "b", since)))
                print(f"{CALLED[kind]}, cut for {blip_ms} ms: {found} views", flush=True)


def measure_idle(figures: Figures, seconds: float) -> None:
    for kind in ("builtin", "corosync"):
        with raised(2, STACKS[kind], DAEMON[STACKS[kind]]) as lab:
            await_whole(lab, 2)
            time.sleep(5)
            before, packets = cpu_ticks(lab), packets_of(lab)
            time.sleep(seconds)
            ticks, sent = cpu_ticks(lab) - before, packets_of(lab) - packets
            figures.idle[kind] = (ticks / seconds, memory_mb(lab), sent / seconds)
            print(f"{CALLED[kind]}, idle: {figures.idle[kind]}", flush=True)


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


# -- the page -----------------------------------------------------------------------------------------------


def page(figures: Figures, options: argparse.Namespace) -> str:
    date = time.strftime("%Y-%m-%d")
    lines = [
        "# The ring beside Corosync 3",
        "",
        f"Measured on {date} by `make bench-ring`, everything in one run: machines are network namespaces on one computer of",
        "two cores, which all nodes share. Corosync is Debian 12's 3.1.7. The builtin ring seals every datagram",
        "(AEAD of the package `cryptography`) from Python; komainu on Corosync runs with Kronosnet's aes256 and",
        "sha256; Corosync alone runs without encryption and is loaded through libcpg from Python by cffi. Load on",
        "the computer from elsewhere was not controlled: ratios are worth more than figures.",
        "",
        "## Ordered messages",
        "",
        f"One sender, which is not the one that orders; {options.seconds:g} s of as many as go, after a quarter of that one at a time for the latency.",
        "",
        "| nodes | size | builtin ring | komainu on Corosync | Corosync alone | builtin / alone |",
        "|---|---|---|---|---|---|",
    ]
    for nodes in (2, 3):
        for label in SIZES:
            each = [figures.order.get((nodes, kind, label), {}) for kind in STACKS]
            ratio = f"{each[0]['rate'] / each[2]['rate']:.2f}" if each[0] and each[2] else "-"
            lines.append(f"| {nodes} | {label} | {' | '.join(map(order_cell, each))} | {ratio} |")
    lines += ["", "A cell: messages a second; latency p50 / p99 in ms.", "", verdict(figures), ""]
    lines += ["## Detection", ""]
    lines += [
        f"Three nodes, two links each, `detect_within` at its default (1 s). {options.faults} times each; 100 are the aim.",
        "From the fault to the view without the node, on another node, in ms: median / worst. Corosync's token is 2 s here",
        "(docs/guides/corosync-engine.md).",
        "",
        "| fault | builtin ring | komainu on Corosync |",
        "|---|---|---|",
    ]
    for fault in FAULTS:
        cells = [detection_cell(figures.detection.get((kind, fault), [])) for kind in ("builtin", "corosync")]
        lines.append(f"| {fault} | {cells[0]} | {cells[1]} |")
    lines += ["", "## The blip curve", ""]
    lines += [
        f"Two nodes, one link. It is cut for so long, {options.blips} times each (20 are the aim): views that began, each time.",
        "`detect_within` at its default for one link (3 s).",
        "",
        "| cut for | builtin ring | komainu on Corosync |",
        "|---|---|---|",
    ]
    for blip_ms in BLIPS_MS:
        cells = [
            " ".join(map(str, figures.blips.get((kind, blip_ms), []))) or "-"
            for kind in ("builtin", "corosync")
        ]
        lines.append(f"| {blip_ms / 1000:g} s | {cells[0]} | {cells[1]} |")
    lines += [
        "",
        "## Idle",
        "",
        "Two nodes, two links: node a's daemon, with its Corosync where there is one.",
        "",
    ]
    lines += ["| | CPU, % of a core | memory (PSS), MB | packets sent a second |", "|---|---|---|---|"]
    for kind, (cpu, memory, packets) in figures.idle.items():
        lines.append(f"| {CALLED[kind]} | {cpu:.1f} | {memory:.0f} | {packets:.0f} |")
    return "\n".join(lines) + "\n"


def verdict(figures: Figures) -> str:
    """Say whether the aims are met: half of Corosync alone at the small sizes, as much at the large."""
    met = total = 0
    for nodes in (2, 3):
        for label, size in SIZES.items():
            own, peer = (
                figures.order.get((nodes, "builtin", label), {}),
                figures.order.get((nodes, "libcpg", label), {}),
            )
            total += 1
            met += bool(own and peer) and own["rate"] / peer["rate"] >= (0.5 if size < 10_000 else 1.0)
    return f"The aim of the builtin ring, half of Corosync alone up to 1.6 kB and as much above, is met in {met} of {total} rows."


def order_cell(found: dict[str, float]) -> str:
    if not found:
        return "none"
    rate = f"{found['rate']:,.0f}" if found["rate"] >= 10 else f"{found['rate']:.1f}"
    return f"{rate}/s; {found['p50_ms']:.2f} / {found['p99_ms']:.2f}"


def detection_cell(found: list[float]) -> str:
    return f"{statistics.median(found):.0f} / {max(found):.0f}" if found else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="load for so long, each size")
    parser.add_argument("--faults", type=int, default=10, help="how often each fault")
    parser.add_argument("--blips", type=int, default=5, help="how often each blip")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs/benchmark-ring.md")
    options = parser.parse_args()
    figures = Figures()
    measure_order(figures, options.seconds)
    measure_idle(figures, 20)
    measure_detection(figures, options.faults)
    measure_blips(figures, options.blips)
    options.page.write_text(page(figures, options), encoding="utf-8")


if __name__ == "__main__":
    main()
