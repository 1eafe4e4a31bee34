"""Whole clusters whose ways break for a moment, or in part: membership stays, and `why` tells the way that is gone."""

from komainu.model.ids import Instant, LinkNumber, NodeId
from komainu.sim.scenario import make_world
from komainu.sim.world import World


def raised(nodes: int, links: int, seed: int = 1) -> World:
    world = make_world(nodes, seed, links)
    for node in world.machines:
        world.boot(node)
    world.run_until(Instant(12_000 + 61 * seed))
    return world


def test_a_pair_with_one_link_survives_its_cable_being_out_for_a_moment() -> None:
    # 1.5 s, and the better part of a second until the kernel asks again for the peer's hardware address.
    for seed in range(4):
        world = raised(2, 1, seed)
        before = world.observer.view_changes
        world.network.cut_link(LinkNumber(0))
        world.run_until(Instant(world.now + 2_200))
        world.network.mend_link(LinkNumber(0))
        world.run_until(Instant(world.now + 4_000))
        assert world.observer.view_changes == before


def test_why_tells_that_packets_go_over_another_node() -> None:
    world = raised(3, 2)
    world.network.part((NodeId(1),), (NodeId(3),))
    world.run_until(Instant(world.now + 3_000))
    drive = world.machines[NodeId(1)].drive
    assert drive is not None
    for subject in ("link0", "link1"):
        told = drive.index.why(subject)
        assert told.answer.startswith("a and c do not reach each other: packets go over b, at ")
    world.network.join((NodeId(1),), (NodeId(3),))
    world.run_until(Instant(world.now + 3_000))
    assert "link.up" in {line.code for line in drive.index.why("link0").chain}
    assert "ring.direct" in {line.code for line in drive.index.why("link1").chain}
