"""Check what the executor runs, when, and what it reports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from komainu.executor.executor import HURRY_GAP_MS, QUEUE_JOBS_MAX, REPEATED_RUNS_MAX, Executor
from komainu.executor.interface import (
    ActionCancelled,
    ActionRequested,
    AddressLost,
    AgentFinished,
    DeadlinePassed,
    ExecutorEffect,
    ProcessesGone,
    ReportResult,
    RunAgent,
    RunId,
    StopWatching,
)
from komainu.model.ids import Instant, NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName, OperationResult, OpStatus
from komainu.model.report import Note

NODE = NodeName("a")
WEB = ResourceId("web")
WEB_AGENT = AgentName("ocf", "komainu", "web")


def request(
    operation: str,
    interval_ms: int = 0,
    *,
    resource: str = "web",
    agent: AgentName = WEB_AGENT,
    target_rc: int = 0,
    timeout_ms: int = 5000,
) -> ActionRequest:
    return ActionRequest(
        node=NODE,
        resource=ResourceId(resource),
        agent=agent,
        operation=operation,
        interval_ms=interval_ms,
        timeout_ms=timeout_ms,
        parameters=(("port", "80"),),
        meta=(),
        target_rc=target_rc,
        transition_key=f"1:1:{target_rc}:uuid",
        digest="d",
    )


class Bench:
    """An executor with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.executor = Executor(NODE)
        self.now = 1000

    def ask(self, wanted: ActionRequest) -> list[ExecutorEffect]:
        event = ActionRequested(wanted, WallTime(7_000_000))
        return self.executor.handle(event, Instant(self.now))

    def finish(
        self,
        run: RunAgent,
        exit_code: int | None = 0,
        *,
        after_ms: int = 100,
        timed_out: bool = False,
        missing: bool = False,
        error_output: str = "",
    ) -> list[ExecutorEffect]:
        self.now += after_ms
        event = AgentFinished(
            run.run, exit_code, timed_out, missing, "", error_output, WallTime(5_000_900), after_ms
        )
        return self.executor.handle(event, Instant(self.now))

    def pass_to(self, instant: int) -> list[ExecutorEffect]:
        self.now = instant
        return self.executor.handle(DeadlinePassed(), Instant(instant))

    def deadline(self) -> Instant | None:
        return self.executor.deadline

    def gone(self) -> list[ExecutorEffect]:
        return self.executor.handle(ProcessesGone(WEB), Instant(self.now))

    def cancel(self, operation: str, interval_ms: int = 0) -> list[ExecutorEffect]:
        return self.executor.handle(ActionCancelled(WEB, operation, interval_ms), Instant(self.now))


def runs(effects: list[ExecutorEffect]) -> list[RunAgent]:
    return [effect for effect in effects if isinstance(effect, RunAgent)]


def results(effects: list[ExecutorEffect]) -> list[OperationResult]:
    return [effect.result for effect in effects if isinstance(effect, ReportResult)]


def only_run(effects: list[ExecutorEffect]) -> RunAgent:
    (run,) = runs(effects)
    return run


def only_result(effects: list[ExecutorEffect]) -> OperationResult:
    (result,) = results(effects)
    return result


def test_a_start_runs_at_once_is_watched_and_reported() -> None:
    bench = Bench()
    run = only_run(bench.ask(request("start")))
    assert (run.request.operation, run.timeout_ms, run.watch) == ("start", 5000, True)
    result = only_result(bench.finish(run))
    assert result.is_expected
    assert (result.call_id, result.exec_ms, result.queue_ms, result.last_change_s) == (1, 100, 0, 5000)
    assert bench.executor.history() == (result,)
    assert bench.executor.is_idle


def test_one_operation_at_a_time_in_order_of_arrival() -> None:
    bench = Bench()
    first = only_run(bench.ask(request("monitor")))
    assert bench.ask(request("start")) == []
    assert bench.ask(request("promote")) == []
    second = only_run(bench.finish(first))
    assert second.request.operation == "start"
    effects = bench.finish(second)
    assert only_result(effects).queue_ms == 100
    assert only_run(effects).request.operation == "promote"


