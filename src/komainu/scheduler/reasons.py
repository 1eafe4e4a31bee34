"""Put into one sentence why each action is done, each resource goes where it goes, and each node is fenced.

Reads what the phases left on actions and resources; decides nothing.
"""

from komainu.model.cause import Cause
from komainu.model.ids import NodeName, ResourceId
from komainu.scheduler import graph_details, tree
from komainu.scheduler.graph import Graph
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.summary import Change
from komainu.scheduler.words import Kind


class Reasons:
    """The sentences of one plan."""

    def __init__(self, job: Job, changes: list[Change]) -> None:
        self._job = job
        self._by_resource: dict[str, str] = {}
        for change in changes:
            if change.resource is not None:
                name = graph_details.run_name(change.resource)
                text = change.sentence
                known = self._by_resource.get(name)
                self._by_resource[name] = text if known is None else f"{known}; {text}"

    def of_resource(self, name: ResourceId) -> str:
        """Say why anything is done with a resource."""
        return self._by_resource.get(name) or f"{name} is kept as it should be"

    def of_action(self, action: Action) -> str:
        """Say why an action is done."""
        rsc, node = action.resource, action.node
        if action.task == "stonith" and node is not None:
            return self._of_fencing(action, node)
        if action.task == "do_shutdown" and node is not None:
            return f"node {node.name} was asked to shut down"
        if rsc is None:
            return f"{action.task} is a point that other actions wait for"
        name = graph_details.run_name(rsc)
        if action.task == "monitor" and not action.interval_ms:
            where = "" if node is None else f" on node {node.name}"
            return f"it is not known whether {name} is active{where}"
        if action.task == "monitor":
            return f"{name} is watched every {action.interval_ms} ms"
        change = self._by_resource.get(name)
        if change is not None:
            return change
        if action.reason is not None:
            return f"{action.task} {name}, because of: {action.reason}"
        return f"{action.task} {name} belongs to a change of what it is part of or depends on"

    @staticmethod
    def _of_fencing(action: Action, node: Node) -> str:
        operation = action.meta.get("stonith_action", "reboot")
        if operation == "on":
            return f"node {node.name} is let back in, {action.reason or 'since it is clean'}"
        return f"node {node.name} has to be fenced: {action.reason or 'its state is not known'}"

    def of_placement(self, rsc: Resource) -> str:
        """Say why a resource will be where it will be."""
        homes = tree.locations(rsc, current=False)
        if homes:
            names = ", ".join(node.name for node in homes)
            return f"{rsc.id} goes to {names}, {self._why_there(rsc, homes[0])}"
        return f"{rsc.id} runs nowhere: {self._why_nowhere(rsc)}"

    def _why_there(self, rsc: Resource, node: Node) -> str:
        if rsc.kind is not Kind.PRIMITIVE:
            return "where its members go"
        if not rsc.managed:
            return "where it is, since it is not managed"
        row = rsc.table.get(node.id)
        score = 0 if row is None else row.score
        if node in rsc.active:
            return f"where it already runs (score {score})"
        return f"the best node that can run it (score {score})"

    def _why_nowhere(self, rsc: Resource) -> str:
        if rsc.removed:
            return "it is no longer configured"
        if rsc.kind is not Kind.PRIMITIVE:
            return "none of its members can run"
        if (rsc.meta.get("target-role") or "").lower() == "stopped":
            return "its target-role is Stopped"
        if self._job.options.stop_all_resources:
            return "stop-all-resources is set"
        if not rsc.managed:
            return "it is not managed and was not active"
        return "no node is available that may run it"

    def node_causes(self, graph: Graph) -> tuple[tuple[NodeName, Cause], ...]:
        """Say of each node that is fenced or let go why."""
        causes: dict[str, Cause] = {}
        for synapse in graph.synapses:
            action = synapse.action
            if action.node is not None and action.task in {"stonith", "do_shutdown"}:
                code = "scheduler.fencing" if action.task == "stonith" else "scheduler.shutdown"
                causes[action.node.name] = Cause(code, self.of_action(action))
        return tuple((NodeName(name), causes[name]) for name in sorted(causes))
