"""Answer "why?" about a resource or a node of a CIB: where it goes and what decided that, tried where it can be.

The words come from explain.py; here they are gathered for one subject, and what "would change it" is tried out by
planning again. Knows no file.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from komainu.cib.element import Element
from komainu.model.provenance import Demand, Weighing
from komainu.model.report import Refused, Report
from komainu.model.role import Role
from komainu.scheduler import explain, explain_actions, graph_details, injection, recipe, summary
from komainu.scheduler.explain_scores import state_of
from komainu.scheduler.graph import Graph
from komainu.scheduler.injection import nearest
from komainu.scheduler.job import Node, Resource
from komainu.scheduler.ledger import Record
from komainu.scheduler.reasons import Reasons
from komainu.scheduler.words import Kind

INSTANCES_MAX: Final = 40
"""How many members and instances of one collective are told of; more is no answer for people."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is said of one resource that an agent runs."""

    resource: str
    weighing: Weighing | None
    promotion: str
    done: tuple[Demand, ...]
    failures: tuple[str, ...]
    tried: str  # what came of what "would change it", planned for


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer about one subject: a sentence, then what it rests on."""

    subject: str
    kind: str  # node, primitive, group, clone, bundle
    answer: str
    details: tuple[str, ...]
    parts: tuple[Part, ...]
    fencing: tuple[Demand, ...]


class Inquiry:
    """One CIB, planned once with its record."""

    def __init__(self, cib: Element, now_s: int) -> None:
        self._cib = cib
        self._now_s = now_s
        self._record = Record()
        self._job = recipe.read(cib, now_s, is_simulated=True, ledger=self._record)
        self._graph: Graph = recipe.schedule(self._job)
        self._reasons = Reasons(self._job, summary.changes(self._job))

    def answer(self, subject: str) -> Answer:
        """Answer about a resource or a node. Raises Refused when there is neither."""
        resources = explain.names_of(self._job)
        if subject in resources:
            return self._of_resource(subject, resources[subject])
        node = self._job.node_by_name.get(subject)
        if node is not None:
            return self._of_node(node)
        hint = nearest(subject, (*resources, *self._job.node_by_name))
        message = f'there is no resource and no node "{subject}"'
        raise Refused((Report("why.unknown", message, hint),))

    # -- resources

    def _of_resource(self, subject: str, meant: list[Resource]) -> Answer:
        parts = [part for rsc in meant for part in rsc.primitives()][:INSTANCES_MAX]
        kind = meant[0].kind.value
        told = tuple(self._part(part) for part in parts)
        return Answer(subject, kind, self._sentence(subject, parts), self._details(meant[0]), told, ())

    def _sentence(self, subject: str, parts: list[Resource]) -> str:
        """Say in one sentence where it is and where it goes."""
        now = _listed(node for part in parts for node in part.active)
        then = _listed(part.assigned_to for part in parts if part.assigned_to is not None and _will_run(part))
        blocked = [part for part in parts if _is_blocked(part)]
        if now and not then:
            if all(not part.managed for part in parts):
                return f"{subject} is active on {now}, and is left alone."
            return f"{subject} is active on {now}, and is stopped."
        if not now and not then:
            return f"{subject} runs nowhere" + (", though it should." if blocked else ".")
        if now == then:
            return f"{subject} is active on {now}" + self._staying(parts)
        return f"{subject} will be active on {then} ({f'now on {now}' if now else 'now nowhere'})."

    def _staying(self, parts: list[Resource]) -> str:
        done = [c for c in summary.changes(self._job) if c.resource in parts]
        if not done:
            return ", and stays there."
        words = _listed_words(change.word.lower() for change in done)
        return f"; what is done with it: {words}."

    def _details(self, rsc: Resource) -> tuple[str, ...]:
        found = []
        here: Resource | None = rsc
        while here is not None and here.parent is not None:
            here = here.parent
            found.append(f"it is part of {here.kind.value} {here.id}")
        if rsc.launcher is not None:
            found.append(f"it is brought up by {rsc.launcher.id}")
        if rsc.kind is Kind.CLONE and rsc.clone is not None:
            found.append(f"clone-max is {rsc.clone.maximum}, clone-node-max {rsc.clone.per_node}")
        return tuple(found)

    def _part(self, rsc: Resource) -> Part:
        weighing = explain.weigh(self._job, self._record, rsc)
        return Part(
            rsc.id,
            weighing,
            explain.promotion(rsc),
            explain_actions.of_resource(self._job, rsc),
            tuple(explain_actions.failures(self._job, rsc)),
            self._try(rsc),
        )

    def _try(self, rsc: Resource) -> str:
        """Plan again with the second best node preferred by just enough; say where the resource goes then."""
        ranking = self._record.ranking.get(rsc.id, [])
        needed, rival = explain.points_needed(rsc, ranking), explain.rival(rsc, self._record)
        if needed is None or rival is None or rsc.parent is not None or not rsc.managed:
            return ""
        changed = injection.add_preference(self._cib, rsc.id, rival, str(needed))
        job = recipe.read(changed, self._now_s, is_simulated=True)
        recipe.schedule(job)
        then = job.find(rsc.id)
        home = None if then is None else then.assigned_to
        where = "runs nowhere" if home is None else f"goes to {home.name}"
        others = "" if home is not None and home.name == rival else ": other things depend on its place, too"
        return f"tried: then it {where}{others}"

    # -- nodes

    def _of_node(self, node: Node) -> Answer:
        state = state_of(node) or ("is online" if node.online else "is offline")
        causes = dict(self._reasons.node_causes(self._graph))
        cause = next((c.text for name, c in causes.items() if name == node.name), None)
        fencing = tuple(
            demand
            for synapse in self._graph.synapses
            if synapse.action.node is node
            and (demand := explain_actions.of_fencing(self._job, synapse.action)) is not None
        )
        details = [*self._moves(node)]
        if node.unclean and not fencing:
            details.insert(0, self._why_not_fenced())
        return Answer(node.name, "node", cause or f"node {node.name} {state}.", tuple(details), (), fencing)

    def _why_not_fenced(self) -> str:
        job = self._job
        if not job.options.fencing_enabled:
            return (
                "it is not fenced, since fencing is disabled: what ran there is not started elsewhere safely"
            )
        if not job.has_fence_device:
            return "it cannot be fenced: there is no fence device, so what ran there is not started elsewhere"
        if not job.quorate:
            return "it cannot be fenced, since this side has no quorum"
        return "it cannot be fenced from here"

    def _moves(self, node: Node) -> list[str]:
        """Say what runs there, what leaves and what comes."""
        parts = [part for top in self._job.resources for part in top.primitives()]
        here = [part for part in parts if node in part.active]
        stay = [part for part in here if part.assigned_to is node]
        leave = [part for part in here if part.assigned_to is not node]
        come = [
            part for part in parts if part.assigned_to is node and node not in part.active and _will_run(part)
        ]
        found = []
        for title, group in (("stays there", stay), ("leaves", leave), ("comes", come)):
            if group:
                found.append(f"{title}: {', '.join(graph_details.run_name(part) for part in group)}")
        return found or ["nothing runs there, and nothing is to come"]


def _will_run(rsc: Resource) -> bool:
    return rsc.next_role > Role.STOPPED and not _is_blocked(rsc)


def _is_blocked(rsc: Resource) -> bool:
    """Tell whether a start is wanted that cannot be done."""
    if rsc.next_role <= Role.STOPPED:
        return False
    stops = any(action.task == "stop" and not action.is_optional for action in rsc.actions)
    cannot = any(action.task == "start" and not action.is_runnable for action in rsc.actions)
    return cannot and (stops or not rsc.active)


def _listed(nodes: Iterable[Node]) -> str:
    return " and ".join(sorted({node.name for node in nodes}))


def _listed_words(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words))
