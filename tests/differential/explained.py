"""Say why the two may disagree on a CIB: by named differences of the versions (docs/compat-scheduler.md has a row for each).

Three kinds, from the narrowest to the broadest. A *line* difference accounts for single lines. A *way* (older.py) accounts
for whatever goes away when the scheduler takes it. What is left when all that is gone may have a *whole* difference: it
is only known that the CIB has what 2.1.5 does otherwise. A disagreement is explained when no line of it is left.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

import older
from reference import UNFINISHED, Disagreement

from komainu.cib.element import Element

_EDGE = re.compile(
    r"(?P<first>\S+)_(?P<task>start|stop|monitor|running|stopped)_0(?: \S+)? -> "
    r"(?P<then>\S+)_(?P<next>start|stop|running|stopped)_0(?: |$)"
)
_CONTAINER = re.compile(r"(\S+)-(?:docker|podman)-\d+_start_0 \S+ -> (.+)")
_CONTAINED = re.compile(r"(\S+)_start_0 \S+ -> (.+)")
_COLLECTIVE = re.compile(r"(?:Clone Set|Resource Group|Container bundle(?: set)?): (\S+?):?(?: |$)")
_UNMANAGED = re.compile(r"(\S+) \(\S+\): .*(?:FAILED|Started|Promoted|Unpromoted).* (\S+) \(.*unmanaged\)")
_WORD = re.compile(r" due to (?:unrunnable|unmigrateable) ")

Pair = tuple[str, str, str]
"""A dependent, its primary, the score between them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that only one of the two wrote."""

    part: str
    is_ours: bool
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """A CIB, and what the two disagree about."""

    cib: Element
    lines: frozenset[Line]
    is_unfinished: bool

    def texts(self, part: str, *, ours: bool) -> list[str]:
        """Return the texts of the lines of one side in one part."""
        return sorted(line.text for line in self.lines if line.part == part and line.is_ours is ours)

    @property
    def parts(self) -> set[str]:
        """The parts in which they disagree."""
        return {line.part for line in self.lines}

    @property
    def words(self) -> set[str]:
        """All words of all lines."""
        return {word for line in self.lines for word in line.text.split()}


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of the versions: its name, the beginning of its row on the page, what it accounts for."""

    name: str
    row: str
    explains: Callable[[Case], frozenset[Line]] | None = None  # None: a way of older.py
    is_whole: bool = False


Ask = Callable[[Sequence[str]], list[Disagreement]]
"""Give the disagreement when the ways that are named are taken."""


def reason(cib: Element, ask: Ask) -> str | None:
    """Return the names of the differences that account for all lines, None when a line is left."""
    names, case = _left(cib, ask(()))
    if not case.lines:
        return ", ".join(names)
    ways = _fewest_ways(cib, ask)
    names, case = _left(cib, ask(ways))
    taken = sorted({*names, *ways})
    if not case.lines:
        return ", ".join(taken)
    for difference in DIFFERENCES:
        if difference.is_whole and difference.explains is not None and difference.explains(case):
            return ", ".join([*taken, difference.name])
    ways = _ways_together(cib, ask, ways)
    names, case = _left(cib, ask(ways))
    return None if case.lines else ", ".join(sorted({*names, *ways}))


def _left(cib: Element, found: Sequence[Disagreement]) -> tuple[list[str], Case]:
    """Take away the lines that have their own difference; return the names of these, and what is left."""
    lines = frozenset(
        Line(one.part, is_ours, text)
        for one in found
        if one.part != UNFINISHED
        for is_ours, texts in ((False, one.only_reference), (True, one.only_ours))
        for text in texts
    )
    case = Case(cib, lines, is_unfinished=any(one.part == UNFINISHED for one in found))
    names = []
    for difference in DIFFERENCES:
        if difference.explains is not None and not difference.is_whole:
            explained = difference.explains(case)
            if explained:
                names.append(difference.name)
                case = Case(cib, case.lines - explained, case.is_unfinished)
    return names, case


