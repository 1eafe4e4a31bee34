"""Read what the configuration says about one operation of a resource: its time-out, and what its failure means.

Knows no action and no node. Source: Pacemaker Explained, "Resource Operations".
"""

from collections.abc import Mapping
from typing import Final

from komainu.cib.element import Element
from komainu.model import duration, iso8601
from komainu.model.role import Role
from komainu.model.role import parse as parse_role
from komainu.scheduler import attributes
from komainu.scheduler.job import Job, Resource
from komainu.scheduler.options import parse_bool
from komainu.scheduler.rules import RuleContext
from komainu.scheduler.words import OnFail

DEFAULT_TIMEOUT_MS: Final = 20_000
"""What an operation may take when nobody says otherwise; the field's default."""

_NAMES: Final = {
    "migrate_to": ("migrate_to", "migrate"),
    "migrate_from": ("migrate_from", "migrate"),
    "notified": ("notify",),
}
"""The names under which a task is configured, where it is not its own."""

_ON_FAIL: Final = {
    "block": OnFail.BLOCK,
    "fence": OnFail.FENCE,
    "standby": OnFail.STANDBY,
    "ignore": OnFail.IGNORE,
    "nothing": OnFail.IGNORE,
    "migrate": OnFail.BAN,
    "stop": OnFail.STOP,
    "restart": OnFail.RESTART,
    "restart-container": OnFail.RESTART_CONTAINER,
    "demote": OnFail.DEMOTE,
}


def interval_of(op: Element) -> int:
    """Return a configured operation's interval in milliseconds."""
    return duration.parse_ms(op.get("interval")) or 0


def is_enabled(job: Job, rsc: Resource, op: Element) -> bool:
    """Tell whether the operation is switched on, in its attributes or in its own meta attributes."""
    text = op.get("enabled")
    if text is None and op.children:
        text = attributes.read_sets(op, "meta_attributes", context(job, rsc, op)).get("enabled")
    return parse_bool(text, default=True)


def context(
    job: Job, rsc: Resource, op: Element | None = None, node_attributes: Mapping[str, str] | None = None
) -> RuleContext:
    """Make the rule context for a resource, or one of its operations; on a node, where its attributes are given."""
    operation = None if op is None else (op.get("name") or "", interval_of(op))
    return RuleContext(job.now_s, job.recheck, node_attributes, agent_of(rsc), operation)


def agent_of(rsc: Resource) -> tuple[str, str, str]:
    """Return class, provider and type."""
    return rsc.description.agent


def find(
    job: Job, rsc: Resource, task: str, interval_ms: int, *, only_enabled: bool = False
) -> Element | None:
    """Return the configured operation with this name and interval; migrations fall back to `migrate`."""
    known = rsc.description.found
    wanted = task, interval_ms, only_enabled
    if wanted not in known:
        known[wanted] = _find(job, rsc, task, interval_ms, only_enabled=only_enabled)
    return known[wanted]


def _find(job: Job, rsc: Resource, task: str, interval_ms: int, *, only_enabled: bool) -> Element | None:
    for name in _NAMES.get(task, (task,)):
        for op in rsc.operations:
            if op.attributes.get("name") != name or interval_of(op) != interval_ms:
                continue
            if not only_enabled or is_enabled(job, rsc, op):
                return op
    return None


def is_probe(task: str, interval_ms: int) -> bool:
    """Tell whether the operation asks whether something is active, once."""
    return task == "monitor" and interval_ms == 0


def _most_frequent_monitor(job: Job, rsc: Resource) -> Element | None:
    monitors = [
        op
        for op in rsc.operations
        if op.get("name") == "monitor" and interval_of(op) > 0 and is_enabled(job, rsc, op)
    ]
    return min(monitors, key=interval_of, default=None)


def meta_of(job: Job, rsc: Resource, task: str, interval_ms: int) -> Mapping[str, str]:
    """Return an operation's meta attributes, the same on every node; time-out and interval in milliseconds."""
    known = rsc.description.operation_meta
    operation = task, interval_ms
    if operation not in known:
        known[operation] = _collect_meta(job, rsc, task, interval_ms)
    return known[operation]


def _collect_meta(job: Job, rsc: Resource, task: str, interval_ms: int) -> dict[str, str]:
    op = find(job, rsc, task, interval_ms)
    meta: dict[str, str] = {}
    about = RuleContext(job.now_s, job.recheck, resource=agent_of(rsc), operation=(task, interval_ms))
    if op is not None:
        meta.update({name: text for name, text in op.attributes.items() if name != "id"})
        for name, text in attributes.read_sets(op, "meta_attributes", about).items():
            meta.setdefault(name, text)
    if is_probe(task, interval_ms) and "timeout" not in meta:
        monitor = _most_frequent_monitor(job, rsc)
        timeout = None if monitor is None else _explicit_timeout(monitor, about)
        if timeout is not None:
            meta["timeout"] = timeout
    for name, text in _op_defaults(job, about).items():
        meta.setdefault(name, text)
    _settle_on_fail(job, rsc, (task, interval_ms), meta)
    _normalize(job, rsc, meta, (task, interval_ms))
    return meta


def _explicit_timeout(monitor: Element, about: RuleContext) -> str | None:
    own = monitor.get("timeout")
    return own or attributes.read_sets(monitor, "meta_attributes", about).get("timeout")


