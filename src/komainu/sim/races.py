"""Draw one fence race from a seed: a pair that loses sight of each other, and what must come of it.

Each race is one fault, or several that strike together, on a pair in one of many situations: which side runs the
service, whether it is being moved at that moment, one link or two, how fast the fence device is and whom it serves.
What must hold (docs/concepts/two-nodes.md): at most one machine is reset, exactly one side goes on, and it runs all.
Decides nothing for the cluster; everything it does is what sim/world.py can do to it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Final

from komainu.cib.element import Element
from komainu.cib.pairs import set_pair
from komainu.cib.tree import replace_child, update_at
from komainu.model.ids import Instant, NodeId, NodeName, ResourceId
from komainu.model.link import LinkState
from komainu.ring.settings import QuorumOptions, WitnessOptions, derive
from komainu.sim.checks import SafetyViolated, fail
from komainu.sim.lease import SimLease
from komainu.sim.machine import Machine
from komainu.sim.race_world import PAIR, QUICK_BOOT_MS, Bench, RaceWorld, Tally
from komainu.sim.scenario import RESOURCES, make_setup, trouble
from komainu.sim.witness import SimWitness

PRECIOUS: Final = ResourceId("db")
"""What runs apart from the other two resources while both nodes are there."""

READY_WITHIN_MS: Final = 30_000
"""By then a pair without faults has formed and runs its service."""

DECIDED_WITHIN_MS: Final = 150_000
"""A device that is dead at first, the longest turns of a single link, and a boot lie within it."""

STALL_MS: Final = (130, 240)
"""The host takes the processors away for a moment: longer than a beat, shorter than what a lead has no room for."""

CLIENTS_FAULT_MS: Final = 1_500
"""The loss of clients and that of the peer lie so far apart at most: they are one fault."""

CALM_MS: Final = 12_000
"""How long a decision must stand until it is believed: longer than any pause between two fencings."""


@dataclass(frozen=True, slots=True)
class RaceOutcome:
    """What came of one race."""

    seed: int
    kind: str
    situation: str
    resets: tuple[NodeName, ...]
    survivors: tuple[NodeName, ...]
    decided_ms: int
    unserved_ms: int


# -- faults ---------------------------------------------------------------------------------------------


class Fault:
    """The faults that a race can begin with, each drawn from the seed."""

    def __init__(self, world: RaceWorld, chance: Random) -> None:
        self.world = world
        self.chance = chance
        self.links = sorted({end.link for end in world.settings[PAIR[0]].of(PAIR[0]).ends})
        self.does_last = True  # the nodes do not see each other again by themselves
        self.cut_off: NodeId | None = None  # who cannot be reached by clients, while the other one can
        self.knows_first = True  # that it lost its clients, before it lost its peer

    def switches_go_dark(self) -> None:
        """Nothing passes on any link, and every carrier stays."""
        self.world.network.part({PAIR[0]}, {PAIR[1]})

    def switches_go_dark_one_after_the_other(self) -> None:
        """As before, but with time between."""
        for link in self.links:
            self.world.clock.after(self.chance.randint(0, 3_000), partial(self.world.network.cut_link, link))

    def cables_are_pulled(self) -> None:
        """Every end of every link loses its carrier at once, as with direct cables."""
        for node in PAIR:
            self._lose_ends(node, 0)

    def one_node_is_unplugged(self) -> None:
        """One node loses all its carriers within a moment; the other one hears nothing."""
        node = self._node()
        self._lose_ends(node, 300, and_clients=True)
        if self.world.witness is not None:
            self.world.witness.reaches = set(PAIR) - {node}  # with nobody it would be a second fault

    def both_nodes_are_unplugged_one_after_the_other(self) -> None:
        """Every end of every link loses its carrier, at different moments."""
        for node in PAIR:
            self._lose_ends(node, 3_000, and_clients=True)

    def a_duct_is_cut(self) -> None:
        """A direct cable loses its carrier on both ends while the way between two switches goes silent."""
        for node in PAIR:
            self.world.set_end(node, self.links[0], LinkState.NO_CARRIER)
        for link in self.links[1:]:
            self.world.network.cut_link(link)

    def a_cable_is_pulled_then_a_switch_goes_dark(self) -> None:
        """A direct cable loses its carrier; the other links go silent a moment later."""
        for node in PAIR:
            self.world.set_end(node, self.links[0], LinkState.NO_CARRIER)
        for link in self.links[1:]:
            self.world.clock.after(self.chance.randint(0, 2_000), partial(self.world.network.cut_link, link))

    def one_way_only(self) -> None:
        """One node's packets reach the other no more."""
        sender, receiver = self.chance.sample(PAIR, 2)
        self.world.network.cut_one_way(sender, receiver)

    def the_way_flaps(self) -> None:
        """Everything is cut and comes back, again and again, then stays."""
        self.does_last = False
        moment = 0
        for _ in range(self.chance.randint(1, 5)):
            self.world.clock.after(moment, partial(self.world.network.part, {PAIR[0]}, {PAIR[1]}))
            moment += self.chance.randint(200, 6_000)
            self.world.clock.after(moment, partial(self.world.network.join, {PAIR[0]}, {PAIR[1]}))
            moment += self.chance.randint(100, 3_000)

    def addresses_are_taken(self) -> None:
        """Somebody flushes the addresses of one node, or of both."""
        nodes = self.chance.choice((PAIR, (self._node(),)))
        for node in nodes:
            for link in self.links:
                self.world.set_end(node, link, LinkState.NO_ADDRESS)

    def a_node_loses_its_power(self) -> None:
        """It stays off: the other one cannot know, and must fence it before it takes over."""
        self.does_last = False
        self.world.lose_power(self._node(), boot_again=False)

    def a_daemon_is_killed(self) -> None:
        """The machine and its resources go on without it; it is started again by and by."""
        self.does_last = False
        self.world.crash_daemon(self._node())

    def a_machine_freezes(self) -> None:
        """It stands still for a while and then goes on as if nothing had been."""
        self.does_last = False
        self.world.freeze(self._node(), self.chance.randint(500, 8_000))

    def the_way_is_back_before_the_device_strikes(self) -> None:
        """A slow device is at work when the nodes hear each other again: what was begun cannot be called back."""
        self.does_last = False
        self.world.bench = replace(self.world.bench, takes_ms=(1_500, 4_000))
        self.world.boot_ms = QUICK_BOOT_MS
        self.world.network.part({PAIR[0]}, {PAIR[1]})
        self.world.mend_after_strike_ms = self.chance.randint(0, 1_200)

    def one_node_loses_its_clients(self) -> None:
        """The way between the nodes goes dark, and about then one of them is cut off from its clients."""
        self.cut_off = self._node()
        self._lose_clients((self.cut_off,))

    def the_gateway_is_gone_for_both(self) -> None:
        """The switch that all hangs on dies: no peer, no gateway, every carrier up."""
        self._lose_clients(PAIR)

    def _lose_clients(self, nodes: tuple[NodeId, ...]) -> None:
        part = partial(self.world.network.part, {PAIR[0]}, {PAIR[1]})
        parted_ms = self.chance.randint(0, CLIENTS_FAULT_MS)
        self.world.clock.after(parted_ms, part)
        for node in nodes:
            lose = partial(self.world.set_clients, node, reached=False)
            lost_ms = self.chance.randint(0, CLIENTS_FAULT_MS)
            self.knows_first = self.knows_first and lost_ms < parted_ms
            self.world.clock.after(lost_ms, lose)

    def _node(self) -> NodeId:
        return self.chance.choice(PAIR)

    def _lose_ends(self, node: NodeId, within_ms: int, *, and_clients: bool = False) -> None:
        if and_clients and node in self.world.visited:
            gone = partial(self.world.set_clients, node, reached=False)
            self.world.clock.after(self.chance.randint(0, within_ms), gone)
        for link in self.links:
            lose = partial(self.world.set_end, node, link, LinkState.NO_CARRIER)
            self.world.clock.after(self.chance.randint(0, within_ms), lose)


