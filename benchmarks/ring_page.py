"""Write docs/benchmark-ring.md from the figures that benchmarks/ring.py kept. Nothing in the page is written by hand."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

CALLED = {"builtin": "builtin ring", "corosync": "komainu on Corosync", "libcpg": "Corosync alone"}
ENGINES = ("builtin", "corosync")
LOSS = 0.05
NO_DROPS = ("opened", "sealed")
SMALL_BYTES = 10_000
BUSY_LOAD = 1.0  # per core

Figures = dict[str, Any]

HEAD = """# The ring beside Corosync 3

Written by `make bench-ring` (benchmarks/ring.py; `--only PART` measures a part anew). Machines are network namespaces on one
computer, whose cores all nodes share. Corosync is Debian 12's 3.1.7. The builtin ring seals every datagram (AEAD
of the package `cryptography`) from Python; komainu on Corosync runs with Kronosnet's aes256 and sha256;
Corosync alone runs without encryption and is loaded through libcpg from Python by cffi."""


def page(figures: Figures) -> str:
    """Return the whole page; a part that was never measured says so."""
    parts = {
        "order": ("Ordered messages", _order),
        "detection": ("Detection", _detection),
        "blip": ("The blip curve", _blips),
        "suspicion": ("False suspicions", _suspicion),
        "flood": ("Bad input at full rate", _flood),
        "fuzz": ("Spoiled input for the decoder", _fuzz),
        "idle": ("Idle", _idle),
        "sizes": ("Many nodes, in the simulator", _sizes),
    }
    lines = [HEAD, ""]
    for part, (title, write) in parts.items():
        found = figures.get(part)
        lines += [f"## {title}", ""]
        lines += (
            [f"Not measured yet: `python benchmarks/ring.py --only {part}`."]
            if found is None
            else write(found)
        )
        lines += ["" if found is None else "\n" + _when(found), ""]
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _when(found: Figures) -> str:
    load, cores, labs = found["load"], found["cores"], found.get("labs", 1)
    busy = (
        "; other work kept it busy, so ratios are worth more than figures, and both swing"
        if load > BUSY_LOAD * cores
        else ""
    )
    beside = f", {labs} labs at once" if labs > 1 else ""
    return f"Measured on {found['date']}; load average up to {load:.1f} on {cores} cores{beside}{busy}."


# -- the parts ------------------------------------------------------------------------------------------------


def _order(found: Figures) -> Iterator[str]:
    rows, met, total = found["rows"], 0, 0
    yield "One sender, which is not the one that orders; random bytes, which nothing compresses; "
    yield f"{found['seconds']:g} s of as many as go, after a quarter of that one at a time for the latency. All have the same niceness."
    yield ""
    yield "| nodes | size | builtin ring | komainu on Corosync | Corosync alone | builtin / alone |"
    yield "|---|---|---|---|---|---|"
    labels = dict.fromkeys(key.split(" ", 2)[2] for key in rows)
    for nodes in (2, 3):
        for label in labels:
            each = [rows.get(f"{nodes} {kind} {label}", {}) for kind in CALLED]
            ratio = each[0]["rate"] / each[2]["rate"] if each[0] and each[2] and each[2]["rate"] else None
            total += 1
            met += ratio is not None and ratio >= (0.5 if label in {"64 B", "1.6 kB"} else 1.0)
            shown = "-" if ratio is None else f"{ratio:.2f}"
            yield f"| {nodes} | {label} | {' | '.join(map(_order_cell, each))} | {shown} |"
    yield ""
    yield "A cell: messages a second; latency p50 / p99 in ms."
    yield ""
    yield (
        "The aim of the builtin ring, half of Corosync alone up to 1.6 kB and as much above, is met in "
        f"{met} of {total} rows."
    )


def _order_cell(found: dict[str, float]) -> str:
    if not found:
        return "none"
    rate = f"{found['rate']:,.0f}" if found["rate"] >= 10 else f"{found['rate']:.1f}"
    return f"{rate}/s; {found['p50_ms']:.2f} / {found['p99_ms']:.2f}"


def _detection(found: Figures) -> Iterator[str]:
    rows = found["rows"]
    times = min(map(len, rows.values()))
    yield f"Three nodes, two links each, `detect_within` at its default (1 s). {times} times each{_wanted(times, 100)}."
    yield "From the fault to the view without the node, on another node, in ms: median / p99 / worst. Corosync's token is 2 s here"
    yield "(docs/guides/corosync-engine.md). A signal is sent to komainu's daemon: a Corosync beside it lives on and tells of"
    yield "its end. The cable is both of the node's."
    yield ""
    yield from _by_fault(rows, lambda kills: _spread([one["ms"] for one in kills]))
    yield ""
    yield "Views that began on that other node, each time; two are needed, one without the node and one with it again. A machine"
    yield "whose daemon was stopped is reset, in which its Corosync ends as well: that is a third one."
    yield ""
    yield from _by_fault(rows, lambda kills: _counted([one["views"] for one in kills]))


def _by_fault(rows: Figures, cell: Callable[[list[Figures]], str]) -> Iterator[str]:
    yield "| fault | builtin ring | komainu on Corosync |"
    yield "|---|---|---|"
    for fault in dict.fromkeys(key.split(" ", 1)[1] for key in rows):
        cells = [cell(rows.get(f"{kind} {fault}", [])) for kind in ENGINES]
        yield f"| {fault} | {cells[0]} | {cells[1]} |"


def _spread(found: list[float | None]) -> str:
    """Give median, p99 and worst; a fault that nobody noticed is worse than all."""
    ordered = sorted(math.inf if one is None else one for one in found)
    if not ordered:
        return "-"
    p99 = ordered[-(-99 * len(ordered) // 100) - 1]
    return " / ".join(
        "never" if one == math.inf else f"{one:.0f}" for one in (statistics.median(ordered), p99, ordered[-1])
    )


def _counted(found: list[int]) -> str:
    """Say how often each number came: `0 (19 times), 2 (once)`."""
    if len(set(found)) == 1:
        return str(found[0])
    counts = sorted(Counter(found).items())
    return (
        ", ".join(f"{value} ({'once' if count == 1 else f'{count} times'})" for value, count in counts) or "-"
    )


def _wanted(times: float, aim: int) -> str:
    return f" ({aim} are the aim)" if times < aim else ""


def _blips(found: Figures) -> Iterator[str]:
    rows = found["rows"]
    times = min(map(len, rows.values()))
    yield f"Two nodes, one link. It is cut for so long, {times} times each{_wanted(times, 20)}: views that began, each time."
    yield "`detect_within` at its default for one link (3 s)."
    yield ""
    yield "| cut for | builtin ring | komainu on Corosync |"
    yield "|---|---|---|"
    for blip_ms in sorted({int(key.split(" ")[1]) for key in rows}):
        cells = [_counted(rows.get(f"{kind} {blip_ms}", [])) for kind in ENGINES]
        yield f"| {blip_ms / 1000:g} s | {cells[0]} | {cells[1]} |"


def _suspicion(found: Figures) -> Iterator[str]:
    minutes = found["minutes"]
    yield (
        f"Three nodes to which nothing happens, for {minutes:g} minutes{_wanted(minutes, 10)}, beside {found['busy']} processes"
    )
    yield "that compute without end: views that begin (none is the aim). Loss: of all packets that reach a node, at random."
    yield ""
    yield "| loss | builtin ring | komainu on Corosync |"
    yield "|---|---|---|"
    for loss in dict.fromkeys(key.split(" ")[1] for key in found["rows"]):
        cells = [_views(found["rows"].get(f"{kind} {loss}")) for kind in ENGINES]
        yield f"| {float(loss):.0%} | {cells[0]} | {cells[1]} |"
    lossy = " ".join(map(str, found["lossy"]))
    yield ""
    yield f"The builtin ring in the simulator, {LOSS:.0%} of all packets lost, for as long, seeds 0 to {len(found['lossy']) - 1}: {lossy}."


def _views(found: dict[str, int] | None) -> str:
    if found is None:
        return "-"
    return f"{found['views']}" + (f" ({found['dropped']:,} packets dropped)" if found["dropped"] else "")


def _flood(found: Figures) -> Iterator[str]:
    sent = found["sent"]
    total = sum(sent.values()) / found["seconds"]
    quiet, flooded = found["detected_ms"]["quiet"], found["detected_ms"]["flooded"]
    yield f"Three nodes. One sends another {total:,.0f} datagrams a second that are not of this cluster, as many as its kernel takes,"
    yield f"for {found['seconds']:g} s; a third one loses power in a second such flood."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| sent | {', '.join(f'{count:,} {kind}' for kind, count in sent.items())} |"
    yield (
        f"| counted by the receiver | {', '.join(f'{count:,} {kind}' for kind, count in sorted(found['counted'].items()))} |"
    )
    yield f"| views that began | {found['views']} |"
    yield f"| the receiver's memory (PSS) grew by | {found['grown_mb']:.1f} MB |"
    yield f"| the third one's end was noticed within | {_ms(flooded)} (without a flood: {_ms(quiet)}) |"
    yield ""
    yield "What was sent and not counted did not fit into the receiver's socket."


def _fuzz(found: Figures) -> Iterator[str]:
    yield f"{found['inputs']:,} inputs (benchmarks/ring_fuzz.py, seed {found['seed']}) in {found['took_s']:.0f} s: noise, sealed datagrams that were"
    yield "spoiled, and packets that were spoiled before they were sealed. None raised, and none that was not sealed was believed."
    yield ""
    yield "| what became of them | inputs |"
    yield "|---|---|"
    for kind, count in found["became"].items():
        yield f"| {kind} | {count:,} |"


def _ms(took: float | None) -> str:
    return "never" if took is None else f"{took:.0f} ms"


def _idle(found: Figures) -> Iterator[str]:
    yield f"Two nodes, two links: node a's daemon, with its Corosync where there is one; {found['seconds']} s."
    yield ""
    yield "| | CPU, % of a core | memory (PSS), MB | packets sent a second |"
    yield "|---|---|---|---|"
    for kind, (cpu, memory, packets) in found["rows"].items():
        yield f"| {CALLED[kind]} | {cpu:.1f} | {memory:.0f} | {packets:.0f} |"


def _sizes(found: Figures) -> Iterator[str]:
    rows = found["rows"]
    yield "Rings alone, two links, made-up time (benchmarks/ring_sizes.py). What one idle node sends, and how soon the last of"
    yield "the others is in a view without a node that died; behind it how often that was tried. A ring has at most 64 nodes."
    yield ""
    yield "| nodes | packets sent a second | bytes a second | to each peer | events a second | CPU of the core, % of a core | noticed, ms: median / worst (times) | promise, ms |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        missed = row["missed_ms"]
        noticed = f"{statistics.median(missed):.0f} / {max(missed)} ({len(missed)})" if missed else "-"
        yield (
            f"| {row['nodes']} | {row['packets']:.0f} | {row['bytes']:,.0f} | {row['bytes'] / (row['nodes'] - 1):,.0f} "
            f"| {row['events']:.0f} | {row['cpu']:.2f} | {noticed} | {row['promised_ms']} |"
        )
    yield ""
    yield "Each node sends its beats to every other, and each beat names the lives that it hears: so what one node sends grows with"
    yield "the nodes in packets, and beyond that in bytes; what all send, with the square and more."
    missing = [str(nodes) for nodes in found["wanted"] if nodes not in {row["nodes"] for row in rows}]
    if missing:
        yield ""
        yield f"Not measured, since it would have taken too long: {', '.join(missing)} nodes."
