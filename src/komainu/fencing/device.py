"""Decide what a fence device's options say: which nodes it reaches, by which plug, and how it is asked.

Knows nothing of requests, retries or processes.
Source: the fence agent API (options on standard input); Pacemaker Explained, "Special options for fencing
resources" (pcmk_*).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from komainu.fencing.agent_facts import UNKNOWN, AgentFacts
from komainu.fencing.interface import Device
from komainu.model.duration import parse_ms
from komainu.model.ids import NodeName

ATTEMPTS_DEFAULT: Final = 2
"""Runs of one device for one request, the first included; the field's pcmk_*_retries."""

ATTEMPTS_MAX: Final = 10
"""More attempts than this only delay the next device."""

_OURS: Final = ("pcmk_", "CRM_meta_", "crm_feature_set")


class HostCheck(Enum):
    """How it is found out whether a device reaches a node: pcmk_host_check."""

    STATIC = "static-list"
    LIST = "dynamic-list"
    STATUS = "status"
    NONE = "none"


def said_check(device: Device) -> HostCheck | None:
    """Return the check that the device's options name; None when they name none."""
    option = option_of(device, "pcmk_host_check")
    return next((check for check in HostCheck if check.value == option), None)


def host_check(device: Device, facts: AgentFacts = UNKNOWN) -> HostCheck:
    """Return how to find the device's nodes; by the list or map it has, or what it can, where it says nothing."""
    said = said_check(device)
    if said is not None:
        return said
    if option_of(device, "pcmk_host_map") or option_of(device, "pcmk_host_list"):
        return HostCheck.STATIC
    if facts.can("list"):
        return HostCheck.LIST
    return HostCheck.STATUS if facts.can("status") else HostCheck.NONE


def static_hosts(device: Device) -> tuple[str, ...]:
    """Return the nodes of the device's list and map, in the order in which they stand there."""
    listed = (option_of(device, "pcmk_host_list") or "").replace(",", " ").replace(";", " ").split()
    return tuple(dict.fromkeys([*listed, *host_map(device)]))


def host_map(device: Device) -> dict[str, str]:
    """Read pcmk_host_map: `node1:1;node2:2,3`, also with `=` and blanks; a backslash keeps the next character."""
    found: dict[str, str] = {}
    name: str | None = None
    word = ""
    is_kept = False
    for character in (option_of(device, "pcmk_host_map") or "") + ";":
        if is_kept:
            word += character
            is_kept = False
        elif character == "\\":
            is_kept = True
        elif character in ":=" and name is None:
            name, word = word, ""
        elif character in "; \t\n":
            if name:
                found[name] = word
            name, word = None, ""
        else:
            word += character
    return found


def plug_of(device: Device, target: NodeName) -> str:
    """Return what the device calls this node; several plugs stand with commas between them."""
    return host_map(device).get(target, str(target))


def options_of(
    device: Device, action: str, target: NodeName | None, facts: AgentFacts = UNKNOWN
) -> tuple[tuple[str, str], ...]:
    """Return what the agent reads on its standard input for this action, in order.

    The plug takes the place of a configured one only where that is `dynamic`: who writes a plug means it.
    """
    options = {"action": option_of(device, f"pcmk_{action}_action") or action}
    own = {name: text for name, text in device.parameters if not name.startswith(_OURS) and name != "action"}
    if target is not None:
        options["nodename"] = str(target)
        argument = option_of(device, "pcmk_host_argument") or facts.plug
        if argument not in {None, "none"} and own.get(argument or "", "dynamic") == "dynamic":
            own[argument or ""] = plug_of(device, target)
    return (*options.items(), *sorted(own.items()))


def timeout_ms(device: Device, action: str, default_ms: int) -> int:
    """Return how long the device may take for this action, all attempts together."""
    return parse_ms(option_of(device, f"pcmk_{action}_timeout")) or default_ms


def attempts(device: Device, action: str) -> int:
    """Return how often the device is run for one request."""
    return max(1, min(ATTEMPTS_MAX, _number(device, f"pcmk_{action}_retries", ATTEMPTS_DEFAULT)))


def parallel_runs(device: Device) -> int | None:
    """Return how many actions the device takes at one time; None when there is no limit."""
    limit = _number(device, "pcmk_action_limit", 1)
    return limit if limit > 0 else None


def delay_ms(device: Device, action: str, target: NodeName, chance: float = 0.0) -> int:
    """Return how long to wait before the device switches this node off: a fixed part, and one by chance.

    Two nodes that shoot at each other need unequal delays, so that one of them survives. pcmk_delay_max bounds
    both parts together; `chance` is from 0 up to 1 and says how much of what is left is waited.
    """
    if action not in {"off", "reboot"}:
        return 0
    base = _by_node(device, "pcmk_delay_base", target)
    longest = _by_node(device, "pcmk_delay_max", target)
    return base + int(max(0, longest - base) * chance)


def _by_node(device: Device, name: str, target: NodeName) -> int:
    """Read a duration, or the target's one of `node1:1s;node2:5s`."""
    text = option_of(device, name) or "0"
    parts: Mapping[str, str] = dict(
        part.split(":", 1) for part in text.replace(";", " ").split() if ":" in part
    )
    return parse_ms(parts.get(target, "0") if parts else text) or 0


def listed_names(output: str) -> frozenset[str]:
    """Read the answer to `list`: a plug a line, with its alias after a comma, colon or blank."""
    names: set[str] = set()
    for line in output.splitlines():
        for separator in ",:":
            line = line.replace(separator, " ")  # noqa: PLW2901 - one line, made plainer step by step
        names.update(word.strip("\"'[]") for word in line.split())
    return frozenset(names)


def option_of(device: Device, name: str) -> str | None:
    """Return an option's text; the last one wins, as in the agents' own input."""
    return dict(device.parameters).get(name)


def _number(device: Device, name: str, default: int) -> int:
    """Return a whole number; a text that is none counts as absent, since fencing must go on."""
    try:
        return int(option_of(device, name) or default)
    except ValueError:
        return default
