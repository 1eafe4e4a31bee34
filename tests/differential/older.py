"""Make the scheduler do what 2.1.5 does, in one respect at a time (docs/compat-scheduler.md has a row for each).

A disagreement that goes away when one of these ways is taken is explained by it, whatever it looks like; one that stays
is not, though the same CIB may have all that the way is about. What each does was measured with 2.1.5.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final
from unittest.mock import patch

from komainu.cib.element import Element
from komainu.scheduler import (
    assign,
    colocation,
    fixpoint,
    history,
    location,
    ordering,
    results,
    running,
    together,
)
from komainu.scheduler.entry import Entry
from komainu.scheduler.fixpoint import Step
from komainu.scheduler.group import Group
from komainu.scheduler.job import Action, Candidate, Colocation, Job, Node, Resource
from komainu.scheduler.remembered import Remembered
from komainu.scheduler.results import Reading
from komainu.scheduler.rules import RuleContext
from komainu.scheduler.together import Scores, _Walk
from komainu.scheduler.words import INFINITY, Kind, Rel, add_scores

Patch = AbstractContextManager[object]
_walk_add: Final = _Walk._add
_rule_score: Final = location._rule_score
_read_status: Final = history.read_status
_running_add: Final = running.add
_tasks: Final = ordering.tasks
_succeed: Final = results._succeed
_block_dependents: Final = fixpoint._block_dependents
_colocation_add: Final = colocation.add


def _chain() -> Iterable[Patch]:
    """Each wish along a chain counts with its own score: of what comes before it only the sign matters."""

    def add(walk: _Walk, source: Resource, scores: Scores, wish: Colocation, factor: float) -> Scores:
        return _walk_add(walk, source, scores, wish, math.copysign(wish.score / INFINITY, factor))

    return (patch.object(_Walk, "_add", add),)


def _no_room() -> Iterable[Patch]:
    """A primary makes no room for a dependent that must be apart, or would rather be, and has one node only."""
    return (patch.object(_Walk, "_outweighs", lambda *_: False),)


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

    Those with the group count for the group alone, and for its first member while that is placed.
    """

    def with_this(_: Group, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        if original is rsc or (original is rsc.children[0] and not original.is_visited):
            found.extend(rsc.with_this)

    return (
        patch.object(Group, "collect_with_this", with_this),
        patch.object(Group, "_collect_explicit", lambda *_, **__: None),
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
    """Guests and remote nodes whose state was not read have no name: colocations take them for one node."""

    def read(job: Job, remembered: Remembered) -> None:
        _read_status(job, remembered)
        status = job.cib.first("status")
        told = {state.get("uname") for state in (() if status is None else status.all("node_state"))}
        for node in job.nodes:
            if node.is_remote and (node.name not in told or not (job.options.fencing_enabled or node.online)):
                node.attributes.pop("#uname", None)

    return (
        patch.object(history, "read_status", read),
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
    "a rule with or, and a node that is lost": _own_score_with_or,
    "monitors of what is active on a node in maintenance": _no_maintenance_by_node,
    "guests that were never seen are told apart": _unseen_have_no_name,
    "dependents of a group that cannot start": _no_block_by_group,
    "room for a dependent that must be apart": _no_room,
    "a wish and a demand of one dependent": _in_order,
    "colocations of a group's members count for the group": _group_alone,
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
