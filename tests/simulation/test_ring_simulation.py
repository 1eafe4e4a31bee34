"""Rings in a made-up world: random faults under checkers, static cuts, named seeds that once failed, and figures."""

import hashlib
import os
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from ring_world import Broken, RingWorld, play

from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.model.link import LinkState
from komainu.sim.network import Quality

SEEDS = {2: 130, 3: 90, 4: 50, 5: 30}
"""Runs per size of cluster: 300 in all, in less than a minute of processor time. A soak plays other seeds."""


@pytest.mark.parametrize("count", SEEDS)
def test_random_faults(count: int) -> None:
    for seed in range(SEEDS[count]):
        try:
            play(count, seed)
        except Broken as broken:
            pytest.fail(f"play({count}, {seed}): {broken}")


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        (
            4,
            1,
        ),  # a node that slept kept an older life in its view, and waited for a leader that followed another
        (
            5,
            53,
        ),  # a piece that a member shared in a flush carried the life of its first sender, and was not believed
        (5, 66),  # whoever remembered an older life refused the proposals of the others until they shunned it
        (2, 3063),  # proposals went over a link that carried only one way
        (3, 3043),  # a state that was adopted, but not yet stored, was taken for the one before
        (5, 3087),  # what members had stored was told before the view began here, and never again
    ],
)
def test_seeds_that_failed_once(count: int, seed: int) -> None:
    play(count, seed)


def settled(count: int, seed: int = 0, quality: Quality | None = None) -> RingWorld:
    world = RingWorld(count, seed)
    world.network.quality = quality or Quality()
    for node in world.nodes:
        world.clock.at(Instant(world.chance.randrange(100)), lambda node=node: world.start(node))  # type: ignore[misc]  # binds now
    world.run_for(3000)
    world.check_converged()
    return world


def changes(world: RingWorld) -> dict[NodeId, int]:
    return {node: len(life.views) for node, life in world.lives.items()}


def all_cuts() -> list[tuple[int, tuple[int, ...]]]:
    return [
        (count, side)
        for count in (2, 3, 4, 5)
        for size in range(1, count // 2 + 1)
        for side in combinations(range(1, count + 1), size)
    ]


@pytest.mark.parametrize(("count", "side"), all_cuts())
def test_a_static_cut_is_one_change_of_membership(count: int, side: tuple[int, ...]) -> None:
    for seed in range(3):
        world = settled(count, seed)
        before = changes(world)
        one = [NodeId(node) for node in side]
        others = [node for node in world.nodes if node not in one]
        world.run_for(seed * 37)
        world.network.part(one, others)
        world.run_for(10_000)
        assert all(now == before[node] + 1 for node, now in changes(world).items()), changes(world)
        world.network.join(one, others)
        world.run_for(3000)
        world.check_converged()
        assert all(now == before[node] + 2 for node, now in changes(world).items()), changes(world)


@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize("pair", list(combinations(range(1, 5), 2)))
def test_two_nodes_that_lose_each_other_change_the_view_once(pair: tuple[int, int], one_way: bool) -> None:
    world = settled(4)
    before = changes(world)
    one, other = (NodeId(node) for node in pair)
    world.network.cut_one_way(one, other)
    if not one_way:
        world.network.cut_one_way(other, one)
    world.run_for(15_000)
    after = changes(world)
    assert all(now <= before[node] + 1 for node, now in after.items()), after
    members = {life.begun.view.members for life in world.lives.values() if life.begun}
    assert sorted(len(each) for each in members) == [1, 3]


def test_a_bad_network_alone_changes_no_view() -> None:
    """A tenth of all packets is lost on each of two links; that is no reason to lose a node."""
    world = settled(3, quality=Quality(delay_ms=(0, 5), loss=0.1, doubled=0.02, late=0.02))
    before = changes(world)
    for _ in range(60):
        world.submit(world.chance.choice(world.nodes), 2000)
        world.run_for(1000)
    assert changes(world) == before


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_silent_peer_is_replaced_within_the_time_of_detection(count: int) -> None:
    slowest = 0
    for seed in range(20):
        world = settled(count, seed)
        world.messages = False
        world.run_for(world.chance.randrange(500))
        world.crash(world.chance.choice(world.nodes))
        died = world.clock.now
        while any(len(life.members) == count for life in world.lives.values()):
            world.run_for(5)
        slowest = max(slowest, world.clock.now - died)
    print(f"{count} nodes: the slowest of 20 detections took {slowest} ms")
    assert slowest <= 1000


def test_one_ordered_message_is_one_round_trip() -> None:
    world = settled(2, quality=Quality(delay_ms=(5, 5)))
    sent, now = world.network.sent, world.clock.now
    world.submit(NodeId(2))
    while world.lives[NodeId(2)].tokens:
        world.run_for(1)
    assert world.clock.now - now == 10
    assert world.network.sent - sent <= 2 + 4 * 2  # request and order; and at most one round of heartbeats


def test_a_cable_of_two_is_no_event_for_the_view() -> None:
    world = settled(2)
    before = changes(world)
    world.set_end(NodeId(1), LinkNumber(0), LinkState.NO_CARRIER)
    for _ in range(10):
        world.submit(NodeId(2), 3000)
        world.run_for(500)
    assert changes(world) == before
    assert not world.lives[NodeId(2)].tokens


def test_the_same_seed_gives_the_same_run_in_every_process() -> None:
    program = "import hashlib; from ring_world import play; print(hashlib.sha256('\\n'.join(play(4, 3).trace).encode()).hexdigest())"
    here = hashlib.sha256("\n".join(play(4, 3).trace).encode()).hexdigest()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parent)}
        ran = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == here
