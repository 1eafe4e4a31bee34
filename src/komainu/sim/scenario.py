"""Run one seed: a cluster with a service on it, faults drawn from the seed, and the end it must come to.

A run ends when the cluster came to rest after the last fault was mended, or when a rule broke: then it says which.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from komainu.cib.document import parse_cib
from komainu.cib.element import Element
from komainu.cib.initial import empty_cib
from komainu.cib.state import ClusterState
from komainu.model.ids import Instant, LinkNumber, NodeId, NodeName, ResourceId
from komainu.model.link import LinkEnd
from komainu.ring.settings import NodeSettings, RingSettings
from komainu.sim.checks import SafetyViolated, fail
from komainu.sim.faults import KINDS, MIXED, Fault, Misfortune, absent, draw
from komainu.sim.world import Setup, World

NAMES: Final = "abcdefgh"
RESOURCES: Final = (ResourceId("vip"), ResourceId("web"), ResourceId("db"))
START_STAGGER_MS: Final = 500

SETTLE_MS: Final = 180_000
"""After the last fault: time for boots, a fencing that has to be repeated, an agent that hangs, and all recoveries."""

CLEAN_UP_EVERY_MS: Final = 15_000
"""How often the operator has failures forgotten while the cluster is not at rest."""

SERVICE: Final = """
<configuration>
  <crm_config>
    <cluster_property_set id="cib-bootstrap-options">
      <nvpair id="o1" name="stonith-enabled" value="true"/>
      <nvpair id="o2" name="no-quorum-policy" value="stop"/>
    </cluster_property_set>
  </crm_config>
  <nodes/>
  <resources>
    <primitive id="fence" class="stonith" type="fence_lab">
      <instance_attributes id="fence-i">
        <nvpair id="fence-hosts" name="pcmk_host_list" value="{hosts}"/>
      </instance_attributes>
    </primitive>
    <group id="service">
      <primitive id="vip" class="ocf" provider="komainu" type="vip">
        <operations><op id="vip-m" name="monitor" interval="10s" timeout="20s"/></operations>
      </primitive>
      <primitive id="web" class="ocf" provider="komainu" type="web">
        <operations><op id="web-m" name="monitor" interval="10s" timeout="20s"/></operations>
      </primitive>
    </group>
    <primitive id="db" class="ocf" provider="komainu" type="dummy">
      <operations><op id="db-m" name="monitor" interval="15s" timeout="20s"/></operations>
    </primitive>
  </resources>
  <constraints>
    <rsc_colocation id="apart" rsc="db" with-rsc="service" score="-100"/>
  </constraints>
  <rsc_defaults>
    <meta_attributes id="d"><nvpair id="d1" name="resource-stickiness" value="100"/></meta_attributes>
  </rsc_defaults>
</configuration>
"""


NODES_DRAWN: Final = (2, 2, 2, 3, 3, 4, 5)
"""From these the number of nodes is drawn, unless a run says otherwise: pairs are what most people have."""


@dataclass(frozen=True, slots=True)
class Run:
    """All that decides a run. The same run gives the same trace, to the byte, on any machine.

    `kept`: of the faults that are drawn, only these strike (their places in the draw); None: all of them.
    `plans_beside`: every plan takes its time, as those of large clusters do.
    """

    seed: int
    nodes: int
    kinds: tuple[str, ...] = tuple(KINDS)
    count: int = 6
    within_ms: int = 60_000
    kept: tuple[int, ...] | None = None
    plans_beside: bool = False

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that strike in this run."""
        drawn = draw(self.seed + 1, self.kinds, count=self.count, within_ms=self.within_ms)
        return drawn if self.kept is None else tuple(drawn[place] for place in self.kept)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to; `trace` tells it line by line. `failure` is "" when every rule held."""

    run: Run
    failure: str
    plans: int
    acknowledged: int
    view_changes: int
    events: int
    lived_ms: int
    struck: tuple[tuple[str, int], ...]  # by class of faults
    trace: tuple[str, ...]

    @property
    def rule(self) -> str:
        """The rule that broke: "S1", "order" …; "" when none did."""
        return self.failure.partition(" violated")[0] if " violated" in self.failure else self.failure[:40]

    @property
    def nodes(self) -> int:
        """How many nodes the cluster had."""
        return self.run.nodes


def make_world(nodes: int, seed: int, links: int = 2) -> World:
    """Make a cluster of so many nodes with a service configured and every machine off."""
    return World(make_setup(nodes, seed, links))


def make_setup(nodes: int, seed: int, links: int = 2) -> Setup:
    """Give what a world of so many nodes with a service is made of."""
    members = tuple(_node(number, links) for number in range(1, nodes + 1))
    settings = tuple(RingSettings("sim", node.node, members) for node in members)
    return Setup(settings, ClusterState(_cib(members)), seed)


def nodes_of(seed: int, choice: tuple[int, ...] = NODES_DRAWN) -> int:
    """Draw how many nodes the cluster of a seed has."""
    return Random(seed).choice(choice)


def run_seed(
    seed: int, *, faults: int = 6, within_ms: int = 60_000, kinds: tuple[str, ...] = MIXED
) -> Outcome:
    """Run one seed to its end. Raises SafetyViolated with the trace."""
    outcome = play(Run(seed, nodes_of(seed), kinds, faults, within_ms))
    if outcome.failure:
        story = "\n".join(outcome.trace[-400:])
        raise SafetyViolated(f"seed {seed}, {outcome.nodes} nodes: {outcome.failure}\n{story}")
    return outcome


def play(run: Run) -> Outcome:
    """Play a run to its end, or until a rule breaks."""
    return Begun(run).finish(run)


def beginning_of(run: Run) -> tuple[object, ...]:
    """Say what decides a run until its first fault: runs for which this is equal are one run until then."""
    faults = run.faults
    late = absent(faults, [NodeId(number) for number in range(1, run.nodes + 1)])
    moments = tuple(fault.at_ms for fault in faults)
    return run.seed, run.nodes, run.plans_beside, moments, tuple(sorted(late.items()))


class Begun:
    """A run that was played until just before its first fault, and is finished once: with its faults or a like run's."""

    def __init__(self, run: Run) -> None:
        self._world = make_world(run.nodes, run.seed)
        self._world.plans_beside = run.plans_beside
        self._misfortune = Misfortune(self._world, run.faults, RESOURCES)
        self._beginning = beginning_of(run)
        self._failure = self._failing(_begin)

    def finish(self, run: Run) -> Outcome:
        """Play the rest with the faults of this run, which begins like ours."""
        assert beginning_of(run) == self._beginning, "only a run that begins alike goes on from here"
        self._misfortune.faults = run.faults
        failure = self._failure or self._failing(_go_on)
        world = self._world
        return Outcome(
            run=run,
            failure=failure,
            plans=world.plans_made,
            acknowledged=len(world.checks.acknowledged),
            view_changes=world.observer.view_changes,
            events=world.events,
            lived_ms=world.now,
            struck=tuple(sorted(self._misfortune.struck.items())),
            trace=tuple(world.trace),
        )

    def _failing(self, live: Callable[[World, Misfortune], None]) -> str:
        """Play a part; say which rule broke in it."""
        world = self._world
        try:
            live(world, self._misfortune)
        except SafetyViolated as error:
            return str(error)
        except AssertionError as error:
            # An invariant of a core: in production it would have ended the daemon.
            return f"assertion violated at {world.now / 1000:.3f} s: {error} ({_place(error)})"
        except Exception as error:  # noqa: BLE001 - whatever a core throws would have ended its daemon
            name = type(error).__name__
            return f"crash violated at {world.now / 1000:.3f} s: {name}: {error} ({_place(error)})"
        return ""


