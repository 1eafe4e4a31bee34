"""Starts and restarts: what a daemon has to know of its earlier life, and what a start costs."""

import pytest
from ring_world import RingWorld

from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.ring.packet import Packet, Request
from komainu.sim.scenario import make_world, trouble

A, B, C = NodeId(1), NodeId(2), NodeId(3)


def step_until_in_view(world: RingWorld, node: NodeId) -> None:
    """Stop at the very moment at which a node begins a view: nothing of it is on its disk."""
    while world.lives[node].begun is None:
        assert world.clock.now < 20_000
        world.run_for(1)


def test_two_views_with_quorum_never_have_one_number() -> None:
    """A node that stopped before it had stored anything of a view helped to make another one with its number.

    Then the two lines could not be told apart, and that which only one node knew won by its length.
    """
    for seed in range(3):
        world = RingWorld(3, seed)
        world.start(A)
        world.start(C)
        step_until_in_view(world, C)
        assert world.disks[C].position.lineage == 0
        world.crash(C)
        world.network.part({A}, {B, C})
        world.start(B)
        world.start(C)
        world.run_for(4_000)
        for _ in range(20):
            world.submit(B)
        for _ in range(40):
            world.submit(A)
        world.run_for(1_000)
        kept = set(world.acknowledged)
        assert kept
        for node in (B, C):
            world.crash(node)
        world.network.join({A}, {B, C})
        for node in (B, C):
            world.start(node)
        world.run_for(6_000)
        world.check_converged()
        assert kept <= set(world.lives[A].state.payloads)


def test_a_payload_is_taken_in_once_although_all_who_took_it_start_anew() -> None:
    """Its sender did not hear of it, and submitted it again to members that remembered only the state."""
    for seed in range(3):
        world = RingWorld(3, seed)
        for node in (A, B, C):
            world.start(node)
        world.run_for(4_000)
        for node in (A, B):
            world.network.cut_one_way(node, C)  # they hear C, and C nothing any more
        sent = world.submit(C)
        world.run_for(4_000)
        assert all(sent in world.disks[node].state.payloads for node in (A, B))
        for node in (A, B):
            world.crash(node)
            world.network.mend_one_way(node, C)
        for node in (A, B):
            world.start(node)
        world.run_for(6_000)
        world.check_converged()


def test_a_payload_is_taken_in_once_although_only_disks_remember_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A majority took it in and started anew. Its sender, in a small part of its own, could not have it ordered there."""
    world = RingWorld(5, 0)
    most, rest, sender = world.nodes[:3], set(world.nodes[3:]), world.nodes[4]
    for node in world.nodes:
        world.start(node)
    world.run_for(2_000)
    for node in most:
        for other in rest:
            world.network.cut_one_way(node, other)
    sent = world.submit(sender)
    world.run_for(30)
    assert all(sent in world.lives[node].state.payloads for node in most)
    send = world.network.send

    def losing(sender: NodeId, receiver: NodeId, link: LinkNumber, packet: Packet) -> None:
        if not isinstance(packet, Request):
            send(sender, receiver, link, packet)

    with monkeypatch.context() as patch:
        patch.setattr(world.network, "send", losing)
        world.network.part(set(most), rest)
        world.run_for(1_000)
        assert all(sent in world.disks[node].state.payloads for node in most)
        assert not any(sent in world.lives[node].state.payloads for node in rest)
        for node in most:
            world.crash(node)
        world.network.heal()
        for node in most:
            world.start(node)
        world.run_for(1_000)
    world.run_for(2_000)
    world.check_converged()
    assert world.lives[sender].state.payloads.count(sent) == 1


@pytest.mark.parametrize("count", [4, 8, 12])
def test_a_cold_start_costs_packets_by_the_square_of_the_nodes(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each node told all others at once of each that it heard: 2000 packets for eight nodes, 19,000 for sixteen."""
    world = RingWorld(count, 0)
    send, sent = world.network.send, 0

    def counting(sender: NodeId, receiver: NodeId, link: LinkNumber, packet: Packet) -> None:
        nonlocal sent
        sent += 1
        send(sender, receiver, link, packet)

    monkeypatch.setattr(world.network, "send", counting)
    for node in world.nodes:
        world.start(node)
    while any(life.begun is None for life in world.lives.values()):
        assert world.clock.now < 1_000
        world.run_for(10)
    assert {life.begun.view.members for life in world.lives.values() if life.begun} == {tuple(world.nodes)}
    assert sent <= 16 * count**2


def test_a_daemon_that_is_back_before_the_turn_of_its_peer_costs_nothing() -> None:
    """The active node's is killed. Its peer comes second and waits for a lead, though the port says that nobody is there."""
    for seed in range(2):
        world = make_world(2, seed, links=1)
        world.hosts_answer = True
        for node in (A, B):
            world.boot(node)
        world.run_until(Instant(12_000))
        assert trouble(world) == ""
        active = max(world.machines.values(), key=lambda machine: len(machine.running))
        before = len(world.trace)
        world.crash_daemon(active.node_id)
        world.run_until(Instant(world.now + 12_000))
        story = "\n".join(world.trace[before:])
        assert "its daemon is gone (port closed)" in story
        assert "loses power" not in story
        assert " stopped " not in story
        assert " starts " not in story
        assert trouble(world) == ""
