"""Links are added, changed and removed while the cluster runs, under load and faults: nothing is lost, nobody is accused."""

from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName
from komainu.model.request import AddLink, ChangeLink, LayoutChange, RemoveLink
from komainu.sim.scenario import NAMES, make_world, trouble
from komainu.sim.world import World


def run(world: World, milliseconds: int) -> None:
    world.run_until(Instant(world.now + milliseconds))


def raised(nodes: int, links: int, seed: int) -> World:
    world = make_world(nodes, seed, links)
    for node in world.machines:
        world.boot(node)
    run(world, 12_000)
    return world


def add_link(nodes: int, link: int) -> AddLink:
    return AddLink(
        tuple((NodeName(NAMES[n - 1]), f"192.168.{33 + link}.{100 + n}") for n in range(1, nodes + 1))
    )


def layouts(world: World) -> set[tuple[int, int]]:
    """Version and number of links on each node."""
    drives = [machine.drive for machine in world.machines.values() if machine.drive is not None]
    return {(drive.settings.layout, len(drive.settings.of(drive.settings.me).ends)) for drive in drives}


def change(world: World, node: int, step: LayoutChange) -> None:
    world.clients.ask(NodeId(node), step)
    run(world, 1_500)


def test_a_link_is_added_used_changed_and_removed_without_a_change_of_membership() -> None:
    for nodes in (2, 3):
        world = raised(nodes, 1, nodes)
        before = world.observer.view_changes
        change(world, 1, add_link(nodes, 1))
        assert layouts(world) == {(1, 2)}
        world.network.cut_link(LinkNumber(0))  # it carries alone
        run(world, 5_000)
        world.clients.set_option(NodeId(1), "over-the-new-one")
        run(world, 1_000)
        assert "over-the-new-one" in world.checks.acknowledged
        world.network.mend_link(LinkNumber(0))
        run(world, 1_000)
        change(world, 2, ChangeLink(1, ((NodeName("a"), "192.168.34.77"),)))
        change(world, nodes, RemoveLink(1))
        assert layouts(world) == {(3, 1)}
        assert world.observer.view_changes == before
        assert trouble(world) == ""


def test_who_was_away_goes_on_with_the_links_of_the_state() -> None:
    world = raised(3, 2, 5)
    world.lose_power(NodeId(3), boot_again=False)
    run(world, 8_000)
    change(world, 1, add_link(3, 2))
    world.boot(NodeId(3))
    run(world, 20_000)
    assert layouts(world) == {(1, 3)}
    assert trouble(world) == ""
    for machine in world.machines.values():  # all at once: what is on the disks says it
        world.lose_power(machine.node_id, boot_again=False)
    for machine in world.machines.values():
        world.boot(machine.node_id)
    run(world, 20_000)
    assert layouts(world) == {(1, 3)}
    assert trouble(world) == ""


def test_of_two_changes_at_once_one_is_refused() -> None:
    world = raised(3, 1, 7)
    world.clients.ask(NodeId(1), add_link(3, 1))
    world.clients.ask(NodeId(2), AddLink(add_link(3, 2).addresses))
    run(world, 1_500)
    assert layouts(world) == {(1, 2)}


def test_links_change_under_load_and_loss() -> None:
    for seed in range(3):
        world = raised(3, 2, seed)
        world.network.set_loss(0.05)
        for step in (
            add_link(3, 2),
            ChangeLink(2, ((NodeName("b"), "192.168.35.9"),)),
            RemoveLink(2),
            add_link(3, 2),
        ):
            for node in world.machines:
                world.clients.set_option(node, f"{type(step).__name__}-{node}-{world.now}")
            change(world, seed % 3 + 1, step)
        world.network.heal()
        world.crash_daemon(NodeId(2))
        run(world, 20_000)
        assert layouts(world) == {(4, 3)}
        assert trouble(world) == ""
        for machine in world.machines.values():
            world.checks.acknowledged_is_kept(machine, world.now)
