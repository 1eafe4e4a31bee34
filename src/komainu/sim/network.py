"""Play the network between the nodes of a made-up world: links that delay, lose, double, reorder and spoil datagrams.

A packet reaches its receiver only if both ends of the link are whole and nothing is cut between them, when it
is sent and when it arrives. All chance comes from the random source that is handed in. Must not know: what
packets say, or who runs.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from komainu.model.ids import LinkNumber, NodeId
from komainu.model.link import LinkState
from komainu.ring.interface import PacketReceived
from komainu.ring.packet import Packet
from komainu.sim.clock import Clock

LATE_MS_MAX: Final = 40
"""How late a packet can be that took the long way: later than the packets sent after it."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the links are. Shares are 0 to 1; delays in milliseconds."""

    delay_ms: tuple[int, int] = (0, 1)
    loss: float = 0.0
    doubled: float = 0.0
    late: float = 0.0
    spoiled: float = 0.0


class Network:
    """Every link between all nodes. `sent` and `lost` count packets."""

    def __init__(
        self,
        clock: Clock,
        chance: Random,
        deliver: Callable[[NodeId, PacketReceived], None],
        quality: Quality | None = None,
    ) -> None:
        self.sent = 0
        self.lost = 0
        self.quality = quality or Quality()
        self.lets_through: Callable[[NodeId, NodeId, LinkNumber, Packet], bool] = _nothing_spoiled
        self._clock = clock
        self._chance = chance
        self._deliver = deliver
        self._ends: dict[tuple[NodeId, LinkNumber], LinkState] = {}  # those that are not up
        self._by_frames: set[tuple[NodeId, LinkNumber]] = set()  # daemons that go on by raw frames there
        self._cut_links: set[LinkNumber] = set()
        self._cut_ways: set[tuple[NodeId, NodeId, LinkNumber | None]] = set()  # None: on every link

    # -- carrying -------------------------------------------------------------------------------------------

    def send(self, sender: NodeId, receiver: NodeId, link: LinkNumber, packet: Packet) -> None:
        """Take a packet, which may arrive."""
        self.sent += 1
        quality, chance = self.quality, self._chance
        if (quality.loss and chance.random() < quality.loss) or not self.carries(sender, receiver, link):
            self.lost += 1
            return
        is_spoiled = quality.spoiled and chance.random() < quality.spoiled
        if is_spoiled and not self.lets_through(sender, receiver, link, packet):
            self.lost += 1
            return
        copies = 2 if quality.doubled and chance.random() < quality.doubled else 1
        for _ in range(copies):
            low, high = quality.delay_ms
            delay_ms = low if low == high else low + int(chance.random() * (high - low + 1))
            if quality.late and chance.random() < quality.late:
                delay_ms += chance.randint(1, LATE_MS_MAX)
            self._clock.after(delay_ms, lambda: self._arrive(sender, receiver, link, packet))

    def carries(self, sender: NodeId, receiver: NodeId, link: LinkNumber) -> bool:
        """Whether a packet gets from the one to the other on this link now."""
        return not (
            (self._ends and (self._is_shut(sender, link) or self._is_shut(receiver, link)))
            or link in self._cut_links
            or (
                self._cut_ways
                and ((sender, receiver, link) in self._cut_ways or (sender, receiver, None) in self._cut_ways)
            )
        )

    def _is_shut(self, node: NodeId, link: LinkNumber) -> bool:
        """Whether nothing passes an end. Where frames pass, they have to be used: no datagram leaves without address."""
        state = self._ends.get((node, link))
        return state is not None and (state is not LinkState.BY_FRAMES or (node, link) not in self._by_frames)

    def _arrive(self, sender: NodeId, receiver: NodeId, link: LinkNumber, packet: Packet) -> None:
        if self.carries(sender, receiver, link):
            self._deliver(receiver, PacketReceived(link, sender, packet))
        else:
            self.lost += 1

    # -- faults ---------------------------------------------------------------------------------------------

    def set_end(self, node: NodeId, link: LinkNumber, state: LinkState) -> None:
        """Put a node's own end of a link into a state; telling the node is the caller's part.

        Only UP carries, and BY_FRAMES: the address is gone, and raw frames pass, if the daemon uses them.
        """
        if state is LinkState.UP:
            self._ends.pop((node, link), None)
        else:
            self._ends[node, link] = state

    def end_of(self, node: NodeId, link: LinkNumber) -> LinkState:
        """Return the state of a node's own end of a link."""
        return self._ends.get((node, link), LinkState.UP)

    def use_frames(self, node: NodeId, link: LinkNumber, *, wanted: bool) -> None:
        """Take in whether a daemon goes on by raw frames at its end of a link."""
        (self._by_frames.add if wanted else self._by_frames.discard)((node, link))

    def cut_link(self, link: LinkNumber) -> None:
        """Cut a link between all nodes, as when its switch loses power behind the ports that stay up."""
        self._cut_links.add(link)

    def mend_link(self, link: LinkNumber) -> None:
        """Undo `cut_link`."""
        self._cut_links.discard(link)

    def cut_one_way(self, sender: NodeId, receiver: NodeId, link: LinkNumber | None = None) -> None:
        """Let nothing through from the one to the other on a link; None: on every link."""
        self._cut_ways.add((sender, receiver, link))

    def mend_one_way(self, sender: NodeId, receiver: NodeId, link: LinkNumber | None = None) -> None:
        """Undo `cut_one_way`."""
        self._cut_ways.discard((sender, receiver, link))

    def part(self, side: Collection[NodeId], others: Collection[NodeId]) -> None:
        """Let nothing through between two sides, on every link."""
        for one in side:
            for other in others:
                self.cut_one_way(one, other)
                self.cut_one_way(other, one)

    def join(self, side: Collection[NodeId], others: Collection[NodeId]) -> None:
        """Undo `part`."""
        for one in side:
            for other in others:
                self.mend_one_way(one, other)
                self.mend_one_way(other, one)

    def set_loss(self, share: float) -> None:
        """Lose this share of all packets."""
        self.quality = replace(self.quality, loss=share)

    def heal(self) -> None:
        """Make every link whole and every end up. Telling the nodes of their ends is the caller's part."""
        self._ends.clear()
        self._cut_links.clear()
        self._cut_ways.clear()
        self.quality = Quality()

    @property
    def is_clean(self) -> bool:
        """Whether what is not cut arrives, soon and once."""
        return self.quality == Quality()

    @property
    def is_whole(self) -> bool:
        """Whether everything arrives everywhere."""
        return self.is_clean and not (self._ends or self._cut_links or self._cut_ways)


def _nothing_spoiled(sender: NodeId, receiver: NodeId, link: LinkNumber, packet: Packet) -> bool:
    """Stand for the noise of a world that has none."""
    del sender, receiver, link, packet
    return True
