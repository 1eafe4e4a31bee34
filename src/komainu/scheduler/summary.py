"""Say each change of a transition in one line: Start, Stop, Move, Restart, Recover, and why.

Reads what was decided; decides nothing. Two forms: the field's columns, and a sentence for people.
Source: Pacemaker's transition summary.
"""

from dataclasses import dataclass
from typing import Final

from komainu.model.role import Role
from komainu.scheduler import actions, tree
from komainu.scheduler.job import Action, Job, Node, Resource
from komainu.scheduler.words import Flag, Kind

_MOVED: Final = {
    "Move": "moves from {source} to {target}",
    "Migrate": "is moved live from {source} to {target}",
    "Recover": "failed on {source} and is recovered on {target}",
}
_STAYED: Final = {
    "Start": "starts on {place}",
    "Stop": "stops on {place}",
    "Restart": "is restarted on {place}",
    "Recover": "failed and is recovered on {place}",
    "Reload": "is reloaded on {place}",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the summary. `resource` is None for nodes."""

    word: str
    subject: str
    resource: Resource | None
    details: str
    reason: str

    @property
    def sentence(self) -> str:
        """The line as a sentence: "web moves from b to a, due to node availability"."""
        reason = f",{self.reason}" if self.reason else ""
        source, arrow, target = self.details.strip("() ").partition(" -> ")
        role, blank, place = source.partition(" ")
        if not arrow and blank and " " not in place:
            source = f"{place}, where it is {role.lower()}"
        if self.word in _MOVED and arrow and " " not in source + target:
            return f"{self.subject} {_MOVED[self.word].format(source=source, target=target)}{reason}"
        if self.word in _STAYED and not arrow:
            return f"{self.subject} {_STAYED[self.word].format(place=source)}{reason}"
        details = f" {self.details}" if self.details else ""
        return f"{self.word.lower()} {self.subject}{details}{reason}"


def changes(job: Job) -> list[Change]:
    """Return all changes: nodes first, then resources in their order."""
    found = [line for action in reversed(job.actions) for line in _of_node(action)]
    for rsc in job.resources:
        found += _of_resource(rsc)
    return found


def _of_node(action: Action) -> list[Change]:
    node = action.node
    if action.resource is not None or action.is_optional or node is None or not action.reason:
        return []
    if action.task == "stonith":
        word = f"Fence ({action.meta.get('stonith_action')})"
    elif action.task == "do_shutdown":
        word = "Shutdown"
    else:
        return []
    name = node.name
    if node.is_guest and node.connection is not None and node.connection.launcher is not None:
        name = f"{name} (resource: {node.connection.launcher.id})"
    blocked = " (blocked)" if action.task == "do_shutdown" and not action.is_runnable else ""
    return [Change(word, name, None, "", f" '{action.reason}'{blocked}")]


def _of_resource(rsc: Resource) -> list[Change]:
    if rsc.bundle is not None:
        found = []
        for replica in rsc.bundle.replicas:
            for part in (replica.ip, replica.container, replica.connection, replica.child):
                if part is not None:
                    found += _of_resource(part)
        return found
    if rsc.kind is not Kind.PRIMITIVE:
        return [line for child in rsc.children for line in _of_resource(child)]
    current = tree.current_node(rsc)
    if current is not None and rsc.role is Role.STOPPED:
        rsc.role = Role.STARTED
    if current is None and rsc.removed:
        return []
    if not rsc.managed or (current is None and rsc.assigned_to is None):
        return []
    if rsc.role is rsc.next_role and not rsc.reload_needed and all(map(_is_at_rest, rsc.actions)):
        return []
    view = _View(rsc, current)
    return view.same_role() if rsc.role is rsc.next_role else view.other_role()


def _is_at_rest(action: Action) -> bool:
    return bool(action.flags & Flag.OPTIONAL) and action.task != "migrate_from"


class _View:
    """One primitive's actions, as far as they tell what becomes of it."""

    def __init__(self, rsc: Resource, current: Node | None) -> None:
        self.rsc = rsc
        self.current = current
        self.next = rsc.assigned_to
        self.is_moving = current is not None and self.next is not None and current is not self.next
        self.start = actions.first_of(rsc, "start", self.next)
        self.stop = actions.first_of(rsc, "stop", current)
        if self.stop is None and rsc.multiple_active.value == "stop_unexpected":
            self.stop = actions.first_of(rsc, "stop", None)
        self.promote = actions.first_of(rsc, "promote", self.next)
        self.demote = actions.first_of(rsc, "demote", self.next)

    def line(
        self,
        word: str,
        places: tuple[Node | None, Node | None],
        action: Action | None,
        source: Action | None = None,
    ) -> list[Change]:
        """Write one line."""
        source = source or action
        blocked = action is not None and not action.is_runnable
        reason = source.reason if source is not None else None
        if reason is not None:
            text = f" due to {reason}{' (blocked)' if blocked else ''}"
        else:
            text = " blocked" if blocked else ""
        return [Change(word, self.rsc.id, self.rsc, f"( {self._details(*places)} )", text)]

    def _details(self, origin: Node | None, goal: Node | None) -> str:
        rsc = self.rsc
        role, next_role = rsc.role.label, rsc.next_role.label
        shows_role = rsc.role > Role.STARTED or rsc.next_role > Role.UNPROMOTED
        if origin is None:
            name = "" if goal is None else goal.name
            return f"{role} -> {next_role} {name}" if shows_role else name
        if goal is None:
            return f"{role} {origin.name}" if shows_role else origin.name
        if rsc.role is rsc.next_role:
            if origin is goal:
                return f"{role} {origin.name}" if shows_role else origin.name
            move = f"{origin.name} -> {goal.name}"
            return f"{move} {role}" if shows_role else move
        if origin is goal:
            return f"{role} -> {next_role} {origin.name}"
        return f"{role} {origin.name} -> {next_role} {goal.name}"

    def same_role(self) -> list[Change]:
        """A resource that keeps its role: it may move, restart, recover, reload."""
        rsc, start, stop = self.rsc, self.start, self.stop
        there = (self.current, self.next)
        migration = actions.first_of(rsc, "migrate_from", self.next)
        if migration is not None and migration.is_runnable:
            return self.line("Migrate", there, start)
        if rsc.reload_needed:
            return self.line("Reload", there, start)
        if start is None or start.is_optional:
            both = (self.demote, self.promote)
            if all(action is not None and not action.is_optional for action in both):
                return self.line("Re-promote", there, self.promote, self.demote)
            return []
        if not start.is_runnable:
            source = start if stop is None or stop.reason is None else stop
            return self.line("Stop", (self.current, None), stop, source)
        if self.is_moving:
            return self.line("Recover" if rsc.failed else "Move", there, stop)
        if rsc.failed:
            return self.line("Recover", (self.current, self.current), stop)
        return self.line("Restart", there, start)

    def other_role(self) -> list[Change]:
        """A resource that changes its role."""
        rsc, start, stop = self.rsc, self.start, self.stop
        there = (self.current, self.next)
        cannot_start = start is not None and not start.is_runnable
        if stop is not None and (rsc.next_role is Role.STOPPED or cannot_start):
            return self._stops()
        if stop is not None and rsc.failed and rsc.stop_if_failed:
            return self.line("Recover", there, stop, start)
        if self.is_moving:
            return self.line("Move", there, stop)
        if rsc.reload_needed:
            return self.line("Reload", there, start)
        if stop is not None and not stop.flags & Flag.OPTIONAL:
            return self.line("Restart", there, start)
        if rsc.role is Role.PROMOTED:
            return self.line("Demote", there, self.demote)
        if rsc.next_role is Role.PROMOTED:
            return self.line("Promote", there, self.promote)
        if rsc.role is Role.STOPPED and rsc.next_role > Role.STOPPED:
            return self.line("Start", there, start)
        return []

    def _stops(self) -> list[Change]:
        found = []
        for node in self.rsc.active:
            stop = actions.first_of(self.rsc, "stop", node)
            source = self.start
            if stop is not None and (stop.reason is not None or source is None):
                source = stop
            found += self.line("Stop", (node, None), stop, source)
        return found


def text(job: Job) -> list[str]:
    """Write the summary in the field's columns."""
    width = 5
    details_width = 5
    lines = []
    for change in changes(job):
        if change.resource is None:
            lines.append(f"  * {change.word} {change.subject}{change.reason}")
            continue
        if len(change.subject) > width:
            width = len(change.subject) + 2
        inner = change.details[2:-2]
        details_width = max(details_width, len(inner))
        reason = f" {change.reason}" if change.reason else ""
        lines.append(
            f"  * {change.word:<8}   {change.subject:<{width}}   ( {inner:>{details_width}} ){reason}"
        )
    return lines
