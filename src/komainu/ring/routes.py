"""Choose the links that packets to a peer go by, from the state of the paths and the mode.

Must not know: what the packets say, and who may go between (relay.py).

Theory of operation. Of the paths whose beats are answered one that is UP goes first, of these one that has not
flapped and carries large packets, then by priority and number. Beats do not ask here: they go by every link. What flaps is used when nothing
else is left, and when nothing is answered every link is tried.
"""

from collections.abc import Sequence

from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.model.link import LinkState
from komainu.ring.interface import SendPacket
from komainu.ring.links import Links, Path
from komainu.ring.packet import Packet
from komainu.ring.settings import LinkMode, Timing


class Routes:
    """The choice among the links."""

    def __init__(self, links: Links, timing: Timing, mode: LinkMode) -> None:
        self._links = links
        self._timing = timing
        self._mode = mode
        self._turn = 0

    def retime(self, timing: Timing) -> None:
        """Go on with other waiting times."""
        self._timing = timing

    def route(self, peer: NodeId, now: Instant) -> Sequence[LinkNumber]:
        """Return the links to use for a packet to this peer: as the mode says; all when none carries both ways."""
        if self._mode is LinkMode.PASSIVE:
            best = self.best(peer, now)
            return tuple(self._links.by_link(peer)) if best is None else (best,)
        carrying = [link for link, path in self._links.by_link(peer).items() if self.carries(path, now)]
        up = [link for link in carrying if self._is_up(peer, link)] or carrying
        if self._mode is LinkMode.ACTIVE or not up:
            return tuple(up or self._links.by_link(peer))
        self._turn += 1
        return (up[self._turn % len(up)],)

    def in_use(self, peer: NodeId, now: Instant) -> Sequence[LinkNumber]:
        """Return the links that packets to this peer use now, in whichever order."""
        if self._mode is LinkMode.PASSIVE:
            return self.route(peer, now)
        return tuple(link for link, path in self._links.by_link(peer).items() if self.carries(path, now))

    def links(self, peer: NodeId) -> tuple[LinkNumber, ...]:
        """Return the links that join us to this peer."""
        return tuple(sorted(self._links.by_link(peer)))

    def best(self, peer: NodeId, now: Instant) -> LinkNumber | None:
        """Return the first link that carries both ways; None when none does.

        That a link brings us packets does not mean that ours arrive: the peer's echo does.
        """
        second = None
        for link, path in self._links.by_link(peer).items():
            if not self.carries(path, now):
                continue
            if path.state is LinkState.UP and now >= path.steady_at and not path.is_narrow:
                return link
            if second is None or (path.state is LinkState.UP and not self._is_up(peer, second)):
                second = link
        return second

    def is_near(self, peer: NodeId, now: Instant) -> bool:
        """Whether a direct path carries both ways, and did so just now."""
        answered_after, heard_after = now - self._timing.silent_ms, now - self._timing.near_ms
        for path in self._links.paths(peer):
            echo_at, heard_at = path.echo_at, path.heard_at
            if (
                echo_at is not None
                and heard_at is not None
                and echo_at > answered_after
                and heard_at > heard_after
            ):
                return True
        return False

    def is_relayed(self, peer: NodeId, now: Instant) -> bool:
        """Whether something came from this peer over another node just now."""
        heard_at = self._links.detours[peer].heard_at
        return heard_at is not None and now - heard_at < self._timing.silent_ms

    def carries(self, path: Path, now: Instant) -> bool:
        """Return whether a path is usable and was answered just now."""
        echo_at = path.echo_at
        return echo_at is not None and now - echo_at < self._timing.silent_ms and path.state.is_usable

    def _is_up(self, peer: NodeId, link: LinkNumber) -> bool:
        return self._links.by_link(peer)[link].state is LinkState.UP

    def packet(self, link: LinkNumber, peer: NodeId, packet: Packet) -> SendPacket:
        """Return the effect that sends a packet by a link; cut small, where the path is narrow."""
        return SendPacket(link, peer, packet, self._links.by_link(peer)[link].is_narrow)
