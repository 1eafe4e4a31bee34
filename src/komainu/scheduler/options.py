"""Read the cluster's options, with their defaults and old names; invalid values fall back to the default.

Knows no node and no resource.
Source: Pacemaker Explained, "Cluster-Wide Configuration".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from komainu.model import duration, score

_SYNONYMS: Final = {
    "fencing-enabled": "stonith-enabled",
    "fencing-action": "stonith-action",
    "fencing-timeout": "stonith-timeout",
    "stop-removed-resources": "stop-orphan-resources",
    "cancel-removed-actions": "stop-orphan-actions",
}
_INTEGER: Final = re.compile(r"\s*([+-]*)([0-9]+)")
_TRUE: Final = frozenset({"true", "on", "yes", "y", "1"})
_FALSE: Final = frozenset({"false", "off", "no", "n", "0"})
_COLOURS: Final = {"red": "node-health-red", "yellow": "node-health-yellow", "green": "node-health-green"}
_POLICIES: Final = frozenset({"stop", "freeze", "ignore", "demote", "fence", "suicide"})


def parse_bool(text: str | None, *, default: bool) -> bool:
    """Read a boolean as the CIB writes it; what is none gives the default."""
    if text is None:
        return default
    word = text.strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else default


def is_true(text: str | None) -> bool:
    """Tell whether the text is a true boolean."""
    return parse_bool(text, default=False)


INTEGER_MAX: Final = 2**63 - 1
"""The greatest number that the field's tools hold; what is greater counts as this."""

_DIGITS_SAFE: Final = len(str(INTEGER_MAX))
"""A number of fewer digits is smaller."""


def parse_int(text: str | None, default: int) -> int:
    """Read an integer: the numeric prefix counts, "no digits" gives the default."""
    if text is not None and text.isdecimal() and text.isascii() and len(text) < _DIGITS_SAFE:
        return int(text)  # nearly all are so
    found = _INTEGER.match(text or "")
    if found is None:
        return default
    # No need to read what is beyond the limit; Python refuses to read thousands of digits.
    digits = found[2].lstrip("0") or "0"
    number = int(digits) if len(digits) <= len(str(INTEGER_MAX)) else INTEGER_MAX
    number = min(number, INTEGER_MAX)
    return -number if found[1].startswith("-") else number


@dataclass(frozen=True, slots=True)
class Options:
    """The cluster's options, each in its own type."""

    raw: Mapping[str, str]
    symmetric: bool
    maintenance_mode: bool
    fencing_enabled: bool
    fencing_action: str
    fencing_timeout: str
    have_watchdog: bool
    startup_fencing: bool
    concurrent_fencing: bool
    priority_fencing_delay_ms: int
    node_pending_timeout_s: int
    fence_remote_without_quorum: bool
    no_quorum_policy: str
    stop_all_resources: bool
    stop_removed_resources: bool
    cancel_removed_actions: bool
    start_failure_is_fatal: bool
    startup_probes: bool
    shutdown_lock: bool
    shutdown_lock_limit_s: int
    placement_strategy: str
    health_strategy: str
    cluster_delay: str
    migration_limit: int
    batch_limit: int

    def text(self, name: str) -> str | None:
        """Return one option as written, under its new or old name."""
        return lookup(self.raw, name)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return one option as a boolean."""
        return parse_bool(self.text(name), default=default)

    def health_score(self, colour: str) -> int | None:
        """Return the score of a health colour under this strategy; None when the word is no colour."""
        option = _COLOURS.get(colour.strip().lower())
        if option is None:
            return None
        strategy = self.health_strategy
        if strategy == "migrate-on-red":
            return -score.INFINITY if option.endswith("red") else 0
        if strategy == "only-green":
            return 0 if option.endswith("green") else -score.INFINITY
        if strategy in {"progressive", "custom"}:
            default = score.MINUS_INFINITY if option.endswith("red") else score.ZERO
            return score.parse(self.text(option), default)
        return 0


def lookup(raw: Mapping[str, str], name: str) -> str | None:
    """Find an option under its name or its old one."""
    value = raw.get(name)
    if value is None and name in _SYNONYMS:
        value = raw.get(_SYNONYMS[name])
    return value


def _seconds(text: str | None) -> int:
    milliseconds = duration.parse_ms(text) or 0
    return 0 if milliseconds == 0 else max(1, (milliseconds + 500) // 1000)


def _quorum_policy(raw: Mapping[str, str], *, fencing: bool, may_fence: bool) -> str:
    """Settle what a partition without quorum does; fencing itself needs fencing, and a reason to panic."""
    policy = (lookup(raw, "no-quorum-policy") or "stop").lower()
    if policy not in _POLICIES:
        return "stop"
    if policy == "suicide":
        policy = "fence"
    if policy == "fence" and not (fencing and may_fence):
        return "stop"
    return policy


def _choice(text: str | None, default: str, allowed: frozenset[str]) -> str:
    return text if text is not None and text in allowed else default


def read(raw: Mapping[str, str], *, may_fence_without_quorum: bool) -> Options:
    """Read all options. `may_fence_without_quorum`: the partition is quorate or has panicked before."""

    def flag(name: str, *, default: bool) -> bool:
        return parse_bool(lookup(raw, name), default=default)

    fencing = flag("fencing-enabled", default=True)
    action = (lookup(raw, "fencing-action") or "reboot").lower()
    action = {"poweroff": "off"}.get(action, action)
    return Options(
        raw=raw,
        symmetric=flag("symmetric-cluster", default=True),
        maintenance_mode=flag("maintenance-mode", default=False),
        fencing_enabled=fencing,
        fencing_action=action if action in {"reboot", "off"} else "reboot",
        fencing_timeout=lookup(raw, "fencing-timeout") or "60s",
        have_watchdog=flag("have-watchdog", default=False),
        startup_fencing=fencing and flag("startup-fencing", default=True),
        concurrent_fencing=flag("concurrent-fencing", default=True),
        priority_fencing_delay_ms=duration.parse_ms(lookup(raw, "priority-fencing-delay")) or 0,
        node_pending_timeout_s=_seconds(lookup(raw, "node-pending-timeout")),
        fence_remote_without_quorum=flag("fence-remote-without-quorum", default=False),
        no_quorum_policy=_quorum_policy(raw, fencing=fencing, may_fence=may_fence_without_quorum),
        stop_all_resources=flag("stop-all-resources", default=False),
        stop_removed_resources=flag("stop-removed-resources", default=True),
        cancel_removed_actions=flag("cancel-removed-actions", default=True),
        start_failure_is_fatal=flag("start-failure-is-fatal", default=True),
        startup_probes=flag("enable-startup-probes", default=True),
        shutdown_lock=flag("shutdown-lock", default=False),
        shutdown_lock_limit_s=_seconds(lookup(raw, "shutdown-lock-limit")),
        placement_strategy=_choice(
            raw.get("placement-strategy"), "default", frozenset({"utilization", "minimal", "balanced"})
        ),
        health_strategy=_choice(
            raw.get("node-health-strategy"),
            "none",
            frozenset({"migrate-on-red", "only-green", "progressive", "custom"}),
        ),
        cluster_delay=lookup(raw, "cluster-delay") or "60s",
        migration_limit=parse_int(lookup(raw, "migration-limit"), -1),
        batch_limit=parse_int(lookup(raw, "batch-limit"), 0),
    )
