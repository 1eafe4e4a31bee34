"""What nodes and a witness say to each other: only who has the key is heard."""

import os

from hypothesis import given
from hypothesis import strategies as st

from komainu.model.ids import NodeId
from komainu.model.view import ViewId
from komainu.witness.message import (
    DATAGRAM_BYTES_MAX,
    NONCE_BYTES,
    Answer,
    Question,
    Verdict,
    cluster_of,
    open_answer,
    open_question,
    read_refusal,
    refusal,
    seal,
    witness_key,
)

KEY = witness_key(b"k" * 32, "office")
NONCE = b"n" * NONCE_BYTES
NODES = tuple(NodeId(number) for number in range(1, 33))
QUESTION = Question(
    2**55, NodeId(1), 2**62, 2**40, ViewId(2**40, NodeId(1)), NODES, NODES, None, True, 60_000
)
ANSWER = Answer(7, 8, ViewId(1, NodeId(1)), Verdict.CAST, "it gave its vote to this part", 9)


def test_who_has_the_key_reads_it() -> None:
    sealed = seal(QUESTION, KEY, "office", NONCE)
    assert cluster_of(sealed) == "office"
    assert open_question(sealed, KEY) == QUESTION
    assert open_answer(seal(ANSWER, KEY, "office", NONCE), KEY) == ANSWER


def test_the_largest_question_fits_into_a_datagram() -> None:
    assert len(seal(QUESTION, KEY, "x" * 64, NONCE)) <= DATAGRAM_BYTES_MAX


def test_each_cluster_has_its_own_key_and_it_is_not_the_cluster_key() -> None:
    other = witness_key(b"k" * 32, "shop")
    assert other != KEY
    assert KEY != b"k" * 32
    assert open_question(seal(QUESTION, KEY, "office", NONCE), other) is None


def test_a_question_is_no_answer_and_a_name_cannot_be_changed() -> None:
    sealed = seal(QUESTION, KEY, "office", NONCE)
    assert open_answer(sealed, KEY) is None
    assert open_question(sealed.replace(b"office", b"0ffice"), KEY) is None


def test_a_refusal_is_text_that_can_be_shown() -> None:
    assert read_refusal(refusal("the key is another one")) == "the key is another one"
    assert read_refusal(refusal("a\x1b[2Jb\n")) == "a[2Jb"
    assert read_refusal(b"anything") is None


@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_bytes_make_it_raise(junk: bytes, cut: int) -> None:
    for datagram in (junk, seal(QUESTION, KEY, "office", NONCE)[:cut] + junk, b"KQ1" + junk, b"KA1" + junk):
        cluster_of(datagram)
        assert open_question(datagram, os.urandom(32)) is None
        assert open_answer(datagram, KEY) is None
