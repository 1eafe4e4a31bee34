"""ring/order.py, delivery.py, outbox.py: one order for all, every piece at every member, windows, and the flush."""

import zlib
from random import Random

import pytest

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.model.view import Delivered, Position, View, ViewId
from komainu.ring.interface import Deliver
from komainu.ring.order import Mail, Order, Out
from komainu.ring.outbox import (
    EARLY,
    PACK_BYTES_MIN,
    PAYLOAD_BYTES_MAX,
    PIECE_BYTES_MAX,
    REQUEST_WINDOW,
    RESEND_MAX,
    WINDOW,
    WINDOW_BYTES,
    Log,
    Outbox,
    Requests,
    Waiting,
    cut,
    fitting,
    unpack,
)
from komainu.ring.packet import Acknowledge, Decision, Ordered, Piece, Request, Voters
from komainu.ring.settings import NodeSettings, RingSettings, derive

VIEW = ViewId(9, NodeId(1))


def decision(count: int) -> Decision:
    members = tuple(NodeId(node) for node in range(1, count + 1))
    return Decision(
        view=View(VIEW, members, True, ""),
        lives=tuple(Incarnation(node) for node in members),
        position=Position(9, 0),
        owner=NodeId(1),
        keeps_state=(NodeId(1),),
        departures=(),
        arrivals=(),
        last=(),
        delivered=(),
        waits_for_all=False,
        voters=Voters(0, ()),
        has_witness=False,
    )


class Bench:
    """Orders of one view, and the mail between them, of which a part may be lost."""

    def __init__(self, count: int, loss: float = 0.0) -> None:
        made = derive(
            RingSettings(
                "test",
                NodeId(1),
                tuple(
                    NodeSettings(
                        NodeId(node), NodeName(f"n{node}"), (LinkEnd(LinkNumber(0), f"10.0.0.{node}"),)
                    )
                    for node in range(1, count + 1)
                ),
            )
        )
        self.outboxes = {
            NodeId(node): Outbox(NodeId(node), Incarnation(node)) for node in range(1, count + 1)
        }
        self.orders = {node: Order(decision(count), outbox, made) for node, outbox in self.outboxes.items()}
        self.delivered: dict[NodeId, list[Deliver]] = {node: [] for node in self.orders}
        self.now = Instant(0)
        self.mail: list[tuple[NodeId, Mail]] = []
        self.sent = 0
        self.loss, self.chance = loss, Random(1)

    def take(self, node: NodeId, out: list[Out]) -> None:
        for each in out:
            match each:
                case Mail():
                    self.sent += 1
                    if self.chance.random() >= self.loss:
                        self.mail.append((node, each))
                case Deliver():
                    self.delivered[node].append(each)
                    self.take(node, self.orders[node].store(each.position))

    def submit(self, node: int, payload: bytes, token: int = 1) -> None:
        number = NodeId(node)
        waiting = self.outboxes[number].add(payload, token, is_snapshot=False)
        self.take(number, self.orders[number].submit(waiting, self.now))

    def carry(self) -> None:
        while self.mail:
            self.carry_one()

    def carry_one(self) -> None:
        sender, mail = self.mail.pop(0)
        order = self.orders[mail.peer]
        match mail.packet:
            case Request() as packet:
                self.take(mail.peer, order.request(sender, packet, self.now))
            case Ordered() as packet:
                self.take(mail.peer, order.take(packet, self.now))
            case Acknowledge() as packet:
                self.take(mail.peer, order.acknowledged(sender, packet, self.now))

    def run(self) -> None:
        self.carry()
        for _ in range(2000):
            deadlines = [order.deadline for order in self.orders.values()]
            self.now = min((each for each in deadlines if each is not None), default=self.now)
            for node, order in self.orders.items():
                self.take(node, order.tick(self.now))
            self.carry()
            if not any(deadlines):
                # As a heartbeat would: the members learn how far the coordinator is.
                for order in self.orders.values():
                    order.heard_of(self.orders[NodeId(1)].ordered, self.now)
                if all(order.deadline is None for order in self.orders.values()):
                    return


def test_alone_all_is_at_once() -> None:
    bench = Bench(1)
    for number in range(3 * WINDOW):
        bench.submit(1, b"x" * 3000, token=number)
    assert [each.token for each in bench.delivered[NodeId(1)]] == list(range(3 * WINDOW))
    assert bench.sent == 0
    assert bench.orders[NodeId(1)].deadline is None
    assert bench.orders[NodeId(1)].stable() == Position(9, 3 * WINDOW)


