"""Decide whether this side of a split may strike now, and find out from the devices whether there is a race at all.

Knows nothing of requests and levels. A peer of which every device says that it has no power does not shoot back,
so this side need not wait for its turn. Must not be sure of more than that: only a fencing that was done makes
a node count as off (S2).
Source: the fence agent API: `status` exits 0 for on, 2 for off.
"""

from typing import Final

from komainu.fencing import device as options
from komainu.fencing.agent_facts import WATCHDOG_AGENT
from komainu.fencing.interface import (
    Device,
    FenceAgentFinished,
    FenceRunId,
    FencingEffect,
    RaceBegan,
    RunFenceAgent,
    Turns,
    TurnsChanged,
)
from komainu.fencing.reach import Reach, Reached
from komainu.model.ids import Instant, NodeName
from komainu.model.report import Level, Note

STATUS_IS_OFF: Final = 2

ASK_AGAIN_MS: Final = 2_000
"""Pause after a device that gave no answer: it may give one later, while this side waits for its turn."""

ASK_MS_MAX: Final = 10_000
"""Time for a device to say whether the peer is on: the turn comes by then in any case that matters."""


class Duel:
    """The race with one peer, while there is one."""

    deadline: Instant | None  # when the devices are to be asked again

    def __init__(self, reach: Reach) -> None:
        self.deadline = None
        self._reach = reach
        self._target: NodeName | None = None
        self._turns: Turns | None = None
        self._asked: set[FenceRunId] = set()
        self._current: set[FenceRunId] = set()  # those whose answers still count

    def begin(self, event: RaceBegan, now: Instant) -> list[Device]:
        """Take up a race, or its end; return the devices that are to be asked whether the peer is on."""
        self._target, self._turns = event.target, event.turns
        self.deadline = None if event.turns is None or event.turns.is_open(now) else now
        return self.tick(now)

    def tick(self, now: Instant) -> list[Device]:
        """Return the devices that are to be asked now whether the peer is on."""
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline, self._current, target = None, set(), self._target
        assert target is not None, "a race is with somebody"
        devices = [device for device in self._reach.known.devices if device.agent != WATCHDOG_AGENT]
        reaching = [device for device in devices if self._reach.check(device, target, now) == Reached()]
        can_tell = all(self._reach.of(device).can("status") for device in reaching)
        return reaching if can_tell else []

    def asked(self, run: FenceRunId, device: Device) -> RunFenceAgent:
        """Ask a device whether the peer is on."""
        assert self._target is not None, "only a race asks"
        self._asked.add(run)
        self._current.add(run)
        given = options.options_of(device, "status", self._target, self._reach.of(device))
        timeout_ms = min(ASK_MS_MAX, options.timeout_ms(device, "status", self._reach.known.timeout_ms))
        return RunFenceAgent(run, device.agent, given, timeout_ms)

    def is_asked(self, run: FenceRunId) -> bool:
        """Whether this run asks for the peer's power."""
        return run in self._asked

    def answered(self, event: FenceAgentFinished, now: Instant) -> list[FencingEffect]:
        """Take a device's answer; when the last of all has said that the peer is off, the race is over."""
        self._asked.discard(event.run)
        if event.run not in self._current or self._target is None:
            return []
        is_off = event.exit_code == STATUS_IS_OFF and not event.timed_out and not event.missing
        if not is_off:
            self._current.clear()  # one that does not know, or knows better, is enough
            if event.exit_code != 0:
                self.deadline = Instant(now + ASK_AGAIN_MS)
            return []
        self._current.discard(event.run)
        if self._current:
            return []
        target, self._turns, self.deadline = self._target, None, None
        text = f"every fence device that reaches {target} says that it has no power: there is no race"
        return [Note(Level.NOTICE, "fencing.peer-is-off", text), TurnsChanged(None)]

    def may_strike(self, target: NodeName, action: str, now: Instant) -> bool:
        """Whether a device may switch this node off now."""
        is_race = self._turns is not None and target == self._target and action != "on"
        return not is_race or self._turns is None or self._turns.is_open(now)
