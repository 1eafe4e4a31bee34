"""Settle what is demanded and what can run: carry each action's flags along its relations until nothing changes.

Each kind of relation has its rule, a function named after it; `_RULES` is the table. Collectives pass the rules on
to their members. The first relation that takes a flag away gives the reason.
Source: Pacemaker Explained, "Ordering Constraints"; the finer rules are those of its regression suite.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from komainu.model.role import Role
from komainu.scheduler import actions, instances, probes, together, tree
from komainu.scheduler.actions import COMPLETION, find_first
from komainu.scheduler.job import Action, Job, Node, Relation, Resource
from komainu.scheduler.words import INFINITY, Flag, Kind, Rel

_FIRST_CHANGED: Final = 1
_THEN_CHANGED: Final = 2

Step = Generator[Action, None, None]
"""A settling under way: gives the actions that have to be settled before it goes on."""


STEPS_MAX: Final = 50_000_000
"""More settlings than any real plan needs; a circle of relations must not hang the daemon."""


@dataclass(slots=True)
class _Push:
    """One relation at work, and the flags of the first action as they are seen."""

    first: Action
    then: Action
    node: Node | None
    first_flags: int
    rel: int


def settle(job: Job) -> None:
    """Settle all actions, the newest first: it is that order in which reasons are found."""
    instances.gather(job)
    for action in reversed(list(job.actions)):
        if not action.is_runnable:
            _run(job, _block_dependents(job, action))
    probes.order_with_others(job)
    for action in reversed(list(job.actions)):
        if action.required_runnable_before or _has_news(action):
            _run(job, _settle(job, action))


def _has_news(then: Action) -> bool:
    """Tell whether some input may change an action, or be changed by it: most of all actions are at rest."""
    if not _may_rest(then):
        return bool(then.before)
    for relation in then.before:
        if relation.flags & (_NEVER_AT_REST | Rel.IF_ON_SAME_NODE) or not _may_rest(relation.action):
            return True
    return False


def _may_rest(action: Action) -> bool:
    """Tell whether it is a single action that nobody demands and nothing prevents."""
    rsc = action.resource
    return action.flags & _AT_REST == _AT_REST and rsc is not None and rsc.kind is Kind.PRIMITIVE


def _run(job: Job, step: Step) -> None:
    """Carry a settling out, depth first, without the depth of the interpreter's stack."""
    stack = [step]
    for _ in range(STEPS_MAX):
        try:
            action = next(stack[-1])
        except StopIteration:
            stack.pop()
            if not stack:
                return
            continue
        stack.append(_settle(job, action))
    raise AssertionError("relations between actions never come to rest")


def _settle(job: Job, then: Action) -> Step:
    """Look at each input of an action; whatever changed is settled in turn."""
    before = then.flags
    changed = 0
    wants_some = then.required_runnable_before > 0
    if wants_some:
        then.runnable_before = 0
        then.clear(Flag.RUNNABLE)
    for relation in reversed(list(then.before)):
        first = _seen_from(relation, then)
        now = _weigh(job, relation, first, then)
        changed |= now & _THEN_CHANGED
        if now & _FIRST_CHANGED:
            for follower in reversed(list(first.after)):
                yield follower.action
            yield first
    if wants_some:
        changed = changed & ~_THEN_CHANGED if before == then.flags else changed | _THEN_CHANGED
    if changed & _THEN_CHANGED:
        if before & Flag.RUNNABLE and not then.is_runnable:
            yield from _block_dependents(job, then)
        yield then
        for follower in reversed(list(then.after)):
            yield follower.action


def _seen_from(relation: Relation, then: Action) -> Action:
    """Return what is waited for: of a collective that the then action is no part of, its completion."""
    first = relation.action
    mine, theirs = then.resource, first.resource
    if theirs is None or mine is None or theirs.kind is Kind.PRIMITIVE or theirs is mine:
        return first
    return first if tree.is_below(mine, theirs) else _completion(first)


