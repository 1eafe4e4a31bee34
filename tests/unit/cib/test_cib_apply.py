"""cib/apply.py: every command of any content is applied or refused, alike everywhere, and never raises."""

from dataclasses import replace
from typing import get_args

import msgspec
import pytest
from cib_samples import (
    AT,
    CAUSE,
    WEB,
    WEB_XML,
    A,
    B,
    accepted,
    attributes,
    edit,
    entries,
    join,
    new_state,
    record,
    refusal,
    request,
    run,
    start_action,
    two_members,
    view_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from komainu.cib.apply import apply
from komainu.cib.command import (
    AdoptSnapshot,
    AnyCommand,
    CancelAction,
    ChangeLayout,
    ChangeMembership,
    ConfirmKey,
    ConfirmOff,
    EditConfiguration,
    ForgetOperations,
    JoinNode,
    LeaveNode,
    RecordFencing,
    RecordOperation,
    ReleaseNode,
    ReplaceConfiguration,
    RotateKey,
    SetAttribute,
    StartAction,
    StartTransition,
    decode,
    encode,
)
from komainu.cib.document import parse, parse_cib, show
from komainu.cib.durable import load, store, without_status
from komainu.cib.initial import empty_cib
from komainu.cib.nodes import node_entries
from komainu.cib.schema import validate
from komainu.cib.state import Applied, ClusterState
from komainu.cib.version import version_of
from komainu.model.cause import Cause
from komainu.model.edit import Edit, Put, Remove, SetOption, Version
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import LinkNumber, NodeId, NodeName, ResourceId, WallTime
from komainu.model.layout import Layout, NodeLayout
from komainu.model.link import LinkEnd
from komainu.model.operation import ActionRequest, AgentName, OperationResult, OpStatus
from komainu.model.report import Severity
from komainu.model.view import Position, View, ViewId

# -- totality -------------------------------------------------------------------------------------------

_NODES = st.one_of(st.sampled_from(["a", "b", "c"]), st.text(max_size=3)).map(NodeName)
_RESOURCES = st.one_of(st.sampled_from(["web", "db", "web:1"]), st.text(max_size=3)).map(ResourceId)
_TIMES = st.one_of(st.integers(0, 2**41), st.integers(-(2**63), 2**63 - 1)).map(WallTime)
_INTS = st.one_of(st.integers(-1, 9), st.integers(-(2**63), 2**63 - 1))
_POSITIONS = st.builds(Position, st.integers(0, 2**40), st.integers(0, 2**40))
_OPERATIONS = st.one_of(
    st.sampled_from(
        ["start", "stop", "monitor", "promote", "demote", "notify", "migrate_to", "migrate_from", "reload"]
    ),
    st.text(max_size=3),
)
_PAIRS = st.lists(
    st.tuples(st.sampled_from(["container", "migrate_source", "migrate_target", "x"]), st.text(max_size=2)),
    max_size=2,
).map(tuple)
_REQUESTS = st.builds(
    ActionRequest,
    node=_NODES,
    resource=_RESOURCES,
    agent=st.builds(AgentName, st.text(max_size=3), st.none() | st.text(max_size=3), st.text(max_size=3)),
    operation=_OPERATIONS,
    interval_ms=st.sampled_from([0, 0, 10_000]) | _INTS,
    timeout_ms=_INTS,
    parameters=_PAIRS,
    meta=_PAIRS,
    target_rc=st.sampled_from([0, 7]) | _INTS,
    transition_key=st.sampled_from(["1:1:0:x", "2:1:7:x"]) | st.text(max_size=9),
    digest=st.text(max_size=2),
)
_RESULTS = st.builds(
    OperationResult,
    request=_REQUESTS,
    call_id=_INTS,
    status=st.sampled_from(OpStatus),
    exit_code=st.sampled_from([0, 1, 5, 7, 193]) | _INTS,
    exit_reason=st.text(max_size=4),
    last_change_s=_INTS,
    exec_ms=_INTS,
    queue_ms=_INTS,
)
_XML = st.sampled_from(
    [
        WEB_XML,
        '<primitive id="db" class="ocf" provider="komainu" type="db"/>',
        '<group id="g"><primitive id="m" class="lsb" type="m"/></group>',
        '<rsc_order id="o" first="web" then="db"/>',
        '<rule id="r"><rule id="r2"/></rule>',
        '<cib validate-with="none" admin_epoch="99999999999999999999"><configuration/></cib>',
        "<configuration><resources><primitive/></resources></configuration>",
        "<cib/>",
        "<cib",
        "",
    ]
) | st.text(max_size=9)
_SECTIONS = st.sampled_from(["resources", "constraints", "nodes", "crm_config", "status"]) | st.text(
    max_size=3
)
_SET_TAGS = st.sampled_from(["meta_attributes", "instance_attributes", "cluster_property_set", "utilization"])
_EDITS: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Put, _SECTIONS, _XML),
    st.builds(Remove, st.sampled_from(["web", "db", "g", "1"]) | st.text(max_size=3)),
    st.builds(
        SetOption,
        st.sampled_from(["web", "a", "crm_config", "rsc_defaults"]) | st.text(max_size=3),
        _SET_TAGS | st.text(max_size=3),
        st.sampled_from(["target-role", "standby", "maintenance-mode"]) | st.text(max_size=3),
        st.none() | st.sampled_from(["true", "Stopped"]) | st.text(max_size=3),
    ),
)
_EXPECTED = st.none() | st.builds(Version, st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
_VIEWS = st.builds(
    View,
    st.builds(ViewId, _INTS, _INTS.map(NodeId)),
    st.lists(st.integers(1, 3).map(NodeId), max_size=3).map(tuple),
    st.booleans(),
    st.text(max_size=3),
)
_GONE = st.lists(st.tuples(_NODES, st.text(max_size=3)), max_size=2).map(tuple)
_FENCINGS = st.builds(
    FenceRecord,
    request=st.sampled_from(["r1", "r2"]) | st.text(max_size=3),
    target=_NODES,
    action=st.sampled_from(["off", "reboot", "on"]) | st.text(max_size=3),
    state=st.sampled_from(FenceState),
    delegate=_NODES,
    device=st.text(max_size=3),
    reason=st.text(max_size=3),
    outcome=st.text(max_size=3),
    at=_TIMES,
)
_SNAPSHOTS = st.sampled_from([store(new_state()), store(two_members(WEB_XML)), "", "x"]) | st.text(max_size=9)
_COMMON = {"cause": st.just(CAUSE), "at": _TIMES, "user": st.text(max_size=3)}
_COMMANDS: st.SearchStrategy[AnyCommand] = st.one_of(
    st.builds(
        ChangeLayout,
        **_COMMON,
        expected=st.integers(0, 3),
        layout=st.builds(Layout, version=st.integers(0, 4), nodes=st.just(())),
    ),
    st.builds(RotateKey, **_COMMON, sealed=st.binary(max_size=60), fingerprint=st.text(max_size=16)),
    st.builds(ConfirmKey, **_COMMON, fingerprint=st.text(max_size=16), fault=st.text(max_size=16)),
    st.builds(ReplaceConfiguration, **_COMMON, xml=_XML, expected=_EXPECTED),
    st.builds(
        EditConfiguration, **_COMMON, edits=st.lists(_EDITS, max_size=3).map(tuple), expected=_EXPECTED
    ),
    st.builds(
        ChangeMembership,
        **_COMMON,
        view=_VIEWS,
        members=st.lists(_NODES, max_size=3).map(tuple),
        lost=_GONE,
        left=_GONE,
    ),
    st.builds(JoinNode, **_COMMON, node=_NODES, history=st.lists(_RESULTS, max_size=2).map(tuple)),
    st.builds(LeaveNode, **_COMMON, node=_NODES),
    st.builds(ReleaseNode, **_COMMON, node=_NODES, transition=_INTS, action=_INTS),
    st.builds(
        StartTransition,
        **_COMMON,
        transition=_INTS,
        summary=st.just(()),
        resource_causes=st.just(()),
        node_causes=st.just(()),
    ),
    st.builds(StartAction, **_COMMON, request=_REQUESTS, transition=_INTS, action=_INTS),
    st.builds(
        CancelAction,
        **_COMMON,
        node=_NODES,
        resource=_RESOURCES,
        operation=_OPERATIONS,
        interval_ms=_INTS,
        transition=_INTS,
        action=_INTS,
    ),
    st.builds(RecordOperation, **_COMMON, result=_RESULTS),
    st.builds(
        ForgetOperations,
        **_COMMON,
        resource=st.none() | _RESOURCES,
        node=st.none() | _NODES,
        failures_only=st.booleans(),
    ),
    st.builds(SetAttribute, **_COMMON, node=_NODES, name=st.text(max_size=3), value=st.none() | st.text()),
    st.builds(RecordFencing, **_COMMON, record=_FENCINGS),
    st.builds(ConfirmOff, **_COMMON, node=_NODES),
    st.builds(AdoptSnapshot, **_COMMON, position=_POSITIONS, state=_SNAPSHOTS),
)
_STATES = st.sampled_from(
    [
        new_state(),
        two_members(WEB_XML),
        accepted(two_members(WEB_XML), record(request("monitor", interval_ms=10_000), 1)),
        accepted(two_members(WEB_XML), view_of(A, lost=(B,))),
        ClusterState(parse("<cib/>")),
        ClusterState(parse('<cib epoch="x" num_updates="-"><status><node_state/><x/></status></cib>')),
    ]
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(_STATES, st.lists(st.tuples(_COMMANDS, _NODES, st.booleans()), min_size=1, max_size=5))
def test_apply_is_total(state: ClusterState, steps: list[tuple[AnyCommand, NodeName, bool]]) -> None:
    """It returns for everything; it decides alike; a refused command changes nothing; the result is storable."""
    for index, (command, origin, is_quorate) in enumerate(steps):
        position = Position(3, index)
        applied = apply(state, command, position=position, origin=origin, is_quorate=is_quorate)
        again = apply(state, command, position=position, origin=origin, is_quorate=is_quorate)
        assert applied == again
        assert applied.state.position == position
        if not applied.is_accepted:
            assert applied.state.cib == state.cib
            assert applied.state.fencing == state.fencing
            assert not applied.changes_configuration
        assert load(store(applied.state)) == applied.state
        state = applied.state


@given(_COMMANDS)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_commands_survive_the_ring(command: AnyCommand) -> None:
    try:
        data = encode(command)
    except (OverflowError, msgspec.MsgspecError):
        return  # no sender can make it
    assert decode(data) == command


def test_every_command_is_tried() -> None:
    assert len(get_args(AnyCommand)) == 18


# -- configuration --------------------------------------------------------------------------------------


def test_a_change_of_the_configuration_raises_the_epoch_and_says_whose_it_was() -> None:
    before = new_state()
    applied = run(before, edit(Put("resources", WEB_XML)))
    cib = applied.state.cib
    assert applied.changes_configuration
    assert version_of(cib) == Version(0, version_of(before.cib).epoch + 1, 0)
    assert (cib.get("update-user"), cib.get("update-origin")) == ("root", "a")
    assert cib.get("cib-last-written") == "Fri Jan 15 08:00:00 2027"


def test_a_change_that_changes_nothing_is_accepted_without_a_new_version() -> None:
    state = new_state(WEB_XML)
    for command in (
        edit(Put("resources", WEB_XML)),
        edit(),
        ReplaceConfiguration(CAUSE, AT, "root", show(state.cib), None),
    ):
        applied = run(state, command)
        assert applied.is_accepted
        assert not applied.changes_configuration
        assert applied.state.cib == state.cib


def test_without_quorum_the_configuration_stays() -> None:
    assert refusal(new_state(), edit(Put("resources", WEB_XML)), is_quorate=False) == "cib.no-quorum"


def test_a_change_of_an_older_configuration_is_refused() -> None:
    state = new_state(WEB_XML)
    stale = EditConfiguration(CAUSE, AT, "root", (Remove("web"),), Version(0, 0, 0))
    assert refusal(state, stale) == "cib.stale"


def test_a_change_of_the_status_does_not_make_a_version_stale() -> None:
    state = two_members(WEB_XML)
    version = version_of(new_state(WEB_XML).cib)
    assert version != version_of(state.cib)
    accepted(state, EditConfiguration(CAUSE, AT, "root", (Remove("web"),), version))


def test_what_would_be_wrong_is_refused_whole() -> None:
    order = '<rsc_order id="o" first="web" then="dbb"/>'
    command = edit(Put("resources", WEB_XML), Put("constraints", order))
    assert refusal(new_state(), command) == "cib.unknown-resource"


def test_what_was_wrong_before_does_not_stop_other_changes() -> None:
    state = new_state(WEB_XML)
    broken = ClusterState(
        parse(show(state.cib).replace("<constraints/>", '<constraints><rsc_order id="o"/></constraints>'))
    )
    assert any(report.severity is Severity.ERROR for report in validate(broken.cib, "x"))
    accepted(broken, edit(SetOption("web", "meta_attributes", "target-role", "Stopped")))
    accepted(broken, edit(Remove("o")))


def test_replacing_takes_schema_and_admin_epoch_but_no_status() -> None:
    state = two_members(WEB_XML)
    document = (
        '<cib validate-with="pacemaker-3.7" admin_epoch="4" epoch="0"><configuration><resources/></configuration>'
        '<status><node_state id="9" uname="z"/></status></cib>'
    )
    replaced = accepted(state, ReplaceConfiguration(CAUSE, AT, "root", document, None)).cib
    assert replaced.get("validate-with") == "pacemaker-3.7"
    assert version_of(replaced) == Version(4, version_of(state.cib).epoch + 1, 0)
    assert replaced.first("status") == state.cib.first("status")
    assert replaced.find("web") is None or "lrm" in show(replaced)


# -- status ---------------------------------------------------------------------------------------------


def test_a_change_of_the_status_raises_num_updates() -> None:
    before = two_members(WEB_XML)
    after = accepted(before, start_action(request()))
    assert version_of(after.cib).num_updates == version_of(before.cib).num_updates + 1
    assert version_of(after.cib).epoch == version_of(before.cib).epoch


def test_plans_and_releases_change_nothing() -> None:
    state = two_members()
    plan = StartTransition(CAUSE, AT, "", 1, ("start web",), (), ())
    assert accepted(state, plan).cib == state.cib
    assert accepted(state, ReleaseNode(CAUSE, AT, "", A, 1, 1)).cib == state.cib


def test_a_result_counts_once() -> None:
    state = two_members(WEB_XML)
    failed = record(request("monitor", interval_ms=10_000), 1)
    once = accepted(state, failed)
    twice = accepted(once, failed)
    assert attributes(once)["fail-count-web#monitor_10000"] == "1"
    assert twice.cib == once.cib
    later = record(request("monitor", interval_ms=10_000), 1, at_s=1_800_000_060)
    assert attributes(accepted(twice, later))["fail-count-web#monitor_10000"] == "2"


def test_results_and_actions_of_a_node_that_is_down_are_refused() -> None:
    state = accepted(two_members(WEB_XML), view_of(A, lost=(B,)))
    assert refusal(state, record(request(node=B))) == "cib.not-joined"
    assert refusal(state, start_action(request(node=B))) == "cib.not-joined"


def test_nobody_joins_for_another() -> None:
    assert refusal(accepted(new_state(), view_of(A, B)), join(B), A) == "cib.wrong-origin"


def test_a_cancelled_monitor_is_forgotten() -> None:
    state = accepted(two_members(WEB_XML), record(request("monitor", interval_ms=10_000)))
    cancel = CancelAction(CAUSE, AT, "", A, WEB, "monitor", 10_000, 7, 3)
    assert "web_monitor_10000" in entries(state)
    assert "web_monitor_10000" not in entries(accepted(state, cancel))


def test_attributes_are_set_and_removed() -> None:
    state = accepted(two_members(), SetAttribute(CAUSE, AT, "", A, "master-web", "10"))
    assert attributes(state)["master-web"] == "10"
    same = run(state, SetAttribute(CAUSE, AT, "", A, "master-web", "10"))
    assert same.state.cib == state.cib
    gone = accepted(state, SetAttribute(CAUSE, AT, "", A, "master-web", None))
    assert "master-web" not in attributes(gone)
    assert refusal(state, SetAttribute(CAUSE, AT, "", NodeName("z"), "x", "1")) == "cib.unknown-node"


def test_a_snapshot_replaces_the_state() -> None:
    theirs = two_members(WEB_XML)
    adopt = AdoptSnapshot(CAUSE, AT, "", theirs.position, store(theirs))
    applied = run(new_state(), adopt)
    assert applied.state.cib == theirs.cib
    assert applied.changes_configuration
    damaged = AdoptSnapshot(CAUSE, AT, "", theirs.position, store(theirs).replace("web", "wab"))
    assert refusal(new_state(), damaged) == "state.damaged"


@pytest.mark.parametrize("origin", [A, B])
def test_the_origin_does_not_change_the_status(origin: NodeName) -> None:
    state = two_members(WEB_XML)
    assert accepted(state, record(request()), origin).cib == accepted(state, record(request())).cib


def test_a_document_does_not_remove_nodes_by_leaving_them_out() -> None:
    state = two_members(WEB_XML)
    nodes = state.cib.at("configuration", "nodes")
    bare = ReplaceConfiguration(CAUSE, AT, "root", "<configuration><resources/></configuration>", None)
    assert accepted(state, bare).cib.at("configuration", "nodes") == nodes
    forgetful = "<configuration><nodes><node id='2' uname='b'/></nodes></configuration>"
    kept = accepted(state, ReplaceConfiguration(CAUSE, AT, "root", forgetful, None))
    assert [node.get("uname") for node in node_entries(kept.cib)] == ["b", "a"]
    assert refusal(state, edit(Remove("1"))) == "cib.node-is-here"
    gone = accepted(state, view_of(A, left=(B,)))
    assert [node.get("uname") for node in node_entries(accepted(gone, edit(Remove("2"))).cib)] == ["a"]


def test_texts_have_a_greatest_length() -> None:
    state = two_members(WEB_XML)
    long = "x" * 70_000
    assert refusal(state, edit(SetOption("web", "meta_attributes", "x", long))) == "cib.bad-text"
    assert refusal(state, SetAttribute(CAUSE, AT, "", A, long, "1")) == "cib.bad-text"
    assert len(attributes(accepted(state, SetAttribute(CAUSE, AT, "", A, "x", long)))["x"]) == 65_536


@pytest.mark.parametrize("data", [b"", b"\x92\xa1\x98\x07", b"\x91" * 5_000, b"\xc1"])
def test_bytes_that_are_no_command_are_told_in_one_way(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(data)


def test_a_layout_is_stored_once_and_only_by_a_whole_line() -> None:
    layout = Layout(1, (NodeLayout(NodeId(1), NodeName("a"), (LinkEnd(LinkNumber(0), "10.0.0.1"),)),))
    first = ChangeLayout(Cause("operator", "x"), WallTime(0), "root", 0, layout)

    def outcome(state: ClusterState, command: ChangeLayout, *, is_quorate: bool = True) -> Applied:
        return apply(state, command, position=Position(2, 9), origin=NodeName("a"), is_quorate=is_quorate)

    fresh = ClusterState(empty_cib("c", [(NodeId(1), NodeName("a"))]))
    applied = outcome(fresh, first)
    assert applied.changes_configuration
    assert applied.state.layout == layout
    assert load(store(applied.state)) == applied.state
    assert without_status(applied.state).layout == layout
    assert accepted(applied.state, view_of(A)).layout == layout  # a view does not take it away
    assert codes(outcome(fresh, first, is_quorate=False)) == ["cib.no-quorum"]
    assert codes(outcome(applied.state, first)) == ["cib.stale-layout"]
    raised_by_hand = msgspec.structs.replace(first, expected=7, layout=replace(layout, version=8))
    assert outcome(applied.state, raised_by_hand).is_accepted
    lost = parse_cib(
        '<cib><configuration/><status><node_state id="2" uname="b" in_ccm="false" expected="member"/></status></cib>'
    )
    assert codes(outcome(replace(fresh, cib=lost), first)) == ["cib.node-lost"]


def codes(applied: Applied) -> list[str]:
    return [report.code for report in applied.refusals]
