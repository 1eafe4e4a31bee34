"""Put together what status shows of the links: each path, both ends, and what goes by it.

Decides nothing. Must not know: views and ballots.
"""

from komainu.model.ids import Instant
from komainu.model.link import LinkState
from komainu.ring.interface import LinkReport
from komainu.ring.links import Links
from komainu.ring.relay import Relays
from komainu.ring.routes import Routes
from komainu.ring.watch import Peer, Watch


def link_reports(
    links: Links, routes: Routes, relays: Relays, watch: Watch, now: Instant
) -> list[LinkReport]:
    """Report every link to every peer, by peer and link."""
    reports = []
    for peer in watch.peers.values():
        over = relays.over.get(peer.node)
        used = () if over is not None else routes.in_use(peer.node, now)
        for path in sorted(links.paths(peer.node), key=lambda each: each.link):
            peer_state, peer_reason = _peer_end(peer, path.link)
            reports.append(
                LinkReport(
                    link=path.link,
                    peer=peer.node,
                    state=path.state,
                    reason=path.reason,
                    peer_state=peer_state,
                    peer_reason=peer_reason,
                    since=path.since,
                    round_trip_ms=path.round_trip_ms,
                    loss=path.loss,
                    is_used=path.link in used and path.state.is_usable,
                    is_damped=path.is_damped(now),
                    over=None if over is None else watch.peers[over].name,
                    history=tuple((each.at, each.state, each.reason) for each in path.history),
                )
            )
    return reports


def _peer_end(peer: Peer, link: int) -> tuple[LinkState, str]:
    """Return what a peer last said of its own end; an end that it does not name is up."""
    if peer.beat is None:
        return LinkState.SILENT, ""
    return next(((end.state, end.reason) for end in peer.beat.ends if end.link == link), (LinkState.UP, ""))