def the_smaller_service_has_the_priority(fault: Fault) -> None:
    """Each node runs something as the way goes dark, and the one that runs less runs what matters more."""
    fault.switches_go_dark()


KINDS: Final[tuple[Callable[[Fault], None], ...]] = (
    Fault.switches_go_dark,
    Fault.switches_go_dark_one_after_the_other,
    Fault.cables_are_pulled,
    Fault.one_node_is_unplugged,
    Fault.both_nodes_are_unplugged_one_after_the_other,
    Fault.a_duct_is_cut,
    Fault.a_cable_is_pulled_then_a_switch_goes_dark,
    Fault.one_way_only,
    Fault.the_way_flaps,
    Fault.addresses_are_taken,
    Fault.a_node_loses_its_power,
    Fault.a_daemon_is_killed,
    Fault.a_machine_freezes,
    Fault.the_way_is_back_before_the_device_strikes,
    Fault.one_node_loses_its_clients,
    Fault.the_gateway_is_gone_for_both,
    the_smaller_service_has_the_priority,
)

ABOUT_CLIENTS: Final = (Fault.one_node_loses_its_clients, Fault.the_gateway_is_gone_for_both)


# -- one race -------------------------------------------------------------------------------------------


def run_race(
    seed: int, *, witness: WitnessOptions | None = None, plans_beside: bool = False, stalls: int = 0
) -> RaceOutcome:
    """Run the race of this seed. Raises SafetyViolated, with its trace, when it does not end as it must.

    `witness`: with one; with a path it is on storage. `plans_beside`: every plan takes its time, most of them longer than
    a turn is open. `stalls`: so often each machine stands still for a moment about when the way is lost.
    """
    chance = Random(seed)
    kind = KINDS[seed % len(KINDS)]
    setup = make_setup(2, seed, links=chance.choice((1, 2, 2)))
    if witness is not None:
        quorum = QuorumOptions(witness=witness)
        setup = replace(setup, settings=tuple(replace(each, quorum=quorum) for each in setup.settings))
    if kind is the_smaller_service_has_the_priority:
        setup = replace(setup, state=replace(setup.state, cib=_with_priority(setup.state.cib)))
    world = RaceWorld(setup)
    world.plans_beside = plans_beside
    name = kind.__name__.replace("_", " ")
    try:
        return _race(world, chance, kind, seed, stalls)
    except (SafetyViolated, AssertionError) as error:
        story = "\n".join(world.trace[-300:])
        raise SafetyViolated(f"race {seed}, {name}: {error}\n{story}") from error


