"""Make the scheduler do what 2.1.5 does, in one respect at a time (docs/compat-scheduler.md has a row for each).

A disagreement that goes away when one of these ways is taken is explained by it, whatever it looks like; one that stays
is not, though the same CIB may have all that the way is about. What each does was measured with 2.1.5.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final, Protocol
from unittest.mock import patch

from komainu.cib.element import Element
from komainu.scheduler import (
    assign,
    bundle,
    colocation,
    fixpoint,
    history,
    invalid_orderings,
    location,
    ordering,
    probes,
    results,
    running,
    together,
    utilization,
)
from komainu.scheduler.entry import Entry
from komainu.scheduler.fixpoint import Step
from komainu.scheduler.group import Group
from komainu.scheduler.job import Action, Candidate, Colocation, Job, Node, Relation, Replica, Resource
from komainu.scheduler.remembered import Remembered
from komainu.scheduler.results import Reading
from komainu.scheduler.rules import RuleContext
from komainu.scheduler.spread import _Spread
from komainu.scheduler.together import Scores, _Walk
from komainu.scheduler.words import INFINITY, Kind, Rel, add_scores

Patch = AbstractContextManager[object]
_walk_add: Final = _Walk._add
_rule_score: Final = location._rule_score
_read_status: Final = history.read_status
_running_add: Final = running.add
_assign_replica: Final = bundle._assign_replica
_release: Final = assign.release
_assign_early: Final = _Spread._assign_early
_tasks: Final = ordering.tasks
_succeed: Final = results._succeed
_block_dependents: Final = fixpoint._block_dependents
_colocation_add: Final = colocation.add


def _chain() -> Iterable[Patch]:
    """Each wish along a chain counts with its own score: of what comes before it only the sign matters."""

    def add(walk: _Walk, source: Resource, scores: Scores, wish: Colocation, factor: float) -> Scores:
        return _walk_add(walk, source, scores, wish, math.copysign(wish.score / INFINITY, factor))

    return (patch.object(_Walk, "_add", add),)


def _group_besides() -> Iterable[Patch]:
    """What depends on a group is heard for the member that speaks for it, and then again for the group itself."""
    before = _Walk._add

    def add(walk: _Walk, source: Resource, scores: Scores, wish: Colocation, factor: float) -> Scores:
        found = before(walk, source, scores, wish, factor)
        if source.kind is not Kind.GROUP or source.is_visited:
            return found
        source.is_visited = True
        if any(found[node_id] >= 0 for node_id in walk._available):
            for one in filter(together.has_influence, together.with_this(source.children[-1])):
                found = walk._add(one.dependent, found, one, factor * one.score / INFINITY)
        source.is_visited = False
        return found

    return (patch.object(_Walk, "_add", add),)


def _no_room() -> Iterable[Patch]:
    """A primary makes no room for a dependent that must be apart, or would rather be, and has one node only."""
    return (patch.object(_Walk, "_outweighs", lambda *_: False),)


class _Rank(Protocol):
    def __lt__(self, other: object, /) -> bool: ...


def _hash_order(rows: Iterable[Candidate]) -> list[Candidate]:
    """Return rows as a hash table of node ids yields them: eight places or more, the next free one if one is taken."""
    waiting = sorted(rows, key=lambda row: row.node.name)
    bits = max(3, (len(waiting) * 4 // 3).bit_length()) if len(waiting) >= 8 else 3
    places: dict[int, Candidate] = {}
    for row in waiting:
        number = 0
        for byte in row.node.id.encode():
            number = (number * 31 + byte) % 2**32
        place = number * 11 % 2**32 % {3: 7, 4: 13, 5: 31}[bits]
        for step in range(1, 2**bits):
            if place not in places:
                break
            place = (place + step) % 2**bits
        places[place] = row
    return [row for _, row in sorted(places.items(), key=lambda item: item[0])]


def _merge_sorted(rows: Iterable[Candidate], *, key: Callable[[Candidate], _Rank]) -> list[Candidate]:
    """Sort by halves: of nodes none of which is better than all others this takes others than sorted() does."""
    merged: list[Candidate] = []
    waiting = list(rows)
    if len(waiting) < 2:
        return waiting
    middle = len(waiting) // 2
    left, right = (_merge_sorted(half, key=key) for half in (waiting[:middle], waiting[middle:]))
    while left and right:
        merged.append(right.pop(0) if key(right[0]) < key(left[0]) else left.pop(0))
    return merged + left + right


def _after_machine() -> Iterable[Patch]:
    """What is inside a guest goes down after the guest's machine, if it is ordered so."""

    def is_about_guest(then: Action, relation: Relation) -> bool:
        is_allowed = relation.action.resource is None or relation.flags & Rel.GUEST_ALLOWED
        return not is_allowed and invalid_orderings._launches(then.resource, relation.action.node)

    return (patch.object(invalid_orderings, "_is_about_own_guest", is_about_guest),)


