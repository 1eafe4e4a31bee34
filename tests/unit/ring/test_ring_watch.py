"""ring/watch.py: which life is the present one, who is alive, and why somebody is gone."""

import pytest

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd, LinkState
from komainu.model.report import Note
from komainu.model.view import Position
from komainu.ring.interface import EndChanged, PeerDoubted
from komainu.ring.links import Links
from komainu.ring.packet import Beat, Gone, Heartbeat, Member, Vote
from komainu.ring.settings import NodeSettings, RingSettings, derive
from komainu.ring.watch import DOUBLE_FACTOR, LIVES_KEPT_MAX, Watch

ME, PEER = NodeId(1), NodeId(2)
MINE = Member(ME, Incarnation(100))


class Bench:
    """A watch, with hands to give it heartbeats."""

    def __init__(self) -> None:
        nodes = tuple(
            NodeSettings(
                node,
                NodeName(f"n{node}"),
                tuple(LinkEnd(LinkNumber(each), f"10.{each}.0.{node}") for each in range(2)),
            )
            for node in (ME, PEER)
        )
        settings = RingSettings("test", ME, nodes)
        self.timing = derive(settings)
        self.links = Links(settings, self.timing, Instant(0))
        self.watch = Watch(settings, self.timing, self.links, MINE.life)
        self.peer = self.watch.peers[PEER]
        self.number = 0

    def beat(
        self, life: int, now: int, *, names_us: bool = True, number: int | None = None, link: int = 0
    ) -> bool:
        self.number += 1
        hears = (MINE,) if names_us else ()
        beat = Beat(None, hears, (PEER,), 0, None, 0, 0, Position(), (), Vote.UNKNOWN)
        packet = Heartbeat(Incarnation(life), number or self.number, now, None, 0, beat)
        path = self.links.path(PEER, LinkNumber(link))
        assert path is not None
        return self.watch.heartbeat(packet, path, Instant(now))[0]

    def convicted(self, now: int) -> str:
        (note,) = self.watch.tick(Instant(now))
        assert isinstance(note, Note)
        return note.message

    def is_double(self, now: int) -> bool:
        return self.peer.is_double(Instant(now), self.timing)

    def hears(self) -> list[int]:
        return [member.life for member in self.watch.hears()]

    def friends(self) -> list[int]:
        return [member.life for member, _ in self.watch.friends()]


def test_a_life_counts_when_it_names_ours() -> None:
    bench = Bench()
    assert bench.beat(7, 10, names_us=False)
    assert (bench.hears(), bench.friends()) == ([7], [])
    assert not bench.beat(7, 20, names_us=False)  # nothing new
    assert bench.beat(7, 30)
    assert (bench.hears(), bench.friends()) == ([7], [7])
    assert not bench.beat(7, 40)


def test_a_recorded_life_does_not_push_out_the_present_one() -> None:
    bench = Bench()
    bench.beat(7, 10)
    bench.beat(6, 20, names_us=False)  # recorded when we had another life
    assert (bench.hears(), bench.friends()) == ([7, 6], [7])
    bench.watch.tick(Instant(20 + bench.timing.convict_ms))
    bench.beat(7, 800)
    assert bench.hears() == [7]


def test_a_new_life_replaces_the_old_for_ever() -> None:
    bench = Bench()
    bench.beat(7, 10)
    bench.beat(8, 20)
    assert bench.friends() == [8]
    assert bench.watch.fate(Member(PEER, Incarnation(7))) == Gone(PEER, False, "its daemon was restarted")
    assert not bench.beat(7, 30)
    assert bench.friends() == [8]


@pytest.mark.parametrize("names_us", [True, False])
def test_two_machines_with_one_id_are_noticed_by_a_third(names_us: bool) -> None:
    """Neither of the two sends to the other: each takes the id for its own. The second may or may not hear us."""
    bench = Bench()
    for now in range(0, 3 * bench.timing.convict_ms, bench.timing.heartbeat_ms):
        could_be_a_restart = now <= DOUBLE_FACTOR * bench.timing.convict_ms
        assert not could_be_a_restart or not bench.is_double(now)
        bench.beat(7, now)
        if now:
            bench.beat(8, now + 1, names_us=names_us)
    assert bench.is_double(now)
    assert not bench.is_double(now + bench.timing.convict_ms + 1), "one of them is gone"


def test_a_restart_is_no_second_machine() -> None:
    """The new life is heard for long before it hears us: a cut that lets packets through one way alone."""
    bench = Bench()
    bench.beat(7, 0)
    for now in range(10, 5 * bench.timing.convict_ms, bench.timing.heartbeat_ms):
        bench.beat(8, now, names_us=False)
        bench.watch.tick(Instant(now))
        assert not bench.is_double(now)


