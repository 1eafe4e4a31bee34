"""Judge a made-up world after every event by the safety rules of the design, by their numbers.

A checker looks at the truth (what runs on which machine), never at what a daemon believes, except where the
rule is about belief: a start while a peer is not confirmed off (S2).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from komainu.cib.element import Element
from komainu.cib.pairs import transient_value
from komainu.model.ids import Instant, NodeName, ResourceId
from komainu.node.membership import node_conditions
from komainu.sim.machine import Machine
from komainu.sim.sizes import largest

HELD_MAX: Final = 4_500
"""What a core may hold in one container: its greatest own limit (ring/watch.py keeps 4096 lives of a peer), and some."""

HELD_AT_REST_MAX: Final = 300
"""What a core may hold when nothing has happened for long: a few things for each node, link and resource."""

ONE_FAULT_MS: Final = 15_000
"""Two nodes of a pair that are fenced within this time, and no new fault between, went down for one (S4). A stop
that failed so long ago may still be the reason for a fencing: it waits for somebody who can do it."""


class SafetyViolated(AssertionError):
    """A safety rule did not hold; the message names the rule, the time and the machines."""


@dataclass(slots=True)
class Checks:
    """The checkers of one world and what they must remember."""

    fenced: list[tuple[Instant, NodeName]] = field(default_factory=list)
    last_fault: Instant = field(default=Instant(0))
    unstopped: dict[NodeName, Instant] = field(default_factory=dict)  # when a stop last failed on a node
    planner_fault: str = ""
    acknowledged: dict[str, NodeName] = field(
        default_factory=dict
    )  # options that were answered "done", of which node
    removed: set[NodeName] = field(default_factory=set)  # nodes that were to go, with what is set on them

    def came_back(self, node: NodeName) -> None:
        """Look at what is set on a node again, once it is one again; what was set before went with it."""
        self.removed.discard(node)
        self.acknowledged = {name: owner for name, owner in self.acknowledged.items() if owner != node}

    def one_copy(self, machines: Iterable[Machine], now: Instant) -> None:
        """S1: what may run once never runs on two machines."""
        seen: dict[ResourceId, NodeName] = {}
        for machine in machines:
            for resource in machine.running:
                if resource in seen:
                    fail("S1", now, f"{resource} runs on {seen[resource]} and on {machine.name}")
                seen[resource] = machine.name

    def fenced_before(
        self, machine: Machine, resource: ResourceId, others: Mapping[NodeName, Machine], now: Instant
    ) -> None:
        """S2: nothing is started while a lost node is not confirmed off; one that was asked to leave may run nothing more."""
        assert machine.drive is not None, "only a living daemon starts something"
        cib = machine.drive.replica.state.cib
        lost = [
            node.name
            for node in node_conditions(cib)
            if node.is_lost
            and (others[node.name].running or transient_value(cib, node.name, "shutdown") is None)
        ]
        if lost:
            fail("S2", now, f"{machine.name} starts {resource} while {', '.join(lost)} is not confirmed off")

    def not_both(self, target: NodeName, machines: tuple[Machine, ...], now: Instant) -> None:
        """S4: in a two-node cluster one fault never takes both nodes down.

        A node on which a service does not stop has a reason of its own, whatever happened to the other one.
        """
        others = [at for at, name in self.fenced if name != target and now - at <= ONE_FAULT_MS]
        self.fenced.append((now, target))
        failed_at = self.unstopped.pop(target, None)
        has_own = failed_at is not None and now - failed_at <= ONE_FAULT_MS
        if len(machines) == 2 and not has_own and any(self.last_fault <= at for at in others):
            fail("S4", now, "both nodes of a pair were fenced for one fault")

    def has_cause(self, target: Machine, now: Instant) -> None:
        """S4: nobody is fenced who left in order, with all of his resources stopped, and was heard."""
        if target.left_at is not None:
            fail("S4", now, f"{target.name} is fenced although it left in order and runs nothing")

    def acknowledged_is_kept(self, machine: Machine, now: Instant) -> None:
        """S3: what was answered "done" is in the configuration of every node that has the cluster's state."""
        assert machine.drive is not None, "only a living daemon has a state"
        kept = option_names(machine.drive.replica.state.cib)
        missing = sorted(
            name
            for name, owner in self.acknowledged.items()
            if name not in kept and owner not in self.removed
        )
        if missing:
            fail("S3", now, f"{machine.name} lost acknowledged changes: {', '.join(missing)}")

    def is_bounded(self, machine: Machine, now: Instant, *, at_rest: bool = False) -> None:
        """Bounded memory: no core of a node holds on to more and more."""
        assert machine.drive is not None, "only a living daemon holds something"
        held, where = largest(machine.drive)
        if held > (HELD_AT_REST_MAX if at_rest else HELD_MAX):
            fail("memory", now, f"{machine.name} holds {held} things in {where}")


def option_names(cib: Element) -> set[str]:
    """Give the names of all attributes of nodes that are set."""
    nodes = cib.at("configuration", "nodes")
    entries = () if nodes is None else nodes.all("node")
    blocks = (block for node in entries for block in node.all("instance_attributes"))
    return {pair.get("name") or "" for block in blocks for pair in block.all("nvpair")}


def fail(rule: str, now: Instant, what: str) -> NoReturn:
    """End the run."""
    raise SafetyViolated(f"{rule} violated at {now / 1000:.3f} s: {what}")
