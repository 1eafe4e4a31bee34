"""Seal packets into datagrams and open them: secrecy, authenticity, no replay, and pieces that fit the wire.

Decides which bytes from the network are believed. Must not know: sockets, addresses, or what packets mean. What
is not believed is counted by its kind and dropped; no bytes, whoever sent them, make `open` raise.

Form of a datagram: a header (version, link, sender, receiver, incarnation, counter), which is authenticated, and
a sealed body: message, fragment, fragments, then that part of the packet's msgpack. A message is named by its own
check sum: when a packet is sent again, the fragments that came of it the first time, by whichever link, count. Each life of a node
seals with a key of its own, derived from the cluster key, so the counter alone makes a nonce unique; the shell
draws incarnations at random.

Source: AEAD as in RFC 5116, AES-GCM; HKDF of RFC 5869; the sliding window against replay of RFC 4303, section
3.4.3, here for each life and link, since links have different delays. What was recorded from an earlier life of
a node opens here; that it is not believed is watch.py's part, where lives name each other.
"""

import struct
import zlib
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from komainu.model.ids import Incarnation, LinkNumber, NodeId
from komainu.model.layout import Layout
from komainu.ring.packet import Agreed, AnyPacket, Packet
from komainu.ring.settings import RingSettings

DATAGRAM_BYTES_MAX: Final = 1400
"""Largest datagram: fits into Ethernet's 1500 with IPv6, UDP and a tunnel's header around it."""

DATAGRAM_BYTES_NARROW: Final = 508
"""Largest datagram on a path that drops larger ones: what every host has to take (RFC 791: 576 with its headers)."""

MESSAGE_BYTES_MAX: Final = 1024 * 1024
"""Largest packet. Only proposals of large clusters come near a second fragment; payloads are cut by order.py."""

KEY_BYTES_MIN: Final = 32
"""Shortest cluster key."""

KEYS_MAX: Final = 3
"""Keys that open: the one in use, the one before, and one that is being introduced. More only while peers seal with them:
a rotation that is interrupted leaves a node with the key before, and the next ones must not make the others deaf to it."""

REPLAY_WINDOW: Final = 1024
"""Datagrams of one life on one link that may overtake each other."""

LIVES_MAX: Final = 8
"""Lives of one node whose keys and windows are kept; the one unused for longest goes first."""

PARTIALS_MAX: Final = 16
"""Unfinished messages of one life; the oldest goes first."""

_VERSION: Final = 2
_HEADER: Final = struct.Struct(">BBHHQQ")
_CHANNEL: Final = struct.Struct(">BBHHQ")  # of a header, all but the counter
_FRAGMENT: Final = struct.Struct(">IHH")
_WHOLE: Final = _FRAGMENT.pack(0, 0, 1)
_HEADER_BYTES: Final = _HEADER.size
_CHANNEL_BYTES: Final = _CHANNEL.size
_NONCE_PAD: Final = bytes(4)  # before the counter
_WINDOW_MASK: Final = (1 << REPLAY_WINDOW) - 1
_TAG_BYTES: Final = 16
_DATAGRAM_BYTES_MIN: Final = _HEADER_BYTES + _FRAGMENT.size + _TAG_BYTES
_CHUNK_BYTES: Final = DATAGRAM_BYTES_MAX - _HEADER.size - _FRAGMENT.size - _TAG_BYTES
_CHUNK_BYTES_NARROW: Final = DATAGRAM_BYTES_NARROW - (DATAGRAM_BYTES_MAX - _CHUNK_BYTES)
_FRAGMENTS_MAX: Final = -(-MESSAGE_BYTES_MAX // _CHUNK_BYTES_NARROW)

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[AnyPacket]] = msgspec.msgpack.Decoder(AnyPacket)


class Drop(Enum):
    """Why a datagram was not believed."""

    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    OTHER_VERSION = "other-version"
    OTHER_LINK = "other-link"
    UNKNOWN_SENDER = "unknown-sender"
    SAME_ID = "same-id"  # it says that it comes from us
    OTHER_RECEIVER = "other-receiver"
    NOT_AUTHENTIC = "not-authentic"  # another cluster's key, or tampered with
    REPLAYED = "replayed"
    BAD_FRAGMENT = "bad-fragment"
    INCOMPLETE = "incomplete"  # given up for newer messages, its other fragments were lost
    UNDECODABLE = "undecodable"
    OTHER_LIFE = "other-life"  # the packet names another life than its seal


