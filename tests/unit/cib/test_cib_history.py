"""cib/history.py: which entries an operation writes, replaces and drops."""

import msgspec
import pytest
from cib_samples import (
    WEB,
    WEB_XML,
    A,
    B,
    accepted,
    entries,
    join,
    record,
    request,
    result,
    start_action,
    two_members,
    view_of,
)

from komainu.cib.history import is_failure, may_be_active
from komainu.cib.nodes import node_state
from komainu.cib.state import ClusterState
from komainu.model.ids import NodeName
from komainu.model.operation import OpStatus

MONITOR = request("monitor", interval_ms=10_000)
PROBE = request("monitor", target_rc=7)


def test_an_action_is_pending_until_its_result_comes() -> None:
    pending = accepted(two_members(WEB_XML), start_action(request()))
    entry = entries(pending)["web_last_0"]
    assert (entry.get("op-status"), entry.get("rc-code"), entry.get("call-id")) == ("-1", "193", "-1")
    done = entries(accepted(pending, record(request())))["web_last_0"]
    assert (done.get("op-status"), done.get("rc-code"), done.get("call-id")) == ("0", "0", "5")


def test_an_entry_has_what_the_field_reads() -> None:
    state = accepted(two_members(WEB_XML), record(request(), 1, reason="no disk"))
    key = "1:7:0:01234567-89ab-cdef-0123-456789abcdef"
    assert dict(entries(state)["web_last_failure_0"].attributes) == {
        "id": "web_last_failure_0",
        "operation_key": "web_start_0",
        "operation": "start",
        "crm-debug-origin": "komainu",
        "crm_feature_set": "3.19.7",
        "transition-key": key,
        "transition-magic": f"0:1;{key}",
        "exit-reason": "no disk",
        "on_node": "a",
        "call-id": "5",
        "rc-code": "1",
        "op-status": "0",
        "interval": "0",
        "last-rc-change": "1800000000",
        "exec-time": "12",
        "queue-time": "0",
        "op-digest": "d41d8",
    }
    here = node_state(state.cib, A)
    home = None if here is None else here.find("web")
    assert home is not None
    assert dict(home.attributes) == {"id": "web", "class": "ocf", "provider": "komainu", "type": "web"}


def test_an_entry_says_which_parameters_need_a_restart() -> None:
    asked = msgspec.structs.replace(request(), parameters=(("path", "/x"), ("size", "1")))
    done = record(asked)
    told = msgspec.structs.replace(done, result=msgspec.structs.replace(done.result, restart_on=("path",)))
    entry = entries(accepted(two_members(WEB_XML), told))["web_last_0"]
    assert entry.get("op-force-restart") == " path "
    # printf ' <parameters path="/x"/>\n' | md5sum
    assert entry.get("op-restart-digest") == "0195bdfb97d9856db9f8958cc3307552"


@pytest.mark.parametrize(
    ("operation", "interval_ms", "entry_id"),
    [
        ("start", 0, "web_last_0"),
        ("stop", 0, "web_last_0"),
        ("monitor", 0, "web_last_0"),
        ("monitor", 10_000, "web_monitor_10000"),
        ("promote", 0, "web_last_0"),
        ("migrate_to", 0, "web_migrate_to_0"),
        ("migrate_from", 0, "web_migrate_from_0"),
    ],
)
def test_each_kind_of_operation_has_its_entry(operation: str, interval_ms: int, entry_id: str) -> None:
    asked = request(operation, interval_ms=interval_ms)
    pending = accepted(two_members(WEB_XML), start_action(asked))
    assert set(entries(pending)) == {entry_id}
    assert set(entries(accepted(pending, record(asked)))) == {entry_id}


def test_a_notification_leaves_no_trace() -> None:
    state = two_members(WEB_XML)
    asked = request("notify")
    assert accepted(accepted(state, start_action(asked)), record(asked)).cib == state.cib


def test_a_reload_is_recorded_as_a_start() -> None:
    entry = entries(accepted(two_members(WEB_XML), record(request("reload-agent"))))["web_last_0"]
    assert (entry.get("operation"), entry.get("operation_key")) == ("start", "web_start_0")


def test_a_failed_monitor_keeps_the_last_good_entry_and_is_pending_no_more() -> None:
    good = accepted(two_members(WEB_XML), record(MONITOR))
    failed = entries(accepted(good, record(MONITOR, 7)))
    assert failed["web_monitor_10000"].get("rc-code") == "0"
    assert failed["web_last_failure_0"].get("rc-code") == "7"
    pending = accepted(two_members(WEB_XML), start_action(MONITOR))
    assert set(entries(accepted(pending, record(MONITOR, 7)))) == {"web_last_failure_0"}


