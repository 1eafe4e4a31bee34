"""Keep what the members of a view have told: what each holds of the order, what it has stored, who holds it up.

Must not know: who orders, and how it is told.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from komainu.model.ids import Instant, NodeId, NodeName
from komainu.model.report import Level, Note
from komainu.model.view import Position


@dataclass(slots=True)
class _Member:
    """What a member has told us in this view."""

    received: int = 0
    stored: Position | None = None
    behind_since: Instant | None = None  # it took nothing since then, although there is something to take


class Tally:
    """What the other members of one view have told."""

    def __init__(self, others: Iterable[NodeId]) -> None:
        self.others = {node: _Member() for node in others}
        self._named: list[NodeId] = []

    def told(self, peer: NodeId, received: int, stored: Position) -> bool:
        """Take in what a member says of itself; whether it holds more than before."""
        known = self.others[peer]
        if known.stored is None or stored > known.stored:
            known.stored = stored
        return received > known.received

    def took(self, peer: NodeId, received: int, ordered: int, now: Instant) -> None:
        """Take in, as the coordinator, how much a member holds of what was ordered."""
        known = self.others[peer]
        known.received = received
        known.behind_since = None if received == ordered else now

    def gave(self, now: Instant) -> None:
        """Take in, as the coordinator, that there is more to take."""
        for known in self.others.values():
            known.behind_since = now if known.behind_since is None else known.behind_since

    def everyone_has(self) -> int:
        """Return the sequence up to which every member holds all."""
        return min(known.received for known in self.others.values())

    def stable(self, own: Position | None) -> Position | None:
        """Up to where every member has stored the state; None while one has not said so in this view."""
        least = own
        for known in self.others.values():
            if least is None or known.stored is None:
                return None
            least = min(least, known.stored)
        return least

    def spare(self, late_ms: int) -> None:
        """This node itself stood still for so long: nobody was behind for that time."""
        for known in self.others.values():
            if known.behind_since is not None:
                known.behind_since = Instant(known.behind_since + late_ms)

    def notice_stalled(self, now: Instant, after_ms: int, names: Mapping[NodeId, NodeName]) -> list[Note]:
        """Name, once, the members that for so long took nothing of what was ordered: they hold all up."""
        stalled = [
            node
            for node, known in self.others.items()
            if known.behind_since is not None and now - known.behind_since >= after_ms
        ]
        named, self._named = self._named, stalled
        return [
            Note(
                Level.WARNING,
                "ring.order-stalled",
                f"{names[node]} is heard, but takes nothing of what is ordered: all changes wait for it. Do "
                f"packets of 1300 bytes reach it (MTU, firewall)? Is it overloaded?",
                {"peer": node},
            )
            for node in stalled
            if node not in named
        ]