def test_old_news_are_no_news() -> None:
    bench = Bench()
    bench.beat(7, 10, number=5)
    assert not bench.beat(7, 20, names_us=False, number=4)
    assert bench.friends() == [7]


def test_silence_convicts() -> None:
    bench = Bench()
    bench.beat(7, 10)
    bench.beat(7, 20, link=1)
    assert bench.watch.next_check() == 20 + bench.timing.near_ms
    assert bench.watch.tick(Instant(20 + bench.timing.near_ms)) == [PeerDoubted(PEER)]
    assert bench.watch.next_check() == 20 + bench.timing.convict_ms
    assert bench.watch.tick(Instant(19 + bench.timing.convict_ms)) == []
    assert bench.convicted(20 + bench.timing.convict_ms) == "n2 is lost: silent on both links for 687 ms"
    assert (bench.hears(), bench.friends()) == ([], [])
    bench.beat(7, 900)
    assert bench.friends() == [7]
    assert bench.watch.fate(Member(PEER, Incarnation(7))) is None


def test_who_is_cut_off_says_so() -> None:
    bench = Bench()
    bench.beat(7, 10)
    for link in (0, 1):
        bench.links.end_changed(
            EndChanged(LinkNumber(link), LinkState.NO_CARRIER, f"eth{link}: carrier lost"), Instant(20)
        )
    assert (
        bench.convicted(2000) == "n2 is lost: this node is cut off (eth0: carrier lost; eth1: carrier lost)"
    )


def test_a_closed_port_convicts_early() -> None:
    bench = Bench()
    bench.beat(7, 10)
    path = bench.links.path(PEER, LinkNumber(0))
    assert path is not None
    bench.links.refused(path, Instant(20))
    assert bench.watch.tick(Instant(21)) == []
    assert bench.convicted(10 + bench.timing.refused_ms) == "n2 is lost: its daemon is gone (port closed)"


def test_a_doubt_ends_with_the_next_packet() -> None:
    bench = Bench()
    bench.beat(7, 10)
    assert bench.watch.tick(Instant(10 + bench.timing.near_ms)) == [PeerDoubted(PEER)]
    path = bench.links.path(PEER, LinkNumber(1))
    assert path is not None
    heard = bench.watch.heard(bench.peer, path, Instant(400))
    assert PeerDoubted(PEER, is_over=True) in heard
    assert bench.watch.next_check() == 400 + bench.timing.near_ms


def test_a_cable_without_carrier_is_doubt_at_once() -> None:
    bench = Bench()
    bench.beat(7, 10)
    assert bench.watch.lost_carrier(LinkNumber(1)) == [PeerDoubted(PEER)]
    assert bench.watch.lost_carrier(LinkNumber(0)) == []  # told already
    assert bench.watch.lost_carrier(LinkNumber(7)) == []


def test_who_has_no_power_is_lost_after_a_short_silence() -> None:
    bench = Bench()
    bench.beat(7, 10)
    bench.watch.lost_carrier(LinkNumber(1))
    bench.watch.found_off(PEER)
    assert bench.watch.tick(Instant(9 + bench.timing.near_ms)) == []
    assert bench.watch.next_check() == 10 + bench.timing.near_ms
    assert bench.convicted(10 + bench.timing.near_ms) == (
        "n2 is lost: its fence devices say that it has no power, and it was silent for 312 ms"
    )


def test_who_is_heard_has_power() -> None:
    bench = Bench()
    bench.beat(7, 10)
    bench.watch.found_off(PEER)  # nobody doubts it
    bench.watch.lost_carrier(LinkNumber(1))
    bench.watch.found_off(PEER)
    bench.beat(7, 300)
    assert bench.watch.tick(Instant(300 + bench.timing.near_ms)) == [PeerDoubted(PEER)]


def test_a_farewell_is_final() -> None:
    bench = Bench()
    bench.beat(7, 10)
    assert bench.watch.leaving(bench.peer, Incarnation(6)) == []
    (note,) = bench.watch.leaving(bench.peer, Incarnation(7))
    assert note.message == "n2 left"
    assert not bench.beat(7, 20)  # a late one
    assert bench.watch.fate(Member(PEER, Incarnation(7))) == Gone(PEER, True, "it left")


def test_who_does_not_hear_us_is_no_friend() -> None:
    bench = Bench()
    bench.beat(7, 10)
    bench.beat(7, 20, names_us=False)
    assert (bench.hears(), bench.friends()) == ([7], [])
    assert bench.watch.fate(Member(PEER, Incarnation(7))) == Gone(PEER, False, "it no longer hears this node")
    assert bench.watch.fate(MINE) is None


def test_retired_lives_are_bounded() -> None:
    bench = Bench()
    for life in range(LIVES_KEPT_MAX + 10):
        bench.peer.retire(Incarnation(life), Gone(PEER, False, ""))
    assert len(bench.peer.retired) == LIVES_KEPT_MAX
