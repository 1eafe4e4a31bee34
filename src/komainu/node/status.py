"""Put together what `komainu status` shows, from the agreed state and this node's own view of its links.

Decides nothing. Where a resource is comes from the same reading of the history that plans are made from.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final, assert_never

import komainu
from komainu.cib.document import show
from komainu.cib.element import Element
from komainu.cib.nodes import node_entries
from komainu.cib.options import cluster_option
from komainu.cib.pairs import transient_value
from komainu.cib.state import ClusterState
from komainu.cib.version import version_of
from komainu.model.ids import Instant, NodeName, ResourceId, WallTime
from komainu.model.link import LinkState
from komainu.model.plan import Placement
from komainu.model.request import (
    AskConfiguration,
    AskFencing,
    AskLinks,
    AskRing,
    AskStatus,
    AskWhy,
    Configuration,
    DropView,
    EndView,
    FailureView,
    FenceView,
    Fencing,
    LinkChange,
    Links,
    LinkView,
    NodeView,
    QuorumView,
    Reply,
    ResourceView,
    RingStatus,
    Status,
    TrialView,
    VoterView,
)
from komainu.node import fence_warnings
from komainu.node.desk import TRIAL_MARK
from komainu.node.membership import NodeCondition, node_conditions
from komainu.ring.quorum import is_two_node
from komainu.ring.settings import derive

if TYPE_CHECKING:
    from komainu.node.drive import Drive

FENCING_SHOWN_MAX: Final = 10

Question = AskStatus | AskConfiguration | AskWhy | AskLinks | AskRing | AskFencing
"""The requests that only ask."""

KINDS: Final = {
    "primitive": "primitive",
    "group": "group",
    "clone": "clone",
    "master": "clone",
    "bundle": "bundle",
}


def answer(drive: "Drive", question: Question, now: Instant, wall: WallTime) -> Reply:
    """Answer what needs no agreement."""
    state = drive.replica.state
    match question:
        case AskStatus():
            return status_of(drive, now, wall)
        case AskConfiguration(status=with_status):
            return configuration_of(state, with_status=with_status)
        case AskWhy(subject=subject, at=moment):
            return drive.index.why(subject, moment)
        case AskLinks():
            return links_of(drive, now, wall)
        case AskRing():
            return ring_of(drive, now, wall)
        case AskFencing():
            return fencing_of(state, wall)
        case _:
            assert_never(question)


def status_of(drive: "Drive", now: Instant, wall: WallTime) -> Status:
    """Show the whole state as this node sees it."""
    state, view = drive.replica.state, drive.ring.view
    conditions = node_conditions(state.cib)
    return Status(
        cluster=drive.settings.cluster,
        node=drive.me,
        version=komainu.__version__,
        view="" if view is None else str(view.view_id),
        is_quorate=view is not None and view.quorate,
        quorum_reason="no view yet" if view is None else view.quorum_reason,
        cib_version=str(version_of(state.cib)),
        doing=drive.coordination.doing(),
        nodes=_nodes(drive, conditions),
        links=_links(drive, now, wall),
        resources=_resources(state, drive.coordination.outlook.placements(state, wall)),
        failures=failures_of(state.cib),
        fencing=_fencing(state, FENCING_SHOWN_MAX),
        warnings=(
            *_warnings(state.cib, conditions, links=len(drive.settings.of(drive.settings.me).ends)),
            *_drop_warnings(drive, now),
            *drive.ring.remarks(now),
            *drive.rotation.remarks(),
            *((drive.layouts.removal,) if drive.layouts.removal else ()),
            *fence_warnings.of(state, drive.fencer.troubles, halves_stay=is_two_node(drive.settings)),
        ),
        at=wall,
    )


def configuration_of(state: ClusterState, *, with_status: bool) -> Configuration:
    """Give the CIB as text, with or without its status."""
    cib = state.cib if with_status else state.cib.without(lambda child: child.tag == "status")
    return Configuration(xml=show(cib), version=version_of(state.cib))


def _nodes(drive: "Drive", conditions: tuple[NodeCondition, ...]) -> tuple[NodeView, ...]:
    """Show each configured node; one that the state does not know yet is shown as offline."""
    view = drive.ring.view
    coordinator = None if view is None else drive.names[view.coordinator]
    known = {condition.name: condition for condition in conditions}
    shown = []
    for node in drive.settings.nodes:
        condition = known.get(node.name)
        word = "offline" if condition is None else condition.word
        reason = "" if word == "online" else _why_not_online(drive, node.name, word)
        shown.append(
            NodeView(
                name=node.name,
                node_id=node.node,
                state=word,
                is_coordinator=node.name == coordinator,
                reason=reason,
            )
        )
    return tuple(shown)


def _why_not_online(drive: "Drive", node: NodeName, word: str) -> str:
    if word == "standby":
        return "the node attribute standby is set"
    if word == "pending":
        return "it has not yet said what runs on it"
    return drive.index.why(node, None).answer


def _links(drive: "Drive", now: Instant, wall: WallTime) -> tuple[LinkView, ...]:
    return tuple(
        LinkView(
            link=link.link,
            peer=drive.names[link.peer],
            state=link.state,
            reason=link.reason,
            peer_state=link.peer_state,
            peer_reason=link.peer_reason,
            since=WallTime(wall - (now - link.since)),
            round_trip_ms=link.round_trip_ms,
            loss=link.loss,
            is_used=link.is_used,
            is_damped=link.is_damped,
            over=link.over,
            history=tuple(
                LinkChange(WallTime(wall - (now - at)), state, reason) for at, state, reason in link.history
            ),
        )
        for link in drive.ring.links()
    )


def ring_of(drive: "Drive", now: Instant, wall: WallTime) -> RingStatus:
    """Show the ring: quorum and why, and the way to each peer. The shells add what only they count."""
    view, found = drive.ring.view, drive.ring.quorum()
    settings = drive.settings
    return RingStatus(
        cluster=settings.cluster,
        node=drive.me,
        node_id=settings.me,
        engine=settings.engine.value,
        view="" if view is None else str(view.view_id),
        coordinator=None if view is None else drive.names[view.coordinator],
        detect_within_ms=derive(settings).detect_within_ms,
        link_mode=settings.link_mode.value,
        quorum=QuorumView(
            is_quorate=found.quorate,
            reason=found.reason,
            expected_votes=found.expected_votes,
            highest_expected=found.highest_expected,
            total_votes=found.total_votes,
            needed=found.needed,
            flags=found.flags,
            voters=tuple(
                VoterView(
                    node=drive.names[voter.node],
                    node_id=voter.node,
                    votes=voter.votes,
                    is_member=voter.is_member,
                    is_counted=voter.is_counted,
                    is_local=voter.node == settings.me,
                )
                for voter in found.voters
            ),
            witness=found.witness,
            witness_votes=found.witness_votes,
        ),
        links=_links(drive, now, wall),
        at=wall,
    )


def links_of(drive: "Drive", now: Instant, wall: WallTime) -> Links:
    """Show this node's own ends of its links, and the way to each peer."""
    ends = tuple(
        EndView(
            link=end.end.link,
            interface="" if end.index is None or end.name is None else end.name,
            address=f"{end.address}/{end.prefix}" if end.prefix else end.address,
            state=end.state or LinkState.SILENT,
            reason=end.reason,
            is_service=end.end.is_service,
            keep_talking=end.end.keep_talking,
            keep_address=end.end.keep_address,
            is_released=end.is_released,
            has_given_up=guard.has_given_up,
            kept=guard.kept(now),
        )
        for end, guard in drive.network.ends
    )
    dropped = tuple(
        DropView(one.link, one.kind, one.count, one.meaning, WallTime(wall - (now - one.last)))
        for one in drive.network.drops.all()
    )
    return Links(node=drive.me, ends=ends, links=_links(drive, now, wall), at=wall, dropped=dropped)


