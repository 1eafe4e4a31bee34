"""Decide whether a device reaches a node: by its options, by what its agent can, or by what it answers.

Keeps what agents said of themselves and what devices listed. Knows nothing of fencings under way.
Source: Pacemaker Explained, pcmk_host_check. Deviation: a device whose reach only follows from its status is not
believed when it claims to reach a node that does not exist, too; else it would fence one node for another.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from komainu.fencing import device as options
from komainu.fencing.agent_facts import UNKNOWN, WATCHDOG_AGENT, AgentFacts, read_facts
from komainu.fencing.device import HostCheck
from komainu.fencing.interface import Device, DevicesChanged, FenceAgentFinished
from komainu.model.ids import Instant, NodeName
from komainu.model.report import Level, Note

LIST_KEPT_MS: Final = 60_000
"""How long a device's list is believed; a wrong one costs a failed attempt and can do no harm."""

GHOST: Final = NodeName("komainu-no-such-node")
"""Nobody's name: a device that claims to reach it, too, cannot tell nodes apart."""


class Question(Enum):
    """What a device is asked to find out whether it reaches a node."""

    LIST = "list"  # which nodes it reaches
    STATUS = "status"  # whether the node is on
    GHOST = "ghost"  # whether a node is on that does not exist


@dataclass(frozen=True, slots=True)
class Reached:
    """The device reaches the node. A watchdog is to be given this time."""

    wait_ms: int = 0


@dataclass(frozen=True, slots=True)
class Unreached:
    """The device does not reach the node, or nobody knows."""

    reason: str


Verdict = Reached | Unreached | Question


class Reach:
    """What is known of agents and devices."""

    def __init__(self) -> None:
        self.known = DevicesChanged(())
        self.facts: dict[str, AgentFacts] = {}
        self.troubles: dict[str, str] = {}  # why agents cannot be used as they are
        self._lists: dict[str, tuple[Instant, frozenset[str]]] = {}

    def change(self, known: DevicesChanged) -> list[str]:
        """Take a new configuration; return the agents whose meta-data is not known."""
        self.known = known
        self._lists.clear()
        agents = {device.agent for device in known.devices if device.agent != WATCHDOG_AGENT}
        self.troubles = {agent: text for agent, text in self.troubles.items() if agent in agents}
        return sorted(agent for agent in agents if not self.facts.get(agent, UNKNOWN).is_told)

    def learn(self, agent: str, event: FenceAgentFinished) -> list[Note]:
        """Take an agent's answer to the question for its meta-data."""
        facts = read_facts(event.output) if event.exit_code == 0 else None
        self.facts[agent] = facts or UNKNOWN
        if facts is not None:
            self.troubles.pop(agent, None)
            return []
        has_run = event.exit_code == 0 and not event.timed_out and not event.missing
        text = f"{agent} gave no meta-data that can be read" if has_run else failure(agent, event)
        self.troubles[agent] = text
        return [Note(Level.WARNING, "fencing.no-meta-data", text, {"agent": agent})]

    def of(self, device: Device) -> AgentFacts:
        """Return what the device's agent can."""
        return self.facts.get(device.agent, UNKNOWN)

    def check(self, device: Device, target: NodeName, now: Instant) -> Verdict:
        """Say whether a device reaches a node, or what it has to be asked."""
        hosts = options.static_hosts(device)
        if device.agent == WATCHDOG_AGENT:
            return self._check_watchdog(hosts, target)
        match options.host_check(device, self.of(device)):
            case HostCheck.STATIC:
                return _among(hosts, target)
            case HostCheck.NONE:
                return Reached()
            case HostCheck.STATUS:
                return Question.STATUS
            case HostCheck.LIST:
                listed_at, _ = self._lists.get(device.name, (None, None))
                if listed_at is None or now - listed_at >= LIST_KEPT_MS:
                    return Question.LIST
                return Reached() if self._is_listed(device, target) else Unreached(f"does not know {target}")

    def reached(self, device: Device, target: NodeName, now: Instant) -> bool:
        """Whether a device reaches a node, as far as it is known without asking: the last list counts, however old."""
        verdict = self.check(device, target, now)
        return verdict == Reached() or (verdict is Question.LIST and self._is_listed(device, target))

    def answered(
        self, device: Device, target: NodeName, question: Question, event: FenceAgentFinished, now: Instant
    ) -> Verdict:
        """Take a device's answer."""
        has_answered = event.exit_code is not None and not event.timed_out and not event.missing
        is_on_or_off = has_answered and event.exit_code in {0, 2}
        is_said = options.said_check(device) is not None
        facts = self.of(device)
        match question:
            case Question.LIST if has_answered and event.exit_code == 0:
                self._lists[device.name] = (now, options.listed_names(event.output))
                return self.check(device, target, now)
            case Question.LIST if has_answered and not is_said and facts.is_told and facts.can("status"):
                return Question.STATUS
            case Question.STATUS if is_on_or_off:
                return Reached() if is_said else Question.GHOST
            case Question.STATUS if has_answered:
                return Unreached(f"does not reach {target}: {failure(device.agent, event)}")
            case Question.GHOST if is_on_or_off:
                why = "so it cannot tell nodes apart: set pcmk_host_list"
                return Unreached(f"claims to reach a node that does not exist, {why}")
            case Question.GHOST:
                return Reached()
            case _:
                return Unreached(f"did not say which nodes it reaches: {failure(device.agent, event)}")

    def _is_listed(self, device: Device, target: NodeName) -> bool:
        _, names = self._lists.get(device.name, (None, frozenset()))
        return names >= set(options.plug_of(device, target).split(","))

    def _check_watchdog(self, hosts: tuple[str, ...], target: NodeName) -> Verdict:
        """A watchdog is believed only where the node said that it is armed and quorum makes it fire."""
        if target not in self.known.self_resetting or not self.known.watchdog_ms:
            return Unreached(f"cannot be counted on for {target}")
        if hosts and target not in hosts:
            return _among(hosts, target)
        return Reached(self.known.watchdog_ms)


def _among(hosts: Iterable[str], target: NodeName) -> Verdict:
    if target in hosts:
        return Reached()
    return Unreached(f"reaches only {', '.join(hosts) or 'no node'}")


def failure(agent: str, event: FenceAgentFinished) -> str:
    """Say in one phrase what went wrong with a run."""
    if event.missing:
        return f"the agent {agent} is not installed"
    if event.timed_out:
        return f"{agent} gave no answer in time"
    lines = [line.strip() for line in event.error_output.splitlines() if line.strip()]
    if lines:
        return lines[-1]
    return f"{agent} exited {event.exit_code}" if event.exit_code is not None else f"{agent} was killed"
