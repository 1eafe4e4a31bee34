"""List the options that the cluster knows, with the kind of each value: for warnings about misspelt ones.

Decides what is a known name and a right value. Must not know what an option does.
Source: Pacemaker Explained, "Cluster Options", "Resource Options", "Clone Options", "Operation Properties",
"Alert Options"; old names stand beside the new ones since both are read.
"""

from collections.abc import Mapping
from typing import Final

from komainu.cib.value import (
    BOOLEAN,
    COUNT,
    DURATION,
    HEALTH_SCORE,
    INTEGER,
    NAME,
    PERCENT,
    PORT,
    ROLE,
    SCORE,
    TEXT,
    TIMEOUT,
    Kind,
    enum,
)

_FENCING_ACTION: Final = enum("reboot", "off", "poweroff")
_REQUIRES: Final = enum("nothing", "quorum", "fencing", "unfencing")

CLUSTER_OPTIONS: Final[Mapping[str, Kind]] = {
    "dc-version": TEXT,
    "cluster-infrastructure": TEXT,
    "cluster-name": TEXT,
    "have-watchdog": BOOLEAN,
    "no-quorum-policy": enum("stop", "freeze", "ignore", "demote", "fence", "suicide"),
    "symmetric-cluster": BOOLEAN,
    "maintenance-mode": BOOLEAN,
    "stop-all-resources": BOOLEAN,
    "start-failure-is-fatal": BOOLEAN,
    "enable-startup-probes": BOOLEAN,
    "stop-orphan-resources": BOOLEAN,
    "stop-removed-resources": BOOLEAN,
    "stop-orphan-actions": BOOLEAN,
    "cancel-removed-actions": BOOLEAN,
    "remove-after-stop": BOOLEAN,
    "shutdown-lock": BOOLEAN,
    "shutdown-lock-limit": DURATION,
    "stonith-enabled": BOOLEAN,
    "fencing-enabled": BOOLEAN,
    "stonith-action": _FENCING_ACTION,
    "fencing-action": _FENCING_ACTION,
    "stonith-timeout": DURATION,
    "fencing-timeout": DURATION,
    "stonith-max-attempts": SCORE,
    "fencing-max-attempts": SCORE,
    "stonith-watchdog-timeout": TIMEOUT,
    "fencing-watchdog-timeout": TIMEOUT,
    "fence-reaction": enum("stop", "panic"),
    "fencing-reaction": enum("stop", "panic"),
    "concurrent-fencing": BOOLEAN,
    "startup-fencing": BOOLEAN,
    "priority-fencing-delay": DURATION,
    "fence-remote-without-quorum": BOOLEAN,
    "node-pending-timeout": DURATION,
    "cluster-delay": DURATION,
    "batch-limit": INTEGER,
    "migration-limit": INTEGER,
    "load-threshold": PERCENT,
    "node-action-limit": INTEGER,
    "dc-deadtime": DURATION,
    "election-timeout": DURATION,
    "shutdown-escalation": DURATION,
    "join-integration-timeout": DURATION,
    "join-finalization-timeout": DURATION,
    "crmd-integration-timeout": DURATION,
    "crmd-finalization-timeout": DURATION,
    "transition-delay": DURATION,
    "crmd-transition-delay": DURATION,
    "cluster-recheck-interval": DURATION,
    "pe-error-series-max": INTEGER,
    "pe-warn-series-max": INTEGER,
    "pe-input-series-max": INTEGER,
    "node-health-strategy": enum("none", "migrate-on-red", "only-green", "progressive", "custom"),
    "node-health-base": HEALTH_SCORE,
    "node-health-green": HEALTH_SCORE,
    "node-health-yellow": HEALTH_SCORE,
    "node-health-red": HEALTH_SCORE,
    "placement-strategy": enum("default", "utilization", "minimal", "balanced"),
    "enable-acl": BOOLEAN,
    "cluster-ipc-limit": COUNT,
    "last-lrm-refresh": TEXT,
}

RESOURCE_META: Final[Mapping[str, Kind]] = {
    "priority": SCORE,
    "critical": BOOLEAN,
    "target-role": ROLE,
    "is-managed": BOOLEAN,
    "maintenance": BOOLEAN,
    "resource-stickiness": SCORE,
    "requires": _REQUIRES,
    "provides": TEXT,
    "migration-threshold": SCORE,
    "failure-timeout": DURATION,
    "multiple-active": enum("block", "stop_only", "stop_start", "stop_unexpected"),
    "allow-migrate": BOOLEAN,
    "allow-unhealthy-nodes": BOOLEAN,
    "container": NAME,
    "container-attribute-target": TEXT,
    "remote-node": NAME,
    "remote-addr": NAME,
    "remote-port": PORT,
    "remote-connect-timeout": DURATION,
    "remote-allow-migrate": BOOLEAN,
    "resource-discovery-enabled": BOOLEAN,
    "restart-type": enum("ignore", "restart"),
    "description": TEXT,
    "is_managed": BOOLEAN,
}

GROUP_META: Final[Mapping[str, Kind]] = {**RESOURCE_META, "ordered": BOOLEAN, "collocated": BOOLEAN}

CLONE_META: Final[Mapping[str, Kind]] = {
    **RESOURCE_META,
    "clone-max": COUNT,
    "clone-node-max": COUNT,
    "clone-min": COUNT,
    "globally-unique": BOOLEAN,
    "notify": BOOLEAN,
    "ordered": BOOLEAN,
    "interleave": BOOLEAN,
    "promotable": BOOLEAN,
    "promoted-max": COUNT,
    "promoted-node-max": COUNT,
    "master-max": COUNT,
    "master-node-max": COUNT,
}

OPERATION_META: Final[Mapping[str, Kind]] = {
    "interval": DURATION,
    "timeout": TIMEOUT,
    "start-delay": DURATION,
    "interval-origin": TEXT,
    "on-fail": enum("ignore", "block", "demote", "stop", "restart", "standby", "fence", "restart-container"),
    "role": ROLE,
    "enabled": BOOLEAN,
    "record-pending": BOOLEAN,
    "requires": _REQUIRES,
    "description": TEXT,
}

ALERT_META: Final[Mapping[str, Kind]] = {"enabled": BOOLEAN, "timeout": DURATION, "timestamp-format": TEXT}

META_OF: Final[Mapping[str, Mapping[str, Kind]]] = {
    "primitive": {**RESOURCE_META, **CLONE_META},  # a clone's own are often set at its child
    "template": RESOURCE_META,
    "group": {**GROUP_META, **CLONE_META},
    "clone": CLONE_META,
    "master": CLONE_META,
    "bundle": CLONE_META,
    "rsc_defaults": CLONE_META,
    "op_defaults": OPERATION_META,
    "op": OPERATION_META,
    "alert": ALERT_META,
    "recipient": ALERT_META,
}
"""The meta attributes that the owner of a `meta_attributes` set knows, by its tag."""

NODE_ATTRIBUTES: Final[Mapping[str, Kind]] = {"standby": BOOLEAN, "maintenance": BOOLEAN}
"""Attributes of nodes that the cluster reads, and whose values it understands; all others are the user's."""

AGENT_CLASSES: Final = ("ocf", "systemd", "service", "lsb", "stonith", "nagios", "upstart", "heartbeat")
"""The classes of agents; the last three belong to older releases."""
