"""Find orderings and colocations that lead in a circle.

Decides that a circle is a warning: a cluster that has one works, but nothing in a circle of orderings is ever
started, and in one of colocations it is left open which resource is placed first. Only constraints between two
named resources are followed; what stands in resource sets is not.
Source: Pacemaker Explained, "Ordering Constraints", "Colocation Constraints".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from komainu.cib.element import Element
from komainu.cib.problem import Problems, label

CIRCLES_MAX: Final = 20
"""Circles that are told, of each kind; who has more of them opens these first."""
NAMES_MAX: Final = 8
"""Names of a circle that are written out; a longer sentence is not read."""
_NO_DEMAND: Final = frozenset({"optional", "serialize"})


@dataclass(frozen=True, slots=True)
class _Edge:
    """One constraint: from the one that waits for no other, to the one that does."""

    constraint: Element
    start: str
    end: str


def check_circles(configuration: Element, problems: Problems) -> None:
    """Report each circle once, at the constraint that closes it."""
    constraints = configuration.first("constraints")
    children = () if constraints is None else constraints.children
    orderings = [edge for child in children for edge in _ordering(child)]
    for circle in islice(_circles(orderings), CIRCLES_MAX):
        names = _some([*(edge.start for edge in circle), circle[-1].end], ", then ")
        _report(circle, "cib.order-circle", f"{names}: none of them is ever started", problems)
    colocations = [edge for child in children for edge in _colocation(child)]
    for circle in islice(_circles(colocations), CIRCLES_MAX):
        names = _some([f"{edge.start} with {edge.end}" for edge in circle], ", ")
        _report(circle, "cib.colocation-circle", f"{names}: they do not say which is placed first", problems)


def _report(circle: list[_Edge], code: str, what: str, problems: Problems) -> None:
    last = circle[-1].constraint
    ids = _some([edge.constraint.id for edge in circle], ", ")
    problems.warning(last, code, f"{label(last)} closes a circle: {what}", f"remove one of {ids}")


def _some(words: list[str], between: str) -> str:
    shown = words if len(words) <= NAMES_MAX else [*words[: NAMES_MAX - 1], "…", words[-1]]
    return between.join(shown)


def _ordering(element: Element) -> Iterator[_Edge]:
    """Give an ordering of one start after another, where it is demanded."""
    first, then = element.get("first"), element.get("then")
    if element.tag != "rsc_order" or first is None or then is None or first == then:
        return
    first_action = element.get("first-action", "start")
    are_starts = first_action == "start" and element.get("then-action", first_action) == "start"
    is_wish = (element.get("kind") or "").lower() in _NO_DEMAND or element.get("score") == "0"
    if are_starts and not is_wish:
        yield _Edge(element, first, then)


def _colocation(element: Element) -> Iterator[_Edge]:
    """Give a colocation of any role, where it is demanded; that to stay apart may go both ways."""
    dependent, primary = element.get("rsc"), element.get("with-rsc")
    has_roles = element.get("rsc-role") is not None or element.get("with-rsc-role") is not None
    if element.tag != "rsc_colocation" or dependent is None or primary is None or has_roles:
        return
    if dependent != primary and element.get("score", "INFINITY") in {"INFINITY", "+INFINITY"}:
        yield _Edge(element, dependent, primary)


def _circles(edges: list[_Edge]) -> Iterator[list[_Edge]]:
    """Walk depth first along the edges, each once; what leads back to where the walk came from is a circle."""
    leaving: dict[str, list[_Edge]] = {}
    for edge in edges:
        leaving.setdefault(edge.start, []).append(edge)
    done: set[str] = set()
    for root, first_edges in leaving.items():
        if root in done:
            continue
        path: list[_Edge] = []
        ahead = {
            root: iter(first_edges)
        }  # what the walk is in, in its order, and what is still to be tried there
        while ahead:
            here = next(reversed(ahead))
            next_edge = next(ahead[here], None)
            if next_edge is None:
                done.add(here)
                del ahead[here]
                del path[-1:]
            elif next_edge.end in ahead:
                yield [*path[list(ahead).index(next_edge.end) :], next_edge]
            elif next_edge.end not in done:
                path.append(next_edge)
                ahead[next_edge.end] = iter(leaving.get(next_edge.end, ()))