def test_one_round_trip() -> None:
    bench = Bench(2)
    bench.submit(2, b"hello", token=5)
    bench.carry()
    assert [(each.token, each.payload) for each in bench.delivered[NodeId(2)]] == [(5, b"hello")]
    assert [(each.token, each.origin) for each in bench.delivered[NodeId(1)]] == [(None, 2)]
    assert bench.sent == 4  # request, ordered, and two receipts that the state is stored
    assert {order.stable() for order in bench.orders.values()} == {Position(9, 1)}


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4])
def test_all_get_all_in_one_order(loss: float) -> None:
    bench = Bench(4, loss)
    for number in range(40):
        bench.submit(number % 4 + 1, b"%d " % number + b"x" * (number % 7 * 900), token=number)
    bench.run()
    orders = [
        [(each.position, each.origin, each.payload) for each in bench.delivered[node]]
        for node in bench.orders
    ]
    assert len(orders[0]) == 40
    assert all(order == orders[0] for order in orders)
    for node in (1, 2, 3, 4):
        assert [each.token for each in bench.delivered[NodeId(node)] if each.origin == node] == list(
            range(node - 1, 40, 4)
        )


def test_the_window_bounds_what_is_under_way() -> None:
    bench = Bench(2)
    for _ in range(2 * WINDOW):
        bench.submit(1, b"x")
    assert sum(isinstance(mail.packet, Ordered) for _, mail in bench.mail) == WINDOW
    bench.run()
    assert len(bench.delivered[NodeId(2)]) == 2 * WINDOW
    assert bench.orders[NodeId(1)].ordered == WINDOW + 1  # what had to wait went together


@pytest.mark.parametrize("origin", [1, 2])
def test_the_windows_bound_the_bytes_under_way(origin: int) -> None:
    bench = Bench(2)
    payload = Random(1).randbytes(3 * WINDOW_BYTES)
    bench.submit(origin, payload)
    under_way = sum(
        mail.packet.piece.size_bytes
        for _, mail in bench.mail
        if isinstance(mail.packet, Request | Ordered) and mail.packet.piece is not None
    )
    assert WINDOW_BYTES <= under_way < WINDOW_BYTES + PIECE_BYTES_MAX
    bench.carry()  # no time passes: receipts come in time to keep the window open
    assert [each.payload for each in bench.delivered[NodeId(2)]] == [payload]
    assert bench.now == 0


