"""Whole clusters of CorosyncRings on a made-up Corosync: total order, virtual synchrony, nothing acknowledged is lost."""

import os

import pytest
from corosync_world import World

from komainu.model.ids import NodeId

SEEDS = int(os.environ.get("KOMAINU_SEEDS", "40"))


def break_something(world: World) -> None:
    """One random fault, or the end of one."""
    random = world.random
    node = NodeId(random.choice(sorted(world.settings)))
    life = world.lives.get(node)
    kind = random.choice(["split", "heal", "crash", "engine", "pause", "nothing"])
    if kind == "split":
        world.split()
    elif kind == "heal":
        world.heal()
    elif life is None:
        world.boot(node)
    elif kind == "crash":
        world.crash(node)
    elif kind == "engine":
        if life.is_connected:
            world.disconnect(node, tell=True)
        else:
            world.connect(node)
    elif kind == "pause":
        life.paused_until = world.now + random.randrange(200, 9000)


def run_seed(seed: int, count: int) -> World:
    world = World(seed, count)
    random = world.random
    try:
        for _ in range(25):
            break_something(world)
            for _ in range(random.randrange(12)):
                world.run(world.now + random.randrange(5, 300))
                node = NodeId(random.choice(sorted(world.settings)))
                if node in world.lives:
                    world.submit(node)
        world.heal()
        for node in world.settings:
            if node not in world.lives:
                world.boot(node)
            world.lives[node].paused_until = 0
            world.connect(node)
        world.run(world.now + 20_000)
        views = {str(life.ring.view) for life in world.lives.values()}
        assert len(views) == 1, f"no agreement at the end: {views}"
        logs = {tuple(life.log) for life in world.lives.values()}
        assert len(logs) == 1, "the logs differ at the end"
        assert all(life.has_state and not life.tokens for life in world.lives.values()), (
            "something waits for ever"
        )
        assert world.acknowledged <= set(next(iter(logs)))
    except BaseException:
        print("\n".join(world.trace[-60:]))
        raise
    return world


@pytest.mark.parametrize("seed", range(SEEDS))
def test_rings_over_corosync_agree_whatever_happens(seed: int) -> None:
    world = run_seed(seed, 2 + seed % 5)
    assert world.views > 2


def test_the_world_acknowledges_and_is_put_through_something() -> None:
    world = run_seed(7, 3)
    assert len(world.acknowledged) > 20
    assert any("partition" in line for line in world.trace)


def test_the_same_seed_gives_the_same_trace() -> None:
    assert run_seed(11, 4).trace == run_seed(11, 4).trace
