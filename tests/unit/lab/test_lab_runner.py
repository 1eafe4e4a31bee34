"""What came of a step is compared with what was expected; a fence that came late is found."""

import msgspec
import pytest

from komainu.lab import action, runner
from komainu.lab.drill import Expect
from komainu.lab.protocol import LabEvent, ServiceSeen, Stint
from komainu.lab.runner import Outcome
from komainu.model.ids import NodeName, WallTime
from komainu.model.request import FenceView, Status

OUTCOME = Outcome(
    step="x",
    happened="",
    power=(),
    reboots=1,
    daemon_exits=0,
    membership_changes=2,
    longest_gap_ms=60,
    stalled_ms=0,
    service_on="b",
    settled_ms=1,
    took_ms=2,
    misses=(),
    machines=1,
)


@pytest.mark.parametrize(
    ("expect", "misses"),
    [
        (Expect(), []),
        (Expect(reboots=1, membership_changes=2, gap_max_ms=60), []),
        (Expect(reboots=0), ["reboots: 1; expected: 0"]),
        (Expect(daemon_exits=1), ["daemon exits: 0; expected: 1"]),
        (Expect(machines_max=1), []),
        (Expect(machines_max=0), ["machines that booted: 1; allowed: 0"]),
        (Expect(gap_max_ms=50), ["longest gap of the service: 60 ms; allowed: 50 ms"]),
    ],
)
def test_figures(expect: Expect, misses: list[str]) -> None:
    assert runner.missed(expect, OUTCOME) == misses


def fenced(at: int, state: str = "done", target: str = "a") -> dict[str, Status]:
    record = FenceView(NodeName(target), "reboot", state, NodeName("b"), "", "", WallTime(at))
    blank = dict.fromkeys(("cluster", "version", "view", "quorum_reason", "cib_version", "doing"), "")
    empty: dict[str, tuple[()]] = dict.fromkeys(("nodes", "links", "resources", "failures", "warnings"), ())
    made = {
        **blank,
        **empty,
        "node": "b",
        "is_quorate": True,
        "at": 0,
        "fencing": [msgspec.to_builtins(record)],
    }
    return {"b": msgspec.convert({**made, "type": "status-reply"}, type=Status)}


def test_a_node_is_fenced_before_another_answers() -> None:
    seen = ServiceSeen(9, 900, 0, (Stint("a", 0), Stint("b", 1500)), 0)
    assert runner.not_fenced_first(fenced(101_400), seen, "a", since=100_000, offset=100_000) == []
    late = runner.not_fenced_first(fenced(101_700), seen, "a", since=100_000, offset=100_000)
    assert late == ["another node answered 200 ms before a was confirmed off"]
    assert runner.not_fenced_first(fenced(101_400, "failed"), seen, "a", since=100_000, offset=100_000) == [
        "a was not fenced"
    ]
    assert runner.not_fenced_first(fenced(99_000), seen, "a", since=100_000, offset=100_000) == [
        "a was not fenced"
    ]
    assert runner.not_fenced_first(fenced(101_400, target="b"), seen, "a", since=100_000, offset=100_000) == [
        "a was not fenced"
    ]


def test_actions_in_words() -> None:
    assert runner.described(action.Pull(cable="lan")) == "pull cable=lan"
    assert runner.described(action.Wait("2s")) == "wait for=2s"


def test_a_step_that_cannot_be_carried_out_is_a_miss() -> None:
    outcome = runner.broken_off("x", 12, "web runs nowhere")
    assert outcome.is_broken_off
    assert outcome.misses == ("web runs nowhere",)


def test_a_peer_s_node_was_off_before_another_answers() -> None:
    seen = ServiceSeen(9, 900, 0, (Stint("a", 0), Stint("b", 1500)), 0)

    def off(at: int) -> tuple[LabEvent, ...]:
        return (LabEvent(0, at, "a", "power-off", "it was fenced"), LabEvent(1, 9, "b", "boot", ""))

    assert runner.not_off_first(off(1400), seen, "a") == []
    assert runner.not_off_first(off(1700), seen, "a") == ["another node answered 200 ms before a was off"]
    assert runner.not_off_first((), seen, "a") == ["a was never off"]
