"""Write nodes and resources as they are, in the form in which the field's tools print them.

Source: the text output of Pacemaker's `crm_mon` and `crm_simulate`.
"""

from typing import Final

from komainu.model.operation import ExitCode
from komainu.model.role import Role
from komainu.model.role import parse as parse_role
from komainu.scheduler import health, results, tree
from komainu.scheduler.history import base_name
from komainu.scheduler.job import Job, Node, Resource
from komainu.scheduler.nodes import sort_key
from komainu.scheduler.words import Kind

_PENDING: Final = {
    "start": "Starting",
    "stop": "Stopping",
    "migrate_to": "Migrating",
    "migrate_from": "Migrating",
    "promote": "Promoting",
    "demote": "Demoting",
}
_PENDING_FLAG: Final = {"monitor": "Monitoring"}
_EXIT: Final = {
    2: "Invalid parameter",
    5: "Not installed",
}


def write(job: Job, *, shows_pending: bool = True) -> list[str]:
    """Write the node list and the full list of resources; what is under way is not shown after a rehearsal."""
    lines = ["  * Node List:"]
    lines += [f"    * {line}" for line in _nodes(job)]
    lines += ["", "  * Full List of Resources:"]
    writer = _Resources(job, shows_pending=shows_pending)
    for rsc in job.resources:
        if rsc.removed and rsc.kind is Kind.PRIMITIVE and not rsc.active:
            continue
        if rsc.meta.get("internal-rsc") == "true":
            continue
        lines += [f"    {line}" for line in writer.resource(rsc)]
    return lines


def banner(job: Job) -> list[str]:
    """Write what is out of the ordinary: resource management switched off, instances disabled or blocked."""
    lines = []
    if job.options.maintenance_mode:
        lines += ["", "              *** Resource management is DISABLED ***"]
        lines.append("  The cluster will not attempt to start, stop or recover services")
        lines.append("")
    counts = [0, 0, 0]
    for top in job.resources:
        for rsc in top.primitives():
            if rsc.removed and rsc.role <= Role.STOPPED:
                continue
            counts[0] += 1
            counts[1] += is_disabled(rsc)
            counts[2] += rsc.blocked
    if counts[1] or counts[2]:
        lines.append(
            f"{counts[1]} of {counts[0]} resource instances DISABLED and {counts[2]} BLOCKED "
            "from further action due to failure"
        )
        lines.append("")
    return lines


def is_disabled(rsc: Resource) -> bool:
    """Tell whether the target-role keeps a resource down."""
    role = parse_role(rsc.meta.get("target-role"))
    return role is Role.STOPPED or (role is Role.UNPROMOTED and rsc.top.xml_is_promotable)


# -- nodes ----------------------------------------------------------------------------------------------


def _nodes(job: Job) -> list[str]:
    single: list[str] = []
    lists: dict[str, list[str]] = {}
    for node in job.nodes:
        prefix = "Guest" if node.is_guest else "Remote" if node.is_remote else ""
        state = _node_state(job, node)
        if state is not None:
            single.append(f"{prefix}Node {node.name}: {state}")
        elif node.online:
            lists.setdefault(f"{prefix}Online", []).append(node.name)
        elif not node.is_guest:
            lists.setdefault(f"{prefix}OFFLINE", []).append(node.name)
    order = ("Online", "OFFLINE", "RemoteOnline", "RemoteOFFLINE", "GuestOnline")
    return single + [f"{name}: [ {' '.join(lists[name])} ]" for name in order if name in lists]


def _node_state(job: Job, node: Node) -> str | None:
    """Return the state of a node that is shown on a line of its own; None where it is plainly up or down."""
    state = _own_state(node)
    colour = "" if job.options.health_strategy == "none" else health.colour(node)
    if not colour:
        return state
    return f"{state or ('online' if node.online else 'OFFLINE')} (health is {colour.upper()})"


def _own_state(node: Node) -> str | None:
    if node.unclean:
        return f"UNCLEAN ({'online' if node.online else 'pending' if node.pending else 'offline'})"
    if node.pending:
        return "pending"
    if node.standby_on_fail and node.online:
        return "standby (on-fail)"
    if node.standby:
        if not node.online:
            return "OFFLINE (standby)"
        return "standby (with active resources)" if node.running else "standby"
    if node.maintenance:
        return "maintenance" if node.online else "OFFLINE (maintenance)"
    return None


# -- resources ------------------------------------------------------------------------------------------