def _weigh(job: Job, relation: Relation, first: Action, then: Action) -> int:
    """Apply one input, as it is seen; return what changed."""
    given, flags = relation.action, relation.flags
    if flags & Rel.IF_ON_SAME_NODE and _are_apart(given, then):
        relation.flags = 0
        return 0
    changed = 0
    if flags & Rel.THEN_CANCELS_FIRST and given.resource is not None and not then.is_optional:
        if not given.is_optional:
            given.set(Flag.OPTIONAL)
            changed |= _FIRST_CHANGED
        if given.task == "reload-agent":
            given.resource.reload_needed = False
    if first is given:
        return changed if _is_at_rest(flags, first, then) else changed | _apply(job, relation, first, then)
    relation.flags = 0
    return changed | _THEN_CHANGED if actions.relate(first, then, flags) else changed


def _is_at_rest(rel: int, first: Action, then: Action) -> bool:
    """Two single actions that nobody demands and nothing prevents have nothing to tell each other."""
    return not rel & _NEVER_AT_REST and _may_rest(first) and _may_rest(then)


_AT_REST: Final = Flag.OPTIONAL | Flag.RUNNABLE
_NEVER_AT_REST: Final = Rel.MIN_RUNNABLE | Rel.UNMIGRATABLE_THEN_BLOCKS
"""What counts what can run, and what asks for more than these two flags."""


def _are_apart(first: Action, then: Action) -> bool:
    left, right = _place_of(first), _place_of(then)
    return left is not None and right is not None and left is not right


def _place_of(action: Action) -> Node | None:
    """Return where an action is; a group's start has no node of its own but the group has."""
    rsc = action.resource
    if rsc is not None and rsc.kind is Kind.GROUP and action.task == "start":
        return tree.target(rsc)
    return action.node


def _completion(action: Action) -> Action:
    """Return what stands for a collective's action towards others: the point at which it is done."""
    rsc = action.resource
    if rsc is None or action.interval_ms or "notify" in action.key:
        return action
    done = COMPLETION.get(action.task, action.task if action.task in COMPLETION.values() else None)
    if done is None:
        return action
    key = actions.key_of(rsc.id, done)
    if rsc.notify and (rsc.kind in {Kind.CLONE, Kind.BUNDLE} or rsc.bundle_owner is not None):
        key = f"{rsc.id}_confirmed-post_notify_{done}_0"
    return next(iter(actions.find_all(rsc, key, None)), action)


def _flags_seen_by(other: Action, action: Action) -> int:
    """Return an action's flags as another sees them; a clone's is runnable if it is so anywhere."""
    rsc = action.resource
    if rsc is None or rsc.kind is Kind.PRIMITIVE:
        return action.flags
    node = _place_of(other)
    flags = rsc.variant.action_flags(action, None)
    if node is None or rsc.kind is not Kind.CLONE:
        return flags
    there = rsc.variant.action_flags(action, node)
    return there | (flags & Flag.RUNNABLE)


# -- one relation ---------------------------------------------------------------------------------------


def _apply(job: Job, relation: Relation, first: Action, then: Action) -> int:
    first_flags = _flags_seen_by(then, first)
    then_flags = _flags_seen_by(first, then)
    changed = 0
    node = then.node
    rel = relation.flags
    if rel & Rel.FIRST_IMPLIES_SAME_NODE_THEN:
        rel = rel & ~Rel.FIRST_IMPLIES_SAME_NODE_THEN | Rel.FIRST_IMPLIES_THEN
        node = first.node
    pushed = _pushed(rel) if instances.has_instances(then.resource) else _told(rel, first_flags & _AT_REST)
    for kind, mask in pushed:
        changed |= _push_kind(job, relation, _Push(first, then, node, first_flags & mask, kind))
    if (
        first.is_runnable  # itself: a group that may not begin may look as if it could, member by member
        and rel & Rel.FIRST_IMPLIES_THEN_GRAPHED
        and not first_flags & Flag.OPTIONAL
    ):
        then.is_forced_into_graph = True
    if rel & Rel.THEN_IMPLIES_FIRST_GRAPHED and not then_flags & Flag.OPTIONAL:
        first.is_forced_into_graph = True
    if rel & (Rel.FIRST_IMPLIES_THEN | Rel.THEN_IMPLIES_FIRST | Rel.INTERMEDIATE_STOP):
        changed |= _blocked_stop(first, then)
    return changed


