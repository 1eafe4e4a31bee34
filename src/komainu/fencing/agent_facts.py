"""Decide what a fence agent can do, from its meta-data: its actions, how it is told the target, what it lists.

Knows nothing of devices, which are agents with options. Source: the fence agent API ("metadata" on standard
input, XML on standard output); ClusterLabs' FenceAgentAPI document, "Agent Operations and Return Values".
"""

from dataclasses import dataclass
from typing import Final

from komainu.cib.meta_data import read_meta_data
from komainu.cib.options import is_true

WATCHDOG_AGENT: Final = "fence_watchdog"
"""Not a program: the target resets itself, and the fencer waits until it must have."""

METADATA_OPTIONS: Final = (("action", "metadata"),)
"""What an agent reads that is asked for its meta-data."""


@dataclass(frozen=True, slots=True)
class AgentFacts:
    """What one agent says of itself. The defaults are those for an agent that said nothing."""

    actions: frozenset[str] = frozenset({"on", "off", "reboot", "status", "list", "monitor"})
    plug: str | None = "port"  # the parameter that carries the target; None when there is none
    unfences: bool = False  # its `on` belongs to the start of a node, and is for that moment only
    is_told: bool = False  # whether this came from meta-data

    def can(self, action: str) -> bool:
        """Whether the agent has this action."""
        return action in self.actions


UNKNOWN: Final = AgentFacts()
"""For an agent whose meta-data could not be had: it is tried as the field's first agents were."""


def read_facts(meta_data: str) -> AgentFacts | None:
    """Read an agent's meta-data; None when it is none."""
    root = read_meta_data(meta_data)
    if root is None:
        return None
    entries = {entry.get("name") or "": entry for entry in root.iterfind("actions/action")}
    names = {parameter.get("name") for parameter in root.iterfind("parameters/parameter")}
    on = entries.get("on")
    unfences = on is not None and any(
        is_true(on.get(flag), default=False) for flag in ("automatic", "required", "on_target")
    )
    return AgentFacts(
        actions=frozenset(name for name in entries if name),
        plug=next((name for name in ("port", "plug") if name in names), None),
        unfences=unfences,
        is_told=True,
    )