@dataclass(frozen=True, slots=True)
class Opened:
    """A packet that is believed to come from this peer."""

    peer: NodeId
    packet: Packet


@dataclass(slots=True)
class _Window:
    """Which counters of one life on one link were seen: the greatest, and a bit for each below it."""

    greatest: int = -1
    seen: int = 0

    def has(self, counter: int) -> bool:
        """Whether this counter was seen, or is too old to tell."""
        age = self.greatest - counter
        return age >= REPLAY_WINDOW or (age >= 0 and bool(self.seen >> age & 1))

    def add(self, counter: int) -> None:
        """Remember a counter that `has` did not know."""
        step = counter - self.greatest
        if step > 0:
            self.seen = (self.seen << step & _WINDOW_MASK) | 1 if step < REPLAY_WINDOW else 1
            self.greatest = counter
        else:
            self.seen |= 1 << -step


@dataclass(slots=True)
class _Life:
    """One life of a peer: its key, what was seen of it, and what has begun to arrive."""

    aeads: list[tuple[bytes, AESGCM]]  # for each accepted key; that which opened the last datagram first
    windows: dict[LinkNumber, _Window] = field(default_factory=dict)
    partials: OrderedDict[tuple[int, int], dict[int, bytes]] = field(default_factory=OrderedDict)


@dataclass(frozen=True, slots=True)
class _Channel:
    """One life of a peer on one link: what a header of it leads to, so that it is looked up, and judged, once."""

    link: LinkNumber
    sender: NodeId
    incarnation: int
    life: _Life
    window: _Window


