"""Play rings of many nodes on the simulator's network: what an idle node sends, how soon a dead one is missed.

The cores are the daemon's, the clock is made up, and each of two links delays a packet by at most 1 ms. What a node sends
is sealed as the daemon would, to count its bytes. Without disks, agents and what else a daemon does.
"""

import time
from dataclasses import dataclass
from random import Random

from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName
from komainu.model.link import LinkEnd
from komainu.ring.builtin import BuiltinRing
from komainu.ring.interface import (
    DeadlinePassed,
    InstallView,
    KeepPromise,
    PacketReceived,
    PromiseKept,
    RingEvent,
    SendPacket,
    Stored,
)
from komainu.ring.settings import NodeSettings, RingSettings, derive
from komainu.ring.wire import Wire
from komainu.sim.clock import Clock
from komainu.sim.network import Network, Quality

LINKS = 2
FORMED_WITHIN_MS = 60_000
HEADERS_BYTES = 42  # Ethernet, IPv4, UDP
KEY = b"a key that only benchmarks have."


class Rings:
    """A cluster of rings alone."""

    def __init__(self, count: int, seed: int, loss: float = 0.0) -> None:
        chance = Random(seed)
        nodes = tuple(
            NodeSettings(
                NodeId(node),
                NodeName(f"n{node}"),
                tuple(LinkEnd(LinkNumber(link), f"10.{link}.0.{node}") for link in range(LINKS)),
            )
            for node in range(1, count + 1)
        )
        self.clock = Clock()
        self.network = Network(self.clock, chance, self._arrive, Quality(loss=loss))
        self.settings = {node.node: RingSettings("bench", node.node, nodes) for node in nodes}
        self.rings = {
            me: BuiltinRing(settings, Incarnation(chance.getrandbits(62)), Instant(0))
            for me, settings in self.settings.items()
        }
        self.views: list[tuple[Instant, NodeId, tuple[NodeId, ...]]] = []
        self.counted: Wire | None = None  # seals what node 1 sends while it is measured
        self.datagrams = self.bytes = self.events = 0
        self._wakes: dict[NodeId, Instant] = {}
        for me in self.rings:
            self._plan(me)

    @property
    def is_whole(self) -> bool:
        """Whether all that live are in one view of all that live."""
        views = {ring.view for ring in self.rings.values()}
        return len(views) == 1 and all(view and len(view.members) == len(self.rings) for view in views)

    def run(self, for_ms: int) -> None:
        """Let time go on."""
        self.clock.run_until(Instant(self.clock.now + for_ms))

    def form(self) -> bool:
        """Run until all are in one view, and then for a while; whether that came about."""
        while not self.is_whole and self.clock.now < FORMED_WITHIN_MS:
            self.run(100)
        self.run(3_000)
        return self.is_whole

    def _feed(self, me: NodeId, event: RingEvent) -> None:
        ring = self.rings.get(me)
        if ring is None:
            return
        self.events += self.counted is not None and me == 1
        for effect in ring.handle(event, self.clock.now):
            if isinstance(effect, SendPacket):
                if self.counted is not None and me == 1:
                    sealed = self.counted.seal(effect.link, effect.peer, effect.packet)
                    self.datagrams += len(sealed)
                    self.bytes += sum(len(each) + HEADERS_BYTES for each in sealed)
                self.network.send(me, effect.peer, effect.link, effect.packet)
            elif isinstance(effect, KeepPromise):
                self._feed(me, PromiseKept(effect.counter))
            elif isinstance(effect, InstallView):
                self.views.append((self.clock.now, me, effect.view.members))
                self._feed(me, Stored(effect.position))
        self._plan(me)

    def _arrive(self, receiver: NodeId, event: PacketReceived) -> None:
        self._feed(receiver, event)

    def _plan(self, me: NodeId) -> None:
        deadline = self.rings[me].deadline
        if deadline is None or self._wakes.get(me) == deadline:
            return
        self._wakes[me] = deadline
        self.clock.at(deadline, lambda: self._wake(me, deadline))

    def _wake(self, me: NodeId, asked: Instant) -> None:
        if me in self.rings and self._wakes.get(me) == asked:
            del self._wakes[me]
            self._feed(me, DeadlinePassed())


@dataclass(frozen=True)
class Idle:
    """One node of many, when nothing happens."""

    nodes: int
    packets: float  # a second
    bytes: float  # a second, with the headers of Ethernet, IPv4 and UDP
    events: float  # a second that the core takes in: packets and its own deadlines
    cpu: float  # of the ring's core alone, % of one of this machine's cores
    missed_ms: list[int]  # from the death of a node to the view without it, on the last of the others
    promised_ms: int


def measure_size(nodes: int, times: int, seconds: int = 10) -> Idle | None:
    """Measure a ring of so many nodes; None when it did not come together."""
    world = Rings(nodes, seed=nodes)
    if not world.form():
        return None
    began = time.process_time()
    world.run(seconds * 1000)
    cpu = (time.process_time() - began) / nodes / seconds * 100
    world.counted = Wire(world.settings[NodeId(1)], key=KEY, incarnation=Incarnation(1))
    world.run(seconds * 1000)
    missed = [took for seed in range(times) if (took := time_of_detection(nodes, seed)) is not None]
    promised = derive(world.settings[NodeId(1)]).detect_within_ms
    sent = (world.datagrams / seconds, world.bytes / seconds, world.events / seconds)
    return Idle(nodes, *sent, cpu, missed, promised)


def time_of_detection(nodes: int, seed: int) -> int | None:
    """Let one node die; return when the last of the others is in a view without it."""
    world = Rings(nodes, seed)
    if not world.form():
        return None
    chance = Random(seed)
    world.run(chance.randrange(1_000))
    dead, died = NodeId(chance.randint(1, nodes)), world.clock.now
    del world.rings[dead]
    world.views.clear()
    while not world.is_whole and world.clock.now < died + FORMED_WITHIN_MS:
        world.run(10)
    return max((at for at, _, members in world.views if dead not in members), default=died) - died


def views_under_loss(nodes: int, seed: int, *, loss: float, minutes: float) -> int | None:
    """Count the views that begin while packets are lost and nobody dies; None when the ring did not form."""
    world = Rings(nodes, seed)
    if not world.form():
        return None
    world.views.clear()
    world.network.set_loss(loss)
    world.run(int(minutes * 60_000))
    return len(world.views)
