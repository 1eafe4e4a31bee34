"""Say why the two may disagree on a CIB: by a difference of the versions that is understood (docs/compat-scheduler.md).

A reason is found in the configuration and in the lines that differ, never in a seed. What it explains is counted.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from reference import Disagreement

from komainu.cib.element import Element

_BLOCKED_BY_STOP = re.compile(r"Start (\S+) .* due to unrunnable (\S+) stop \(blocked\)")
Pair = tuple[str, str, str]
"""A dependent, its primary, the score between them."""


def reason(cib: Element, found: Sequence[Disagreement]) -> str | None:
    """Return the reason, None when there is none."""
    pairs = list(_colocations(cib))
    ours = [line for part in found for line in part.only_ours]
    words = {word for part in found for line in part.only_ours + part.only_reference for word in line.split()}
    if _waits_for_later_member(cib, ours):
        return "a new member waits for the stop of a later one"
    if any("due to colocation with" in line for line in ours) and _has_circle(pairs):
        return "mandatory colocations in a circle"
    if _has_chain(pairs):
        return "wishes along a chain of colocations"
    apart = {"-INFINITY"}
    if any(part.part == "scores" for part in found):  # a finite wish to be apart shows in the scores
        apart |= {score for _, _, score in pairs if score.startswith("-")}
    if any(score in apart and {one, other} & _owners(cib, words) for one, other, score in pairs):
        return "room for a dependent that must be apart"
    if "a monitor was cancelled" in ours and _has_maintenance_node(cib):
        return "monitors of what is also active on a node in maintenance"
    if _has_rival_capacities(cib):
        return "balanced by capacities that cannot be compared"
    return None


def _colocations(cib: Element) -> Iterator[Pair]:
    for constraint in (e for e in cib.walk() if e.tag == "rsc_colocation"):
        score = constraint.get("score") or "INFINITY"
        sets = [[ref.id for ref in s.children] for s in constraint.all("resource_set")]
        if not sets:
            yield constraint.get("rsc") or "", constraint.get("with-rsc") or "", score
        for members in sets:
            yield from ((later, earlier, score) for earlier, later in pairwise(members))
        for left, right in pairwise(sets):
            yield from ((one, other, score) for one in left for other in right)


def _has_chain(pairs: list[Pair]) -> bool:
    """Tell whether a wish is passed on: one with a finite score, from a dependent that has dependents of its own."""
    return any(
        primary == dependent and {first, second} - {"INFINITY"}
        for dependent, _, first in pairs
        for _, primary, second in pairs
    )


def _has_circle(pairs: list[Pair]) -> bool:
    follows: dict[str, set[str]] = {}
    for dependent, primary, score in pairs:
        if score == "INFINITY":
            follows.setdefault(dependent, set()).add(primary)
    for start, first in follows.items():
        seen: set[str] = set()
        waiting = set(first)
        while waiting - seen:
            here = min(waiting - seen)
            seen.add(here)
            waiting |= follows.get(here, set())
        if start in seen:
            return True
    return False


def _owners(cib: Element, words: set[str]) -> set[str]:
    """Return the resources that are named, and the groups they are in."""
    groups = {e.id for e in cib.walk() if e.tag == "group" and words & {child.id for child in e.children}}
    return words | groups


def _waits_for_later_member(cib: Element, ours: list[str]) -> bool:
    for group in (e for e in cib.walk() if e.tag == "group"):
        members = [child.id for child in group.all("primitive")]
        for line in ours:
            match = _BLOCKED_BY_STOP.match(line)
            if match and match[1] in members and match[2] in members[members.index(match[1]) :]:
                return True
    return False


def _has_maintenance_node(cib: Element) -> bool:
    status = cib.first("status")
    pairs = () if status is None else (e for e in status.walk() if e.tag == "nvpair")
    return any(e.get("name") == "maintenance" and e.get("value") == "true" for e in pairs)


def _has_rival_capacities(cib: Element) -> bool:
    values = {(e.get("name"), e.get("value")) for e in cib.walk() if e.tag == "nvpair"}
    if ("placement-strategy", "balanced") not in values:
        return False
    nodes = cib.at("configuration", "nodes")
    names = {e.get("name") for e in (nodes.walk() if nodes is not None else ()) if e.tag == "nvpair"}
    return {"cpu", "mem"} <= names
