"""Check which device fences a node, when it is tried again, and what is said in the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from komainu.fencing.fencing import Fencer
from komainu.fencing.interface import (
    DeadlinePassed,
    Device,
    DevicesChanged,
    FenceAgentFinished,
    FenceRequested,
    FenceRunId,
    FencingEffect,
    FencingEnded,
    RaceBegan,
    RunFenceAgent,
)
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import Incarnation, Instant, NodeName, WallTime
from komainu.model.report import Note

A, B = NodeName("a"), NodeName("b")


def device(name: str = "power", **parameters: str) -> Device:
    return Device(name, "fence_lab", tuple(sorted(parameters.items())))


def meta_data(*actions: str, plug: str = "port", on: str = "") -> str:
    listed = "".join(f"<action name='{action}'/>" for action in actions)
    return (
        f"<resource-agent name='x'><parameters><parameter name='{plug}'/></parameters>"
        f"<actions><action name='on' {on}/>{listed}</actions></resource-agent>"
    )


USUAL = meta_data("off", "reboot", "status", "monitor", "list")


class Bench:
    """A fencer with a clock that is moved by hand; its agents have said what they can."""

    def __init__(
        self, *devices: Device, agents: dict[str, str] | None = None, known: DevicesChanged | None = None
    ) -> None:
        self.fencer = Fencer(A)
        self.now = 1000
        changed = known or DevicesChanged(devices)
        for effect in self.fencer.handle(changed, Instant(0)):
            assert isinstance(effect, RunFenceAgent)
            assert effect.options == (("action", "metadata"),)
            self.finish(effect, output=(agents or {}).get(effect.agent, USUAL), after_ms=0)

    def ask(
        self, request: str = "1.1", *, target: NodeName = B, action: str = "off", timeout_ms: int = 60_000
    ) -> list[FencingEffect]:
        event = FenceRequested(request, target, action, timeout_ms, "b was lost", WallTime(5))
        return self.fencer.handle(event, Instant(self.now))

    def finish(
        self,
        run: RunFenceAgent,
        exit_code: int | None = 0,
        *,
        output: str = "",
        error_output: str = "",
        timed_out: bool = False,
        missing: bool = False,
        after_ms: int = 10,
    ) -> list[FencingEffect]:
        self.now += after_ms
        event = FenceAgentFinished(run.run, exit_code, timed_out, missing, output, error_output, WallTime(9))
        return self.fencer.handle(event, Instant(self.now))

    def deadline(self) -> Instant | None:
        return self.fencer.deadline

    def wake(self) -> list[FencingEffect]:
        assert self.fencer.deadline is not None
        self.now = self.fencer.deadline
        return self.fencer.handle(DeadlinePassed(), Instant(self.now))


def only_run(effects: list[FencingEffect]) -> RunFenceAgent:
    (run,) = [effect for effect in effects if isinstance(effect, RunFenceAgent)]
    return run


def records(effects: list[FencingEffect]) -> list[FenceRecord]:
    return [effect.record for effect in effects if isinstance(effect, FencingEnded)]


def test_a_device_of_the_list_fences_at_once() -> None:
    bench = Bench(device(pcmk_host_list="a b", socket="/s"))
    run = only_run(bench.ask())
    assert run.agent == "fence_lab"
    assert run.options == (("action", "off"), ("nodename", "b"), ("port", "b"), ("socket", "/s"))
    assert run.timeout_ms == 60_000
    (record,) = records(bench.finish(run))
    assert record == FenceRecord(
        request="1.1",
        target=B,
        action="off",
        state=FenceState.DONE,
        delegate=A,
        device="power",
        reason="b was lost",
        outcome="fence_lab answered: done",
        at=WallTime(9),
        took_ms=10,
    )
    assert bench.fencer.is_idle


def test_without_a_device_fencing_fails_with_the_reason() -> None:
    (record,) = records(Bench().ask())
    assert record.state is FenceState.FAILED
    assert record.outcome == "no fence device is configured, so b cannot be fenced"
    (record,) = records(Bench(device(pcmk_host_list="a c")).ask())
    assert record.outcome == "no fence device could fence b: power reaches only a, c"


def test_a_device_without_a_list_is_asked_first() -> None:
    bench = Bench(device())
    query = only_run(bench.ask())
    assert query.options == (("action", "list"),)
    run = only_run(bench.finish(query, output="a,\nb,\n"))
    assert ("port", "b") in run.options
    assert records(bench.finish(run))[0].state is FenceState.DONE


@pytest.mark.parametrize(
    ("exit_code", "output", "words"), [(0, "a,\n", "does not know b"), (1, "b,\n", "did not say")]
)
def test_a_device_that_does_not_know_the_target_is_never_run_on_it(
    exit_code: int, output: str, words: str
) -> None:
    bench = Bench(device(), agents={"fence_lab": meta_data("off", "list")})
    (record,) = records(bench.finish(only_run(bench.ask()), exit_code, output=output))
    assert record.state is FenceState.FAILED
    assert words in record.outcome


def test_a_device_can_be_asked_for_the_status_of_the_target() -> None:
    bench = Bench(device(pcmk_host_check="status"))
    query = only_run(bench.ask())
    assert query.options[0] == ("action", "status")
    assert only_run(bench.finish(query, 2)).options[0] == ("action", "off")


def test_a_failed_attempt_is_repeated_and_then_the_next_device_tried() -> None:
    bench = Bench(device("first", pcmk_host_list="b"), device("second", pcmk_host_check="none"))
    run = only_run(bench.ask())
    effects = bench.finish(run, 1, error_output="login\nno route to host\n")
    assert any(isinstance(effect, Note) and "no route to host" in effect.message for effect in effects)
    run = only_run(effects)
    run = only_run(bench.finish(run, 1, error_output="no route to host"))
    (record,) = records(bench.finish(run))
    assert (record.state, record.device) == (FenceState.DONE, "second")


def test_when_all_fail_each_reason_is_given() -> None:
    bench = Bench(device("first", pcmk_host_list="b"), device("second", pcmk_host_list="b"))
    run = only_run(bench.finish(only_run(bench.ask()), None, missing=True))
    run = only_run(bench.finish(run, None, timed_out=True))
    (record,) = records(bench.finish(run, None, timed_out=True))
    assert record.state is FenceState.FAILED
    assert "first: the agent fence_lab is not installed" in record.outcome
    assert "second: fence_lab gave no answer in time" in record.outcome


def test_attempts_share_the_devices_time() -> None:
    bench = Bench(device(pcmk_host_list="b", pcmk_off_timeout="10s", pcmk_off_retries="9"))
    run = only_run(bench.ask())
    assert run.timeout_ms == 10_000
    run = only_run(bench.finish(run, 1, after_ms=4000))
    assert run.timeout_ms == 6000
    assert records(bench.finish(run, 1, after_ms=5500))[0].state is FenceState.FAILED


def test_a_delay_is_waited_for() -> None:
    bench = Bench(device(pcmk_host_list="b", pcmk_delay_base="b:5s"))
    assert bench.ask() == []
    assert bench.deadline() == 6000
    run = only_run(bench.wake())
    assert bench.deadline() is None
    assert records(bench.finish(run))


def test_equal_requests_share_one_run_and_each_gets_its_answer() -> None:
    bench = Bench(device(pcmk_host_list="b"))
    run = only_run(bench.ask("1.1"))
    assert bench.ask("2.4") == []
    assert bench.ask("2.4") == []
    assert [record.request for record in records(bench.finish(run))] == ["1.1", "2.4"]


def test_a_watchdog_that_is_counted_out_for_one_life_says_nothing_of_the_next() -> None:
    bench = Bench(known=DevicesChanged((), self_resetting=(B,), watchdog_ms=10_000))

    def meet(*lives: tuple[NodeName, int]) -> None:
        known = tuple((name, Incarnation(life)) for name, life in lives)
        bench.fencer.handle(RaceBegan(None, None, known), Instant(bench.now))

    meet((A, 1), (B, 2))
    meet((A, 1))
    bench.ask("1.1")
    bench.now += 4_000
    meet((A, 1), (B, 2))  # only heard again
    meet((A, 1))
    assert bench.ask("2.1") == []
    bench.now += 2_000
    meet((A, 1), (B, 3))
    meet((A, 1))
    bench.ask("3.1")
    assert [record.request for record in records(bench.wake())] == ["1.1", "2.1"]
    assert bench.now == 11_000
    assert [record.request for record in records(bench.wake())] == ["3.1"]
    assert bench.now == 17_000


def test_a_device_does_one_thing_at_a_time() -> None:
    bench = Bench(device(pcmk_host_list="b c"))
    first = only_run(bench.ask("1.1"))
    assert bench.ask("1.2", target=NodeName("c")) == []
    effects = bench.finish(first)
    assert records(effects)[0].target == B
    assert ("nodename", "c") in only_run(effects).options
    many = Bench(device(pcmk_host_list="b c", pcmk_action_limit="-1"))
    only_run(many.ask("1.1"))
    only_run(many.ask("1.2", target=NodeName("c")))


def test_an_unknown_run_is_noted() -> None:
    event = FenceAgentFinished(FenceRunId(9), 0, False, False, "", "", WallTime(0))
    (note,) = Bench().fencer.handle(event, Instant(0))
    assert isinstance(note, Note)


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 2, None]), st.booleans(), st.sampled_from(["", "b,"])), max_size=20
    )
)
def test_done_is_said_only_after_an_agent_exited_0_for_the_target(
    ends: list[tuple[int | None, bool, str]],
) -> None:
    bench = Bench(device("p1"), device("p2", pcmk_host_list="b"), device("p3", pcmk_host_check="status"))
    effects = bench.ask()
    for exit_code, timed_out, output in ends:
        if records(effects):
            break
        run = only_run(effects)
        effects = bench.finish(run, exit_code, timed_out=timed_out, output=output)
        is_done = [record.state is FenceState.DONE for record in records(effects)]
        has_worked = exit_code == 0 and not timed_out and ("action", "off") in run.options
        assert is_done == [True] if has_worked else is_done in ([], [False])