def _fewest_ways(cib: Element, ask: Ask) -> tuple[str, ...]:
    """Return the fewest ways of older.py after which no more is left than after all that make a difference alone."""

    def left(names: Sequence[str]) -> frozenset[Line]:
        return _left(cib, ask(names))[1].lines

    before, alone = left(()), {}
    for name in older.WAYS:
        alone[name] = left((name,))
        if not alone[name]:
            return (name,)
    taken = tuple(name for name, lines in alone.items() if lines != before)
    least = len(left(taken))
    for name in taken:
        fewer = tuple(other for other in taken if other != name)
        count = len(left(fewer))
        if count <= least:
            taken, least = fewer, count
    return taken


def _ways_together(cib: Element, ask: Ask, taken: tuple[str, ...]) -> tuple[str, ...]:
    """Go on from these ways as long as one more, or two that do nothing alone, leave less; it takes a while."""
    least = len(_left(cib, ask(taken))[1].lines)
    size = 1
    while least and size <= 2:
        more = combinations([name for name in older.WAYS if name not in taken], size)
        counts = {(*taken, *names): len(_left(cib, ask((*taken, *names)))[1].lines) for names in more}
        best = min(counts, key=counts.__getitem__)
        if counts[best] < least:
            taken, least, size = best, counts[best], 1
        else:
            size += 1
    return taken


# -- differences of single lines --------------------------------------------------------------------------


def _edges_where(case: Case, claim: Callable[[re.Match[str]], bool], *, ours: bool) -> frozenset[Line]:
    matches = ((line, _EDGE.match(line.text)) for line in case.lines if line.part == "edges")
    return frozenset(
        line for line, match in matches if line.is_ours is ours and match is not None and claim(match)
    )


def _in_ordered_clone(case: Case) -> frozenset[Line]:
    """Each instance waits for all before it, those of a bundle always."""
    return _edges_where(
        case,
        lambda ends: ends["first"] == ends["then"] and _is_ordered_instance(case.cib, ends["first"]),
        ours=True,
    )


def _is_ordered_instance(cib: Element, name: str) -> bool:
    for top in (e for e in cib.walk() if e.tag in {"clone", "bundle"} and (e.id == name or e.find(name))):
        meta = {e.get("name"): e.get("value") for e in top.walk() if e.tag == "nvpair"}
        if top.tag == "bundle" or meta.get("ordered") == "true":
            return True
    return False


def _in_series(case: Case) -> frozenset[Line]:
    """Only the reference orders instances of clones one by one, of which the constraint says Serialize."""
    tops = {e.id: top.id for top in case.cib.walk() if top.tag in {"clone", "bundle"} for e in top.walk()}
    series = [
        {name for name in (order.get("first"), order.get("then")) if name}
        | {ref.id for ref in order.walk() if ref.tag == "resource_ref"}
        for order in case.cib.walk()
        if order.tag == "rsc_order" and any(e.get("kind") == "Serialize" for e in order.walk())
    ]
    return _edges_where(
        case,
        lambda ends: any({tops.get(ends["first"]), tops.get(ends["then"])} <= one for one in series),
        ours=False,
    )


def _after_contained(case: Case) -> frozenset[Line]:
    """The same waits for a container there, and here for what runs in it."""
    inside = {
        e.id: bundle.id
        for bundle in case.cib.walk()
        if bundle.tag == "bundle"
        for e in bundle.all("primitive")
    }
    theirs, ours = {}, {}
    for line in case.lines:
        pattern = _CONTAINED if line.is_ours else _CONTAINER
        match = pattern.fullmatch(line.text) if line.part == "edges" else None
        if match is not None and not line.is_ours:
            theirs[match[1], match[2]] = line
        elif match is not None and match[1] in inside:
            ours[inside[match[1]], match[2]] = line
    return frozenset(line for key in theirs.keys() & ours.keys() for line in (theirs[key], ours[key]))


