"""Play the file or disk that is the witness of a made-up world: the real core on each node, on storage of its own.

Decides nothing for them. `reaches` are the nodes that the storage answers; a write that fails lands all the same, now and
then, later. `restart` lets what is under way fail once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from komainu.model.ids import Instant, NodeId
from komainu.model.report import Note
from komainu.ring.interface import AskWitness, WitnessVoted
from komainu.sim.frozen import Frozen
from komainu.sim.machine import Machine
from komainu.witness.clerk import Block
from komainu.witness.lease import LIFE_BITS, Lease, Out, StartRound
from komainu.witness.slots import LEASE_MS, SLOTS, Header, Page, slot_of
from komainu.witness.voter import Part, Told

if TYPE_CHECKING:
    from komainu.sim.world import World

IO_MS: Final = (1, 12)
"""How long a read or a write takes."""

SLOW_EVERY: Final = 40
SLOW_MS: Final = (50, 400)
"""One in so many takes longer: another tenant of the storage."""

LATE_MS: Final = (1, 20_000)
"""When a write that failed lands all the same, if it does."""

BLANK: Final = Block(b"")


class SimLease:
    """The storage of one world, and each node's way to it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._header = Header(LEASE_MS, next(iter(world.settings.values())).cluster, b"u")
        self._blocks: dict[int, Block] = {}
        self._leases: dict[tuple[NodeId, int], Lease] = {}  # by node and life
        self._fails: set[NodeId] = set()
        self.reaches = set(world.machines)
        self.frozen = Frozen()  # what was read waits, and nothing is asked

    def restart(self) -> None:
        """Let each node's next round fail."""
        self._fails = set(self._world.machines)
        self._world.say("the storage of the witness fails for a moment")

    def ask(self, machine: Machine, asked: AskWitness) -> None:
        """Carry a node's wish to its lease."""
        assert machine.drive is not None, "only a living daemon asks"
        lease = self._leases.get((machine.node_id, machine.life))
        if lease is None:
            lease = Lease("w", machine.node_id, self._draw)
            self._leases[machine.node_id, machine.life] = lease
            self._wake(machine, lease)
        first = machine.drive.pair.goes_first(machine.drive.replica.state)
        part = Part(asked.view_id, asked.members, asked.nodes, first)
        self._carry_out(machine, lease, lease.ask(part, self._now(machine)))

    def _now(self, machine: Machine) -> Instant:
        return machine.clock.read(self._world.now)

    def _draw(self) -> int:
        return self._world.chance.getrandbits(LIFE_BITS) + 1

    def _carry_out(self, machine: Machine, lease: Lease, effects: Sequence[Out]) -> None:
        for effect in effects:
            match effect:
                case StartRound():
                    self._begin(machine, lease, effect)
                case Told(view=view, is_cast=is_cast, reason=reason):
                    told = WitnessVoted(view, is_cast, reason)
                    self._world.later(machine, 0, partial(self._world.give, machine, told))
                case Note(message=message):
                    self._world.say(f"{machine.name} hears: {message}")
                case _:
                    assert_never(effect)

    def _begin(self, machine: Machine, lease: Lease, start: StartRound) -> None:
        """Write, then read. A write that was begun lands also when its daemon ends."""
        world, node = self._world, machine.node_id
        written_ms = self._takes() if start.page is not None else 0
        if node not in self.reaches or node in self._fails:
            self._fails.discard(node)
            if start.page is not None and world.chance.random() < 0.5:
                world.clock.after(world.chance.randint(*LATE_MS), partial(self._land, start.page))
            failed = partial(lease.failed, "Input/output error")
            world.later(machine, written_ms, lambda: self._come_back(machine, lease, failed))
            return
        if start.page is not None:
            world.clock.after(written_ms, partial(self._land, start.page))
        world.later(machine, written_ms + self._takes(), lambda: self._read(machine, lease, start))

    def _takes(self) -> int:
        chance = self._world.chance
        return chance.randint(*(SLOW_MS if chance.randrange(SLOW_EVERY) == 0 else IO_MS))

    def _land(self, page: Page) -> None:
        self._blocks[slot_of(page.node)] = Block(msgspec.msgpack.encode(page), page)

    def _read(self, machine: Machine, lease: Lease, start: StartRound) -> None:
        slots = range(SLOTS) if start.slots is None else sorted(start.slots)
        blocks = {slot: self._blocks.get(slot, BLANK) for slot in slots}
        took = partial(lease.took, self._header, blocks)
        self._world.later(
            machine, self._world.chance.randint(*IO_MS), lambda: self._come_back(machine, lease, took)
        )

    def _come_back(self, machine: Machine, lease: Lease, took: Callable[[Instant], list[Out]]) -> None:
        """Hand what came of a round to the core, when the machine stands still no longer."""
        if not self.frozen.holds(machine.node_id, lambda: self._come_back(machine, lease, took)):
            self._carry_out(machine, lease, took(self._now(machine)))

    def _wake(self, machine: Machine, lease: Lease) -> None:
        """Wake a lease when it wants to be, in its life."""

        def wake() -> None:
            if self.frozen.holds(machine.node_id, wake):
                return
            if lease.deadline is not None and self._now(machine) >= lease.deadline:
                self._carry_out(machine, lease, lease.tick(self._now(machine)))
            self._wake(machine, lease)

        due = self._world.now + 50 if lease.deadline is None else machine.clock.when(lease.deadline)
        self._world.later(machine, max(1, min(due - self._world.now, 50)), wake)
