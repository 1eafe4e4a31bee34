"""Find configurations of resources that let a lost node's services run twice, or fail unseen.

Source: rules CLU004 to CLU008; the reasons stand in their pages.
"""

from collections.abc import Iterator

from komainu.cib.element import Element
from komainu.cib.options import cluster_option, is_true
from komainu.cib.pairs import pair_value
from komainu.model.report import Place
from komainu.model.score import parse as parse_score
from komainu.network.doctor.cluster import PROFILES
from komainu.network.doctor.finding import Finding, Fix, Gravity, Seen, Sureness
from komainu.network.doctor.machine import Machine
from komainu.network.doctor.rules.remedy import set_option

_NAMES_MAX = 8  # of resources in one sentence


def fencing_off(machine: Machine) -> Iterator[Finding]:
    """CLU004: fencing is off, or there is nothing to fence with."""
    guards = machine.guards
    if machine.cib is None or guards.fencing_enabled is None:
        return
    if not guards.fencing_enabled:
        yield Finding(
            "CLU004",
            Gravity.ERROR,
            "stonith-enabled",
            "fencing is off",
            (Seen(f"stonith-enabled=false in {machine.cib_source}"),),
            "A node that is only cut off is taken for dead: its services start elsewhere while they still run there. "
            f"Data that both copies write is lost.{_one_cable(machine)}",
            fix=Fix(
                f"configure a fence device for each node, then {set_option(machine, 'stonith-enabled', 'true')}"
            ),
        )
    elif not (
        guards.devices or guards.uses_sbd or guards.wait_ms or any(one.has_disks for one in machine.clusters)
    ):
        yield Finding(
            "CLU004",
            Gravity.ERROR,
            "fencing",
            "it is on, but there is no fence device",
            (
                Seen(
                    f"no primitive of class stonith in {machine.cib_source}, and neither SBD nor a watchdog that counts"
                ),
            ),
            "Nothing is started at all, or, after a node is lost, its services are never started elsewhere.",
            fix=Fix("configure a fence device for each node"),
        )


def _one_cable(machine: Machine) -> str:
    """Say how little it takes where nodes have one link only."""
    if not any(cluster.links < 2 for cluster in machine.clusters):
        return ""
    return " There is one link only, so one pulled cable is enough: both halves go on, and both serve."


def two_node(machine: Machine) -> Iterator[Finding]:
    """CLU005: of two nodes that part, nothing says which one may go on."""
    for cluster in machine.clusters:
        quorum = cluster.quorum
        if len(cluster.members) != 2 or quorum.tie_breaker or quorum.has_witness:
            continue
        if quorum.two_node and not quorum.wait_for_all:
            yield Finding(
                "CLU005",
                Gravity.ERROR,
                cluster.file,
                "a node that boots alone fences the other",
                (Seen("two_node without wait_for_all", quorum.place),),
                "While the interconnect is out, a node that was fenced boots, thinks that it is alone, and fences the "
                "one that fenced it: they shoot each other in turn.",
                fix=Fix("remove wait_for_all: 0 (two_node switches it on)"),
            )
        elif not quorum.two_node:
            yield Finding(
                "CLU005",
                Gravity.WARNING,
                cluster.file,
                "with two nodes, the loss of one stops both",
                (Seen("neither two_node nor a tie-breaker nor a witness", quorum.place),),
                "One of two votes is no majority: when one node is lost, the other stops its services.",
                fix=Fix("set two_node: 1 and have fencing, or add a witness (qdevice)"),
            )


def ignored_quorum(machine: Machine) -> Iterator[Finding]:
    """CLU006: quorum is ignored, and nothing is fenced."""
    if machine.cib is None or cluster_option(machine.cib, "no-quorum-policy") != "ignore":
        return
    is_fenced = bool(machine.guards.fencing_enabled)
    nodes = max((len(cluster.members) for cluster in machine.clusters), default=0)
    yield Finding(
        "CLU006",
        Gravity.WARNING if is_fenced else Gravity.ERROR,
        "no-quorum-policy",
        "quorum is ignored" + ("" if is_fenced else ", and nothing is fenced"),
        (Seen(f"no-quorum-policy=ignore in {machine.cib_source}"),),
        "After a cut each side goes on and has the other fenced; who is quicker wins."
        if is_fenced
        else "After a cut each side starts everything: every service runs twice.",
        fix=Fix(
            "with two nodes, use two_node: 1 in place of it"
            if nodes == 2
            else set_option(machine, "no-quorum-policy", "stop")
        ),
    )


