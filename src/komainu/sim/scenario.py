"""Run one seed: a cluster with a service on it, faults drawn from the seed, and the end it must come to.

`run_seed` raises SafetyViolated, with the trace of the run, when a safety rule broke or the cluster did not
come to rest after the last fault was mended.
"""

from dataclasses import dataclass
from functools import partial
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
from komainu.sim.faults import Misfortune
from komainu.sim.world import Setup, World

NAMES: Final = "abcdefgh"
RESOURCES: Final = (ResourceId("vip"), ResourceId("web"), ResourceId("db"))
START_STAGGER_MS: Final = 500

SETTLE_MS: Final = 90_000
"""After the last fault: time for boots, a fencing that has to be repeated, and all recoveries."""

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a seed came to; `trace` tells it line by line."""

    seed: int
    nodes: int
    plans: int
    acknowledged: int
    trace: tuple[str, ...]


def make_world(nodes: int, seed: int, links: int = 2) -> World:
    """Make a cluster of so many nodes with a service configured and every machine off."""
    return World(make_setup(nodes, seed, links))


def make_setup(nodes: int, seed: int, links: int = 2) -> Setup:
    """Give what a world of so many nodes with a service is made of."""
    members = tuple(_node(number, links) for number in range(1, nodes + 1))
    settings = tuple(RingSettings("sim", node.node, members) for node in members)
    return Setup(settings, ClusterState(_cib(members)), seed)


def run_seed(seed: int, *, faults: int = 6, within_ms: int = 60_000) -> Outcome:
    """Run one seed to its end. Raises SafetyViolated with the trace."""
    chance = Random(seed)
    nodes = chance.choice((2, 2, 2, 3, 3, 4, 5))
    world = make_world(nodes, seed)
    try:
        _live(world, seed, faults, within_ms)
    except (SafetyViolated, AssertionError) as error:
        story = "\n".join(world.trace[-400:])
        raise SafetyViolated(f"seed {seed}, {nodes} nodes: {error}\n{story}") from error
    return Outcome(seed, nodes, world.plans_made, len(world.checks.acknowledged), tuple(world.trace))


def _live(world: World, seed: int, faults: int, within_ms: int) -> None:
    for node in world.machines:
        world.clock.at(Instant(world.chance.randrange(START_STAGGER_MS)), partial(world.boot, node))
    misfortune = Misfortune(world, seed + 1, RESOURCES)
    world.run_until(misfortune.plan(faults, within_ms))
    misfortune.heal()
    if not world.run_while(lambda: trouble(world) != "", at_most_ms=SETTLE_MS):
        fail("liveness", world.now, f"the cluster did not come to rest: {trouble(world)}")
    for machine in world.machines.values():
        world.checks.acknowledged_is_kept(machine, world.now)


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
    ends = tuple(LinkEnd(LinkNumber(link), address) for link, address in enumerate(addresses))
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
