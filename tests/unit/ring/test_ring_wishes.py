"""ring/wishes.py: the view that is wanted, and who is left out of it for a while."""

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import Position, ViewId
from komainu.ring.links import Links
from komainu.ring.packet import Beat, Heartbeat, Member, ViewKey, Vote
from komainu.ring.settings import NodeSettings, RingSettings, derive
from komainu.ring.watch import Watch
from komainu.ring.wishes import SHUN_MS, SHUN_MS_MAX, Wishes


class Bench:
    """The wishes of one node of four, and hands to let the others speak. Node n lives the life 10 * n."""

    def __init__(self, me: int = 3) -> None:
        nodes = tuple(
            NodeSettings(NodeId(node), NodeName(f"n{node}"), (LinkEnd(LinkNumber(0), f"10.0.0.{node}"),))
            for node in range(1, 5)
        )
        settings = RingSettings("test", NodeId(me), nodes)
        self.timing = derive(settings)
        self.links = Links(settings, self.timing, Instant(0))
        self.watch = Watch(settings, self.timing, self.links, Incarnation(10 * me))
        self.wishes = Wishes(settings, self.timing, self.watch, Instant(0))
        self.number = 0

    def says(
        self,
        node: int,
        hears: tuple[int, ...],
        wants: tuple[int, ...],
        now: int = 0,
        *,
        life: int = 0,
        view: int = 0,
    ) -> None:
        self.number += 1
        key = ViewKey(ViewId(view, NodeId(1)), Incarnation(10)) if view else None
        lives = tuple(Member(NodeId(each), Incarnation(10 * each)) for each in hears)
        beat = Beat(
            key, lives, tuple(NodeId(each) for each in wants), 0, None, 0, 0, Position(), (), Vote.UNKNOWN
        )
        path = self.links.path(NodeId(node), LinkNumber(0))
        assert path is not None
        self.watch.heartbeat(
            Heartbeat(Incarnation(life or 10 * node), self.number, now, None, 0, beat), path, Instant(now)
        )

    def wants(self, now: int = 0) -> tuple[int, ...]:
        self.wishes.consider(Instant(now))
        return self.wishes.nodes


def members(*nodes: int) -> tuple[Member, ...]:
    return tuple(Member(NodeId(node), Incarnation(10 * node)) for node in nodes)


def test_all_who_hear_each_other() -> None:
    bench = Bench()
    assert bench.wants() == (3,)
    bench.says(1, (2, 3), (1, 2, 3))
    bench.says(2, (1, 3), (1, 2, 3))
    assert bench.wants() == (1, 2, 3)
    assert bench.wishes.leader == 1
    assert bench.wishes.members() == members(1, 2, 3)


def test_a_leader_that_does_not_want_us_is_not_waited_for_for_ever() -> None:
    bench = Bench()
    bench.says(2, (1, 3), (1, 2))
    assert bench.wants(0) == (2, 3)
    wake_at = bench.wishes.wake_at
    assert wake_at == bench.timing.patience_ms
    assert bench.wants(wake_at) == (3,)
    bench.says(2, (1, 3), (2, 3), now=5000)
    assert bench.wants(5000) == (2, 3)


def test_after_a_view_all_count_again() -> None:
    bench = Bench()
    bench.says(2, (1, 3), (1, 2))
    bench.wants(0)
    assert bench.wants(10_000) == (3,)
    bench.wishes.begin_view(ViewId(5, NodeId(3)), members(3))
    assert bench.wants(10_000) == (2, 3)


def test_a_loss_is_seen_before_the_new_life_comes_in() -> None:
    bench = Bench()
    bench.wishes.begin_view(ViewId(5, NodeId(1)), members(1, 2, 3))
    bench.says(1, (2, 3, 4), (1, 2, 3), view=5)
    bench.says(2, (1, 3, 4), (1, 2, 3), view=5)
    bench.says(4, (1, 2, 3), (4,))
    assert bench.wants() == (1, 2, 3, 4)
    bench.says(2, (1, 3, 4), (1, 2, 3), life=21)
    assert bench.wants() == (1, 3)
    bench.says(1, (2, 3, 4), (1, 2, 4), view=6)  # it went on without us: nobody of our view is left
    assert bench.wants() == (3,)
    bench.wishes.begin_view(ViewId(7, NodeId(3)), members(3))
    assert 1 in bench.wants()


def test_who_does_not_answer_is_left_out_for_longer_each_time() -> None:
    bench = Bench()
    bench.says(4, (3,), (3, 4))
    now = 0
    for times in range(6):
        bench.wishes.shun(NodeId(4), Instant(now))
        assert bench.wants(now) == (3,)
        wait = min(SHUN_MS << times, SHUN_MS_MAX)
        assert bench.wishes.wake_at == now + wait
        now += wait
        assert bench.wants(now) == (3, 4)
    bench.wishes.answered(NodeId(4))
    bench.wishes.shun(NodeId(4), Instant(now))
    bench.wants(now)
    assert bench.wishes.wake_at == now + SHUN_MS


def test_a_wish_that_changed_is_new() -> None:
    bench = Bench()
    bench.says(4, (3,), (3, 4), now=70)
    bench.wants(70)
    assert bench.wishes.since == 70
    bench.wants(90)
    assert bench.wishes.since == 70
    bench.wishes.agree_anew(Instant(95))
    assert bench.wishes.since == 95
