"""Draw a world's misfortunes from its seed: what breaks, when, for how long; and break and mend it.

Decides only what happens to the cluster, never what the cluster does about it. A fault is a value that was drawn
before the run began, with a seed of its own for its details: a run with some of its faults left out is still the
same run otherwise, which is what lets sim/shrink.py cut them down. Every fault ends: after the last one the world
is whole again, so that the run can also ask whether the cluster is.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from komainu.model.ids import Instant, NodeId, ResourceId
from komainu.model.link import LinkState
from komainu.sim import layout_faults, machine_faults, network_faults, service_faults
from komainu.sim.agents import Devices
from komainu.sim.machine import Agents
from komainu.sim.scene import Scene, Strike
from komainu.sim.world import World

FIRST_FAULT_MS: Final = 8_000
"""By then a cluster without faults has formed and started its resources."""

LASTING_MS: Final = (100, 12_000)

KINDS: Final[Mapping[str, Strike]] = {
    **network_faults.KINDS,
    **machine_faults.KINDS,
    **service_faults.KINDS,
    **layout_faults.KINDS,
}
"""Every class of faults by its name. The first line of each function's docstring says what it is."""

MIXED: Final = tuple(kind for kind in KINDS if kind not in layout_faults.KINDS)
"""The classes that strike where a run names none: with another one among them each seed would tell another story."""

VIEWS_MAX: Final[Mapping[str, int]] = {
    **dict.fromkeys(network_faults.CUTS, 1),
    **dict.fromkeys(network_faults.HARMLESS, 0),
}
"""How often a class of faults, alone and in a calm, may change a membership: once where it only takes ways away,
never where every way stays open."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One misfortune: its class, when it strikes, how long it lasts, and the seed of its details."""

    kind: str
    at_ms: int
    lasts_ms: int
    seed: int


def draw(seed: int, kinds: tuple[str, ...], *, count: int, within_ms: int) -> tuple[Fault, ...]:
    """Draw so many faults within this time, in order of time."""
    chance = Random(seed)
    drawn = [
        Fault(
            kind=chance.choice(kinds),
            at_ms=FIRST_FAULT_MS + chance.randrange(within_ms),
            lasts_ms=chance.randint(*LASTING_MS),
            seed=chance.getrandbits(32),
        )
        for _ in range(count)
    ]
    return tuple(sorted(drawn, key=lambda fault: (fault.at_ms, fault.seed)))


def absent(faults: tuple[Fault, ...], nodes: Collection[NodeId]) -> dict[NodeId, Instant]:
    """Say which nodes join late, and when they are switched on for the first time."""
    late = [fault for fault in faults if fault.kind == machine_faults.JOIN]
    # The quorum must be able to form without them; a pair must be whole at its beginning (wait_for_all).
    most = (len(nodes) - 1) // 2
    chosen = Random(late[0].seed).sample(sorted(nodes), min(most, len(late))) if late else []
    return {node: Instant(fault.at_ms) for node, fault in zip(chosen, late[: len(chosen)], strict=True)}


class Misfortune:
    """The faults of one world on their way. `struck` counts them by class."""

    def __init__(self, world: World, faults: tuple[Fault, ...], resources: tuple[ResourceId, ...]) -> None:
        self.struck: dict[str, int] = {}
        self._world = world
        self.faults = faults
        self._resources = resources
        self._options = 0
        self._nodes = sorted(world.machines)
        self._links = sorted({end.link for end in world.settings[self._nodes[0]].of(self._nodes[0]).ends})

    @property
    def first(self) -> Instant:
        """When the first fault strikes."""
        return Instant(min((fault.at_ms for fault in self.faults), default=FIRST_FAULT_MS))

    @property
    def over(self) -> Instant:
        """By when the last fault is mended."""
        last = max((fault.at_ms + fault.lasts_ms for fault in self.faults), default=FIRST_FAULT_MS)
        return Instant(last + 1)

    def schedule(self) -> None:
        """Put every fault on the world's clock. Which they are may still change before the first, not when they are."""
        self._world.observer.hears_of_all = True
        for place, fault in enumerate(self.faults):
            self._world.clock.at(Instant(fault.at_ms), partial(self._strike, place))

    def _strike(self, place: int) -> None:
        """Let something happen while somebody is changing the configuration: that is when changes get lost."""
        fault = self.faults[place]
        world, chance = self._world, Random(fault.seed)
        self.struck[fault.kind] = self.struck.get(fault.kind, 0) + 1
        world.checks.last_fault = world.now
        self._set_option_on(chance.choice(self._nodes))
        world.observer.disturbed(views_max=VIEWS_MAX.get(fault.kind))
        scene = Scene(world, chance, tuple(self._nodes), tuple(self._links), self._resources, fault.lasts_ms)
        mend = KINDS[fault.kind](scene)
        for node in self._nodes:
            world.clock.after(chance.randint(600, 1_600), partial(self._set_option_on, node))
        world.clock.after(fault.lasts_ms, partial(self._mend, mend))

    def _mend(self, mend: Callable[[], None] | None) -> None:
        self._world.observer.disturbed()
        if mend is not None:
            mend()

    def heal(self) -> None:
        """Make the world whole: every wire, every end, every machine, every agent."""
        world = self._world
        world.say("all is mended")
        world.observer.disturbed()
        world.network.heal()
        world.devices = Devices.WELL
        for node in self._nodes:
            machine = world.machines[node]
            machine.agents = Agents.WELL
            machine.disk.is_full, machine.disk.slowness = False, 1
            machine.clock.drift(world.now, 0)
            for link in self._links:
                world.set_end(node, link, LinkState.UP)
            if not machine.is_on:
                world.boot(node)
            world.start_daemon(node)

    def clean_up(self) -> None:
        """Be the operator who has failures forgotten once everything is mended."""
        for node in self._nodes:
            drive = self._world.machines[node].drive
            if drive is not None and drive.replica.is_synced:
                self._world.clients.clean_up(node)
                return

    def _set_option_on(self, node: NodeId) -> None:
        self._options += 1
        self._world.clients.set_option(node, f"drawn-{self._options}")
