"""Name what the phases talk about: kinds of resources, demands of failures, flags of actions and relations.

Constants and enumerations only; what carries them is in job.py.
Source: Pacemaker Explained; the order of `OnFail` is part of the behaviour.
"""

from enum import Enum, IntEnum
from typing import Final

INFINITY: Final = 1_000_000


INSTANCES_MAX: Final = 256
"""More instances than any clone or bundle has (64 nodes, 4 on each): a number with a slip must not fill the memory."""


def add_scores(left: int, right: int) -> int:
    """Add two scores; minus INFINITY beats INFINITY, and INFINITY beats any number."""
    if left <= -INFINITY or right <= -INFINITY:
        return -INFINITY
    if left >= INFINITY or right >= INFINITY:
        return INFINITY
    total = left + right
    if -INFINITY <= total <= INFINITY:
        return total
    return INFINITY if total > 0 else -INFINITY


class Kind(Enum):
    """What a resource is: one thing that an agent runs, or a collective of such things."""

    PRIMITIVE = "primitive"
    GROUP = "group"
    CLONE = "clone"
    BUNDLE = "bundle"


class Requires(IntEnum):
    """What has to be certain before a resource may start."""

    NOTHING = 0
    QUORUM = 1
    FENCING = 2
    UNFENCING = 3


class OnFail(IntEnum):
    """What a failed operation demands; the greatest demand among all failures is the one that is met."""

    IGNORE = 0
    DEMOTE = 1
    RESTART = 2
    RESET_REMOTE = 3
    RESTART_CONTAINER = 4
    BAN = 5
    BLOCK = 6
    STOP = 7
    STANDBY = 8
    FENCE = 9


class MultipleActive(Enum):
    """What to do with a resource that is found active more often than it may be."""

    RESTART = "stop_start"
    STOP_ONLY = "stop_only"
    BLOCK = "block"
    STOP_UNEXPECTED = "stop_unexpected"


class Discovery(IntEnum):
    """Whether a node is probed for a resource. A greater value overrides a smaller one."""

    ALWAYS = 0
    NEVER = 1
    EXCLUSIVE = 2


class Step(Enum):
    """What weighs nodes, in the order in which it does: the source of each contribution to a score."""

    NODE = "node"  # what a node is worth to every resource
    HISTORY = "history"  # failures that forbid a node, and other findings
    TICKET = "ticket"
    LOCK = "shutdown-lock"
    LOCATION = "location"
    STICKINESS = "stickiness"
    FAILURES = "failures"  # too many of them
    INTERNAL = "internal"  # remote nodes, launchers
    SPREAD = "spread"  # instances among each other, and their promotion scores
    DEPENDENT = "colocation"  # of this resource with another
    PRIMARY = "colocation-of-others"  # of others with this one
    TARGET = "target-role"
    ROOM = "utilization"


class Flag:
    """What holds of an action; bits, since relations compare and clear several at once."""

    OPTIONAL: Final = 1
    RUNNABLE: Final = 2
    PSEUDO: Final = 4
    MIGRATABLE: Final = 8


class Rel:
    """What a relation between a first and a then action means; bits, several may hold at once."""

    ORDERED: Final = 1 << 0
    FIRST_IMPLIES_THEN: Final = 1 << 1
    THEN_IMPLIES_FIRST: Final = 1 << 2
    PROMOTED_THEN_IMPLIES_FIRST: Final = 1 << 3
    UNRUNNABLE_FIRST_BLOCKS: Final = 1 << 4
    ASYMMETRIC: Final = 1 << 5
    INTERMEDIATE_STOP: Final = 1 << 6
    UNMIGRATABLE_THEN_BLOCKS: Final = 1 << 7
    FIRST_ELSE_THEN: Final = 1 << 8
    FIRST_IMPLIES_SAME_NODE_THEN: Final = 1 << 9
    MIN_RUNNABLE: Final = 1 << 10
    NESTED_REMOTE_PROBE: Final = 1 << 11
    THEN_IMPLIES_FIRST_GRAPHED: Final = 1 << 12
    FIRST_IMPLIES_THEN_GRAPHED: Final = 1 << 13
    IF_ON_SAME_NODE: Final = 1 << 14
    IF_ON_SAME_NODE_OR_TARGET: Final = 1 << 15
    IF_REQUIRED_ON_SAME_NODE: Final = 1 << 16
    IF_FIRST_UNMIGRATABLE: Final = 1 << 17
    THEN_CANCELS_FIRST: Final = 1 << 18
    GUEST_ALLOWED: Final = 1 << 19
    SERIALIZE: Final = 1 << 20
