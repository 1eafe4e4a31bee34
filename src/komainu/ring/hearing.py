"""Keep who of the peers hears whom, by their own words: for each the others that it hears and that hear it.

A set of nodes is a number here, with one bit a node (`bits`), the lowest node in the lowest bit. It is asked after every
news of every peer: computed anew each time, from all pairs, the forming of a large ring took longer by the fourth
power of its nodes. So only what changed since the last time is entered.

Must not know: time, and who is wanted.
"""

from collections.abc import Iterable, Mapping

from komainu.model.ids import Incarnation, NodeId
from komainu.ring.packet import Beat, Member


class Hearing:
    """Who hears whom among these nodes, in the lives in which they were last seen."""

    def __init__(self, nodes: Iterable[NodeId]) -> None:
        self.bits = {node: 1 << place for place, node in enumerate(sorted(nodes))}
        self._lives: dict[NodeId, Incarnation] = {}
        self._told: dict[NodeId, tuple[Member, ...]] = {}
        self._heard: dict[NodeId, frozenset[Member]] = {}  # the same, to look into
        self._hears = dict.fromkeys(self.bits, 0)
        self._heard_by = dict.fromkeys(self.bits, 0)

    def near(self, friends: Mapping[Member, Beat]) -> dict[NodeId, int]:
        """Return for each of these who else of them it hears and is heard by. Their words are taken in first."""
        for member, beat in friends.items():
            if self._lives.get(member.node) != member.life:
                self._begin_life(member)
            if self._told.get(member.node) is not beat.hears:
                self._take_in(member.node, beat.hears)
        among = self.set_of(member.node for member in friends)
        return {
            member.node: self._hears[member.node] & self._heard_by[member.node] & among for member in friends
        }

    def set_of(self, nodes: Iterable[NodeId]) -> int:
        """Return the set of these nodes."""
        return sum(self.bits[node] for node in nodes)

    def _begin_life(self, member: Member) -> None:
        """Enter anew who hears this node: what was said of an earlier life is not about this one."""
        self._lives[member.node] = member.life
        for other, heard in self._heard.items():
            if other != member.node:
                self._enter(other, member.node, does_hear=member in heard)

    def _take_in(self, node: NodeId, told: tuple[Member, ...]) -> None:
        before, heard = self._heard.get(node, frozenset()), frozenset(told)
        self._told[node], self._heard[node] = told, heard
        for other in {member.node for member in before ^ heard}:
            life = self._lives.get(other)
            if life is not None and other != node:
                self._enter(node, other, does_hear=Member(other, life) in heard)

    def _enter(self, node: NodeId, other: NodeId, *, does_hear: bool) -> None:
        if does_hear:
            self._hears[node] |= self.bits[other]
            self._heard_by[other] |= self.bits[node]
        else:
            self._hears[node] &= ~self.bits[other]
            self._heard_by[other] &= ~self.bits[node]
