"""Carry a transition out on paper: each action succeeds, unless it is told to fail; results go into the CIB.

Used by `simulate` and by tests; the daemon's own commands do the same with real results (cib/apply.py).
Source: Pacemaker's `crm_simulate --simulate`, `--op-fail`: after a failure only points of order still follow.
"""

from collections.abc import Iterable

from komainu.cib.element import Element
from komainu.scheduler import digests, graph_details, injection
from komainu.scheduler.graph import Graph, Synapse
from komainu.scheduler.injection import UUID, Result
from komainu.scheduler.job import Action, Job, Node
from komainu.scheduler.options import parse_int
from komainu.scheduler.words import INFINITY

_UNRECORDED = frozenset({"delete", "meta-data", "lrm_delete", "clear_failcount", "do_shutdown"})


class _Histories:
    """What one node tells of its resources, while entries are added to it."""

    def __init__(self, node: Node, holder: Element | None) -> None:
        self.node = node
        self._holder = holder or Element("lrm_resources")
        self._children = list(self._holder.children)
        self._first: dict[str, int] = {}  # the place of the first history of a name: it is replaced
        self.last: dict[str, int] = {}  # the place of the last one, which is what counts
        for place, child in enumerate(self._children):
            if child.tag == "lrm_resource":
                self._first.setdefault(child.id, place)
                self.last[child.id] = place

    def find(self, name: str) -> Element | None:
        """Return the history of a resource."""
        place = self.last.get(name)
        return None if place is None else self._children[place]

    def put(self, history: Element) -> None:
        """Put a history in the place of the one of the same name, or behind all others."""
        place = self._first.setdefault(history.id, len(self._children))
        if place < len(self._children):
            self._children[place] = history
            return
        self._children.append(history)
        self.last[history.id] = place

    def whole(self) -> Element:
        """Return all of it as the node's `lrm_resources`."""
        return self._holder.with_children(tuple(self._children))