def _resources(state: ClusterState, placements: tuple[Placement, ...]) -> tuple[ResourceView, ...]:
    """Show the configured resources as a tree, each where the history says it is."""
    resources = state.cib.at("configuration", "resources")
    by_id = {placement.resource: placement for placement in placements}
    pending = _pending(state.cib)
    failed = {failure.resource for failure in failures_of(state.cib)}
    if resources is None:
        return ()
    return tuple(
        _resource(element, by_id, pending, failed) for element in resources.children if element.tag in KINDS
    )


def _resource(
    element: Element,
    placements: Mapping[ResourceId, Placement],
    pending: Mapping[ResourceId, str],
    failed: set[ResourceId],
) -> ResourceView:
    resource = ResourceId(element.id)
    placement = placements.get(resource)
    members = tuple(
        _resource(child, placements, pending, failed) for child in element.children if child.tag in KINDS
    )
    parts = (element.get("class"), element.get("provider"), element.get("type"))
    flags = ["failed"] if resource in failed else []
    if meta_of(element, "target-role") == "Stopped":
        flags.append("disabled")
    if meta_of(element, "is-managed") == "false":
        flags.append("unmanaged")
    return ResourceView(
        resource=resource,
        kind=KINDS[element.tag],
        agent=":".join(part for part in parts if part) if element.tag == "primitive" else "",
        role="Stopped" if placement is None else placement.current_role.label,
        nodes=() if placement is None else placement.current,
        flags=tuple(flags),
        pending=pending.get(resource, ""),
        members=members,
    )


