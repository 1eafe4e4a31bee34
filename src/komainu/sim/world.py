"""Run a whole cluster of real drives in one process: their machines, network, disks, agents and power are made up.

Nothing here decides for the cluster. It carries out what each drive wants, as the shells of the daemon would,
but on a virtual clock and with faults; after each event the checkers (sim/checks.py) look at the truth. The
same seed gives the same run, to the byte, on any machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, assert_never

from komainu.cib.durable import load, without_status
from komainu.cib.element import Element
from komainu.cib.state import ClusterState
from komainu.executor.interface import DescribeAgent, RunAgent, StopWatching
from komainu.fencing.interface import RunFenceAgent
from komainu.model.ids import Incarnation, Instant, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkState
from komainu.model.plan import Plan
from komainu.model.report import Note
from komainu.network.interface import AddAddress, FindCulprit, RemoveAddress, UseInterface
from komainu.node.groups import TellProgram
from komainu.node.interface import (
    AcceptKey,
    Answer,
    AppendRecord,
    DeadlinePassed,
    DrawKey,
    DriveEffect,
    DriveEvent,
    Exit,
    Persist,
    Persisted,
    PersistFailed,
    PlanArrived,
    PlanBeside,
    ResetMachine,
    UseKey,
    UseLayout,
    WriteLayout,
)
from komainu.node.reconfiguration import is_removed, newer_settings
from komainu.ring.corosync.interface import LeaveGroup, Multicast, Reconnect
from komainu.ring.interface import (
    AskWitness,
    KeepPromise,
    PacketReceived,
    PeerRefused,
    PromiseKept,
    SendPacket,
)
from komainu.ring.quorum import majorities_meet
from komainu.ring.settings import RingSettings
from komainu.scheduler.plan import plan
from komainu.scheduler.remembered import Remembered
from komainu.sim import agents, wires
from komainu.sim.checks import Checks, fail
from komainu.sim.clients import Clients
from komainu.sim.clock import Clock
from komainu.sim.machine import Machine
from komainu.sim.network import Network
from komainu.sim.noise import Noise
from komainu.sim.observer import Observer, WatchedDrive

EPOCH_MS: Final = 1_700_000_000_000
"""The wall clock at the beginning of every world."""

DISK_MS: Final = (1, 25)
BOOT_MS: Final = (3_000, 9_000)

PLANNED_TWICE_EVERY: Final = 3
"""Every so many plans are made twice, to see that they are equal."""

FAREWELL_STORED_MS: Final = 2_000
"""After that a farewell is on the disk of all who heard it: of a slow one, too."""

PLAN_MS: Final = (1, 6_000)
"""How long a plan takes where plans are made beside the loop: what a small and a large cluster need."""

PLANNER_BREAKS_EVERY: Final = 20
"""Of so many plans made beside the loop, about one ends with its process."""

RESTART_MS: Final = (200, 3_000)
"""How soon a daemon that ended is started again by its machine."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a world is made of."""

    settings: tuple[RingSettings, ...]  # one per node, in order of ids
    state: ClusterState  # on every disk at the beginning
    seed: int


