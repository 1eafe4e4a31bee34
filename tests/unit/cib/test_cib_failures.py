"""cib/failures.py: what is counted, and what a cleanup forgets."""

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
    record,
    request,
    start_action,
    two_members,
)

from komainu.cib.command import ForgetOperations
from komainu.cib.state import ClusterState
from komainu.model.edit import Put, SetOption
from komainu.model.ids import NodeName, ResourceId
from komainu.model.operation import OpStatus

MONITOR = request("monitor", interval_ms=10_000)


def forget(
    resource: str | None = "web", node: NodeName | None = None, *, failures_only: bool = False
) -> ForgetOperations:
    name = None if resource is None else ResourceId(resource)
    return ForgetOperations(CAUSE, AT, "", name, node, failures_only)


@pytest.mark.parametrize(
    ("operation", "interval_ms", "exit_code", "count"),
    [
        ("start", 0, 1, "INFINITY"),
        ("stop", 0, 1, "INFINITY"),
        ("promote", 0, 1, "1"),
        ("migrate_to", 0, 1, "1"),
        ("monitor", 10_000, 7, "1"),
        ("monitor", 0, 1, None),
        ("start", 0, 0, None),
    ],
)
def test_what_a_failure_counts(operation: str, interval_ms: int, exit_code: int, count: str | None) -> None:
    state = accepted(two_members(WEB_XML), record(request(operation, interval_ms=interval_ms), exit_code))
    assert attributes(state).get(f"fail-count-web#{operation}_{interval_ms}") == count
    last = attributes(state).get(f"last-failure-web#{operation}_{interval_ms}")
    assert last == (None if count is None else "1800000000")


def test_a_failed_start_counts_one_when_it_is_not_fatal() -> None:
    option = SetOption("crm_config", "cluster_property_set", "start-failure-is-fatal", "false")
    state = accepted(accepted(two_members(WEB_XML), edit(option)), record(request(), 1))
    assert attributes(state)["fail-count-web#start_0"] == "1"


def test_infinity_stays_infinity() -> None:
    state = accepted(two_members(WEB_XML), record(request("stop"), 1))
    again = accepted(state, record(request("stop"), status=OpStatus.TIMEOUT, exit_code=1, call_id=6))
    assert attributes(again)["fail-count-web#stop_0"] == "INFINITY"


def failed_monitor() -> ClusterState:
    running = accepted(accepted(two_members(WEB_XML), record(request())), record(MONITOR, call_id=6))
    return accepted(running, record(MONITOR, 1, call_id=6, at_s=1_800_000_060))


def test_cleaning_failures_keeps_what_is_known_to_run() -> None:
    clean = accepted(failed_monitor(), forget(failures_only=True))
    assert set(entries(clean)) == {"web_last_0", "web_monitor_10000"}
    assert attributes(clean) == {}


def test_when_the_last_operation_failed_all_is_forgotten_so_that_it_is_probed() -> None:
    state = accepted(failed_monitor(), record(request("stop"), 1, call_id=9))
    assert entries(accepted(state, forget(failures_only=True))) == {}


def test_cleaning_all_forgets_the_history_but_not_what_is_pending() -> None:
    state = accepted(failed_monitor(), start_action(request("stop")))
    clean = accepted(state, forget(None))
    assert set(entries(clean)) == {"web_last_0"}
    assert attributes(clean) == {}


def test_cleaning_is_of_one_resource_on_one_node() -> None:
    state = accepted(failed_monitor(), record(request(resource=ResourceId("db"), node=B), 1), B)
    assert accepted(state, forget("web", B)).cib == state.cib
    assert accepted(state, forget("we")).cib == state.cib
    clean = accepted(state, forget("web", A))
    assert entries(clean, A) == {}
    assert entries(clean, B, "db") != {}
    assert attributes(clean, B)["fail-count-db#start_0"] == "INFINITY"


def test_cleaning_a_group_or_a_clone_cleans_its_members() -> None:
    group = '<clone id="all"><group id="g"><primitive id="m" class="lsb" type="m"/></group></clone>'
    state = accepted(two_members(WEB_XML), edit(Put("resources", group)))
    state = accepted(state, record(request(resource=ResourceId("m:1")), 1))
    for name in ("m", "g", "all", "m:0"):
        clean = accepted(state, forget(name))
        assert entries(clean, A, "m:1") == {}
        assert attributes(clean) == {}
    assert accepted(state, forget(WEB)).cib == state.cib
