"""Define how a plan is explained: what each node was worth to a resource, and why; what demands each action.

Frozen values that can be written as JSON. The sentences are plain English, in the field's words.
"""

from dataclasses import dataclass

from komainu.model.ids import NodeName, ResourceId


@dataclass(frozen=True, slots=True)
class Contribution:
    """One thing that made a node better or worse. `score` is in the CIB's form: 100, INFINITY, -INFINITY."""

    source: str  # location, stickiness, colocation, failures, ticket …: a word for programs
    score: str
    text: str  # says what it is, with the constraint's id where it is one


@dataclass(frozen=True, slots=True)
class NodeWeight:
    """What one node was worth when the choice was made, the best first in a Weighing."""

    node: NodeName
    score: str
    excluded: str  # why it cannot be taken at all; empty where it can
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True, slots=True)
class Weighing:
    """How the node of one resource was chosen. `decision` says what decided, `to_change` what would change it."""

    resource: ResourceId
    current: tuple[NodeName, ...]
    chosen: NodeName | None
    decision: str
    to_change: str
    nodes: tuple[NodeWeight, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """What is done (or cannot be done) and what demands it, step by step: each sentence caused the one before."""

    action: str
    is_blocked: bool
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The provenance of a plan, as far as it was asked for."""

    weighings: tuple[Weighing, ...] = ()
    demands: tuple[Demand, ...] = ()
    fencing: tuple[Demand, ...] = ()
