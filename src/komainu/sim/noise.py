"""Spoil datagrams on their way: bits that flip, ends that are cut off, garbage that is added.

A packet is sealed as the daemon would, one of its datagrams is spoiled, and the receiver's seal is asked what it
believes. Nothing spoiled may ever be believed. Must not know: who sends what, or when.
"""

from random import Random
from typing import Final

from komainu.model.ids import LinkNumber, NodeId
from komainu.ring.packet import Packet
from komainu.ring.settings import RingSettings
from komainu.ring.wire import Wire

KEY: Final = b"a key that only made-up clusters have"
GARBAGE_BYTES: Final = (1, 40)


class Noise:
    """A bad cable. `believed` counts what came through although it was spoiled: it must stay 0."""

    def __init__(self, settings: dict[NodeId, RingSettings], chance: Random) -> None:
        self.spoiled = 0
        self.believed = 0
        self._settings = settings
        self._chance = chance

    def lets_through(self, sender: NodeId, receiver: NodeId, link: LinkNumber, packet: Packet) -> bool:
        """Spoil one datagram of a packet; whether the receiver still believes the packet."""
        self.spoiled += 1
        seal = Wire(self._settings[sender], key=KEY, incarnation=packet.life)
        seal_of_receiver = Wire(self._settings[receiver], key=KEY, incarnation=packet.life)
        datagrams = seal.seal(link, receiver, packet)
        struck = self._chance.randrange(len(datagrams))
        datagrams[struck] = self._spoil(datagrams[struck])
        opened = [seal_of_receiver.open(link, datagram) for datagram in datagrams]
        believed = any(each is not None for each in opened)
        self.believed += believed
        return believed

    def _spoil(self, datagram: bytes) -> bytes:
        chance = self._chance
        match chance.randrange(3):
            case 0:
                bit = chance.randrange(len(datagram) * 8)
                spoiled = bytearray(datagram)
                spoiled[bit // 8] ^= 1 << bit % 8
                return bytes(spoiled)
            case 1:
                return datagram[: chance.randrange(len(datagram))]
            case _:
                return datagram + chance.randbytes(chance.randint(*GARBAGE_BYTES))