@pytest.mark.parametrize("origin", [1, 2, 3])
def test_a_slow_member_costs_memory_up_to_the_windows_and_no_message(origin: int) -> None:
    """Member 3 takes nothing for long; all others wait for it, and hold no more than the windows."""
    bench = Bench(3)
    submitted = [b"%d " % number + Random(number).randbytes(900) for number in range(2_000)]
    for payload in submitted:
        bench.submit(origin, payload)
    held: list[tuple[NodeId, Mail]] = []
    while bench.mail:
        if bench.mail[0][1].peer == 3:
            held.append(bench.mail.pop(0))
        else:
            bench.carry_one()
    logs = [order.log for order in bench.orders.values()]
    assert all(log.size_bytes < WINDOW_BYTES + PIECE_BYTES_MAX for log in logs)
    bench.mail += held[: len(held) // 2]  # and of what waited for it a half is lost
    bench.run()
    for delivered in bench.delivered.values():
        assert [each.payload for each in delivered] == submitted


def test_small_payloads_go_together_and_lone_ones_at_once() -> None:
    bench = Bench(2)
    for number in range(300):
        bench.submit(2, b"%d" % number, token=number)
    assert bench.sent < EARLY + 3  # the rest waits for these, or for a full datagram
    bench.carry()
    assert [each.token for each in bench.delivered[NodeId(2)]] == list(range(300))
    assert [each.position for each in bench.delivered[NodeId(1)]] == [
        Position(9, number) for number in range(1, 301)
    ]
    lone = bench.sent
    bench.submit(2, b"alone")
    assert bench.sent == lone + 1


def test_a_snapshot_goes_alone_and_a_gap_in_the_numbers_ends_a_bundle() -> None:
    requests = Requests()
    for submit, is_snapshot in ((1, False), (2, False), (3, True), (4, False), (6, False), (7, False)):
        requests.add(Waiting(submit, 0, b"x" * 700, is_snapshot))
    pieces = [requests.piece(number) for number in range(1, 6)]
    assert [(each.submit, len(each.more), each.is_snapshot) for each in pieces if each is not None] == [
        (1, 1, False),
        (3, 0, True),
        (4, 0, False),
        (6, 1, False),
    ]


def test_the_origin_is_told_the_place_and_not_the_piece() -> None:
    bench = Bench(3)
    bench.submit(3, b"x" * 1000)
    sender, mail = bench.mail.pop()
    assert isinstance(mail.packet, Request)
    bench.take(NodeId(1), bench.orders[NodeId(1)].request(sender, mail.packet, bench.now))
    told = {each.peer: each.packet for _, each in bench.mail if isinstance(each.packet, Ordered)}
    assert told[NodeId(3)].piece is None
    assert told[NodeId(2)].piece is not None
    stray = Ordered(Incarnation(1), VIEW, 1, NodeId(3), 7, None, 0)  # of a piece that nobody asked for
    assert bench.orders[NodeId(3)].take(stray, bench.now) == []
    assert bench.orders[NodeId(2)].take(told[NodeId(3)], bench.now) == []  # not its own
    bench.run()
    assert all(len(each) == 1 for each in bench.delivered.values())


def test_no_origin_keeps_the_others_out() -> None:
    bench = Bench(3)
    for _ in range(4):
        bench.submit(1, Random(1).randbytes(2 * WINDOW_BYTES))
    bench.submit(3, b"little")
    while not any(each.origin == 3 for each in bench.delivered[NodeId(3)]):
        bench.carry_one()
    assert len(bench.delivered[NodeId(3)]) < 3  # it did not wait for all of the others'


def test_a_gap_is_asked_for_at_once() -> None:
    bench = Bench(2)
    bench.submit(1, b"a")
    del bench.mail[0]
    bench.submit(1, b"b")
    bench.carry()
    assert [each.payload for each in bench.delivered[NodeId(2)]] == [b"a", b"b"]
    assert bench.now == 0


def test_a_gap_is_asked_for_once_and_not_with_all_that_comes_behind_it() -> None:
    bench = Bench(2)
    bench.submit(1, b"lost")
    del bench.mail[0]
    told = bench.sent
    for number in range(5):
        bench.submit(1, b"%d" % number)
    for _ in range(5):
        bench.carry_one()
    asked = [mail.packet for _, mail in bench.mail if isinstance(mail.packet, Acknowledge)]
    assert sum(bool(each.missing) for each in asked) == 1
    assert bench.sent > told
    bench.carry()
    assert len(bench.delivered[NodeId(2)]) == 6


@pytest.mark.parametrize("origin", [1, 2])
def test_what_gets_on_is_not_sent_again(origin: int) -> None:
    """A flow that never rests, with receipts always under way, for longer than the time after which one sends again."""
    bench = Bench(2)
    for number in range(200):
        bench.now = Instant(number * 5)
        bench.submit(origin, b"%d" % number + b"x" * 1_000)
        for node, order in bench.orders.items():
            bench.take(node, order.tick(bench.now))
        while len(bench.mail) > 1:
            bench.carry_one()
    bench.carry()
    ordered = bench.orders[NodeId(1)].ordered
    assert len(bench.delivered[NodeId(2)]) == 200
    assert (
        bench.sent <= ordered * 4 + 200
    )  # request, ordered, two receipts of storage; and the ones told in time


def test_only_so_much_is_sent_again_at_once() -> None:
    assert fitting([]) == 0
    assert fitting([10**9, 1]) == 1
    assert fitting([1] * 100) == RESEND_MAX
    assert fitting([PIECE_BYTES_MAX] * 3) == 2


def test_what_is_not_of_this_view_is_ignored() -> None:
    bench = Bench(2)
    one, two = bench.orders[NodeId(1)], bench.orders[NodeId(2)]
    other = ViewId(8, NodeId(1))
    piece = Piece(1, 0, 1, False, b"x")
    assert one.request(NodeId(2), Request(Incarnation(2), other, 1, piece), bench.now) == []
    assert two.request(NodeId(1), Request(Incarnation(1), VIEW, 1, piece), bench.now) == []  # does not lead
    assert one.request(NodeId(7), Request(Incarnation(7), VIEW, 1, piece), bench.now) == []
    assert two.take(Ordered(Incarnation(1), other, 1, NodeId(1), 1, piece, 0), bench.now) == []
    assert two.take(Ordered(Incarnation(1), VIEW, 10_000, NodeId(1), 1, piece, 0), bench.now) == []
    assert one.acknowledged(NodeId(2), Acknowledge(Incarnation(2), other, 5, (), Position()), bench.now) == []


def test_the_flush_delivers_what_the_members_hold_together() -> None:
    bench = Bench(3)
    bench.submit(1, b"a")
    bench.carry()
    bench.submit(1, b"b")
    bench.mail = [each for each in bench.mail if each[1].peer != 3]  # the third member does not get it
    bench.carry()
    for order in bench.orders.values():
        order.stop()
    third = bench.orders[NodeId(3)]
    bench.submit(3, b"c")  # comes in the next view
    assert third.log.received == 1
    (shared,) = bench.orders[NodeId(2)].log.share([2], Incarnation(2))
    assert third.take(shared, bench.now) == []
    standing = third.delivery.project()
    assert (standing.position, standing.delivered) == (
        Position(9, 2),
        (Delivered(NodeId(1), Incarnation(1), 2),),
    )
    bench.take(NodeId(3), third.finish(2))
    assert [each.payload for each in bench.delivered[NodeId(3)]] == [b"a", b"b"]
    assert [each.payload for each in bench.outboxes[NodeId(3)].waiting] == [b"c"]
    assert third.deadline is None
    assert third.tick(Instant(10_000)) == []


def test_a_snapshot_of_the_owner_gives_the_state() -> None:
    bench = Bench(2)
    delivery = bench.orders[NodeId(2)].delivery
    bench.submit(1, b"no snapshot")
    bench.carry()
    assert not delivery.project().has_state
    waiting = bench.outboxes[NodeId(1)].add(b"state" * 1000, 2, is_snapshot=True)
    bench.take(NodeId(1), bench.orders[NodeId(1)].submit(waiting, bench.now))
    bench.carry()
    assert delivery.has_state
    assert delivery.project().has_state


def test_cut() -> None:
    pieces = cut(Waiting(3, 1, Random(1).randbytes(PIECE_BYTES_MAX + 1), False))
    assert [(each.part, each.parts, len(each.payload)) for each in pieces] == [
        (0, 2, PIECE_BYTES_MAX),
        (1, 2, 1),
    ]
    assert cut(Waiting(3, 1, b"", False)) == [Piece(3, 0, 1, False, b"")]


def test_an_outbox_drops_what_the_adopted_line_holds() -> None:
    outbox = Outbox(NodeId(1), Incarnation(5))
    for token in (10, 11, 12):
        outbox.add(b"x", token, is_snapshot=token == 12)
    absorbed = outbox.adopt(
        [Delivered(NodeId(1), Incarnation(5), 1), Delivered(NodeId(2), Incarnation(6), 9)]
    )
    assert [each.token for each in absorbed] == [10]
    assert [each.token for each in outbox.waiting] == [11]
    assert outbox.adopt([Delivered(NodeId(1), Incarnation(4), 99)]) == []  # an earlier life of ours


def test_requests_and_log_are_bounded() -> None:
    requests = Requests()
    for number in range(100):
        requests.add(Waiting(number, 1, b"", True))
        assert len(requests.next_to_send()) == (number < EARLY)
    requests.add(Waiting(100, 1, Random(1).randbytes(PIECE_BYTES_MAX * 100), False))
    assert len(requests.next_to_send()) == REQUEST_WINDOW - EARLY
    assert len(requests.next_to_send()) == 0
    assert len(requests.to_send_again()) == RESEND_MAX
    requests.confirm()
    assert list(requests.next_to_send()) == [REQUEST_WINDOW + 1]
    log = Log()
    for number in (1, 2, 4):
        log.put(Ordered(Incarnation(1), VIEW, number, NodeId(1), number, Piece(number, 0, 1, False, b""), 0))
    log.delivered = 2
    log.forget(99)
    assert (log.received, log.beyond(), log.everyone_has) == (2, (4,), 2)
    assert 2 in log
    assert 3 not in log
    assert [each.sequence for each in log.share([1, 4], Incarnation(7))] == [4]


def test_large_payloads_are_compressed_and_come_out_as_they_were() -> None:
    text = b"<primitive id='web'/>" * 2000
    noise = Random(1).randbytes(40_000)
    bench = Bench(3)
    for payload in (text, noise, b"x" * (PACK_BYTES_MIN - 1)):
        bench.submit(2, payload)
    bench.run()
    assert all(
        [each.payload for each in made] == [text, noise, b"x" * (PACK_BYTES_MIN - 1)]
        for made in bench.delivered.values()
    )
    waiting = Outbox(NodeId(1), Incarnation(1)).add(text, 1, is_snapshot=False)
    (piece,) = cut(waiting)  # 3 otherwise
    assert piece.is_packed
    assert not any(piece.is_packed for piece in cut(Waiting(1, 1, noise, False)))


def test_what_does_not_unpack_is_nothing_and_no_bomb() -> None:
    assert unpack(b"no such thing", is_packed=True) == b""
    assert unpack(zlib.compress(b"0" * (PAYLOAD_BYTES_MAX + 1)), is_packed=True) == b""
    assert unpack(zlib.compress(b"0" * PAYLOAD_BYTES_MAX), is_packed=True) == b"0" * PAYLOAD_BYTES_MAX
