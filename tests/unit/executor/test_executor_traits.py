"""Check what is learnt from an agent's meta-data, and that one without any is met with a sentence, not an error."""

import pytest

from komainu.executor.executor import Executor
from komainu.executor.interface import (
    ActionRequested,
    AgentDescribed,
    AgentFinished,
    DescribeAgent,
    ExecutorEffect,
    ReportResult,
    RunAgent,
)
from komainu.executor.traits import DESCRIBE_TIMEOUT_MS, Traits, read_traits
from komainu.model.ids import Instant, NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName, OperationResult
from komainu.model.report import Level, Note

AGENT = AgentName("ocf", "heartbeat", "Thing")
PROGRAM = "/usr/lib/ocf/resource.d/heartbeat/Thing"


def described(action: str, *parameters: str) -> str:
    listed = "".join(f"<parameter {parameter}/>" for parameter in parameters)
    return (
        f"<resource-agent><parameters>{listed}</parameters>"
        f'<actions><action name="start"/>{action}</actions></resource-agent>'
    )


MODERN = described('<action name="reload-agent"/>', 'name="size" reloadable="1"', 'name="path" unique="0"')
OLD = described('<action name="reload"/>', 'name="size" unique="0"', 'name="path" unique="1"')


@pytest.mark.parametrize(
    ("text", "traits"),
    [
        (MODERN, Traits("reload-agent", ("path",))),
        (OLD, Traits("reload", ("path",))),
        (described("", 'name="size" unique="1"'), Traits(None, ("size",))),
        ("warning: no config\n" + MODERN, Traits("reload-agent", ("path",))),
        ("usage: Thing start|stop", None),
        ("", None),
        ("<resource-agent><parameters>", None),
        ("<resource-agent/>", None),
    ],
)
def test_meta_data_is_read_or_is_none(text: str, traits: Traits | None) -> None:
    assert read_traits(text) == traits


class Bench:
    """An executor and one resource of the agent."""

    def __init__(self) -> None:
        self.executor = Executor(NodeName("a"))

    def ask(self, operation: str) -> list[ExecutorEffect]:
        request = ActionRequest(
            node=NodeName("a"),
            resource=ResourceId("thing"),
            agent=AGENT,
            operation=operation,
            interval_ms=0,
            timeout_ms=5000,
            parameters=(("path", "/x"), ("size", "1")),
            meta=(),
            target_rc=0,
            transition_key="1:1:0:uuid",
            digest="d",
        )
        return self.executor.handle(ActionRequested(request), Instant(0))

    def tell(self, output: str, *, missing: bool = False) -> list[ExecutorEffect]:
        event = AgentDescribed(AGENT, PROGRAM, output, missing=missing)
        return self.executor.handle(event, Instant(0))

    def run(self, operation: str) -> tuple[str, OperationResult]:
        (run,) = [effect for effect in self.ask(operation) if isinstance(effect, RunAgent)]
        ended = AgentFinished(run.run, 0, False, False, "", "", WallTime(0), 1)
        effects = self.executor.handle(ended, Instant(1))
        (report,) = [effect for effect in effects if isinstance(effect, ReportResult)]
        return run.action, report.result


def test_an_agent_is_asked_once_and_nothing_waits_for_it() -> None:
    bench = Bench()
    first, run = bench.ask("start")
    assert first == DescribeAgent(AGENT, DESCRIBE_TIMEOUT_MS)
    assert isinstance(run, RunAgent)
    assert not [effect for effect in bench.ask("stop") if isinstance(effect, DescribeAgent)]


def test_a_result_says_what_needs_a_restart_as_soon_as_it_is_known() -> None:
    bench = Bench()
    assert bench.run("start")[1].restart_on is None
    assert bench.tell(MODERN) == []
    assert bench.run("start")[1].restart_on == ("path",)


def test_an_agent_of_the_old_api_is_reloaded_by_its_own_word() -> None:
    bench = Bench()
    bench.run("start")
    bench.tell(OLD)
    assert bench.run("reload-agent")[0] == "reload"


def test_an_agent_without_meta_data_runs_and_the_log_says_where_and_what_to_do() -> None:
    bench = Bench()
    bench.run("start")
    (note,) = bench.tell("usage: Thing start|stop")
    assert isinstance(note, Note)
    assert note.level is Level.WARNING
    assert f"{PROGRAM} meta-data" in note.message
    assert "komainu resource cleanup" in note.message
    assert bench.run("start")[1].restart_on is None


def test_a_missing_agent_is_asked_again_and_a_cleanup_asks_all_again() -> None:
    bench = Bench()
    bench.run("start")
    assert bench.tell("", missing=True) == []
    assert isinstance(bench.ask("stop")[0], DescribeAgent)
    bench = Bench()
    bench.run("start")
    bench.tell("")
    bench.executor.forget(ResourceId("thing"))
    assert isinstance(bench.ask("start")[0], DescribeAgent)
