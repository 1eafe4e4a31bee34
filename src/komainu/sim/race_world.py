"""A pair in the simulator whose daemons can be frozen and whose fence devices have their moods.

The world in which a fence race is run (races.py). Decides nothing for the cluster.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Final

from komainu.fencing.interface import FenceAgentFinished, RunFenceAgent
from komainu.model.ids import Instant, NodeId, NodeName
from komainu.network.interface import ClientsSeen
from komainu.node.interface import DriveEffect, DriveEvent
from komainu.ring.interface import AskWitness
from komainu.sim.lease import SimLease
from komainu.sim.machine import Machine
from komainu.sim.witness import SimWitness
from komainu.sim.world import Setup, World

PAIR: Final = (NodeId(1), NodeId(2))

BOOT_MS: Final = (20_000, 40_000)
"""A machine takes so long: what it does when it is back is no part of the race, but must not begin another."""

QUICK_BOOT_MS: Final = (200, 600)
"""A small virtual machine may be back before anybody has noticed that it went."""

META_DATA: Final = """<resource-agent name="fence_lab"><parameters><parameter name="port"/></parameters>
<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/></actions>
</resource-agent>"""

CLIENTS_SEEN_MS: Final = 300
"""From the start of a daemon to its first word of its clients."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The fence devices of a race: how long they take, from when on they work, for whom, and what fails."""

    takes_ms: tuple[int, int] = (50, 400)
    works_from: Instant = Instant(0)
    serves: tuple[NodeId, ...] = PAIR
    fails_first: int = 0  # so many orders fail at once: a busy BMC, a session too many


@dataclass(slots=True)
class Tally:
    """What happened to the machines since the fault."""

    resets: list[tuple[Instant, NodeName]] = field(default_factory=list)
    unserved_since: Instant | None = None
    unserved_ms: int = 0  # the longest time in which some resource ran nowhere


class RaceWorld(World):
    """A world of two machines whose daemons can be frozen and whose fence devices have their moods."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.bench = Bench()
        self.tally = Tally()
        self.on_standby: NodeName | None = None  # it cannot run anything when it is the one that is left
        options = setup.settings[0].quorum.witness
        self.witness: SimWitness | SimLease | None = None
        if options is not None:
            self.witness = SimLease(self) if options.path else SimWitness(self)
        self.boot_ms = BOOT_MS
        self.mend_after_strike_ms: int | None = None  # from a strike until the way is mended
        self.orders_failed = 0
        self.visited: dict[NodeId, bool] = {}  # whom clients reach; who is not named knows of none
        self._frozen: dict[NodeId, list[DriveEvent]] = {}

    def freeze(self, node: NodeId, for_ms: int) -> None:
        """Let a machine stand still; what comes meanwhile waits for it."""
        machine, life = self.machines[node], self.machines[node].life
        self.say(f"{machine.name} stands still for {for_ms} ms")
        self._frozen[node] = []
        if self.witness is not None:
            self.witness.frozen.freeze(node)

        def thaw() -> None:
            missed = self._frozen.pop(node, [])
            if machine.life == life and machine.drive is not None:
                self.say(f"{machine.name} goes on")
                for event in missed:
                    self.give(machine, event)
            if self.witness is not None:
                self.witness.frozen.thaw(node)

        self.clock.after(for_ms, thaw)

    def stall(self, node: NodeId, for_ms: int) -> None:
        """Let a machine stand still for a moment, if it does not already."""
        if self.machines[node].is_on and node not in self._frozen:
            self.freeze(node, for_ms)

    def start_daemon(self, node: NodeId) -> None:
        """Start a daemon, which finds its clients after a moment, if it has any."""
        super().start_daemon(node)
        self.later(self.machines[node], CLIENTS_SEEN_MS, partial(self._tell_clients, node))

    def set_clients(self, node: NodeId, *, reached: bool) -> None:
        """Let a node's clients reach it, or not, and its probe tell."""
        self.visited[node] = reached
        self.say(f"{self.machines[node].name}: clients {'reach it' if reached else 'are gone'}")
        self._tell_clients(node)

    def _tell_clients(self, node: NodeId) -> None:
        machine = self.machines[node]
        seen = self.visited.get(node)
        knows = machine.drive is not None and machine.drive.pair.clients is not None
        if seen is not None and (seen or knows):  # targets that never answered say nothing
            self.give(machine, ClientsSeen(seen, "as the race has it"))

    def give(self, machine: Machine, event: DriveEvent) -> None:
        """Give a daemon an event, unless its machine stands still."""
        missed = self._frozen.get(machine.node_id)
        if missed is not None:
            missed.append(event)
            return
        super().give(machine, event)

    def lose_power(self, node: NodeId, *, boot_again: bool = True) -> None:
        """Take a machine's power, and count it."""
        if self.machines[node].is_on:
            self.tally.resets.append((self.now, self.machines[node].name))
            self._frozen.pop(node, None)
        super().lose_power(node, boot_again=False)
        if boot_again:
            self.clock.after(self.chance.randint(*self.boot_ms), lambda: self.boot(node))

    def _carry(self, machine: Machine, effect: DriveEffect) -> None:
        if isinstance(effect, RunFenceAgent):
            self._fence(machine, effect)
        elif isinstance(effect, AskWitness) and self.witness is not None:
            self.witness.ask(machine, effect)
        else:
            super()._carry(machine, effect)

    def _fence(self, machine: Machine, run: RunFenceAgent) -> None:
        """Run a fence device. It acts at the end of its time, even when who asked it is gone by then."""
        options = dict(run.options)
        action, target = options.get("action", ""), self.by_name.get(NodeName(options.get("port", "")))
        works = self.now >= self.bench.works_from and machine.node_id in self.bench.serves
        if action in {"off", "reboot"} and works and self.orders_failed < self.bench.fails_first:
            self.orders_failed, works = self.orders_failed + 1, False
        is_good = works or action == "metadata"
        took = self.chance.randint(*self.bench.takes_ms)
        if action in {"off", "reboot"} and self.mend_after_strike_ms is not None:
            self.clock.after(self.mend_after_strike_ms, partial(self.network.join, {PAIR[0]}, {PAIR[1]}))
            self.mend_after_strike_ms = None

        def act() -> None:
            if is_good and action in {"off", "reboot"} and target is not None:
                self.say(f"{machine.name} fences {target.name}")
                self.lose_power(target.node_id)

        def finish() -> None:
            is_off = action == "status" and target is not None and not target.is_on
            code = (2 if is_off else 0) if is_good else 1
            said = "" if is_good else "the device does not answer"
            output = META_DATA if action == "metadata" else ""
            self.give(
                machine,
                FenceAgentFinished(
                    run=run.run,
                    exit_code=code,
                    timed_out=False,
                    missing=False,
                    output=output,
                    error_output=said,
                    wall=self.wall,
                ),
            )

        self.clock.after(took, act)
        self.later(machine, took + 1, finish)
