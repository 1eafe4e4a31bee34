"""Read colocation constraints: which resource wants to be with (or away from) which other.

What they are worth to nodes is computed in together.py.
Source: Pacemaker Explained, "Colocation Constraints", "Resource Sets".
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from komainu.cib.element import Element
from komainu.model import score
from komainu.model.role import Role
from komainu.model.role import parse as parse_role
from komainu.scheduler import ordering
from komainu.scheduler.actions import key_of
from komainu.scheduler.job import Colocation, Job, Resource
from komainu.scheduler.options import parse_bool
from komainu.scheduler.words import INFINITY, Kind, Rel

_RANK = {Kind.PRIMITIVE: 0, Kind.GROUP: 1, Kind.CLONE: 2, Kind.BUNDLE: 3}


class SetLike(Protocol):
    """A resource set: its element and its members."""

    @property
    def xml(self) -> Element:
        """The element that describes the set."""

    @property
    def members(self) -> tuple[Resource, ...]:
        """Its members in order, up to a name that means nothing."""

    @property
    def last(self) -> Resource | None:
        """Its last member, also after such a name."""

    @property
    def is_whole(self) -> bool:
        """Whether all of its names mean something."""


def read_pair(job: Job, element: Element, dependent: Resource, primary: Resource) -> None:
    """Read a constraint between two resources."""
    roles = (_role(element.get("rsc-role")), _role(element.get("with-rsc-role")))
    value = int(score.parse(element.get("score")))
    make(job, element, value, (dependent, primary), roles)


def _role(word: str | None) -> Role:
    role = parse_role(word)
    return Role.UNKNOWN if role is None or role is Role.STARTED else role


def make(
    job: Job, element: Element, value: int, pair: tuple[Resource, Resource], roles: tuple[Role, Role]
) -> None:
    """Make a colocation from a constraint's element."""
    influence = parse_bool(element.get("influence"), default=pair[0].critical)
    add(
        job,
        Colocation(
            element.id,
            pair[0],
            pair[1],
            value,
            roles[0],
            roles[1],
            element.get("node-attribute") or "#uname",
            influence,
        ),
    )


def add(job: Job, new: Colocation) -> None:
    """Keep a colocation on both of its sides; two that must be apart also wait for each other to go."""
    if new.score == 0 or new.dependent is new.primary:
        return
    for part in new.primary.top_with_bundle.walk():
        part.dependents = None
    new.dependent.this_with.append(new)
    new.primary.with_this.append(new)
    job.colocations.append(new)
    if new.score <= -INFINITY:
        _order_apart(job, new.dependent, new.dependent_role, new.primary, new.primary_role)
        _order_apart(job, new.primary, new.primary_role, new.dependent, new.dependent_role)


def _order_apart(job: Job, first: Resource, first_role: Role, then: Resource, then_role: Role) -> None:
    leaving = ["demote"] if first_role is Role.PROMOTED else ["stop"]
    if first_role is Role.UNPROMOTED:
        leaving.append("promote")
    coming = ["promote"] if then_role is Role.PROMOTED else ["start"]
    if then_role is Role.UNPROMOTED:
        coming.append("demote")
    for out in leaving:
        for into in coming:
            ordering.between(
                job,
                (first, key_of(first.id, out)),
                (then, key_of(then.id, into)),
                Rel.IF_REQUIRED_ON_SAME_NODE,
            )


def _strength(rsc: Resource) -> tuple[int, int, int, str]:
    return (-rsc.priority, -_RANK[rsc.kind], -int(rsc.is_promotable), rsc.id)


def sort_this_with(found: list[Colocation]) -> list[Colocation]:
    """Put a resource's own colocations in the order in which they are weighed: by the primary."""
    return sorted(found, key=lambda c: _strength(c.primary)) if len(found) > 1 else found


def sort_with_this(found: list[Colocation]) -> list[Colocation]:
    """Put others' colocations with a resource in the order in which they are weighed: by the dependent."""
    return sorted(found, key=lambda c: _strength(c.dependent)) if len(found) > 1 else found


# -- sets -----------------------------------------------------------------------------------------------


def read_sets(job: Job, element: Element, sets: Sequence[SetLike]) -> None:
    """Read a constraint of resource sets; each set depends on the one after it.

    Sets are compared by the names of nodes: another attribute can be given for a pair of resources only.
    """
    element = element.with_attribute("node-attribute", None)
    value = int(score.parse(element.get("score")))
    before: SetLike | None = None
    for resource_set in sets:
        _within(job, element, resource_set, value)
        if before is not None:
            _between(job, element, before, resource_set)
        before = resource_set


def _is_sequential(resource_set: SetLike) -> bool:
    return parse_bool(resource_set.xml.get("sequential"), default=True)


def _within(job: Job, element: Element, resource_set: SetLike, default: int) -> None:
    value = int(score.parse(resource_set.xml.get("score"), score.Score(default)))
    if value == 0 or not _is_sequential(resource_set):
        return
    roles = (_role(resource_set.xml.get("role")),) * 2
    members = resource_set.members
    if value > 0:
        backwards = (resource_set.xml.get("ordering") or "group").lower() != "group"
        for earlier, later in pairwise(members):
            pair = (earlier, later) if backwards else (later, earlier)
            make(job, element, value, pair, roles)
        return
    for member in members:  # of one that is named twice, the first mention counts
        for earlier in members[: members.index(member)]:
            make(job, element, value, (member, earlier), roles)


def _between(job: Job, element: Element, left: SetLike, right: SetLike) -> None:
    value = int(score.parse(element.get("score")))
    roles = (_role(left.xml.get("role")), _role(right.xml.get("role")))
    dependents = left.members[:1] if _is_sequential(left) else left.members
    primaries = right.members
    if _is_sequential(right):
        primaries = () if right.last is None else (right.last,)
    elif not right.is_whole:
        dependents = dependents[:1]  # a name that means nothing ends the reading, not only the set
    for dependent in dependents:
        for primary in primaries:
            make(job, element, value, (dependent, primary), roles)