class World:
    """A cluster, its machines, and everything around them."""

    def __init__(self, setup: Setup) -> None:
        self.chance = Random(setup.seed)
        self.clock = Clock()
        self.settings = {settings.me: settings for settings in setup.settings}
        self.machines = {settings.me: Machine(settings.me, _name(settings)) for settings in setup.settings}
        self.by_name = {machine.name: machine for machine in self.machines.values()}
        self.network = Network(
            self.clock,
            Random(self.chance.getrandbits(64)),
            deliver=self._arrive,
        )
        self.noise = Noise(self.settings, Random(self.chance.getrandbits(64)))
        self.network.lets_through = self.noise.lets_through
        self.checks = Checks()
        self.observer = Observer(self)
        self.devices = agents.Devices.WELL
        self.hosts_answer = self.chance.random() < 0.5  # that nobody listens on a port (ICMP)
        self.operator_is_busy = False  # with a change of nodes and links, which takes several steps
        self.plans_made = 0
        self.plans_beside = False  # take every plan for a heavy one
        self.remembered = Remembered()
        self.events = 0
        self.trace: list[str] = []
        self._initial = setup.state
        self.clients = Clients(self)
        self._wakes: dict[NodeId, Instant] = {}
        self.observer.measure()

    # -- time -------------------------------------------------------------------------------------------

    @property
    def now(self) -> Instant:
        """The world's time. Each machine has a clock of its own, which may not agree."""
        return self.clock.now

    @property
    def wall(self) -> WallTime:
        """The world's wall clock."""
        return WallTime(EPOCH_MS + self.now)

    def wall_of(self, machine: Machine) -> WallTime:
        """Return what a machine takes for the date and time."""
        return WallTime(EPOCH_MS + machine.clock.read(self.now) + machine.clock.wall_error_ms)

    def run_until(self, moment: Instant) -> None:
        """Let the world go on until this moment."""
        self.clock.run_until(moment)

    def run_while(self, claim: Callable[[], bool], *, at_most_ms: int) -> bool:
        """Go on while the claim holds; true when it ended in time."""
        end = Instant(self.now + at_most_ms)
        while claim():
            if self.now >= end:
                return False
            self.run_until(Instant(min(end, self.now + 50)))
        return True

    # -- machines ---------------------------------------------------------------------------------------

    def boot(self, node: NodeId) -> None:
        """Switch a machine on and start its daemon."""
        machine = self.machines[node]
        if not machine.is_on:
            machine.is_on = True
            self.say(f"{machine.name} boots")
        self.start_daemon(node)

    def start_daemon(self, node: NodeId) -> None:
        """Start the daemon of a machine that is on, from what its disk holds."""
        machine = self.machines[node]
        if not machine.is_on or machine.drive is not None:
            return
        text = machine.disk.text
        state = self._initial if text is None else load(text)
        if is_removed(self.settings[node], state.layout):
            return
        settings = newer_settings(self.settings[node], state.layout) or self.settings[node]
        state = without_status(state, keeps_down=majorities_meet(settings))
        machine.life += 1
        machine.left_at = None
        self.observer.disturbed()
        machine.drive = drive = WatchedDrive(
            self.settings[node],
            state=state,
            incarnation=Incarnation(self.chance.getrandbits(62) + 1),
            history=(),
            make_plan=lambda state, wall: _plan(self, state.cib, wall),
            now=machine.clock.read(self.now),
            wall=self.wall_of(machine),
            promised=machine.disk.promised,
        )
        if self.plans_beside:
            drive.coordination.outlook.light_max = -1
        drive.watch = partial(self.observer.took, machine)
        self._carry_out(machine, machine.drive.start())
        for event in wires.dump(self.network, node, settings.of(node).ends):
            self.give(machine, event)
        self.give(machine, machine.look())

    def lose_power(self, node: NodeId, *, boot_again: bool = True) -> None:
        """Take a machine's power; by and by it is switched on again."""
        machine = self.machines[node]
        if machine.is_on:
            self.say(f"{machine.name} loses power")
            machine.lose_power()
            _forget_farewells(self)
            self.observer.disturbed()
            if boot_again:
                self.clock.after(self.chance.randint(*BOOT_MS), lambda: self.boot(node))

    def crash_daemon(self, node: NodeId) -> None:
        """Kill a daemon; what it started keeps running, and it is started again."""
        machine = self.machines[node]
        if machine.drive is not None:
            self.say(f"the daemon of {machine.name} is killed")
            self._end_daemon(machine)

    def _end_daemon(self, machine: Machine) -> None:
        """Let a daemon be gone, and have its machine start it again."""
        machine.end_daemon()
        _forget_farewells(self)
        self.observer.disturbed()
        moment = max(self.now + self.chance.randint(*RESTART_MS), machine.stays_away_until)
        self.clock.at(Instant(moment), lambda: self.start_daemon(machine.node_id))

    def set_end(self, node: NodeId, link: LinkNumber, state: LinkState) -> None:
        """Put a machine's own end of a link into a state, as the kernel would tell it."""
        machine = self.machines[node]
        self.network.set_end(node, link, state)
        self.say(f"{machine.name}'s end of link {link}: {state.value}")
        end = next(end for end in self.settings[machine.node_id].of(machine.node_id).ends if end.link == link)
        for event in wires.events_of(end, state):
            self.give(machine, event)

    # -- events and effects -----------------------------------------------------------------------------

    def give(self, machine: Machine, event: DriveEvent) -> None:
        """Give a daemon an event, carry out what it wants, and look at the result."""
        if machine.drive is None:
            return
        if machine.waiting is not None:
            machine.keep_for_later(event)
            return
        self.events += 1
        now = machine.clock.read(self.clock.now)
        wall = WallTime(EPOCH_MS + now + machine.clock.wall_error_ms)
        self._carry_out(machine, machine.drive.handle(event, now, wall))
        self.observer.stepped(machine)
        self.checks.one_copy(self.machines.values(), self.now)
        if self.checks.planner_fault:
            # Told here, since the coordinator survives a planner that breaks, and would hide it.
            fail("S5", self.now, self.checks.planner_fault)

    def _carry_out(self, machine: Machine, effects: list[DriveEffect]) -> None:
        for effect in effects:
            self._carry(machine, effect)
            if machine.drive is None:
                return
        self.wake(machine)

    def _carry(self, machine: Machine, effect: DriveEffect) -> None:
        match effect:
            case SendPacket(link=link, peer=peer, packet=packet):
                self.network.send(machine.node_id, peer, link, packet)
            case RunAgent():
                agents.run_agent(self, machine, effect)
            case DescribeAgent():
                agents.describe_agent(self, machine, effect)
            case (
                StopWatching()
                | FindCulprit()
                | AddAddress()
                | RemoveAddress()
                | AskWitness()
                | DrawKey()
                | AcceptKey()
                | UseKey()
            ):
                pass
            case UseInterface(link=link, by_frames=by_frames):
                self.network.use_frames(machine.node_id, link, wanted=by_frames)
            case PlanBeside():
                self.later(
                    machine, self.chance.randint(*PLAN_MS), partial(_plan_beside, self, machine, effect)
                )
            case RunFenceAgent():
                agents.run_fence_agent(self, machine, effect)
            case Persist() | KeepPromise():
                _write(self, machine, effect)
            case AppendRecord(record=record):
                self.observer.recorded(machine, record)
                machine.records.append(record)
            case Answer(client=client, reply=reply):
                self.clients.answered(machine.node_id, client, reply)
            case Exit(code=code, reason=reason):
                self.say(f"the daemon of {machine.name} ends with {code}: {reason}")
                is_excused = not code or machine.disk.is_full
                is_heard = _is_heard(self, machine)
                self._end_daemon(machine)
                machine.left_at = self.now if not code and not machine.running and is_heard else None
                if not is_excused:
                    fail("S4", self.now, f"the daemon of {machine.name} exited with {code}: {reason}")
            case ResetMachine(reason=reason):
                self.say(f"{machine.name} is reset: {reason}")
                self.lose_power(machine.node_id)
            case Note(level=level, message=message):
                self.say(f"{machine.name} {level.value}: {message}")
            case WriteLayout(settings=settings):
                self.settings[machine.node_id] = settings
            case UseLayout(settings=settings):
                for event in wires.dump(self.network, machine.node_id, settings.of(settings.me).ends):
                    self.later(machine, 0, partial(self.give, machine, event))
            case TellProgram():
                pass  # no programs are simulated
            case Multicast() | LeaveGroup() | Reconnect():
                raise AssertionError("the simulated machines run the builtin ring")
            case _:
                assert_never(effect)

    def _arrive(self, receiver: NodeId, received: PacketReceived) -> None:
        machine = self.machines[receiver]
        if machine.drive is not None:
            self.give(machine, received)
        elif (
            machine.is_on
            and self.hosts_answer
            and self.network.carries(receiver, received.peer, received.link)
        ):
            self.give(self.machines[received.peer], PeerRefused(received.link, receiver))

    def later(self, machine: Machine, delay_ms: int, act: Callable[[], None]) -> None:
        """Do something later, unless the daemon's life ends before."""
        life = machine.life
        self.clock.after(delay_ms, lambda: act() if machine.life == life else None)

    def wake(self, machine: Machine) -> None:
        """See that a daemon is woken in time. One that is woken too early, as its deadline moved, is armed anew then."""
        assert machine.drive is not None, "only a living daemon has a timer"
        deadline = machine.drive.deadline
        if deadline is None:
            return
        moment = max(machine.clock.when(deadline), self.now)
        armed = self._wakes.get(machine.node_id)
        if armed is None or moment < armed:
            self._wakes[machine.node_id] = moment
            self.clock.at(moment, partial(self._ring, machine, moment))

    def _ring(self, machine: Machine, armed: Instant) -> None:
        """Wake a daemon, if this is its newest timer, and it does not stand still: then it looks when it goes on."""
        if self._wakes.get(machine.node_id) != armed:
            return
        del self._wakes[machine.node_id]
        if machine.drive is None or machine.waiting is not None:
            return
        due = machine.drive.deadline
        if due is not None and due <= machine.clock.read(self.now):
            self.give(machine, DeadlinePassed())
        else:
            self.wake(machine)

    # -- the rest ---------------------------------------------------------------------------------------

    def say(self, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.now / 1000:9.3f} {what}")


