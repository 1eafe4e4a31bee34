"""What the simulator once found, each as the shortest story that shows it."""

from komainu.model.ids import Instant, NodeId, ResourceId
from komainu.sim.agents import Devices
from komainu.sim.machine import Agents
from komainu.sim.machine_faults import stand_still, stop_daemon
from komainu.sim.network import Quality
from komainu.sim.scenario import RESOURCES, make_world, trouble
from komainu.sim.world import World

A, B, C = NodeId(1), NodeId(2), NodeId(3)
DB = ResourceId("db")


def settled(nodes: int, seed: int = 0) -> World:
    """A cluster at rest that runs its service."""
    world = make_world(nodes, seed)
    for node in world.machines:
        world.boot(node)
    assert world.run_while(lambda: trouble(world) != "", at_most_ms=30_000), trouble(world)
    world.run_until(Instant(world.now + 2_000))
    return world


def fenced(world: World) -> list[str]:
    return [line.split(maxsplit=1)[1] for line in world.trace if " fences " in line]


def test_nothing_is_done_that_a_returning_peer_has_not_stored() -> None:
    """What a lone half promised was called done at the sight of its peer, who did not have it yet."""
    for seed in range(4):
        world = settled(2, seed)
        world.devices = Devices.DEAD
        world.lose_power(B, boot_again=False)
        assert world.run_while(lambda world=world: not alone(world), at_most_ms=3_000)  # type: ignore[misc]  # binds now
        world.clients.set_option(A, "kept")  # it waits: B is not confirmed off yet
        world.run_until(Instant(world.now + 1_000))
        world.boot(B)
        world.devices = Devices.WELL
        assert world.run_while(lambda world=world: trouble(world) != "", at_most_ms=60_000)  # type: ignore[misc]  # binds now


def alone(world: World) -> bool:
    drive = world.machines[A].drive
    return drive is not None and drive.ring.view is not None and drive.ring.view.members == (A,)


def test_who_stops_in_order_is_not_fenced() -> None:
    """The coordinator left before the others had heard that its resources were stopped: they fenced it for that."""
    for seed in range(6):
        for leaver in (A, B):
            world = settled(2 + seed % 2, seed)
            stop_daemon(world, world.machines[leaver], away_ms=3_000)
            assert world.run_while(lambda world=world: trouble(world) != "", at_most_ms=30_000)  # type: ignore[misc]  # binds now
            assert fenced(world) == []


def test_who_left_is_not_fenced_by_those_who_started_anew() -> None:
    """Only one had heard the farewell, and its daemon was killed before there was quorum again: nobody knew of it."""
    world = settled(3)
    world.lose_power(A, boot_again=False)
    world.run_until(Instant(world.now + 8_000))
    before = fenced(world)
    stop_daemon(world, world.machines[B], away_ms=40_000)
    world.run_until(Instant(world.now + 3_000))
    assert world.machines[B].left_at is not None
    world.crash_daemon(C)
    world.boot(A)
    world.run_until(Instant(world.now + 15_000))
    assert fenced(world) == before
    assert any(RESOURCES[0] in machine.running for machine in world.machines.values())
    assert world.run_while(lambda: trouble(world) != "", at_most_ms=60_000)


def test_who_cannot_store_any_more_does_not_take_his_leave() -> None:
    """A daemon ended for a full disk, said that it left, and its resources were started elsewhere while they ran."""
    for seed in range(4):
        world = settled(3, seed)
        home = next(machine for machine in world.machines.values() if RESOURCES[0] in machine.running)
        home.disk.is_full = True
        world.devices = Devices.DEAD
        world.clients.set_option(home.node_id, "too-much")
        world.run_until(Instant(world.now + 8_000))
        home.disk.is_full = False
        world.devices = Devices.WELL
        assert world.run_while(lambda world=world: trouble(world) != "", at_most_ms=60_000)  # type: ignore[misc]  # binds now


def test_half_of_a_pair_that_lacks_the_state_does_not_go_on_alone() -> None:
    """A node that came back went on with its old state when its peer died before it could hand over the new one."""
    stories = 0
    for seed in range(6):
        world = settled(2, seed)
        world.network.quality = Quality(delay_ms=(2, 9))
        world.lose_power(B, boot_again=False)
        assert world.run_while(lambda world=world: fenced(world) == [], at_most_ms=5_000)  # type: ignore[misc]  # binds now
        world.run_until(Instant(world.now + 1_000))
        world.clients.set_option(A, "kept")
        world.run_until(Instant(world.now + 1_000))
        assert set(world.checks.acknowledged) == {"kept"}
        world.boot(B)
        until = world.now + 2_000
        while not lacks_state(world) and world.now < until:
            world.run_until(Instant(world.now + 1))
        if world.now == until:
            continue  # the state came together with the view
        stories += 1
        world.lose_power(A)
        assert world.run_while(lambda world=world: trouble(world) != "", at_most_ms=60_000)  # type: ignore[misc]  # binds now
        for machine in world.machines.values():
            world.checks.acknowledged_is_kept(machine, world.now)
    assert stories >= 3


def lacks_state(world: World) -> bool:
    drive = world.machines[B].drive
    assert drive is not None
    return drive.ring.view is not None and len(drive.ring.view.members) == 2 and not drive.replica.is_synced


def test_who_stood_still_accuses_nobody_of_that_time() -> None:
    """Back after a long stall, the coordinator said that its peer took nothing of the order, for as long as it slept."""
    for seed in range(4):
        world = settled(2, seed)
        world.devices = Devices.DEAD  # else it is fenced
        world.clients.set_option(A, "kept")
        world.run_until(Instant(world.now + 1))  # it is ordered, and the peer has not said that it has it
        stand_still(world, world.machines[A], 12_000)
        world.run_until(Instant(world.now + 13_000))
        assert [line for line in world.trace if "goes on" in line]
        assert not [line for line in world.trace if "takes nothing of what is ordered" in line]
        world.devices = Devices.WELL
        assert world.run_while(lambda world=world: trouble(world) != "", at_most_ms=30_000)  # type: ignore[misc]  # binds now


def test_a_clean_up_while_a_monitor_hangs_does_not_end_all_planning() -> None:
    """The node forgot the monitor that the history kept as pending: nothing was planned any more, for good."""
    hung = 0
    for seed in range(6):
        world = settled(2, seed)
        homes = [machine for machine in world.machines.values() if DB in machine.running]
        away = next(machine for machine in world.machines.values() if machine not in homes)
        world.clients.set_standby(A, homes[0].name, standby=True)
        assert world.run_while(lambda away=away: DB not in away.running, at_most_ms=5_000)  # type: ignore[misc]  # binds now
        away.agents = Agents.HANGING
        world.run_until(Instant(world.now + 1_000))
        away.agents = Agents.WELL
        hung += any("monitor of db hangs" in line for line in world.trace)
        world.clients.clean_up(A)
        assert world.run_while(lambda world=world: trouble(world) != "", at_most_ms=120_000), trouble(world)  # type: ignore[misc]  # binds now
    assert hung
