"""Send and deliver the payloads of one view over Corosync's order, and count the positions.

Corosync orders; what is left is to cut what is large, to hold back what would fill its queues, to put parts
together, and to know what every member has stored. Must not know: how views come about.

A message counts only in the view that it names. What was on its way while the group changed is given again by its
sender in the next view, so nobody has to guess who had it.
"""

import hashlib
from collections import deque
from typing import Final

from komainu.model.ids import NodeId
from komainu.model.view import Delivered, Position
from komainu.ring.corosync.agreement import Agreed
from komainu.ring.corosync.words import Data
from komainu.ring.interface import Deliver
from komainu.ring.outbox import Outbox, Waiting
from komainu.ring.packet import ViewKey

PART_BYTES_MAX: Final = 256 * 1024
"""Largest part of a payload. Corosync takes 1 MiB less its headers at once; a quarter lets others in between."""

UNDER_WAY_BYTES_MAX: Final = 1024 * 1024
"""Bytes of ours that Corosync may hold before they were delivered here: what is more waits with us."""

UNDER_WAY_MAX: Final = 512
"""Messages of ours likewise; Corosync's own queue has place for 500 to 1,000 small ones."""

Out = Data | Deliver


class Stream:
    """The payloads of one view. `position`: where its state stands after the last delivery."""

    def __init__(self, agreed: Agreed, outbox: Outbox) -> None:
        self.agreed = agreed
        self.position = agreed.begun.position
        self.has_state = outbox.me in agreed.begun.keeps_state
        self.chain = b""
        self.stored: dict[NodeId, Position] = {}
        self._outbox = outbox
        self._lives = {member.node: member.life for member in agreed.members}
        self._parts: dict[NodeId, list[bytes]] = {}
        self._unsent: deque[tuple[Waiting, int, int]] = deque()
        self._under_way: deque[int] = deque()  # sizes, oldest first
        self._bytes_under_way = 0

    @property
    def key(self) -> ViewKey:
        """The name of the view."""
        return self.agreed.key

    def begin(self) -> list[Out]:
        """Give whatever of ours was not delivered in an earlier view."""
        return [each for waiting in self._outbox.waiting for each in self.submit(waiting)]

    def submit(self, waiting: Waiting) -> list[Out]:
        """Have one more of our payloads ordered."""
        parts = max(1, -(-len(waiting.payload) // PART_BYTES_MAX))
        self._unsent.extend((waiting, part, parts) for part in range(parts))
        return self._push()

    def take(self, sender: NodeId, data: Data) -> list[Out]:
        """Take the next message of the order, from a member of this view."""
        parts = self._parts.setdefault(sender, [])
        assert len(parts) == data.part, "the parts of one sender come in their order"
        parts.append(data.payload)
        link = f"{sender} {self._lives[sender]} {data.submit} {data.part}".encode()
        self.chain = hashlib.blake2b(self.chain + link, digest_size=16).digest()
        out: list[Out] = []
        if sender == self._outbox.me:
            self._bytes_under_way -= self._under_way.popleft()
        if data.part == data.parts - 1:
            out.append(self._complete(sender, data))
        return out + self._push() if sender == self._outbox.me else out

    def _complete(self, sender: NodeId, data: Data) -> Deliver:
        payload = b"".join(self._parts.pop(sender))
        memory = Delivered(sender, self._lives[sender], data.submit)
        self._outbox.delivered[sender] = memory
        self.position = Position(self.position.lineage, self.position.index + 1)
        self.has_state |= data.is_snapshot and sender == self.agreed.begun.owner
        token = self._outbox.take(data.submit).token if sender == self._outbox.me else None
        return Deliver(self.position, sender, payload, token, memory)

    def _push(self) -> list[Out]:
        """Hand to Corosync what the limits let out."""
        out: list[Out] = []
        while self._unsent and self._may_send():
            waiting, part, parts = self._unsent.popleft()
            chunk = waiting.payload[part * PART_BYTES_MAX : (part + 1) * PART_BYTES_MAX]
            word = Data(self.key, waiting.submit, part, parts, waiting.is_snapshot, chunk)
            self._under_way.append(len(chunk))
            self._bytes_under_way += len(chunk)
            out.append(word)
        return out

    def _may_send(self) -> bool:
        return self._bytes_under_way < UNDER_WAY_BYTES_MAX and len(self._under_way) < UNDER_WAY_MAX

    # -- storage ----------------------------------------------------------------------------------------

    def told(self, member: NodeId, stored: Position) -> None:
        """Take in what a member has stored of this view."""
        self.stored[member] = max(stored, self.stored.get(member, stored))

    def stable(self) -> Position | None:
        """Up to where every member has stored the state; None while one has not said so."""
        members = self.agreed.begun.view.members
        if any(member not in self.stored for member in members):
            return None
        return min(self.stored[member] for member in members)
