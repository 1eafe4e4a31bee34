"""Say what a fault is given to strike with: the world, its own chance, and who can be struck."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from komainu.model.ids import LinkNumber, NodeId, ResourceId
from komainu.sim.machine import Machine
from komainu.sim.world import World

Mend = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a fault strikes."""

    world: World
    chance: Random
    nodes: tuple[NodeId, ...]
    links: tuple[LinkNumber, ...]
    resources: tuple[ResourceId, ...]
    lasts_ms: int

    def node(self) -> NodeId:
        """Draw a node."""
        return self.chance.choice(self.nodes)

    def machine(self) -> Machine:
        """Draw a machine."""
        return self.world.machines[self.node()]

    def pair(self) -> tuple[NodeId, NodeId]:
        """Draw two nodes."""
        one, other = self.chance.sample(self.nodes, 2)
        return one, other

    def link(self) -> LinkNumber:
        """Draw a link."""
        return self.chance.choice(self.links)


Strike = Callable[[Scene], Mend | None]
"""Break something; return how it is mended, or nothing when it mends itself."""
