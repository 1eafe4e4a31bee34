"""Paths that drop large packets: found by padded heartbeats, avoided where possible, else packets are cut small."""

from random import Random

import msgspec
from test_ring_builtin import Bench

from komainu.model.ids import NodeId
from komainu.model.report import Note
from komainu.ring.interface import SendPacket, Submit

LARGE = 600
"""Bytes of a packet that a narrow path drops, unless it is cut."""


def is_dropped(sent: SendPacket) -> bool:
    return not sent.is_narrow and len(msgspec.msgpack.encode(sent.packet)) > LARGE


def codes(bench: Bench, node: int) -> list[str]:
    return [each.code for each in bench.told[NodeId(node)] if isinstance(each, Note)]


def submit(bench: Bench, node: int) -> None:
    bench.give(node, Submit(Random(7).randbytes(20_000), 1))


def test_a_wide_path_is_never_called_narrow() -> None:
    bench = Bench(2)
    bench.run(20_000)
    assert not {"ring.narrow", "ring.wide"} & set(codes(bench, 1))


def test_another_link_is_used_when_one_is_narrow() -> None:
    bench = Bench(2)
    bench.loses = lambda _sender, sent: sent.link == 0 and is_dropped(sent)
    bench.run(8000)
    assert codes(bench, 1).count("ring.narrow") == 1
    assert [link.is_used for link in bench.rings[NodeId(1)].links()] == [False, True]
    submit(bench, 2)
    bench.run(200)
    assert len(bench.payloads(1)) == 1
    bench.loses = lambda _sender, _sent: False
    bench.run(3000)
    assert codes(bench, 1).count("ring.wide") == 1
    assert [link.is_used for link in bench.rings[NodeId(1)].links()] == [True, False]


def test_packets_are_cut_small_when_every_link_is_narrow() -> None:
    bench = Bench(3)
    bench.loses = lambda sender, sent: {sender, sent.peer} == {NodeId(1), NodeId(3)} and is_dropped(sent)
    submit(bench, 3)
    bench.run(9000)
    assert [len(bench.payloads(node)) for node in (1, 2, 3)] == [1, 1, 1]
    assert [len(bench.views(node)) for node in (1, 2, 3)] == [1, 1, 1]


def test_a_member_that_takes_nothing_is_named_once() -> None:
    bench = Bench(2)
    bench.loses = lambda sender, sent: len(msgspec.msgpack.encode(sent.packet)) > LARGE
    bench.give(1, Submit(Random(7).randbytes(20_000), 1))
    bench.run(6000)
    assert codes(bench, 1).count("ring.order-stalled") == 1
    assert bench.members(1) == (1, 2)
