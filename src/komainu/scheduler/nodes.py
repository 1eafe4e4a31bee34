"""Find the nodes and settle which of them are here, on their way, gone, or to be fenced.

Knows resources only as the connections of remote nodes.
Source: Pacemaker's reading of `node_state` (in_ccm, crmd, join, expected).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from komainu.cib.element import Element
from komainu.model import score
from komainu.model.role import Role
from komainu.scheduler import actions, attributes, failcounts
from komainu.scheduler.job import Job, Node
from komainu.scheduler.options import is_true, parse_bool, parse_int
from komainu.scheduler.rules import RuleContext
from komainu.scheduler.words import Discovery

_PARTS: Final = re.compile(r"(\d+)")


@lru_cache(maxsize=4096)  # each node is sorted once for each resource that is shown
def sort_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Order names as people do: without case, numbers inside them by value, shorter digits first."""
    key: list[tuple[int, int, str]] = []
    for part in _PARTS.split(name.lower()):
        if part.isdigit():
            digits = part.lstrip("0")  # compared as text: a number may be longer than Python reads
            key.append((0, len(digits), f"{digits} {len(part):04}"))
        else:
            key.extend((1, ord(character), "") for character in part)
    return (*key, (-1, 0, ""))


def add(job: Job, node_id: str, name: str, *, is_remote: bool, base_score: int = 0) -> Node:
    """Make a node and put it in its place in the list."""
    node = Node(node_id, name, is_remote=is_remote, base_score=base_score)
    node.is_dc = job.cib.get("dc-uuid") == node_id
    if node.is_dc:
        job.dc_node = node
    node.attributes = {"#kind": "remote" if is_remote else "cluster", "#uname": name, "#id": node_id}
    node.attributes["#is_dc"] = "true" if node.is_dc else "false"
    cluster = job.options.text("cluster-name")
    if cluster is not None:
        node.attributes["#cluster-name"] = node.attributes["#site-name"] = cluster
    job.nodes.append(node)
    job.nodes.sort(key=lambda other: sort_key(other.name))
    job.node_by_id[node_id] = node
    job.node_by_name[name] = node
    return node


def read_nodes(job: Job) -> None:
    """Make the nodes that the configuration lists."""
    section = job.cib.at("configuration", "nodes")
    for element in [] if section is None else section.all("node"):
        if not element.get("uname") and not element.id:
            continue
        kind = (element.get("type") or "member").lower()
        name = element.get("uname") or element.id
        node = add(
            job,
            element.id or name,
            name,
            is_remote=kind == "remote",
            base_score=int(score.parse(element.get("score"))),
        )
        if kind == "ping":
            node.base_score, node.default_discovery = -1_000_000, Discovery.NEVER
        start_unknown(job, node)
        _add_attributes(job, node, element, permanent=True)
    if job.options.raw and job.node_by_id:
        job.dc_node = job.node_by_id.get(job.cib.get("dc-uuid") or "")


def start_unknown(job: Job, node: Node) -> None:
    """Set what is thought of a node before its state was read: unclean, when nodes are fenced at start."""
    if node.is_remote and node.connection is None:
        return
    node.unclean = job.options.startup_fencing
    node.unseen = True


def _add_attributes(job: Job, node: Node, element: Element, *, permanent: bool) -> None:
    """Add the attributes, and what the node can hold; transient ones replace permanent ones."""
    context = RuleContext(job.now_s, job.recheck, node_attributes=node.attributes)
    values = attributes.read_sets(element, "instance_attributes", context)
    for name, value in values.items():
        if permanent:
            node.permanent.setdefault(name, value)
            node.attributes.setdefault(name, value)
        else:
            node.attributes[name] = value
    node.utilization.update(attributes.read_sets(element, "utilization", context))
    site = node.attributes.get("site-name")
    if site:
        node.attributes["#site-name"] = site
    node.failures = failcounts.read(node.attributes)


# -- states ---------------------------------------------------------------------------------------------


def read_states(job: Job) -> None:
    """Read each cluster node's attributes and settle its state; of remote nodes, whether they were fenced."""
    status = job.cib.first("status")
    for state in [] if status is None else status.all("node_state"):
        node = find(job, state)
        if node is None:
            continue
        if node.is_remote:
            node.was_fenced = parse_int(state.get("node_fenced"), 0) > 0 or is_true(state.get("node_fenced"))
            continue
        read_transient(job, node, state)
        _settle_online(job, node, state)
        if not job.quorate and node.online and job.options.no_quorum_policy == "fence":
            actions.fence_node(job, node, "cluster does not have quorum")


def find(job: Job, state: Element) -> Node | None:
    """Return the node that a node_state is about."""
    return job.node_by_id.get(state.id) or job.node_by_name.get(state.get("uname") or "")


def read_transient(job: Job, node: Node, state: Element) -> None:
    """Take in the transient attributes and the marks that are set by attributes."""
    node.unclean = False
    node.unseen = False
    transient = state.first("transient_attributes")
    if transient is not None:
        _add_attributes(job, node, transient, permanent=False)
    if is_true(node.attributes.get("standby")):
        node.standby = True
    if is_true(node.attributes.get("maintenance")):
        node.maintenance = True
    discovery = node.attributes.get("resource-discovery-enabled")
    if discovery is not None and not parse_bool(discovery, default=True) and node.is_remote:
        node.allows_discovery = False


