"""Measure how long the daemon's loop stands still while a heavy plan is made: in the loop, in a thread, beside it.

Usage: planner.py [PRIMITIVESxNODES ...] [--ways loop,thread,beside]

A loop ticks every five milliseconds; what is told is the longest time between two ticks, during the first plan and
during those after one failed monitor and one lost node, and how long each plan took from being asked for. Run it
on a quiet machine: whatever else runs makes gaps, too.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable
from typing import Final

import scheduler_cibs as cibs

from komainu.cib.element import Element
from komainu.model.ids import WallTime
from komainu.model.plan import Plan
from komainu.node.interface import PlanArrived, PlanBeside
from komainu.node.planner import Planner
from komainu.scheduler.plan import plan
from komainu.scheduler.remembered import Remembered

TICK_S: Final = 0.005
SWITCH_S: Final = 0.0005
"""How soon a thread gives way, where plans are made in one: the shortest that does not slow both down much."""

WALL: Final = WallTime(1000 * cibs.NOW_S)
Make = Callable[[Element, WallTime], Plan]


def _make() -> Make:
    remembered = Remembered()
    return lambda cib, wall: plan(cib, wall // 1000, remembered=remembered)


class Ticks:
    """The loop's longest time between two ticks."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._last = time.monotonic()
        self._tick()

    def _tick(self) -> None:
        now = time.monotonic()
        self.worst_s = max(self.worst_s, now - self._last - TICK_S)
        self._last = now
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def end(self) -> float:
        """Return the longest gap in milliseconds."""
        self._timer.cancel()
        return 1000 * self.worst_s


async def _once(
    way: str, make: Make, planner: Planner, arrived: asyncio.Queue[PlanArrived], cib: Element
) -> None:
    if way == "loop":
        make(cib, WALL)
    elif way == "thread":
        await asyncio.to_thread(make, cib, WALL)
    else:
        planner.ask(PlanBeside(1, cib, WALL))
        answer = await arrived.get()
        assert answer.plan is not None, answer.fault


async def measure(way: str, states: list[tuple[str, Element]]) -> list[str]:
    """Plan for each state in turn; return the cells of a row."""
    make = _make()
    arrived: asyncio.Queue[PlanArrived] = asyncio.Queue()
    planner = Planner(make, arrived.put_nowait)
    cells = []
    for _, cib in states:
        ticks = Ticks()
        await asyncio.sleep(4 * TICK_S)
        begun = time.monotonic()
        await _once(way, make, planner, arrived, cib)
        took = time.monotonic() - begun
        await asyncio.sleep(4 * TICK_S)
        cells.append(f"{ticks.end():.0f} ms (plan {took:.2f} s)")
        await asyncio.sleep(1.0)  # the planner's process tidies up, as it can in a cluster
    planner.close()
    return cells


def main() -> None:
    """Measure each size and way, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", default=["1000x8"])
    parser.add_argument("--ways", default="loop,thread,beside")
    wanted = parser.parse_args()
    sys.setswitchinterval(SWITCH_S)
    print("| primitives x nodes | planned in | first plan | one monitor failed | one node lost |")
    print("|---|---|---|---|---|")
    for size in wanted.sizes:
        primitives, nodes = map(int, size.split("x"))
        idle = cibs.idle(cibs.fresh(primitives, nodes))
        states = [("idle", idle), ("failed", cibs.monitor_failed(idle)), ("lost", cibs.node_lost(idle))]
        gc.collect()
        gc.freeze()
        for way in wanted.ways.split(","):
            print(f"| {size} | {way} | {' | '.join(asyncio.run(measure(way, states)))} |", flush=True)


if __name__ == "__main__":
    main()
