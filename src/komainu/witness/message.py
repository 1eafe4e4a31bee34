"""Write and read what nodes and a witness say to each other: sealed, so that nobody else can vote or listen.

A datagram: a mark, the cluster's name, a nonce, and a sealed msgpack. The key is derived from the cluster key, and
is all that a witness is given: it cannot speak on the ring with it. What does not open is dropped; the witness then
says in clear why, which a node shows and does not act on.
Source: AEAD as in RFC 5116, AES-GCM with a random nonce; HKDF of RFC 5869. Replay: a question names the present
life of the witness (`epoch`), and within it a node's life and a number that only grow.
"""

from enum import Enum
from typing import Final, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from komainu.model.ids import NodeId
from komainu.model.view import ViewId

DATAGRAM_BYTES_MAX: Final = 1200
"""A question of 64 nodes has 550 bytes; a reason has 300 characters at most."""

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32

_QUESTION: Final = b"KQ1"
_ANSWER: Final = b"KA1"
_REFUSAL: Final = b"KR1"


class Verdict(Enum):
    """What the witness says of a part."""

    CAST = "cast"
    WITHHELD = "withheld"
    PENDING = "pending"  # ask again


class Question(msgspec.Struct, frozen=True, array_like=True):
    """A node asks for the vote for the part that it is in, or is about to be in."""

    epoch: int  # the witness's life, as its last answer had it; 0: not known
    node: NodeId
    life: int
    number: int
    view: ViewId
    members: tuple[NodeId, ...]
    nodes: tuple[NodeId, ...]  # all that are configured
    goes_first: NodeId | None  # who runs the service, where that is agreed on
    holds: bool  # this part has the vote, as far as this node knows
    lease_ms: int


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The witness answers the question with this number."""

    life: int
    number: int
    view: ViewId
    verdict: Verdict
    reason: str
    epoch: int = 0


def witness_key(cluster_key: bytes, cluster: str) -> bytes:
    """Derive the key that a cluster and its witness share."""
    info = b"komainu witness " + cluster.encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(cluster_key)


def seal(message: Question | Answer, key: bytes, cluster: str, nonce: bytes) -> bytes:
    """Write a message for somebody who has the key. The nonce is random, and never the same again."""
    mark = _QUESTION if isinstance(message, Question) else _ANSWER
    name = cluster.encode()
    header = mark + bytes([len(name)]) + name
    return header + nonce + AESGCM(key).encrypt(nonce, msgspec.msgpack.encode(message), header)


def cluster_of(datagram: bytes) -> str | None:
    """Return the name of the cluster that a question claims to come from; None when it is no question."""
    found = _header_of(datagram, _QUESTION)
    return None if found is None else found[0]


def open_question(datagram: bytes, key: bytes) -> Question | None:
    """Open a question; None when it was not sealed with this key."""
    return _open(datagram, _QUESTION, key, Question)


def open_answer(datagram: bytes, key: bytes) -> Answer | None:
    """Open an answer; None when it was not sealed with this key."""
    return _open(datagram, _ANSWER, key, Answer)


def refusal(reason: str) -> bytes:
    """Write, for anybody to read, why a datagram was dropped."""
    return _REFUSAL + reason.encode()


def read_refusal(datagram: bytes) -> str | None:
    """Read why a datagram was dropped, as somebody says; None when it is no refusal."""
    if not datagram.startswith(_REFUSAL):
        return None
    text = datagram[len(_REFUSAL) :].decode(errors="replace")
    return "".join(character for character in text if character.isprintable())


_Kind = TypeVar("_Kind", Question, Answer)


def _open(datagram: bytes, mark: bytes, key: bytes, kind: type[_Kind]) -> _Kind | None:
    found = _header_of(datagram, mark)
    if found is None:
        return None
    _, length = found
    header, nonce, sealed = (
        datagram[:length],
        datagram[length : length + NONCE_BYTES],
        datagram[length + NONCE_BYTES :],
    )
    try:
        return msgspec.msgpack.decode(AESGCM(key).decrypt(nonce, sealed, header), type=kind)
    except (InvalidTag, ValueError, msgspec.MsgspecError):
        return None


def _header_of(datagram: bytes, mark: bytes) -> tuple[str, int] | None:
    """Return the cluster's name and where the header ends."""
    if not datagram.startswith(mark) or len(datagram) > DATAGRAM_BYTES_MAX:
        return None
    start = len(mark) + 1
    end = start + (datagram[len(mark)] if len(datagram) > len(mark) else 0)
    try:
        return datagram[start:end].decode(), end
    except UnicodeDecodeError:
        return None