def test_resources_run_side_by_side() -> None:
    bench = Bench()
    assert runs(bench.ask(request("start")))
    assert runs(bench.ask(request("start", resource="db")))


def test_the_queue_has_an_end() -> None:
    bench = Bench()
    bench.ask(request("monitor"))
    for _ in range(QUEUE_JOBS_MAX):
        assert bench.ask(request("notify")) == []
    refused = only_result(bench.ask(request("notify")))
    assert refused.status is OpStatus.ERROR
    assert "wait already" in refused.exit_reason
    assert refused.last_change_s == 7000


def test_a_monitor_repeats_from_the_end_of_each_run_and_reports_changes_only() -> None:
    bench = Bench()
    run = only_run(bench.ask(request("monitor", 10_000)))
    assert bench.deadline() is None
    assert only_result(bench.finish(run)).exit_code == 0
    assert bench.deadline() == bench.now + 10_000

    run = only_run(bench.pass_to(bench.now + 10_000))
    assert not run.watch
    assert results(bench.finish(run)) == []
    run = only_run(bench.pass_to(bench.now + 10_000))
    failed = only_result(bench.finish(run, 7))
    assert (failed.exit_code, failed.status, failed.call_id) == (7, OpStatus.DONE, 1)
    run = only_run(bench.pass_to(bench.now + 10_000))
    assert results(bench.finish(run, 7)) == []
    run = only_run(bench.pass_to(bench.now + 10_000))
    assert only_result(bench.finish(run, 0)).is_expected
    assert [result.exit_code for result in bench.executor.history()] == [0]


def test_asking_again_reports_again() -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("monitor", 10_000))))
    run = only_run(bench.ask(request("monitor", 10_000)))
    assert only_result(bench.finish(run)).call_id == 2
    run = only_run(bench.pass_to(bench.now + 10_000))
    assert bench.finish(run) == []


def test_a_stop_ends_the_monitors_and_the_watch() -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("start"))))
    bench.finish(only_run(bench.ask(request("monitor", 10_000))))
    run = only_run(bench.ask(request("stop")))
    assert not run.watch
    assert bench.deadline() is None
    effects = bench.finish(run)
    assert effects[-1] == StopWatching(WEB)
    assert [result.request.operation for result in bench.executor.history()] == ["stop"]


def test_a_failed_stop_keeps_the_watch() -> None:
    bench = Bench()
    effects = bench.finish(only_run(bench.ask(request("stop"))), 1)
    assert only_result(effects).exit_code == 1
    assert StopWatching(WEB) not in effects


def test_a_stop_waits_for_the_running_monitor_whose_result_is_of_no_interest() -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("monitor", 10_000))))
    monitor = only_run(bench.pass_to(bench.now + 10_000))
    assert bench.ask(request("stop")) == []
    effects = bench.finish(monitor, 7)
    assert results(effects) == []
    assert only_run(effects).request.operation == "stop"


def test_what_is_owed_to_the_cluster_runs_before_a_stop() -> None:
    bench = Bench()
    probe = only_run(bench.ask(request("monitor")))
    bench.ask(request("monitor", 10_000))
    bench.ask(request("stop"))
    monitor = only_run(bench.finish(probe))
    effects = bench.finish(monitor)
    assert only_result(effects).request.interval_ms == 10_000
    assert only_run(effects).request.operation == "stop"
    assert bench.deadline() is None


def test_a_cancelled_monitor_is_gone_even_while_it_runs() -> None:
    bench = Bench()
    run = only_run(bench.ask(request("monitor", 10_000)))
    assert bench.cancel("monitor", 10_000) == []
    assert bench.finish(run, 7) == []
    assert bench.deadline() is None
    assert bench.executor.history() == ()
    assert bench.cancel("monitor", 10_000) == []


