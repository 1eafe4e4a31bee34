"""Tell the instances of a clone what happens to the others, before and after it happens.

Source: Pacemaker Explained, "Clone Resource Agent Requirements", notifications.
"""

from dataclasses import dataclass, field

from komainu.model.role import Role
from komainu.scheduler import actions, tree
from komainu.scheduler.actions import find_first, relate
from komainu.scheduler.job import Action, ActionNotifications, Job, Node, Resource
from komainu.scheduler.words import INFINITY, Flag, Kind, Rel

Point = tuple[str, Action, Action]
"""A task with the actions that begin it and complete it."""

_TASKS = ("start", "stop", "promote", "demote")


# -- the points of a clone ------------------------------------------------------------------------------


def _point(job: Job, rsc: Resource, about: Action, kind: str, operation: str) -> Action:
    """Create one pseudo action of a notification."""
    task = "notified" if kind.startswith("confirmed") else "notify"
    key = f"{rsc.id}_{kind}_notify_{about.task}_0"
    action = actions.make(job, rsc, task, None, optional=about.is_optional, key=key)
    action.set(Flag.PSEUDO | Flag.RUNNABLE)
    action.meta["notify_type"] = kind.removeprefix("confirmed-")
    action.meta["notify_operation"] = operation
    action.meta["notify_key_type"] = kind
    action.meta["notify_key_operation"] = about.task
    return action


def _after(job: Job, rsc: Resource, complete: Action, task: str) -> tuple[Action, Action]:
    """Create the points after something is done."""
    post = _point(job, rsc, complete, "post", task)
    post_done = _point(job, rsc, complete, "confirmed-post", task)
    post.priority = post_done.priority = INFINITY
    if not complete.is_runnable:
        post.clear(Flag.RUNNABLE)
        post_done.clear(Flag.RUNNABLE)
    relate(complete, post, Rel.FIRST_IMPLIES_THEN)
    relate(post, post_done, Rel.FIRST_IMPLIES_THEN)
    return post, post_done


def _create(job: Job, rsc: Resource, point: Point) -> ActionNotifications | None:
    if not rsc.notify:
        return None
    task, begin, complete = point
    pre = _point(job, rsc, begin, "pre", task)
    pre_done = _point(job, rsc, begin, "confirmed-pre", task)
    relate(pre, pre_done, Rel.ORDERED)
    relate(pre_done, begin, Rel.ORDERED)
    post, post_done = _after(job, rsc, complete, task)
    relate(pre_done, post, Rel.ORDERED)
    found = ActionNotifications(task, begin, pre, pre_done, post, post_done)
    rsc.notifications[task] = found
    return found


def create_points(job: Job, rsc: Resource, start: Point, stop: Point) -> None:
    """Create the points around the starts and stops of a clone."""
    up = _create(job, rsc, start)
    down = _create(job, rsc, stop)
    if up is not None and down is not None:
        relate(down.post_done, up.pre, Rel.ORDERED)


def create_promotion_points(job: Job, rsc: Resource, promote: Point, demote: Point) -> None:
    """Create the points around the promotions and demotions of a clone."""
    up = _create(job, rsc, promote)
    down = _create(job, rsc, demote)
    if up is None or down is None:
        return
    start, stop = rsc.notifications["start"], rsc.notifications["stop"]
    relate(stop.post_done, up.pre, Rel.ORDERED)
    relate(start.post_done, up.pre, Rel.ORDERED)
    relate(down.post_done, up.pre, Rel.ORDERED)
    relate(down.post_done, start.pre, Rel.ORDERED)
    relate(down.post_done, stop.pre, Rel.ORDERED)


# -- what the instances are told ------------------------------------------------------------------------


@dataclass(slots=True)
class _News:
    """Who is where and who is about to do what: lists of an instance and its node."""

    lists: dict[str, list[tuple[Resource, Node | None]]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, rsc: Resource, node: Node | None) -> None:
        """Add one entry."""
        self.lists.setdefault(name, []).append((rsc, node))


_BY_ROLE = {
    Role.STOPPED: ("inactive",),
    Role.STARTED: ("active",),
    Role.UNPROMOTED: ("unpromoted", "active"),
    Role.PROMOTED: ("promoted", "active"),
}


def _collect(rsc: Resource, news: _News, *, with_actions: bool) -> None:
    for primitive in rsc.primitives():
        node = primitive.active[0] if primitive.active else None
        for name in _BY_ROLE.get(primitive.role, ()):
            news.add(name, primitive, node)
        for action in primitive.actions if with_actions else ():
            if action.is_optional or action.node is None or action.task not in _TASKS:
                continue
            is_implied = action.task == "stop" and action.node.unclean
            if action.is_runnable or is_implied:
                news.add(action.task, primitive, action.node)


def _write(job: Job, rsc: Resource, news: _News) -> None:
    """Write the lists as the agents get them; an empty one is a blank."""
    for name in ("stop", "start", "demote", "promote", "active", "promoted", "unpromoted", "inactive"):
        names, nodes = _texts(news.lists.get(name, []))
        aliases = {"promoted": ("promoted", "master"), "unpromoted": ("unpromoted", "slave")}.get(
            name, (name,)
        )
        for alias in aliases:
            news.words[f"notify_{alias}_resource"] = names
            if name != "inactive":
                news.words[f"notify_{alias}_uname"] = nodes
    available = sorted(row.node.name for row in rsc.table.values())
    news.words["notify_available_uname"] = " ".join(available) or " "
    everybody = sorted(node.name for node in job.nodes)
    news.words["notify_all_uname"] = " ".join(everybody) or " "
    if rsc.meta.get("container-attribute-target") == "host":
        hosts = [_host(node) for node in sorted(job.nodes, key=lambda n: n.name)]
        news.words["notify_all_hosts"] = " ".join(hosts)


