"""Read ordering constraints: which action waits for which.

They are kept as they are until the actions exist; relations.py binds them.
Source: Pacemaker Explained, "Ordering Constraints", "Resource Sets", "clone-min".
"""

from collections.abc import Sequence
from enum import Enum
from itertools import pairwise, takewhile
from typing import Final, Protocol

from komainu.cib.element import Element
from komainu.model import score
from komainu.scheduler import actions
from komainu.scheduler.actions import key_of, key_of_task
from komainu.scheduler.job import Action, Job, Ordering, Resource
from komainu.scheduler.options import parse_bool
from komainu.scheduler.words import Flag, Kind, Rel

INVERSE: Final = {"start": "stop", "stop": "start", "promote": "demote", "demote": "promote"}
_BLOCKING: Final = frozenset({"start", "promote", "migrate_from"})

Side = tuple[Resource, str] | Action
"""One side of an ordering: a resource with an operation key, or an action that exists."""


class SetLike(Protocol):
    """A resource set: its element and its members."""

    @property
    def xml(self) -> Element:
        """The element that describes the set."""

    @property
    def members(self) -> tuple[Resource, ...]:
        """Its members in order, up to a name that means nothing."""

    @property
    def is_whole(self) -> bool:
        """Whether all of its names mean something."""


class OrderKind(Enum):
    """How strict a constraint is."""

    OPTIONAL = "optional"
    MANDATORY = "mandatory"
    SERIALIZE = "serialize"


class Symmetry(Enum):
    """Whether the way down is the way up in reverse; INVERTED is that reverse."""

    SYMMETRIC = "symmetric"
    ASYMMETRIC = "asymmetric"
    INVERTED = "inverted"


def between(job: Job, first: Side, then: Side, flags: int) -> None:
    """Keep an ordering between two sides."""
    first_action, first_resource, first_key = _parts(first)
    then_action, then_resource, then_key = _parts(then)
    if first_action is not None and first_action is then_action:
        return
    _keep(job, Ordering(first_action, first_resource, first_key, then_action, then_resource, then_key, flags))


def _keep(job: Job, order: Ordering) -> None:
    job.orderings.append(order)
    if order.then_resource is not None and order.then_resource.migratable:
        _add_for_migration(job, order)


def _add_for_migration(job: Job, order: Ordering) -> None:
    """Let an ordering of starts and stops hold for a migration, too, which stands in their place."""
    first, then = order.first_resource, order.then_resource
    if first is None or then is None or first is then:
        return
    if first in _ancestors(then) or then in _ancestors(first):
        return
    steps = (_step_of(order.first_key), _step_of(order.then_key))
    unless_both = Rel.IF_FIRST_UNMIGRATABLE if first.migratable else 0
    if steps == ("start", "start"):
        if first.migratable:
            tasks(job, (first, "migrate_from"), (then, "migrate_to"), Rel.ORDERED)
        tasks(job, (first, "start"), (then, "migrate_to"), Rel.ORDERED | unless_both)
    elif steps == ("promote", "start"):
        tasks(job, (first, "promote"), (then, "migrate_to"), Rel.ORDERED)
    elif steps in {("stop", "stop"), ("demote", "stop")}:
        flags = Rel.ORDERED | (unless_both if steps[0] == "stop" else 0)
        tasks(job, (first, steps[0]), (then, "migrate_to"), flags)
        if then.partial_target is not None:
            tasks(job, (first, steps[0]), (then, "migrate_from"), flags)


def _ancestors(rsc: Resource) -> list[Resource]:
    found, here = [], rsc.parent
    while here is not None:
        found.append(here)
        here = here.parent
    return found


def _step_of(key: str) -> str:
    """Return the task of a single operation's key."""
    return next((task for task in INVERSE if key.endswith(f"_{task}_0")), "")


def _parts(side: Side) -> tuple[Action | None, Resource | None, str]:
    if isinstance(side, Action):
        return side, side.resource, side.key
    return None, side[0], side[1]