def _by_word_only(case: Case) -> frozenset[Line]:
    """A move's reason calls the stop what cannot be done there, and here what cannot be done by migrating."""
    sides: tuple[dict[str, Line], dict[str, Line]] = ({}, {})
    for line in case.lines:
        if line.part == "summary" and _WORD.search(line.text):
            sides[line.is_ours][_WORD.sub(" due to ", line.text)] = line
    return frozenset(side[key] for key in sides[0].keys() & sides[1].keys() for side in sides)


def _hidden_collective(case: Case) -> frozenset[Line]:
    """A collective is shown only here whose active members are all unmanaged, on nodes that are lost or unknown."""
    up = {state.get("uname") for state in _states(case.cib) if state.get("in_ccm") == "true"}
    ours = [line for line in case.lines if line.part == "status" and line.is_ours]
    shown = {match[1]: line for line in ours if (match := _COLLECTIVE.match(line.text))}
    inside = {
        leaf.id
        for top in case.cib.walk()
        if top.id in shown
        for leaf in top.walk()
        if leaf.tag == "primitive"
    }
    members = {match[1]: match[2] for line in ours if (match := _UNMANAGED.match(line.text))}
    if not members or not shown or set(members.values()) & up:
        return frozenset()
    about = frozenset(line for line in ours if line.text.split()[0] in inside | members.keys())
    stopped = frozenset(
        line for line in case.lines if line.part == "status" and line.text.startswith("Stopped:")
    )
    return about | stopped | frozenset(shown.values())


# -- differences of the whole -----------------------------------------------------------------------------


def _all_if(claim: Callable[[Case], bool]) -> Callable[[Case], frozenset[Line]]:
    return lambda case: case.lines if claim(case) else frozenset()


def _has_circle(case: Case) -> bool:
    """Something that is named must be, through others, with itself."""
    pairs = list(_colocations(case.cib))
    circle = _circle(pairs) | _circle(_between_owners(case.cib, pairs))
    is_named = any("due to colocation with" in text for text in case.texts("summary", ours=True))
    return bool(circle) and (is_named or bool(case.words & circle))


def _is_with_its_own(case: Case) -> bool:
    """A collective that differs must be with what is in it, or with itself."""
    top_of = {e.id: top.id for top in case.cib.walk() if top.tag in {"group", "clone"} for e in top.walk()}
    owners = {
        top_of.get(one, one)
        for one, other, _ in _colocations(case.cib)
        if one == other or top_of.get(one) == other or top_of.get(other) == one
    }
    inside = {name for name, top in top_of.items() if top in owners} | owners
    text = " ".join(line.text for line in case.lines)
    return any(re.search(rf"\b{re.escape(name)}(?![a-z0-9])", text) for name in inside)


def _is_left_unfinished(case: Case) -> bool:
    """Only the end differs of a transition that the reference does in part, where there are guests."""
    has_guests = any(e.get("name") == "remote-node" or e.get("remote_node") for e in case.cib.walk())
    return case.is_unfinished and case.parts <= {"status"} and has_guests


# -- what is in a CIB -------------------------------------------------------------------------------------


def _states(cib: Element) -> list[Element]:
    status = cib.first("status")
    return [] if status is None else list(status.all("node_state"))


def _collections(cib: Element) -> dict[str, list[str]]:
    """Return what tags and templates stand for."""
    found: dict[str, list[str]] = {}
    for element in cib.walk():
        if element.tag == "tag":
            found[element.id] = [reference.id for reference in element.all("obj_ref")]
        template = element.get("template")
        if element.tag == "primitive" and template is not None:
            found.setdefault(template, []).append(element.id)
    return found


