"""Decide what the end of an agent means: execution status, exit code, and the reason in one sentence.

Knows nothing of queues and intervals.
Source: OCF resource agent API 1.1 (exit codes, exit reason); Pacemaker's recorded results: an agent that ran
to its end is `done` whatever it said, and the scheduler judges the exit code by what the plan expected.
"""

from dataclasses import dataclass
from typing import Final

from komainu.executor.environment import EXIT_REASON_PREFIX
from komainu.executor.interface import AgentFinished
from komainu.model.duration import show_ms
from komainu.model.operation import ActionRequest, ExitCode, OpStatus

REASON_CHARACTERS_MAX: Final = 512
"""Longest exit reason that is kept: it is stored on every node and shown on one line."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one run."""

    status: OpStatus
    exit_code: int
    reason: str


def judge(request: ActionRequest, finished: AgentFinished, timeout_ms: int) -> Verdict:
    """Return what the end of this run means for the operation that was asked for."""
    said = exit_reason(finished.error_output)
    if finished.missing:
        return Verdict(OpStatus.NOT_INSTALLED, ExitCode.NOT_INSTALLED, f"{request.agent} is not installed")
    if finished.timed_out:
        return Verdict(
            OpStatus.TIMEOUT, ExitCode.ERROR, f"{request.operation} timed out after {show_ms(timeout_ms)}"
        )
    if finished.exit_code is None:
        return Verdict(OpStatus.ERROR, ExitCode.ERROR, said or "the agent was ended by a signal")
    if request.agent.agent_class == "stonith" and finished.exit_code != 0:
        # Fence agents have exit codes of their own; all that counts is that the device did not answer.
        line = last_line(finished.error_output)
        return Verdict(OpStatus.DONE, ExitCode.ERROR, said or line or f"exit code {finished.exit_code}")
    return Verdict(OpStatus.DONE, finished.exit_code, said)


def exit_reason(error_output: str) -> str:
    """Return the agent's own sentence: after the last prefix in its error output, up to the end of the line."""
    _, found, rest = error_output.rpartition(EXIT_REASON_PREFIX)
    if not found:
        return ""
    return rest.split("\n", 1)[0].strip()[:REASON_CHARACTERS_MAX]


def last_line(text: str) -> str:
    """Return the last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:REASON_CHARACTERS_MAX] if lines else ""