def _no_wait_for_probe() -> Iterable[Patch]:
    """An instance that is down starts though the probe of another cannot be done, if any of the clone is up."""
    return (patch.object(probes, "_order_inactive_instances", lambda *_: None),)


def _tried_once() -> Iterable[Patch]:
    """An instance is tried once where it is. If another node is better, it is placed later; but a group stays there."""

    def assign_early(spread: _Spread, instance: Resource, home: Node) -> bool:
        maximum, spread._maximum = spread._maximum, spread._assigned + 1
        keep = (lambda rsc: None if rsc is instance else _release(rsc)) if instance.children else _release
        with patch.object(assign, "release", keep):
            is_home = _assign_early(spread, instance, home)
        spread._maximum = maximum
        return is_home

    return (patch.object(_Spread, "_assign_early", assign_early),)


def _rivals_by_hash() -> Iterable[Patch]:
    """Nodes of which none has the most room are taken in the order in which a hash table of their ids has them."""

    def by_hash(
        values: Iterable[Candidate], *, key: Callable[[Candidate], _Rank] | None = None
    ) -> list[Candidate]:
        return _hash_order(values) if key else sorted(values, key=str)  # without a key these are names

    return (
        patch.object(utilization, "sorted", by_hash, create=True),
        patch.object(assign, "_best_rows", lambda table: _hash_order(table.values())[::-1]),
        patch.object(assign, "sorted", _merge_sorted, create=True),
    )


def _in_order() -> Iterable[Patch]:
    """Colocations count in the order of the other resources' ids, demand or wish; between the same two, the last first."""

    def this_with(rsc: Resource) -> list[Colocation]:
        found: list[Colocation] = []
        rsc.variant.collect_this_with(rsc, rsc, found)
        return colocation.sort_this_with(found[::-1])

    def with_this(rsc: Resource) -> list[Colocation]:
        found: list[Colocation] = []
        rsc.variant.collect_with_this(rsc, rsc, found)
        return colocation.sort_with_this(found[::-1])

    def weigh(job: Job, rsc: Resource) -> None:
        for one in this_with(rsc):
            assign.follow_primary(job, rsc, one)
        for one in with_this(rsc):
            together.add_dependent_wishes(one, rsc)

    return (
        patch.object(assign, "_weigh_colocations", weigh),
        patch.object(together, "this_with", this_with),
        patch.object(together, "with_this", with_this),
    )


