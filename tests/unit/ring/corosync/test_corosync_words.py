import pytest

from komainu.model.ids import NodeId
from komainu.model.view import Position
from komainu.ring.corosync.words import VERSION, Accuse, NotUnderstood, Process, Told, decode, encode


def test_a_word_comes_back_as_it_was() -> None:
    for word in (Told(None, Position(3, 4), (), (NodeId(2),)), Accuse(Process(NodeId(2), 7), 3, "silent")):
        assert decode(encode(word)) == word


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "it speaks nothing"),
        (bytes([VERSION + 1]) + b"x", f"version {VERSION + 1}"),
        (bytes([VERSION]) + b"\xc1", "what is no message"),
        (bytes([VERSION]) + b"\x91\xa1z", "what is no message"),
    ],
)
def test_what_is_no_word_is_named(data: bytes, sentence: str) -> None:
    with pytest.raises(NotUnderstood, match=sentence):
        decode(data)
