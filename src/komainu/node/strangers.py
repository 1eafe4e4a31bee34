"""Remember who sends what is not believed, and say it in sentences for status.

Decides which of the drops an administrator has to know of. What is claimed in a datagram that does not open is only a
claim, and is told as one. Knows nothing of sockets and keys (node/udp.py, ring/wire.py).
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from komainu.model.duration import show_ms
from komainu.model.ids import LinkNumber, NodeId, NodeName
from komainu.model.request import Reply, RingStatus, Status
from komainu.node.petting import Petting
from komainu.node.sbd import SbdWatch
from komainu.node.witness_lease import WitnessLease
from komainu.node.witness_link import WitnessLink
from komainu.ring.wire import Drop

STRANGERS_MAX: Final = 16
"""Different senders that are remembered; that which was not seen for longest goes first. A flood has many."""

STRANGERS_SHOWN_S: Final = 60.0
"""How long a sender that is not believed stands among the warnings of status after its last datagram."""

_SENTENCES: Final[Mapping[Drop, str]] = {
    Drop.OTHER_VERSION: "speaks another version of the ring's protocol: let both run the same komainu",
    Drop.NOT_AUTHENTIC: "sends what does not open: its cluster key or its cluster's name is another, or somebody forges it",
    Drop.UNKNOWN_SENDER: "is no node of this cluster: is it in komainu.toml here?",
    Drop.SAME_ID: "says that it is this node: two machines have the same id",
    Drop.OTHER_RECEIVER: "sends here what is for another node: two machines have the same address, or its komainu.toml differs",
    Drop.OTHER_LINK: "sends on this link what is for another one: the links stand in another order in its komainu.toml",
}


@dataclass(slots=True)
class _Seen:
    count: int
    at_s: float
    link: LinkNumber


class Strangers:
    """Who was not believed, by kind, claimed sender and address."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[Drop, NodeId, str], _Seen] = OrderedDict()

    def note(self, dropped: tuple[Drop, NodeId] | None, source: str, link: LinkNumber, now_s: float) -> None:
        """Remember one datagram that was dropped, if it was."""
        if dropped is None or dropped[0] not in _SENTENCES:
            return
        key = (*dropped, source)
        seen = self._seen.setdefault(key, _Seen(0, now_s, link))
        seen.count, seen.at_s, seen.link = seen.count + 1, now_s, link
        self._seen.move_to_end(key)
        if len(self._seen) > STRANGERS_MAX:
            self._seen.popitem(last=False)

    def sentences(
        self, names: Mapping[NodeId, NodeName], now_s: float, *, within_s: float = math.inf
    ) -> tuple[str, ...]:
        """Say who was not believed, the newest first; `within_s`: lately alone."""
        return tuple(
            f"{_who(names, sender)} at {source} {_SENTENCES[drop]} ({seen.count} datagrams on link {seen.link}, "
            f"the last {show_ms(int(1000 * (now_s - seen.at_s)))} ago)"
            for (drop, sender, source), seen in reversed(self._seen.items())
            if now_s - seen.at_s <= within_s
        )


class Completing:
    """Adds to what the drive answers what only the shells know: who is not believed, what was counted, how it was petted."""

    def __init__(
        self, strangers: Strangers, names: Mapping[NodeId, NodeName], counted: Iterable[Counter[str]]
    ) -> None:
        self._strangers = strangers
        self._names = names
        self._counted = tuple(counted)
        self.petting: Petting | None = None  # once a watchdog is armed
        self.disks: SbdWatch | None = None  # once shared disks are watched
        self.witness: WitnessLink | WitnessLease | None = None  # where there is one

    def __call__(self, reply: Reply) -> Reply:
        """Return the answer with it; answers to other questions as they are."""
        now_s = time.monotonic()
        if isinstance(reply, Status):
            lately = self._strangers.sentences(self._names, now_s, within_s=STRANGERS_SHOWN_S)
            warnings = (*reply.warnings, *(f"not believed: {sentence}" for sentence in lately))
            if self.disks is not None:
                warnings += self.disks.warnings()
            if self.witness is not None:
                warnings += self.witness.warnings()
            watchdog = None if self.petting is None else self.petting.view()
            return msgspec.structs.replace(reply, warnings=warnings, watchdog=watchdog)
        if isinstance(reply, RingStatus):
            sentences = self._strangers.sentences(self._names, now_s)
            counters: Counter[str] = sum(self._counted, Counter())
            return msgspec.structs.replace(reply, strangers=sentences, counters=dict(counters))
        return reply


def _who(names: Mapping[NodeId, NodeName], sender: NodeId) -> str:
    name = names.get(sender)
    return f"node id {sender}" if name is None else f"{name} (id {sender})"
