"""Decide how many operations each node takes at a time, and what this node says of itself for it.

Pure. It must not know how a load is measured, nor what waits for a limit (controller/limits.py). Each node says how many
cores it has once it has joined, and how loaded it is when that changes: as transient attributes, so that every
coordinator, also the next one, knows. Nothing is planned by them.

| load per core         | said as   | operations at a time                                                 |
|-----------------------|-----------|----------------------------------------------------------------------|
| up to load-threshold  | (nothing) | node-action-limit, or two for each core where that is 0              |
| up to twice as much   | `high`    | half of that                                                         |
| more                  | `extreme` | a quarter; two at least, so that an agent that hangs does not hold all |

Source: Pacemaker Explained, "Cluster Options": batch-limit, node-action-limit, load-threshold (80 %), migration-limit.
What it reduces by which load is not written there; this is our own, and the simplest.
"""

from typing import Final

from komainu.cib.command import SetAttribute
from komainu.cib.element import Element
from komainu.cib.nodes import has_joined, name_of, node_state, node_states
from komainu.cib.options import cluster_option, read_int
from komainu.cib.pairs import pair_value, transient_value
from komainu.controller.limits import Limits, NodeLimit
from komainu.model.cause import Cause
from komainu.model.ids import NodeName, WallTime
from komainu.node.interface import MachineSeen

CORES: Final = "#cores"
"""The transient attribute that says how many processors a node's daemon and agents may use."""

LOAD: Final = "#load"
"""The transient attribute of a node whose load is above load-threshold: "high" or "extreme"."""

OPERATIONS_PER_CORE: Final = 2
"""The field's default: twice the number of cores."""

OPERATIONS_MIN: Final = 2
"""A load lowers a limit no further: agents wait more than they compute, and one that hangs must not hold the rest."""

THRESHOLD_PERCENT_DEFAULT: Final = 80
"""The field's default of load-threshold."""

_SHARES: Final = {"high": 2, "extreme": 4}
"""By what a load divides the number of operations."""


class Workload:
    """What this node has to say of its processors."""

    def __init__(self, me: NodeName) -> None:
        self._me = me
        self._seen: MachineSeen | None = None
        self._is_news = False

    def saw(self, event: MachineSeen) -> None:
        """Take in what the shell measured."""
        self._is_news = event != self._seen
        self._seen = event

    def due(self, cib: Element, at: WallTime) -> list[SetAttribute]:
        """Return what changed since it was said; a node that has not joined says nothing yet."""
        if not self._is_news or not has_joined(node_state(cib, self._me)):
            return []
        return self._said(cib, at, is_wiped=False)

    def after_join(self, cib: Element, at: WallTime) -> list[SetAttribute]:
        """Return what follows a join, which wipes what was said in an earlier life."""
        return self._said(cib, at, is_wiped=not has_joined(node_state(cib, self._me)))

    def _said(self, cib: Element, at: WallTime, *, is_wiped: bool) -> list[SetAttribute]:
        self._is_news = False
        if self._seen is None:
            return []
        level = _level(self._seen.load_percent, cib)
        text = f"{self._me} has {self._seen.cores} cores, and a load of {self._seen.load_percent} % of them"
        return [
            SetAttribute(Cause("machine.seen", text), at, "", self._me, name, value)
            for name, value in ((CORES, str(self._seen.cores)), (LOAD, level))
            if value != (None if is_wiped else transient_value(cib, self._me, name))
        ]


def limits_of(cib: Element) -> Limits:
    """Read how many operations may be under way at one time."""
    batch, each, migrations = (
        read_int(cluster_option(cib, name))
        for name in ("batch-limit", "node-action-limit", "migration-limit")
    )
    return Limits(
        cluster=batch if batch > 0 else None,
        nodes={name_of(state): _limit(state, each) for state in node_states(cib)},
        elsewhere=NodeLimit(each if each > 0 else OPERATIONS_PER_CORE),
        migrations=migrations if migrations > 0 else None,
    )


def _limit(state: Element, configured: int) -> NodeLimit:
    """Return the limit of one node; one that has not said its cores counts as having one."""
    home = state.first("transient_attributes")
    cores = max(1, read_int(pair_value(home, "instance_attributes", CORES)))
    load = pair_value(home, "instance_attributes", LOAD) or ""
    usual = configured if configured > 0 else OPERATIONS_PER_CORE * cores
    count = max(min(usual, OPERATIONS_MIN), usual // _SHARES.get(load, 1))
    return NodeLimit(count, f"its load is {load}, {usual} otherwise" if count < usual else "")


def _level(load_percent: int, cib: Element) -> str | None:
    """Say how loaded a node is; a load-threshold of 0 or less: nobody minds."""
    text = (cluster_option(cib, "load-threshold") or "").strip().removesuffix("%")
    threshold = read_int(text, THRESHOLD_PERCENT_DEFAULT)
    if threshold <= 0 or load_percent <= threshold:
        return None
    return "high" if load_percent <= 2 * threshold else "extreme"