def _race(
    world: RaceWorld, chance: Random, kind: Callable[[Fault], None], seed: int, stalls: int
) -> RaceOutcome:
    for node in PAIR:
        world.boot(node)
    if not world.run_while(lambda: trouble(world) != "", at_most_ms=READY_WITHIN_MS):
        fail("liveness", world.now, f"the pair did not form: {trouble(world)}")
    situation = _situation(world, chance)
    fault = Fault(world, chance)
    if world.witness is not None:
        # A device that the chosen side cannot use, or a witness that only the dead one reached, is a second fault.
        world.bench = replace(world.bench, serves=PAIR)
        if kind is not Fault.a_node_loses_its_power:
            situation += _witness_situation(world, world.witness, chance)
    if kind is Fault.a_node_loses_its_power:
        world.bench = replace(world.bench, serves=PAIR)  # the one that is left must be served
    situation += _clients_situation(world, chance, kind)
    world.tally = Tally()
    world.checks.last_fault = began = world.now
    world.say(f"the race begins: {kind.__name__}, {situation}")
    kind(fault)
    _let_stall(world, Random(seed), stalls)
    winner = _rightful(world, fault, kind) if stalls < 2 else None  # else it may come too late for its turn
    decided = _run_to_decision(world, is_split=lambda: fault.does_last)
    resets = tuple(name for _, name in world.tally.resets)
    if len(resets) > 1:
        fail("S4", world.now, f"{len(resets)} resets for one fault: {', '.join(resets)}")
    if winner is not None and winner in resets:
        fail("two-nodes", world.now, f"{winner} should have gone on")
    return RaceOutcome(
        seed,
        kind.__name__.replace("_", " "),
        situation,
        resets,
        tuple(machine.name for machine in survivors(world)),
        decided - began,
        world.tally.unserved_ms,
    )


def _let_stall(world: RaceWorld, chance: Random, times: int) -> None:
    """Let each machine stand still, so often, before it can have noticed the loss of its peer."""
    for node in PAIR * times:
        at_ms = chance.randrange(derive(world.settings[node]).convict_ms)
        world.clock.after(at_ms, partial(world.stall, node, chance.randint(*STALL_MS)))


def _situation(world: RaceWorld, chance: Random) -> str:
    """Bring the pair into one of the situations that a fault may meet, and say which."""
    words = [f"{len(world.settings[PAIR[0]].of(PAIR[0]).ends)} links"]
    home = chance.choice(("as it began", "on a", "on b", "being moved"))
    if home != "as it began":
        leaves = world.machines[PAIR[1] if home == "on a" else PAIR[0]].name
        world.clients.set_standby(PAIR[0], leaves, standby=True)
        if home == "being moved":
            world.on_standby = leaves
            world.run_until(Instant(world.now + chance.randrange(300)))
        else:
            world.run_until(Instant(world.now + 5_000))
            world.clients.set_standby(PAIR[0], leaves, standby=False)
            world.run_until(Instant(world.now + 5_000))
    words.append(f"service {home}")
    match chance.randrange(6):
        case 0:
            world.bench = Bench(works_from=Instant(world.now + chance.randint(500, 20_000)))
            words.append("the device is dead at first")
        case 1:
            served = chance.choice(PAIR)
            world.bench = Bench(serves=(served,))
            words.append(f"the device answers {world.machines[served].name} only")
        case 2:
            world.bench = Bench(fails_first=2)
            words.append("the device fails at first")
        case _:
            words.append("a good device")
    return ", ".join(words)


