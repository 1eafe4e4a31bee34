"""Keep the made-up time of a world, and call what is due, one after the other, always in the same order.

Must not know: what is called. What is due at the same moment is called in the order in which it was asked for.
"""

import heapq
from collections.abc import Callable

from komainu.model.ids import Instant


class Clock:
    """A clock that stands still until it is told to run."""

    def __init__(self, now: Instant = Instant(0)) -> None:
        self.now = now
        self._due: list[tuple[Instant, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, moment: Instant, act: Callable[[], None]) -> None:
        """Call `act` at this moment; at once, but not before we return, when it is past."""
        self._asked += 1
        heapq.heappush(self._due, (max(moment, self.now), self._asked, act))

    def after(self, delay_ms: int, act: Callable[[], None]) -> None:
        """Call `act` after a delay."""
        self.at(Instant(self.now + delay_ms), act)

    def run_until(self, moment: Instant) -> None:
        """Call all that is due up to and at this moment; then it is this moment."""
        while self._due and self._due[0][0] <= moment:
            self.now, _, act = heapq.heappop(self._due)
            act()
        self.now = max(self.now, moment)