Task = tuple[Resource, str]
"""A single operation of a resource, by its name."""


def tasks(job: Job, first: Task, then: Task, flags: int) -> None:
    """Order one task of a resource before another task."""
    first_key, then_key = key_of_task(*first), key_of_task(*then)
    _keep(job, Ordering(None, first[0], first_key, None, then[0], then_key, flags))


def starts(job: Job, first: Resource, then: Resource, flags: int) -> None:
    """Order two starts."""
    tasks(job, (first, "start"), (then, "start"), flags)


def stops(job: Job, first: Resource, then: Resource, flags: int) -> None:
    """Order two stops."""
    tasks(job, (first, "stop"), (then, "stop"), flags)


def _kind_of(element: Element, default: OrderKind | None = None) -> OrderKind:
    word = element.get("kind")
    if word is None:
        if default is not None:
            return default
        value = element.get("score")
        return OrderKind.OPTIONAL if value is not None and score.parse(value) == 0 else OrderKind.MANDATORY
    return next((kind for kind in OrderKind if kind.value == word.lower()), OrderKind.MANDATORY)


def _symmetry_of(element: Element, kind: OrderKind, inherited: str | None = None) -> Symmetry:
    text = element.get("symmetrical") or inherited
    if kind is OrderKind.SERIALIZE:
        return Symmetry.ASYMMETRIC
    return Symmetry.SYMMETRIC if parse_bool(text, default=True) else Symmetry.ASYMMETRIC


def flags_for(kind: OrderKind, task: str, symmetry: Symmetry) -> int:
    """Say what a constraint of this kind demands."""
    if kind is OrderKind.OPTIONAL:
        return Rel.ORDERED
    if kind is OrderKind.SERIALIZE:
        return Rel.SERIALIZE
    match symmetry:
        case Symmetry.ASYMMETRIC:
            return Rel.ORDERED | Rel.ASYMMETRIC
        case Symmetry.SYMMETRIC:
            blocks = Rel.UNRUNNABLE_FIRST_BLOCKS if task in _BLOCKING else 0
            return Rel.ORDERED | Rel.FIRST_IMPLIES_THEN | blocks
        case Symmetry.INVERTED:
            return Rel.ORDERED | Rel.THEN_IMPLIES_FIRST


def read_pair(job: Job, element: Element, first: Resource, then: Resource) -> None:
    """Read a constraint between two resources."""
    kind = _kind_of(element)
    symmetry = _symmetry_of(element, kind)
    first_task = element.get("first-action") or "start"
    then_task = element.get("then-action") or first_task
    flags = flags_for(kind, first_task, symmetry)
    needed = _instances_needed(element, first)
    if needed > 0:
        _after_enough(job, element.id, needed, (first, first_task), (then, then_task, flags))
    else:
        tasks(job, (first, first_task), (then, then_task), flags)
    if symmetry is Symmetry.ASYMMETRIC:
        return
    down_first, down_then = INVERSE.get(first_task), INVERSE.get(then_task)
    if down_first is not None and down_then is not None:
        tasks(job, (then, down_then), (first, down_first), flags_for(kind, down_first, Symmetry.INVERTED))


def _instances_needed(element: Element, first: Resource) -> int:
    """Return how many instances of a clone must be up before what follows; 0 means all."""
    if first.kind is not Kind.CLONE or first.clone is None:
        return 0
    if first.clone.minimum > 0:
        return first.clone.minimum
    return 0 if parse_bool(element.get("require-all"), default=True) else 1


def _pseudo(job: Job, name: str, needed: int) -> Action:
    action = actions.make(job, None, name, None, optional=True, key=name)
    action.set(Flag.PSEUDO | Flag.RUNNABLE)
    action.required_runnable_before = needed
    return action