class Wire:
    """The seal of one life of one node. `counters` counts what was sent, opened, and dropped by its kind."""

    def __init__(
        self,
        settings: RingSettings,
        *,
        key: bytes,
        incarnation: Incarnation,
        accepted: tuple[bytes, ...] = (),
    ) -> None:
        """Start with the cluster key, at least KEY_BYTES_MIN bytes from a good source, and others that open."""
        assert len(key) >= KEY_BYTES_MIN, "the cluster key is too short"
        self.counters: Counter[str] = Counter()
        self._dropped: tuple[Drop, NodeId] | None = None
        self._cluster = settings.cluster
        self._keys = [key, *accepted]
        self._me = settings.me
        self._life = incarnation
        self._aead = self._derive(key, settings.me, incarnation)
        self._counter = 0
        self._links: set[LinkNumber] = set()
        self._lives: Mapping[NodeId, OrderedDict[int, _Life]] = {}
        self._channels: dict[bytes, _Channel] = {}  # of these lives, by what their headers begin with
        self.reconfigure(settings)

    def reconfigure(self, settings: RingSettings) -> None:
        """Believe these nodes on these links from now on; the lives of those that stay are kept."""
        self._links = {end.link for end in settings.of(settings.me).ends}
        peers = [node.node for node in settings.nodes if node.node != settings.me]
        self._lives = {peer: self._lives.get(peer, OrderedDict()) for peer in peers}
        self._channels.clear()

    # -- sealing --------------------------------------------------------------------------------------------

    def seal(self, link: LinkNumber, peer: NodeId, packet: Packet, *, is_narrow: bool = False) -> list[bytes]:
        """Return the datagrams that carry a packet to a peer over a link; small ones where it carries no others."""
        size = _CHUNK_BYTES_NARROW if is_narrow else _CHUNK_BYTES
        data = _ENCODER.encode(packet)
        assert len(data) <= MESSAGE_BYTES_MAX, "a packet is larger than the wire carries"
        if len(data) <= size:
            return self._seal_bodies(link, peer, [_WHOLE + data])
        count, message = -(-len(data) // size), zlib.crc32(data)
        bodies = [
            _FRAGMENT.pack(message, number, count) + data[number * size : (number + 1) * size]
            for number in range(count)
        ]
        return self._seal_bodies(link, peer, bodies)

    def _seal_bodies(self, link: LinkNumber, peer: NodeId, bodies: list[bytes]) -> list[bytes]:
        first, self._counter = self._counter + 1, self._counter + len(bodies)
        assert self._counter < 1 << 63, "a nonce is never used twice"
        self.counters["sealed"] += len(bodies)
        channel = _CHANNEL.pack(_VERSION, link, self._me, peer, self._life)
        encrypt, sealed = self._aead.encrypt, []
        for counter, body in enumerate(bodies, first):
            number = counter.to_bytes(8)
            header = channel + number
            sealed.append(header + encrypt(_NONCE_PAD + number, body, header))
        return sealed

    # -- keys -----------------------------------------------------------------------------------------------

    def accept(self, key: bytes) -> None:
        """Open with one more key from now on. When there are too many, one is dropped with which nobody seals."""
        assert len(key) >= KEY_BYTES_MIN, "the cluster key is too short"
        if key in self._keys:
            return
        unused = [each for each in self._keys[1:] if each not in self._sealed_with()]
        if len(self._keys) >= KEYS_MAX and unused:
            self._keys.remove(unused[-1])
        self._keys.append(key)
        for sender, lives in self._lives.items():
            for incarnation, life in lives.items():
                known = [each for each in life.aeads if each[0] in self._keys]
                life.aeads = [*known, (key, self._derive(key, sender, incarnation))]

    def use(self, key: bytes) -> None:
        """Seal with a key that every member accepts; the others go on to open."""
        assert key in self._keys, "a key is accepted before it is used"
        self._keys.remove(key)
        self._keys.insert(0, key)
        self._aead = self._derive(key, self._me, self._life)

    def _sealed_with(self) -> set[bytes]:
        """Return the keys with which the present lives of the peers sealed what came last."""
        return {lives[next(reversed(lives))].aeads[0][0] for lives in self._lives.values() if lives}

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The key that seals, then the others that open."""
        return tuple(self._keys)

    # -- opening --------------------------------------------------------------------------------------------

    def open(self, link: LinkNumber, datagram: bytes) -> Opened | None:
        """Return the packet that this datagram completes; None when it is dropped, or more is needed."""
        outcome = self._open(link, datagram)
        if isinstance(outcome, Drop):
            self.counters[outcome.value] += 1
            self._dropped = outcome, _claimed_sender(datagram)
            return None
        self.counters["opened"] += 1
        return outcome

    def turn_away(self, link: LinkNumber, datagram: bytes, layout: Layout) -> list[bytes]:
        """Return what tells the sender of this datagram that it is no node, if its seal holds; else nothing."""
        if len(datagram) < _HEADER.size + _TAG_BYTES:
            return []
        version, its_link, sender, receiver, incarnation, counter = _HEADER.unpack_from(datagram)
        is_for_us = receiver == self._me and its_link == link
        if not is_for_us or self._refuse_header(version, True, sender, receiver) is not Drop.UNKNOWN_SENDER:
            return []
        aeads = [(key, self._derive(key, sender, incarnation)) for key in self._keys]
        if _decrypt(aeads, counter.to_bytes(12), datagram[_HEADER_BYTES:], datagram[:_HEADER_BYTES]) is None:
            return []
        return self.seal(link, sender, Agreed(self._life, layout))

    def last_drop(self) -> tuple[Drop, NodeId] | None:
        """Return why the last datagram was dropped, and from whom it said that it came; once."""
        dropped, self._dropped = self._dropped, None
        return dropped

    def _open(self, link: LinkNumber, datagram: bytes) -> Opened | Drop | None:
        """Judge one datagram. Written for those that follow others of their channel: a large message has hundreds."""
        if not _DATAGRAM_BYTES_MIN <= len(datagram) <= DATAGRAM_BYTES_MAX:
            return Drop.TOO_LONG if len(datagram) > DATAGRAM_BYTES_MAX else Drop.TOO_SHORT
        header = datagram[:_HEADER_BYTES]
        known = self._channels.get(header[:_CHANNEL_BYTES])
        channel = known if known is not None and known.link == link else self._find_channel(link, header)
        if isinstance(channel, Drop):
            return channel
        number = header[_CHANNEL_BYTES:]
        counter = int.from_bytes(number)
        window = channel.window
        if counter <= window.greatest and window.has(counter):
            return Drop.REPLAYED
        body = _decrypt(channel.life.aeads, _NONCE_PAD + number, datagram[_HEADER_BYTES:], header)
        if body is None:
            return Drop.NOT_AUTHENTIC
        if channel is not known:
            self._keep(channel, header)
        window.add(counter)
        data = self._join(channel.life, body)
        return _decode(channel, data) if isinstance(data, bytes) else data

    def _find_channel(self, link: LinkNumber, header: bytes) -> _Channel | Drop:
        """Return what a header leads to, new or known. It is kept only when the seal holds (`_keep`)."""
        version, its_link, sender, receiver, incarnation, _ = _HEADER.unpack(header)
        wrong = self._refuse_header(version, link == its_link and link in self._links, sender, receiver)
        if wrong is not None:
            return wrong
        life = self._lives[sender].get(incarnation)
        if life is None:
            life = _Life([(key, self._derive(key, sender, incarnation)) for key in self._keys])
        window = life.windows.get(link) or _Window()
        return _Channel(link, sender, incarnation, life, window)

    def _refuse_header(self, version: int, same_link: bool, sender: NodeId, receiver: NodeId) -> Drop | None:
        if version != _VERSION:
            return Drop.OTHER_VERSION
        if sender == self._me:
            return Drop.SAME_ID
        if sender not in self._lives:
            return Drop.UNKNOWN_SENDER
        if receiver != self._me:
            return Drop.OTHER_RECEIVER
        return None if same_link else Drop.OTHER_LINK

    def _keep(self, channel: _Channel, header: bytes) -> None:
        """Remember what a datagram came by whose seal holds; strangers must not push out the keys of friends.

        Of each sender only the channels of the life that was used last are remembered: who comes by them changes nothing here.
        """
        lives = self._lives[channel.sender]
        lives[channel.incarnation] = channel.life
        lives.move_to_end(channel.incarnation)
        if len(lives) > LIVES_MAX:
            lives.popitem(last=False)
        channel.life.windows[channel.link] = channel.window
        kept = self._channels.items()
        self._channels = {
            key: each for key, each in kept if each.sender != channel.sender or each.life is channel.life
        }
        self._channels[header[:_CHANNEL_BYTES]] = channel

    def _join(self, life: _Life, body: bytes) -> bytes | Drop | None:
        """Return the whole message when this was its last missing fragment."""
        message, number, count = _FRAGMENT.unpack_from(body)
        chunk = body[_FRAGMENT.size :]
        if not 0 < count <= _FRAGMENTS_MAX or number >= count:
            return Drop.BAD_FRAGMENT
        if count == 1:
            return chunk
        parts = life.partials.get((message, count))
        if parts is None:
            parts = life.partials[message, count] = {}
        parts[number] = chunk
        if len(parts) == count:
            del life.partials[message, count]
            data = b"".join(map(parts.__getitem__, range(count)))
            return data if zlib.crc32(data) == message else Drop.BAD_FRAGMENT
        if len(life.partials) > PARTIALS_MAX:
            life.partials.popitem(last=False)
            self.counters[Drop.INCOMPLETE.value] += 1
        return None

    def _derive(self, key: bytes, sender: NodeId, incarnation: int) -> AESGCM:
        info = b"komainu ring 1\0" + self._cluster.encode() + b"\0" + struct.pack(">HQ", sender, incarnation)
        return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key))


def _claimed_sender(datagram: bytes) -> NodeId:
    return NodeId(_HEADER.unpack_from(datagram)[2]) if len(datagram) >= _HEADER.size else NodeId(0)


def _decrypt(aeads: list[tuple[bytes, AESGCM]], nonce: bytes, data: bytes, header: bytes) -> bytes | None:
    """Open with whichever key fits, and try that one first the next time."""
    try:
        return aeads[0][1].decrypt(nonce, data, header)
    except InvalidTag:
        pass
    for place in range(1, len(aeads)):
        try:
            body = aeads[place][1].decrypt(nonce, data, header)
        except InvalidTag:
            continue
        aeads.insert(0, aeads.pop(place))
        return body
    return None


def _decode(channel: _Channel, data: bytes) -> Opened | Drop:
    try:
        packet = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Drop.UNDECODABLE
    return Opened(channel.sender, packet) if packet.life == channel.incarnation else Drop.OTHER_LIFE
