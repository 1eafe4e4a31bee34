"""The blocks of a lease's file or disk: what is written is read, and what is not whole is none."""

from dataclasses import replace

import pytest

from komainu.model.ids import NodeId
from komainu.model.view import ViewId
from komainu.ring.settings import LEASE_SLOTS, NODES_MAX
from komainu.witness.message import Answer, Question, Verdict
from komainu.witness.slots import (
    BLOCK_BYTES,
    REASON_CHARACTERS_MAX,
    SLOTS,
    Header,
    Page,
    place_of,
    read_header,
    read_page,
    slot_of,
    write_header,
    write_page,
)

HEADER = Header(2_000, "office", b"u" * 16)
NODES = tuple(NodeId(60_000 + number) for number in range(NODES_MAX))
QUESTION = Question(
    2**60, NODES[0], 2**60, 10**9, ViewId(10**9, NODES[0]), NODES, NODES, NODES[0], True, 33_000
)
ANSWER = Answer(2**60, 10**9, ViewId(10**9, NODES[0]), Verdict.WITHHELD, "x" * REASON_CHARACTERS_MAX, 2**60)
PAGE = Page(NODES[0], 2**60, 10**9, 2**60, QUESTION, tuple((node, ANSWER) for node in NODES))


def test_a_page_of_the_greatest_cluster_fits_and_is_read_as_it_was() -> None:
    block = write_page(PAGE, HEADER)
    assert len(block) == BLOCK_BYTES
    assert read_page(block, HEADER) == PAGE
    assert read_page(block.rstrip(b"\0"), HEADER) == PAGE


def test_what_is_torn_or_of_another_preparation_or_blank_is_no_page() -> None:
    block = write_page(PAGE, HEADER)
    assert read_page(block[:4096] + bytes(BLOCK_BYTES - 4096), HEADER) is None
    assert read_page(block, replace(HEADER, uuid=b"v" * 16)) is None
    assert read_page(bytes(BLOCK_BYTES), HEADER) is None
    assert read_page(b"KP1\xff\xff", HEADER) is None


def test_a_header_is_read_as_it_was() -> None:
    assert read_header(write_header(HEADER)) == HEADER


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (b"KOMAINU", "it is too small"),
        (b"SBD_SBD_".ljust(BLOCK_BYTES, b"\0"), "it has no header of a lease"),
        (write_header(HEADER).replace(b"office", b"0ffice"), "its header is broken"),
        (write_header(replace(HEADER, lease_ms=1)), "its header is broken"),
    ],
)
def test_a_header_that_is_none_says_why(block: bytes, said: str) -> None:
    found = read_header(block)
    assert isinstance(found, str)
    assert found.startswith(said)


def test_slots_do_not_overlap_and_are_as_many_as_the_settings_believe() -> None:
    assert SLOTS == LEASE_SLOTS
    assert [slot_of(NodeId(node)) for node in (1, 63, 64, 65)] == [1, 63, 0, 1]
    assert [place_of(slot) for slot in (0, 1)] == [BLOCK_BYTES, 2 * BLOCK_BYTES]
