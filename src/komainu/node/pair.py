"""Remember how the race of a split pair stands, and agree beforehand on who goes first.

Pure; race.py says what is right. Must not know: fence devices, commands under way.
"""

from typing import Final

from komainu.cib.command import SetAttribute
from komainu.cib.state import ClusterState
from komainu.fencing.interface import RaceBegan, Turns
from komainu.model.ids import Instant, NodeId, WallTime
from komainu.model.view import Position
from komainu.node import race
from komainu.ring.interface import InstallView, Ring
from komainu.ring.settings import RingSettings, derive

LATE_FACTOR: Final = 2
"""Who stood still within so many times of detection sees the split later than its peer, which counts from then."""


class Pair:
    """This node's half of a pair; of a cluster that is none, nothing is ever said."""

    def __init__(self, settings: RingSettings) -> None:
        self.turns: Turns | None = None  # while there is a race
        self._settings, self._timing = settings, derive(settings)
        self._stood_still_at: Instant | None = None
        self._looked_at = Position(-1, -1)  # where the state stood when it was last looked who goes first

    def reconfigure(self, settings: RingSettings) -> None:
        """Go on with other settings."""
        self._settings, self._timing = settings, derive(settings)

    def wake(self, now: Instant, *, due: Instant | None) -> None:
        """Take note of an event. One far later than what was due: this node stood still, and its peer did not."""
        if due is not None and now - due >= self._timing.stall_ms:
            self._stood_still_at = now

    def begin(self, begun: InstallView, state: ClusterState, ring: Ring, now: Instant) -> RaceBegan:
        """A view begins: return whom this node races with in it, and its turns."""
        members = begun.view.members
        if begun.departures or len(members) > 1:  # else a lone half begins anew, in the same race
            turns = race.turns_in(begun, self._settings, state, links=ring.links(), now=now)
            self.turns = turns if turns is None or not self._is_late(now) else race.a_round_later(turns)
        peer = next((node.name for node in self._settings.nodes if node.node not in members), None)
        return RaceBegan(peer, self.turns)

    def _is_late(self, now: Instant) -> bool:
        recent_ms = LATE_FACTOR * self._timing.detect_within_ms
        return self._stood_still_at is not None and now - self._stood_still_at <= recent_ms

    def goes_first(self, state: ClusterState) -> NodeId | None:
        """Return who was named to go first: a witness prefers its part to an equal one."""
        named = race.goes_first(state.cib, self._settings)
        return next((node.node for node in self._settings.nodes if node.name == named), None)

    def naming(self, state: ClusterState, ring: Ring, at: WallTime) -> SetAttribute | None:
        """Return the next command towards the right name of who goes first, once for each state."""
        position, view = state.position, ring.view
        is_whole = view is not None and len(view.members) == len(self._settings.nodes)
        if self._looked_at == position or not is_whole or ring.stable < position:
            return None
        self._looked_at = position
        return race.naming(state.cib, self._settings, at)
