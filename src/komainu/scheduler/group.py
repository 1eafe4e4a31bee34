"""Say what a group does in each phase: members that are started in order and kept together.

Source: Pacemaker Explained, "Groups".
"""

from dataclasses import dataclass

from komainu.model.role import Role
from komainu.scheduler import actions, colocation, location, ordering, probes, scores
from komainu.scheduler.actions import BEGINNING
from komainu.scheduler.job import Action, Candidate, Colocation, Job, Location, Node, Resource
from komainu.scheduler.options import is_true
from komainu.scheduler.words import INFINITY, Flag, Rel, add_scores


class Group:
    """The variant of groups."""

    def assign(self, job: Job, rsc: Resource, prefer: Node | None, *, final: bool) -> Node | None:
        """Assign the members in order; each follows the one before by its colocation."""
        if not rsc.unassigned:
            return rsc.assigned_to
        if rsc.assigning:
            return None
        rsc.assigning = True
        rsc.role = rsc.children[0].role
        scores.note(job, rsc)
        first: Node | None = None
        for member in rsc.children:
            node = member.variant.assign(job, member, prefer, final=final)
            first = first or node
        rsc.next_role = rsc.children[0].next_role
        rsc.assigning = rsc.unassigned = False
        return first if rsc.colocated_members else None

    def create_actions(self, job: Job, rsc: Resource) -> None:
        """Create the members' actions, and the group's own points of order."""
        for member in rsc.children:
            member.variant.create_actions(job, member)
        tasks = ["start", "running", "stop", "stopped"]
        if is_true(rsc.meta.get("promotable")):
            tasks += ["demote", "demoted", "promote", "promoted"]
        for task in tasks:
            action = actions.make(job, rsc, task, None, optional=True)
            action.set(Flag.PSEUDO | Flag.RUNNABLE)

    def create_probe(self, job: Job, rsc: Resource, node: Node) -> bool:
        """Probe each member."""
        return probes.each(job, rsc.children, node)

    def apply_location(self, rsc: Resource, location_: Location) -> None:
        """Give the whole score to the first member; the others only come to know the nodes."""
        location.apply(rsc, location_)
        known = {key: Candidate(row.node) for key, row in location_.rows.items()}
        rest = Location(location_.id, rsc, known, location_.role, location_.discovery)
        for index, member in enumerate(rsc.children):
            member.variant.apply_location(member, location_ if index == 0 else rest)

    def apply_as_dependent(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Let the first member follow; the others follow it."""
        if dependent.colocated_members:
            first = dependent.children[0]
            before = first.promotion_priority
            first.variant.apply_as_dependent(job, first, primary, colocation_)
            # What the promotion of the first is worth, that of the whole is worth.
            gain = first.promotion_priority - before
            dependent.promotion_priority = add_scores(dependent.promotion_priority, gain)
        elif colocation_.score < INFINITY:
            for member in dependent.children:
                member.variant.apply_as_dependent(job, member, primary, colocation_)

    def apply_as_primary(
        self, job: Job, dependent: Resource, primary: Resource, colocation_: Colocation
    ) -> None:
        """Be all up for a demand (so the last member counts), be begun for a wish (so the first does)."""
        if primary.unassigned:
            return
        if primary.colocated_members:
            member = primary.children[-1 if colocation_.score >= INFINITY else 0]
            member.variant.apply_as_primary(job, dependent, member, colocation_)
        elif colocation_.score < INFINITY:
            for member in primary.children:
                member.variant.apply_as_primary(job, dependent, member, colocation_)

    def representative(self, rsc: Resource, *, sorting: bool) -> Resource:
        """Let the first member speak, or, when resources are sorted, the last."""
        return rsc.children[-1 if sorting else 0]

    def collect_this_with(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """The group's own matter to itself and its first member; the others hang on to that one."""
        if original is rsc or original is rsc.children[0]:
            found.extend(rsc.this_with)
            if rsc.parent is not None:
                rsc.parent.variant.collect_this_with(rsc.parent, original, found)
            if rsc.colocated_members:
                self._collect_explicit(rsc, original, found, with_this=False)
            return
        for member in rsc.children:
            if member is original:
                return
            if not member.managed:
                # The chain of colocations is broken here, so the group's demands hold directly.
                found.extend(c for c in rsc.this_with if c.score >= INFINITY)
                return

    def collect_with_this(self, rsc: Resource, original: Resource, found: list[Colocation]) -> None:
        """Others with the group matter to itself and its last member; the chain tells the rest."""
        if original is not rsc and original is not rsc.children[-1]:
            return
        found.extend(rsc.with_this)
        if rsc.parent is not None:
            rsc.parent.variant.collect_with_this(rsc.parent, original, found)
        if rsc.colocated_members:
            self._collect_explicit(rsc, original, found, with_this=True)

    def _collect_explicit(
        self, rsc: Resource, original: Resource, found: list[Colocation], *, with_this: bool
    ) -> None:
        for member in rsc.children:
            if member is original:
                continue
            if with_this:
                member.variant.collect_with_this(member, original, found)
            else:
                member.variant.collect_this_with(member, original, found)

    def action_flags(self, action: Action, node: Node | None) -> int:
        """A group must if any member must; it has come up only if every member can."""
        flags = Flag.OPTIONAL | Flag.RUNNABLE | Flag.PSEUDO
        assert action.resource is not None, "a group's action has a resource"
        is_completion = action.task in BEGINNING
        answers = 0
        last: Resource | None = None  # a member is asked for its newest action only
        for found in action.parts:
            if found.resource is last or (node is not None and found.node is not node):
                continue
            last = found.resource
            answers += 1
            if not found.is_optional:
                flags &= ~Flag.OPTIONAL
                action.clear(Flag.OPTIONAL)
            if is_completion and not found.is_runnable:
                flags &= ~Flag.RUNNABLE
                action.clear(Flag.RUNNABLE)
        goes_down = BEGINNING.get(action.task, action.task) in {"stop", "demote"}
        if not goes_down and answers < len(action.resource.children):
            flags &= ~Flag.RUNNABLE
        return flags

    def add_internal_constraints(self, job: Job, rsc: Resource) -> None:
        """Order the members between the group's beginning and its completion, one after the other."""
        ordering.tasks(job, (rsc, "stop"), (rsc, "stopped"), Rel.UNRUNNABLE_FIRST_BLOCKS)
        ordering.tasks(job, (rsc, "stopped"), (rsc, "start"), Rel.ORDERED)
        ordering.tasks(job, (rsc, "start"), (rsc, "running"), Rel.UNRUNNABLE_FIRST_BLOCKS)
        chain = _Chain(job, rsc, is_promotable=rsc.top.is_promotable)
        for member in rsc.children:
            chain.add(member)


_UP = Rel.FIRST_IMPLIES_THEN | Rel.UNRUNNABLE_FIRST_BLOCKS


@dataclass(slots=True)
class _Chain:
    """The members so far, to tie the next one to."""

    job: Job
    group: Resource
    is_promotable: bool
    previous: Resource | None = None
    last_active: Resource | None = None

    def add(self, member: Resource) -> None:
        """Tie a member to the group and to the one before it."""
        member.variant.add_internal_constraints(self.job, member)
        self._tie_to_group(member)
        self._tie_to_previous(member)
        if member.active:
            previous, last = self.previous, self.last_active
            follows_gap = previous is not None and not previous.active
            if self.group.ordered_members and follows_gap and last is not None and last.active:
                ordering.stops(self.job, member, last, Rel.ORDERED)
            self.last_active = member
        self.previous = member

    def _tie_to_group(self, member: Resource) -> None:
        job, group = self.job, self.group
        down, after_down = Rel.THEN_IMPLIES_FIRST_GRAPHED, Rel.FIRST_IMPLIES_THEN_GRAPHED
        if self.previous is None:
            if group.ordered_members:
                down, after_down = down | Rel.ORDERED, Rel.FIRST_IMPLIES_THEN
        elif group.colocated_members:
            _keep_together(job, member, self.previous)
        up_done = _UP | Rel.FIRST_IMPLIES_THEN_GRAPHED
        if self.is_promotable:
            ordering.tasks(job, (group, "demote"), (member, "demote"), down)
            ordering.tasks(job, (member, "demote"), (group, "demoted"), after_down)
            ordering.tasks(job, (member, "promote"), (group, "promoted"), up_done)
            ordering.tasks(job, (group, "promote"), (member, "promote"), Rel.THEN_IMPLIES_FIRST_GRAPHED)
        ordering.stops(job, group, member, down)
        ordering.tasks(job, (member, "stop"), (group, "stopped"), after_down)
        ordering.starts(job, group, member, Rel.THEN_IMPLIES_FIRST_GRAPHED)
        ordering.tasks(job, (member, "start"), (group, "running"), up_done)

    def _tie_to_previous(self, member: Resource) -> None:
        job, group, previous = self.job, self.group, self.previous
        if not group.ordered_members:
            flags = _UP | Rel.THEN_IMPLIES_FIRST_GRAPHED
            ordering.starts(job, group, member, flags)
            if self.is_promotable:
                ordering.tasks(job, (group, "promote"), (member, "promote"), flags)
            return
        if previous is None:
            return
        ordering.starts(job, previous, member, _UP)
        ordering.stops(job, member, previous, Rel.ORDERED | Rel.INTERMEDIATE_STOP)
        if member.active and not previous.active:
            # A new member before running ones: these have to go down before it comes up.
            flags = Rel.THEN_IMPLIES_FIRST | Rel.UNRUNNABLE_FIRST_BLOCKS
            ordering.tasks(job, (member, "stop"), (previous, "start"), flags)
        if self.is_promotable:
            ordering.tasks(job, (previous, "promote"), (member, "promote"), _UP)
            ordering.tasks(job, (member, "demote"), (previous, "demote"), Rel.ORDERED | Rel.INTERMEDIATE_STOP)


def _keep_together(job: Job, member: Resource, previous: Resource) -> None:
    colocation.add(
        job,
        Colocation(
            "#group-members",
            member,
            previous,
            INFINITY,
            Role.UNKNOWN,
            Role.UNKNOWN,
            "#uname",
            influence=member.critical,
            is_explicit=False,
        ),
    )
