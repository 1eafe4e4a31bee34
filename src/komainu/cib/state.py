"""Define the one value that all nodes agree on: the cluster state.

It is changed only by `apply(state, command, …)` (cib/apply.py), in the order in which the ring delivers.
"""

from dataclasses import dataclass, field
from typing import Final

from komainu.cib.element import Element
from komainu.model.fencing import FenceRecord
from komainu.model.layout import Layout
from komainu.model.report import Report
from komainu.model.view import Position

FENCING_HISTORY_MAX: Final = 200
"""Entries of fencing history that are kept; the flight record keeps the older ones."""


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The CIB (configuration and status, with transient attributes and tickets) and the fencing history.

    `layout`: nodes and links as they were last changed while the cluster ran; None while komainu.toml alone says it.
    """

    cib: Element
    fencing: tuple[FenceRecord, ...] = ()
    position: Position = field(default_factory=Position)
    layout: Layout | None = None


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
