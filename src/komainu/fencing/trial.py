"""Decide how fence devices are tried without harm, and what the answers mean for the night they are needed.

Pure: the caller runs the agents and measures. Nothing here ever switches anything off.
Source: the fence agent API: monitor, list and status change nothing.
"""

from dataclasses import dataclass
from typing import Final

from komainu.fencing import device as options
from komainu.fencing.agent_facts import METADATA_OPTIONS, WATCHDOG_AGENT, AgentFacts
from komainu.fencing.device import HostCheck
from komainu.fencing.interface import Device, DevicesChanged
from komainu.model.duration import show_ms
from komainu.model.ids import NodeName

MARGIN_FACTOR: Final = 3
"""A device that takes a third of its time-out on a quiet day is too slow for a bad one."""

METADATA_TIMEOUT_MS: Final = 5_000
"""An agent prints its meta-data without asking its device: a fraction of a second, and a few on a busy machine."""


@dataclass(frozen=True, slots=True)
class Try:
    """One harmless question to a device; `target` None: about the device itself."""

    device: Device
    action: str  # metadata, monitor, list, status
    target: NodeName | None
    given: tuple[tuple[str, str], ...]
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a try."""

    exit_code: int | None
    timed_out: bool
    missing: bool
    output: str
    said: str  # the last line of its error output
    took_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a try means: whether all is well, and one sentence."""

    is_good: bool
    text: str
    warning: str = ""


def first_tries(known: DevicesChanged) -> list[Try]:
    """Return the question for each agent's meta-data, which decides what else can be asked."""
    return [
        Try(device, "metadata", None, METADATA_OPTIONS, min(METADATA_TIMEOUT_MS, known.timeout_ms))
        for device in known.devices
        if device.agent != WATCHDOG_AGENT
    ]


def tries(device: Device, facts: AgentFacts, known: DevicesChanged, nodes: tuple[NodeName, ...]) -> list[Try]:
    """Return what can be asked of a device without harm: its monitor, its list, the status of each node."""
    asked: list[tuple[str, NodeName | None]] = [("monitor", None)]
    is_static = options.host_check(device, facts) is HostCheck.STATIC
    if options.host_check(device, facts) is HostCheck.LIST:
        asked.append(("list", None))
    if facts.can("status"):
        hosts = options.static_hosts(device)
        asked += [("status", node) for node in nodes if node in hosts or not is_static]
    return [
        Try(
            device,
            action,
            target,
            options.options_of(device, action, target, facts),
            options.timeout_ms(device, action, known.timeout_ms),
        )
        for action, target in asked
    ]


def judge(one: Try, answer: Answered, nodes: tuple[NodeName, ...]) -> Verdict:
    """Say what an answer means."""
    took = f"{answer.took_ms} ms"
    slow = ""
    if one.action != "metadata" and answer.took_ms * MARGIN_FACTOR > one.timeout_ms:
        slow = (
            f"it took {took}, more than a third of its time-out of {show_ms(one.timeout_ms)}: "
            f"set pcmk_{one.action}_timeout of {one.device.name} to {answer.took_ms * MARGIN_FACTOR // 1000 + 1}s"
        )
    if answer.missing:
        return Verdict(False, f"the agent {one.device.agent} is not installed")
    if answer.timed_out:
        return Verdict(False, f"no answer within {show_ms(one.timeout_ms)}", slow)
    is_power = one.action == "status" and answer.exit_code in {0, 2}
    if answer.exit_code != 0 and not is_power:
        return Verdict(False, answer.said or f"exit code {answer.exit_code}", slow)
    if one.action == "list":
        names = options.listed_names(answer.output)
        missing = [node for node in nodes if not set(options.plug_of(one.device, node).split(",")) <= names]
        if missing:
            return Verdict(True, f"knows not {', '.join(missing)} ({took})", slow)
    if is_power:
        return Verdict(True, f"{one.target} is {'on' if answer.exit_code == 0 else 'off'} ({took})", slow)
    return Verdict(True, f"works ({took})", slow)


def unreached(
    known: DevicesChanged, good: set[tuple[str, NodeName]], nodes: tuple[NodeName, ...]
) -> list[NodeName]:
    """Return the nodes whose power no device could tell. `good`: the devices and nodes of which one could."""
    reached = {node for _, node in good} | set(known.self_resetting)
    return [node for node in nodes if node not in reached]
