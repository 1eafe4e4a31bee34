"""Define who the nodes of a ring are and by which links they reach each other: the part of komainu.toml that is agreed on.

Its version grows with each change. A file of the same or a greater version than the stored one is believed as it stands.
"""

from dataclasses import dataclass

from komainu.model.ids import NodeId, NodeName
from komainu.model.link import LinkEnd


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """One node: its number, its name, its ends of the links by number, its votes."""

    node: NodeId
    name: NodeName
    ends: tuple[LinkEnd, ...]
    votes: int = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The nodes by number, after so many changes."""

    version: int
    nodes: tuple[NodeLayout, ...]