def _clients_situation(world: RaceWorld, chance: Random, kind: Callable[[Fault], None]) -> str:
    """Let a third of the pairs know of clients, and those whose race is about them."""
    if kind not in ABOUT_CLIENTS and chance.randrange(3):
        return ""
    for node in PAIR:
        world.set_clients(node, reached=True)
    world.run_until(Instant(world.now + 2_000))
    return ", clients are known"


def _rightful(world: RaceWorld, fault: Fault, kind: Callable[[Fault], None]) -> NodeName | None:
    """Name the side that has to go on, where that follows from what is known; None elsewhere."""
    if world.bench != Bench() or world.witness is not None or world.on_standby is not None:
        return None
    if kind is Fault.one_node_loses_its_clients and fault.knows_first:
        return next(world.machines[node].name for node in PAIR if node != fault.cut_off)
    if kind is the_smaller_service_has_the_priority and _have_named(world):
        return next((each.name for each in world.machines.values() if PRECIOUS in each.running), None)
    return None


def _have_named(world: RaceWorld) -> bool:
    """Whether both nodes know of somebody who goes first: a pair that has just begun to serve has not agreed on it yet."""
    drives = [machine.drive for machine in world.machines.values() if machine.drive is not None]
    return all(drive.pair.goes_first(drive.replica.state) is not None for drive in drives)


def _with_priority(cib: Element) -> Element:
    """Give the resource that runs apart from the others a priority that outweighs them."""

    def mark(resources: Element) -> Element:
        precious = next(each for each in resources.children if each.id == PRECIOUS)
        marked = set_pair(precious, "meta_attributes", f"{PRECIOUS}-meta", "priority", "10")
        return replace_child(resources, precious, marked)

    return update_at(cib, ("configuration", "resources"), mark)


def _witness_situation(world: RaceWorld, witness: SimWitness | SimLease, chance: Random) -> str:
    """Let the witness be seen by both, by one side only, or be started anew while the race is on."""
    if isinstance(witness, SimLease):
        # A member that was never seen to write may have another file: before that, its storage is a second fault.
        world.run_until(Instant(world.now + 10_000))
    match chance.randrange(4):
        case 0:
            seen_by = chance.choice(PAIR)
            witness.reaches = {seen_by}
            world.run_until(Instant(world.now + 3_000))
            return f", only {world.machines[seen_by].name} reaches the witness"
        case 1:
            world.clock.after(chance.randrange(3_000), witness.restart)
            return ", the witness is started anew"
        case _:
            return ", a good witness"


def survivors(world: RaceWorld) -> list[Machine]:
    """Give the machines whose daemons have quorum and wait for nobody to be fenced."""
    found = []
    for machine in world.machines.values():
        drive = machine.drive
        if (
            drive is None
            or drive.ring.view is None
            or not drive.ring.view.quorate
            or not drive.replica.is_synced
        ):
            continue
        if drive.coordination.doing() in {"", "idle"}:
            found.append(machine)
    return found


def undecided(world: RaceWorld, *, is_split: bool) -> str:
    """Say what is still missing for exactly one side that goes on with everything; "" when nothing is."""
    alive = survivors(world)
    for resource in RESOURCES if [machine.name for machine in alive] != [world.on_standby] else ():
        if not any(resource in machine.running for machine in world.machines.values()):
            return f"{resource} runs nowhere"
    views = {
        machine.drive.ring.view.view_id for machine in alive if machine.drive and machine.drive.ring.view
    }
    if len(views) != 1:
        return f"{len(views)} sides go on"
    if is_split and len(alive) == 1 and any(m.running for m in world.machines.values() if m is not alive[0]):
        return "the other side still runs something"
    if is_split and len(alive) != 1:
        return "nobody gave way"
    return ""


def _run_to_decision(world: RaceWorld, is_split: Callable[[], bool]) -> Instant:
    """Go on until one side has stood as the only one for a while; return when that began."""
    end = Instant(world.now + DECIDED_WITHIN_MS)
    since: Instant | None = None
    while True:
        lacking = undecided(world, is_split=is_split())
        _watch_service(world)
        if lacking:
            since = None
            if world.now >= end:
                fail("liveness", world.now, f"no decision: {lacking}")
        else:
            since = since or world.now
            if world.now - since >= CALM_MS:
                return since
        world.run_until(Instant(world.now + 50))


def _watch_service(world: RaceWorld) -> None:
    """Measure how long some resource runs nowhere."""
    tally = world.tally
    runs = all(any(r in machine.running for machine in world.machines.values()) for r in RESOURCES)
    if runs:
        tally.unserved_since = None
        return
    tally.unserved_since = tally.unserved_since or world.now
    tally.unserved_ms = max(tally.unserved_ms, world.now - tally.unserved_since)
