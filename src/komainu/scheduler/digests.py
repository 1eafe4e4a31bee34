"""Tell whether a resource's parameters are still those with which an operation was run.

The history keeps a digest of the parameters; here it is computed again from the configuration and compared.
Knows nothing of what is done about a change.
How a digest is computed is said in cib/digest.py.
Source: Pacemaker's op-digest, op-restart-digest and op-secure-digest.
"""

from enum import Enum
from typing import Final

from komainu.cib.digest import counted, digest
from komainu.scheduler import operations
from komainu.scheduler.description import Digested, Operation
from komainu.scheduler.entry import Entry
from komainu.scheduler.job import Job, Node, Resource

_FENCER_OWN: Final = frozenset({"provides", "stonith-timeout"})
USUAL_SECRETS: Final = frozenset({"passwd", "password", "user"})
"""The parameters that are secret where no agent said which are."""

HOST_ADDRESS: Final = "#uname"
"""The address of a bundle's connection that stands for "wherever the container is"."""


class Change(Enum):
    """How the configured parameters compare with those of the history entry."""

    NONE = "none"
    UNKNOWN = "unknown"  # the entry has no digest
    RELOAD = "reload"
    RESTART = "restart"


def digested(job: Job, rsc: Resource, task: str, interval_ms: int, node: Node) -> Digested:
    """Return what enters the digest of an operation on a node, and the digest."""
    described = rsc.description
    known = described.digested.get((task, interval_ms))
    if known is not None:
        return known
    op = operations.find(job, rsc, task, interval_ms)
    own = operations.own_parameters(job, rsc, op, node.attributes)
    parameters = _digest_parameters(job, rsc, (task, interval_ms), node, own)
    made = Digested(parameters, digest(parameters))
    has_own = op is not None and op.first("instance_attributes") is not None
    if not has_own and not described.has_parameter_rules and not needs_host_address(job, rsc):
        described.digested[task, interval_ms] = made  # it is the same on every node
    return made


def _digest_parameters(
    job: Job, rsc: Resource, operation: Operation, node: Node, own: dict[str, str]
) -> dict[str, str]:
    task, interval_ms = operation
    values = dict(own)
    for name, text in node_parameters(job, rsc, node).items():
        values.setdefault(name, text)
    if rsc.is_remote_connection and values.get("addr") == HOST_ADDRESS and rsc.launcher is not None:
        host = rsc.launcher.assigned_to or (rsc.launcher.active[0] if rsc.launcher.active else None)
        if host is not None:
            values["addr"] = host.name
    kept = counted(values.items())
    if interval_ms > 0:
        kept["CRM_meta_timeout"] = operations.meta_of(job, rsc, task, interval_ms)["timeout"]
    return kept


def node_parameters(job: Job, rsc: Resource, node: Node | None) -> dict[str, str]:
    """Return a resource's parameters as they are on a node."""
    return operations.parameters(job, rsc, None if node is None else (node.id, node.attributes))


def needs_host_address(job: Job, rsc: Resource) -> bool:
    """Tell whether the resource is a connection whose address is known only when its container is placed."""
    return (
        rsc.is_remote_connection
        and rsc.launcher is not None
        and operations.parameters(job, rsc, None).get("addr") == HOST_ADDRESS
    )


def compare(job: Job, rsc: Resource, node: Node, entry: Entry) -> Change:
    """Compare an entry's digests with the present configuration."""
    if entry in job.forced_entries:
        return Change.RESTART
    configured = digested(job, rsc, entry.task, entry.interval_ms, node)
    parameters = configured.parameters
    restart = entry.xml.get("op-restart-digest")
    if restart is not None:
        listed = entry.xml.get("op-force-restart")  # without a list, all of them force a restart
        names = parameters.keys() if listed is None else listed.split()
        relevant = {name: text for name, text in parameters.items() if name in names}
        if digest(relevant) != restart:
            return Change.RESTART
    recorded = entry.xml.get("op-digest")
    if recorded is None:
        return Change.UNKNOWN
    if configured.digest == recorded:
        return Change.NONE
    op = operations.find(job, rsc, entry.task, entry.interval_ms)
    has_own = bool(operations.own_parameters(job, rsc, op, node.attributes))
    return Change.RESTART if has_own and not entry.interval_ms else Change.RELOAD


def only_secrets_changed(job: Job, rsc: Resource, node: Node, entry: Entry) -> bool:
    """Tell whether all that is not secret is as it was: a file shown to others has its secrets removed."""
    recorded = entry.xml.get("op-secure-digest")
    if not job.is_simulated or recorded is None:
        return False
    secrets = (entry.xml.get("op-secure-params") or "").split()
    parameters = digested(job, rsc, entry.task, entry.interval_ms, node).parameters
    open_ones = {name: text for name, text in parameters.items() if name not in secrets}
    open_ones.pop("CRM_meta_timeout", None)
    declared = {name: text for name, text in open_ones.items() if not _is_fencer_own(rsc, name)}
    return recorded in {digest(open_ones), digest(declared)}


def shown_to_all(rsc: Resource, parameters: dict[str, str]) -> dict[str, str]:
    """Return what a fence agent itself declares and what, as far as is known, is no secret."""
    return {
        name: text
        for name, text in parameters.items()
        if name not in USUAL_SECRETS and not _is_fencer_own(rsc, name)
    }


def _is_fencer_own(rsc: Resource, name: str) -> bool:
    return rsc.is_fence_device and (name.startswith("pcmk_") or name in _FENCER_OWN)