def _group_alone() -> Iterable[Patch]:
    """Colocations of a group's members do not count for the group, nor its locations for members that are named.

    Those with the group count for its last member, from when the group is being placed.
    """
    before = together.with_this

    def with_group(_: Group, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        if original is rsc.children[-1] and (rsc.assigning or not rsc.unassigned):
            found.extend(rsc.with_this)

    def with_this(rsc: Resource) -> list[Colocation]:
        rsc.dependents = None  # not for good: the group's come later
        return before(rsc)

    return (
        patch.object(Group, "collect_with_this", with_group),
        patch.object(Group, "_collect_explicit", lambda *_, **__: None),
        patch.object(together, "with_this", with_this),
        patch.object(together, "_group_locations", lambda *_: {}),
    )


def _no_block_by_group() -> Iterable[Patch]:
    """What must be with a group that cannot start is not blocked."""

    def block(job: Job, action: Action) -> Step:
        if action.resource is None or action.resource.top_with_bundle.kind is not Kind.GROUP:
            yield from _block_dependents(job, action)

    return (patch.object(fixpoint, "_block_dependents", block),)


def _new_member_first() -> Iterable[Patch]:
    """A new member of a group does not wait for the stop of those after it."""
    waits = Rel.THEN_IMPLIES_FIRST | Rel.UNRUNNABLE_FIRST_BLOCKS

    def tasks(job: Job, first: tuple[Resource, str], then: tuple[Resource, str], flags: int) -> None:
        parent = first[0].parent
        is_wait = flags == waits and (first[1], then[1]) == ("stop", "start")
        if not (is_wait and parent is not None and parent is then[0].parent and parent.kind is Kind.GROUP):
            _tasks(job, first, then, flags)

    return (patch.object(ordering, "tasks", tasks),)


def _own_score_with_or() -> Iterable[Patch]:
    """A rule that joins by `or` has the node's own score besides: -INFINITY, if it is lost or shuts down."""

    def score(rule: Element, context: RuleContext, node: Node, rsc: Resource) -> int | None:
        value = _rule_score(rule, context, node, rsc)
        return (
            value if value is None or rule.get("boolean-op") != "or" else add_scores(value, node.base_score)
        )

    return (patch.object(location, "_rule_score", score),)


def _let_into_bundle() -> Iterable[Patch]:
    """A rule that holds for a bundle's node lets in what is not the bundle's own."""

    def row(wish: Candidate) -> Candidate:
        return Candidate(wish.node, wish.score, discovery=wish.node.default_discovery)

    return (patch.object(location, "_new_row", row),)


def _unseen_have_no_name() -> Iterable[Patch]:
    """Guests and remote nodes whose state was not read have no name: colocations take them for one node.

    A bundle's address may so be on another of them than its container, whose node is not preferred.
    """

    def read(job: Job, remembered: Remembered) -> None:
        _read_status(job, remembered)
        status = job.cib.first("status")
        told = {state.get("uname") for state in (() if status is None else status.all("node_state"))}
        for node in job.nodes:
            if node.is_remote and (node.name not in told or not (job.options.fencing_enabled or node.online)):
                node.attributes.pop("#uname", None)

    def assign_replica(job: Job, replica: Replica, *, final: bool) -> None:
        if replica.ip is not None:
            replica.ip.variant.assign(job, replica.ip, None, final=final)
        _assign_replica(job, replica, final=final)

    return (
        patch.object(history, "read_status", read),
        patch.object(bundle, "_assign_replica", assign_replica),
        patch.object(together, "_BY_NODE", ""),  # there is a quicker way that takes names for granted
    )


def _no_maintenance_by_node() -> Iterable[Patch]:
    """What is active on a node in maintenance is unmanaged, but not in maintenance."""

    def add(job: Job, rsc: Resource, node: Node, *, is_failed: bool) -> None:
        before = rsc.maintenance
        _running_add(job, rsc, node, is_failed=is_failed)
        rsc.maintenance = before

    return (patch.object(running, "add", add),)


def _failed_stop_forbids_for_good() -> Iterable[Patch]:
    """A stop that failed forbids the node, also when it was started there since."""

    def succeed(reading: Reading, entry: Entry, rc: int) -> None:
        before = reading.has_failed_stop
        _succeed(reading, entry, rc)
        reading.has_failed_stop = reading.has_failed_stop or before

    return (patch.object(results, "_succeed", succeed),)


def _with_itself() -> Iterable[Patch]:
    """A resource that is colocated with itself (through its template) weighs its own wishes again."""

    def add(job: Job, new: Colocation) -> None:
        if new.dependent is not new.primary:
            _colocation_add(job, new)
        elif new.score:
            new.dependent.dependents = None
            new.dependent.this_with.append(new)
            new.primary.with_this.append(new)

    return (patch.object(colocation, "add", add),)


WAYS: Final[dict[str, Callable[[], Iterable[Patch]]]] = {
    "a new member waits for the stop of a later one": _new_member_first,
    "wishes along a chain of colocations": _chain,
    "wishes of a group's dependents": _group_besides,
    "a rule with or, and a node that is lost": _own_score_with_or,
    "monitors of what is active on a node in maintenance": _no_maintenance_by_node,
    "a guest's inside and its machine": _after_machine,
    "guests that were never seen are told apart": _unseen_have_no_name,
    "dependents of a group that cannot start": _no_block_by_group,
    "room for a dependent that must be apart": _no_room,
    "a wish and a demand of one dependent": _in_order,
    "colocations of a group's members count for the group": _group_alone,
    "instances that would rather be elsewhere": _tried_once,
    "instances that wait for a probe": _no_wait_for_probe,
    "nodes of which none has the most room": _rivals_by_hash,
    "a rule that holds for the nodes of a bundle": _let_into_bundle,
    "a resource that must be with itself": _with_itself,
    "a node where a stop failed, and that was started on since": _failed_stop_forbids_for_good,
}
"""By the difference's name, the most frequent first."""


@contextmanager
def ways(names: Sequence[str]) -> Iterator[None]:
    """Do these things as 2.1.5 does."""
    with ExitStack() as stack:
        for name in names:
            for one in WAYS[name]():
                stack.enter_context(one)
        yield
