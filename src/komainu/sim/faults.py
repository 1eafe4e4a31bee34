"""Draw a world's misfortunes from its seed: what breaks, when, and when it is mended.

Decides only what happens to the cluster, never what the cluster does about it. Every fault ends: after the last
one the world is whole again, so that the run can also ask whether the cluster is.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

from komainu.model.ids import Instant, LinkNumber, NodeId, ResourceId
from komainu.model.link import LinkState
from komainu.sim.world import World

FIRST_FAULT_MS: Final = 8_000
"""By then a cluster without faults has formed and started its resources."""

LASTING_MS: Final = (100, 12_000)
END_STATES: Final = (LinkState.NO_CARRIER, LinkState.NO_ADDRESS, LinkState.NO_INTERFACE, LinkState.ADMIN_DOWN)


class Misfortune:
    """Faults of one world, drawn from its seed."""

    def __init__(self, world: World, seed: int, resources: tuple[ResourceId, ...]) -> None:
        self._world = world
        self._chance = Random(seed)
        self._resources = resources
        self._options = 0
        self._nodes = sorted(world.machines)
        self._links = sorted({end.link for end in world.settings[self._nodes[0]].of(self._nodes[0]).ends})
        self._kinds: tuple[Callable[[], None], ...] = (
            self._cut_link,
            self._break_end,
            self._part,
            self._one_way,
            self._lose_packets,
            self._lose_power,
            self._crash_daemon,
            self._kill_resource,
            self._toggle_standby,
        )

    def plan(self, count: int, within_ms: int) -> Instant:
        """Schedule so many faults within this time; return when the last of them is mended."""
        for _ in range(count):
            moment = FIRST_FAULT_MS + self._chance.randrange(within_ms)
            self._world.clock.at(Instant(moment), partial(self._strike, self._chance.choice(self._kinds)))
        return Instant(FIRST_FAULT_MS + within_ms + LASTING_MS[1] + 1)

    def _strike(self, fault: Callable[[], None]) -> None:
        """Let something happen while somebody is changing the configuration: that is when changes get lost."""
        self._world.checks.last_fault = self._world.now
        self._set_option()
        fault()
        for node in self._nodes:
            self._world.clock.after(self._chance.randint(600, 1_600), partial(self._set_option_on, node))

    def heal(self) -> None:
        """Make the world whole: every wire, every end, every machine."""
        self._world.network.heal()
        for node in self._nodes:
            for link in self._links:
                self._world.set_end(node, link, LinkState.UP)
            if not self._world.machines[node].is_on:
                self._world.boot(node)
            self._world.start_daemon(node)

    def _mend_later(self, mend: Callable[[], None]) -> None:
        self._world.clock.after(self._chance.randint(*LASTING_MS), mend)

    def _node(self) -> NodeId:
        return self._chance.choice(self._nodes)

    def _link(self) -> LinkNumber:
        return self._chance.choice(self._links)

    def _cut_link(self) -> None:
        """Cut one link between all nodes."""
        link, network = self._link(), self._world.network
        self._world.say(f"link {link} is cut")
        network.cut_link(link)
        self._mend_later(lambda: network.mend_link(link))

    def _break_end(self) -> None:
        """Take carrier, address or interface from one node's end of one link."""
        node, link, state = self._node(), self._link(), self._chance.choice(END_STATES)
        self._world.set_end(node, link, state)
        self._mend_later(lambda: self._world.set_end(node, link, LinkState.UP))

    def _part(self) -> None:
        """Part the nodes in two on every link."""
        side = set(self._chance.sample(self._nodes, self._chance.randint(1, len(self._nodes) - 1)))
        others = set(self._nodes) - side
        self._world.say(f"parted: {sorted(side)} from {sorted(others)}")
        self._world.network.part(side, others)
        self._mend_later(lambda: self._world.network.join(side, others))

    def _one_way(self) -> None:
        """Let packets of one node reach another no more, on one link."""
        sender, receiver = self._chance.sample(self._nodes, 2)
        link = self._link()
        self._world.say(f"link {link} from {sender} to {receiver} is cut")
        self._world.network.cut_one_way(sender, receiver, link)
        self._mend_later(lambda: self._world.network.mend_one_way(sender, receiver, link))

    def _lose_packets(self) -> None:
        """Lose a part of all packets."""
        share = self._chance.uniform(0.01, 0.3)
        self._world.say(f"{share:.0%} of packets are lost")
        self._world.network.set_loss(share)
        self._mend_later(lambda: self._world.network.set_loss(0.0))

    def _lose_power(self) -> None:
        self._world.lose_power(self._node())

    def _crash_daemon(self) -> None:
        self._world.crash_daemon(self._node())

    def _kill_resource(self) -> None:
        self._world.kill_resource(self._chance.choice(self._resources))

    def _toggle_standby(self) -> None:
        """Put a node into standby for a while."""
        asked, target = self._node(), self._node()
        name = self._world.machines[target].name
        self._world.clients.set_standby(asked, name, standby=True)
        self._mend_later(lambda: self._world.clients.set_standby(asked, name, standby=False))

    def _set_option(self) -> None:
        self._set_option_on(self._node())

    def _set_option_on(self, node: NodeId) -> None:
        self._options += 1
        self._world.clients.set_option(node, f"drawn-{self._options}")