_ALL: Final = ~0
_PUSHED: Final = (
    (Rel.FIRST_IMPLIES_THEN, Flag.OPTIONAL),
    (Rel.INTERMEDIATE_STOP, _ALL),
    (Rel.THEN_IMPLIES_FIRST, _ALL),
    (Rel.PROMOTED_THEN_IMPLIES_FIRST, Flag.OPTIONAL),
    (Rel.MIN_RUNNABLE, _ALL),
    (Rel.NESTED_REMOTE_PROBE, _ALL),
    (Rel.UNRUNNABLE_FIRST_BLOCKS, _ALL),
    (Rel.UNMIGRATABLE_THEN_BLOCKS, _ALL),
    (Rel.FIRST_ELSE_THEN, _ALL),
    (Rel.ORDERED, _ALL),
    (Rel.ASYMMETRIC, _ALL),
)
"""The kinds that act on flags, in order, and which flags of the first are seen."""


@lru_cache(maxsize=512)
def _pushed(rel: int) -> tuple[tuple[int, int], ...]:
    """Return the kinds that are in a relation; there are few combinations, and they are asked for all day."""
    return tuple((kind, mask) for kind, mask in _PUSHED if rel & kind)


@lru_cache(maxsize=2048)
def _told(rel: int, first_flags: int) -> tuple[tuple[int, int], ...]:
    """Return those of them that tell a single action anything."""
    return tuple((kind, mask) for kind, mask in _pushed(rel) if not _is_silent(kind, first_flags))


def _is_silent(kind: int, first_flags: int) -> bool:
    """Tell whether a kind has no say about two actions as long as the first has these flags."""
    if kind == Rel.FIRST_IMPLIES_THEN:
        return bool(first_flags & Flag.OPTIONAL)
    if kind == Rel.UNRUNNABLE_FIRST_BLOCKS:
        return bool(first_flags & Flag.RUNNABLE)
    return kind == Rel.ORDERED


def _push_kind(job: Job, relation: Relation, push: _Push) -> int:
    """Hand one kind over to the resource that it changes; actions of the cluster itself are changed here."""
    first, then, kind = push.first, push.then, push.rel
    if kind == Rel.NESTED_REMOTE_PROBE:
        if then.resource is None:
            return 0
        if not push.first_flags & Flag.RUNNABLE and first.resource is not None and first.resource.active:
            relation.flags = 0
            return 0
        push.rel = kind = Rel.UNRUNNABLE_FIRST_BLOCKS
    target = first if kind == Rel.THEN_IMPLIES_FIRST else then
    if target.resource is not None:
        return _deliver(job, target.resource, push)
    before = first.flags, then.flags
    if kind == Rel.FIRST_IMPLIES_THEN and not push.first_flags & Flag.OPTIONAL:
        then.clear(Flag.OPTIONAL)
    elif kind == Rel.THEN_IMPLIES_FIRST and not push.first_flags & Flag.OPTIONAL:
        first.clear(Flag.RUNNABLE)
    elif kind == Rel.MIN_RUNNABLE and push.first_flags & Flag.RUNNABLE:
        then.runnable_before += 1
        if then.runnable_before >= then.required_runnable_before:
            then.set(Flag.RUNNABLE)
    elif kind == Rel.UNRUNNABLE_FIRST_BLOCKS and not push.first_flags & Flag.RUNNABLE:
        then.clear(Flag.RUNNABLE)
    return _difference(push, before)


def _difference(push: _Push, before: tuple[int, int]) -> int:
    changed = _FIRST_CHANGED if push.first.flags != before[0] else 0
    return changed | (_THEN_CHANGED if push.then.flags != before[1] else 0)


def _blocked_stop(first: Action, then: Action) -> int:
    """What waits for a stop that a blocked resource will never do cannot run."""
    rsc = first.resource
    if rsc is None or rsc.managed or not rsc.blocked or first.is_runnable or first.task != "stop":
        return 0
    if then.is_runnable:
        then.clear(Flag.RUNNABLE)
        return _THEN_CHANGED
    return 0


