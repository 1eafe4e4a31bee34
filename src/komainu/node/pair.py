"""Remember how the race of a split pair stands, and agree beforehand on who goes first.

Pure; race.py says what is right. Must not know: fence devices, commands under way.

Whether clients are reached may become known only when the race is on. A side's place follows: whatever each side
sees, their places differ, and a turn that a side gives up is nobody's.
"""

from dataclasses import replace
from typing import Final

from komainu.cib.command import SetAttribute
from komainu.cib.state import ClusterState
from komainu.fencing import interface as fencing
from komainu.fencing.interface import PLACES, RaceBegan, Turns
from komainu.model.ids import Instant, NodeId, NodeName, WallTime
from komainu.model.view import Position
from komainu.network.interface import ClientsSeen
from komainu.node import race
from komainu.ring.interface import InstallView, PeerDoubted, Ring
from komainu.ring.settings import RingSettings, derive

LATE_FACTOR: Final = 2
"""Who stood still within so many times of detection sees the split later than its peer, which counts from then."""

BRIEF_SHARE: Final = 4
"""Who stood still for less than this part of detection is not late: the lead has room for that, and for the silence that
the ring then counts anew. Every busy or virtual machine stands still so long now and then; a round would cost it 19 s."""


class Pair:
    """This node's half of a pair; of a cluster that is none, nothing is ever said."""

    def __init__(self, settings: RingSettings) -> None:
        self.turns: Turns | None = None  # while there is a race
        self._settings, self._timing = settings, derive(settings)
        self.clients: ClientsSeen | None = None  # None: there are no targets, or none ever answered
        self._split: race.Split | None = None
        self._peer: NodeName | None = None
        self._stood_still: tuple[Instant, Instant] | None = None  # from, until
        self._looked_at = Position(-1, -1)  # where the state stood when it was last looked who goes first
        self._said_at = Position(
            -1, -1
        )  # where it stood when it was last looked what this node says of its clients

    def reconfigure(self, settings: RingSettings) -> None:
        """Go on with other settings."""
        self._settings, self._timing = settings, derive(settings)

    def wake(self, now: Instant, *, due: Instant | None) -> None:
        """Take note of an event. One far later than what was due: this node stood still, and its peer did not.

        Stalls that follow each other closely are taken for one: each of them lets the ring count the silence anew.
        """
        if due is not None and now - due >= self._timing.stall_ms:
            since, until = self._stood_still or (due, due)
            self._stood_still = (since if due - until <= self._recent_ms else due, now)

    def begin(self, begun: InstallView, state: ClusterState, ring: Ring, now: Instant) -> RaceBegan:
        """A view begins: return whom this node races with in it, and its turns."""
        members = begun.view.members
        if begun.departures or len(members) > 1:  # else a lone half begins anew, in the same race
            self._split = race.split_in(begun, self._settings, state, ring.links())
            self.turns = None
            if self._split is not None:
                split = replace(self._split, reaches_clients=self._reaches)
                turns = race.turns_of(split, self._settings, state, now)
                self.turns = race.a_round_later(turns) if self._is_late(now) else turns
        self._peer = next((node.name for node in self._settings.nodes if node.node not in members), None)
        if self._peer is None:
            self.turns = self._split = None  # the other was removed, or is here
        names = {node.node: node.name for node in self._settings.nodes}
        lives = zip(members, begun.lives, strict=False)  # Corosync tells none
        return RaceBegan(
            self._peer, self.turns, tuple((names[node], life) for node, life in lives if node in names)
        )

    def doubts(self, word: PeerDoubted, state: ClusterState) -> fencing.PeerDoubted | None:
        """The peer falls silent, or is heard again: return what the fencer is to know; None: there would be no waiting."""
        if word.is_over:
            return fencing.PeerDoubted(None)
        if not race.may_race(self._settings, state) or self.goes_first(state) == self._settings.me:
            return None
        return fencing.PeerDoubted(self._settings.of(word.peer).name)

    def id_of(self, name: NodeName) -> NodeId:
        """Return a node's id."""
        return next(node.node for node in self._settings.nodes if node.name == name)

    def clients_seen(self, seen: ClientsSeen, ring: Ring) -> RaceBegan | None:
        """Take in whether clients are reached; return this node's turns when they change by it."""
        self.clients, self._said_at = seen, Position(-1, -1)
        if self.turns is None or self._split is None:
            return None
        split = replace(self._split, reaches_clients=self._reaches, links=tuple(ring.links()))
        rounds = self.turns.place // PLACES * PLACES
        place = rounds + race.place_of(split)
        self.turns = replace(self.turns, place=place, steps_back=race.steps_back(split))
        return RaceBegan(self._peer, self.turns)

    @property
    def _reaches(self) -> bool | None:
        return None if self.clients is None else self.clients.is_reached

    def _is_late(self, now: Instant) -> bool:
        if self._stood_still is None:
            return False
        since, until = self._stood_still
        return (
            now - until <= self._recent_ms and until - since >= self._timing.detect_within_ms // BRIEF_SHARE
        )

    @property
    def _recent_ms(self) -> int:
        return LATE_FACTOR * self._timing.detect_within_ms

    def goes_first(self, state: ClusterState) -> NodeId | None:
        """Return who was named to go first: a witness prefers its part to an equal one."""
        named = race.goes_first(state.cib, self._settings)
        return next((node.node for node in self._settings.nodes if node.name == named), None)

    def word(self, state: ClusterState, ring: Ring, at: WallTime, doing: str) -> SetAttribute | None:
        """Return what this node has to tell all now; `doing`: what it is at as the coordinator."""
        said = None if ring.view is None else self.saying(state, at)
        return self.naming(state, ring, at) if said is None and doing == "idle" else said

    def saying(self, state: ClusterState, at: WallTime) -> SetAttribute | None:
        """Return what all have to be told of this node's clients, once for each state."""
        if self._said_at == state.position:
            return None
        self._said_at = state.position
        return race.saying(state.cib, self._settings.of(self._settings.me).name, self.clients, at)

    def naming(self, state: ClusterState, ring: Ring, at: WallTime) -> SetAttribute | None:
        """Return the next command towards the right name of who goes first, once for each state."""
        position, view = state.position, ring.view
        is_whole = view is not None and len(view.members) == len(self._settings.nodes)
        if self._looked_at == position or not is_whole or ring.stable < position:
            return None
        self._looked_at = position
        return race.naming(state.cib, self._settings, at)
