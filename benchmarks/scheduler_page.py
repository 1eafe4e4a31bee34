"""Write docs/benchmark-scheduler.md from the figures that benchmarks/scheduler.py kept. Nothing in it is written by hand."""

from typing import Any, Final

Figures = dict[str, Any]

SIZES: Final = ("1000x8", "1000x32", "5000x8", "5000x32")
STATES: Final = {"fresh": "fresh", "idle": "idle", "lost": "one node lost"}
BUSY_LOAD: Final = 2.0

HEAD: Final = """# The scheduler beside crm_simulate

Written by `make bench-scheduler` (benchmarks/scheduler.py; `LONG=--long` adds the clusters of 5,000 primitives, `--only PART`
measures a part anew, `--list` names the parts). {machine}.
Figures are user seconds, the best of three tries where one takes less than eight seconds; ratios are of figures from the same
run on the same machine. Where other work kept the machine busy, both sides are slower, and the row says so.
"""

SUITE_HEAD: Final = """## The regression suite

Planning: every case planned once in one process (`crm_simulate -P`; ours: read, plan, summary). As used: summary, scores
and graphs, as the suite's own driver asks for them: two processes a case, against one answer of `komainu simulate --server`;
the kernel's seconds count there, too, for they are a quarter of what starting processes costs.

*Compiled*: with what `make compiled` made of the same sources (decision 0053).

| | crm_simulate | komainu | ratio | compiled | ratio | measured |
|---|---|---|---|---|---|---|"""

CELLS_HEAD: Final = """
## Generated clusters

n primitives, a quarter of them in groups of five, an interleaved clone per 500, a colocation and an order per ten,
groups with and after a clone, a 10 s monitor everywhere. *Whole*: one process from the file to the summary
(`crm_simulate -R`; ours includes Python's start). *Plan*: ours without start and reading of the file.
Memory is the process's greatest (ru_maxrss). A fresh cluster of 5,000 x 32 would keep crm_simulate for most of a day.

| primitives x nodes | state | crm_simulate -R | komainu, whole | ratio | plan | ratio | whole, compiled | ratio | memory: theirs | ours | measured |
|---|---|---|---|---|---|---|---|---|---|---|---|"""

AGAIN_HEAD: Final = """
## Planning again in a live cluster

The daemon plans again after each change and keeps what it read of what did not change. Here: idle is planned, then one
thing changes, then it is planned again; the time is that of the second plan, with its reasons, as the daemon makes it.

| primitives x nodes | one monitor failed | one node lost | measured |
|---|---|---|---|"""

GAP_HEAD: Final = """
## How long the daemon's loop stands still

A heavy plan is made beside the loop, in a process of its own (decision 0055). Here a loop ticks every five milliseconds
while a plan is made in it (as it once was) or beside it; the longest gap between two ticks, and how long the plan took.

| primitives x nodes | planned in | first plan | one monitor failed | one node lost | measured |
|---|---|---|---|---|---|"""

AIMS_HEAD: Final = """
## What was aimed at

| what | aim | found | compiled |
|---|---|---|---|"""


