"""Decide from answered and unanswered echoes whether this node reaches the clients of the service.

A core; node/client_probe.py sends what it wants. Must not know: sockets, links, what follows from the verdict
(node/race.py). One target that answers is enough, since a target may have troubles of its own. Targets that never
answered say nothing: they may be misspelled, and a node must not give way for that.
"""

from dataclasses import dataclass
from typing import Final

from komainu.model.ids import Instant
from komainu.network.interface import ClientsSeen

ECHOES_PER_WAIT: Final = 5
"""So many echoes in a row, to every target, have to stay unanswered."""

WAITS_PER_DETECTION: Final = 2
"""The verdict is to stand before a silent peer is given up, which takes a little more than half of `detect_within`."""

ANSWERS_TO_TRUST: Final = 3
"""So many answers end a loss: a network that comes and goes must not move who goes first each time."""


@dataclass(frozen=True, slots=True)
class Echo:
    """Ask a target whether it is there."""

    target: str
    number: int


class ClientWatch:
    """Whether any of the targets answers."""

    def __init__(self, *, detect_within_ms: int, now: Instant) -> None:
        self.deadline = now  # when `tick` is wanted
        self.is_reached: bool | None = None  # None: none of them ever answered
        self._wait_ms = detect_within_ms // WAITS_PER_DETECTION
        self._pause_ms = max(1, self._wait_ms // ECHOES_PER_WAIT)
        self._number = 0
        self._heard = now
        self._answers = 0  # while not reached

    def tick(self, targets: tuple[str, ...], now: Instant) -> list[Echo | ClientsSeen]:
        """Send the next echoes, and notice that nothing answers any more."""
        late_ms = now - self.deadline
        self.deadline = Instant(now + self._pause_ms)
        self._number = (self._number + 1) % 2**16
        echoes: list[Echo | ClientsSeen] = [Echo(target, self._number) for target in targets]
        if late_ms >= self._pause_ms:
            self._heard = (
                now  # it was this node that stood still: what was answered meanwhile is not read yet
            )
        elif self.is_reached and now - self._heard >= self._wait_ms:
            self.is_reached, self._answers = False, 0
            listed = ", ".join(targets)
            return [ClientsSeen(False, f"no client answers for {self._wait_ms} ms ({listed})"), *echoes]
        return echoes

    def answered(self, target: str, now: Instant) -> list[ClientsSeen]:
        """Take an answer."""
        if not self.is_reached and now - self._heard > self._wait_ms:
            self._answers = 0
        self._heard = now
        if self.is_reached:
            return []
        self._answers += 1
        if self._answers < ANSWERS_TO_TRUST:
            return []
        self.is_reached = True
        return [ClientsSeen(True, f"{target} answers")]