def meta_of(element: Element, name: str) -> str | None:
    """Read one meta attribute of a resource element itself."""
    for block in element.all("meta_attributes"):
        for pair in block.all("nvpair"):
            if pair.get("name") == name:
                return pair.get("value")
    return None


_DOING: Final = {"start": "starting", "stop": "stopping", "monitor": "monitoring", "promote": "promoting"}


def _pending(cib: Element) -> dict[ResourceId, str]:
    found: dict[ResourceId, str] = {}
    for node, resource, operation in _operations(cib):
        if operation.get("op-status") == "-1":
            task = operation.get("operation") or ""
            found[resource] = f"{_DOING.get(task, task)} on {node}"
    return found


def failures_of(cib: Element) -> tuple[FailureView, ...]:
    """Read the failures that still count."""
    return tuple(
        FailureView(
            resource=resource,
            operation=operation.get("operation") or "",
            node=node,
            exit_code=_number(operation.get("rc-code")),
            outcome="timed out" if operation.get("op-status") == "2" else "failed",
            exit_reason=operation.get("exit-reason") or "",
            at=WallTime(1000 * _number(operation.get("last-rc-change"))),
        )
        for node, resource, operation in _operations(cib)
        if operation.id.endswith("_last_failure_0")
    )


def _operations(cib: Element) -> list[tuple[NodeName, ResourceId, Element]]:
    status = cib.at("status")
    found = []
    for node_state in () if status is None else status.all("node_state"):
        history = node_state.at("lrm", "lrm_resources")
        for resource in () if history is None else history.all("lrm_resource"):
            name = NodeName(node_state.get("uname") or "")
            found += [(name, ResourceId(resource.id), op) for op in resource.all("lrm_rsc_op")]
    return found


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.lstrip("-").isdigit() else 0


def fencing_of(state: ClusterState, at: WallTime) -> Fencing:
    """Show the whole fencing history, and how the devices did when they were last tried."""
    return Fencing(_fencing(state, len(state.fencing)), at, tuple(_trials(state.cib)))


def _trials(cib: Element) -> Iterator[TrialView]:
    for node in node_entries(cib):
        name = NodeName(node.get("uname") or "")
        at, _, text = (transient_value(cib, name, TRIAL_MARK) or "").partition(" ")
        if at.isdigit() and text:
            yield TrialView(name, WallTime(int(at)), text)


def _fencing(state: ClusterState, limit: int) -> tuple[FenceView, ...]:
    newest = state.fencing[::-1][:limit]
    return tuple(
        FenceView(
            target=entry.target,
            action=entry.action,
            state=entry.state.value,
            delegate=entry.delegate,
            reason=entry.reason,
            outcome=entry.outcome,
            at=entry.at,
            device=entry.device,
        )
        for entry in newest
    )


def _drop_warnings(drive: "Drive", now: Instant) -> tuple[str, ...]:
    return tuple(
        f"{one.count} packets were dropped since the start of this daemon: they {one.meaning}"
        for one in drive.network.drops.alarms(now)
    )


def _warnings(cib: Element, conditions: tuple[NodeCondition, ...], *, links: int) -> tuple[str, ...]:
    """Say what an administrator should know before it hurts."""
    lost = tuple(node.name for node in conditions if node.is_lost)
    warnings = list(fence_warnings.of_losses(cib, lost, links=links))
    if cluster_option(cib, "maintenance-mode") == "true":
        warnings.append("the cluster is in maintenance mode: nothing is started, stopped or watched")
    return tuple(warnings)
