"""Find out from the status section where each resource is, and what its failures demand.

Passes over the nodes until nothing new is learned: a guest's history can be believed only when its virtual
machine is known to be up. What single entries mean is said in results.py.
Source: Pacemaker's status section; which instance of a clone an entry belongs to is pinned by its regression suite.
"""

from komainu.cib.element import Element
from komainu.model.role import Role
from komainu.scheduler import actions, nodes, resources, results, running, shutdown_lock, tree
from komainu.scheduler.entry import PENDING, History
from komainu.scheduler.job import Candidate, Job, Node, Resource
from komainu.scheduler.remembered import Remembered
from komainu.scheduler.results import Reading
from komainu.scheduler.words import Flag, Kind, OnFail


def read_status(job: Job, remembered: Remembered) -> None:
    """Read node states, then the histories, in as many passes as it takes."""
    status = job.cib.first("status")
    states = [] if status is None else list(status.all("node_state"))
    job.history = remembered.histories(_holders(job, states))
    nodes.read_states(job)
    steady = _steady(job)
    while _pass(job, states, steady, takes_all=False):
        pass
    _pass(job, states, steady, takes_all=job.options.fencing_enabled)
    for launcher in job.stop_needed:
        host = tree.current_node(launcher)
        if host is not None:
            actions.make(job, launcher, "stop", host, optional=False)
    for node in job.nodes:
        if not node.is_remote:
            continue
        if node.shutdown and node.connection is not None:
            node.connection.next_role = Role.STOPPED
        if not node.is_unpacked:
            nodes.settle_remote(node)


def _holders(job: Job, states: list[Element]) -> dict[str, Element]:
    """Return each node's `lrm_resources`, by node name; of nodes that are no longer configured, too."""
    holders: dict[str, Element] = {}
    for state in states:
        node = nodes.find(job, state)
        holder = state.at("lrm", "lrm_resources")
        if holder is not None:
            holders[node.name if node is not None else state.get("uname") or state.id] = holder
    return holders


def _steady(job: Job) -> dict[str, Resource]:
    """Return those of which a node that has nothing to tell tells nothing: their names and failures do not change."""
    return {
        name: rsc
        for name, rsc in job.by_id.items()
        if rsc.kind is Kind.PRIMITIVE
        and rsc.unique
        and not (rsc.failure_timeout_ms or rsc.is_remote_connection or job.options.shutdown_lock)
    }


def _pass(job: Job, states: list[Element], steady: dict[str, Resource], *, takes_all: bool) -> bool:
    """Read the histories that can be read now; tell whether any was."""
    has_read = False
    for state in states:
        node = nodes.find(job, state)
        if node is None or node.is_unpacked or not (takes_all or _is_readable(job, node)):
            continue
        if node.is_remote:
            nodes.settle_remote(node)
            nodes.read_remote(job, node, state)
        _read_node(job, node, steady)
        node.is_unpacked = has_read = True
    return has_read


def _is_readable(job: Job, node: Node) -> bool:
    connection = node.connection
    if node.is_guest and connection is not None and connection.launcher is not None:
        return connection.role is Role.STARTED and connection.launcher.role is Role.STARTED
    if node.is_remote:
        if connection is None:
            return False
        return job.options.shutdown_lock or connection.role is Role.STARTED
    return job.options.fencing_enabled or job.options.shutdown_lock or node.online


def _read_node(job: Job, node: Node, steady: dict[str, Resource]) -> None:
    launched: list[Element] = []
    for name, history in job.history.get(node.name, {}).items():
        idle = steady.get(name) if history.is_plainly_inactive else None
        if idle is not None and not (idle.history_name or idle.partial_source or _may_stop(idle)):
            # Most of all histories; to read the entry would come to the same.
            idle.known.setdefault(node.id, node)
            idle.next_role = idle.target_role or Role.UNKNOWN
            continue
        rsc = _read_resource(job, node, history)
        if rsc is not None and rsc.is_removed_launched:
            launched.append(history.xml)
    for element in launched:
        rsc, launcher = job.find(element.id), job.find(element.get("container") or "")
        if rsc is not None and launcher is not None and rsc.launcher is None:
            rsc.launcher = launcher
            launcher.launched.append(rsc)


def _may_stop(rsc: Resource) -> bool:
    return bool(rsc.actions) and any(action.task == "stop" for action in rsc.actions)


# -- which resource an entry belongs to -----------------------------------------------------------------


def _match(job: Job, node: Node, name: str) -> Resource | None:
    """Find the configured resource (the instance, in a clone) that a history name belongs to."""
    rsc = job.by_id.get(name)
    if rsc is not None and rsc.parent is None and rsc.kind is Kind.PRIMITIVE:
        return rsc  # by far the most, and never known by another name
    if rsc is None:
        known = job.by_history_name.get(name)
        rsc = known[0] if known else None
    if rsc is None:
        rsc = job.by_id.get(f"{base_name(name)}:0")
        if rsc is not None and rsc.unique:
            rsc = None
    if rsc is None or rsc.kind is not Kind.PRIMITIVE:
        return None
    top = rsc.top
    if top.is_anonymous_clone:
        if rsc.bundle_owner is not None:
            rsc = _bundle_child(rsc.bundle_owner, node)
        else:
            rsc = _match_instance(job, node, top, base_name(name))
    if rsc is not None and name not in {rsc.id, rsc.history_name}:
        rsc.history_name = name
        job.by_history_name.setdefault(name, []).append(rsc)
    return rsc


