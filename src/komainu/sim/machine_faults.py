"""Break the machines of a made-up world: power, processes, clocks, disks; and let nodes come, go and be upgraded."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from komainu.model.ids import Instant
from komainu.node.interface import StopAsked
from komainu.sim.machine import Machine
from komainu.sim.scene import Mend, Scene, Strike
from komainu.sim.world import World

DRIFT_PPM: Final = 20_000
"""A clock may run this much too fast or too slow: a hundred times what bad hardware does."""

WALL_ERROR_MS: Final = 3_600_000
"""A wall clock may be set wrong by this much, as by a time server that is wrong."""

SLOWER: Final = (10, 60)
"""A slow disk takes so many times as long as usual."""

TURN_MS: Final = 4_000
"""Time between the turns of a rolling upgrade."""

JOIN: Final = "join"


def lose_power(scene: Scene) -> None:
    """A machine loses its power, and what it had not synced; it boots again."""
    scene.world.lose_power(scene.node())


def crash(scene: Scene) -> None:
    """A daemon is killed; what it started keeps running, and it is started again."""
    scene.world.crash_daemon(scene.node())


def stall(scene: Scene) -> None:
    """A machine stands still for a while, then goes on as if nothing had been."""
    stand_still(scene.world, scene.machine(), scene.chance.choice((150, 400, 900, 2_500, scene.lasts_ms)))


def stand_still(world: World, machine: Machine, for_ms: int) -> None:
    """Let a machine stand still; what comes meanwhile waits for it, up to a limit."""
    if machine.drive is None or machine.waiting is not None:
        return
    world.say(f"{machine.name} stands still for {for_ms} ms")
    machine.waiting = []

    def go_on() -> None:
        missed, machine.waiting = machine.waiting or [], None
        world.say(f"{machine.name} goes on")
        world.observer.disturbed()  # only now do others hear it again, and it hears them
        for event in missed:
            world.give(machine, event)
        if machine.drive is not None:
            world.wake(machine)

    world.later(machine, for_ms, go_on)


def drift(scene: Scene) -> Mend:
    """A machine's clock runs fast or slow, and its wall clock is set wrong."""
    machine, world = scene.machine(), scene.world
    rate_ppm = scene.chance.randint(-DRIFT_PPM, DRIFT_PPM)
    machine.clock.drift(world.now, rate_ppm)
    machine.clock.wall_error_ms = scene.chance.choice(
        (0, scene.chance.randint(-WALL_ERROR_MS, WALL_ERROR_MS))
    )
    world.say(f"the clock of {machine.name}: {rate_ppm} ppm, {machine.clock.wall_error_ms} ms off")

    def mend() -> None:
        machine.clock.drift(world.now, 0)
        machine.clock.wall_error_ms = 0

    return mend


def slow_disk(scene: Scene) -> Mend:
    """A machine's disk becomes slow."""
    machine = scene.machine()
    machine.disk.slowness = scene.chance.randint(*SLOWER)
    scene.world.say(f"the disk of {machine.name} is {machine.disk.slowness} times slower")

    def mend() -> None:
        machine.disk.slowness = 1

    return mend


def full_disk(scene: Scene) -> Mend:
    """A machine's disk is full: nothing can be stored on it."""
    machine = scene.machine()
    machine.disk.is_full = True
    scene.world.say(f"the disk of {machine.name} is full")

    def mend() -> None:
        machine.disk.is_full = False
        scene.world.say(f"the disk of {machine.name} has room again")

    return mend


def join(scene: Scene) -> None:
    """A node is switched on for the first time while the others are already at work."""
    # Who stays away until then is decided before the world begins (sim/faults.py).
    scene.world.say("a node is switched on for the first time")


def leave(scene: Scene) -> None:
    """A node leaves in order, and comes back by and by."""
    stop_daemon(scene.world, scene.machine(), away_ms=scene.lasts_ms)


def upgrade(scene: Scene) -> None:
    """Every node in its turn is stopped in order and started again, as in a rolling upgrade."""
    for turn, node in enumerate(scene.nodes):
        machine = scene.world.machines[node]
        scene.world.clock.after(turn * TURN_MS, partial(stop_daemon, scene.world, machine, away_ms=0))


def stop_daemon(world: World, machine: Machine, *, away_ms: int) -> None:
    """Ask a daemon to stop in order; it is started again, but not for so long."""
    if machine.drive is not None:
        world.say(f"the daemon of {machine.name} is asked to stop")
        machine.stays_away_until = Instant(world.now + away_ms)
        world.give(machine, StopAsked())


KINDS: Final[Mapping[str, Strike]] = {
    "power": lose_power,
    "crash": crash,
    "stall": stall,
    "drift": drift,
    "slow-disk": slow_disk,
    "full-disk": full_disk,
    JOIN: join,
    "leave": leave,
    "upgrade": upgrade,
}
