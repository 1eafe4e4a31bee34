"""A member that reads or stores slowly, and packets that are sealed and sent again: nothing is lost, nothing grows."""

from functools import partial
from random import Random

import pytest
from ring_world import Life, RingWorld

from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.model.view import Position
from komainu.ring.outbox import PIECE_BYTES_MAX, WINDOW, WINDOW_BYTES
from komainu.ring.packet import (
    Acknowledge,
    Flush,
    Heartbeat,
    Install,
    Leaving,
    Ordered,
    Packet,
    Propose,
    Request,
)

A, B, C = NodeId(1), NodeId(2), NodeId(3)
SMALL, LARGE = 400, 30_000


def settled(seed: int) -> RingWorld:
    world = RingWorld(3, seed)
    for node in world.nodes:
        world.start(node)
    world.run_for(2_000)
    return world


def held(world: RingWorld, node: NodeId) -> tuple[int, int]:
    """Return how many pieces of the order a node keeps for others, and their bytes."""
    current = world.lives[node].ring._formation.passage.current
    assert current is not None
    log = current.order.log
    return len(log._pieces), log.size_bytes


def test_who_reads_slowly_holds_the_senders_back_and_loses_nothing() -> None:
    """It stands still for 400 of every 500 ms, is never convicted, and all wait for it in bounded memory."""
    world = settled(1)
    before = dict(world.installs)
    for round_ in range(2):
        world.clock.at(Instant(world.clock.now + 500 * round_), partial(world.sleep, C, 400))
    most, waited = (0, 0), 0
    sent = []
    for _ in range(70):
        sent += [world.submit(node, LARGE) for node in (A, B)]
        world.run_for(10)
        now = [held(world, node) for node in (A, B)]
        most = (max(most[0], *(one[0] for one in now)), max(most[1], *(one[1] for one in now)))
        waited = max(waited, len(world.lives[A].ring._outbox.waiting))
    assert most[0] <= 2 * WINDOW
    assert most[1] <= WINDOW_BYTES + PIECE_BYTES_MAX
    assert waited > 0  # what the windows do not let out waits with its sender
    world.run_for(4_000)
    world.check_converged()
    assert world.installs == before
    assert set(sent) <= set(world.lives[C].state.payloads)


def test_who_stores_nothing_holds_back_what_counts_as_stored_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = settled(2)
    told = world._store
    with monkeypatch.context() as patch:

        def forgetful(life: Life, position: Position) -> None:
            if life.node != C:
                told(life, position)

        patch.setattr(world, "_store", forgetful)
        stable = world.lives[A].ring.stable
        sent = [world.submit(node, SMALL) for _ in range(100) for node in (A, B)]
        world.run_for(3_000)
        assert set(sent) <= set(world.lives[C].state.payloads)
        assert world.lives[A].ring.stable == world.lives[B].ring.stable == stable
        assert not set(sent) & world.acknowledged
        assert max(held(world, node) for node in world.nodes) <= (2 * WINDOW, WINDOW_BYTES)
    last = world.submit(A)
    world.run_for(1_000)
    world.check_converged()
    assert last in world.lives[C].state.payloads


def test_packets_that_are_sealed_and_sent_again_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window against replay knows seals alone. What is in a packet has to stop it as well: its life, view and number."""
    world = settled(3)
    send, chance = world.network.send, Random(3)
    sent: list[tuple[NodeId, NodeId, LinkNumber, Packet]] = []

    def recording(sender: NodeId, receiver: NodeId, link: LinkNumber, packet: Packet) -> None:
        sent.append((sender, receiver, link, packet))
        send(sender, receiver, link, packet)

    monkeypatch.setattr(world.network, "send", recording)
    for node in world.nodes:
        for size in (0, 5_000, 50_000):
            world.submit(node, size)
    world.run_for(500)
    world.leave(B)  # of its first life there are proposals, pieces of the order and a farewell
    world.run_for(500)
    world.start(B)
    world.run_for(2_500)
    for node in world.nodes:
        world.submit(node, 3_000)
    world.run_for(1_000)
    world.check_converged()
    views = dict(world.installs)
    payloads = world.lives[A].state.payloads
    kinds = {type(packet) for _, _, _, packet in sent}
    assert kinds >= {Acknowledge, Flush, Heartbeat, Install, Leaving, Ordered, Propose, Request}
    for old in chance.sample(sent, min(len(sent), 3_000)):
        send(*old)
        if chance.random() < 0.05:
            world.run_for(1)
    world.run_for(1_500)
    world.check_converged()
    assert world.installs == views
    assert [life.state.payloads for life in world.lives.values()] == [payloads] * 3
