"""Hold this node's copy of the cluster state: apply what the ring delivers, store it, take or give a snapshot.

A core without input or output. It must not know who plans or runs anything; it says which command was applied
with which outcome, and what has to be stored. It meets the other cores in node/drive.py.

Theory of operation. Members that come together from the view of the owner hold equal states (virtual
synchrony) and go on. The others wait: they keep what is delivered until the owner's AdoptSnapshot comes, which
holds the state as it was when the view began, and apply what they kept on top of it. The owner then says who
is a member, and every member that the state does not know as joined says what runs on it.

A disk remembers who left in order or was confirmed off, so that whoever starts anew does not have such a node fenced.
It must not say so of a node that runs something: from a view's first Store on it says it of none of the members, and a
node says that it may be used (node/membership.py, Joining) only when every member of its quorate view has stored that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from komainu.cib.apply import apply
from komainu.cib.command import (
    AdoptSnapshot,
    AnyCommand,
    ChangeMembership,
    decode,
)
from komainu.cib.durable import load, store, without_marks_of
from komainu.cib.nodes import is_member, node_state
from komainu.cib.state import Applied, ClusterState
from komainu.model.cause import Cause
from komainu.model.fencing import FenceState
from komainu.model.ids import NodeId, NodeName, WallTime
from komainu.model.report import Level, Note, Refused
from komainu.model.view import Position
from komainu.ring.interface import Deliver, Departure, InstallView


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Submit this command to the ring."""

    command: AnyCommand


@dataclass(frozen=True, slots=True)
class Store:
    """Put this text on stable storage, then call `stored` with the token."""

    token: int
    text: str


@dataclass(frozen=True, slots=True)
class Reached:
    """What this node promised to keep is stored up to here."""

    position: Position


@dataclass(frozen=True, slots=True)
class CommandApplied:
    """A command took its turn in the order; `token` is that of this node's own submission."""

    command: AnyCommand
    applied: Applied
    position: Position
    origin: NodeName
    token: int | None


@dataclass(frozen=True, slots=True)
class SnapshotAdopted:
    """This node took over the owner's state: what it believed before is void. `records` came with it."""

    records: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Missed:
    """A submission of this node had its turn in a view whose snapshot never came: its outcome is not known here."""

    token: int


ReplicaEffect = Broadcast | Store | Reached | CommandApplied | SnapshotAdopted | Missed | Note