class _Resources:
    """Writes resources of one job."""

    def __init__(self, job: Job, *, shows_pending: bool) -> None:
        self._job = job
        self._shows_pending = shows_pending

    def _pending_task(self, rsc: Resource) -> str:
        return rsc.pending_task or "" if self._shows_pending else ""

    def resource(self, rsc: Resource) -> list[str]:
        """Write a resource and what it consists of."""
        match rsc.kind:
            case Kind.PRIMITIVE:
                return [f"* {self.primitive(rsc)}"]
            case Kind.GROUP:
                lines = [f"* Resource Group: {rsc.id}{_group_flags(rsc)}:"]
                for member in rsc.children:
                    lines += [f"  {line}" for line in self.resource(member)]
                return lines
            case Kind.CLONE:
                return self._clone(rsc)
            case Kind.BUNDLE:
                return self._bundle(rsc)

    def primitive(self, rsc: Resource) -> str:
        """Write one primitive's line."""
        node = rsc.lock_node or tree.current_node(rsc)
        if node is None and not rsc.removed:
            node = rsc.pending_node
        return self._line(rsc, _shown_id(rsc), node)

    def _line(self, rsc: Resource, name: str, node: Node | None) -> str:
        agent = ":".join(
            part for part in (rsc.xml.get("class"), rsc.xml.get("provider"), rsc.xml.get("type")) if part
        )
        is_multiple = len(rsc.active) > 1
        if is_multiple:
            node = None  # what is said of one node would be taken for all of them
        parts = [f"{name}\t({agent}):\t"]
        if rsc.removed:
            parts.append(" ORPHANED")
        if rsc.failed:
            parts.append(" FAILED")
            if rsc.role > Role.UNPROMOTED:
                parts.append(f" {rsc.role.label}")
        else:
            parts.append(f" {self._state(rsc)}")
        if node is not None:
            parts.append(f" {node.name}")
        if _shown_role(rsc) is Role.STOPPED:
            probe = self._failed_probe(rsc, None if node is None else node.name)
            if probe:
                parts.append(f" ({probe}) ")
        flags = self._flags(rsc, node)
        if flags:
            parts.append(f" ({', '.join(flags)})")
        if is_multiple:
            parts.append(f" [ {' '.join(n.name for n in rsc.active)} ]")
        return "".join(parts)

    def _state(self, rsc: Resource) -> str:
        return _PENDING.get(self._pending_task(rsc)) or _shown_role(rsc).label

    def _flags(self, rsc: Resource, node: Node | None) -> list[str]:
        flags = []
        if node is not None and not node.online and node.unclean:
            flags.append("UNCLEAN")
        if node is not None and node is rsc.lock_node:
            flags.append("LOCKED")
        pending = _PENDING_FLAG.get(self._pending_task(rsc))
        if pending is not None:
            flags.append(pending)
        target = parse_role(rsc.meta.get("target-role"))
        if target is Role.STOPPED:
            flags.append("disabled")
        elif target is Role.UNPROMOTED and rsc.top.xml_is_promotable:
            flags.append(f"target-role:{rsc.meta['target-role']}")
        if rsc.blocked:
            flags.append("blocked")
        elif rsc.maintenance:
            flags.append("maintenance")
        elif not rsc.managed:
            flags.append("unmanaged")
        if rsc.failure_ignored:
            flags.append("failure ignored")
        return flags

    def _failed_probe(self, rsc: Resource, node_name: str | None) -> str | None:
        """Return what a probe said that could not look."""
        for failed in self._job.failed_operations:
            if not results.is_maskable(failed.entry) or (
                node_name is not None and failed.node.name != node_name
            ):
                continue
            names = {rsc.id, rsc.history_name, base_name(rsc.id)}
            same = failed.resource_id in names or base_name(failed.resource_id) in names
            if same and (rsc.unique is False or failed.resource_id == rsc.id):
                return _exit_text(failed.entry.rc)
        return None

    # -- clones

    def _clone(self, rsc: Resource) -> list[str]:
        child = rsc.clone.template if rsc.clone is not None else None
        name = "" if child is None else child.id
        lines = [f"* Clone Set: {rsc.id} [{name}]{_clone_flags(rsc)}:"]
        lists: dict[str, list[Node]] = {"Promoted": [], "Up": []}
        for instance in rsc.children:
            where = self._list_of(rsc, instance)
            if where == "full":
                lines += [f"  {line}" for line in self.resource(instance)]
            elif where in lists:
                node = tree.locations(instance)[0]
                lists[where].append(node)
        lines += self._clone_lists(rsc, lists)
        return lines

    def _list_of(self, clone: Resource, instance: Resource) -> str:
        """Tell in which list an instance is shown, or that it is shown in full."""
        is_any_active = tree.is_active(instance, everywhere=False)
        settings = clone.clone
        if clone.unique or settings is None or settings.maximum == 0:
            return "full" if is_any_active or not instance.removed else "none"
        if any(self._pending_task(r) for r in instance.primitives()) and instance.kind is Kind.PRIMITIVE:
            return "full"
        if not is_any_active:
            return "none" if instance.removed else "stopped"
        if any(r.removed or not r.managed or r.failed for r in instance.primitives()):
            return "full"
        if not tree.is_active(instance, everywhere=True):
            return "full"
        nodes = tree.locations(instance)
        if len(nodes) != 1 or (not nodes[0].online and nodes[0].unclean):
            return "full"
        return "Promoted" if tree.role(instance, current=True) > Role.UNPROMOTED else "Up"

    def _clone_lists(self, rsc: Resource, lists: dict[str, list[Node]]) -> list[str]:
        lines = []
        target = _configured_role(rsc)
        up = "Unpromoted" if rsc.xml_is_promotable else "Started"
        if up == "Unpromoted" and target is Role.UNPROMOTED:
            up += " (target-role)"
        for key, word in (("Promoted", "Promoted"), ("Up", up)):
            if lists[key]:
                lines.append(f"  * {word}: [ {_names(lists[key])} ]")
        settings = rsc.clone
        active = sum(len(nodes) for nodes in lists.values())
        if settings is None or rsc.unique or settings.maximum <= active:
            return lines
        return lines + self._stopped_lists(rsc, target)

    def _stopped_lists(self, rsc: Resource, target: Role | None) -> list[str]:
        nodes = [row.node for row in rsc.table.values()] or list(rsc.known.values())
        states: dict[str, list[Node]] = {}
        for node in nodes:
            if node in rsc.active:
                continue
            state = "Stopped (disabled)" if target is Role.STOPPED else "Stopped"
            probe = next(
                (
                    text
                    for i in rsc.children
                    for p in i.primitives()
                    if (text := self._failed_probe(p, node.name))
                ),
                None,
            )
            if probe:
                state = f"Stopped ({probe})"
            states.setdefault(state, []).append(node)
        return [f"  * {state}: [ {_names(states[state])} ]" for state in sorted(states)]

    # -- bundles

    def _bundle(self, rsc: Resource) -> list[str]:
        bundle = rsc.bundle
        assert bundle is not None, "a bundle has its settings"
        flags = [] if rsc.unique is False else ["unique"] if bundle.per_host > 1 else []
        if rsc.maintenance:
            flags.append("maintenance")
        elif not rsc.managed:
            flags.append("unmanaged")
        shown = f" ({', '.join(flags)})" if flags else ""
        word = "Container bundle set" if bundle.replicas_max > 1 else "Container bundle"
        lines = [f"* {word}: {rsc.id} [{bundle.image}]{shown}:"]
        for replica in bundle.replicas:
            shown_by = replica.child or replica.container
            name = (replica.connection or replica.container).id
            if replica.ip_address:
                name += f" ({replica.ip_address})"
            host = replica.container.active[0] if replica.container.active else None
            lines.append(f"  * {self._line(shown_by, name, host)}")
        return lines


