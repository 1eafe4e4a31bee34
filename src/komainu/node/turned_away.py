"""Tell a machine that is no node of this cluster, but holds its key, which nodes there are: it was removed while it was away.

Decides how often that is said. Must not know: sockets, and how the other one takes it (node/reconfiguration.py). A sender
is believed by the seal of its datagram alone; nothing of what that holds is looked at.
"""

from collections.abc import Callable
from typing import Final

from komainu.model.ids import LinkNumber
from komainu.model.layout import Layout
from komainu.ring.wire import Wire

TURNED_AWAY_EVERY_S: Final = 1.0
"""How often a datagram of a stranger is tried, and answered if its seal holds: a flood of them costs no more than that."""


class TurnedAway:
    """What strangers are told. `layout`: the nodes and links that are agreed on, None while they are not."""

    def __init__(self, wire: Wire, layout: Callable[[], Layout | None]) -> None:
        self._wire = wire
        self._layout = layout
        self._next_s = 0.0

    def answers(self, link: LinkNumber, datagram: bytes, now_s: float) -> list[bytes]:
        """Return the datagrams that answer one which was dropped since its sender is no node."""
        layout = self._layout()
        if layout is None or now_s < self._next_s:
            return []
        self._next_s = now_s + TURNED_AWAY_EVERY_S
        return self._wire.turn_away(link, datagram, layout)
