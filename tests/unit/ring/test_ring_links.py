"""ring/links.py, routes.py: the state of each path, the choice among them, refusals, and our own stall."""

from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd, LinkState
from komainu.ring.interface import EndChanged
from komainu.ring.links import DAMP_MS, Links, Path
from komainu.ring.routes import Routes
from komainu.ring.settings import LinkMode, NodeSettings, RingSettings, Timing, derive

PEER = NodeId(2)
L0, L1 = LinkNumber(0), LinkNumber(1)


def at(now: int) -> Instant:
    return Instant(now)


def links(priorities: tuple[int, ...] = ()) -> tuple[Links, Timing]:
    nodes = tuple(
        NodeSettings(
            NodeId(node),
            NodeName(f"n{node}"),
            tuple(LinkEnd(LinkNumber(link), f"10.{link}.0.{node}") for link in range(2)),
        )
        for node in (1, 2)
    )
    settings = RingSettings("test", NodeId(1), nodes, link_priorities=priorities)
    return Links(settings, derive(settings), at(0)), derive(settings)


def routes(core: Links, mode: LinkMode = LinkMode.PASSIVE) -> Routes:
    return Routes(core, links()[1], mode)


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
    assert routes(core).route(PEER, at(0)) == (0, 1)
    for link in (L0, L1):
        core.heard(path(core, link), at(10))
    assert routes(core).route(PEER, at(10)) == (0, 1)  # nobody knows yet whether ours arrive
    path(core, L1).echo_at = 5
    assert routes(core).route(PEER, at(10)) == (1,)
    path(core, L0).echo_at = 6
    assert routes(core).route(PEER, at(10)) == (0,)
    assert routes(core).route(PEER, at(6 + timing.silent_ms)) == (0, 1)


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


def answer(core: Links, now: int, *numbers: LinkNumber) -> None:
    """Let beats come on these links that answer what was sent on them."""
    for link in numbers:
        core.heard(path(core, link), at(now))
        path(core, link).echo_at = now


def test_the_modes() -> None:
    passive, _ = links()
    answer(passive, 10, L0, L1)
    assert [routes(passive).route(PEER, at(11)) for _ in range(2)] == [(0,), (0,)]
    first, _ = links(priorities=(0, 10))
    answer(first, 10, L0, L1)
    assert routes(first).route(PEER, at(11)) == (1,)
    active, timing = links()
    assert routes(active, LinkMode.ACTIVE).route(PEER, at(5)) == (0, 1)  # none is answered yet
    answer(active, 10, L0, L1)
    assert routes(active, LinkMode.ACTIVE).route(PEER, at(11)) == (0, 1)
    later = 10 + timing.silent_ms
    answer(active, later, L1)
    active.tick(at(later))
    assert routes(active, LinkMode.ACTIVE).route(PEER, at(later + 1)) == (1,)
    answer(passive, 20, L0, L1)
    turns = routes(passive, LinkMode.ROUND_ROBIN)
    assert [turns.route(PEER, at(21)) for _ in range(4)] == [(1,), (0,), (1,), (0,)]


def test_a_path_that_flaps_is_second_until_it_holds() -> None:
    core, timing = links()
    now = 10
    answer(core, now, L0, L1)
    for _ in range(4):
        now += timing.silent_ms
        answer(core, now, L1)
        core.tick(at(now))
        assert routes(core).route(PEER, at(now)) == (1,)
        now += 10
        answer(core, now, L0, L1)
    assert path(core, L0).is_damped(at(now))
    assert routes(core).route(PEER, at(now)) == (1,)
    now += 2 * DAMP_MS  # it came back four times
    answer(core, now, L0, L1)
    assert routes(core).route(PEER, at(now)) == (0,)
    assert [each.state for each in path(core, L0).history][:3] == [
        LinkState.UP,
        LinkState.SILENT,
        LinkState.UP,
    ]


def test_a_path_that_flaps_is_used_when_nothing_else_is_left() -> None:
    core, _ = links()
    path(core, L0).steady_at = at(99_999)
    answer(core, 10, L0)
    assert routes(core).route(PEER, at(11)) == (0,)


def test_loss_is_counted_by_the_numbers_of_beats() -> None:
    core, _ = links()
    one = path(core, L0)

    def loss() -> float | None:
        share = one.loss
        return None if share is None else round(share, 6)

    assert loss() is None
    for number in range(1, 201):
        if number % 10:
            one.count(number)
    one.count(200)
    assert loss() == 0.09  # the tens of the last hundred, but for the last
    one.count(190)  # late, not lost
    assert loss() == 0.08
    one.count(5000)
    assert loss() is None  # too long ago to compare
