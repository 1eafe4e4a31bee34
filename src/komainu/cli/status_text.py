"""Write the state of the cluster for people: as wide as the terminal, readable without colour.

Decides the order: first what the cluster is, then what is wrong, each with its reason.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from komainu.cli.terminal import fold
from komainu.model.duration import show_ms
from komainu.model.ids import WallTime
from komainu.model.link import LinkState
from komainu.model.request import (
    FailureView,
    FenceView,
    LinkView,
    NodeView,
    ResourceView,
    Status,
)

FENCING_SHOWN_MAX: Final = 5
DAY_MS: Final = 86_400_000


class Tone(Enum):
    """How a line is coloured where there is colour. The words say the same."""

    PLAIN = "plain"
    HEADING = "heading"
    GOOD = "good"
    BAD = "bad"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text."""

    text: str
    tone: Tone = Tone.PLAIN


def status_lines(status: Status) -> list[Line]:
    """Write the whole status."""
    lines = list(_head(status))
    sections: tuple[tuple[str, Iterable[Line]], ...] = (
        ("Nodes", _nodes(status.nodes)),
        (f"Links of {status.node}", _links(status.links, status.at)),
        ("Resources", _resources(status.resources)),
        ("Failures", _failures(status.failures, status.at)),
        ("Fencing", _fencing(status.fencing[:FENCING_SHOWN_MAX], status.at)),
        ("Warnings", _warnings(status.warnings)),
    )
    for title, section in sections:
        body = list(section)
        if body:
            lines += [Line(""), Line(title, Tone.HEADING), *body]
    return lines


def clock(moment: WallTime, now: WallTime, *, milliseconds: bool = False) -> str:
    """Write a moment: the time of day, and the date where it is not today's."""
    local, today = time.localtime(moment / 1000), time.localtime(now / 1000)
    form = "%H:%M:%S" if local[:3] == today[:3] else "%Y-%m-%d %H:%M:%S"
    tail = f".{moment % 1000:03}" if milliseconds else ""
    return time.strftime(form, local) + tail


def _head(status: Status) -> Iterator[Line]:
    quorum = "quorate" if status.is_quorate else "NOT QUORATE"
    reason = f" ({status.quorum_reason})" if status.quorum_reason else ""
    tone = Tone.GOOD if status.is_quorate else Tone.BAD
    yield from _wrapped(f"Cluster {status.cluster}: {quorum}{reason}", "  ", tone)
    coordinator = next((node.name for node in status.nodes if node.is_coordinator), None)
    who = f"coordinator {coordinator}" if coordinator else "no coordinator"
    parts = [who, f"configuration {status.cib_version}", *([status.doing] if status.doing else [])]
    yield from _wrapped("; ".join(parts), "  ")
    seen = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.at / 1000))
    yield from _wrapped(f"seen by {status.node} at {seen}, komainu {status.version}", "  ")
    if status.watchdog is not None:
        gap, limit = show_ms(status.watchdog.longest_gap_ms), show_ms(status.watchdog.timeout_ms)
        text = f"watchdog of {status.node}: armed, {limit}; the longest time between two pets: {gap}"
        yield from _wrapped(text, "  ")


def _nodes(nodes: tuple[NodeView, ...]) -> Iterator[Line]:
    width = max((len(node.name) for node in nodes), default=0)
    for node in nodes:
        text = node.state + (", coordinator" if node.is_coordinator else "")
        if node.reason:
            text += f": {node.reason}"
        tone = {"online": Tone.GOOD, "unclean": Tone.BAD, "offline": Tone.BAD}.get(node.state, Tone.WARNING)
        yield from _wrapped(f"  {node.name:{width}}  {text}", " " * (width + 4), tone)


def _links(links: tuple[LinkView, ...], now: WallTime) -> Iterator[Line]:
    for link in links:
        head = f"  link {link.link} <-> {link.peer}: "
        since = f" (since {clock(link.since, now, milliseconds=True)})"
        if link.state is LinkState.UP and link.peer_state is LinkState.UP:
            trip = "" if link.round_trip_ms is None else f", round trip {link.round_trip_ms:.1f} ms"
            yield from _wrapped(f"{head}up{trip}", "    ", Tone.GOOD)
            continue
        ends = []
        if link.state is not LinkState.UP:
            ends.append(_end(link.state, link.reason))
        if link.peer_state not in {LinkState.UP, LinkState.SILENT}:
            ends.append(f"{link.peer}'s end is {_end(link.peer_state, link.peer_reason)}")
        if link.over is not None:
            ends.append(f"packets to {link.peer} go over {link.over}")
        is_usable = link.state.is_usable and link.peer_state.is_usable
        tone = Tone.WARNING if is_usable else Tone.BAD
        yield from _wrapped(head + "; ".join(ends or ["down"]) + since, "    ", tone)


def _end(state: LinkState, reason: str) -> str:
    """Say what is wrong with one end: the kernel's reason, which names the interface, where there is one."""
    return f"{'up' if state.is_usable else 'down'}: {reason}" if reason else state.label


def _resources(views: tuple[ResourceView, ...], depth: int = 1) -> Iterator[Line]:
    width = max((len(view.resource) for view in views), default=0)
    for view in views:
        is_collective = view.kind != "primitive"
        what = view.kind if is_collective else view.agent
        where = "" if is_collective and view.members else f"  {_whereabouts(view)}"
        flags = f" ({', '.join(view.flags)})" if view.flags else ""
        pending = f", {view.pending}" if view.pending else ""
        tone = _resource_tone(view)
        text = f"{'  ' * depth}{view.resource:{width}}  {what}{where}{flags}{pending}"
        yield from _wrapped(text, "  " * depth + " " * (width + 2), tone)
        yield from _resources(view.members, depth + 1)


def _whereabouts(view: ResourceView) -> str:
    return f"{view.role} on {', '.join(view.nodes)}" if view.nodes else view.role


def _resource_tone(view: ResourceView) -> Tone:
    if "failed" in view.flags or "blocked" in view.flags:
        return Tone.BAD
    if view.pending or view.flags:
        return Tone.WARNING
    if view.members:
        return Tone.PLAIN
    return Tone.GOOD if view.nodes else Tone.WARNING


def _failures(failures: tuple[FailureView, ...], now: WallTime) -> Iterator[Line]:
    for one in failures:
        reason = f": {one.exit_reason}" if one.exit_reason else ""
        text = f"  {one.operation} of {one.resource} on {one.node}: {one.outcome}"
        yield from _wrapped(
            f"{text} (exit code {one.exit_code}) at {clock(one.at, now)}{reason}", "    ", Tone.BAD
        )
    if failures:
        yield from _wrapped(
            f"  hint: once the cause is mended: komainu resource cleanup {failures[0].resource}", "    "
        )


def _fencing(entries: tuple[FenceView, ...], now: WallTime) -> Iterator[Line]:
    for one in entries:
        outcome = f": {one.outcome}" if one.outcome else ""
        text = f"  {one.target} fenced ({one.action}) by {one.delegate}: {one.state} at {clock(one.at, now)}"
        tone = Tone.BAD if one.state == "failed" else Tone.PLAIN
        yield from _wrapped(f"{text}{outcome}; because {one.reason}", "    ", tone)


def _warnings(warnings: tuple[str, ...]) -> Iterator[Line]:
    for text in warnings:
        yield from _wrapped(f"  {text}", "    ", Tone.WARNING)


def _wrapped(text: str, indent: str, tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    """Break a line at the width; what follows is indented, and long words stay whole."""
    return (Line(part, tone) for part in fold(text, indent))