def _deliver(job: Job, rsc: Resource, push: _Push) -> int:
    """Apply a rule to the actions of a resource and, in a collective, to those of its members."""
    if rsc.kind is Kind.PRIMITIVE or push.then.resource is None:
        return _change(job, push)
    if rsc.kind is Kind.GROUP:
        changed = _change(job, push)
        for member in push.then.resource.children:
            found = find_first(member, push.then.task, push.node)
            if found is not None:
                inner = _Push(push.first, found, push.node, push.first_flags, push.rel)
                changed |= _deliver(job, member, inner)
        return changed
    return _deliver_to_instances(job, push)


def _deliver_to_instances(job: Job, push: _Push) -> int:
    then_rsc = push.then.resource
    if then_rsc is None:
        return 0
    if instances.can_interleave(push.first, push.then):
        return _interleave(job, push)
    parts = instances.of(then_rsc)
    if _is_silent(push.rel, push.first_flags) and parts and parts[0].kind is Kind.PRIMITIVE:
        return 0
    changed = _change(job, push)
    for instance in parts:
        found = find_first(instance, push.then.task, push.node)
        if found is None:
            continue
        if not instance.variant.action_flags(found, push.node) & Flag.RUNNABLE:
            continue
        inner = _Push(push.first, found, push.node, push.first_flags, push.rel)
        now = _deliver(job, instance, inner)
        changed |= now
        if now & _THEN_CHANGED:
            for follower in reversed(list(found.after)):
                _run(job, _settle(job, follower.action))
    return changed


def _interleave(job: Job, push: _Push) -> int:
    """Relate each instance only to the one beside it."""

    def deliver(first: Action, then: Action) -> int:
        return _deliver_pair(job, push, first, then)

    return instances.interleave(job, push.first, push.then, push.rel, deliver)


def _deliver_pair(job: Job, push: _Push, first: Action, then: Action) -> int:
    assert then.resource is not None, "an instance's action has a resource"
    assert first.resource is not None, "an instance's action has a resource"
    flags = first.resource.variant.action_flags(first, push.node)
    inner = _Push(first, then, push.node, flags, push.rel)
    return _deliver(job, then.resource, inner)


# -- the rules ------------------------------------------------------------------------------------------


def _change(job: Job, push: _Push) -> int:
    """Apply the rule of a kind to two actions; settle a member's new state at once."""
    before = push.first.flags, push.then.flags
    rule = _RULES.get(push.rel)
    if rule is not None:
        rule(push)
    changed = _difference(push, before)
    if changed & _THEN_CHANGED and push.then.resource is not None and push.then.resource.parent is not None:
        _run(job, _settle(job, push.then))
    return changed


def _clear(action: Action, flag: int, because: Action) -> None:
    """Take a flag away and say because of which other resource's action."""
    if not action.flags & flag:
        return
    action.clear(flag)
    action.because = action.because or because
    if action.resource is not because.resource:
        word = {Flag.OPTIONAL: "required", Flag.RUNNABLE: "unrunnable"}.get(flag, "unmigrateable")
        name = "" if because.resource is None else f"{because.resource.id} "
        action.give_reason(f"{word} {name}{because.task}")


def _asymmetric(push: _Push) -> None:
    first, then = push.first, push.then
    if then.resource is None or first.is_runnable:
        return
    if then.is_optional:
        role = tree.role(then.resource, current=True)
        if role is Role.STOPPED and then.task == "stop":
            return
        is_there = len(then.resource.active) == 1 and then.node is then.resource.active[0]
        if role >= Role.STARTED and then.task == "start" and then.node is not None and is_there:
            return
    _clear(then, Flag.OPTIONAL, first)
    _clear(then, Flag.RUNNABLE, first)


def _then_implies_first(push: _Push) -> None:
    """What a collective's parts demand of the first is demanded for the sake of the then.

    A single resource is not stopped for what it depends on: it is restarted, or blocked from starting.
    """
    first, then = push.first, push.then
    if then.is_optional:
        return
    if not push.first_flags & Flag.OPTIONAL:
        _clear(first, Flag.OPTIONAL, then)
    if not then.flags & Flag.MIGRATABLE:
        _clear(first, Flag.MIGRATABLE, then)


def _promoted_then_implies_first(push: _Push) -> None:
    first, then = push.first, push.then
    rsc = then.resource
    if then.is_optional or rsc is None or tree.role(rsc, current=True) is not Role.PROMOTED:
        return
    _clear(first, Flag.OPTIONAL, then)
    if first.flags & Flag.MIGRATABLE and not then.flags & Flag.MIGRATABLE:
        _clear(first, Flag.MIGRATABLE, then)


