"""ring/builtin.py, formation.py, leading.py: whole rings talk to each other; each test takes one fault."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.layout import Layout
from komainu.model.link import LinkEnd, LinkState
from komainu.model.report import Note
from komainu.model.view import Position
from komainu.ring.builtin import BuiltinRing
from komainu.ring.interface import (
    DeadlinePassed,
    Deliver,
    Departure,
    EndChanged,
    InstallView,
    KeepPromise,
    LayoutLearned,
    Leave,
    LinkChanged,
    PacketReceived,
    Past,
    PeerRefused,
    PromiseKept,
    RingEffect,
    RingEvent,
    SendPacket,
    Stable,
    Stored,
    Submit,
)
from komainu.ring.packet import Agreed, Heartbeat, Install, Packet, Propose
from komainu.ring.settings import NodeSettings, QuorumOptions, RingSettings, derive, layout_of

Loses = Callable[[NodeId, SendPacket], bool]


def settings(me: int, count: int, quorum: QuorumOptions | None = None) -> RingSettings:
    nodes = tuple(
        NodeSettings(
            NodeId(node),
            NodeName(f"n{node}"),
            tuple(LinkEnd(LinkNumber(each), f"10.{each}.0.{node}") for each in range(2)),
        )
        for node in range(1, count + 1)
    )
    return RingSettings("test", NodeId(me), nodes, quorum=quorum or QuorumOptions())


class Bench:
    """Rings whose packets take one millisecond. Whoever keeps the state stores it at once."""

    def __init__(self, count: int, quorum: QuorumOptions | None = None, starts: tuple[int, ...] = ()) -> None:
        self.count, self.quorum = count, quorum
        self.now = Instant(0)
        self.rings: dict[NodeId, BuiltinRing] = {}
        self.told: dict[NodeId, list[RingEffect]] = {}
        self.air: list[tuple[Instant, NodeId, PacketReceived]] = []
        self.loses: Loses = lambda _sender, _sent: False
        self.lives = 0
        for node in starts or range(1, count + 1):
            self.start(node)
        self.run(1500)

    def start(self, node: int, position: Position | None = None) -> None:
        self.lives += 1
        number = NodeId(node)
        self.rings[number] = BuiltinRing(
            settings(node, self.count, self.quorum),
            Incarnation(self.lives),
            self.now,
            Past(position or Position()),
        )
        self.told[number] = []

    def give(self, node: int, event: RingEvent) -> None:
        number = NodeId(node)
        for effect in self.rings[number].handle(event, self.now):
            if not isinstance(effect, SendPacket):
                self.told[number].append(effect)
            elif not self.loses(number, effect):
                packet = PacketReceived(effect.link, number, effect.packet)
                self.air.append((Instant(self.now + 1), effect.peer, packet))
            if isinstance(effect, KeepPromise):
                self.give(node, PromiseKept(effect.counter))
            if isinstance(effect, Deliver) or (
                isinstance(effect, InstallView) and node in effect.keeps_state
            ):
                self.give(node, Stored(effect.position))

    def run(self, milliseconds: int) -> None:
        for _ in range(milliseconds):
            self.now = Instant(self.now + 1)
            due, self.air = (
                [each for each in self.air if each[0] <= self.now],
                [each for each in self.air if each[0] > self.now],
            )
            for _, receiver, packet in due:
                if receiver in self.rings:
                    self.give(receiver, packet)
            for node, ring in list(self.rings.items()):
                if ring.deadline is not None and ring.deadline <= self.now:
                    self.give(node, DeadlinePassed())

    def views(self, node: int) -> list[InstallView]:
        return [each for each in self.told[NodeId(node)] if isinstance(each, InstallView)]

    def members(self, node: int) -> tuple[int, ...]:
        view = self.rings[NodeId(node)].view
        return () if view is None else view.members

    def payloads(self, node: int) -> list[bytes]:
        return [each.payload for each in self.told[NodeId(node)] if isinstance(each, Deliver)]


def cut(*sides: set[int]) -> Loses:
    return lambda sender, sent: not any({sender, sent.peer} <= side for side in sides)


def test_the_first_view() -> None:
    bench = Bench(3)
    (view,) = bench.views(1)
    assert bench.views(2) == bench.views(3) == [view]
    assert (view.view.members, view.owner, view.keeps_state) == ((1, 2, 3), 1, (1,))
    assert (view.arrivals, view.departures) == ((1, 2, 3), ())
    assert view.position == Position(1001, 0)


def test_alone_at_the_start() -> None:
    bench = Bench(3, starts=(2,))
    (view,) = bench.views(2)
    assert (view.view.quorate, view.view.quorum_reason) == (False, "1 of 3 votes; 2 are needed")
    pair = Bench(2, starts=(2,))
    assert pair.views(2)[0].view.quorum_reason == "wait_for_all: n1 was not seen since the start"


def test_payloads_are_delivered_to_all_and_become_stable() -> None:
    bench = Bench(2)
    bench.give(1, Submit(b"state", 1, is_snapshot=True))
    bench.give(2, Submit(b"command", 2))
    bench.run(5)
    assert bench.payloads(1) == bench.payloads(2) == [b"state", b"command"]
    assert bench.rings[NodeId(1)].stable == bench.rings[NodeId(2)].stable == Position(1001, 2)
    assert Stable(Position(1001, 2)) in bench.told[NodeId(1)]


def test_nothing_is_stable_without_quorum() -> None:
    bench = Bench(3)
    bench.give(1, Submit(b"state", 1, is_snapshot=True))
    bench.run(10)
    bench.loses = cut({1}, {2, 3})
    bench.run(1500)
    before = bench.rings[NodeId(1)].stable
    bench.give(1, Submit(b"alone", 2))
    assert bench.payloads(1)[-1] == b"alone"
    assert bench.rings[NodeId(1)].stable == before


def test_a_silent_peer_is_lost_in_time() -> None:
    bench = Bench(2)
    del bench.rings[NodeId(1)]
    died = bench.now
    while bench.members(2) == (1, 2):
        bench.run(1)
    assert bench.now - died <= 1000
    (gone,) = bench.views(2)[-1].departures
    assert not gone.clean
    assert gone.reason.startswith("silent on both links for ")


def test_one_link_is_enough() -> None:
    bench = Bench(2)
    bench.loses = lambda _, sent: sent.link == 0
    bench.run(3000)
    bench.give(1, Submit(b"x", 1))
    bench.run(5)
    assert bench.payloads(2) == [b"x"]
    assert len(bench.views(1)) == len(bench.views(2)) == 1
    states = {report.link: report.state for report in bench.rings[NodeId(1)].links()}
    assert states == {0: LinkState.SILENT, 1: LinkState.UP}


def test_a_link_that_carries_one_way_is_not_chosen() -> None:
    bench = Bench(2)
    bench.loses = lambda sender, sent: sender == 2 and sent.link == 0
    bench.run(3000)
    bench.give(2, Submit(b"x", 1))
    bench.run(5)
    assert bench.payloads(1) == [b"x"]


def test_who_is_cut_off_knows_it() -> None:
    bench = Bench(2)
    bench.loses = lambda _sender, _sent: True
    for link in (0, 1):
        bench.give(1, EndChanged(LinkNumber(link), LinkState.NO_CARRIER, f"eth{link}: carrier lost"))
    bench.run(1500)
    assert bench.views(1)[-1].departures == (
        Departure(NodeId(2), False, "this node is cut off (eth0: carrier lost; eth1: carrier lost)"),
    )


def test_both_see_both_ends() -> None:
    bench = Bench(2)
    bench.give(1, EndChanged(LinkNumber(0), LinkState.NO_ADDRESS, "eth0: 10.0.0.1 was removed"))
    bench.run(3)
    (report, other) = bench.rings[NodeId(2)].links()
    assert (report.state, report.peer_state, report.peer_reason) == (
        LinkState.UP,
        LinkState.NO_ADDRESS,
        "eth0: 10.0.0.1 was removed",
    )
    assert (other.peer_state, other.round_trip_ms) == (LinkState.UP, 2.0)


def test_a_farewell_is_a_clean_departure_at_once() -> None:
    bench = Bench(3)
    bench.give(1, Leave())
    assert bench.rings[NodeId(1)].deadline is None
    assert bench.rings[NodeId(1)].handle(Submit(b"x", 1), bench.now) == []
    del bench.rings[NodeId(1)]
    bench.run(10)
    assert bench.members(2) == bench.members(3) == (2, 3)
    assert bench.views(3)[-1].departures == (Departure(NodeId(1), True, "it left"),)


def test_a_closed_port_is_noticed_early() -> None:
    bench = Bench(2)
    del bench.rings[NodeId(2)]
    died = bench.now
    while bench.members(1) == (1, 2):
        bench.run(1)
        for link in (0, 1):
            bench.give(1, PeerRefused(LinkNumber(link), NodeId(2)))
    assert bench.now - died < 250
    assert bench.views(1)[-1].departures == (Departure(NodeId(2), False, "its daemon is gone (port closed)"),)


def test_a_restart_is_a_loss_and_then_an_arrival() -> None:
    bench = Bench(3)
    bench.start(1)
    bench.run(60)
    gone, come = bench.views(2)[-2:]
    assert (gone.view.members, gone.departures) == (
        (2, 3),
        (Departure(NodeId(1), False, "its daemon was restarted"),),
    )
    assert (come.view.members, come.arrivals, come.owner) == ((1, 2, 3), (1,), 2)
    assert bench.views(1) == [come]


def test_our_own_stall_accuses_nobody() -> None:
    bench = Bench(2)
    bench.now = Instant(bench.now + 5000)
    bench.give(1, DeadlinePassed())
    notes = [each.code for each in bench.told[NodeId(1)] if isinstance(each, Note)]
    assert notes[-1] == "ring.stalled"
    bench.give(2, DeadlinePassed())
    bench.run(2000)
    assert len(bench.views(1)) == len(bench.views(2)) == 1


def test_a_partition_and_its_end() -> None:
    bench = Bench(5)
    bench.give(1, Submit(b"state", 1, is_snapshot=True))
    bench.run(10)
    bench.loses = cut({1, 2}, {3, 4, 5})
    bench.run(1500)
    assert [bench.members(node) for node in (1, 2, 3, 4, 5)] == [(1, 2)] * 2 + [(3, 4, 5)] * 3
    assert all(len(bench.views(node)) == 2 for node in range(1, 6))
    bench.give(3, Submit(b"with quorum", 2))
    bench.give(1, Submit(b"without", 3))
    bench.run(10)
    bench.loses = lambda _sender, _sent: False
    bench.run(1500)
    view = bench.views(1)[-1]
    assert (view.view.members, view.owner, view.keeps_state) == ((1, 2, 3, 4, 5), 3, (3, 4, 5))
    assert (view.arrivals, view.departures) == ((1, 2), ())
    assert all(bench.views(node)[-1] == view for node in range(1, 6))


@pytest.mark.parametrize("lost", [Propose, Install])
def test_each_packet_of_a_ballot_may_be_lost(lost: type[Packet]) -> None:
    bench = Bench(3)
    drops = [2]

    def loses(sender: NodeId, sent: SendPacket) -> bool:
        if isinstance(sent.packet, lost) and drops[0]:
            drops[0] -= 1
            return True
        return sender == 3 or sent.peer == 3

    bench.loses = loses
    bench.run(1500)
    assert drops == [0]
    assert bench.members(1) == bench.members(2) == (1, 2)
    assert len(bench.views(2)) == 2


def test_the_leader_dies_before_its_members_hear_the_decision() -> None:
    bench = Bench(4)
    bench.give(1, Submit(b"state", 1, is_snapshot=True))
    bench.run(10)
    bench.loses = lambda _, sent: isinstance(sent.packet, Install)
    bench.give(4, Leave())
    del bench.rings[NodeId(4)]
    bench.run(10)
    assert bench.members(1) == (1, 2, 3)
    del bench.rings[NodeId(1)]
    bench.loses = lambda _sender, _sent: False
    bench.run(1500)
    assert bench.members(2) == bench.members(3) == (2, 3)
    assert bench.views(2)[-1].keeps_state == (2, 3)
    assert {gone.node for gone in bench.views(2)[-1].departures} == {1, 4}


def test_who_hears_but_never_answers_is_left_out_for_a_while() -> None:
    bench = Bench(3, starts=(1, 2))
    bench.loses = lambda _, sent: sent.peer == 3 and isinstance(sent.packet, Propose)
    bench.start(3)
    bench.run(4000)
    assert bench.members(1) == (1, 2)
    changes = len(bench.views(1))
    assert changes <= 2
    bench.loses = lambda _sender, _sent: False
    bench.run(6000)
    assert bench.members(1) == (1, 2, 3)


def test_packets_of_strangers_and_of_no_view_are_ignored() -> None:
    bench = Bench(2)
    beat = Heartbeat(
        Incarnation(1), 1, 0, None, 0, bench.rings[NodeId(1)]._telling.make_beat(bench.now, is_news=True)
    )
    assert bench.rings[NodeId(1)].handle(PacketReceived(LinkNumber(0), NodeId(9), beat), bench.now) == []
    assert bench.rings[NodeId(1)].handle(PacketReceived(LinkNumber(7), NodeId(2), beat), bench.now) == []
    bench.give(1, PeerRefused(LinkNumber(0), NodeId(9)))
    bench.give(1, EndChanged(LinkNumber(7), LinkState.NO_CARRIER, ""))
    bench.run(100)
    assert bench.members(1) == (1, 2)


def test_the_view_counter_exceeds_every_lineage() -> None:
    bench = Bench(2, starts=(1,))
    bench.rings.clear()
    bench.start(1, Position(70, 3))
    bench.start(2, Position(5001, 9))
    bench.run(1500)
    (view,) = bench.views(1)
    assert view.owner == 2
    assert view.position > Position(5001, 9)


def test_quiet_rings_only_beat() -> None:
    bench = Bench(2)
    sent: list[Packet] = []

    def count(_: NodeId, packet: SendPacket) -> bool:
        sent.append(packet.packet)
        return False

    bench.loses = count
    bench.run(1000)
    assert {type(each) for each in sent} == {Heartbeat}
    assert len(sent) == 2 * 2 * 8
    assert not [
        each
        for each in bench.told[NodeId(1)]
        if isinstance(each, LinkChanged) and each.state is LinkState.SILENT
    ]


def test_who_is_no_node_any_more_believes_it_of_lives_that_never_name_it() -> None:
    bench = Bench(3)

    def told(life: int, layout: Layout) -> list[RingEffect]:
        packet = PacketReceived(LinkNumber(0), NodeId(2), Agreed(Incarnation(life), layout))
        return [
            each
            for each in bench.rings[NodeId(1)].handle(packet, bench.now)
            if isinstance(each, LayoutLearned)
        ]

    nodes = layout_of(settings(1, 3)).nodes
    stranger = 99
    assert told(stranger, Layout(2, nodes[1:])) == [LayoutLearned(Layout(2, nodes[1:]))]
    assert told(stranger, Layout(2, nodes)) == []  # who has a place waits until a life names it
    assert told(2, Layout(2, nodes)) == [LayoutLearned(Layout(2, nodes))]
    assert told(stranger, Layout(0, nodes[1:])) == []  # as old as what is known here


@pytest.mark.parametrize("late_ms", [10, 40, 62, 63, 90, 124])
def test_beats_find_their_step(late_ms: int) -> None:
    """Whatever lies between their starts: soon a node beats as the first member's beat arrives, and no more often."""
    every_ms = derive(settings(1, 2)).heartbeat_ms
    bench = Bench(2, starts=(1,))
    bench.run(late_ms)
    bench.start(2)
    beats: dict[NodeId, list[Instant]] = {NodeId(1): [], NodeId(2): []}

    def note(sender: NodeId, sent: SendPacket) -> bool:
        if isinstance(sent.packet, Heartbeat) and sent.link == 0:
            beats[sender].append(bench.now)
        return False

    bench.run(2 * every_ms)
    bench.loses = note
    bench.run(20 * every_ms)
    first, follower = beats[NodeId(1)], beats[NodeId(2)]
    assert {later - earlier for earlier, later in pairwise(first)} == {every_ms}
    assert len(first) <= len(follower) <= len(first) + 1
    assert {beat - 1 for beat in follower[-5:]} <= set(first)


def test_two_machines_with_one_id_are_named_by_the_others_and_change_nothing() -> None:
    """A clone has the same file and key. Neither of the two sends to the other, whose id it takes for its own."""
    bench = Bench(3)
    clone = BuiltinRing(settings(3, 3), Incarnation(99), bench.now)
    before = [len(bench.views(node)) for node in (1, 2, 3)]
    for _ in range(2000):
        for effect in clone.handle(DeadlinePassed(), bench.now) if clone.deadline == bench.now else ():
            if isinstance(effect, SendPacket):
                packet = PacketReceived(effect.link, NodeId(3), effect.packet)
                bench.air.append((Instant(bench.now + 1), effect.peer, packet))
        bench.run(1)
    for node in (1, 2):
        (remark,) = bench.rings[NodeId(node)].remarks(bench.now)
        assert remark.startswith("two machines send as n3 (id 3), both with the cluster's key")
    assert bench.rings[NodeId(3)].remarks(bench.now) == []
    assert [len(bench.views(node)) for node in (1, 2, 3)] == before