def base_name(name: str) -> str:
    """Return a name without its instance number."""
    base, colon, number = name.rpartition(":")
    return base if colon and number.isdigit() else name


def _bundle_child(bundle: Resource, node: Node) -> Resource | None:
    assert bundle.bundle is not None, "the owner is a bundle"
    return next((r.child for r in bundle.bundle.replicas if r.node is node), None)


def _member(instance: Resource, name: str) -> Resource | None:
    """Find a member of an instance by its name without number."""
    return next((rsc for rsc in instance.walk() if base_name(rsc.id) == name), None)


def _match_instance(job: Job, node: Node, clone: Resource, name: str) -> Resource | None:
    """Choose the instance: the one active here, else the first inactive, else a removed one that is made."""
    found: Resource | None = None
    inactive: Resource | None = None
    skips_inactive = False
    for instance in clone.children:
        places = tree.locations(instance, pending=True)
        if places:
            if places[0] is not node:
                continue
            found = _member(instance, name)
            if found is not None and found.active:
                found, skips_inactive = None, True
            elif found is not None:
                break
        elif inactive is None and not skips_inactive and not instance.blocked:
            inactive = _free_member(instance, node, name)
    if found is None and not skips_inactive:
        found = inactive
    if found is not None and _wastes_number(job, node, clone, found):
        found = None
    if found is None:
        removed = resources.add_instance(job, clone)
        found = None if removed is None else _member(removed, name)
    return found


def _free_member(instance: Resource, node: Node, name: str) -> Resource | None:
    member = _member(instance, name)
    if member is not None and member.pending_node is not None and member.pending_node is not node:
        return None
    return member


def _wastes_number(job: Job, node: Node, clone: Resource, rsc: Resource) -> bool:
    """Tell whether a number would be spent on an instance that need not be waited for.

    What needs no fencing may start elsewhere at once, so an instance on a lost node must not hold a number.
    """
    if rsc.requires >= 2 or (node.online and not node.unclean) or node.is_guest:
        return False
    settings = clone.clone
    assert settings is not None, "the top is a clone"
    return settings.maximum != len(job.nodes)


# -- one resource on one node ---------------------------------------------------------------------------


def _read_resource(job: Job, node: Node, history: History) -> Resource | None:
    element = history.xml
    if not history.entries and not job.options.shutdown_lock:
        return None
    rsc = _match(job, node, element.id)
    if rsc is None:
        if not history.entries:
            return None
        rsc = _make_removed(job, element)
        if rsc is None:
            return None
    if job.options.shutdown_lock:
        shutdown_lock.read(job, rsc, node, element)
    before = rsc.role
    rsc.role = Role.UNKNOWN
    reading = Reading(job, rsc, node)
    for entry in history.ordered:
        results.read(reading, entry)
    if reading.has_failed_stop:
        tree.ban(rsc, node)
    _note_recurring(job, rsc, node, history)
    _settle(job, rsc, node, reading.on_fail)
    wanted = rsc.target_role
    if wanted is not None and (rsc.next_role is Role.UNKNOWN or wanted < rsc.next_role):
        rsc.next_role = wanted
    rsc.role = max(rsc.role, before)
    return rsc


def _make_removed(job: Job, element: Element) -> Resource | None:
    """Make a resource that is no longer configured, so that it can be stopped and forgotten."""
    attributes = {
        name: element.attributes[name]
        for name in ("id", "class", "provider", "type")
        if name in element.attributes
    }
    container = element.get("container")
    primitive = Element("primitive", attributes)
    rsc = resources.make(job, primitive, None, removed=True)
    if rsc is None:
        return None
    if container is not None:
        rsc.is_removed_launched = True
    job.resources.append(rsc)
    if rsc.is_remote_connection:
        _connect_removed(job, rsc)
    if not job.options.stop_removed_resources:
        rsc.managed = False
    else:
        tree.ban(rsc)
        for other in job.nodes:
            if other.id not in rsc.table:
                rsc.table[other.id] = Candidate(other, -1_000_000)
    return rsc


def _connect_removed(job: Job, rsc: Resource) -> None:
    """Tie a connection that is no longer configured to its node, which goes down with it."""
    remote = job.node_by_name.get(rsc.id) or nodes.add(job, rsc.id, rsc.id, is_remote=True)
    remote.connection = rsc
    nodes.start_unknown(job, remote)
    remote.shutdown = True