def _write(world: World, machine: Machine, effect: Persist | KeepPromise) -> None:
    """Let a disk take its time."""
    if isinstance(effect, Persist):
        machine.disk.writing[effect.token] = effect.text
    took = world.chance.randint(*DISK_MS) * machine.disk.slowness
    world.later(machine, took, partial(_written, world, machine, effect))


def _written(world: World, machine: Machine, effect: Persist | KeepPromise) -> None:
    disk = machine.disk
    if disk.is_full:
        token = effect.token if isinstance(effect, Persist) else 0
        world.give(machine, PersistFailed(token, "no space left on device"))
    elif isinstance(effect, KeepPromise):
        disk.promised = max(disk.promised, effect.counter)
        world.give(machine, PromiseKept(effect.counter))
    elif disk.finish(effect.token):
        world.give(machine, Persisted(effect.token))


def _forget_farewells(world: World) -> None:
    """A daemon ended: what it had just heard may not be on its disk yet, so nobody need know of it."""
    for machine in world.machines.values():
        if machine.left_at is not None and world.now - machine.left_at < FAREWELL_STORED_MS:
            machine.left_at = None


def _is_heard(world: World, leaver: Machine) -> bool:
    """Whether a farewell comes to somebody who knows the cluster's state, and so can hand it on."""
    view = None if leaver.drive is None else leaver.drive.ring.view
    if view is None or not view.quorate or not world.network.is_whole:
        return False
    return any(world.machines[node].drive is not None for node in view.members if node != leaver.node_id)


def _name(settings: RingSettings) -> NodeName:
    return next(node.name for node in settings.nodes if node.node == settings.me)


def _plan_beside(world: World, machine: Machine, wanted: PlanBeside) -> None:
    """Give a machine the plan that it had made beside its loop, unless that broke."""
    arrived = PlanArrived(wanted.number, None, fault="its process ended", is_passing=True)
    if world.chance.randrange(PLANNER_BREAKS_EVERY):
        arrived = PlanArrived(wanted.number, _plan(world, wanted.cib, wanted.wall))
    world.give(machine, arrived)


def _plan(world: World, cib: Element, wall: WallTime) -> Plan:
    """Plan, and hold the planner to its promise that equal input gives equal plans (S5).

    The plan uses what is remembered of earlier ones, as the daemon's do; the second starts from nothing.
    """
    world.plans_made += 1
    try:
        made = again = plan(cib, wall // 1000, remembered=world.remembered)
        if world.plans_made % PLANNED_TWICE_EVERY == 0:
            again = plan(cib, wall // 1000)
    except Exception as error:
        world.checks.planner_fault = f"the planner broke: {type(error).__name__}: {error}"
        raise
    if made != again:
        world.checks.planner_fault = "the same state gave two plans"
    return made