def _settle_online(job: Job, node: Node, state: Element) -> None:
    node.shutdown = wants_shutdown(node)
    node.expected_up = state.get("expected") == "member"
    if job.options.fencing_enabled:
        node.online = _online_with_fencing(job, node, state)
    else:
        node.online = _online_without_fencing(node, state)
    if not node.online or node.shutdown:
        node.base_score = -1_000_000


def wants_shutdown(node: Node) -> bool:
    """Tell whether the node itself asked to leave; it may go down for other reasons, too."""
    return node.attributes.get("shutdown") not in {None, "0"}


def _is_member(state: Element) -> bool:
    """`in_ccm` is a boolean, or the second since which the node is a member (0: it is none)."""
    return _since(state.get("in_ccm")) > 0


def _since(text: str | None) -> int:
    if text is None:
        return -1
    number = parse_int(text, -1)
    if text.strip().lstrip("-").isdigit() and number > 1:
        return number
    return 1 if is_true(text) else 0


def _crmd_is_online(state: Element) -> bool:
    text = state.get("crmd")
    if text is None:
        return False
    return text == "online" or parse_int(text, 0) > 0


def _online_without_fencing(node: Node, state: Element) -> bool:
    if not _is_member(state):
        return False
    if _crmd_is_online(state):
        return state.get("join") == "member"
    if node.expected_up:
        node.unclean = True
    return False


def _wants_termination(attributes_: Mapping[str, str]) -> bool:
    text = attributes_.get("terminate")
    return text is not None and (is_true(text) or parse_int(text, 0) > 0)


def _online_with_fencing(job: Job, node: Node, state: Element) -> bool:
    """Settle a node's state where nodes can be fenced; whatever is not explained by its words is fenced."""
    member, crmd, join = _is_member(state), _crmd_is_online(state), state.get("join")
    if node.shutdown:
        return crmd
    reason = ""
    if state.get("in_ccm") is None:
        reason = "peer has not been seen by the cluster"
    elif join == "banned":
        reason = "peer failed Pacemaker membership criteria"
    elif _wants_termination(node.attributes) and not (not member and not crmd and join == "down"):
        reason = "fencing was requested"
    elif not node.expected_up:
        return _settle_newcomer(job, node, state)
    elif not member:
        reason = "peer is no longer part of the cluster"
    elif not crmd:
        reason = "peer process is no longer available"
    elif join in {"pending", "down"} or join is None:
        node.pending = node.standby = True
    elif join != "member":
        reason = "node is not joined"
    if reason == "peer is no longer part of the cluster":
        actions.fence_node(job, node, reason, arms_priority_delay=True)
    elif reason:
        actions.fence_node(job, node, reason)
    return member


def _settle_newcomer(job: Job, node: Node, state: Element) -> bool:
    """Settle a node that nobody expects to be a member: it may be about to join."""
    member, crmd = _is_member(state), _crmd_is_online(state)
    timeout_s = job.options.node_pending_timeout_s
    since = _since(state.get("in_ccm"))
    since = job.now_s if since == 1 else since
    if timeout_s > 0 and member and not crmd:
        if job.now_s - since >= timeout_s:
            actions.fence_node(job, node, "peer pending timed out on joining the process group")
            return member
        job.recheck(since + timeout_s)
    if member or crmd:
        if state.get("join") == "member" and crmd and member:
            return True
        node.pending = node.standby = True
    return member


# -- remote nodes ---------------------------------------------------------------------------------------


def settle_remote(node: Node) -> None:
    """Settle whether a remote or guest node is online: that follows from its connection."""
    connection = node.connection
    if connection is None:
        node.online = False
        return
    launcher = connection.launcher
    if connection.role >= Role.STARTED:
        node.online = True
    if connection.role is Role.STARTED and connection.next_role is Role.STOPPED:
        node.shutdown = True
    if launcher is not None and launcher.failed:
        node.online, node.reset_needed = False, True
    elif connection.failed:
        node.online = False
    elif connection.role is Role.STOPPED or (launcher is not None and launcher.role is Role.STOPPED):
        node.online, node.reset_needed = False, False
    elif launcher is not None and len(connection.active) == 1 and _is_lost(connection.active[0]):
        node.online, node.reset_needed = False, True


def _is_lost(host: Node) -> bool:
    return not host.online and host.unclean


def read_remote(job: Job, node: Node, state: Element) -> None:
    """Take in a remote node's attributes, and the shutdown that it asks for."""
    connection = node.connection
    node.remote_maintenance = parse_int(state.get("node_in_maintenance"), 0) > 0
    if not node.reset_needed:
        node.unclean = node.unseen = False
    transient = state.first("transient_attributes")
    if transient is not None:
        _add_attributes(job, node, transient, permanent=False)
    if wants_shutdown(node):
        node.shutdown = True
    if is_true(node.attributes.get("standby")):
        node.standby = True
    if is_true(node.attributes.get("maintenance")) or (connection is not None and not connection.managed):
        node.maintenance = True
    discovery = node.attributes.get("resource-discovery-enabled")
    if discovery is not None and not parse_bool(discovery, default=True):
        node.allows_discovery = False


def update_kinds(job: Job) -> None:
    """Say of each node, for rules, whether it is a member, a remote node, or lives in a container."""
    for node in job.nodes:
        if node.is_guest:
            node.attributes["#kind"] = "container"
