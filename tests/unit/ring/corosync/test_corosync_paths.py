from corosync_samples import settings

from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.model.link import LinkState
from komainu.ring.corosync.interface import CorosyncPath, PathsSeen
from komainu.ring.corosync.paths import LEFT_OUT_MS, UNREST_VIEWS, Paths
from komainu.ring.interface import EndChanged, LinkChanged, PeerEndChanged
from komainu.ring.packet import EndState

TWO, THREE, LINK = NodeId(2), NodeId(3), LinkNumber(0)


def seen(*connected: int) -> PathsSeen:
    return PathsSeen(
        tuple(
            CorosyncPath(LINK, node, node in connected, 0.4 if node in connected else None)
            for node in (TWO, THREE)
        )
    )


def test_the_kernels_cause_goes_before_corosyncs_silence() -> None:
    paths = Paths(settings(), Instant(0))
    assert [type(out) for out in paths.seen(seen(2, 3), Instant(10))] == [LinkChanged, LinkChanged]
    paths.end_changed(EndChanged(LINK, LinkState.NO_CARRIER, "eth1: carrier lost"), Instant(20))
    assert not paths.seen(seen(), Instant(30))
    assert {(one.state, one.reason) for one in paths.reports()} == {
        (LinkState.NO_CARRIER, "eth1: carrier lost")
    }
    paths.end_changed(EndChanged(LINK, LinkState.UP, "eth1: up"), Instant(40))
    reasons = [one.reason for one in paths.reports()]
    assert reasons == ["Corosync does not hear b on it", "Corosync does not hear c on it"]


def test_peers_tell_of_their_ends() -> None:
    paths = Paths(settings(), Instant(0))
    end = EndState(LINK, LinkState.NO_ADDRESS, "eth1: address deleted")
    assert paths.told(TWO, (end,), ()) == [
        PeerEndChanged(LINK, TWO, LinkState.NO_ADDRESS, "eth1: address deleted")
    ]
    assert paths.told(TWO, (end,), ()) == []
    assert paths.reports()[0].peer_reason == "eth1: address deleted"
    assert paths.told(TWO, (), ()) == [PeerEndChanged(LINK, TWO, LinkState.UP, "it is up again")]


def test_a_node_that_is_reached_but_no_member_is_named_with_who_reaches_it() -> None:
    paths = Paths(settings(), Instant(0))
    paths.view_began((NodeId(1), TWO), Instant(0))
    paths.told(TWO, (), (NodeId(1), THREE))
    assert not paths.remarks(Instant(LEFT_OUT_MS - 1))
    (remark,) = paths.remarks(Instant(LEFT_OUT_MS))
    assert remark.startswith("c is no member although Corosync reaches it from b")
    paths.view_began((NodeId(1), TWO, THREE), Instant(LEFT_OUT_MS))
    assert not paths.remarks(Instant(3 * LEFT_OUT_MS))


def test_unrest_is_said_while_it_lasts() -> None:
    paths = Paths(settings(), Instant(0))
    for number in range(UNREST_VIEWS):
        paths.view_began((NodeId(1), TWO, THREE), Instant(1000 * number))
    assert "formed 4 memberships in the last minute" in paths.remarks(Instant(5000))[0]
    assert not paths.remarks(Instant(100_000))


def test_without_the_engine_every_link_is_down() -> None:
    paths = Paths(settings(), Instant(0))
    paths.seen(seen(2, 3), Instant(10))
    changes = paths.engine_lost("Corosync ended", Instant(20))
    assert [(one.state, one.reason) for one in changes if isinstance(one, LinkChanged)] == [
        (LinkState.SILENT, "Corosync ended")
    ] * 2
    assert paths.reaches == ()