def _primitives(cib: Element) -> Iterator[Element]:
    resources = cib.at("configuration", "resources")
    for one in () if resources is None else resources.walk():
        if one.tag == "primitive" and one.get("class") != "stonith":
            yield one


def _operations(cib: Element, primitive: Element) -> Iterator[Element]:
    """Give a primitive's operations, those of its template, too."""
    yield from (op for block in primitive.all("operations") for op in block.all("op"))
    name = primitive.get("template")
    template = None if name is None else cib.find(name)
    if template is not None:
        yield from (op for block in template.all("operations") for op in block.all("op"))


def monitors(machine: Machine) -> Iterator[Finding]:
    """CLU007: a resource whose failure nobody would notice."""
    if machine.cib is None:
        return
    silent = [
        one
        for one in _primitives(machine.cib)
        if not any(
            op.get("name") == "monitor"
            and is_true(op.get("enabled"), default=True)
            and op.get("interval", "0") not in {"0", "0s"}
            for op in _operations(machine.cib, one)
        )
    ]
    if not silent:
        return
    names = [one.id for one in silent]
    more = f" and {len(names) - _NAMES_MAX} more" if len(names) > _NAMES_MAX else ""
    yield Finding(
        "CLU007",
        Gravity.WARNING,
        ", ".join(names[:_NAMES_MAX]) + more,
        "no monitor: a failure is not noticed",
        tuple(
            Seen("a primitive without a recurring monitor", Place(machine.cib_source, one.line, one.id))
            for one in silent
        ),
        "When the service dies while its node lives, the cluster goes on saying that it runs.",
        fix=Fix(f"pcs resource op add {names[0]} monitor interval=10s"),
    )


def profile(machine: Machine) -> Iterator[Finding]:
    """CLU013: the configuration is not what the profile in komainu.toml stands for."""
    if machine.cib is None:
        return
    defaults = machine.cib.at("configuration", "rsc_defaults")
    for cluster in machine.clusters:
        wanted = PROFILES.get(cluster.profile)
        for name, value in () if wanted is None else wanted.defaults:
            said = pair_value(defaults, "meta_attributes", name)
            if said is not None and parse_score(said) == parse_score(value):
                continue
            stands = "is not set" if said is None else f"is {said}"
            yield Finding(
                "CLU013",
                Gravity.WARNING,
                name,
                f"the profile {cluster.profile} wants {value}",
                (
                    Seen(f'profile = "{cluster.profile}"', Place(cluster.file)),
                    Seen(f"the resource default {name} {stands} in {machine.cib_source}"),
                ),
                "The cluster does not do what its profile says: `komainu config profile` has the reason of each setting.",
                fix=Fix(
                    f"set {name}={value} in rsc_defaults: komainu config show, edit, komainu config apply"
                ),
            )


def stickiness(machine: Machine) -> Iterator[Finding]:
    """CLU008: services move back by themselves, or for the sake of balance."""
    if machine.cib is None or not any(_primitives(machine.cib)):
        return
    defaults = machine.cib.at("configuration", "rsc_defaults")
    said = pair_value(defaults, "meta_attributes", "resource-stickiness")
    said = said if said is not None else cluster_option(machine.cib, "default-resource-stickiness")
    own = any(pair_value(one, "meta_attributes", "resource-stickiness") for one in _primitives(machine.cib))
    if any(cluster.profile in PROFILES for cluster in machine.clusters):
        return  # CLU013 has the value that is wanted
    if own or (said is not None and parse_score(said) != 0):
        return
    yield Finding(
        "CLU008",
        Gravity.NOTE,
        "resource-stickiness",
        "it is 0: services move without need",
        (
            Seen(
                ("resource-stickiness is not set" if said is None else "resource-stickiness=0")
                + f" in {machine.cib_source}"
            ),
        ),
        "When a node comes back, services may move to it by themselves, which interrupts each of them once more.",
        Sureness.LIKELY,
        "it depends on the location constraints",
        Fix("pcs resource defaults update resource-stickiness=100 (INFINITY: never by themselves)"),
    )
