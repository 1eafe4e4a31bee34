"""What a device is asked without harm, and what its answers mean for the night it is needed."""

import pytest

from komainu.fencing.agent_facts import METADATA_OPTIONS, UNKNOWN, WATCHDOG_AGENT, read_facts
from komainu.fencing.interface import Device, DevicesChanged
from komainu.fencing.trial import METADATA_TIMEOUT_MS, Answered, Try, first_tries, judge, tries, unreached
from komainu.model.ids import NodeName

A, B = NodeName("a"), NodeName("b")
META = (
    '<resource-agent name="x"><parameters><parameter name="port"/></parameters><actions><action name="off"/>'
    '<action name="status"/><action name="list"/><action name="monitor"/></actions></resource-agent>'
)
FACTS = read_facts(META) or UNKNOWN
LISTED = Device("pdu", "fence_x", (("pcmk_host_list", "b"),))
LISTS = Device("blades", "fence_x", (("pcmk_host_map", "b:7"), ("pcmk_host_check", "dynamic-list")))
KNOWN = DevicesChanged((LISTED, LISTS, Device("watchdog", WATCHDOG_AGENT, ())), timeout_ms=3_000)


def answered(exit_code: int | None = 0, output: str = "", said: str = "", took_ms: int = 10) -> Answered:
    return Answered(exit_code, timed_out=False, missing=False, output=output, said=said, took_ms=took_ms)


def tried(action: str = "monitor", device: Device = LISTED, target: NodeName | None = None) -> Try:
    return Try(device, action, target, (), 3_000)


def test_agents_are_asked_for_their_meta_data_first_and_the_watchdog_has_none() -> None:
    assert [(one.device.name, one.action, one.given) for one in first_tries(KNOWN)] == [
        ("pdu", "metadata", METADATA_OPTIONS),
        ("blades", "metadata", METADATA_OPTIONS),
    ]


def test_only_what_changes_nothing_is_asked() -> None:
    assert [(one.action, one.target) for one in tries(LISTED, FACTS, KNOWN, (A, B))] == [
        ("monitor", None),
        ("status", B),
    ]
    asked = tries(LISTS, FACTS, KNOWN, (A, B))
    assert [(one.action, one.target) for one in asked] == [
        ("monitor", None),
        ("list", None),
        ("status", A),
        ("status", B),
    ]
    assert dict(asked[-1].given)["port"] == "7"
    assert {one.action for one in tries(LISTED, UNKNOWN, KNOWN, (A, B))} <= {"monitor", "status"}


@pytest.mark.parametrize(
    ("one", "answer", "is_good", "text"),
    [
        (tried(), answered(), True, "works (10 ms)"),
        (tried(), answered(1, said="connection refused"), False, "connection refused"),
        (tried(), answered(3), False, "exit code 3"),
        (tried("status", target=B), answered(2), True, "b is off (10 ms)"),
        (tried("status", target=B), answered(0), True, "b is on (10 ms)"),
        (tried("status", target=B), answered(1, said="no such plug"), False, "no such plug"),
        (tried("list", LISTS), answered(output="7,b\n8,c\n"), True, "knows not a (10 ms)"),
    ],
)
def test_what_an_answer_means(one: Try, answer: Answered, is_good: bool, text: str) -> None:
    verdict = judge(one, answer, (A, B))
    assert (verdict.is_good, verdict.text, verdict.warning) == (is_good, text, "")


def test_a_device_that_hangs_or_is_missing_is_no_device() -> None:
    hangs = Answered(None, timed_out=True, missing=False, output="", said="", took_ms=3_000)
    verdict = judge(tried(), hangs, (A, B))
    assert (verdict.is_good, verdict.text) == (False, "no answer within 3 s")
    missing = Answered(None, timed_out=False, missing=True, output="", said="", took_ms=0)
    assert judge(tried(), missing, (A, B)).text == "the agent fence_x is not installed"


def test_a_time_out_that_is_too_small_is_named_with_one_that_is_not() -> None:
    verdict = judge(tried(), answered(took_ms=1_200), (A, B))
    assert verdict.is_good
    assert verdict.warning == (
        "it took 1200 ms, more than a third of its time-out of 3 s: set pcmk_monitor_timeout of pdu to 4s"
    )
    assert not judge(tried(), answered(took_ms=1_000), (A, B)).warning


def test_a_node_whose_power_nobody_told_is_named() -> None:
    assert unreached(KNOWN, {("pdu", B)}, (A, B)) == [A]
    self_resetting = DevicesChanged(KNOWN.devices, self_resetting=(A,), watchdog_ms=10_000)
    assert unreached(self_resetting, {("pdu", B)}, (A, B)) == []


def test_meta_data_are_not_waited_for_as_a_device_is() -> None:
    """They need no device: an agent that hangs over them is broken, and no longer time-out mends it."""
    (first, *_) = first_tries(DevicesChanged((Device("f", "fence_x", ()),)))
    assert first.timeout_ms == METADATA_TIMEOUT_MS
    hung = Answered(exit_code=1, timed_out=True, missing=False, output="", said="", took_ms=5_001)
    verdict = judge(first, hung, ())
    assert (verdict.is_good, verdict.text, verdict.warning) == (False, "no answer within 5 s", "")
