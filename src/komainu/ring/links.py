"""Decide which links reach which peer, from what the kernel says of our ends and from what is heard.

A path is one link to one peer. Hearing beats belief: whatever the kernel says of our end, a packet that came is
a packet that came. Must not know: views, ballots, and what the packets say.

Theory of operation: a path is in the state of our own end while that is not usable. Otherwise it is in it while
something was heard on the path within `silent_ms`, and SILENT else. Of usable paths one that is UP goes first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from komainu.model.duration import show_ms
from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.model.link import LinkState
from komainu.ring.interface import EndChanged, LinkChanged
from komainu.ring.settings import RingSettings, Timing

_REASON_IS_OURS: Final = (LinkState.UP, LinkState.SILENT)
"""In these states the reason is only how long ago something was heard; of the others the kernel gave it."""


@dataclass(slots=True)
class Path:
    """One link to one peer as seen from here."""

    link: LinkNumber
    peer: NodeId
    since: Instant
    state: LinkState = LinkState.SILENT
    reason: str = "nothing heard yet"
    heard_at: Instant | None = None
    refused_at: Instant | None = None  # after the last that was heard
    peer_sent_at: int | None = None  # the clock of the peer's last heartbeat here, and when it came
    peer_sent_came: Instant = Instant(0)
    echo_at: int | None = None  # when we sent the last heartbeat that the peer is known to have got here
    round_trip_ms: float | None = None


class Links:
    """The state of every path, and the choice among them. `ends`: what the kernel said of our own ends."""

    def __init__(self, settings: RingSettings, timing: Timing, now: Instant) -> None:
        self._timing = timing
        self.ends = {
            end.link: EndChanged(end.link, LinkState.UP, "") for end in settings.of(settings.me).ends
        }
        self.has_refusals = False
        peers = sorted(node.node for node in settings.nodes if node.node != settings.me)
        self._paths = {
            peer: {link: Path(link, peer, now) for link in settings.shared_links(peer)} for peer in peers
        }

    def paths(self, peer: NodeId) -> Iterable[Path]:
        """Return the paths to a peer by link."""
        return self._paths[peer].values()

    def path(self, peer: NodeId, link: LinkNumber) -> Path | None:
        """Return one path; None when this peer is not on this link."""
        return self._paths[peer].get(link)

    def ends_down(self) -> list[EndChanged]:
        """Return what is known of our own ends that are not up, by link; some of them may be usable."""
        return [self.ends[link] for link in sorted(self.ends) if self.ends[link].state is not LinkState.UP]

    @property
    def is_cut_off(self) -> bool:
        """Whether our own end of every link is down: then it is us who are away, not the peers."""
        return bool(self.ends) and not any(end.state.is_usable for end in self.ends.values())

    def heard(self, path: Path, now: Instant) -> list[LinkChanged]:
        """Take in that a packet came on a path."""
        path.heard_at = now
        if path.refused_at is not None:
            path.refused_at = None
            self._count_refusals()
        return [] if path.state.is_usable else self._settle(path, now)

    def refused(self, path: Path, now: Instant) -> None:
        """Take in that the peer's host refused a packet: nobody listens there."""
        path.refused_at = now
        self.has_refusals = True

    def end_changed(self, event: EndChanged, now: Instant) -> list[LinkChanged]:
        """Take in what the kernel says of one of our ends."""
        if event.link not in self.ends:
            return []
        self.ends = {**self.ends, event.link: event}
        paths = [
            path for by_link in self._paths.values() for path in by_link.values() if path.link == event.link
        ]
        return [change for path in paths for change in self._settle(path, now)]

    def tick(self, now: Instant) -> list[LinkChanged]:
        """Look for paths that fell silent; called with every beat."""
        silent_ms = self._timing.silent_ms
        changes: list[LinkChanged] = []
        for by_link in self._paths.values():
            for path in by_link.values():
                if path.state.is_usable and (path.heard_at is None or now - path.heard_at >= silent_ms):
                    changes += self._settle(path, now)
        return changes

    def route(self, peer: NodeId, now: Instant) -> Sequence[LinkNumber]:
        """Return the links to use for this peer: the lowest that carries both ways; all of them when none does.

        That a link brings us packets does not mean that ours arrive: the peer's echo does.
        """
        by_link = self._paths[peer]
        usable = None
        for link, path in by_link.items():
            echo_at = path.echo_at
            if echo_at is None or now - echo_at >= self._timing.silent_ms:
                continue
            if path.state is LinkState.UP:
                return (link,)
            if path.state.is_usable and usable is None:
                usable = link
        return tuple(by_link) if usable is None else (usable,)

    def last_heard(self, peer: NodeId) -> Instant | None:
        """Return when the peer was last heard on any link."""
        moments = [path.heard_at for path in self._paths[peer].values() if path.heard_at is not None]
        return max(moments, default=None)

    def is_refused(self, peer: NodeId, now: Instant) -> bool:
        """Whether the peer's host refuses us on every link that was up, for long enough to mean it."""
        paths = self._paths[peer].values()
        last = self.last_heard(peer)
        if last is None or now - last < self._timing.refused_ms:
            return False
        up = [path for path in paths if path.state.is_usable]
        return any(path.refused_at is not None for path in paths) and all(
            path.refused_at is not None for path in up
        )

    def spare(self, now: Instant, late_ms: int) -> None:
        """Do not count the time in which this node stood still as silence of the peers.

        After a long stall what was live gets two beats to be heard. After a short one only the time itself is
        taken off: a node that is always a little late must still notice that a peer is gone.
        """
        fresh = now - self._timing.convict_ms + 2 * self._timing.heartbeat_ms
        is_long = 2 * late_ms >= self._timing.convict_ms
        for by_link in self._paths.values():
            for path in by_link.values():
                if path.heard_at is None:
                    continue
                path.heard_at = Instant(min(now, path.heard_at + late_ms))
                if is_long and path.state.is_usable:
                    path.heard_at = Instant(max(path.heard_at, fresh))

    def _count_refusals(self) -> None:
        paths = (path for by_link in self._paths.values() for path in by_link.values())
        self.has_refusals = any(path.refused_at is not None for path in paths)

    def _settle(self, path: Path, now: Instant) -> list[LinkChanged]:
        end = self.ends[path.link]
        state, reason = end.state, end.reason
        if state.is_usable:
            quiet_ms = None if path.heard_at is None else now - path.heard_at
            if quiet_ms is not None and quiet_ms < self._timing.silent_ms:
                reason = "packets arrive" if state is LinkState.UP else reason
            else:
                state = LinkState.SILENT
                reason = "nothing heard yet" if quiet_ms is None else f"nothing heard for {show_ms(quiet_ms)}"
        is_same = state is path.state
        if is_same and (reason == path.reason or state in _REASON_IS_OURS):
            return []
        # A reason that grows, since more broke or its cause was found, is told anew; the state began before.
        path.state, path.reason, path.since = state, reason, path.since if is_same else now
        return [LinkChanged(path.link, path.peer, state, reason)]
