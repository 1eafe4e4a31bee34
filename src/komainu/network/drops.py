"""Decide what packets that were not believed say to an administrator, and for how long.

Knows the counters of the shells by their names: `wrong-interface` (node/udp.py) and the kinds of ring/wire.py. Counters of
packets that could not be sent are kept beside them. Must not know sockets.
"""

from dataclasses import dataclass
from typing import Final

from komainu.model.ids import Instant, LinkNumber
from komainu.model.report import Level, Note
from komainu.network.interface import PacketsDropped

RECENT_MS: Final = 10 * 60_000
"""How long status goes on to warn after the last one: longer than it takes to go and look."""

KINDS_MAX: Final = 128
"""Kinds that are kept: eight links with a dozen errors each, and the wire's own."""

_ALARMING: Final = {
    "wrong-interface": "came in by an interface that is not the link's: two interfaces share a network, "
    "or a route leads through another one",
    "not-authentic": "were sealed with another key, or changed on the way: see that all nodes have the same key file",
    "other-version": "speak another version of the protocol: see that all nodes run the same version",
    "other-link": "name another link: see that `links` has the same order on every node",
    "unknown-sender": "come from a node that is not configured here: see that all nodes have the same `nodes`",
    "other-receiver": "are for another node: see that no address and no node id is there twice",
}
_PLAIN: Final = {
    "replayed": "were there already",
    "incomplete": "were given up, as a part of each was lost",
    "closed": "could not be sent: there was no socket",
    "other-life": "name another life of their sender",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """One kind of packets that were dropped: on one link, or with None on any."""

    link: LinkNumber | None
    kind: str
    count: int
    last: Instant  # when there was the newest

    @property
    def is_alarming(self) -> bool:
        """Whether it points at a mistake that somebody has to mend."""
        return self.kind in _ALARMING

    @property
    def meaning(self) -> str:
        """What happened to them, after "12 packets"."""
        where = "" if self.link is None else f" on link {self.link}"
        told = _ALARMING.get(self.kind) or _PLAIN.get(self.kind)
        return f"{told or f'could not be sent or read: {self.kind}'}{where and f' ({where.strip()})'}"


class Drops:
    """What was dropped since the daemon's start."""

    def __init__(self) -> None:
        self._found: dict[str, Dropped] = {}

    def take(self, event: PacketsDropped, now: Instant) -> list[Note]:
        """Take in the counters; return a note for each alarm that is new, or new again after a quiet while."""
        notes = []
        for name, count in event.counts:
            before = self._found.get(name)
            if (before is not None and before.count == count) or (
                before is None and len(self._found) >= KINDS_MAX
            ):
                continue
            head, _, kind = name.partition(".")
            link = LinkNumber(int(head.removeprefix("link"))) if kind else None
            found = self._found[name] = Dropped(link, kind or head, count, now)
            if found.is_alarming and (before is None or now - before.last > RECENT_MS):
                notes.append(
                    Note(Level.WARNING, "network.dropped", f"packets are dropped: they {found.meaning}")
                )
        return notes

    def all(self) -> list[Dropped]:
        """Return every kind, the alarming ones first."""
        return sorted(self._found.values(), key=lambda one: (not one.is_alarming, one.kind, one.link or 0))

    def alarms(self, now: Instant) -> list[Dropped]:
        """Return the alarming ones that are recent."""
        return [one for one in self.all() if one.is_alarming and now - one.last <= RECENT_MS]
