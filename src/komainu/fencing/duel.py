"""Decide whether this side of a split may strike now, and find out from the devices whether there is a race at all.

Knows nothing of requests and levels. A peer of which every device says that it has no power does not shoot back,
so this side need not wait for its turn. Must not be sure of more than that: only a fencing that was done makes
a node count as off (S2).

Theory of operation. The devices are asked as soon as there is reason to doubt the peer, well before the ring gives it
up. "Off" is told at once, so that the ring need not wait any longer, and remembered until the race begins; the peer's
next packet undoes it. Any other answer that came before the race says nothing, and the devices are asked anew in it.
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
    PeerDoubted,
    PeerFoundOff,
    RaceBegan,
    RunFenceAgent,
    Turns,
    TurnsChanged,
)
from komainu.fencing.reach import Reach
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
        self._asked_at = Instant(-ASK_AGAIN_MS)
        self._is_early = False  # they were asked before there was a race
        self._is_off = False  # and all have said that the target has no power

    @property
    def turns(self) -> Turns | None:
        """The turns of this side; None: there is nobody to race with."""
        return self._turns

    def doubt(self, event: PeerDoubted, now: Instant) -> list[Device]:
        """A peer falls silent, or is heard again; return the devices that are to be asked whether it is on."""
        if self._turns is not None:
            return []  # a race is over when a view begins, not when something is heard
        self._forget()
        self._target = event.target
        if event.target is not None:
            self.deadline = Instant(max(now, self._asked_at + ASK_AGAIN_MS))  # a cable may flap
        return self.tick(now)

    def begin(self, event: RaceBegan, now: Instant) -> list[Device]:
        """Take up a race, or its end; return the devices that are to be asked whether the peer is on."""
        is_off = self._is_off and event.target == self._target
        is_asked = self._is_early and bool(self._current) and event.target == self._target
        if not is_asked or event.turns is None:
            self._forget()
        self._target, self._turns, self._is_off = event.target, None if is_off else event.turns, False
        if self._turns is not None and not self._turns.is_open(now) and not is_asked:
            self.deadline = now
        return self.tick(now)

    def _forget(self) -> None:
        """Whatever was asked, its answer does not count any more."""
        self._current.clear()
        self.deadline, self._is_early, self._is_off = None, False, False

    def tick(self, now: Instant) -> list[Device]:
        """Return the devices that are to be asked now whether the peer is on."""
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline, self._current, target = None, set(), self._target
        self._is_early, self._asked_at = self._turns is None, now
        assert target is not None, "a race is with somebody"
        devices = [device for device in self._reach.known.devices if device.agent != WATCHDOG_AGENT]
        reaching = [device for device in devices if self._reach.reached(device, target, now)]
        can_tell = all(self._reach.of(device).can("status") for device in reaching)
        return reaching if can_tell else []

    def asked(self, run: FenceRunId, device: Device) -> RunFenceAgent:
        """Ask a device whether the peer is on."""
        assert self._target is not None, "a race asks, or a doubt"
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
            if self._turns is not None and self._is_early:
                self.deadline = Instant(now + 1)
            elif self._turns is not None and event.exit_code != 0:
                self.deadline = Instant(now + ASK_AGAIN_MS)
            return []
        self._current.discard(event.run)
        if self._current:
            return []
        target, is_race = self._target, self._turns is not None
        text = f"every fence device that reaches {target} says that it has no power: there is no race"
        note = Note(Level.NOTICE, "fencing.peer-is-off", text)
        self._turns, self.deadline, self._is_off = None, None, not is_race
        return [note, TurnsChanged(None) if is_race else PeerFoundOff(target)]

    def may_strike(self, target: NodeName, action: str, now: Instant) -> bool:
        """Whether a device may switch this node off now."""
        is_race = self._turns is not None and target == self._target and action != "on"
        return not is_race or self._turns is None or self._turns.is_open(now)
