"""Know where this node stands: its view and what was delivered in it, the state that it holds, votequorum's word.

Must not know: who is in the group and what they said (rollcall.py), links, time.
"""

from dataclasses import dataclass, field

from komainu.model.ids import NodeId
from komainu.model.report import Level, Note
from komainu.model.view import Delivered, Position, View
from komainu.ring.corosync.agreement import Agreed
from komainu.ring.corosync.interface import Ending, QuorumSeen
from komainu.ring.corosync.stream import Stream
from komainu.ring.corosync.words import NO_BALLOT, Ballot, Process, Standing
from komainu.ring.interface import Absorbed, InstallView, LineRaised, Stable
from komainu.ring.outbox import Outbox
from komainu.ring.packet import Gone

FIRST_STRIDE = 1000
"""View counters that a starting node skips, so that no two lines get one lineage (see passage.first_counter)."""


@dataclass(slots=True)
class Standpoint:
    """Where this node stands. `held`: where the state stood that it held before its view, `held_memory`: what was in it.

    `speaks_with_strangers`: a daemon of another version is in the group, which may think itself quorate, too.
    """

    outbox: Outbox
    held: Position
    waits_for_all: bool
    seen: int = 0
    stream: Stream | None = None
    quorum: QuorumSeen | None = None
    ballot_given: Ballot | None = None
    fates: dict[NodeId, Gone] = field(default_factory=dict)
    speaks_with_strangers: bool = False
    stable: Position = field(default_factory=Position)
    held_memory: tuple[Delivered, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Begin above every view counter that an earlier life may have used."""
        self.held_memory = self.outbox.memory
        self.seen = ((self.held.lineage + FIRST_STRIDE - 1) // FIRST_STRIDE + 1) * FIRST_STRIDE

    @property
    def view(self) -> View | None:
        """The current view; None before the first."""
        return None if self.stream is None else self.stream.agreed.begun.view

    # -- saying it --------------------------------------------------------------------------------------

    def standing(self, group: tuple[Process, ...]) -> Standing:
        """Say where this node stands, for the members of the group."""
        stream = self.stream
        has_state = stream is None or stream.has_state
        members = () if stream is None else stream.agreed.members
        ours = {member.node for member in members}
        self.ballot_given = self.ballot()
        return Standing(
            number=0,  # both are given when it is sent
            change=0,
            group=group,
            life=self.outbox.life,
            view=None if stream is None else stream.key,
            members=members,
            is_quorate=stream is not None and stream.agreed.begun.view.quorate,
            chain=b"" if stream is None else stream.chain,
            position=stream.position if stream is not None and has_state else self.held,
            has_state=has_state,
            waits_for_all=self.waits_for_all,
            seen=self.seen,
            ballot=self.ballot_given,
            gone=tuple(gone for node, gone in sorted(self.fates.items()) if node in ours),
            delivered=self.outbox.memory if has_state else self.held_memory,
        )

    def ballot(self) -> Ballot:
        """Say what votequorum says here."""
        seen = self.quorum
        if seen is None:
            return NO_BALLOT
        return Ballot(
            is_quorate=seen.is_quorate,
            votes=dict(seen.nodes).get(self.outbox.me, 0),
            expected=seen.expected,
            needed=seen.needed,
            device_votes=seen.device_votes,
            is_two_node=seen.is_two_node and not self.speaks_with_strangers,
            has_tie_breaker=seen.has_tie_breaker,
        )

    @property
    def has_new_ballot(self) -> bool:
        """Whether votequorum says something new since the last standing."""
        return self.ballot_given is not None and self.ballot_given != self.ballot()

    def agrees_with(self, nodes: set[NodeId]) -> bool:
        """Whether votequorum knows already what the group knows: these nodes are here, the lost ones are not."""
        if self.quorum is None:
            return False
        has = {node for node, _ in self.quorum.nodes}
        lost = {node for node, gone in self.fates.items() if gone.reason == Ending.NODE_LOST.value}
        return nodes <= has and not (lost - nodes) & has

    # -- views ------------------------------------------------------------------------------------------

    def begin(self, agreed: Agreed) -> list[Absorbed | InstallView | Note]:
        """End the old view where it stands, and begin the one that was agreed on."""
        view = agreed.begun.view
        if self.stream is not None and self.stream.has_state:
            self.held, self.held_memory = self.stream.position, self.outbox.memory
        lacked_state = self.stream is not None and not self.stream.has_state
        self.waits_for_all = agreed.waits_for_all and (self.waits_for_all or lacked_state)
        self.seen = max(self.seen, view.view_id.counter)
        self.fates = {}
        absorbed = [Absorbed(waiting.token) for waiting in self.outbox.adopt(agreed.delivered)]
        self.stream = Stream(agreed, self.outbox)
        members = " ".join(str(node) for node in view.members)
        quorum = "with quorum" if view.quorate else "without quorum"
        text = f"view {view.view_id} of {members}, {quorum} ({view.quorum_reason})"
        note = Note(Level.NOTICE, "ring.view", text, {"view": str(view.view_id), "members": members})
        return [*absorbed, agreed.begun, note]

    # -- storage ----------------------------------------------------------------------------------------

    def store(self, position: Position) -> None:
        """Take in that our storage holds the state up to here; what was given to the disk in an earlier view is not."""
        if self.stream is None:
            self.held = max(self.held, position)
        elif position >= self.stream.agreed.begun.position:
            self.stream.has_state = True
            self.stream.told(self.outbox.me, position)

    def raise_line(self) -> list[LineRaised]:
        """Go on as the line of the state: the twin of this half is confirmed off (see passage.confirm)."""
        stream = self.stream
        if stream is None or not stream.agreed.begun.view.quorate:
            return []
        counter = stream.key.view_id.counter
        if stream.position.lineage >= counter or not stream.has_state:
            return []
        stream.position = Position(counter, 0)
        return [LineRaised(stream.position)]

    def tell_stable(self) -> list[Stable]:
        """Say how far every member of a quorate view has stored the state, when that is news."""
        stream = self.stream
        mark = None if stream is None or not stream.agreed.begun.view.quorate else stream.stable()
        if stream is None or mark is None or mark < stream.agreed.begun.position or mark <= self.stable:
            return []
        self.stable = mark
        return [Stable(mark)]
