"""Try the fence devices of a configuration from this machine, without harm, and measure them.

A shell around fencing/trial.py: it runs the agents as the daemon does, one after the other, in a process of its
own, so that a device that hangs holds up nobody but the one who asked.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from komainu.cib.element import Element
from komainu.cib.nodes import node_entries
from komainu.fencing.agent_facts import UNKNOWN, AgentFacts, read_facts
from komainu.fencing.interface import FenceAgentFinished, FenceRunId, RunFenceAgent
from komainu.fencing.trial import Answered, Try, Verdict, first_tries, judge, tries, unreached
from komainu.model.duration import show_ms
from komainu.model.ids import NodeName
from komainu.node.agents import AgentEvent, AgentRunner
from komainu.node.devices import fencing_of

TEXT_CHARACTERS_MAX: Final = 2_000
"""What is kept of a trial: some forty devices with their times."""


Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """One device, what it was asked, and what came of it."""

    device: str
    action: str
    target: NodeName | None
    verdict: Verdict
    took_ms: int


def try_devices(
    cib: Element, only: NodeName | None = None, *, halves_stay: bool = True, tell: Tell = lambda _: None
) -> tuple[list[Tried], list[NodeName]]:
    """Ask every device; return the answers, and the nodes whose power no device could tell.

    `tell` hears of each question before it is asked: a device that hangs takes all of its time-out.
    """
    return asyncio.run(_try_devices(cib, only, halves_stay=halves_stay, tell=tell))


def in_short(tried: list[Tried]) -> str:
    """Write down what was tried and how long it took, in one line that a state can hold."""
    parts: dict[str, list[str]] = {}
    for one in tried:
        what = one.action if one.target is None else f"{one.action} of {one.target}"
        took = f"{one.took_ms} ms" if one.verdict.is_good else "FAILED"
        slow = ", too slow for its time-out" if one.verdict.warning else ""
        parts.setdefault(one.device, []).append(f"{what} {took}{slow}")
    text = "; ".join(f"{device}: {', '.join(said)}" for device, said in sorted(parts.items()))
    return text[:TEXT_CHARACTERS_MAX] or "there is none"


async def _try_devices(
    cib: Element, only: NodeName | None, *, halves_stay: bool, tell: Tell
) -> tuple[list[Tried], list[NodeName]]:
    known = fencing_of(cib, halves_stay=halves_stay)
    names = tuple(NodeName(entry.get("uname") or "") for entry in node_entries(cib))
    nodes = names if only is None else (only,)
    tried: list[Tried] = []
    facts: dict[str, AgentFacts] = {}
    good: set[tuple[str, NodeName]] = set()
    hung: set[str] = set()  # agents: one that hangs over its meta-data hangs over everything else
    bench = _Bench(tell)
    for first in first_tries(known):
        answer = await bench.run(first)
        found = read_facts(answer.output) if answer.exit_code == 0 else None
        verdict = judge(first, answer, nodes)
        if found is None and verdict.is_good:
            verdict = Verdict(False, f"{first.device.agent} gave no meta-data that can be read")
        facts[first.device.name] = found or UNKNOWN
        hung |= {first.device.agent} if answer.timed_out else set()
        if not verdict.is_good:
            tried.append(Tried(first.device.name, first.action, None, verdict, answer.took_ms))
    for device in (one for one in known.devices if one.agent not in hung):
        for one in _of(device.name, tries(device, facts.get(device.name, UNKNOWN), known, nodes)):
            answer = await bench.run(one)
            verdict = judge(one, answer, nodes)
            tried.append(Tried(device.name, one.action, one.target, verdict, answer.took_ms))
            if one.target is not None and verdict.is_good:
                good.add((device.name, one.target))
    bench.close()
    return tried, unreached(known, good, nodes)


def _of(name: str, listed: list[Try]) -> Iterator[Try]:
    return (one for one in listed if one.device.name == name)


class _Bench:
    """One agent at a time."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._waiting: asyncio.Future[FenceAgentFinished] | None = None
        self._runner = AgentRunner(NodeName("trial"), self._take)
        self._run = 0

    async def run(self, one: Try) -> Answered:
        """Run one agent and wait for its end, which the runner bounds by the time-out."""
        target = "" if one.target is None else f" of {one.target}"
        self._tell(f"asking {one.device.name}: {one.action}{target}, at most {show_ms(one.timeout_ms)}")
        self._waiting = asyncio.get_running_loop().create_future()
        self._run += 1
        began = time.monotonic()
        self._runner.run(RunFenceAgent(FenceRunId(self._run), one.device.agent, one.given, one.timeout_ms))
        end = await self._waiting
        lines = [line.strip() for line in end.error_output.splitlines() if line.strip()]
        return Answered(
            exit_code=end.exit_code,
            timed_out=end.timed_out,
            missing=end.missing,
            output=end.output,
            said=lines[-1] if lines else "",
            took_ms=round((time.monotonic() - began) * 1000),
        )

    def close(self) -> None:
        """Let the runner go."""
        self._runner.close()

    def _take(self, event: AgentEvent) -> None:
        if isinstance(event, FenceAgentFinished) and self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(event)
