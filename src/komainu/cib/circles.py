"""Find orderings and colocations that lead in a circle.

Decides that a circle is a warning: a cluster that has one works, but nothing in a circle of orderings is ever
started, and in one of colocations it is left open which resource is placed first. A sequential resource set is followed
from member to member, a group by its members, and sets from one to the next.
Source: Pacemaker Explained, "Ordering Constraints", "Colocation Constraints".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Final

from komainu.cib.element import Element
from komainu.cib.problem import Problems, label

CIRCLES_MAX: Final = 20
"""Circles that are told, of each kind; who has more of them opens these first."""
NAMES_MAX: Final = 8
"""Names of a circle that are written out; a longer sentence is not read."""
_BETWEEN: Final = " "
"""Begins the name of a point between two sets, which no id does: through it few edges say what many pairs would."""
_NO_DEMAND: Final = frozenset({"optional", "serialize"})


@dataclass(frozen=True, slots=True)
class _Edge:
    """One constraint (or group, for its members): from the one that waits for no other, to the one that does."""

    constraint: Element
    start: str
    end: str


def check_circles(configuration: Element, problems: Problems) -> None:
    """Report each circle once, at the constraint that closes it."""
    constraints = configuration.first("constraints")
    children = () if constraints is None else constraints.children
    groups = {e.id: e for e in configuration.walk() if e.tag == "group"}
    members = {name: [child.id for child in group.all("primitive")] for name, group in groups.items()}
    inside = [_Edge(groups[g], one, other) for g, names in members.items() for one, other in pairwise(names)]
    ends = {name: (names[0], names[-1]) for name, names in members.items() if names}
    orderings = [edge for child in children for edge in _ordering(child)]
    # A group is up with its last member, and begins with its first.
    orderings = [
        _Edge(e.constraint, _end(e.start, ends, 1), _end(e.end, ends, 0)) for e in orderings
    ] + inside
    for circle in islice(_circles(orderings), CIRCLES_MAX):
        names = _some(_members(circle), ", then ")
        _report(circle, "cib.order-circle", f"{names}: none of them is ever started", problems)
    colocations = [edge for child in children for edge in _colocation(child)]
    follow = [_Edge(e.constraint, e.end, e.start) for e in inside]
    colocations = [
        _Edge(e.constraint, _end(e.start, ends, 0), _end(e.end, ends, 1)) for e in colocations
    ] + follow
    for circle in islice(_circles(colocations), CIRCLES_MAX):
        names = _some([f"{one} with {other}" for one, other in pairwise(_members(circle))], ", ")
        _report(circle, "cib.colocation-circle", f"{names}: they do not say which is placed first", problems)


def _end(name: str, ends: dict[str, tuple[str, str]], index: int) -> str:
    """Return the member that stands for a group; any other resource stands for itself."""
    return ends[name][index] if name in ends else name


def _members(circle: list[_Edge]) -> list[str]:
    """Return the resources of a circle in their order, the first of them once more at the end."""
    names = [edge.start for edge in circle if not edge.start.startswith(_BETWEEN)]
    return [*names, names[0]]


def _report(circle: list[_Edge], code: str, what: str, problems: Problems) -> None:
    constraints = [edge.constraint for edge in circle if edge.constraint.tag != "group"]
    if not constraints:
        return  # a group that has a member twice, which is told elsewhere
    last = constraints[-1]
    ids = _some(list(dict.fromkeys(one.id for one in constraints)), ", ")
    problems.warning(last, code, f"{label(last)} closes a circle: {what}", f"remove one of {ids}")


def _some(words: list[str], between: str) -> str:
    shown = words if len(words) <= NAMES_MAX else [*words[: NAMES_MAX - 1], "…", words[-1]]
    return between.join(shown)


def _ordering(element: Element) -> Iterator[_Edge]:
    """Give an ordering of one start after another, where it is demanded."""
    first, then = element.get("first"), element.get("then")
    is_wish = (element.get("kind") or "").lower() in _NO_DEMAND or element.get("score") == "0"
    if element.tag != "rsc_order" or is_wish:
        return
    for members in _sequences(element):
        yield from (_Edge(element, one, other) for one, other in pairwise(members))
    for number, (left, right) in enumerate(_neighbours(element)):
        if _is_true(left, "require-all"):  # else another member may do
            yield from _across(element, number, _standing(left, -1), _standing(right, 0))
    first_action = element.get("first-action", "start")
    are_starts = first_action == "start" and element.get("then-action", first_action) == "start"
    if first is not None and then is not None and first != then and are_starts:
        yield _Edge(element, first, then)


def _sequences(element: Element) -> Iterator[list[str]]:
    """Give the members of each set in which one follows the other, by being started."""
    for one in element.all("resource_set"):
        demands = one.get("score", "INFINITY") in {"INFINITY", "+INFINITY"} and one.get("ordering") is None
        if demands and _is_true(one, "sequential") and _is_about_starts(one):
            yield _names(one)


def _neighbours(element: Element) -> Iterator[tuple[Element, Element]]:
    """Give each set with the next, where both are about being started."""
    pairs = pairwise(element.all("resource_set"))
    return ((left, right) for left, right in pairs if _is_about_starts(left) and _is_about_starts(right))


def _across(element: Element, number: int, starts: list[str], ends: list[str]) -> Iterator[_Edge]:
    """Lead from each of one set to each of the next."""
    point = f"{_BETWEEN}{element.id} {number}"
    yield from (_Edge(element, name, point) for name in starts)
    yield from (_Edge(element, point, name) for name in ends)


def _standing(one: Element, index: int) -> list[str]:
    """Return the members that stand for a set: one end of a sequential set, else all of them."""
    names = _names(one)
    return [names[index]] if names and _is_true(one, "sequential") else names


def _names(one: Element) -> list[str]:
    return [reference.id for reference in one.all("resource_ref")]


def _is_true(one: Element, name: str) -> bool:
    return (one.get(name) or "true").lower() == "true"


def _is_about_starts(one: Element) -> bool:
    return one.get("role") is None and one.get("action", "start") == "start"


def _colocation(element: Element) -> Iterator[_Edge]:
    """Give a colocation of any role, where it is demanded; that to stay apart may go both ways."""
    dependent, primary = element.get("rsc"), element.get("with-rsc")
    has_roles = element.get("rsc-role") is not None or element.get("with-rsc-role") is not None
    if element.tag != "rsc_colocation" or has_roles:
        return
    if element.get("score", "INFINITY") not in {"INFINITY", "+INFINITY"}:
        return
    for members in _sequences(element):  # each with the one before it
        yield from (_Edge(element, other, one) for one, other in pairwise(members))
    for number, (left, right) in enumerate(_neighbours(element)):  # each set with the one after it
        yield from _across(element, number, _standing(left, 0), _standing(right, -1))
    if dependent is not None and primary is not None and dependent != primary:
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
