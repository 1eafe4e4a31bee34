"""Change nodes and links of a made-up world while it runs, as an operator does, and bring new nodes in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from komainu.model.ids import NodeId
from komainu.model.request import AddLink, AddNode, LayoutChange, RemoveLink, RemoveNode
from komainu.ring.settings import RingSettings
from komainu.sim.machine import Machine
from komainu.sim.machine_faults import stop_daemon
from komainu.sim.scene import Mend, Scene, Strike
from komainu.sim.world import World

ASK_AGAIN_MS: Final = 1_500
"""How soon the operator tries again what was refused, or not answered."""

AWAY_MS: Final = 3_600_000
"""A node that is to be removed is not started again by its machine."""


@dataclass(slots=True)
class Wish:
    """What the operator wants of nodes and links, until it is so or he wants something else."""

    world: World
    step: LayoutChange
    is_so: Callable[[RingSettings], bool]
    then: Callable[[], None]
    is_over: bool = False

    def pursue(self) -> None:
        """See whether it is so; ask for it, and come back, while it is not."""
        if self.is_over:
            return
        members = _members(self.world)
        newest = max(members.values(), key=lambda one: one.layout, default=None)
        if newest is not None and self.is_so(newest):
            self.is_over = True
            self.then()
            return
        if members:
            self.world.clients.ask(min(members), self.step)
        self.world.clock.after(ASK_AGAIN_MS, self.pursue)


def bring_in(world: World, machine: Machine) -> None:
    """Bring the file of a member to a node that was added, and start its daemon with it."""
    newest = max(_members(world).values(), key=lambda one: one.layout)
    world.settings[machine.node_id] = replace(newest, me=machine.node_id)
    machine.stays_away_until = world.now
    world.crash_daemon(machine.node_id)  # should its machine have started it with the old one
    world.start_daemon(machine.node_id)


def change_layout(scene: Scene) -> Mend | None:
    """A link is added and removed again, or a node is stopped in order, removed, added again, and brought in."""
    world = scene.world
    if world.operator_is_busy or len(scene.nodes) < len(world.machines):
        return None
    world.operator_is_busy = True
    return (_links if scene.chance.random() < 0.4 else _nodes)(scene)


def _links(scene: Scene) -> Mend:
    world, before = scene.world, len(scene.links)
    addresses = tuple((machine.name, f"10.9.0.{100 + node}") for node, machine in world.machines.items())
    wish = Wish(world, AddLink(addresses), lambda one: len(one.nodes[0].ends) > before, _rest)
    wish.pursue()

    def mend() -> None:
        wish.is_over = True
        step = RemoveLink(before)
        Wish(world, step, lambda one: len(one.nodes[0].ends) == before, partial(_be_free, world)).pursue()

    return mend


def _nodes(scene: Scene) -> Mend:
    world, machine = scene.world, scene.machine()
    ends = world.settings[machine.node_id].of(machine.node_id).ends
    world.checks.removed.add(machine.name)
    stop_daemon(world, machine, away_ms=AWAY_MS)

    def is_node(one: RingSettings) -> bool:
        return machine.node_id in {node.node for node in one.nodes}

    wish = Wish(world, RemoveNode(machine.name), lambda one: not is_node(one), _rest)
    wish.pursue()

    def come_back() -> None:
        world.checks.came_back(machine.name)
        bring_in(world, machine)
        _be_free(world)

    def mend() -> None:
        wish.is_over = True
        step = AddNode(machine.name, tuple(end.address for end in ends), machine.node_id)
        Wish(world, step, is_node, come_back).pursue()

    return mend


def _members(world: World) -> dict[NodeId, RingSettings]:
    """Give the settings of who is in a quorate view, has the state, and knows that they are agreed on."""
    found = {}
    for node, machine in world.machines.items():
        drive = machine.drive
        view = None if drive is None else drive.ring.view
        if drive is None or view is None or not view.quorate or not drive.replica.is_synced:
            continue
        if drive.settings.agreed_layout is None:
            found[node] = drive.settings
    return found


def _be_free(world: World) -> None:
    world.operator_is_busy = False


def _rest() -> None:
    """Do nothing more."""


KINDS: Final[Mapping[str, Strike]] = {"layout": change_layout}