def _begin(world: World, misfortune: Misfortune) -> None:
    late = absent(misfortune.faults, world.machines)
    for node in world.machines:
        moment = late.get(node, Instant(world.chance.randrange(START_STAGGER_MS)))
        world.clock.at(moment, partial(world.boot, node))
    misfortune.schedule()
    world.run_until(Instant(misfortune.first - 1))


def _go_on(world: World, misfortune: Misfortune) -> None:
    world.run_until(misfortune.over)
    misfortune.heal()
    end = world.now + SETTLE_MS
    while trouble(world):
        if world.now >= end:
            fail("liveness", world.now, f"the cluster did not come to rest: {trouble(world)}")
        if world.run_while(lambda: trouble(world) != "", at_most_ms=CLEAN_UP_EVERY_MS):
            break
        misfortune.clean_up()
    world.observer.measure()
    for machine in world.machines.values():
        world.checks.acknowledged_is_kept(machine, world.now)
        world.checks.is_bounded(machine, world.now, at_rest=True)


def _place(error: Exception) -> str:
    """Say where an error came from."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def trouble(world: World) -> str:
    """Say what is not yet as it should be in a world without faults; nothing when all is well."""
    machines = tuple(world.machines.values())
    for machine in machines:
        drive = machine.drive
        if drive is None or drive.ring.view is None or not drive.replica.is_synced:
            return f"{machine.name} has not joined"
        if len(drive.ring.view.members) < len(machines):
            return f"the view of {machine.name} is {drive.ring.view.view_id}, without some node"
    drives = [machine.drive for machine in machines if machine.drive is not None]
    if len({drive.replica.state.position for drive in drives}) > 1:
        return "the states are not equal yet"
    if any(drive.replica.state != drives[0].replica.state for drive in drives):
        fail("agreement", world.now, "two nodes have different states at one position")
    for resource in RESOURCES:
        if not any(resource in machine.running for machine in machines):
            return f"{resource} runs nowhere"
    busy = next(
        (drive.coordination.doing() for drive in drives if drive.coordination.doing()), "no coordinator"
    )
    return "" if busy == "idle" else f"the coordinator is {busy}"


def _node(number: int, links: int) -> NodeSettings:
    addresses = (f"192.168.{33 + link}.{100 + number}" for link in range(links))
    ends = tuple(
        LinkEnd(LinkNumber(link), address, keep_talking=True) for link, address in enumerate(addresses)
    )
    return NodeSettings(NodeId(number), NodeName(NAMES[number - 1]), ends)


def _cib(nodes: tuple[NodeSettings, ...]) -> Element:
    """Put the service into the CIB that a cluster begins with."""
    cib = empty_cib("sim", ((node.node, node.name) for node in nodes))
    service = parse_cib(SERVICE.format(hosts=" ".join(node.name for node in nodes)))
    configuration = service.first("configuration") if service.tag == "cib" else service
    begun = cib.first("configuration")
    assert configuration is not None, "the service is a configuration"
    assert begun is not None, "a CIB has a configuration"
    known = begun.first("nodes")
    assert known is not None, "the first CIB names its nodes"
    return cib.with_child(configuration.with_child(known))
