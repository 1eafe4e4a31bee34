"""Make the CIBs that the scheduler is measured with: n primitives on m nodes, in the states that matter.

Fresh: all nodes are up and nothing is known to run. Idle: everything runs where the plan for the fresh state put it,
with the history that leads there. From idle, a monitor fails or a node is lost.
"""

from collections import defaultdict

from komainu.cib.element import Element
from komainu.cib.tree import replace_by_id, update_at
from komainu.scheduler import digests, graph_details, recipe
from komainu.scheduler.job import Job, Node, Resource

GROUP_SIZE = 5
CLONE_PER = 500
CONSTRAINED_PER = 10
MONITOR_MS = 10_000
NOW_S = 1_790_000_000
KEY = "00000000-0000-0000-0000-000000000000"
AGENT = {"class": "ocf", "provider": "pacemaker", "type": "Dummy"}
UP = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}


def fresh(primitives: int, nodes: int) -> Element:
    """Make a cluster that has just come up."""
    singles, grouped = primitives - primitives // 4, primitives // 4
    groups = [
        Element(
            "group", {"id": f"grp{index}"}, tuple(primitive(f"g{index}m{part}") for part in range(GROUP_SIZE))
        )
        for index in range(grouped // GROUP_SIZE)
    ]
    clones = [clone(index) for index in range(max(1, primitives // CLONE_PER))]
    alone = [primitive(f"p{index}") for index in range(singles)]
    device = Element("primitive", {"id": "fencing", "class": "stonith", "type": "fence_xvm"})
    configuration = Element(
        "configuration",
        {},
        (
            Element("crm_config", {}, (options(),)),
            Element("nodes", {}, tuple(node(index) for index in range(nodes))),
            Element("resources", {}, (device, *alone, *groups, *clones)),
            Element("constraints", {}, tuple(constraints(singles, len(groups), len(clones)))),
            Element("rsc_defaults", {}, (stickiness(),)),
        ),
    )
    states = tuple(
        Element("node_state", {"id": str(index + 1), "uname": f"n{index + 1:02}", **UP})
        for index in range(nodes)
    )
    head = {
        "validate-with": "pacemaker-3.0",
        "crm_feature_set": "3.2.0",
        "have-quorum": "1",
        "dc-uuid": "1",
        "epoch": "1",
        "num_updates": "1",
        "admin_epoch": "0",
    }
    return Element("cib", head, (configuration, Element("status", {}, states)))


def options() -> Element:
    wanted = {"stonith-enabled": "true", "no-quorum-policy": "stop"}
    pairs = tuple(
        Element("nvpair", {"id": f"opt-{name}", "name": name, "value": text}) for name, text in wanted.items()
    )
    return Element("cluster_property_set", {"id": "cib-bootstrap-options"}, pairs)


def stickiness() -> Element:
    pair = Element("nvpair", {"id": "default-stickiness", "name": "resource-stickiness", "value": "1"})
    return Element("meta_attributes", {"id": "defaults"}, (pair,))


def node(index: int) -> Element:
    return Element("node", {"id": str(index + 1), "uname": f"n{index + 1:02}"})


def primitive(name: str) -> Element:
    pair = Element("nvpair", {"id": f"{name}-state", "name": "state", "value": f"/run/{name}.state"})
    monitor = {"id": f"{name}-monitor", "name": "monitor", "interval": "10s", "timeout": "20s"}
    parts = (
        Element("instance_attributes", {"id": f"{name}-parameters"}, (pair,)),
        Element("operations", {}, (Element("op", monitor),)),
    )
    return Element("primitive", {"id": name, **AGENT}, parts)


def clone(index: int) -> Element:
    name = f"cl{index}"
    pair = Element("nvpair", {"id": f"{name}-interleave", "name": "interleave", "value": "true"})
    meta = Element("meta_attributes", {"id": f"{name}-meta"}, (pair,))
    return Element("clone", {"id": name}, (meta, primitive(f"c{index}")))


def constraints(singles: int, groups: int, clones: int) -> list[Element]:
    """A colocation and an order per ten single primitives; every group after and with a clone."""
    pairs = [(f"p{index + 1}", f"p{index}") for index in range(0, singles - 1, CONSTRAINED_PER)]
    pairs += [(f"grp{index}", f"cl{index % clones}") for index in range(groups)]
    found = []
    for dependent, primary in pairs:
        together = {"id": f"with-{dependent}", "rsc": dependent, "with-rsc": primary, "score": "INFINITY"}
        after = {"id": f"after-{dependent}", "first": primary, "then": dependent, "kind": "Mandatory"}
        found += [Element("rsc_colocation", together), Element("rsc_order", after)]
    return found


# -- states that follow ---------------------------------------------------------------------------------


def idle(cib: Element) -> Element:
    """Write the history of a cluster that did what the plan for the fresh state says."""
    job = recipe.read(cib, NOW_S)
    recipe.schedule(job)
    by_node: dict[str, list[Element]] = defaultdict(list)
    for rsc in (part for top in job.resources for part in top.primitives()):
        home = rsc.assigned_to
        name = graph_details.run_name(rsc)
        if home is not None:
            by_node[home.id].append(running(job, rsc, name, home))
        if rsc.parent is None or rsc.unique:
            for other in job.nodes:
                if other is not home:
                    by_node[other.id].append(probed(job, rsc, name, other))
    states = tuple(
        Element("node_state", {"id": each.id, "uname": each.name, **UP}, (lrm(each.id, by_node[each.id]),))
        for each in job.nodes
    )
    return cib.with_children((cib.children[0], Element("status", {}, states)))


def lrm(node_id: str, resources: list[Element]) -> Element:
    return Element("lrm", {"id": node_id}, (Element("lrm_resources", {}, tuple(resources)),))


def agent_of(rsc: Resource) -> dict[str, str]:
    return {key: text for key in ("class", "provider", "type") if (text := rsc.xml.get(key))}


def running(job: Job, rsc: Resource, name: str, where: Node) -> Element:
    entries = [entry(job, rsc, name, where, ("start", 0, 0))]
    if rsc.operations:
        entries.append(entry(job, rsc, name, where, ("monitor", MONITOR_MS, 0)))
    return Element("lrm_resource", {"id": name, **agent_of(rsc)}, tuple(entries))


def probed(job: Job, rsc: Resource, name: str, where: Node) -> Element:
    return Element(
        "lrm_resource", {"id": name, **agent_of(rsc)}, (entry(job, rsc, name, where, ("monitor", 0, 7)),)
    )


def entry(job: Job, rsc: Resource, name: str, where: Node, operation: tuple[str, int, int]) -> Element:
    task, interval_ms, rc = operation
    key = f"1:0:{rc}:{KEY}"
    values = {
        "id": f"{name}_last_0" if not interval_ms else f"{name}_{task}_{interval_ms}",
        "operation_key": f"{name}_{task}_{interval_ms}",
        "operation": task,
        "crm_feature_set": "3.2.0",
        "transition-key": key,
        "transition-magic": f"0:{rc};{key}",
        "exit-reason": "",
        "on_node": where.name,
        "call-id": "10" if interval_ms else "9",
        "rc-code": str(rc),
        "op-status": "0",
        "interval": str(interval_ms),
        "last-rc-change": str(NOW_S - 3600),
        "exec-time": "20",
        "queue-time": "0",
        "op-digest": digests.digested(job, rsc, task, interval_ms, where).digest,
    }
    return Element("lrm_rsc_op", values)


def monitor_failed(cib: Element, resource: str = "p7") -> Element:
    """Let the recurring monitor of one resource find it dead."""
    for state in states_of(cib):
        for found in state.walk():
            if found.id == f"{resource}_monitor_{MONITOR_MS}":
                failed = found.with_attributes(id=f"{resource}_last_failure_0").with_attributes(
                    **{
                        "rc-code": "7",
                        "call-id": "11",
                        "transition-magic": f"0:7;1:0:0:{KEY}",
                        "last-rc-change": str(NOW_S - 10),
                    }
                )
                pairs = tuple(
                    Element(
                        "nvpair",
                        {"id": f"status-{name}", "name": f"{name}-{resource}#monitor_10000", "value": text},
                    )
                    for name, text in (("fail-count", "1"), ("last-failure", str(NOW_S - 10)))
                )
                block = Element("instance_attributes", {"id": f"status-{state.id}"}, pairs)
                changed = replace_by_id(state, resource, _with_entry(state, resource, failed))
                assert changed is not None
                changed = changed.with_child(Element("transient_attributes", {"id": state.id}, (block,)))
                return _with_state(cib, changed)
    raise AssertionError(f"{resource} runs nowhere")


def _with_entry(state: Element, resource: str, failed: Element) -> Element:
    history = state.find(resource)
    assert history is not None
    return history.with_children((*history.children, failed))


def node_lost(cib: Element, name: str = "n02") -> Element:
    """Take one node's power away."""
    state = next(each for each in states_of(cib) if each.get("uname") == name)
    return _with_state(cib, state.with_attributes(in_ccm="false", crmd="offline"))


def states_of(cib: Element) -> tuple[Element, ...]:
    status = cib.first("status")
    return () if status is None else tuple(status.all("node_state"))


def _with_state(cib: Element, state: Element) -> Element:
    return update_at(cib, ("status",), lambda status: status.with_child(state))
