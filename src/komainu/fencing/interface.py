"""Say what goes into the fencing core and what comes out: requests, devices' answers, runs of fence agents."""

from dataclasses import dataclass
from typing import Final, NewType

from komainu.model.fencing import FenceRecord
from komainu.model.ids import Incarnation, Instant, NodeName, WallTime
from komainu.model.report import Note

FenceRunId = NewType("FenceRunId", int)
"""One run of a fence agent, unique in this daemon's life."""


@dataclass(frozen=True, slots=True)
class Device:
    """A fence device of the configuration: a `class="stonith"` primitive, its agent and its options.

    `parameters` are its instance attributes, pcmk_* among them; the core takes those out (COMPAT section 3).
    """

    name: str
    agent: str  # fence_lab
    parameters: tuple[tuple[str, str], ...]
    priority: int = 0  # of several that reach a node the highest is tried first


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the fencing topology, for one node: all its devices must do their part, in this order."""

    target: NodeName
    index: int
    devices: tuple[str, ...]


PLACES: Final = 8
"""Places of a round in which the two sides of a split take turns."""


@dataclass(frozen=True, slots=True)
class Turns:
    """When this side of a split may strike: for `open_ms` from its place in each round, a place being `lead_ms` long.

    The other side has another place, and a strike that it begins in its own turn is over when ours begins.
    """

    begun: Instant
    place: int  # 0 to PLACES - 1; more: the first turn is in a later round
    lead_ms: int
    open_ms: int
    steps_back: bool = (
        False  # until then this side stops what it runs: it has reason to think that it has lost
    )

    def is_open(self, now: Instant) -> bool:
        """Whether it is this side's turn."""
        return self.next(now) == now

    def next(self, now: Instant) -> Instant:
        """Return when this side's turn is: now, or the next one's begin."""
        round_ms = PLACES * self.lead_ms
        first = self.begun + self.place * self.lead_ms
        begin = first + max(0, now - first) // round_ms * round_ms
        return Instant(max(begin, now) if now < begin + self.open_ms else begin + round_ms)


# -- events ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DevicesChanged:
    """What the configuration says of fencing: all devices in document order, the levels, the general time-out.

    The nodes of `self_resetting` are sure to be reset by their own watchdogs within `watchdog_ms` of losing
    sight of the majority; there are none where that cannot be counted on.
    """

    devices: tuple[Device, ...]
    levels: tuple[Level, ...] = ()
    timeout_ms: int = 60_000
    self_resetting: tuple[NodeName, ...] = ()
    watchdog_ms: int = 0


@dataclass(frozen=True, slots=True)
class FenceRequested:
    """Fence a node. Requests for the same target and action that run at the same time share one run."""

    request: str
    target: NodeName
    action: str  # off, reboot, on
    timeout_ms: int  # for one device; 0: what the configuration says
    reason: str
    wall: WallTime
    delay_ms: int = 0  # before the first device; -1: no delay at all, not the devices' own either


@dataclass(frozen=True, slots=True)
class RaceBegan:
    """A view began: it is a race with this node, in these turns; or with None there is no race any more."""

    target: NodeName | None
    turns: Turns | None
    lives: tuple[tuple[NodeName, Incarnation], ...] = ()  # of the view's members


@dataclass(frozen=True, slots=True)
class PeerDoubted:
    """This node falls silent: there may be a race with it soon, in which this side is not the first. None: it is back."""

    target: NodeName | None


@dataclass(frozen=True, slots=True)
class FenceAgentFinished:
    """A run of a fence agent ended; exit code None when it was killed for its time-out or is missing."""

    run: FenceRunId
    exit_code: int | None
    timed_out: bool
    missing: bool
    output: str
    error_output: str
    wall: WallTime


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The core's deadline has come: a delay is over."""


FencingEvent = DevicesChanged | FenceRequested | PeerDoubted | RaceBegan | FenceAgentFinished | DeadlinePassed

# -- effects --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RunFenceAgent:
    """Run a fence agent once with these options on its standard input, one `key=value` a line."""

    run: FenceRunId
    agent: str
    options: tuple[tuple[str, str], ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class FencingEnded:
    """A request is settled: its record is DONE or FAILED, with the device that did it and what it said."""

    record: FenceRecord


@dataclass(frozen=True, slots=True)
class TurnsChanged:
    """This side may strike in these turns; None: there is nobody to race with."""

    turns: Turns | None


@dataclass(frozen=True, slots=True)
class PeerFoundOff:
    """The peer that was doubted has no power, as all devices that reach it say, and was not heard meanwhile."""

    target: NodeName


FencingEffect = RunFenceAgent | FencingEnded | TurnsChanged | PeerFoundOff | Note