def _unmigratable_then_blocks(push: _Push) -> None:
    first, then = push.first, push.then
    if not then.has(Flag.MIGRATABLE | Flag.RUNNABLE):
        _clear(first, Flag.RUNNABLE, then)
    if not then.is_optional:
        _clear(first, Flag.OPTIONAL, then)


def _first_else_then(push: _Push) -> None:
    if not push.first.is_runnable:
        _clear(push.then, Flag.MIGRATABLE, push.first)
        push.then.clear(Flag.PSEUDO)


def _unrunnable_first_blocks(push: _Push) -> None:
    if push.then.is_runnable and not push.first_flags & Flag.RUNNABLE:
        _clear(push.then, Flag.RUNNABLE, push.first)
        _clear(push.then, Flag.MIGRATABLE, push.first)


def _first_implies_then(push: _Push) -> None:
    first, then = push.first, push.then
    if then.is_optional and not push.first_flags & Flag.OPTIONAL and not first.flags & Flag.MIGRATABLE:
        _clear(then, Flag.OPTIONAL, first)


def _intermediate_stop(push: _Push) -> None:
    """A stop that comes before a start of the same resource, or a later member's before an earlier one's."""
    first, then = push.first, push.then
    rsc = then.resource
    if rsc is None:
        return
    cannot_start = not then.is_runnable and rsc.managed and first.resource is rsc
    if then.is_optional and not cannot_start:
        return
    if first.is_runnable:
        _clear(first, Flag.OPTIONAL, then)
    if not then.is_optional:
        _clear(first, Flag.OPTIONAL, then)
    if not then.flags & Flag.MIGRATABLE:
        _clear(first, Flag.MIGRATABLE, then)
    if not first.is_optional and not first.is_runnable:
        _clear(then, Flag.RUNNABLE, first)


def _min_runnable(push: _Push) -> None:
    """Only the cluster's own points of order count their inputs."""


_RULES: Final[dict[int, Callable[[_Push], None]]] = {
    Rel.ASYMMETRIC: _asymmetric,
    Rel.THEN_IMPLIES_FIRST: _then_implies_first,
    Rel.PROMOTED_THEN_IMPLIES_FIRST: _promoted_then_implies_first,
    Rel.UNMIGRATABLE_THEN_BLOCKS: _unmigratable_then_blocks,
    Rel.FIRST_ELSE_THEN: _first_else_then,
    Rel.UNRUNNABLE_FIRST_BLOCKS: _unrunnable_first_blocks,
    Rel.FIRST_IMPLIES_THEN: _first_implies_then,
    Rel.INTERMEDIATE_STOP: _intermediate_stop,
    Rel.MIN_RUNNABLE: _min_runnable,
}


# -- dependents of what cannot start --------------------------------------------------------------------


def _block_dependents(job: Job, action: Action) -> Step:
    """When a resource cannot start (or be promoted) anywhere, what must be with it cannot either."""
    rsc = action.resource
    if action.is_runnable or action.task not in {"start", "promote"} or rsc is None:
        return
    top = rsc.top_with_bundle
    if any(_may_still(part, action.task) for part in top.children):
        return
    for colocation in together.with_this(top):
        if colocation.score < INFINITY:
            continue
        if action.task == "promote" and colocation.primary_role is not Role.PROMOTED:
            continue
        task = "promote" if colocation.dependent_role is Role.PROMOTED else "start"
        yield from _block(job, colocation.dependent, task, rsc)


def _may_still(part: Resource, task: str) -> bool:
    """Tell whether a part of a collective reaches the role, or is in it already."""
    own = find_first(part, task, None)
    return own is None or own.is_runnable


def _block(job: Job, rsc: Resource, task: str, because: Resource) -> Step:
    for action in list(reversed(rsc.actions)):
        if action.is_runnable and action.task == task:
            action.clear(Flag.RUNNABLE)
            action.give_reason(f"colocation with {because.id}")
            yield from _block_dependents(job, action)
            yield action
    for child in rsc.children:
        yield from _block(job, child, task, because)
