"""Decide that the half of a pair which sees that it has lost stops its services in order, until its turn comes.

Pure. Must not know: what a plan makes of it, whose turn it is. Who steps back records its view as one without quorum,
and the plan stops what `no-quorum-policy` says; it has quorum again when its turn comes, when clients reach it again, or
when its peer is known to be off. So there is never none: of two halves that both step back one goes on at its turn.
Only for the policies that stop in order: `freeze` and `ignore` would change nothing, and `suicide` would reset both.
"""

from typing import Final

from msgspec.structs import replace

from komainu.cib.command import ChangeMembership
from komainu.cib.element import Element
from komainu.cib.options import cluster_option
from komainu.fencing.interface import Turns
from komainu.model.cause import Cause
from komainu.model.ids import WallTime

STEPS_BACK: Final = "race.steps-back"
GOES_ON: Final = "race.goes-on"

_STOPPING: Final = {"stop", "demote"}


class Stance:
    """Whether this half steps back, as far as all of it know."""

    def __init__(self) -> None:
        self._told: ChangeMembership | None = None  # the last word on the view
        self._is_asked = False

    @property
    def has_stepped_back(self) -> bool:
        """Whether the view is on record as one without quorum, for this reason."""
        return self._told is not None and self._told.cause.code == STEPS_BACK

    def told(self, command: ChangeMembership) -> None:
        """Take note of what was recorded of the present view."""
        self._told, self._is_asked = command, False

    def due(self, cib: Element, turns: Turns | None, *, waits: bool, at: WallTime) -> ChangeMembership | None:
        """Return the next word on the view; None: it is as it should be, or on its way. `waits`: for its turn."""
        told = self._told
        if told is None or self._is_asked:
            return None
        policy = (cluster_option(cib, "no-quorum-policy") or "stop").lower()
        is_wanted = turns is not None and turns.steps_back and waits and policy in _STOPPING
        if is_wanted == self.has_stepped_back or (is_wanted and not told.view.quorate):
            return None
        self._is_asked = True
        me = told.members[0]
        text = (
            f"{me} steps back: it lost sight of its peer, no client reaches it and all of its links are down, so the "
            "other one goes first"
            if is_wanted
            else f"{me} goes on: {_why_on(turns, waits=waits)}"
        )
        cause = Cause(STEPS_BACK if is_wanted else GOES_ON, text)
        view = replace(told.view, quorate=not is_wanted)
        return replace(told, cause=cause, at=at, view=view, lost=(), left=())


def _why_on(turns: Turns | None, *, waits: bool) -> str:
    if turns is None:
        return "there is nobody to race with, since its peer is off"
    return (
        "it sees more than nothing again"
        if waits
        else "its turn has come, so the other one has not fenced it"
    )
