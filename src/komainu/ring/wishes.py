"""Decide which view this node wants, from who is here and what they say.

Must not know: ballots, packets, or the order of payloads.

Theory of operation. What is wanted is the best clique (clique.py) of the peers that hear us and are heard, but
- while our view holds a life that was replaced, only peers of that view count: the loss has to be seen as such
  before the new life comes in;
- a peer that would lead us, but does not for `patience_ms` (it wants a view without us, or follows another), is
  left out, so that we do not wait for it for ever. It counts again after our next view, or when it wants us;
- a peer that is heard but does not answer proposals is left out for a while, each time for longer.
"""

from typing import Final

from komainu.model.ids import Instant, NodeId
from komainu.model.view import ViewId
from komainu.ring.clique import best_clique
from komainu.ring.hearing import Hearing
from komainu.ring.packet import Beat, Member
from komainu.ring.settings import RingSettings, Timing
from komainu.ring.watch import Watch

SHUN_MS: Final = 4000
SHUN_MS_MAX: Final = 60_000
"""How long a node is left out that is heard but does not answer proposals; doubled each time up to the maximum."""


class Wishes:
    """The view that this node wants: `nodes`, since `since`. `wake_at`: when time alone may change it."""

    def __init__(self, settings: RingSettings, timing: Timing, watch: Watch, now: Instant) -> None:
        self._timing = timing
        self._watch = watch
        self._me = watch.me
        self._votes = {node.node: node.votes for node in settings.nodes}
        self._hearing = Hearing(self._votes)
        self.nodes: tuple[NodeId, ...] = (self._me.node,)
        self.since = now
        self.wake_at: Instant | None = None
        self._considered = -1  # the watch's changes at that time; -1: something here changed
        self._view_id: ViewId | None = None
        self._view: tuple[Member, ...] = ()
        self._spurned: dict[NodeId, Instant] = {}
        self._shunned: dict[NodeId, tuple[Instant, int]] = {}

    def reconfigure(self, settings: RingSettings, timing: Timing) -> None:
        """Go on with these nodes and waiting times."""
        self._timing = timing
        self._votes = {node.node: node.votes for node in settings.nodes}
        self._hearing = Hearing(self._votes)
        self._considered = -1

    @property
    def leader(self) -> NodeId:
        """The member of the wanted view that leads there."""
        return self.nodes[0]

    def members(self) -> tuple[Member, ...]:
        """The wanted view with the lives of its members."""
        found = []
        for node in self.nodes:
            life = self._me.life if node == self._me.node else self._watch.peers[node].life
            assert life is not None, "who is wanted has a life"
            found.append(Member(node, life))
        return tuple(found)

    def begin_view(self, view_id: ViewId, members: tuple[Member, ...]) -> None:
        """Take in which view this node is in; a new one clears the account."""
        if members != self._view or view_id != self._view_id:
            self._view_id, self._view = view_id, members
            self._spurned = {}
            self._considered = -1

    def agree_anew(self, now: Instant) -> None:
        """Let the wish count as new: others have to see what we saw."""
        self.since = now

    def answered(self, node: NodeId) -> None:
        """Take in that a node answered a proposal."""
        if self._shunned.pop(node, None) is not None:
            self._considered = -1

    def shun(self, node: NodeId, now: Instant) -> None:
        """Leave out for a while who does not answer."""
        _, times = self._shunned.get(node, (now, 0))
        until = Instant(now + min(SHUN_MS << times, SHUN_MS_MAX))
        self._shunned[node] = (until, min(times + 1, 8))
        self._considered = -1

    def is_successor(self, members: tuple[Member, ...]) -> bool:
        """Whether one of these is a later life of a member of our view."""
        lives = {old.node: old.life for old in self._view}
        return any(lives.get(new.node, new.life) != new.life for new in members)

    def consider(self, now: Instant) -> None:
        """Compute anew what is wanted, if anything may have changed it."""
        if self._considered == self._watch.changes and (self.wake_at is None or now < self.wake_at):
            return
        self._considered = self._watch.changes
        self.wake_at = None
        friends = dict(self._watch.friends())
        self._watch_leader(friends, now)
        inward = self.is_successor(tuple(friends))
        usable = {
            member: beat
            for member, beat in friends.items()
            if not self._is_left_out(member.node, now) and (not inward or self._is_of_my_view(member, beat))
        }
        near = self._hearing.near(usable)
        current = {member.node for member in self._view}
        nodes = best_clique(self._me.node, near, self._hearing.bits, self._votes, current)
        if nodes != self.nodes:
            self.nodes, self.since = nodes, now
            self._watch_leader(friends, now)  # another one may lead now

    def wake(self, at: Instant, now: Instant) -> None:
        """Ask to be considered again at this time."""
        if at > now and (self.wake_at is None or at < self.wake_at):
            self.wake_at = at

    def _watch_leader(self, friends: dict[Member, Beat], now: Instant) -> None:
        """Remember since when the node that we would follow does not lead us."""
        spurning = {
            member.node
            for member, beat in friends.items()
            if (member.node == self.leader or member.node in self._spurned)
            and member.node < self._me.node
            and (self._me.node not in beat.wants or beat.wants[0] != member.node)
        }
        self._spurned = {node: self._spurned.get(node, now) for node in sorted(spurning)}
        for since in self._spurned.values():
            self.wake(Instant(since + self._timing.patience_ms), now)

    def _is_left_out(self, node: NodeId, now: Instant) -> bool:
        since = self._spurned.get(node)
        if since is not None and now - since >= self._timing.patience_ms:
            return True
        until, _ = self._shunned.get(node, (now, 0))
        self.wake(until, now)
        return now < until

    def _is_of_my_view(self, member: Member, beat: Beat) -> bool:
        """Whether a peer is in our view, and has not gone on to another one without us."""
        if self._view_id is None or member not in self._view:
            return False
        return beat.view is None or beat.view.view_id <= self._view_id
