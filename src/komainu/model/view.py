"""Describe the membership that nodes agree on: a view, and why it replaced the one before."""

import msgspec

from komainu.model.ids import Incarnation, NodeId


class ViewId(msgspec.Struct, frozen=True, order=True):
    """The name of a view, unique for ever: a counter that only grows, and the node that proposed it."""

    counter: int
    proposer: NodeId

    def __str__(self) -> str:
        """Write it as people see it: 17.1."""
        return f"{self.counter}.{self.proposer}"


class View(msgspec.Struct, frozen=True):
    """An installed membership. All members of one view id hold the same value.

    `members` is sorted by id. The coordinator is its first: a function of the view, nobody elects it.
    """

    view_id: ViewId
    members: tuple[NodeId, ...]
    quorate: bool
    quorum_reason: str  # one sentence: "2 of 2 votes", "two_node: 1 of 2 votes is enough"

    @property
    def coordinator(self) -> NodeId:
        """The member that plans and orders for this view."""
        return self.members[0]


class Delivered(msgspec.Struct, frozen=True, array_like=True):
    """The last payload of one life that a line of state has taken in. `submit` numbers those of a life from 1."""

    node: NodeId
    life: Incarnation
    submit: int


class Position(msgspec.Struct, frozen=True, order=True):
    """How far a node's cluster state has come; the greater one is the one to keep when states meet.

    `lineage` grows by one with each quorate view and is stored before anything is acknowledged in that view,
    so a state that went on with quorum always beats one that was left behind. `index` counts the commands
    applied within the lineage.
    """

    lineage: int = 0
    index: int = 0

    def __str__(self) -> str:
        """Write it as records name each other: LINEAGE.INDEX."""
        return f"{self.lineage}.{self.index}"
