"""Decide when this node beats next: at a steady pace, in step with the first member of its view (decision 0061).

Must not know: what a beat says, and who is the first member.
"""

from typing import Final

from komainu.model.ids import Instant

STEPS_PER_BEAT: Final = 8
"""By such a part of a beat a node comes nearer with each beat of the first member that it hears."""


class Rhythm:
    """The moment of the next beat."""

    def __init__(self, now: Instant, every_ms: int) -> None:
        """Begin with a beat at once."""
        self.at = now
        self.every_ms = every_ms

    def is_due(self, now: Instant) -> bool:
        """Whether it is time; then the next one is set."""
        if now < self.at:
            return False
        self.at = Instant(now + self.every_ms)
        return True

    def follow(self, now: Instant) -> None:
        """The first member beats: one wake-up is to do for its beat and for ours."""
        ahead_ms, step_ms = self.at - now, self.every_ms // STEPS_PER_BEAT
        if (
            ahead_ms > self.every_ms - step_ms
        ):  # we beat a moment ago: the next time a moment later than it does
            self.at = Instant(now + self.every_ms + step_ms // STEPS_PER_BEAT)
        elif ahead_ms > 0:
            self.at = Instant(max(now, self.at - step_ms))
