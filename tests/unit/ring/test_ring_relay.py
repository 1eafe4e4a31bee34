"""ring/relay.py: who goes between, what is passed on, and what is never passed on."""

from test_ring_builtin import Bench

from komainu.model.ids import Incarnation, LinkNumber, NodeId
from komainu.model.report import Note
from komainu.ring.interface import Leave, PacketReceived, PeerRefused, RouteChanged, SendPacket
from komainu.ring.packet import Leaving, Relay

PAIR = {NodeId(1), NodeId(3)}


def cut_pair(count: int = 3) -> Bench:
    bench = Bench(count)
    bench.loses = lambda sender, sent: {sender, sent.peer} == PAIR
    bench.run(2000)
    return bench


def codes(bench: Bench, node: int) -> list[str]:
    return [each.code for each in bench.told[NodeId(node)] if isinstance(each, Note)]


def test_a_cut_pair_goes_over_the_third_and_is_named_on_both_sides() -> None:
    bench = cut_pair()
    assert [bench.members(node) for node in (1, 2, 3)] == [(1, 2, 3)] * 3
    assert bench.rings[NodeId(1)]._relays.over == {3: 2}
    assert bench.rings[NodeId(3)]._relays.over == {1: 2}
    texts = [each.message for each in bench.told[NodeId(1)] if isinstance(each, Note)]
    assert "n1 and n3 do not reach each other: packets go over n2" in texts
    bench.loses = lambda _sender, _sent: False
    bench.run(1000)
    assert [code for code in codes(bench, 3) if code in {"ring.relayed", "ring.direct"}] == [
        "ring.relayed",
        "ring.direct",
    ]
    changes = [each for each in bench.told[NodeId(3)] if isinstance(each, RouteChanged)]
    assert [(each.peer, each.over) for each in changes] == [(1, 2), (1, None)]


def test_who_goes_between_passes_on_for_current_lives_and_known_nodes_only() -> None:
    bench = cut_pair()
    middle = bench.rings[NodeId(2)]

    def sent(relay: Relay, bearer: int = 1) -> list[NodeId]:
        event = PacketReceived(LinkNumber(0), NodeId(bearer), relay)
        return [
            each.peer
            for each in middle.handle(event, bench.now)
            if isinstance(each, SendPacket) and isinstance(each.packet, Relay)
        ]

    cargo = Leaving(Incarnation(1))
    assert sent(Relay(Incarnation(1), NodeId(1), NodeId(3), cargo)) == [3]
    assert sent(Relay(Incarnation(99), NodeId(1), NodeId(3), cargo)) == []  # another life of the bearer
    assert sent(Relay(Incarnation(1), NodeId(1), NodeId(9), cargo)) == []  # nobody we know
    assert sent(Relay(Incarnation(1), NodeId(1), NodeId(1), cargo)) == []  # back to where it came from
    stranger = Relay(Incarnation(1), NodeId(9), NodeId(2), cargo)
    assert sent(stranger) == []


def test_nobody_goes_between_two_halves() -> None:
    bench = Bench(4)
    halves = ({1, 2}, {3, 4})
    bench.loses = lambda sender, sent: not any({sender, sent.peer} <= half for half in halves)
    bench.run(3000)
    assert [bench.members(node) for node in (1, 2, 3, 4)] == [(1, 2), (1, 2), (3, 4), (3, 4)]
    assert not any(ring._relays.over for ring in bench.rings.values())


def test_a_farewell_takes_the_detour_too() -> None:
    bench = cut_pair()
    bench.give(1, Leave())
    del bench.rings[NodeId(1)]
    bench.run(1500)
    assert bench.members(3) == (2, 3)
    assert bench.views(3)[-1].departures[0].clean


def test_a_farewell_that_one_heard_is_known_to_all() -> None:
    bench = Bench(3)
    bench.loses = lambda sender, sent: isinstance(sent.packet, Leaving) and sent.peer == 3
    bench.give(1, Leave())
    del bench.rings[NodeId(1)]
    bench.run(1500)
    assert [bench.members(node) for node in (2, 3)] == [(2, 3)] * 2
    assert [len(bench.views(node)) for node in (2, 3)] == [2, 2]
    assert bench.views(3)[-1].departures[0].clean


def test_a_closed_port_that_one_saw_is_believed_by_who_hears_nothing_either() -> None:
    """Else the one would go on alone, and lose the other who still waits for the dead one."""
    bench = Bench(3)
    del bench.rings[NodeId(1)]
    for _ in range(300):
        for link in (0, 1):
            bench.give(2, PeerRefused(LinkNumber(link), NodeId(1)))
        bench.run(1)
    bench.run(1000)
    assert [bench.members(node) for node in (2, 3)] == [(2, 3)] * 2
    assert [len(bench.views(node)) for node in (2, 3)] == [2, 2]
    assert bench.views(3)[-1].departures[0].reason == "its daemon is gone (port closed)"


def test_nobody_is_convicted_on_the_word_of_another_while_he_is_heard() -> None:
    bench = Bench(3)
    bench.loses = lambda sender, sent: sender == 1 and sent.peer == 2
    for _ in range(700):
        for link in (0, 1):
            bench.give(2, PeerRefused(LinkNumber(link), NodeId(1)))
        bench.run(1)
    assert NodeId(1) in bench.members(3)
