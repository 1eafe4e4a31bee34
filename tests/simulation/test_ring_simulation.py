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
from komainu.ring.interface import WitnessVoted
from komainu.ring.settings import QuorumOptions, WitnessOptions
from komainu.sim.network import Quality

SEEDS = {2: 130, 3: 90, 4: 50, 5: 30}
"""Runs per size of cluster: 300 in all, in less than a minute of processor time. A soak plays other seeds."""


SEEDS_OF_OPTIONS = 4
"""Runs per option and size."""


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


SHORT_WINDOW_MS = 1000
"""A window of last_man_standing that ends within a run."""

OPTIONS = {
    "last_man_standing": QuorumOptions(
        last_man_standing=True, auto_tie_breaker=True, last_man_standing_window_ms=SHORT_WINDOW_MS
    ),
    "allow_downscale": QuorumOptions(allow_downscale=True, expected_votes=2),
    "tie_breakers": QuorumOptions(auto_tie_breaker=True, tie_breakers=(NodeId(2), NodeId(3), NodeId(1))),
    "witness": QuorumOptions(witness=WitnessOptions("w", wait_ms=500)),
    "wait_for_all": QuorumOptions(wait_for_all=True),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_random_faults_under_every_option_of_quorum(name: str) -> None:
    """No two parts have quorum, nothing acknowledged is lost, and all ends in one view."""
    for count in (3, 4, 5):
        for seed in range(SEEDS_OF_OPTIONS):
            try:
                play(count, seed, OPTIONS[name])
            except Broken as broken:
                pytest.fail(f"play({count}, {seed}, OPTIONS[{name!r}]): {broken}")


def quorate(world: RingWorld) -> dict[NodeId, bool]:
    return {node: life.begun.view.quorate for node, life in world.lives.items() if life.begun}


def test_the_last_man_stands() -> None:
    """One after the other dies; after each window one less is counted, and in the end one serves alone."""
    world = settled(4, quorum=OPTIONS["last_man_standing"])
    for node in (4, 3, 2):
        world.crash(NodeId(node))
        world.run_for(1000 + 2 * SHORT_WINDOW_MS)
        assert all(quorate(world).values()), world.trace[-5:]
    for node in (2, 3, 4):
        world.start(NodeId(node))
    world.run_for(3000 + SHORT_WINDOW_MS)
    world.check_converged()
    view = world.lives[NodeId(1)].ring.view
    assert view is not None
    assert view.quorum_reason == "4 of 4 votes"


def test_who_was_left_behind_finds_no_quorum_among_themselves() -> None:
    """Two of five go on as the last men; the three others meet, and are a majority of nothing that still counts."""
    world = settled(5, quorum=OPTIONS["last_man_standing"])
    few, others = [NodeId(1), NodeId(2)], [NodeId(3), NodeId(4), NodeId(5)]
    world.network.part([NodeId(4), NodeId(5)], [NodeId(1), NodeId(2), NodeId(3)])
    world.run_for(1000 + 2 * SHORT_WINDOW_MS)
    world.network.part([NodeId(3)], few)
    world.run_for(1000 + 2 * SHORT_WINDOW_MS)
    world.network.join([NodeId(4), NodeId(5)], [NodeId(3)])
    world.run_for(3000)
    assert quorate(world) == {node: node in few for node in world.nodes}
    world.network.join(few, others)
    world.run_for(3000)
    world.check_converged()


def test_clean_leavers_are_not_counted() -> None:
    world = settled(5, quorum=OPTIONS["allow_downscale"])
    for node in (5, 4, 3):
        world.leave(NodeId(node))
        world.run_for(1500)
        assert all(quorate(world).values())
    world.crash(NodeId(2))
    world.run_for(1500)
    assert not quorate(world)[NodeId(1)]


def test_the_witness_chooses_one_half_before_any_view_is_told() -> None:
    """Neither half is ever seen without quorum and then with it: the view waits for the witness's word."""
    world = settled(4, quorum=OPTIONS["witness"])
    before = changes(world)
    world.network.part([NodeId(1), NodeId(2)], [NodeId(3), NodeId(4)])
    world.run_for(3000)
    told = quorate(world)
    assert told[NodeId(1)] == told[NodeId(2)] != told[NodeId(3)] == told[NodeId(4)]
    assert all(now == before[node] + 1 for node, now in changes(world).items())


def test_a_vote_of_the_witness_that_is_lost_ends_quorum_without_a_wait_for_the_next_word() -> None:
    """The witness may give it to another part from now on."""
    world = settled(2, quorum=OPTIONS["witness"])
    world.crash(NodeId(2))
    world.run_for(2000)
    view = world.lives[NodeId(1)].ring.view
    assert view is not None
    assert quorate(world) == {NodeId(1): True}
    world.witness_reach.clear()
    world.give(NodeId(1), WitnessVoted(view.view_id, is_cast=False, reason="it does not answer"))
    world.run_for(2)
    assert quorate(world) == {NodeId(1): False}


def test_a_witness_that_is_silent_is_not_waited_for_longer_than_said() -> None:
    world = settled(2, quorum=OPTIONS["witness"])
    world.witness_reach.clear()
    world.crash(NodeId(2))
    world.run_for(2500)
    assert quorate(world) == {NodeId(1): False}
    world.witness_reach.add(NodeId(1))
    view = world.lives[NodeId(1)].ring.view
    assert view is not None
    world.give(NodeId(1), WitnessVoted(view.view_id, is_cast=True, reason="it is back"))
    world.run_for(1000)
    assert quorate(world) == {NodeId(1): True}


def settled(
    count: int, seed: int = 0, quality: Quality | None = None, quorum: QuorumOptions | None = None
) -> RingWorld:
    world = RingWorld(count, seed, quorum=quorum)
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


PAIRS = [(count, pair) for count in (3, 4, 5, 7) for pair in combinations(range(1, min(count, 4) + 1), 2)]


@pytest.mark.parametrize("one_way", [False, True])
@pytest.mark.parametrize(("count", "pair"), PAIRS)
def test_a_cut_pair_is_relayed_and_no_view_changes(count: int, pair: tuple[int, int], one_way: bool) -> None:
    world = settled(count)
    before = changes(world)
    one, other = (NodeId(node) for node in pair)
    world.network.cut_one_way(one, other)
    if not one_way:
        world.network.cut_one_way(other, one)
    world.run_for(2000)
    for _ in range(10):
        for node in world.nodes:
            world.submit(node, 3000)
        world.run_for(300)
    assert changes(world) == before
    assert not any(life.tokens for life in world.lives.values())
    world.check_converged()
    assert all(world.lives[node].ring._relays.over for node in (one, other))
    world.network.heal()
    world.run_for(2000)
    assert changes(world) == before
    assert not any(life.ring._relays.over for life in world.lives.values())


def test_the_relay_dies_too_and_the_view_changes_once() -> None:
    world = settled(4)
    world.network.part([NodeId(1)], [NodeId(4)])
    world.run_for(2000)
    before = changes(world)
    world.crash(NodeId(2))  # over which both go; 3 is near to both as well
    world.run_for(5000)
    assert changes(world) == {node: before[node] + 1 for node in (NodeId(1), NodeId(3), NodeId(4))}
    world.crash(NodeId(3))
    world.run_for(5000)
    assert world.lives[NodeId(1)].ring.view != world.lives[NodeId(4)].ring.view


@pytest.mark.parametrize("seed", range(5))
def test_without_a_third_the_largest_clique_goes_on_and_the_pair_is_named(seed: int) -> None:
    """A chain: 1 and 4 have nobody in common. The view settles once, and says who does not reach whom."""
    world = settled(4, seed)
    before = changes(world)
    world.network.part([NodeId(1)], [NodeId(3), NodeId(4)])
    world.network.part([NodeId(2)], [NodeId(4)])
    world.run_for(20_000)
    after = changes(world)
    assert all(now <= before[node] + 1 for node, now in after.items()), (before, after)
    begun = world.lives[NodeId(1)].begun
    assert begun is not None
    assert begun.view.members == (1, 2, 3)
    assert [gone.reason for gone in begun.departures] == [
        "n1 and n4 do not reach each other, nor over another node; n2 and n3 hear n4"
    ]


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
