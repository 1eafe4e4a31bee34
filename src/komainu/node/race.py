"""Decide how long one half of a split cluster waits before it fences the other half.

Pure. When a pair loses sight of each other and both live, both see the same thing; if both fence at once,
both go down for one fault (S4). So one side must wait, and both must agree which without a word:

| what this side sees                                       | base         | if not favoured |
|-----------------------------------------------------------|--------------|-----------------|
| an own end lost its carrier and another link fell silent   | 0            | + 0             |
| at the same time: one fault explains both, the peer is off |              |                 |
| every own end is down: this side is the one cut off        | 4 x detect   | + 2 x detect    |
| silence with an own end up: the peer or the way is gone    | 0            | + 2 x detect    |

Favoured is the side that ran more resources in the state both last agreed on; between equals the one with the
lowest node id. Both sides compute the same answer from the same state.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from komainu.cib.element import Element
from komainu.model.ids import Instant, NodeName
from komainu.model.link import LinkState
from komainu.ring.interface import InstallView, LinkReport
from komainu.ring.settings import RingSettings, derive

CUT_OFF_FACTOR: Final = 4
NOT_FAVOURED_FACTOR: Final = 2
SAME_FAULT_FACTOR: Final = 2
"""Two links that fail within this many detection times of now are taken as one fault."""

_ACTIVE_CODES: Final = {("start", "0"), ("monitor", "0"), ("monitor", "8"), ("promote", "0"), ("demote", "0")}


@dataclass(frozen=True, slots=True)
class Split:
    """What one side knows as the view without the other begins."""

    weight: int  # active resources of this side
    lost_weight: int  # active resources of the side that is out of sight
    is_lowest: bool  # this side has the lowest node id of both
    links: tuple[LinkReport, ...]


def yield_in(
    begun: InstallView, settings: RingSettings, cib: Element, *, links: list[LinkReport], now: Instant
) -> int:
    """Return how many milliseconds this side waits in the view that begins; 0 when no equal half was lost.

    `cib` is the state that both sides agreed on last.
    """
    lost = {gone.node for gone in begun.departures if not gone.clean}
    members = set(begun.view.members)
    if not lost or 2 * len(members) > len(settings.nodes):
        return 0
    split = Split(
        weight=weight_of(cib, {settings.of(node).name for node in members}),
        lost_weight=weight_of(cib, {settings.of(node).name for node in lost}),
        is_lowest=min(members) < min(lost),
        links=tuple(links),
    )
    return yield_ms(split, detect_within_ms=derive(settings).detect_within_ms, now=now)


def yield_ms(split: Split, *, detect_within_ms: int, now: Instant) -> int:
    """Return how many milliseconds this side lets the other one act first."""
    states = [link.state for link in split.links]
    recent = [link.state for link in split.links if now - link.since <= SAME_FAULT_FACTOR * detect_within_ms]
    if LinkState.NO_CARRIER in recent and LinkState.SILENT in recent:
        return 0
    is_cut_off = bool(states) and LinkState.SILENT not in states and LinkState.UP not in states
    is_favoured = (split.weight, split.is_lowest) > (split.lost_weight, not split.is_lowest)
    factor = (CUT_OFF_FACTOR if is_cut_off else 0) + (0 if is_favoured else NOT_FAVOURED_FACTOR)
    return factor * detect_within_ms


def weight_of(cib: Element, nodes: AbstractSet[NodeName]) -> int:
    """Count the resources that the history shows active on these nodes; fence devices weigh nothing."""
    status = cib.at("status")
    weight = 0
    for state in () if status is None else status.all("node_state"):
        history = state.at("lrm", "lrm_resources")
        if state.get("uname") not in nodes or history is None:
            continue
        weight += sum(_is_active(resource) for resource in history.all("lrm_resource"))
    return weight


def _is_active(resource: Element) -> bool:
    """Whether the newest finished operation left the resource active."""
    if resource.get("class") == "stonith":
        return False
    finished = [operation for operation in resource.all("lrm_rsc_op") if operation.get("op-status") != "-1"]
    newest = max(finished, key=_call_number, default=None)
    return newest is not None and (newest.get("operation"), newest.get("rc-code")) in _ACTIVE_CODES


def _call_number(operation: Element) -> int:
    text = operation.get("call-id") or "-1"
    return int(text) if text.lstrip("-").isdigit() else -1