@pytest.mark.parametrize("resource", [WEB, None])
def test_what_is_forgotten_is_neither_told_nor_repeated(resource: ResourceId | None) -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("start"))))
    bench.finish(only_run(bench.ask(request("monitor", 10_000))))
    bench.executor.forget(resource)
    bench.executor.forget(ResourceId("unknown"))
    assert bench.executor.history() == ()
    assert bench.deadline() is None


def test_what_was_never_answered_is_not_forgotten() -> None:
    """The history keeps it as pending, and nothing is planned until its result is there."""
    bench = Bench()
    bench.finish(only_run(bench.ask(request("start"))))
    run = only_run(bench.ask(request("monitor", 10_000)))
    bench.executor.forget(WEB)
    assert bench.executor.owed() == {run.request.transition_key}
    (told,) = (effect for effect in bench.finish(run) if isinstance(effect, ReportResult))
    assert told.result.request.interval_ms == 10_000
    assert bench.deadline() is not None, "it recurs"


def test_an_ended_process_runs_the_monitors_at_once() -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("monitor", 10_000))))
    bench.now += 3000
    effects = bench.gone()
    assert only_run(effects).request.interval_ms == 10_000
    assert any(isinstance(effect, Note) for effect in effects)


def test_a_lost_address_runs_the_monitors_at_once() -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("monitor", 10_000))))
    bench.now += 3000
    effects = bench.executor.handle(AddressLost(WEB, "10.0.0.9"), Instant(bench.now))
    assert only_run(effects).request.interval_ms == 10_000


def test_processes_that_end_all_the_time_are_looked_at_once_a_second() -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("monitor", 10_000))))
    assert runs(bench.gone()) == []
    assert bench.deadline() == bench.now + HURRY_GAP_MS


def test_a_process_that_ends_while_a_monitor_runs_makes_it_run_again() -> None:
    bench = Bench()
    run = only_run(bench.ask(request("monitor", 10_000)))
    bench.gone()
    bench.finish(run)
    assert bench.deadline() == bench.now + HURRY_GAP_MS


def test_an_ended_process_without_monitors_means_nothing() -> None:
    bench = Bench()
    assert bench.gone() == []
    bench.finish(only_run(bench.ask(request("start"))))
    assert bench.gone() == []


def test_hanging_monitors_leave_room_for_what_is_asked() -> None:
    bench = Bench()
    for number in range(REPEATED_RUNS_MAX + 5):
        bench.finish(only_run(bench.ask(request("monitor", 1000, resource=f"r{number}"))), after_ms=0)
    started = runs(bench.pass_to(bench.now + 1000))
    assert len(started) == REPEATED_RUNS_MAX
    assert runs(bench.ask(request("stop", resource="other")))
    assert runs(bench.finish(started[0])) == []  # the stop took its place
    assert len(runs(bench.finish(started[1]))) == 1


def test_agents_of_other_classes_are_refused_with_a_reason() -> None:
    bench = Bench()
    result = only_result(bench.ask(request("start", agent=AgentName("upstart", None, "nginx"))))
    assert (result.status, result.exit_code) == (OpStatus.NOT_INSTALLED, 5)
    assert "upstart" in result.exit_reason


@pytest.mark.parametrize(("agent_class", "watch"), [("lsb", True), ("systemd", False), ("service", False)])
def test_services_of_the_machine_are_run_and_systemds_own_are_not_watched(
    agent_class: str, *, watch: bool
) -> None:
    run = only_run(Bench().ask(request("start", agent=AgentName(agent_class, None, "nginx"))))
    assert (run.action, run.watch) == ("start", watch)