class Replica:
    """One node's copy of the cluster state."""

    def __init__(self, me: NodeId, names: Mapping[NodeId, NodeName], state: ClusterState) -> None:
        self.state = state
        self.is_synced = False
        self.has_adopted = False  # in this view
        self._me = me
        self._names = names
        self._begun: InstallView | None = None
        self._kept: list[Deliver] = []
        self._token = 0
        self._outstanding: dict[int, Position] = {}

    def install(self, begun: InstallView, wall: WallTime) -> list[ReplicaEffect]:
        """Begin a view: go on with the state, or wait for the owner's."""
        effects: list[ReplicaEffect] = [Missed(kept.token) for kept in self._kept if kept.token is not None]
        self._begun = begun
        self._kept = []
        self.has_adopted = False
        self.is_synced = self._me in begun.keeps_state
        if self.is_synced:
            self.state = replace(self.state, position=begun.position)
            # The lineage must be on disk before anything of this view counts as stored (S3).
            effects.append(self._store())
        if begun.owner == self._me:
            effects += [Broadcast(command) for command in self._opening(begun, wall)]
        return effects

    def deliver(self, delivery: Deliver) -> list[ReplicaEffect]:
        """Take the next command of the order."""
        assert self._begun is not None, "the ring delivers only within views"
        try:
            command = decode(delivery.payload)
        except msgspec.DecodeError as error:
            # Every node refuses it alike; a member of another version must not stop us.
            note = Note(Level.ERROR, "replica.undecodable", f"a command could not be read: {error}")
            return [note, *self._mark()]
        if isinstance(command, AdoptSnapshot):
            return self._adopt(command, delivery)
        if not self.is_synced:
            self._kept.append(delivery)
            return []
        return self._apply(command, delivery)

    def raise_line(self, position: Position) -> list[ReplicaEffect]:
        """Go on in a new lineage; it must be on disk before anything in it counts as stored (S3)."""
        self.state = replace(self.state, position=position)
        return [self._store()]

    def stored(self, token: int) -> list[ReplicaEffect]:
        """The Store with this token is on stable storage."""
        position = self._outstanding.pop(token, None)
        if position is None:
            return []
        if not self._outstanding:
            return self._mark()
        return [Reached(position)] if token < min(self._outstanding) else []

    def _opening(self, begun: InstallView, wall: WallTime) -> list[AnyCommand]:
        """Give the owner's first commands of a view: the state for those who lack it, then who is here."""
        commands: list[AnyCommand] = []
        if len(begun.keeps_state) < len(begun.view.members):
            cause = Cause("membership.snapshot", "members that were away receive the state")
            commands.append(
                AdoptSnapshot(cause=cause, at=wall, user="", position=begun.position, state=store(self.state))
            )
        lost = [(self._name(gone.node), self._reason(gone)) for gone in begun.departures if not gone.clean]
        left = [(self._name(gone.node), gone.reason) for gone in begun.departures if gone.clean]
        come = [self._name(node) for node in begun.arrivals]
        sentences = [f"{name} was lost: {reason}" for name, reason in lost]
        sentences += [f"{name} left: {reason}" for name, reason in left]
        sentences += [f"{name} is here" for name in come]
        commands.append(
            ChangeMembership(
                cause=Cause(
                    "membership.changed",
                    "; ".join(sentences) or "the votes of the same members were counted anew",
                ),
                at=wall,
                user="",
                view=begun.view,
                members=tuple(self._name(node) for node in begun.view.members),
                lost=tuple(lost),
                left=tuple(left),
                lives=tuple(map(str, begun.lives)),
            )
        )
        return commands

    def _reason(self, gone: Departure) -> str:
        """Say why a member was lost: by its fencing, when that was done before anybody missed it."""
        name = self._name(gone.node)
        state = node_state(self.state.cib, name)
        is_off = state is not None and state.get("expected") == "down" and not is_member(state)
        fenced = [one for one in self.state.fencing if one.target == name and one.state is FenceState.DONE]
        return f"it was fenced ({fenced[-1].reason})" if is_off and fenced else gone.reason

    def _adopt(self, command: AdoptSnapshot, delivery: Deliver) -> list[ReplicaEffect]:
        """Take over the owner's state, then what was delivered meanwhile; members that have it ignore it."""
        assert self._begun is not None, "the ring delivers only within views"
        # One that was submitted in an earlier view may be ordered only now: it is not what this view waits for.
        is_for_us = delivery.origin == self._begun.owner and command.position == self._begun.position
        if self.is_synced or not is_for_us:
            return []
        try:
            adopted = load(command.state)
        except Refused as refused:
            return [Note(Level.ERROR, "replica.bad-snapshot", f"the state from a peer is damaged: {refused}")]
        self.state = replace(adopted, position=command.position)
        self.is_synced = self.has_adopted = True
        effects: list[ReplicaEffect] = [SnapshotAdopted(command.records), self._store()]
        kept, self._kept = self._kept, []
        for earlier in kept:
            effects += self.deliver(earlier)
        return effects

    def _apply(self, command: AnyCommand, delivery: Deliver) -> list[ReplicaEffect]:
        assert self._begun is not None, "the ring delivers only within views"
        origin = self._name(delivery.origin)
        applied = apply(
            self.state.after(delivery.memory),
            command,
            position=delivery.position,
            origin=origin,
            is_quorate=self._begun.view.quorate,
        )
        self.state = applied.state
        done = CommandApplied(command, applied, delivery.position, origin, delivery.token)
        return [done, *([self._store()] if applied.changes_configuration else self._mark())]

    def _name(self, node: NodeId) -> NodeName:
        """Return a node's name; one that was removed, or is not known yet, goes by its number."""
        return self._names.get(node, NodeName(f"node {node}"))

    def _store(self) -> Store:
        """Store the state, but not that a member of this view is down: it may run something before the next Store."""
        assert self._begun is not None, "a state is stored within views"
        self._token += 1
        self._outstanding[self._token] = self.state.position
        members = {self._name(node) for node in self._begun.view.members}
        return Store(self._token, store(without_marks_of(self.state, members)))

    def _mark(self) -> list[ReplicaEffect]:
        """What needs no disk counts as stored when nothing older is still on its way to it."""
        return [] if self._outstanding else [Reached(self.state.position)]
