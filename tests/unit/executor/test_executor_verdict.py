"""Check what the end of an agent is taken to mean."""

import pytest

from komainu.executor.interface import AgentFinished, RunId
from komainu.executor.verdict import REASON_CHARACTERS_MAX, exit_reason, judge
from komainu.model.ids import NodeName, ResourceId, WallTime
from komainu.model.operation import ActionRequest, AgentName, OpStatus


def asked(agent_class: str = "ocf") -> ActionRequest:
    agent = AgentName(agent_class, "x" if agent_class == "ocf" else None, "y")
    return ActionRequest(NodeName("a"), ResourceId("r"), agent, "monitor", 0, 5000, (), (), 0, "1:1:0:u", "")


def ended(
    exit_code: int | None, error_output: str = "", *, timed_out: bool = False, missing: bool = False
) -> AgentFinished:
    return AgentFinished(RunId(1), exit_code, timed_out, missing, "", error_output, WallTime(0), 1)


@pytest.mark.parametrize("exit_code", [0, 1, 2, 5, 6, 7, 8, 9, 190, 191])
def test_an_agent_that_ended_is_done_whatever_it_said(exit_code: int) -> None:
    verdict = judge(asked(), ended(exit_code), 5000)
    assert (verdict.status, verdict.exit_code) == (OpStatus.DONE, exit_code)


def test_what_went_wrong_around_an_agent() -> None:
    timeout = judge(asked(), ended(None, timed_out=True), 5000)
    assert (timeout.status, timeout.exit_code, timeout.reason) == (
        OpStatus.TIMEOUT,
        1,
        "monitor timed out after 5 s",
    )
    missing = judge(asked(), ended(None, missing=True), 5000)
    assert (missing.status, missing.exit_code) == (OpStatus.NOT_INSTALLED, 5)
    assert "ocf:x:y is not installed" in missing.reason
    signal = judge(asked(), ended(None), 5000)
    assert (signal.status, signal.exit_code) == (OpStatus.ERROR, 1)
    assert "signal" in signal.reason


def test_the_last_exit_reason_counts_up_to_its_line() -> None:
    assert exit_reason("noise\nocf-exit-reason:first\nocf-exit-reason: second \nmore\n") == "second"
    assert exit_reason("noise") == ""
    assert len(exit_reason("ocf-exit-reason:" + "x" * 10_000)) == REASON_CHARACTERS_MAX


def test_a_fence_agent_has_exit_codes_of_its_own() -> None:
    verdict = judge(asked("stonith"), ended(7, "trying\nlogin failed\n"), 5000)
    assert (verdict.status, verdict.exit_code, verdict.reason) == (OpStatus.DONE, 1, "login failed")