def test_a_fence_device_is_started_by_its_monitor_and_stopped_by_nothing() -> None:
    bench = Bench()
    power = AgentName("stonith", None, "fence_lab")
    assert only_result(bench.ask(request("monitor", agent=power, target_rc=7))).exit_code == 7
    run = only_run(bench.ask(request("start", agent=power)))
    assert not run.watch
    assert only_result(bench.finish(run)).is_expected
    assert only_run(bench.ask(request("monitor", agent=power))).request.operation == "monitor"
    assert only_result(bench.ask(request("stop", agent=power))).is_expected


def test_migrations_are_kept_beside_the_last_operation() -> None:
    bench = Bench()
    bench.finish(only_run(bench.ask(request("start"))))
    bench.finish(only_run(bench.ask(request("migrate_to"))))
    bench.finish(only_run(bench.ask(request("notify"))))
    assert [r.request.operation for r in bench.executor.history()] == ["start", "migrate_to"]
    bench.finish(only_run(bench.ask(request("stop"))))
    assert [r.request.operation for r in bench.executor.history()] == ["stop"]


def test_an_unknown_run_is_noted() -> None:
    bench = Bench()
    event = AgentFinished(RunId(99), 0, False, False, "", "", WallTime(0), 0)
    (note,) = bench.executor.handle(event, Instant(0))
    assert isinstance(note, Note)


STEPS = st.one_of(
    st.tuples(
        st.just("ask"), st.sampled_from(["start", "stop", "monitor", "promote", "notify"]), st.booleans()
    ),
    st.tuples(st.just("repeat"), st.sampled_from([1000, 5000]), st.booleans()),
    st.tuples(st.just("cancel"), st.sampled_from([1000, 5000]), st.booleans()),
    st.tuples(st.just("finish"), st.sampled_from([0, 1, 7, None]), st.integers(0, 3)),
    st.tuples(st.just("gone"), st.none(), st.booleans()),
    st.tuples(st.just("wait"), st.integers(0, 6000), st.booleans()),
)


@given(st.lists(STEPS, max_size=60))
def test_whatever_comes_each_request_has_one_answer_and_each_resource_one_agent(
    steps: list[tuple[str, object, int]],
) -> None:
    """An operation that the cluster waits for always comes to its end, and never beside another one."""
    bench = Bench()
    asked = 0
    answers = 0
    in_flight: list[RunAgent] = []

    def take(effects: list[ExecutorEffect]) -> None:
        nonlocal answers
        for run in runs(effects):
            assert all(run.request.resource != other.request.resource for other in in_flight)
            in_flight.append(run)
        answers += sum(result.request.interval_ms == 0 for result in results(effects))
        due = bench.deadline()
        assert due is None or due > bench.now

    for kind, value, which in steps:
        resource = ("web", "db")[which % 2]
        match kind, value:
            case "ask", str(operation):
                asked += 1
                take(bench.ask(request(operation, resource=resource)))
            case "repeat", int(interval_ms):
                take(bench.ask(request("monitor", interval_ms, resource=resource)))
            case "cancel", int(interval_ms):
                take(bench.cancel("monitor", interval_ms))
            case "finish", int() | None as exit_code if in_flight:
                take(bench.finish(in_flight.pop(which % len(in_flight)), exit_code))
            case "gone", _:
                take(bench.gone())
            case "wait", int(wait_ms):
                bench.now += wait_ms
                take(bench.pass_to(bench.now))
            case _:
                pass
    for name in ("web", "db"):
        asked += 1
        take(bench.ask(request("stop", resource=name)))
    while in_flight:
        take(bench.finish(in_flight.pop(0)))
    assert bench.executor.is_idle
    assert bench.deadline() is None
    assert answers == asked


def test_what_is_owed_is_what_waits_or_runs_for_the_cluster() -> None:
    bench = Bench()
    run = only_run(bench.ask(request("start")))
    bench.ask(request("monitor", 10_000))
    assert bench.executor.owed() == {"1:1:0:uuid"}
    monitor = only_run(bench.finish(run))
    bench.finish(monitor)
    assert bench.executor.owed() == frozenset()
