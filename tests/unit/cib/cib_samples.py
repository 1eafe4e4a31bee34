"""Small states and commands that the tests of cib/ share."""

from komainu.cib.apply import apply
from komainu.cib.command import (
    AnyCommand,
    ChangeMembership,
    EditConfiguration,
    JoinNode,
    RecordOperation,
    StartAction,
)
from komainu.cib.document import parse
from komainu.cib.element import Element
from komainu.cib.initial import empty_cib
from komainu.cib.nodes import node_state
from komainu.cib.state import Applied, ClusterState
from komainu.model.cause import Cause
from komainu.model.edit import Edit, Put
from komainu.model.ids import NodeId, NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName, OperationResult, OpStatus
from komainu.model.view import Position, View, ViewId

A, B = NodeName("a"), NodeName("b")
WEB = ResourceId("web")
CAUSE = Cause("test", "a test wants it")
AT = WallTime(1_800_000_000_500)
AGENT = AgentName("ocf", "komainu", "web")
WEB_XML = '<primitive id="web" class="ocf" provider="komainu" type="web"/>'


def new_state(*resources: str) -> ClusterState:
    """Make a state with nodes a and b and some resources, as XML."""
    state = ClusterState(empty_cib("test", ((NodeId(1), A), (NodeId(2), B))))
    edits = tuple(Put("resources", xml) for xml in resources)
    return state if not edits else accepted(state, edit(*edits))


def two_members(*resources: str) -> ClusterState:
    """Make a state in which a and b have joined."""
    state = accepted(new_state(*resources), view_of(A, B))
    return accepted(accepted(state, join(A), A), join(B), B)


def run(
    state: ClusterState, command: AnyCommand, origin: NodeName = A, *, is_quorate: bool = True
) -> Applied:
    position = Position(state.position.lineage, state.position.index + 1)
    return apply(state, command, position=position, origin=origin, is_quorate=is_quorate)


def accepted(
    state: ClusterState, command: AnyCommand, origin: NodeName = A, *, is_quorate: bool = True
) -> ClusterState:
    applied = run(state, command, origin, is_quorate=is_quorate)
    assert applied.is_accepted, [str(report) for report in applied.refusals]
    return applied.state


def refusal(
    state: ClusterState, command: AnyCommand, origin: NodeName = A, *, is_quorate: bool = True
) -> str:
    """Return the code of the refusal, which leaves all but the position as it was."""
    applied = run(state, command, origin, is_quorate=is_quorate)
    assert not applied.is_accepted
    assert applied.state.cib == state.cib
    assert applied.state.fencing == state.fencing
    return applied.refusals[0].code


def edit(*edits: Edit) -> EditConfiguration:
    return EditConfiguration(CAUSE, AT, "root", edits, None)


def view_of(
    *members: NodeName,
    lost: tuple[NodeName, ...] = (),
    left: tuple[NodeName, ...] = (),
    is_quorate: bool = True,
    counter: int = 1,
    lives: tuple[str, ...] = (),
) -> ChangeMembership:
    numbers = {A: NodeId(1), B: NodeId(2), NodeName("c"): NodeId(3)}
    ids = tuple(numbers[name] for name in members)
    view = View(ViewId(counter, NodeId(1)), ids, is_quorate, "2 of 2 votes")
    return ChangeMembership(
        CAUSE,
        AT,
        "",
        view,
        members,
        tuple((one, "silent") for one in lost),
        tuple((one, "bye") for one in left),
        lives,
    )


def join(node: NodeName, *history: OperationResult) -> JoinNode:
    return JoinNode(CAUSE, AT, "", node, history)


def request(
    operation: str = "start",
    *,
    node: NodeName = A,
    resource: ResourceId = WEB,
    interval_ms: int = 0,
    target_rc: int = 0,
    action: int = 1,
) -> ActionRequest:
    return ActionRequest(
        node=node,
        resource=resource,
        agent=AGENT,
        operation=operation,
        interval_ms=interval_ms,
        timeout_ms=20_000,
        parameters=(),
        meta=(),
        target_rc=target_rc,
        transition_key=f"{action}:7:{target_rc}:01234567-89ab-cdef-0123-456789abcdef",
        digest="d41d8",
    )


def start_action(asked: ActionRequest) -> StartAction:
    return StartAction(CAUSE, AT, "", asked, 7, 1)


def result(
    asked: ActionRequest,
    exit_code: int = 0,
    *,
    status: OpStatus = OpStatus.DONE,
    call_id: int = 5,
    reason: str = "",
    at_s: int = 1_800_000_000,
) -> OperationResult:
    return OperationResult(asked, call_id, status, exit_code, reason, at_s, 12, 0)


def record(
    asked: ActionRequest,
    exit_code: int = 0,
    *,
    status: OpStatus = OpStatus.DONE,
    call_id: int = 5,
    reason: str = "",
    at_s: int = 1_800_000_000,
) -> RecordOperation:
    outcome = result(asked, exit_code, status=status, call_id=call_id, reason=reason, at_s=at_s)
    return RecordOperation(CAUSE, AT, "", outcome)


def entries(state: ClusterState, node: NodeName = A, resource: str = "web") -> dict[str, Element]:
    """Return the history of a resource on a node, by id."""
    here = node_state(state.cib, node)
    listing = None if here is None else here.at("lrm", "lrm_resources")
    homes = () if listing is None else listing.children
    return {entry.id: entry for home in homes if home.id == resource for entry in home.children}


def status_of(state: ClusterState, node: NodeName) -> tuple[str | None, ...]:
    """Return in_ccm, crmd, join, expected of a node."""
    here = node_state(state.cib, node)
    assert here is not None
    return tuple(here.get(name) for name in ("in_ccm", "crmd", "join", "expected"))


def attributes(state: ClusterState, node: NodeName = A) -> dict[str, str]:
    """Return the transient attributes of a node."""
    here = node_state(state.cib, node)
    home = None if here is None else here.first("transient_attributes")
    pairs = () if home is None else tuple(one for one in home.walk() if one.tag == "nvpair")
    return {pair.get("name") or "": pair.get("value") or "" for pair in pairs}


def configuration(body: str) -> Element:
    """Make a <cib> around some sections."""
    return parse(f"<cib><configuration>{body}</configuration></cib>")
