"""Turn location constraints into scores for nodes, and apply them to node tables.

Source: Pacemaker Explained, "Location Constraints", "resource-discovery", "Rules".
"""

import re
from dataclasses import replace
from typing import Final

from komainu.cib.element import Element
from komainu.model import score
from komainu.model.role import Role
from komainu.model.role import parse as parse_role
from komainu.scheduler import operations, rules
from komainu.scheduler.job import Candidate, Job, Location, Node, Resource
from komainu.scheduler.rules import RuleContext
from komainu.scheduler.words import INFINITY, Discovery, add_scores

_DISCOVERY: Final = {"always": Discovery.ALWAYS, "never": Discovery.NEVER, "exclusive": Discovery.EXCLUSIVE}


def read_pattern(job: Job, element: Element, pattern: str) -> None:
    """Read a constraint on all top-level resources whose id matches (or, after `!`, does not)."""
    inverted = pattern.startswith("!")
    try:
        expression = re.compile(pattern[1:] if inverted else pattern)
    except re.error:
        return
    for rsc in job.resources:
        found = expression.search(rsc.id)
        if inverted and found is None:
            read(job, element, rsc)
        elif not inverted and found is not None:
            matches = (found[0], *(group or "" for group in found.groups()))
            read(job, element, rsc, submatches=matches)


def read(
    job: Job,
    element: Element,
    rsc: Resource,
    resource_set: Element | None = None,
    *,
    submatches: tuple[str, ...] = (),
) -> None:
    """Read one constraint for one resource."""
    value = None if resource_set is None else resource_set.get("score")
    value = value or element.get("score")
    role_word = None if resource_set is None else resource_set.get("role")
    role = _filter(role_word or element.get("role"))
    discovery = _DISCOVERY.get((element.get("resource-discovery") or "always").lower(), Discovery.ALWAYS)
    node_name = element.get("node")
    if node_name is not None and value is not None:
        node = _find_node(job, node_name)
        if node is not None:
            rows = {node.id: Candidate(node, int(score.parse(value)), discovery=discovery)}
            add(job, Location(element.id, rsc, rows, role, discovery))
        return
    for rule in element.all("rule"):
        rows = _rows_of_rule(job, rule, rsc, submatches)
        if rows:
            rule_role = _filter(rule.get("role")) if rule.get("role") else role
            add(job, Location(rule.id or element.id, rsc, rows, rule_role, discovery))


def _find_node(job: Job, name: str) -> Node | None:
    folded = name.lower()
    return job.node_by_name.get(name) or next((n for n in job.nodes if n.name.lower() == folded), None)


def _filter(word: str | None) -> Role:
    """Only the promoted role is told apart; to be started or unpromoted is to be there."""
    return Role.PROMOTED if parse_role(word) is Role.PROMOTED else Role.UNKNOWN


def _rows_of_rule(
    job: Job, rule: Element, rsc: Resource, submatches: tuple[str, ...]
) -> dict[str, Candidate]:
    context = RuleContext(
        job.now_s,
        job.recheck,
        submatches=submatches,
        meta=rsc.meta,
    )
    rows: dict[str, Candidate] = {}
    for node in job.nodes:
        here = replace(
            context,
            node_attributes=node.attributes,
            parameters=operations.parameters(job, rsc, (node.id, node.attributes)),
        )
        if not rules.holds(rule, here):
            continue
        value = _rule_score(rule, context, node, rsc)
        if value is not None:
            rows[node.id] = Candidate(node, value)
    return rows


def _rule_score(rule: Element, context: RuleContext, node: Node, rsc: Resource) -> int | None:
    name = rule.get("score-attribute")
    if name is None or rule.get("score") is not None:
        return int(score.parse(rule.get("score")))
    text = node_attribute(node, context.expand(name), rsc)
    return None if text is None else int(score.parse(text))


def node_attribute(node: Node, name: str, rsc: Resource | None) -> str | None:
    """Return a node's attribute; of a bundle's node that of its host, where the resource says so."""
    target = None if rsc is None else rsc.meta.get("container-attribute-target")
    if target == "host" and node.is_guest and node.connection is not None and name != "#uname":
        launcher = node.connection.launcher
        host = None if launcher is None else _host_of(launcher)
        return None if host is None else host.attributes.get(name)
    return node.attributes.get(name)


def _host_of(launcher: Resource) -> Node | None:
    """Return where a launcher will be, once that is decided; until then, where it is."""
    if not launcher.unassigned:
        return launcher.assigned_to
    return launcher.active[0] if launcher.active else None


def add(job: Job, location: Location) -> None:
    """Keep a location constraint, newest first. One with exclusive discovery excludes all that none names."""
    if location.discovery is Discovery.EXCLUSIVE:
        location.resource.exclusive_discovery = True
    job.locations.insert(0, location)
    location.resource.locations.insert(0, location)


def apply_all(job: Job) -> None:
    """Apply every constraint that does not wait for a promotion."""
    for location in job.locations:
        location.resource.variant.apply_location(location.resource, location)


def _new_row(wish: Candidate) -> Candidate:
    """Let a node in that was not in the table. A rule may hold for a bundle's node, too: that takes only its own."""
    is_closed = wish.node.default_discovery is Discovery.NEVER
    value = -INFINITY if is_closed else wish.score
    return Candidate(wish.node, value, discovery=wish.node.default_discovery)


def apply(rsc: Resource, location: Location) -> None:
    """Add a location's scores to one table. A node that was not in it gets a row."""
    if location.role is not Role.UNKNOWN and location.role is not rsc.next_role:
        return
    for node_id, wish in location.rows.items():
        row = rsc.table.get(node_id)
        if row is None:
            row = rsc.table[node_id] = _new_row(wish)
        else:
            row.score = add_scores(row.score, wish.score)
        if row.discovery < location.discovery:
            if location.discovery is Discovery.EXCLUSIVE:
                rsc.exclusive_discovery = True
            row.discovery = location.discovery