def _host(node: Node) -> str:
    launcher = node.connection.launcher if node.is_guest and node.connection is not None else None
    host = None if launcher is None else tree.current_node(launcher)
    return node.name if host is None else host.name


def _texts(entries: list[tuple[Resource, Node | None]]) -> tuple[str, str]:
    names: list[str] = []
    nodes: list[str] = []
    for rsc, node in sorted(entries, key=lambda e: (e[0].id, "" if e[1] is None else e[1].id)):
        if names and names[-1] == rsc.id:
            continue
        names.append(rsc.id)
        if node is not None:
            nodes.append(node.name)
    return " ".join(names) or " ", " ".join(nodes) or " "


def create_all(job: Job) -> None:
    """Create the notifications of all clones, once it is settled what happens to them."""
    for top in job.resources:
        for rsc in list(top.walk()):
            if rsc.kind is not Kind.CLONE:
                continue
            for task in _TASKS:
                points = rsc.notifications.get(task)
                if points is not None:
                    _notify(job, rsc, points)


def _notify(job: Job, rsc: Resource, points: ActionNotifications) -> None:
    news = _News()
    _collect(rsc, news, with_actions=True)
    _write(job, rsc, news)
    if news.lists.get(points.task):
        for action in (points.pre, points.pre_done, points.post, points.post_done):
            action.clear(Flag.OPTIONAL)
    for primitive in rsc.primitives():
        _tell(job, primitive, points, news)


def _tell(job: Job, rsc: Resource, points: ActionNotifications, news: _News) -> None:
    """Create the notifications of one instance."""
    for action in rsc.actions:
        if not action.is_optional and action.node is not None and action.task in _TASKS:
            action.meta.update(news.words)
    task = points.task
    if task != "stop" and not news.lists.get(task):
        return
    if rsc.role is not Role.STOPPED and task in {"stop", "demote"}:
        _tell_down(job, rsc, points, news)
    if rsc.next_role is not Role.STOPPED and task in {"start", "promote"}:
        _tell_up(job, rsc, points, news)


def _tell_up(job: Job, rsc: Resource, points: ActionNotifications, news: _News) -> None:
    """Tell an instance what comes up, where it is or will be.

    What can be reached only through a connection that would have to start and cannot is told nothing.
    """
    node = rsc.assigned_to
    if node is None:
        return
    connecting = None if node.connection is None else find_first(node.connection, "start", None)
    if connecting is not None and not connecting.is_runnable:
        return
    start = find_first(rsc, "start", None)
    if points.task != "start" or start is None or start.is_optional:
        _one(job, rsc, node, (points.pre, points.pre_done), news)
    _one_after(job, rsc, node, (points.post, points.post_done), news)


def _tell_down(job: Job, rsc: Resource, points: ActionNotifications, news: _News) -> None:
    stop = find_first(rsc, "stop", None)
    for node in rsc.active:
        is_fenced = stop is not None and stop.is_pseudo and (node.unclean or node.reset_needed)
        if is_fenced:
            continue
        _one(job, rsc, node, (points.pre, points.pre_done), news)
        if points.task == "demote" or stop is None or stop.is_optional:
            _one_after(job, rsc, node, (points.post, points.post_done), news)


def _one(job: Job, rsc: Resource, node: Node, between: tuple[Action, Action], news: _News) -> Action | None:
    """Create one instance's notification between two points."""
    begin, end = between
    if not node.online or not begin.is_runnable:
        return None
    kind, operation = begin.meta["notify_type"], begin.meta["notify_operation"]
    key = f"{rsc.id}_{kind}_notify_{operation}_0"
    action = actions.make(job, rsc, begin.task, node, optional=begin.is_optional, key=key)
    for name, text in begin.meta.items():
        action.meta.setdefault(name, text)
    action.meta.update(news.words)
    relate(begin, action, Rel.ORDERED)
    relate(action, end, Rel.ORDERED)
    return action


def _one_after(job: Job, rsc: Resource, node: Node, between: tuple[Action, Action], news: _News) -> None:
    action = _one(job, rsc, node, between, news)
    if action is not None:
        action.priority = INFINITY
    for monitor in list(rsc.actions):
        if monitor.interval_ms and monitor.task != "cancel":
            relate(between[1], monitor, Rel.ORDERED)


def order_after_fencing(job: Job, stop: Action, rsc: Resource, fencing: Action) -> None:
    """Tell the other instances of a stop that a fencing implies."""
    if not rsc.notify:
        return
    post, post_done = _after(job, rsc, fencing, "stop")
    news = _News()
    _collect(rsc, news, with_actions=False)
    news.words["notify_stop_resource"] = rsc.id
    news.words["notify_stop_uname"] = "" if stop.node is None else stop.node.name
    stop.meta.update(news.words)
    for primitive in rsc.top.primitives():
        if primitive.role is Role.STOPPED:
            continue
        down = find_first(primitive, "stop", None)
        for node in primitive.active:
            if down is not None and down.is_pseudo and (node.unclean or node.reset_needed):
                continue
            if down is None or down.is_optional:
                _one_after(job, primitive, node, (post, post_done), news)