def _colocations(cib: Element) -> Iterator[Pair]:
    collections = _collections(cib)
    for constraint in (e for e in cib.walk() if e.tag == "rsc_colocation"):
        score = constraint.get("score") or "INFINITY"
        sets = [
            [name for ref in s.children for name in collections.get(ref.id, [ref.id])]
            for s in constraint.all("resource_set")
        ]
        if not sets:
            one, other = constraint.get("rsc") or "", constraint.get("with-rsc") or ""
            lefts, rights = collections.get(one, [one]), collections.get(other, [other])
            yield from ((left, right, score) for left in lefts for right in rights)
        for members in sets:  # apart are all of a set, together each and the one before it
            pairs = _apart(members) if score.startswith("-") else pairwise(members)
            yield from ((later, earlier, score) for earlier, later in pairs)
        for left, right in pairwise(sets):
            yield from ((one, other, score) for one in left for other in right)
    for machine in (e for e in cib.walk() if e.tag == "primitive"):  # a guest is where its machine is
        for pair in (e for e in machine.walk() if e.get("name") == "remote-node"):
            yield pair.get("value") or "", machine.id, "INFINITY"


def _apart(members: list[str]) -> Iterator[tuple[str, str]]:
    """Pair each with those before it; of one that is named twice, the first mention counts."""
    return ((earlier, later) for later in members for earlier in members[: members.index(later)])


def _circle(pairs: list[Pair]) -> set[str]:
    """Return what must be, through others, with itself."""
    found = set()
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
            found.add(start)
    return found


def _between_owners(cib: Element, pairs: list[Pair]) -> list[Pair]:
    """Return the colocations as if groups were named instead of their members, which are together anyway."""
    owner = {child.id: e.id for e in cib.walk() if e.tag == "group" for child in e.all("primitive")}
    named = ((owner.get(one, one), owner.get(other, other), score) for one, other, score in pairs)
    return [pair for pair in named if pair[0] != pair[1]]


# -- the table --------------------------------------------------------------------------------------------

_ROWS_OF_WAYS: Final = {
    "a new member waits for the stop of a later one": "a new member of a group before one",
    "wishes along a chain of colocations": "wishes along a chain of colocations",
    "wishes of a group's dependents": "wishes of a group's dependents",
    "a rule with or, and a node that is lost": "location rules that join by `or`",
    "monitors of what is active on a node in maintenance": "what is active on a node in maintenance",
    "a guest's inside and its machine": "orderings between a guest's inside",
    "guests that were never seen are told apart": "guests of which nothing is known yet",
    "dependents of a group that cannot start": "dependents of a group that cannot start",
    "room for a dependent that must be apart": "a dependent that must be apart",
    "a wish and a demand of one dependent": "a wish about one primary and a demand",
    "colocations of a group's members count for the group": "colocations with, of, and inside groups",
    "instances that would rather be elsewhere": "instances that are active where there is no room",
    "instances that wait for a probe": "instances of a clone that is up in part",
    "nodes of which none has the most room": "nodes of which none has the most room",
    "a rule that holds for the nodes of a bundle": "location rules that hold for the nodes of a bundle",
    "a resource that must be with itself": "a resource that must be with itself",
    "a node where a stop failed, and that was started on since": "what was started again on a node",
}

DIFFERENCES: Final = (
    Difference("instances of an ordered clone", "instances of an ordered clone", _in_ordered_clone),
    Difference("clones that are put in series", "`kind=Serialize` between clones", _in_series),
    Difference("what follows a bundle", "what follows a bundle", _after_contained),
    Difference("the word for a live migration", "a live migration that falls through", _by_word_only),
    Difference(
        "a collective on lost nodes only", "a collective whose only active members", _hidden_collective
    ),
    *(Difference(name, row) for name, row in _ROWS_OF_WAYS.items()),
    Difference(
        "what only one of them finishes, with guests",
        "transitions with guests that cannot be finished",
        _all_if(_is_left_unfinished),
        is_whole=True,
    ),
    Difference(
        "mandatory colocations in a circle",
        "mandatory colocations in a circle",
        _all_if(_has_circle),
        is_whole=True,
    ),
    Difference(
        "a collective that must be with its own",
        "a resource that must be with itself",
        _all_if(_is_with_its_own),
        is_whole=True,
    ),
)