def _configured_role(rsc: Resource) -> Role | None:
    """Return a clone's target role: its own, or that of what it is made of."""
    own = rsc.meta.get("target-role")
    return parse_role(own or rsc.children[0].meta.get("target-role"))


def _exit_text(code: int) -> str:
    return _EXIT.get(code) or ExitCode(code).label.capitalize()


def _names(nodes: list[Node]) -> str:
    return " ".join(node.name for node in sorted(nodes, key=lambda n: sort_key(n.name)))


def _shown_role(rsc: Resource) -> Role:
    if rsc.role is Role.STARTED and rsc.top.xml_is_promotable:
        return Role.UNPROMOTED
    return Role.STOPPED if rsc.role is Role.UNKNOWN else rsc.role


def _shown_id(rsc: Resource) -> str:
    return rsc.id if rsc.unique else base_name(rsc.id)


def _group_flags(rsc: Resource) -> str:
    flags = ["disabled"] if is_disabled(rsc) else []
    if rsc.maintenance:
        flags.append("maintenance")
    elif not rsc.managed:
        flags.append("unmanaged")
    return f" ({', '.join(flags)})" if flags else ""


def _clone_flags(rsc: Resource) -> str:
    flags = []
    if rsc.xml_is_promotable:
        flags.append("promotable")
    if rsc.unique:
        flags.append("unique")
    if is_disabled(rsc):
        flags.append("disabled")
    if rsc.maintenance:
        flags.append("maintenance")
    elif not rsc.managed:
        flags.append("unmanaged")
    return f" ({', '.join(flags)})" if flags else ""
