"""Learn from an agent's meta-data what it can take without a restart, and say so with each of its results.

Knows nothing of resources or runs. An agent that is not known, or that cannot say what it is, is restarted
when its parameters change: that is always right, only slower.
Source: OCF resource agent API 1.1, "reload-agent" and `reloadable`; for agents of API 1.0 their action
`reload` and `unique="0"`; Pacemaker Explained, "Reloading an Agent After a Definition Change".
"""

from dataclasses import dataclass
from typing import Final

from komainu.cib.meta_data import read_meta_data
from komainu.cib.options import is_true
from komainu.executor.interface import AgentDescribed, DescribeAgent
from komainu.model.operation import ActionRequest, AgentName
from komainu.model.report import Level, Note

DESCRIBE_TIMEOUT_MS: Final = 30_000
"""Time for an agent to print its meta-data; nothing waits for it."""

AGENTS_MAX: Final = 1000
"""Agents remembered; a machine has some hundred."""

_RELOAD: Final = "reload-agent"


@dataclass(frozen=True, slots=True)
class Traits:
    """What one agent says of itself. The defaults are those of an agent that said nothing."""

    reload_action: str | None = None
    fixed: tuple[str, ...] = ()  # parameters whose change needs a restart, sorted


def read_traits(text: str) -> Traits | None:
    """Read an agent's meta-data; None when it is none."""
    root = read_meta_data(text)
    if root is None:
        return None
    actions = {action.get("name") for action in root.iterfind("actions/action")}
    action = next((name for name in (_RELOAD, "reload") if name in actions), None)
    fixed = []
    for parameter in root.iterfind("parameters/parameter"):
        if action == _RELOAD:
            can_reload = is_true(parameter.get("reloadable"), default=False)
        else:
            can_reload = not is_true(parameter.get("unique"), default=False)
        if not can_reload:
            fixed.append(parameter.get("name") or "")
    return Traits(action, tuple(sorted(filter(None, fixed))))


class KnownAgents:
    """What is known of the agents that ran here."""

    def __init__(self) -> None:
        self._known: dict[AgentName, Traits | None] = {}  # None: asked, no answer yet

    def ask(self, agent: AgentName) -> list[DescribeAgent]:
        """Ask an agent what it is, the first time it is met."""
        if agent.agent_class != "ocf" or agent in self._known or len(self._known) >= AGENTS_MAX:
            return []
        self._known[agent] = None
        return [DescribeAgent(agent, DESCRIBE_TIMEOUT_MS)]

    def told(self, event: AgentDescribed) -> list[Note]:
        """Take the answer. One that is not installed is asked again when it is met again."""
        if event.missing:
            self._known.pop(event.agent, None)
            return []
        traits = read_traits(event.output)
        self._known[event.agent] = traits or Traits()
        if traits is not None:
            return []
        text = (
            f"{event.agent} printed no meta-data that can be read: its resources are restarted, never reloaded, when "
            f"their parameters change. hint: mend what `{event.program} meta-data` prints, then `komainu resource "
            "cleanup` of one of its resources"
        )
        return [Note(Level.WARNING, "executor.no-meta-data", text, {"agent": str(event.agent)})]

    def forget(self) -> None:
        """Ask all agents anew when they are met again: they may have been mended."""
        self._known.clear()

    def action_of(self, request: ActionRequest) -> str:
        """Name the action to run: what agents of API 1.0 call `reload` is `reload-agent` in a plan."""
        traits = self._known.get(request.agent)
        if request.operation == _RELOAD and traits is not None and traits.reload_action is not None:
            return traits.reload_action
        return request.operation

    def restart_on(self, request: ActionRequest) -> tuple[str, ...] | None:
        """Name the parameters whose change needs a restart; None when every change does."""
        traits = self._known.get(request.agent)
        if traits is None or traits.reload_action is None or request.interval_ms:
            return None
        return traits.fixed
