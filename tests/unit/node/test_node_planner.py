"""The process that plans beside the loop: its plans are those of the loop, and it breaks alone."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from komainu.cib.element import Element
from komainu.model.ids import WallTime
from komainu.model.plan import Plan
from komainu.node.interface import PlanArrived, PlanBeside
from komainu.node.planner import ORDER_BYTES_MAX, Make, Planner
from komainu.scheduler.injection import set_node_attribute
from komainu.scheduler.plan import plan
from komainu.scheduler.remembered import Remembered
from komainu.sim.scenario import make_setup

WALL = WallTime(1_767_225_600_000)
EMPTY = Plan((), (), (), (), ())


def cluster() -> Element:
    """Two nodes that are up, with a service that runs nowhere yet."""
    cib = make_setup(2, 0).state.cib
    up = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
    states = tuple(
        Element("node_state", {"id": str(n), "uname": name, **up}) for n, name in ((1, "a"), (2, "b"))
    )
    return cib.with_child(Element("status", {}, states)).with_attribute("have-quorum", "1")


def planning() -> Make:
    remembered = Remembered()
    return lambda cib, wall: plan(cib, wall // 1000, remembered=remembered)


class Bench:
    """A planner, and what it told."""

    def __init__(self, make: Make, timeout_s: float = 30.0) -> None:
        self.told: asyncio.Queue[PlanArrived] = asyncio.Queue()
        self.planner = Planner(make, self.told.put_nowait, timeout_s)
        self.number = 0

    def ask(self, cib: Element) -> None:
        self.number += 1
        self.planner.ask(PlanBeside(self.number, cib, WALL))

    async def plan(self, cib: Element) -> PlanArrived:
        self.ask(cib)
        return await self.told.get()


def run(body: Callable[[Bench], Awaitable[None]], make: Make, timeout_s: float = 30.0) -> None:
    async def whole() -> None:
        bench = Bench(make, timeout_s)
        try:
            await asyncio.wait_for(body(bench), 60)
        finally:
            bench.planner.close()

    asyncio.run(whole())


def test_plans_are_those_of_the_loop_also_after_changes() -> None:
    async def body(bench: Bench) -> None:
        cib = cluster()
        for name, value in (("standby", "on"), ("standby", "off"), ("x", "y" * ORDER_BYTES_MAX)):
            assert (await bench.plan(cib)).plan == plan(cib, WALL // 1000)
            cib = set_node_attribute(cib, "b", name, value)
        arrived = await bench.plan(cib)  # the change is too large to be sent
        assert arrived == PlanArrived(4, plan(cib, WALL // 1000))
        assert arrived.plan is not None
        assert arrived.plan.actions

    run(body, planning())


def test_what_breaks_the_planner_is_told_and_the_process_lives_on() -> None:
    def make(cib: Element, wall: WallTime) -> Plan:
        if cib.get("bad"):
            raise ValueError("bad")
        return replace(EMPTY, summary=(str(os.getpid()),))

    async def body(bench: Bench) -> None:
        good = Element("cib")
        first = await bench.plan(good)
        assert await bench.plan(Element("cib", {"bad": "1"})) == PlanArrived(2, None, "ValueError: bad")
        assert (await bench.plan(good)).plan == first.plan

    run(body, make)


def test_a_process_that_hangs_or_dies_is_replaced() -> None:
    def make(cib: Element, wall: WallTime) -> Plan:
        while cib.get("do") == "hang":
            pass
        if cib.get("do") == "die":
            os._exit(9)
        return EMPTY

    async def body(bench: Bench) -> None:
        hung = await bench.plan(Element("cib", {"do": "hang"}))
        assert hung == PlanArrived(1, None, "a plan was not made within 1 s", is_passing=True)
        died = await bench.plan(Element("cib", {"do": "die"}))
        assert died == PlanArrived(2, None, "the process that plans ended", is_passing=True)
        assert (await bench.plan(Element("cib"))).plan == EMPTY

    run(body, make, timeout_s=1.0)


def test_of_those_that_wait_only_the_newest_is_made() -> None:
    async def body(bench: Bench) -> None:
        for _ in range(3):
            bench.ask(Element("cib"))
        assert [(await bench.told.get()).number for _ in range(2)] == [1, 3]
        assert bench.told.empty()

    run(body, lambda cib, wall: EMPTY)


def test_the_process_holds_nothing_of_the_daemon() -> None:
    def make(cib: Element, wall: WallTime) -> Plan:
        return replace(EMPTY, summary=tuple(entry.name for entry in Path("/proc/self/fd").iterdir()))

    async def body(bench: Bench) -> None:
        with contextlib.closing(os.fdopen(os.dup(0))):
            arrived = await bench.plan(Element("cib"))
        assert arrived.plan is not None
        numbers = {int(name) for name in arrived.plan.summary}
        assert len(numbers - {0, 1, 2}) == 2  # its socket, and the listing itself

    run(body, make)


def test_a_plan_of_many_parts_arrives_whole() -> None:
    cib = cluster()
    planned = plan(cib, WALL // 1000)
    many = replace(planned, actions=planned.actions * 300)

    async def body(bench: Bench) -> None:
        assert (await bench.plan(cib)).plan == many

    run(body, partial(_give, many))


def _give(planned: Plan, cib: Element, wall: WallTime) -> Plan:
    return planned
