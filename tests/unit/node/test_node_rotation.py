"""node/rotation.py, key_keeper.py: a key is used only when every node of the view accepts it, and survives a restart."""

from pathlib import Path

import pytest

from komainu.cib.command import RotateKey
from komainu.model.cause import Cause
from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkEnd
from komainu.model.report import Note
from komainu.model.view import Position
from komainu.node.interface import AcceptKey, ClientId, DrawKey, KeyDrawn, UseKey
from komainu.node.key import read_accepted_keys, read_key, write_new_key
from komainu.node.key_keeper import KeyKeeper, fingerprint, open_key, seal_key
from komainu.node.rotation import Rotation
from komainu.ring.packet import Leaving
from komainu.ring.settings import NodeSettings, RingSettings
from komainu.ring.wire import KEYS_MAX, Wire

A, B = NodeId(1), NodeId(2)
NAMES = {A: NodeName("a"), B: NodeName("b")}
LINK = LinkNumber(0)
COMMAND = RotateKey(Cause("operator", "root replaced the key"), WallTime(0), "root", b"sealed", "f00")


def test_a_key_is_used_when_every_member_of_the_whole_view_has_it() -> None:
    rotation = Rotation(NAMES)
    assert rotation.begin_view((A, B), (A,)) == []
    assert rotation.refuse((A, B)) is None
    assert rotation.applied(COMMAND, Position(5, 3)) == AcceptKey(b"sealed", "f00")
    assert rotation.refuse((A, B)) is not None  # one at a time
    assert rotation.due(Position(5, 2)) == []
    assert rotation.due(Position(5, 3)) == [UseKey("f00")]
    assert rotation.due(Position(5, 3)) == []


def test_a_key_is_not_used_when_the_view_changes_before() -> None:
    rotation = Rotation(NAMES)
    rotation.begin_view((A, B), (A, B))
    rotation.applied(COMMAND, Position(5, 3))
    (note,) = rotation.begin_view((A,), (A,))
    assert "komainu key rotate" in note.message
    assert rotation.due(Position(9, 9)) == []
    assert isinstance(rotation.applied(COMMAND, Position(9, 9)), Note)
    refusal = rotation.refuse((A,))
    assert refusal is not None
    assert "b is not here" in refusal.reasons[0].message


def test_a_view_of_all_who_have_applied_it_does_not_end_a_rotation() -> None:
    rotation = Rotation(NAMES)
    rotation.begin_view((A, B), (A,))
    rotation.applied(COMMAND, Position(5, 3))
    assert rotation.begin_view((A, B), (A, B)) == []
    assert rotation.due(Position(5, 2)) == []
    assert rotation.due(Position(6, 0)) == [UseKey("f00")]
    rotation.applied(COMMAND, Position(6, 1))
    assert len(rotation.begin_view((A, B), (A,))) == 1  # b was away for a moment
    assert rotation.due(Position(7, 0)) == []


class Node:
    """A wire with its keeper and its file."""

    def __init__(self, folder: Path, me: NodeId, key: bytes) -> None:
        nodes = tuple(
            NodeSettings(node, name, (LinkEnd(LINK, f"10.0.0.{node}"),)) for node, name in NAMES.items()
        )
        self.wire = Wire(RingSettings("test", me, nodes), key=key, incarnation=Incarnation(int(me)))
        self.path = folder / f"{me}.key"
        self.drawn: list[KeyDrawn] = []
        self.notes: list[Note] = []
        self.keeper = KeyKeeper(self.wire, str(self.path), self.drawn.append, self.notes.append)

    def hears(self, other: "Node") -> bool:
        peer, me = NodeId(other.wire._me), NodeId(self.wire._me)
        datagrams = other.wire.seal(LINK, me, Leaving(Incarnation(int(peer))))
        return self.wire.open(LINK, datagrams[0]) is not None


def test_nobody_is_deaf_at_any_step(tmp_path: Path) -> None:
    write_new_key(str(tmp_path / "first"))
    first = read_key(str(tmp_path / "first"))
    one, two = Node(tmp_path, A, first), Node(tmp_path, B, first)

    def all_hear() -> bool:
        return one.hears(two) and two.hears(one)

    assert all_hear()
    for _ in range(4):
        one.keeper.carry_out(DrawKey(ClientId(1), "root"))
        drawn = one.drawn.pop()
        assert all_hear()
        for node in (two, one):
            node.keeper.carry_out(AcceptKey(drawn.sealed, drawn.fingerprint))
            assert all_hear()
        for node in (one, two):
            node.keeper.carry_out(UseKey(drawn.fingerprint))
            assert all_hear()
        assert fingerprint(read_key(str(one.path))) == drawn.fingerprint
        assert (read_key(str(two.path)), *read_accepted_keys(str(two.path))) == two.wire.keys
        assert one.path.stat().st_mode & 0o777 == 0o600
    assert first not in one.wire.keys  # pushed out by three others


@pytest.mark.parametrize("uses", [(True, False), (False, True)])
def test_nobody_is_deaf_although_each_rotation_is_interrupted(
    tmp_path: Path, uses: tuple[bool, bool]
) -> None:
    """The view changes each time when one node has heard that all accept the key, and the other has not."""
    one, two = Node(tmp_path, A, b"1" * 32), Node(tmp_path, B, b"1" * 32)
    for _ in range(KEYS_MAX + 2):
        one.keeper.carry_out(DrawKey(ClientId(1), "root"))
        drawn = one.drawn.pop()
        steps: list[tuple[Node, AcceptKey | UseKey]] = [
            *((node, AcceptKey(drawn.sealed, drawn.fingerprint)) for node in (one, two)),
            *(
                (node, UseKey(drawn.fingerprint))
                for node, is_used in zip((one, two), uses, strict=True)
                if is_used
            ),
        ]
        for node, step in steps:
            node.keeper.carry_out(step)
            assert one.hears(two)
            assert two.hears(one)
    assert {note.code for node in (one, two) for note in node.notes} == {"key.in-use"}
    for node in (one, two):
        assert len(node.wire.keys) <= KEYS_MAX + 1  # and that with which the other seals
        assert (read_key(str(node.path)), *read_accepted_keys(str(node.path))) == node.wire.keys


def test_a_key_that_does_not_open_is_said_and_not_used(tmp_path: Path) -> None:
    one = Node(tmp_path, A, b"1" * 32)
    foreign = seal_key(b"2" * 32, b"3" * 32)
    one.keeper.carry_out(AcceptKey(foreign, fingerprint(b"2" * 32)))
    one.keeper.carry_out(UseKey(fingerprint(b"2" * 32)))
    assert one.wire.keys == (b"1" * 32,)
    assert [note.code for note in one.notes] == ["key.unopened"]
    assert open_key(b"short", one.wire.keys) is None


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    one = Node(tmp_path / "missing", A, b"1" * 32)
    sealed = seal_key(b"2" * 32, b"1" * 32)
    one.keeper.carry_out(AcceptKey(sealed, fingerprint(b"2" * 32)))
    assert [note.code for note in one.notes] == ["key.unwritable"]
    assert b"2" * 32 in one.wire.keys
