"""Play one machine of the made-up world: its power, its disk, its clock, and what really runs on it.

The truth here is what the checkers judge by; the daemon on the machine knows only what its agents tell.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from komainu.model.ids import Instant, NodeId, NodeName, ResourceId
from komainu.node.drive import Drive
from komainu.node.interface import DriveEvent, MachineSeen
from komainu.recorder.record import Record

WAITING_MAX: Final = 512
"""Events that wait for a machine that stands still; more are lost, as datagrams are once a socket is full."""

CORES: Final = (1, 2, 4)
"""Machines have so many processors, by turns: with one, most transitions wait for a limit."""

LOADED_PERCENT: Final = 250
"""The load of a machine whose agents are slow: more than any threshold that is usual."""

_MILLION: Final = 1_000_000


@dataclass(slots=True)
class Disk:
    """A disk that loses what was not synced when the power goes. A newer text overtakes older ones on their way."""

    text: str | None = None
    newest: int = 0  # the token of `text`, in the daemon's present life
    writing: dict[int, str] = field(default_factory=dict)  # token -> text on its way
    slowness: int = 1  # how many times longer than usual a write takes
    is_full: bool = False
    promised: int = 0  # the view counter that the ring had put on it

    def finish(self, token: int) -> bool:
        """Make a write durable; false when the power went before."""
        text = self.writing.pop(token, None)
        if text is None:
            return False
        if token > self.newest:
            self.text, self.newest = text, token
        return True

    def end_life(self) -> None:
        """Forget what was on its way: the daemon that wrote it is gone, and its tokens with it."""
        self.writing.clear()
        self.newest = 0


@dataclass(slots=True)
class LocalClock:
    """What a machine takes for the time: it may run fast or slow, and its wall clock may be set wrong."""

    rate_ppm: int = 0  # how much faster than the world
    wall_error_ms: int = 0
    _since: Instant = Instant(0)
    _then: Instant = Instant(0)  # what this clock showed at `_since`

    def read(self, now: Instant) -> Instant:
        """Return what this clock shows as the world's is `now`."""
        passed = now - self._since
        return Instant(self._then + passed + passed * self.rate_ppm // _MILLION)

    def when(self, shown: Instant) -> Instant:
        """Return the first moment of the world at which this clock shows so much."""
        ahead = shown - self._then
        if not self.rate_ppm:
            return Instant(self._since + ahead)
        moment = self._since + ahead * _MILLION // (_MILLION + self.rate_ppm)
        while self.read(Instant(moment)) < shown:
            moment += 1
        return Instant(moment)

    def drift(self, now: Instant, rate_ppm: int) -> None:
        """Run at another rate from now on; what it shows does not leap."""
        self._then, self._since, self.rate_ppm = self.read(now), now, rate_ppm


class Agents(Enum):
    """How the agents of a machine are at present."""

    WELL = "well"
    SLOW = "slow"
    LYING = "lying"
    HANGING = "hanging"


@dataclass(slots=True)
class Machine:
    """One machine. `running` counts a resource from the first moment of its start to the end of its stop."""

    node_id: NodeId
    name: NodeName
    drive: Drive | None = None
    is_on: bool = False
    life: int = 0  # grows with each start of the daemon and each loss of power; outdates what was scheduled
    running: set[ResourceId] = field(default_factory=set)
    disk: Disk = field(default_factory=Disk)
    records: list[Record] = field(default_factory=list)
    clock: LocalClock = field(default_factory=LocalClock)
    agents: Agents = Agents.WELL
    left_at: Instant | None = (
        None  # when its daemon said farewell to somebody, and nothing ran; until it starts
    )
    stays_away_until: Instant = Instant(0)  # a daemon that ended is not started before
    waiting: list[DriveEvent] | None = None  # for a machine that stands still; None: it runs

    def lose_power(self) -> None:
        """Switch off at once: nothing runs, nothing unsynced is left."""
        self.is_on = False
        self.end_daemon()
        self.running.clear()

    def end_daemon(self) -> None:
        """End the daemon; what it started keeps running."""
        self.drive = None
        self.disk.end_life()
        self.life += 1
        self.waiting = None

    def look(self) -> MachineSeen:
        """Measure the processors, as the daemon's shell does."""
        load = LOADED_PERCENT if self.agents is Agents.SLOW else 0
        return MachineSeen(CORES[self.node_id % len(CORES)], load)

    def keep_for_later(self, event: DriveEvent) -> None:
        """Let an event wait until the machine goes on."""
        assert self.waiting is not None, "only what stands still lets things wait"
        if len(self.waiting) < WAITING_MAX:
            self.waiting.append(event)
