"""Nodes and links are added, changed and removed while the cluster runs, under load and faults: nothing is lost, nobody is accused."""

from dataclasses import replace

from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName
from komainu.model.request import AddLink, AddNode, ChangeLink, LayoutChange, RemoveLink, RemoveNode
from komainu.ring.settings import QuorumOptions, WitnessOptions
from komainu.sim.layout_faults import bring_in
from komainu.sim.machine_faults import stop_daemon
from komainu.sim.race_world import RaceWorld
from komainu.sim.scenario import NAMES, make_setup, make_world, trouble
from komainu.sim.witness import SimWitness
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


def nodes_of(world: World) -> set[tuple[int, ...]]:
    """The nodes that each living node counts."""
    drives = [machine.drive for machine in world.machines.values() if machine.drive is not None]
    return {tuple(node.node for node in drive.settings.nodes) for drive in drives}


def without(nodes: int, seed: int) -> World:
    """A cluster at rest whose last node left in order and was removed."""
    world = raised(nodes, 2, seed)
    last = world.machines[NodeId(nodes)]
    stop_daemon(world, last, away_ms=600_000)
    run(world, 3_000)
    change(world, 1, RemoveNode(last.name))
    return world


def views(world: World) -> int:
    """How often the first node has begun a view."""
    return sum(" a notice: view " in line for line in world.trace)


def add_last(world: World, nodes: int) -> None:
    last = world.machines[NodeId(nodes)]
    ends = world.settings[last.node_id].of(last.node_id).ends
    change(world, 1, AddNode(last.name, tuple(end.address for end in ends)))


def test_a_node_is_removed_and_added_while_the_others_work() -> None:
    for nodes in (2, 3, 4):
        world = without(nodes, nodes)
        assert nodes_of(world) == {tuple(range(1, nodes))}
        first = world.machines[NodeId(1)].drive
        assert first is not None
        assert first.ring.view is not None
        assert first.ring.view.quorate
        before = views(world)
        add_last(world, nodes)
        bring_in(world, world.machines[NodeId(nodes)])
        run(world, 15_000)
        assert nodes_of(world) == {tuple(range(1, nodes + 1))}
        assert trouble(world) == ""
        assert views(world) - before == 2  # the same members counted anew, then with it
        assert not any(" fences " in line for line in world.trace)


def test_two_of_three_become_a_pair_of_which_one_is_enough() -> None:
    world = without(3, 1)
    world.lose_power(NodeId(2), boot_again=False)
    run(world, 15_000)
    left = world.machines[NodeId(1)].drive
    assert left is not None
    assert left.ring.view is not None
    assert left.ring.view.quorum_reason == "two_node: 1 of 2 votes is enough"
    assert len(world.machines[NodeId(1)].running) == 3


def test_who_was_away_learns_of_a_new_node() -> None:
    """It does not hear the new node, so it could not be in one view with it, and would never get the state."""
    world = without(5, 2)
    stop_daemon(world, world.machines[NodeId(2)], away_ms=600_000)
    run(world, 3_000)
    add_last(world, 5)
    bring_in(world, world.machines[NodeId(5)])
    run(world, 10_000)
    world.start_daemon(NodeId(2))
    run(world, 15_000)
    assert nodes_of(world) == {(1, 2, 3, 4, 5)}
    assert trouble(world) == ""


def test_a_node_that_would_cost_the_quorum_is_not_added() -> None:
    """Two of three have quorum, two of four have none."""
    world = without(4, 2)
    stop_daemon(world, world.machines[NodeId(2)], away_ms=600_000)
    run(world, 3_000)
    add_last(world, 4)
    assert nodes_of(world) == {(1, 2, 3)}


def test_who_was_removed_does_not_come_back_until_it_is_added() -> None:
    world = without(3, 6)
    world.start_daemon(NodeId(3))  # nobody has told it
    run(world, 5_000)
    first = world.machines[NodeId(1)].drive
    assert first is not None
    assert first.ring.view is not None
    assert first.ring.view.members == (1, 2)
    add_last(world, 3)
    run(world, 5_000)
    assert nodes_of(world) == {(1, 2, 3)}
    assert trouble(world) == ""


def test_a_member_is_not_removed() -> None:
    world = raised(3, 2, 4)
    change(world, 1, RemoveNode(NodeName("c")))
    assert nodes_of(world) == {(1, 2, 3)}


LMS = QuorumOptions(witness=WitnessOptions("w", votes=2, algorithm="lms"))


def three_and_a_witness() -> tuple[RaceWorld, SimWitness]:
    setup = make_setup(3, 1)
    world = RaceWorld(replace(setup, settings=tuple(replace(one, quorum=LMS) for one in setup.settings)))
    assert isinstance(world.witness, SimWitness)
    for node in world.machines:
        world.boot(node)
    run(world, 5_000)
    return world, world.witness


def test_a_vote_that_one_member_hears_of_later_costs_no_view() -> None:
    """Until the witness's word had come to the leader, too, it made one view after the other: six within 40 ms."""
    world, _ = three_and_a_witness()
    before = views(world)
    stop_daemon(world, world.machines[NodeId(3)], away_ms=600_000)
    run(world, 3_000)
    assert quorate(world) == {1, 2}
    assert views(world) == before + 1


def test_a_witness_started_anew_waits_for_a_node_that_was_added_since() -> None:
    """a and b were started when c was no node. With lms c has the vote alone, and the witness forgets it."""
    a, b, c = NodeId(1), NodeId(2), NodeId(3)
    world, witness = three_and_a_witness()
    stop_daemon(world, world.machines[c], away_ms=600_000)
    run(world, 3_000)
    change(world, 1, RemoveNode(world.machines[c].name))
    for node in (a, b):
        stop_daemon(world, world.machines[node], away_ms=2_000)
        run(world, 5_000)
    add_last(world, 3)
    bring_in(world, world.machines[c])
    run(world, 4_000)
    assert quorate(world) == {a, b, c}

    witness.reaches = {c}
    world.network.part({a, b}, {c})
    run(world, 4_000)
    assert quorate(world) == {c}
    witness.reaches = {a, b}
    witness.restart()
    assert world.run_while(lambda: a not in quorate(world), at_most_ms=10_000)
    assert quorate(world) == {a, b}, "the lease of c was over by then"


def quorate(world: World) -> set[NodeId]:
    """The nodes that are in a view with quorum."""
    views = {node: each.drive.ring.view for node, each in world.machines.items() if each.drive is not None}
    return {node for node, view in views.items() if view is not None and view.quorate}