def _op_defaults(job: Job, about: RuleContext) -> dict[str, str]:
    defaults = job.op_defaults
    return {} if defaults is None else attributes.read_sets(defaults, "meta_attributes", about)


def _normalize(job: Job, rsc: Resource, meta: dict[str, str], operation: tuple[str, int]) -> None:
    task, interval_ms = operation
    meta.pop("interval", None)
    if interval_ms > 0:
        meta["interval"] = str(interval_ms)
    timeout = meta.get("timeout")
    if rsc.is_fence_device and (task == "start" or is_probe(task, interval_ms)):
        timeout = parameters(job, rsc, None).get("pcmk_monitor_timeout") or timeout
    milliseconds = duration.parse_ms(timeout)
    meta["timeout"] = str(DEFAULT_TIMEOUT_MS if milliseconds is None else milliseconds)
    delay = duration.parse_ms(meta.get("start-delay"))
    if delay is not None:
        meta["start-delay"] = str(delay)
    elif interval_ms > 0 and "interval-origin" in meta:
        origin = iso8601.parse_moment(meta["interval-origin"], job.now_s)
        if origin is not None:
            meta["start-delay"] = str((origin - job.now_s) * 1000 % interval_ms)


def parameters(job: Job, rsc: Resource, node_attributes: tuple[str, dict[str, str]] | None) -> dict[str, str]:
    """Return the parameters for a node: its id and attributes; None makes rules about nodes false."""
    described = rsc.description
    key = None if node_attributes is None or not described.has_parameter_rules else node_attributes[0]
    cached = described.parameters.get(key)
    if cached is not None:
        return cached
    about = context(job, rsc, None, None if node_attributes is None else node_attributes[1])
    values: dict[str, str] = {}
    for element in described.attribute_xml:
        for name, text in attributes.read_sets(element, "instance_attributes", about).items():
            values.setdefault(name, text)
    described.parameters[key] = values
    return values


def own_parameters(
    job: Job, rsc: Resource, op: Element | None, node_attributes: dict[str, str] | None
) -> dict[str, str]:
    """Return the parameters that only this operation has."""
    if op is None or op.first("instance_attributes") is None:
        return {}
    about = context(job, rsc, op, node_attributes)
    return attributes.read_sets(op, "instance_attributes", about)


# -- what a failure demands -----------------------------------------------------------------------------


def on_fail(job: Job, rsc: Resource, operation: tuple[str, int], meta: Mapping[str, str]) -> OnFail:
    """Say what a failure of the operation demands: what its meta attributes say, or the default."""
    task, interval_ms = operation
    value = meta.get("on-fail")
    if value == "fence" and not job.options.fencing_enabled:
        value = "stop"
    wanted = _ON_FAIL.get((value or "").lower())
    if wanted is OnFail.RESTART_CONTAINER and rsc.launcher is None:
        wanted = None
    return _default_on_fail(job, rsc, task, interval_ms) if wanted is None else wanted


def _settle_on_fail(job: Job, rsc: Resource, operation: tuple[str, int], meta: dict[str, str]) -> None:
    """Take an on-fail away where the operation cannot have it; a demote may inherit one."""
    value = meta.get("on-fail")
    if value is not None and not _may_have(value, operation, meta):
        del meta["on-fail"]
    if "on-fail" not in meta and operation[0] == "demote":
        inherited = _demote_default(job, rsc)
        if inherited is not None:
            meta["on-fail"] = inherited


def _may_have(value: str, operation: tuple[str, int], meta: Mapping[str, str]) -> bool:
    task, interval_ms = operation
    if task == "stop" and value in {"standby", "demote", "stop"}:
        return False
    if value == "demote" and task not in {"promote", "demote"}:
        return task == "monitor" and interval_ms > 0 and parse_role(meta.get("role")) is Role.PROMOTED
    return not (value == "demote" and task == "demote")


def _demote_default(job: Job, rsc: Resource) -> str | None:
    """A demote without on-fail takes that of the last recurring monitor of the promoted role."""
    found = None
    for op in rsc.operations:
        is_wanted = (
            op.get("name") == "monitor"
            and interval_of(op) > 0
            and parse_role(op.get("role")) is Role.PROMOTED
            and is_enabled(job, rsc, op)
        )
        value = op.get("on-fail") or attributes.read_sets(op, "meta_attributes", context(job, rsc, op)).get(
            "on-fail"
        )
        if is_wanted and value is not None and value != "demote":
            found = value
    return found


def _default_on_fail(job: Job, rsc: Resource, task: str, interval_ms: int) -> OnFail:
    if rsc.launcher is not None:
        return OnFail.RESTART_CONTAINER
    if rsc.is_remote_connection:
        if not rsc.managed:
            return OnFail.STOP
        if not is_probe(task, interval_ms) and task != "start":
            return OnFail.RESET_REMOTE
    if task == "stop":
        return OnFail.FENCE if job.options.fencing_enabled else OnFail.BLOCK
    return OnFail.RESTART


def role_after_failure(rsc: Resource, task: str, demand: OnFail) -> Role:
    """Return the role that a resource shall have after a failed operation."""
    if demand is OnFail.STOP:
        return Role.STOPPED
    if demand is OnFail.RESET_REMOTE and rsc.reconnect_ms:
        return Role.STOPPED
    return Role.UNPROMOTED if task == "promote" else Role.STARTED
