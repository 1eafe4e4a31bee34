"""Which device reaches which node, and what is said of agents and devices that cannot be believed."""

import pytest

from komainu.fencing.agent_facts import WATCHDOG_AGENT
from komainu.fencing.interface import Device, DevicesChanged, FenceAgentFinished, FenceRunId
from komainu.fencing.reach import LIST_KEPT_MS, Question, Reach, Reached, Unreached
from komainu.model.ids import Instant, NodeName, WallTime
from komainu.model.report import Level

A, B = NodeName("a"), NodeName("b")
NOW = Instant(0)
META = '<resource-agent name="x"><parameters><parameter name="port"/></parameters><actions>{}</actions></resource-agent>'
ACTIONS = '<action name="off"/><action name="status"/><action name="list"/>'
LISTS = Device("blades", "fence_x", (("pcmk_host_map", "b:7"), ("pcmk_host_check", "dynamic-list")))


def end(
    exit_code: int | None = 0,
    output: str = "",
    error: str = "",
    *,
    timed_out: bool = False,
    missing: bool = False,
) -> FenceAgentFinished:
    return FenceAgentFinished(
        run=FenceRunId(1),
        exit_code=exit_code,
        timed_out=timed_out,
        missing=missing,
        output=output,
        error_output=error,
        wall=WallTime(0),
    )


def knowing(*devices: Device, output: str = META.format(ACTIONS)) -> Reach:
    reach = Reach()
    assert reach.change(DevicesChanged(devices)) == ["fence_x"]
    reach.learn("fence_x", end(output=output))
    return reach


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (end(None, timed_out=True), "fence_x gave no answer in time"),
        (end(None, missing=True), "the agent fence_x is not installed"),
        (end(0, "\x00garbage"), "fence_x gave no meta-data that can be read"),
        (end(0, ""), "fence_x gave no meta-data that can be read"),
        (end(1, error="Traceback\nImportError: pexpect"), "ImportError: pexpect"),
        (end(3), "fence_x exited 3"),
    ],
)
def test_an_agent_that_cannot_be_used_as_it_is_is_said_before_it_is_needed(
    answer: FenceAgentFinished, said: str
) -> None:
    reach = Reach()
    reach.change(DevicesChanged((LISTS,)))
    (note,) = reach.learn("fence_x", answer)
    assert (note.level, note.message) == (Level.WARNING, said)
    assert reach.troubles == {"fence_x": said}
    assert reach.learn("fence_x", end(output=META.format(ACTIONS))) == []
    assert reach.troubles == {}, "it was mended"


def test_a_trouble_goes_with_its_device() -> None:
    reach = Reach()
    reach.change(DevicesChanged((LISTS,)))
    reach.learn("fence_x", end(3))
    reach.change(DevicesChanged(()))
    assert reach.troubles == {}


def test_a_wrong_host_map_reaches_nobody() -> None:
    """The device does not know the plug that the map gives: it is not run on this node."""
    reach = knowing(LISTS)
    assert reach.check(LISTS, B, NOW) is Question.LIST
    assert reach.answered(LISTS, B, Question.LIST, end(output="8,c\n"), NOW) == Unreached("does not know b")
    assert reach.check(LISTS, B, Instant(LIST_KEPT_MS)) is Question.LIST, "it is asked again later"
    assert reach.answered(LISTS, B, Question.LIST, end(output="7,b\n"), Instant(LIST_KEPT_MS)) == Reached()


def test_a_device_that_claims_a_node_that_does_not_exist_is_not_believed() -> None:
    device = Device("ipmi", "fence_x", ())
    reach = knowing(device, output=META.format('<action name="off"/><action name="status"/>'))
    assert reach.check(device, B, NOW) is Question.STATUS
    assert reach.answered(device, B, Question.STATUS, end(2), NOW) is Question.GHOST
    verdict = reach.answered(device, B, Question.GHOST, end(0), NOW)
    assert isinstance(verdict, Unreached)
    assert "set pcmk_host_list" in verdict.reason
    assert reach.answered(device, B, Question.GHOST, end(1), NOW) == Reached()


def test_a_device_that_gives_no_answer_reaches_nobody() -> None:
    reach = knowing(LISTS)
    verdict = reach.answered(LISTS, B, Question.LIST, end(None, timed_out=True), NOW)
    assert verdict == Unreached("did not say which nodes it reaches: fence_x gave no answer in time")


def test_a_watchdog_is_counted_on_only_where_it_was_promised() -> None:
    watchdog = Device("watchdog", WATCHDOG_AGENT, ())
    reach = Reach()
    reach.change(DevicesChanged((watchdog,), self_resetting=(B,), watchdog_ms=10_000))
    assert reach.check(watchdog, B, NOW) == Reached(10_000)
    assert reach.check(watchdog, A, NOW) == Unreached("cannot be counted on for a")
