"""Know who is in Corosync's group, who of them counts, and who has said where it stands since the group changed.

Must not know: what the standings amount to (agreement.py), what is delivered (stream.py).

Theory of operation. The group changes at one place of the total order. From there on everybody is silent but for
standings, until the last member that counts has given one that names the very group that we see: then all of them
have the same standings and compute the same view. A further change of the group begins the roll call anew.

A standing that was on its way during a change may tell of a view that its sender has left since. So it carries how
many words of its sender come before it, counted from the change that the sender knew; all members count likewise. If
the count is right, nothing of the sender was delivered between the two changes, so no roll call can have ended there,
and the standing is still true.

Corosync watches nodes, not daemons: one that hangs stays in the group for ever. So members tell that they live, and
an accusation, ordered like everything, takes one out: void, on all members alike, if the accused said anything since.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from komainu.model.ids import Instant, NodeId
from komainu.ring.corosync.interface import Ending, GroupChanged, GroupMember
from komainu.ring.corosync.words import Accuse, AnyWord, Process, Standing
from komainu.ring.packet import Gone

QUORUM_WAIT_MS: Final = 1_000
"""How long a standing waits for votequorum's word on the new membership; it comes within milliseconds."""


@dataclass(slots=True)
class _Known:
    """What is known of one process since the group last changed."""

    heard: int = 0
    heard_at: Instant = Instant(0)
    is_out: bool = False
    accused_at: int = -1  # how much was heard of it when we accused it last


@dataclass(slots=True)
class RollCall:
    """The group, and the standings of its members. `is_open`: somebody who counts is still missing."""

    me: NodeId
    known_nodes: frozenset[NodeId]
    is_open: bool = False
    has_called: bool = False
    since: Instant = Instant(0)
    standings: dict[NodeId, Standing] = field(default_factory=dict)
    changes: int = 0  # of the group, so far
    in_flight: int = 0  # words of ours that have not come back
    ahead: int = 0  # the number of our next word, counted from the change of the group
    _members: dict[GroupMember, _Known] = field(default_factory=dict)

    @property
    def live(self) -> tuple[Process, ...]:
        """Those who count: in the group, of our cluster, and not taken out."""
        return tuple(
            Process(member.node, member.process)
            for member, known in sorted(self._members.items())
            if not known.is_out and member.node in self.known_nodes
        )

    @property
    def strangers(self) -> tuple[NodeId, ...]:
        """Nodes in the group that komainu.toml does not know."""
        return tuple(sorted({member.node for member in self._members} - self.known_nodes))

    @property
    def is_in_group(self) -> bool:
        """Whether this node's own process counts."""
        return any(process.node == self.me for process in self.live)

    def counts(self, member: GroupMember) -> bool:
        """Whether what this process says is taken."""
        known = self._members.get(member)
        return known is not None and not known.is_out and member.node in self.known_nodes

    # -- the group --------------------------------------------------------------------------------------

    def change(self, event: GroupChanged, now: Instant) -> list[Gone]:
        """Take in a change of the group; return the words on who is gone."""
        mine = {member for member in event.members if member.node == self.me}
        if not mine & set(self._members):
            self.in_flight = 0  # we are new in the group
        self._members = {member: _Known(heard_at=now) for member in event.members}
        self.ahead = self.in_flight
        self.changes += 1
        here = {member.node for member in event.members}
        self.open(now)
        return [
            Gone(member.node, ending is Ending.LEFT, ending.value)
            for member, ending in event.gone
            if member.node not in here and member.node in self.known_nodes
        ]

    def end(self) -> None:
        """Forget the group: Corosync is gone."""
        self._members, self.standings, self.is_open = {}, {}, False

    def open(self, now: Instant) -> None:
        """Begin a roll call."""
        self.is_open, self.has_called, self.since, self.standings = True, False, now, {}

    def take_out(self, member: GroupMember, now: Instant) -> None:
        """Let a process count no more until the group changes."""
        self._members[member].is_out = True
        self.open(now)

    def may_call(
        self, now: Instant, startup_ms: int, agrees_with: Callable[[set[NodeId]], bool], *, is_first: bool
    ) -> bool:
        """Whether it is time to say where we stand. `is_first`: we were in no view yet."""
        if not self.is_open or self.has_called or not self.is_in_group:
            return False
        nodes = {process.node for process in self.live}
        waited_ms = now - self.since
        if is_first and not self.standings and waited_ms < startup_ms and nodes != self.known_nodes:
            return False  # others may be about to come
        return agrees_with(nodes) or waited_ms >= QUORUM_WAIT_MS

    # -- what they say ----------------------------------------------------------------------------------

    def heard(self, member: GroupMember, now: Instant) -> None:
        """Count a message of a process."""
        known = self._members[member]
        known.heard += 1
        known.heard_at = now
        if member.node == self.me:
            self.in_flight = max(0, self.in_flight - 1)

    def numbered(self, word: AnyWord) -> AnyWord:
        """Count a word of ours that goes out now; a standing carries its number."""
        number, self.ahead = self.ahead, self.ahead + 1
        self.in_flight += 1
        if not isinstance(word, Standing):
            return word
        return msgspec.structs.replace(word, number=number, change=self.changes)

    def is_fresh(self, member: GroupMember, standing: Standing) -> bool:
        """Whether a standing, which has just been counted, was sent to the group as it is."""
        too_high = standing.number - (self._members[member].heard - 1)
        if member.node == self.me and standing.change == self.changes and too_high:
            self.ahead -= too_high  # words of ours were lost with a connection
            self.in_flight = max(0, self.in_flight - too_high)
            self.has_called = False
        return too_high == 0 and standing.group == self.live

    def stand(self, node: NodeId, standing: Standing) -> bool:
        """Take in a fresh standing; True when it was the last that was missing."""
        self.standings[node] = standing
        if node == self.me:
            self.has_called = True
        if {process.node for process in self.live} != set(self.standings):
            return False
        self.is_open = False
        return True

    def holds(self, accusation: Accuse) -> bool:
        """Whether an accusation is still true at its place in the order."""
        member = GroupMember(accusation.whom.node, accusation.whom.process)
        known = self._members.get(member)
        return known is not None and not known.is_out and known.heard == accusation.heard

    def spare(self, now: Instant) -> None:
        """Give everybody a fresh time to be heard: we, or the engine, stood still."""
        for known in self._members.values():
            known.heard_at = now
        self.since = now

    def silent(self, now: Instant, *, view_ms: int, roll_ms: int) -> list[tuple[Process, int, int]]:
        """Name who has to be accused now, with what was heard of it, and for how long it has said nothing."""
        found = []
        for process in self.live:
            known = self._members[GroupMember(process.node, process.process)]
            missing = self.is_open and process.node not in self.standings
            since = self.since if missing else known.heard_at
            limit = roll_ms if self.is_open else view_ms
            is_late = now - since >= limit and (missing or not self.is_open)
            if process.node != self.me and is_late and known.accused_at != known.heard:
                known.accused_at = known.heard
                found.append((process, known.heard, now - since))
        return found
