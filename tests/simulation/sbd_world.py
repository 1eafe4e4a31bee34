"""A made-up pair with shared disks as its only fence device, and watchdogs that fire as late as they may.

The readers of node/sbd.py and the agent fence_sbd are shells; what they do on a disk is played here with its times. Everything
that decides is real: the drive, the last resort, the sums of fencing/sbd.py.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from komainu.agents.fence_sbd import META_DATA
from komainu.cib.document import parse_cib, show
from komainu.fencing.interface import FenceAgentFinished, RunFenceAgent
from komainu.fencing.sbd import LOOKS_PER_TIMEOUT, Header, unread_ms_max
from komainu.model.ids import Instant, NodeId, NodeName
from komainu.node.interface import DriveEffect, ResetMachine
from komainu.ring.quorum import is_two_node
from komainu.sim.machine import Machine
from komainu.sim.race_world import RaceWorld, Tally
from komainu.sim.races import READY_WITHIN_MS
from komainu.sim.scenario import RESOURCES, make_setup

WATCHDOG_MS = 5_000
HEADER = Header()
UNREAD_MS = unread_ms_max(HEADER, WATCHDOG_MS)
LOOK_MS = WATCHDOG_MS // LOOKS_PER_TIMEOUT
A, B = NodeId(1), NodeId(2)


@dataclass(slots=True)
class Disk:
    """A shared disk: whose slot holds a pill, who reaches it, and how long it takes."""

    poisoned: set[NodeName] = field(default_factory=set)
    reaches: set[NodeId] = field(default_factory=lambda: {A, B})
    takes_ms: tuple[int, int] = (1, 50)


@dataclass(slots=True)
class Reader:
    """What one life of a node knows of the disks."""

    heard: dict[int, Instant] = field(default_factory=dict)
    had_majority: bool = False
    is_doomed: bool = False


class SbdWorld(RaceWorld):
    """Two machines, and one or three disks."""

    looks_first = True  # the agent leaves no pill while one lies in the slot of its own node
    fires_after_ms = WATCHDOG_MS

    def __init__(self, seed: int, disks: int) -> None:
        setup = make_setup(2, seed, links=1 + seed % 2)
        text = show(setup.state.cib).replace('type="fence_lab"', 'type="fence_sbd"')
        super().__init__(replace(setup, state=replace(setup.state, cib=parse_cib(text, "a test"))))
        self.disks = [Disk() for _ in range(disks)]
        self.readers: dict[tuple[NodeId, int], Reader] = {}
        self.io = Random(seed)

    def start_daemon(self, node: NodeId) -> None:
        """Start a daemon, its watchdog and its readers. What lies in its slots was for an earlier life."""
        machine = self.machines[node]
        was_running = machine.drive is not None
        super().start_daemon(node)
        if machine.drive is None or was_running:
            return
        machine.drive.last_resort.armed(WATCHDOG_MS)
        reader = self.readers[node, machine.life] = Reader()
        for number, disk in enumerate(self.disks):
            if node in disk.reaches:
                disk.poisoned.discard(machine.name)
            self._read_later(machine, reader, number)
        self.later(machine, LOOK_MS, partial(self._look, machine, reader))

    # -- the readers --------------------------------------------------------------------------------------

    def _read_later(self, machine: Machine, reader: Reader, number: int) -> None:
        disk = self.disks[number]
        took = self.io.randint(*disk.takes_ms)
        self.later(machine, took, partial(self._read, machine, reader, number))

    def _read(self, machine: Machine, reader: Reader, number: int) -> None:
        disk = self.disks[number]
        if machine.node_id in self._frozen:
            return  # its daemon was stopped for good
        if machine.node_id in disk.reaches:
            reader.heard[number] = self.now
            if machine.name in disk.poisoned:
                self._doom(machine, reader, "read a poison pill")
        self.later(machine, 1_000 * HEADER.loop_s, partial(self._read_later, machine, reader, number))

    def _look(self, machine: Machine, reader: Reader) -> None:
        drive = machine.drive
        assert drive is not None, "only a living daemon looks"
        if machine.node_id in self._frozen:
            return
        fresh = sum(at > self.now - UNREAD_MS for at in reader.heard.values())
        has_it = 2 * fresh > len(self.disks)
        reader.had_majority |= has_it
        if reader.had_majority and not has_it:
            cib, halves_stay = drive.replica.state.cib, is_two_node(drive.settings)
            reason = drive.last_resort.lost_disks(drive.ring.view, cib, halves_stay=halves_stay)
            if reason:
                self._doom(machine, reader, reason)
        self.later(machine, LOOK_MS, partial(self._look, machine, reader))

    def hang(self, node: NodeId) -> None:
        """Let a daemon stand still, with its services running on; nothing pets its watchdog any more."""
        machine = self.machines[node]
        self.freeze(node, 60_000)
        self._doom(machine, self.readers[node, machine.life], "its daemon hangs")

    def _doom(self, machine: Machine, reader: Reader, reason: str) -> None:
        if reader.is_doomed:
            return
        reader.is_doomed = True
        self.say(f"{machine.name} pets no more: {reason}")
        life = machine.life

        def fire() -> None:
            if machine.life == life and machine.is_on:
                self.lose_power(machine.node_id)

        self.clock.after(self.fires_after_ms, fire)

    def _carry(self, machine: Machine, effect: DriveEffect) -> None:
        if isinstance(effect, ResetMachine):
            self._doom(machine, self.readers[machine.node_id, machine.life], effect.reason)
        else:
            super()._carry(machine, effect)

    # -- the agent ----------------------------------------------------------------------------------------

    def _fence(self, machine: Machine, run: RunFenceAgent) -> None:
        """Leave a pill on more than half of the disks, and come back when it must have been swallowed."""
        options = dict(run.options)
        action, target = options.get("action", ""), NodeName(options.get("port", ""))
        is_strike = action in {"off", "reboot"}
        done, took = 0, 1
        for disk in self.disks if action != "metadata" else ():
            if machine.node_id not in disk.reaches:
                continue
            took += self.io.randint(*disk.takes_ms)
            if is_strike and self.looks_first and machine.name in disk.poisoned:
                continue
            if is_strike:
                self.clock.after(took, partial(self._leave_pill, disk, machine, target))
            done += 1
        is_good = action == "metadata" or 2 * done > len(self.disks)
        waits_ms = 1_000 * HEADER.msgwait_s if is_strike and is_good else 0
        finished = FenceAgentFinished(
            run=run.run,
            exit_code=0 if is_good else 1,
            timed_out=False,
            missing=False,
            output=META_DATA if action == "metadata" else "",
            error_output="" if is_good else f"only {done} of {len(self.disks)} disks",
            wall=self.wall,
        )
        self.later(machine, took + waits_ms, partial(self.give, machine, finished))

    def _leave_pill(self, disk: Disk, machine: Machine, target: NodeName) -> None:
        self.say(f"{machine.name} leaves a pill for {target}")
        disk.poisoned.add(target)


def where(world: SbdWorld) -> list[str]:
    """Name where each resource runs."""
    homes = ((resource, machine.name) for machine in world.machines.values() for resource in machine.running)
    return [f"{resource} on {name}" for resource, name in sorted(homes)]


def formed(seed: int, disks: int = 1) -> SbdWorld:
    """Make a pair that serves."""
    world = SbdWorld(seed, disks)
    for node in (A, B):
        world.boot(node)
    assert world.run_while(lambda: len(where(world)) < len(RESOURCES), at_most_ms=READY_WITHIN_MS), (
        world.trace[-50:]
    )
    world.run_until(Instant(world.now + 5_000))
    world.tally = Tally()
    world.checks.last_fault = world.now
    return world