def _after_enough(
    job: Job, name: str, needed: int, first: tuple[Resource, str], then: tuple[Resource, str, int]
) -> None:
    """Let what follows wait for a number of instances."""
    enough = _pseudo(job, f"clone-one-or-more:{name}", needed)
    for instance in first[0].children:
        key = key_of(instance.id, first[1])
        between(job, (instance, key), enough, Rel.MIN_RUNNABLE | Rel.FIRST_IMPLIES_THEN_GRAPHED)
    follower = (then[0], key_of(then[0].id, then[1]))
    between(job, enough, follower, then[2] | Rel.UNRUNNABLE_FIRST_BLOCKS)


# -- sets -----------------------------------------------------------------------------------------------


def read_sets(job: Job, element: Element, sets: Sequence[SetLike]) -> None:
    """Read a constraint of resource sets, each before the next, up to one with a name that means nothing."""
    kind = _kind_of(element)
    symmetry = _symmetry_of(element, kind)
    before: SetLike | None = None
    for resource_set in takewhile(lambda one: one.is_whole, sets):
        _within(job, element, resource_set, kind)
        if before is not None:
            _sets(job, before, resource_set, kind, symmetry)
            if symmetry is Symmetry.SYMMETRIC:
                _sets(job, resource_set, before, kind, Symmetry.INVERTED)
        before = resource_set


def _within(job: Job, element: Element, resource_set: SetLike, parent_kind: OrderKind) -> None:
    xml, members = resource_set.xml, resource_set.members
    kind = _kind_of(xml, parent_kind)
    symmetry = _symmetry_of(xml, kind, element.get("symmetrical"))
    task = xml.get("action") or "start"
    flags = flags_for(kind, task, symmetry)
    if kind is OrderKind.SERIALIZE:
        for index, first in enumerate(members):
            for then in members[index + 1 :]:
                tasks(job, (first, task), (then, task), flags)
        return
    if not parse_bool(xml.get("sequential"), default=True):
        return
    for first, then in pairwise(members):
        tasks(job, (first, task), (then, task), flags)
    down = INVERSE.get(task)
    if symmetry is Symmetry.ASYMMETRIC or down is None:
        return
    flags = flags_for(kind, down, Symmetry.INVERTED)
    for first, then in pairwise(members):
        tasks(job, (then, down), (first, down), flags)


def _sets(job: Job, left: SetLike, right: SetLike, kind: OrderKind, symmetry: Symmetry) -> None:
    """Order one set before another. Only an explicit sequential="true" lets its end stand for a whole set."""
    first_task, then_task = left.xml.get("action") or "start", right.xml.get("action") or "start"
    inverted = symmetry is Symmetry.INVERTED
    if inverted:
        first_task, then_task = INVERSE.get(first_task, ""), INVERSE.get(then_task, "")
        if not first_task or not then_task:
            return
    # Unlike in a pair it is the second action that tells whether what cannot be done holds up the rest.
    flags = flags_for(kind, then_task, symmetry)
    needs_all = parse_bool(left.xml.get("require-all"), default=True)
    if not needs_all and first_task not in {"stop", "demote"}:
        enough = _pseudo(job, f"one-or-more:{left.xml.id}", 1)
        for first in left.members:
            key = key_of(first.id, first_task)
            between(job, (first, key), enough, Rel.MIN_RUNNABLE | Rel.FIRST_IMPLIES_THEN_GRAPHED)
        for then in right.members:
            key = key_of(then.id, then_task)
            between(job, enough, (then, key), flags | Rel.UNRUNNABLE_FIRST_BLOCKS)
        return
    firsts, thens = left.members, right.members
    if parse_bool(left.xml.get("sequential"), default=False):
        firsts = firsts[:1] if inverted else firsts[-1:]
    if parse_bool(right.xml.get("sequential"), default=False):
        thens = thens[-1:] if inverted else thens[:1]
    for first in firsts:
        for then in thens:
            tasks(job, (first, first_task), (then, then_task), flags)
