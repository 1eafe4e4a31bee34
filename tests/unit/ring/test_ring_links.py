"""ring/links.py: the state of each path, the choice among them, refusals, and our own stall."""

from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd, LinkState
from komainu.ring.interface import EndChanged
from komainu.ring.links import Links, Path
from komainu.ring.settings import NodeSettings, RingSettings, Timing, derive

PEER = NodeId(2)
L0, L1 = LinkNumber(0), LinkNumber(1)


def at(now: int) -> Instant:
    return Instant(now)


def links() -> tuple[Links, Timing]:
    nodes = tuple(
        NodeSettings(
            NodeId(node),
            NodeName(f"n{node}"),
            tuple(LinkEnd(LinkNumber(link), f"10.{link}.0.{node}") for link in range(2)),
        )
        for node in (1, 2)
    )
    settings = RingSettings("test", NodeId(1), nodes)
    return Links(settings, derive(settings), at(0)), derive(settings)


def path(core: Links, link: LinkNumber) -> Path:
    found = core.path(PEER, link)
    assert found is not None
    return found


def test_heard_then_silent() -> None:
    core, timing = links()
    up = core.heard(path(core, L0), at(10))
    assert [(each.link, each.state) for each in up] == [(0, LinkState.UP)]
    assert core.heard(path(core, L0), at(20)) == []
    assert core.tick(at(20 + timing.silent_ms - 1)) == []
    (silent,) = core.tick(at(20 + timing.silent_ms))
    assert (silent.state, silent.reason) == (LinkState.SILENT, "nothing heard for 437 ms")


def test_the_end_of_ours_comes_first() -> None:
    core, _ = links()
    core.heard(path(core, L0), at(10))
    (down,) = core.end_changed(EndChanged(L0, LinkState.NO_CARRIER, "eth0: carrier lost"), at(20))
    assert (down.state, down.reason) == (LinkState.NO_CARRIER, "eth0: carrier lost")
    assert core.heard(path(core, L0), at(30)) == []  # heard all the same
    assert core.last_heard(PEER) == 30
    (up,) = core.end_changed(EndChanged(L0, LinkState.UP, ""), at(40))
    assert up.state is LinkState.UP
    assert core.end_changed(EndChanged(LinkNumber(5), LinkState.UP, ""), at(40)) == []


def test_cut_off_means_every_end() -> None:
    core, _ = links()
    core.end_changed(EndChanged(L0, LinkState.NO_CARRIER, "eth0: carrier lost"), at(20))
    assert core.is_cut_off is False
    core.end_changed(EndChanged(L1, LinkState.NO_ADDRESS, "eth1: address gone"), at(20))
    assert bool(core.is_cut_off)
    assert [end.reason for end in core.ends_down()] == ["eth0: carrier lost", "eth1: address gone"]


def test_the_route_is_a_link_that_carries_both_ways() -> None:
    core, timing = links()
    assert core.route(PEER, at(0)) == (0, 1)
    for link in (L0, L1):
        core.heard(path(core, link), at(10))
    assert core.route(PEER, at(10)) == (0, 1)  # nobody knows yet whether ours arrive
    path(core, L1).echo_at = 5
    assert core.route(PEER, at(10)) == (1,)
    path(core, L0).echo_at = 6
    assert core.route(PEER, at(10)) == (0,)
    assert core.route(PEER, at(6 + timing.silent_ms)) == (0, 1)


def test_refused_on_all_links_that_were_up() -> None:
    core, timing = links()
    for link in (L0, L1):
        core.heard(path(core, link), at(10))
    core.refused(path(core, L0), at(20))
    later = at(10 + timing.refused_ms)
    assert not core.is_refused(PEER, later)
    core.refused(path(core, L1), at(21))
    assert not core.is_refused(PEER, at(22))  # a socket may just be opened anew
    assert core.is_refused(PEER, later)
    core.heard(path(core, L0), later)
    assert not core.is_refused(PEER, later)
    assert core.has_refusals


def test_after_our_stall_peers_are_spared() -> None:
    core, timing = links()
    core.heard(path(core, L0), at(10))
    core.spare(at(400), 130)
    assert core.last_heard(PEER) == 140  # only the time that we were late
    core.spare(at(1000), 400)
    assert core.last_heard(PEER) == 1000 - timing.convict_ms + 2 * timing.heartbeat_ms
    core.spare(at(6000), 5000)
    assert core.last_heard(PEER) == 5563
    assert path(core, L1).heard_at is None


def test_always_a_little_late_is_not_for_ever_blind() -> None:
    core, timing = links()
    core.heard(path(core, L0), at(0))
    for now in range(260, 3000, 260):
        core.spare(at(now), 130)
    last = core.last_heard(PEER)
    assert last is not None
    assert 2800 - last > timing.convict_ms