class Rehearsal:
    """One transition being carried out. `done` and `lines` say what was done; `cib` is what came of it.

    `has_failed` tells whether an operation failed, as it was told to.
    """

    def __init__(self, job: Job, graph: Graph, cib: Element, failing: Iterable[Result] = ()) -> None:
        self.cib = cib
        self.lines: list[str] = []
        self.done: list[Action] = []
        self._job = job
        self._graph = graph
        self.has_failed = False
        self._failing = {(result.key, result.node): result for result in failing}
        self._confirmed: set[int] = set()
        self._histories: dict[str, _Histories] = {}  # by id of node_state; not yet in the CIB
        histories = (history for found in job.history.values() for history in found.values())
        ops = (op for history in histories for op in history.xml.all("lrm_rsc_op"))
        known = (parse_int(op.get("last-rc-change"), -1) for op in ops)
        self._time_s = max(job.now_s, 1 + max(known, default=0))  # later than all that was done before

    def run(self) -> bool:
        """Fire synapses until nothing fires any more; tell whether all did, or an operation failed."""
        is_whole = self._fire_all()
        self._write_back()
        return is_whole

    def _fire_all(self) -> bool:
        waiting = list(self._graph.synapses)
        while waiting:
            left = [synapse for synapse in waiting if not self._fire(synapse)]
            if len(left) == len(waiting):
                return self.has_failed
            waiting = left
        return True

    def _fire(self, synapse: Synapse) -> bool:
        if any(first.number not in self._confirmed for first in synapse.inputs):
            return False
        if self.has_failed and synapse.priority < INFINITY:
            return False
        if self._carry_out(synapse.action):
            self._confirmed.add(synapse.action.number)
        return True

    def _carry_out(self, action: Action) -> bool:
        """Do one action; tell whether it succeeded."""
        self.done.append(action)
        node = action.node
        where = "" if node is None else f" on {node.name}"
        if action.is_pseudo:
            key = graph_details.operation_key(action)
            shown = where if action.task == "stonith" else ""
            self.lines.append(f"  * Pseudo action:   {key}{shown}")
        elif action.task == "stonith" and node is not None:
            operation = action.meta.get("stonith_action", "")
            self.lines.append(f"  * Fencing {node.name} ({operation})")
            if operation != "on":
                self._fence(node)
        elif action.task in {"do_shutdown", "clear_failcount", "lrm_delete"}:
            about = "" if action.resource is None else f" for {graph_details.run_name(action.resource)}"
            self.lines.append(f"  * Cluster action:  {action.task}{about}{where}")
        elif action.resource is not None and node is not None:
            return self._run(action, node)
        return True

    def _run(self, action: Action, node: Node) -> bool:
        rsc = action.resource
        assert rsc is not None, "only resources run operations"
        bare = graph_details.run_name(rsc)
        name = bare if self._job.find(bare) is not None else graph_details.long_name(rsc) or bare
        interval = f"={action.interval_ms}" if action.interval_ms and action.task != "delete" else ""
        self.lines.append(f"  * Resource action: {name:<15} {action.task}{interval} on {node.name}")
        result = self._told_to_fail(action, node, bare)
        if result is not None:
            self._fail(action, result)
            return False
        if action.task not in _UNRECORDED:
            self._record(action, node, bare)
        return True

    def _told_to_fail(self, action: Action, node: Node, bare: str) -> Result | None:
        """Return the result that was asked for instead of success; an instance goes by either of its names."""
        assert action.resource is not None, "only resources run operations"
        names = dict.fromkeys((action.resource.id, graph_details.long_name(action.resource), bare))
        keys = [(f"{name}_{action.task}_{action.interval_ms}", node.name) for name in names]
        return next((self._failing[key] for key in keys if key in self._failing), None)

    def _fail(self, action: Action, result: Result) -> None:
        assert action.resource is not None, "only resources run operations"
        self.has_failed = True
        self.lines.append(f"Pretending action {action.number} failed with rc={result.rc}")
        agent = {key: text for key in ("class", "provider", "type") if (text := action.resource.xml.get(key))}
        self._write_back()
        self.cib, counted = injection.record(self.cib, result, agent, self._job.now_s)
        self.lines += injection.describe(self.cib, result.node, counted)

    # -- writing into the CIB

    def _edit_state(self, state: Element) -> None:
        status = self.cib.first("status") or Element("status")
        self.cib = _replace(self.cib, status.with_child(state))

    def _state(self, node: Node) -> Element:
        status = self.cib.first("status")
        for state in [] if status is None else status.all("node_state"):
            if state.id == node.id or state.get("uname") == node.name:
                return state
        remote = (
            {"remote_node": "true"}
            if node.is_remote
            else {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
        )
        return Element("node_state", {"id": node.id, "uname": node.name, **remote})

    def _fence(self, node: Node) -> None:
        self._write_back()
        state = self._state(node)
        for name, text in (("in_ccm", "false"), ("crmd", "offline"), ("join", "down"), ("expected", "down")):
            state = state.with_attribute(name, text)
        state = state.without(lambda child: child.tag in {"lrm", "transient_attributes"})
        self._edit_state(state)

    def _record(self, action: Action, node: Node, bare: str) -> None:
        rsc = action.resource
        assert rsc is not None, "only resources have a history"
        histories = self._histories_of(node)
        long_name = graph_details.long_name(rsc)
        name = bare if bare in histories.last or long_name not in histories.last else long_name or bare
        element = histories.find(name)
        if element is None:
            agent = {key: text for key in ("class", "provider", "type") if (text := rsc.xml.get(key))}
            element = Element("lrm_resource", {"id": name, **agent})
            if rsc.launcher is not None:
                element = element.with_attribute("container", rsc.launcher.id)
        histories.put(element.with_child(self._entry(action, node, name, element)))

    def _histories_of(self, node: Node) -> _Histories:
        """Return what a node tells, as it is by now."""
        state = self._state(node)
        known = self._histories.get(state.id)
        if known is None:
            known = self._histories[state.id] = _Histories(node, state.at("lrm", "lrm_resources"))
        return known

    def _write_back(self) -> None:
        """Put what nodes tell by now into the CIB: once for many entries, for it takes a new CIB each time."""
        for histories in self._histories.values():
            state = self._state(histories.node)
            lrm = state.first("lrm") or Element("lrm", {"id": histories.node.id})
            self._edit_state(_replace(state, _replace(lrm, histories.whole())))
        self._histories.clear()

    def _entry(self, action: Action, node: Node, name: str, element: Element) -> Element:
        task = "start" if action.task in {"reload", "reload-agent"} else action.task
        rsc = action.resource
        assert rsc is not None, "an entry is about a resource"
        target = action.meta.get("op_target_rc", "0")
        call = 1 + max((parse_int(op.get("call-id"), 0) for op in element.all("lrm_rsc_op")), default=0)
        if task == "notify":
            entry_id = f"{name}_{action.meta.get('notify_key_type', 'pre')}_notify_{action.meta.get('notify_key_operation', '')}_0"
        elif action.interval_ms or task in {"migrate_to", "migrate_from"}:
            entry_id = f"{name}_{task}_{action.interval_ms}"
        else:
            entry_id = f"{name}_last_0"
        key = f"{action.number}:-1:{target}:{UUID}"
        values = {
            "id": entry_id,
            "operation_key": f"{name}_{task}_{action.interval_ms}",
            "operation": task,
            "transition-key": key,
            "transition-magic": f"0:{target};{key}",
            "on_node": node.name,
            "call-id": str(call),
            "rc-code": target,
            "op-status": "0",
            "interval": str(action.interval_ms),
            "last-rc-change": str(self._time_s),
            "op-digest": digests.digested(self._job, rsc, task, action.interval_ms, node).digest,
        }
        for end in ("migrate_source", "migrate_target"):
            if end in action.meta:
                values[end] = action.meta[end]
        return Element("lrm_rsc_op", values)


def _replace(parent: Element, child: Element) -> Element:
    """Put a child in the place of the first one with its tag."""
    for index, other in enumerate(parent.children):
        if other.tag == child.tag:
            return parent.with_children((*parent.children[:index], child, *parent.children[index + 1 :]))
    return parent.with_children((*parent.children, child))