def test_a_stop_drops_the_monitors_and_keeps_the_failure() -> None:
    running = accepted(two_members(WEB_XML), record(MONITOR))
    failed = accepted(running, record(MONITOR, 1, call_id=6))
    stopped = accepted(failed, record(request("stop"), call_id=7))
    assert set(entries(stopped)) == {"web_last_0", "web_last_failure_0"}


def test_a_failed_stop_keeps_the_monitors() -> None:
    running = accepted(two_members(WEB_XML), record(MONITOR))
    failed = accepted(running, record(request("stop"), 1, call_id=7))
    assert set(entries(failed)) == {"web_last_0", "web_last_failure_0", "web_monitor_10000"}


def test_a_cancelled_operation_is_pending_no_more() -> None:
    pending = accepted(two_members(WEB_XML), start_action(request()))
    cancelled = accepted(pending, record(request(), 1, status=OpStatus.CANCELLED))
    assert entries(cancelled) == {}


@pytest.mark.parametrize(
    ("asked", "exit_code", "status", "fails"),
    [
        (PROBE, 7, OpStatus.DONE, False),
        (PROBE, 0, OpStatus.DONE, False),
        (PROBE, 8, OpStatus.DONE, False),
        (PROBE, 1, OpStatus.DONE, True),
        (PROBE, 5, OpStatus.NOT_INSTALLED, True),
        (request(), 0, OpStatus.DONE, False),
        (request(), 0, OpStatus.TIMEOUT, True),
        (request(), 1, OpStatus.PENDING, False),
        (request(), 1, OpStatus.CANCELLED, False),
        (MONITOR, 7, OpStatus.DONE, True),
        (MONITOR, 190, OpStatus.DONE, False),
        (MONITOR, 191, OpStatus.DONE, True),
    ],
)
def test_what_counts_as_a_failure(asked: object, exit_code: int, status: OpStatus, fails: bool) -> None:
    assert isinstance(asked, type(PROBE))
    assert is_failure(result(asked, exit_code, status=status)) is fails


# -- joining --------------------------------------------------------------------------------------------


def test_a_node_that_was_away_begins_with_what_its_executor_knows() -> None:
    state = accepted(two_members(WEB_XML), start_action(request("start", node=B)))
    back = accepted(accepted(state, view_of(A, lost=(B,))), view_of(A, B))
    joined = accepted(back, join(B, result(request("monitor", node=B, target_rc=7), 7)), B)
    assert entries(joined, B)["web_last_0"].get("rc-code") == "7"
    assert set(entries(joined, B)) == {"web_last_0"}


def test_a_node_that_stayed_keeps_what_it_was_handed_and_what_failed() -> None:
    state = accepted(two_members(WEB_XML), record(MONITOR, 1))
    state = accepted(state, start_action(request("stop", action=9)))
    again = accepted(state, join(A, result(request())), A)
    assert entries(again)["web_last_0"].get("op-status") == "-1"
    assert "web_last_failure_0" in entries(again)
    answered = accepted(state, join(A, result(request("stop", action=9))), A)
    assert entries(answered)["web_last_0"].get("op-status") == "0"


def test_what_a_node_was_never_handed_is_not_waited_for() -> None:
    lost = request("stop", action=9)
    state = accepted(two_members(WEB_XML), start_action(lost))
    told = msgspec.structs.replace(join(A, result(request())), never_handed=(lost.transition_key,))
    assert entries(accepted(state, told, A))["web_last_0"].get("op-status") == "0"


def test_a_history_is_only_of_the_node_that_tells_it() -> None:
    other = result(request(node=NodeName("b")))
    state = accepted(two_members(WEB_XML), join(A, other), A)
    assert entries(state, A) == entries(state, B) == {}


# -- activity -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "exit_code", "is_active"),
    [("start", 0, True), ("start", 1, True), ("stop", 0, False), ("stop", 1, True), ("monitor", 7, False)],
)
def test_what_may_be_active(operation: str, exit_code: int, is_active: bool) -> None:
    asked = request(operation, target_rc=7 if operation == "monitor" else 0)
    state = accepted(two_members(WEB_XML), record(asked, exit_code))
    assert _may_be_active(state) is is_active


def test_a_pending_start_may_be_active() -> None:
    assert _may_be_active(accepted(two_members(WEB_XML), start_action(request())))


def _may_be_active(state: ClusterState) -> bool:
    here = node_state(state.cib, A)
    home = None if here is None else here.find(WEB)
    assert home is not None
    return may_be_active(home)
