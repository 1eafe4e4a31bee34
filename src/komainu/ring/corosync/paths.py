"""Know how the links stand, from the kernel's word, Corosync's, and the other members'; say where it leaves a node out.

Corosync with Kronosnet does not tell why a link is down; our own end's cause comes from the kernel, and each member
tells the others of its ends. Must not know: views' order, sockets.

Source: corosync.conf(5) and measurements: with the path between two of three nodes cut, Corosync 3.1 does not relay
over the third, and formed 15 to 16 memberships in 72 seconds.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkState
from komainu.ring.corosync.interface import PathsSeen
from komainu.ring.interface import EndChanged, LinkChanged, LinkReport, PeerEndChanged
from komainu.ring.packet import EndState
from komainu.ring.settings import RingSettings

UNREST_WINDOW_MS: Final = 60_000
UNREST_VIEWS: Final = 4
"""Memberships within the window that are called unrest: a reboot makes two."""

LEFT_OUT_MS: Final = 10_000
"""How long a node may be reached and yet be no member before it is said: one that starts needs some seconds."""

Out = LinkChanged | PeerEndChanged


@dataclass(slots=True)
class _Path:
    state: LinkState
    reason: str
    since: Instant
    round_trip_ms: float | None = None
    is_connected: bool = False


class Paths:
    """Every link to every peer, as this node sees it."""

    def __init__(self, settings: RingSettings, now: Instant) -> None:
        self._names: dict[NodeId, NodeName] = {node.node: node.name for node in settings.nodes}
        self._me = settings.me
        self._own: dict[LinkNumber, EndState] = {}
        self._theirs: dict[NodeId, tuple[EndState, ...]] = {}
        self._reached_by: dict[NodeId, tuple[NodeId, ...]] = {}
        self._paths = {
            (node.node, link): _Path(LinkState.SILENT, "Corosync has not reached it yet", now)
            for node in settings.nodes
            if node.node != settings.me
            for link in settings.shared_links(node.node)
        }
        self._began: deque[Instant] = deque(maxlen=UNREST_VIEWS * 8)
        self._absent: dict[NodeId, Instant] = {n.node: now for n in settings.nodes if n.node != settings.me}

    @property
    def ends_down(self) -> tuple[EndState, ...]:
        """Our own ends that are not up, for the others."""
        return tuple(end for _, end in sorted(self._own.items()) if end.state is not LinkState.UP)

    @property
    def reaches(self) -> tuple[NodeId, ...]:
        """The peers to whom Corosync has a link."""
        return tuple(sorted({node for (node, _), path in self._paths.items() if path.is_connected}))

    # -- events -----------------------------------------------------------------------------------------

    def end_changed(self, event: EndChanged, now: Instant) -> list[Out]:
        """Take in the kernel's word on our own end."""
        self._own[event.link] = EndState(event.link, event.state, event.reason)
        keys = [key for key in self._paths if key[1] == event.link]
        return [change for key in keys for change in self._judge(key, now)]

    def seen(self, event: PathsSeen, now: Instant) -> list[Out]:
        """Take in how Kronosnet's links stand."""
        out: list[Out] = []
        for one in event.paths:
            path = self._paths.get((one.peer, one.link))
            if path is not None:
                path.is_connected, path.round_trip_ms = one.is_connected, one.round_trip_ms
                out += self._judge((one.peer, one.link), now)
        return out

    def engine_lost(self, reason: str, now: Instant) -> list[Out]:
        """Take every link for down: nothing reaches anybody."""
        out: list[Out] = []
        for key, path in self._paths.items():
            path.is_connected, path.round_trip_ms = False, None
            out += self._judge(key, now, reason)
        return out

    def told(self, peer: NodeId, ends: tuple[EndState, ...], reaches: tuple[NodeId, ...]) -> list[Out]:
        """Take in what a member says of its ends and of whom it reaches."""
        before = {end.link: end for end in self._theirs.get(peer, ())}
        after = {end.link: end for end in ends}
        self._theirs[peer], self._reached_by[peer] = ends, reaches
        out: list[Out] = []
        for link in sorted({*before, *after}):
            end = after.get(link, EndState(link, LinkState.UP, "it is up again"))
            if before.get(link) != end and (peer, link) in self._paths:
                out.append(PeerEndChanged(link, peer, end.state, end.reason))
        return out

    def view_began(self, members: Iterable[NodeId], now: Instant) -> None:
        """Take in who is a member now."""
        here = set(members)
        self._began.append(now)
        self._absent = {
            node: self._absent.get(node, now) for node in self._names if node not in here and node != self._me
        }
        self._reached_by = {node: reaches for node, reaches in self._reached_by.items() if node in here}

    def _judge(self, key: tuple[NodeId, LinkNumber], now: Instant, why_not: str = "") -> list[Out]:
        """Decide a path's state: our own end's cause goes before Corosync's silence."""
        peer, link = key
        path, own = self._paths[key], self._own.get(link)
        state: LinkState
        if own is not None and own.state is not LinkState.UP:
            state, reason = own.state, own.reason
        elif path.is_connected:
            state, reason = LinkState.UP, "Corosync hears the peer"
        else:
            state = LinkState.SILENT
            reason = why_not or f"Corosync does not hear {self._names[peer]} on it"
        if state is path.state:
            return []
        path.state, path.reason, path.since = state, reason, now
        return [LinkChanged(link, peer, state, reason)]

    # -- questions --------------------------------------------------------------------------------------

    def reports(self) -> list[LinkReport]:
        """Report every link to every peer."""
        return [self._report(peer, link, path) for (peer, link), path in sorted(self._paths.items())]

    def remarks(self, now: Instant) -> list[str]:
        """Say what an administrator has to know of Corosync's membership."""
        found = []
        lately = [each for each in self._began if now - each <= UNREST_WINDOW_MS]
        if len(lately) >= UNREST_VIEWS:
            found.append(
                f"Corosync formed {len(lately)} memberships in the last minute: it does not settle while a path "
                "between two nodes is cut; see which link is down on which node"
            )
        for node, since in sorted(self._absent.items()):
            helpers = [peer for peer, reaches in self._reached_by.items() if node in reaches]
            if node in self.reaches:
                helpers.append(self._me)
            if helpers and now - since >= LEFT_OUT_MS:
                names = ", ".join(self._names[helper] for helper in sorted(set(helpers)))
                found.append(
                    f"{self._names[node]} is no member although Corosync reaches it from {names}: its daemon does "
                    "not run, or a path is cut that Corosync, unlike the builtin ring, does not relay around"
                )
        return found

    def _report(self, peer: NodeId, link: LinkNumber, path: _Path) -> LinkReport:
        end = next((end for end in self._theirs.get(peer, ()) if end.link == link), None)
        unknown = LinkState.UP if peer in self._theirs else LinkState.SILENT
        return LinkReport(
            link=link,
            peer=peer,
            state=path.state,
            reason=path.reason,
            peer_state=unknown if end is None else end.state,
            peer_reason="" if end is None else end.reason,
            since=path.since,
            round_trip_ms=path.round_trip_ms,
        )
