"""Decide for each packet whether it goes by datagram or by raw frame.

Datagrams are the rule. A node that cannot send by address asks for frames with each raw frame that it sends, and
is answered by raw frames until something else comes from it: a datagram, or a frame that no longer asks. Must not
know sockets.
"""

from komainu.model.ids import LinkNumber, NodeId


class Ways:
    """The way to each peer on each link."""

    def __init__(self) -> None:
        self._without_address: set[LinkNumber] = set()  # own ends that cannot send by address
        self._asked: set[tuple[LinkNumber, NodeId]] = set()  # peers that asked for frames

    def use_frames(self, link: LinkNumber, *, wanted: bool) -> None:
        """Take in whether this node's own end can send by address."""
        if wanted:
            self._without_address.add(link)
        else:
            self._without_address.discard(link)

    def must_ask(self, link: LinkNumber) -> bool:
        """Whether frames that leave on this link ask to be answered by frames."""
        return link in self._without_address

    def heard_datagram(self, link: LinkNumber, peer: NodeId) -> None:
        """Take in that a peer can send by address."""
        self._asked.discard((link, peer))

    def heard_frame(self, link: LinkNumber, peer: NodeId, *, asks: bool) -> None:
        """Take in a frame; one that does not ask is only an answer to ours, from a peer that has its address."""
        if asks:
            self._asked.add((link, peer))
        else:
            self._asked.discard((link, peer))

    def is_by_frame(self, link: LinkNumber, peer: NodeId) -> bool:
        """Whether the next packet to this peer goes by frame."""
        return link in self._without_address or (link, peer) in self._asked
