"""Decide which links reach which peer, from what the kernel says of our ends and from what is heard.

A path is one link to one peer. Hearing beats belief: whatever the kernel says of our end, a packet that came is
a packet that came. Must not know: views, ballots, and what the packets say.

Theory of operation: a path is in the state of our own end while that is not usable. Otherwise it is in it while
something was heard on the path within `silent_ms`, and SILENT else.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from komainu.model.duration import show_ms
from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.model.link import LinkState
from komainu.ring.interface import EndChanged, LinkChanged
from komainu.ring.settings import RingSettings, Timing

NO_LINK: Final = LinkNumber(-1)
"""The link of a path that goes over another node."""

_REASON_IS_OURS: Final = (LinkState.UP, LinkState.SILENT)
"""In these states the reason is only how long ago something was heard; of the others the kernel gave it."""


LOSS_WINDOW: Final = 100
"""Beats over which the loss of a path is counted: at the default of eight a second, the last 12 s."""

LARGE_LOST_MAX: Final = 4
"""Padded beats in a row that may be lost while small ones are answered; with one in ten lost, five are by chance
once in a day."""

HISTORY_MAX: Final = 16
"""Changes of state of one path that are kept for status."""

FLAPS_MAX: Final = 3
FLAPS_WITHIN_MS: Final = 60_000
"""A path that came back as often within that time is second to every other, until it has held for a while."""

DAMP_MS: Final = 5_000
DAMP_MS_MAX: Final = 80_000
"""For how long; doubled with each further return, up to the maximum."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a path, and when."""

    at: Instant
    state: LinkState
    reason: str


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
    priority: int = 0
    number: int = 0  # of the last beat that came here, and which of the LOSS_WINDOW before it came
    came: int = 0
    beats: int = 0  # how many of these were due
    history: deque[Change] = field(default_factory=lambda: deque(maxlen=HISTORY_MAX))
    large_came: int | None = None  # the clock of the peer's last padded beat here
    large_echo_at: int | None = (
        None  # when we sent the last padded beat that the peer is known to have got here
    )
    large_sent: int = 0  # padded beats since then
    is_narrow: bool = False  # it carries small datagrams only
    steady_at: Instant = Instant(0)  # from when on it is not second to others for having flapped

    def count(self, number: int) -> None:
        """Take in the number of a beat: those between it and the last one are missing, or late."""
        step = number - self.number
        if self.beats == 0 or step > LOSS_WINDOW:
            self.number, self.came, self.beats = number, 1, 1
        elif step > 0:
            self.number = number
            self.came = (self.came << step | 1) & ((1 << LOSS_WINDOW) - 1)
            self.beats = min(self.beats + step, LOSS_WINDOW)
        elif -step < self.beats:
            self.came |= 1 << -step

    def learn_width(self, large_at: int | None) -> bool:
        """Take in which of our padded beats came through; whether it was found to be wide again."""
        if large_at is None or large_at == self.large_echo_at:
            return False
        was_narrow, self.is_narrow = self.is_narrow, False
        self.large_echo_at, self.large_sent = large_at, 0
        return was_narrow

    def send_large(self) -> bool:
        """Count one more padded beat that is sent; whether too many now were not answered."""
        self.large_sent += 1
        found = self.large_sent > LARGE_LOST_MAX and not self.is_narrow
        self.is_narrow |= found
        return found

    @property
    def loss(self) -> float | None:
        """The share of the last beats that did not come here; None while too few were due to say."""
        return None if self.beats < LOSS_WINDOW // 5 else 1 - self.came.bit_count() / self.beats

    def is_damped(self, now: Instant) -> bool:
        """Whether it came back too often to be trusted already."""
        return now < self.steady_at

    def remember(self, now: Instant) -> None:
        """Keep what it has become; when it is back once more, see how often that was."""
        self.history.append(Change(now, self.state, self.reason))
        if self.state is not LinkState.UP:
            return
        returns = sum(
            1 for each in self.history if each.state is LinkState.UP and now - each.at < FLAPS_WITHIN_MS
        )
        if returns > FLAPS_MAX:
            self.steady_at = Instant(now + min(DAMP_MS << (returns - FLAPS_MAX - 1), DAMP_MS_MAX))


class Links:
    """The state of every path, and the choice among them. `ends`: what the kernel said of our own ends."""

    def __init__(self, settings: RingSettings, timing: Timing, now: Instant) -> None:
        self.ends: dict[LinkNumber, EndChanged] = {}
        self.has_refusals = False
        self.detours: dict[
            NodeId, Path
        ] = {}  # what came over other nodes; link and state of these mean nothing
        self._paths: dict[NodeId, dict[LinkNumber, Path]] = {}
        self.reconfigure(settings, timing, now)

    def reconfigure(self, settings: RingSettings, timing: Timing, now: Instant) -> None:
        """Go on with these links and peers; what is known of those that stay is kept."""
        self._timing = timing
        ends = [end.link for end in settings.of(settings.me).ends]
        self.ends = {link: self.ends.get(link, EndChanged(link, LinkState.UP, "")) for link in ends}
        peers = sorted(node.node for node in settings.nodes if node.node != settings.me)
        self.detours = {peer: self.detours.get(peer) or Path(NO_LINK, peer, now) for peer in peers}
        known, self._paths = self._paths, {}
        for peer in peers:
            links = sorted(settings.shared_links(peer), key=lambda each: (-settings.priority_of(each), each))
            paths = known.get(peer, {})
            self._paths[peer] = {
                link: paths.get(link) or Path(link, peer, now, priority=settings.priority_of(link))
                for link in links
            }
        self._count_refusals()

    def paths(self, peer: NodeId) -> Iterable[Path]:
        """Return the paths to a peer, that which is used first first."""
        return self._paths[peer].values()

    def by_link(self, peer: NodeId) -> Mapping[LinkNumber, Path]:
        """Return the paths to a peer with their links, that which is used first first."""
        return self._paths[peer]

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
        return [] if path.link == NO_LINK or path.state.is_usable else self._settle(path, now)

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
        silent_since = now - self._timing.silent_ms
        changes: list[LinkChanged] = []
        for by_link in self._paths.values():
            for path in by_link.values():
                if (path.heard_at is None or path.heard_at <= silent_since) and path.state.is_usable:
                    changes += self._settle(path, now)
        return changes

    def last_heard(self, peer: NodeId) -> Instant | None:
        """Return when the peer was last heard on any link, or over another node."""
        last = self.detours[peer].heard_at
        for path in self._paths[peer].values():
            if path.heard_at is not None and (last is None or path.heard_at > last):
                last = path.heard_at
        return last

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
        for peer, by_link in self._paths.items():
            for path in (*by_link.values(), self.detours[peer]):
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
        if not is_same:
            path.remember(now)
        return [LinkChanged(path.link, path.peer, state, reason)]
