"""Define the one value that all nodes agree on: the cluster state.

It is changed only by `apply(state, command, …)` (cib/apply.py), in the order in which the ring delivers.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from komainu.cib.element import Element
from komainu.model.fencing import FenceRecord
from komainu.model.layout import Layout
from komainu.model.report import Report
from komainu.model.view import Delivered, Position

FENCING_HISTORY_MAX: Final = 200
"""Entries of fencing history that are kept; the flight record keeps the older ones."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The CIB (configuration and status, with transient attributes and tickets) and the fencing history.

    `layout`: nodes and links as they were last changed while the cluster ran; None while komainu.toml alone says it.
    `taken`: the last command of each node that is part of it, by node. It is stored with it: a sender that did not learn
    of that offers a command again to whoever holds the state, also to those that hold it from their disks alone.
    """

    cib: Element
    fencing: tuple[FenceRecord, ...] = ()
    position: Position = field(default_factory=Position)
    layout: Layout | None = None
    taken: tuple[Delivered, ...] = ()

    def after(self, memory: Delivered | None) -> "ClusterState":
        """Return the state with one more command taken in."""
        if memory is None:
            return self
        others = (each for each in self.taken if each.node != memory.node)
        return replace(self, taken=tuple(sorted((*others, memory), key=lambda each: each.node)))


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a command, alike on every node.

    A refused command leaves the state as it was, but for the position. `changes_configuration` tells the
    caller that the state has to be stored before the command counts as done.
    """

    state: ClusterState
    refusals: tuple[Report, ...] = ()
    changes_configuration: bool = False

    @property
    def is_accepted(self) -> bool:
        """Whether the command took effect."""
        return not self.refusals