def _note_recurring(job: Job, rsc: Resource, node: Node, history: History) -> None:
    """Make the recurring operations that are already running known as optional actions."""
    if not node.online:
        return
    start, stop = history.last_start, history.last_stop
    for index, entry in enumerate(history.ordered):
        is_over = (start < stop and index <= stop) or index < start
        if is_over or not entry.interval_ms or entry.status == PENDING:
            continue
        actions.make(job, rsc, entry.task, node, optional=True, interval_ms=entry.interval_ms)


def _settle(job: Job, rsc: Resource, node: Node, on_fail: OnFail) -> None:
    """Draw the conclusions for one resource on one node."""
    if rsc.role is not Role.UNKNOWN:
        _note_known(rsc, node)
    if rsc.role > Role.STOPPED and not node.online and not node.maintenance and rsc.managed:
        _fence_for(job, rsc, node)
    weighed = on_fail
    if node.unclean:
        on_fail = OnFail.IGNORE  # the node is fenced, which mends everything on it
    _meet_demand(job, rsc, node, on_fail)
    if rsc.failed and rsc.is_remote_connection:
        remote = job.node_by_name.get(rsc.id)
        if remote is not None and remote.unclean:
            remote.unseen = False
    if rsc.role > Role.STOPPED:
        running.add(job, rsc, node, is_failed=weighed is not OnFail.IGNORE)
        if on_fail is OnFail.IGNORE:
            pass
        elif on_fail in {OnFail.DEMOTE, OnFail.BLOCK}:
            rsc.failed = True
        else:
            rsc.failed = rsc.stop_if_failed = True
    else:
        _settle_stopped(rsc, node)


def _settle_stopped(rsc: Resource, node: Node) -> None:
    """What is not active on a node need not be stopped there."""
    if rsc.history_name is not None and ":" in rsc.history_name:
        rsc.history_name = None
    elif rsc.actions:
        for stop in actions.find_task(rsc, "stop", node):
            stop.set(Flag.OPTIONAL)
    if rsc.role is Role.STOPPED and rsc.partial_source is node and rsc.partial_target is not None:
        rsc.role = Role.STARTED


def _note_known(rsc: Resource, node: Node) -> None:
    here: Resource | None = rsc
    while here is not None:
        here.known.setdefault(node.id, node)
        if here.unique:
            return
        here = here.parent


def _fence_for(job: Job, rsc: Resource, node: Node) -> None:
    """A resource that may be active on a node that is not there makes fencing necessary."""
    reason = f"{rsc.id} is thought to be active there"
    if node.is_guest:
        rsc.failed = rsc.stop_if_failed = True
    elif not job.options.fencing_enabled:
        return
    elif node.is_remote and node.connection is not None and not node.connection.failed:
        # Fencing is needed only if the connection cannot be brought up again elsewhere.
        node.unseen = True
        reason = (
            f"{rsc.id} is active there"
            " (fencing will be revoked if remote connection can be re-established elsewhere)"
        )
    actions.fence_node(job, node, reason)


def _meet_demand(job: Job, rsc: Resource, node: Node, on_fail: OnFail) -> None:
    is_up = rsc.role > Role.STOPPED
    match on_fail:
        case OnFail.IGNORE:
            return
        case OnFail.DEMOTE:
            rsc.failed = True
            actions.make(job, rsc, "demote", node, optional=False)
        case OnFail.FENCE:
            actions.fence_node(job, node, f"{rsc.id} failed there")
        case OnFail.STANDBY:
            node.standby = node.standby_on_fail = True
        case OnFail.BLOCK:
            rsc.managed, rsc.blocked = False, True
        case OnFail.BAN:
            tree.ban(rsc, node)
        case OnFail.STOP:
            rsc.next_role = Role.STOPPED
        case OnFail.RESTART:
            if is_up:
                rsc.failed = rsc.stop_if_failed = True
                actions.make(job, rsc, "stop", node, optional=False)
        case OnFail.RESTART_CONTAINER:
            _restart_launcher(job, rsc, node)
        case OnFail.RESET_REMOTE:
            _reset_remote(job, rsc, node)


def _restart_launcher(job: Job, rsc: Resource, node: Node) -> None:
    rsc.failed = rsc.stop_if_failed = True
    launcher = rsc.launcher
    if launcher is not None and rsc.bundle_owner is not None:
        # The connection may be on another node than the container: stop that when all is known.
        job.stop_needed.insert(0, launcher)
    elif launcher is not None:
        actions.make(job, launcher, "stop", node, optional=False)
    elif rsc.role > Role.STOPPED:
        actions.make(job, rsc, "stop", node, optional=False)


def _reset_remote(job: Job, rsc: Resource, node: Node) -> None:
    rsc.failed = rsc.stop_if_failed = True
    remote = job.node_by_name.get(rsc.id) if rsc.is_remote_connection else None
    if job.options.fencing_enabled and remote is not None and remote.is_remote and not remote.was_fenced:
        actions.fence_node(job, remote, "remote connection is unrecoverable")
    if rsc.role > Role.STOPPED:
        actions.make(job, rsc, "stop", node, optional=False)
    if rsc.reconnect_ms:
        rsc.next_role = Role.STOPPED