def page(figures: Figures) -> str:
    """Return the whole page; what was never measured says so."""
    lines = [HEAD.format(machine=figures["machine"]), SUITE_HEAD]
    for part, name in (("suite-planning", "planning, {cases} cases"), ("suite-used", "as used, a case")):
        if found := figures.get(part):
            cells = [_seconds(found["theirs_s"])]
            for side in ("ours_s", "compiled_s"):
                cells += [_seconds(found[side]), _ratio(found, side)] if side in found else ["", ""]
            lines.append(f"| {name.format(**found)} | {' | '.join(cells)} | {_when(found)} |")
        else:
            lines.append(f"| {part} | | | | | | not yet |")
    lines.append(CELLS_HEAD)
    lines += [
        _cell(figures, size, state)
        for size in SIZES
        for state in STATES
        if (size, state) != ("5000x32", "fresh")
    ]
    lines.append(AGAIN_HEAD)
    for size in SIZES:
        found = figures.get(f"{size}-again")
        cells = (
            f"{found['failed']:.2f} s | {found['lost']:.2f} s | {_when(found)}" if found else "| | not yet"
        )
        lines.append(f"| {_name(size)} | {cells} |")
        if found := figures.get(f"{size}-again-compiled"):
            cells = f"{found['failed']:.2f} s | {found['lost']:.2f} s | {_when(found)}"
            lines.append(f"| {_name(size)}, compiled (decision 0053) | {cells} |")
    lines.append(GAP_HEAD)
    for size in SIZES:
        if found := figures.get(f"{size}-gap"):
            lines += [
                f"| {_name(size)} | {word} | {' | '.join(found[way])} | {_when(found)} |"
                for way, word in (("loop", "the loop"), ("beside", "a process beside"))
            ]
    lines += [AIMS_HEAD, *_aims(figures)]
    spent = sum(found["took_s"] for found in figures.values() if isinstance(found, dict))
    lines.append(f"\nMeasuring all of this took {spent / 60:.0f} minutes.")
    return "\n".join(lines) + "\n"


def _cell(figures: Figures, size: str, state: str) -> str:
    head = f"| {_name(size)} | {STATES[state]} "
    found = figures.get(f"{size}-{state}")
    if not found:
        return f"{head}| | | | | | | | | | not yet |"
    theirs = found["theirs_s"]
    cells = ["over 900 s" if theirs is None else f"{theirs:.2f} s"]
    for side in ("ours_s", "plan_s", "compiled_s"):
        cells += [f"{found[side]:.2f} s", _ratio(found, side)] if side in found else ["", ""]
    cells += ["" if theirs is None else f"{found['theirs_mb']:.0f} MB", f"{found['ours_mb']:.0f} MB"]
    return f"{head}| {' | '.join(cells)} | {_when(found)} |"


def _aims(figures: Figures) -> list[str]:
    lines = []
    quicker = {"suite-planning": 1, "suite-used": 20, "1000x32-fresh": 10, "5000x8-fresh": 20}
    for part, aim in quicker.items():
        found = figures.get(part)
        if found and found["theirs_s"] is not None:
            times = [found["theirs_s"] / found[side] for side in ("ours_s", "compiled_s") if side in found]
            met = [each >= aim for each in times]
            lines.append(_aim(part, f"at least {aim} times quicker", [f"{each:.1f}x" for each in times], met))
    for part, limit_s in (("1000x8-again", 0.3), ("5000x32-again", 3.0)):
        for state in ("failed", "lost"):
            kinds = [figures[name] for name in (part, f"{part}-compiled") if name in figures]
            shown = [f"{found[state]:.2f} s" for found in kinds]
            met = [found[state] < limit_s for found in kinds]
            lines.append(_aim(f"{part}, {state}", f"under {limit_s} s", shown, met))
    if found := figures.get("5000x32-idle"):
        shown = f"theirs {found['theirs_mb'] or 0:.0f} MB, ours {found['ours_mb']:.0f} MB"
        lines.append(f"| memory of the 5,000 x 32 plan | beside theirs | {shown} | |")
    return lines


def _aim(what: str, aim: str, found: list[str], met: list[bool]) -> str:
    cells = [
        f"{shown}, {'met' if is_met else '**missed**'}" for shown, is_met in zip(found, met, strict=True)
    ]
    return f"| {what} | {aim} | {' | '.join((*cells, '', '')[:2])} |"


def _name(size: str) -> str:
    primitives, nodes = size.split("x")
    return f"{int(primitives):,} x {nodes}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.{1 if seconds < 0.01 else 0}f} ms"


def _ratio(found: Figures, side: str) -> str:
    theirs = found["theirs_s"]
    return "" if theirs is None else f"{theirs / found[side]:.1f}x"


def _when(found: Figures) -> str:
    busy = f", load {found['load']:.0f}" if found["load"] > BUSY_LOAD else ""
    return f"{found['date'][:10]}{busy}"
