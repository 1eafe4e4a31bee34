"""Define what the members of the group say to each other, and how it is written.

Every message begins with one byte, the version of this protocol. What Corosync delivers needs no seal of ours: it
is sealed on the wire by Kronosnet, and only root reaches Corosync's sockets. Must not know: what follows from it.
"""

from typing import Final

import msgspec

from komainu.model.ids import Incarnation, NodeId
from komainu.model.view import Delivered, Position
from komainu.ring.packet import EndState, Gone, Member, ViewKey

VERSION: Final = 1
"""Version of the protocol; a member of another one is left out and named."""


class Process(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A member of the process group."""

    node: NodeId
    process: int


class Ballot(msgspec.Struct, frozen=True, array_like=True):
    """What votequorum says on one node; `votes` are that node's own."""

    is_quorate: bool
    votes: int
    expected: int
    needed: int
    device_votes: int
    is_two_node: bool
    has_tie_breaker: bool


NO_BALLOT: Final = Ballot(
    is_quorate=False, votes=0, expected=0, needed=0, device_votes=0, is_two_node=False, has_tie_breaker=False
)
"""What a node says that votequorum has told nothing yet."""


class Word(msgspec.Struct, frozen=True, array_like=True, tag_field="word"):
    """Anything that members say."""


class Standing(Word, frozen=True, tag="s"):
    """Answer a change of the group: who I see in it, which view I come from, and where my state stands.

    `chain` stands for all that was delivered in that view: two members with the same chain hold the same. `number`
    says which word of its sender this is since the group changed; one that was sent before a later change, and tells
    of what was then, has another.
    """

    number: int
    change: int  # the sender's own count of changes, for itself
    group: tuple[Process, ...]
    life: Incarnation
    view: ViewKey | None
    members: tuple[Member, ...]
    is_quorate: bool
    chain: bytes
    position: Position
    has_state: bool
    waits_for_all: bool
    seen: int
    ballot: Ballot
    gone: tuple[Gone, ...]
    delivered: tuple[Delivered, ...]


class Data(Word, frozen=True, tag="d"):
    """A payload, or one of its parts, for the members of one view."""

    view: ViewKey
    submit: int
    part: int
    parts: int
    is_snapshot: bool
    payload: bytes


class Told(Word, frozen=True, tag="t"):
    """Say that this daemon lives, what it has stored, how its own ends stand, and whom its Corosync reaches."""

    view: ViewKey | None
    stored: Position
    ends: tuple[EndState, ...]
    reaches: tuple[NodeId, ...]


class Accuse(Word, frozen=True, tag="x"):
    """Say that a member of the group does not answer. Void if it said anything after these `heard` messages."""

    whom: Process
    heard: int
    reason: str


AnyWord = Standing | Data | Told | Accuse

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[AnyWord]] = msgspec.msgpack.Decoder(AnyWord)


class NotUnderstood(Exception):
    """The peer's fault: it speaks another version, or says what is no message."""


def encode(word: AnyWord) -> bytes:
    """Write a message."""
    return bytes([VERSION]) + _ENCODER.encode(word)


def decode(data: bytes) -> AnyWord:
    """Read a message. Raises NotUnderstood with a sentence."""
    if not data or data[0] != VERSION:
        said = f"version {data[0]}" if data else "nothing"
        raise NotUnderstood(f"it speaks {said} of komainu's protocol, this node speaks version {VERSION}")
    try:
        return _DECODER.decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotUnderstood(f"it said what is no message: {error}") from None
