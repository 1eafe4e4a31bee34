"""node/rotation.py, key_keeper.py: a key is used only when every node of the view accepts it, and survives a restart."""

from pathlib import Path

import pytest

from komainu.cib.command import ConfirmKey, RotateKey
from komainu.model.cause import Cause
from komainu.model.ids import Incarnation, LinkNumber, NodeId, NodeName, WallTime
from komainu.model.link import LinkEnd
from komainu.model.report import Note
from komainu.model.request import Done, RefusedReply, Reply
from komainu.model.view import Position
from komainu.node.interface import AcceptKey, Answer, ClientId, DrawKey, KeyAccepted, KeyDrawn, UseKey
from komainu.node.key import read_accepted_keys, read_key, write_new_key
from komainu.node.key_keeper import KeyKeeper, fingerprint, open_key, seal_key
from komainu.node.rotation import UNDER_WAY, Rotation
from komainu.ring.packet import Leaving
from komainu.ring.settings import NodeSettings, RingSettings
from komainu.ring.wire import KEYS_MAX, Wire

A, B = NodeId(1), NodeId(2)
NAMES = {A: NodeName("a"), B: NodeName("b")}
LINK = LinkNumber(0)
COMMAND = RotateKey(Cause("operator", "root replaced the key"), WallTime(0), "root", b"sealed", "f00")


def confirm(fault: str = "", fingerprint: str = "f00") -> ConfirmKey:
    return Rotation.confirmation(NAMES[A], KeyAccepted(fingerprint, fault), WallTime(0))


def begun(client: ClientId | None = None) -> Rotation:
    """A rotation of two nodes that has just begun."""
    rotation = Rotation(NAMES)
    assert rotation.begin_view((A, B), (A,)) == []
    assert rotation.refuse((A, B)) is None
    assert rotation.begin(COMMAND, client) == [AcceptKey(b"sealed", "f00")]
    return rotation


def test_a_key_is_used_when_every_node_has_confirmed_it() -> None:
    rotation = begun(ClientId(7))
    assert rotation.refuse((A, B)) == UNDER_WAY
    assert rotation.remarks() == ("the cluster key is being replaced by f00: waiting for a, b",)
    assert rotation.confirmed(confirm(), NAMES[A], Position(5, 4)) == []
    assert rotation.confirmed(confirm(), NAMES[A], Position(5, 5)) == []
    assert rotation.confirmed(confirm(fingerprint="e11"), NAMES[B], Position(5, 6)) == []  # of an earlier one
    outcome = rotation.confirmed(confirm(), NAMES[B], Position(5, 7))
    assert outcome == [UseKey("f00"), Answer(ClientId(7), Done("5.7"))]
    assert rotation.confirmed(confirm(), NAMES[B], Position(5, 8)) == []
    assert rotation.refuse((A, B)) is None


def test_a_key_that_one_node_cannot_take_is_used_by_nobody() -> None:
    """Both nodes see the same order: one that had confirmed it gives it up, too."""
    one, two = begun(ClientId(7)), begun()
    for rotation in (one, two):
        assert rotation.confirmed(confirm(), NAMES[A], Position(5, 4)) == []
    note, answer = one.confirmed(confirm("the disk is full"), NAMES[B], Position(5, 5))
    assert isinstance(note, Note)
    assert "b cannot take the new one: the disk is full" in note.message
    assert "Mend that on b, then: komainu key rotate" in note.message
    assert isinstance(answer, Answer)
    assert isinstance(answer.reply, RefusedReply)
    (reason,) = answer.reply.reasons
    assert reason.code == "key.not-replaced"
    assert "b cannot take the new one: the disk is full" in reason.message
    assert reason.hint == "mend that on b, then: komainu key rotate"
    assert two.confirmed(confirm("the disk is full"), NAMES[B], Position(5, 5)) == [note]
    for rotation in (one, two):
        assert rotation.remarks() == (note.message,), "until the next one begins"
        assert rotation.confirmed(confirm(), NAMES[B], Position(5, 6)) == []
        assert rotation.refuse((A, B)) is None  # it may be tried again


def test_of_two_at_once_the_second_is_refused() -> None:
    rotation = begun(ClientId(7))
    assert rotation.begin(COMMAND, ClientId(8)) == [Answer(ClientId(8), UNDER_WAY)]
    assert rotation.begin(COMMAND, None) == []
    rotation.confirmed(confirm(), NAMES[A], Position(5, 4))
    assert UseKey("f00") in rotation.confirmed(confirm(), NAMES[B], Position(5, 5))


def test_a_key_is_not_used_when_the_view_changes_before() -> None:
    rotation = begun(ClientId(7))
    note, answer = rotation.begin_view((A,), (A,))
    assert isinstance(note, Note)
    assert "komainu key rotate" in note.message
    assert isinstance(answer, Answer)
    assert isinstance(answer.reply, RefusedReply)
    for node in (A, B):
        assert rotation.confirmed(confirm(), NAMES[node], Position(9, 9)) == []
    (late, refusal) = rotation.begin(COMMAND, ClientId(8))
    assert isinstance(late, Note)
    assert isinstance(refusal, Answer)
    missing = rotation.refuse((A,))
    assert missing is not None
    assert "b is not here" in missing.reasons[0].message


def test_a_view_of_all_who_have_applied_it_does_not_end_a_rotation() -> None:
    rotation = begun()
    assert rotation.begin_view((A, B), (A, B)) == []
    rotation.confirmed(confirm(), NAMES[A], Position(6, 1))
    assert rotation.confirmed(confirm(), NAMES[B], Position(6, 2)) == [UseKey("f00")]
    rotation.begin(COMMAND, None)
    assert len(rotation.begin_view((A, B), (A,))) == 1  # b was away for a moment
    for node in (A, B):
        assert rotation.confirmed(confirm(), NAMES[node], Position(7, 1)) == []


def test_a_rotation_does_not_wait_for_a_node_that_was_removed() -> None:
    names = dict(NAMES)
    rotation = Rotation(names)
    rotation.begin_view((A, B), (A, B))
    rotation.begin(COMMAND, None)
    del names[B]
    assert len(rotation.begin_view((A,), (A,))) == 1
    assert rotation.refuse((A,)) is None


class Node:
    """A wire with its keeper and its file."""

    def __init__(self, folder: Path, me: NodeId, key: bytes) -> None:
        nodes = tuple(
            NodeSettings(node, name, (LinkEnd(LINK, f"10.0.0.{node}"),)) for node, name in NAMES.items()
        )
        self.wire = Wire(RingSettings("test", me, nodes), key=key, incarnation=Incarnation(int(me)))
        self.path = folder / f"{me}.key"
        self.drawn: list[KeyDrawn] = []
        self.accepted: list[KeyAccepted] = []
        self.notes: list[Note] = []
        self.keeper = KeyKeeper(self.wire, str(self.path), self.hear, self.notes.append)

    def hear(self, event: KeyDrawn | KeyAccepted) -> None:
        if isinstance(event, KeyDrawn):
            self.drawn.append(event)
        else:
            self.accepted.append(event)

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


def rotate(nodes: dict[NodeId, Node]) -> Reply:
    """Have the first node replace the key, through the order that all see; return what its client is told."""
    rotations = {node: Rotation(NAMES) for node in nodes}
    drawer = nodes[A]
    drawer.keeper.carry_out(DrawKey(ClientId(1), "root"))
    order: list[tuple[NodeId, RotateKey | ConfirmKey]] = [
        (A, Rotation.command(drawer.drawn.pop(), WallTime(0)))
    ]
    replies: list[Reply] = []
    for rotation in rotations.values():
        rotation.begin_view(tuple(nodes), tuple(nodes))
    for index, (origin, command) in enumerate(order):  # grows as it is read
        for me, node in nodes.items():
            if isinstance(command, RotateKey):
                effects = rotations[me].begin(command, ClientId(1) if me == A else None)
            else:
                effects = rotations[me].confirmed(command, NAMES[origin], Position(5, index))
            for effect in effects:
                if isinstance(effect, Answer):
                    replies.append(effect.reply)
                elif isinstance(effect, Note):
                    node.notes.append(effect)
                else:
                    node.keeper.carry_out(effect)
            order += [(me, Rotation.confirmation(NAMES[me], each, WallTime(0))) for each in node.accepted]
            node.accepted.clear()
    (reply,) = replies
    return reply


def test_a_key_file_that_cannot_be_written_keeps_all_at_the_key_before(tmp_path: Path) -> None:
    before = b"1" * 32
    one, two = Node(tmp_path, A, before), Node(tmp_path / "missing", B, before)
    reply = rotate({A: one, B: two})
    assert isinstance(reply, RefusedReply)
    assert (
        f"b cannot take the new one: {two.path} cannot be written (No such file" in reply.reasons[0].message
    )
    assert [node.wire.keys[0] for node in (one, two)] == [before, before]
    assert [note.code for node in (one, two) for note in node.notes] == ["key.not-replaced"] * 2
    restarted = Node(tmp_path, B, before)  # with the key file that it had
    assert one.hears(restarted)
    assert restarted.hears(one)
    two.path.parent.mkdir()
    assert rotate({A: one, B: two}) == Done("5.2")
    assert (
        one.wire.keys[0] == two.wire.keys[0] == read_key(str(two.path)) == read_key(str(one.path)) != before
    )


def test_a_key_that_does_not_open_is_said_and_used_by_nobody(tmp_path: Path) -> None:
    one, two = Node(tmp_path, A, b"1" * 32), Node(tmp_path, B, b"3" * 32)
    reply = rotate({A: one, B: two})
    assert isinstance(reply, RefusedReply)
    assert "b cannot take the new one: it cannot be opened with the keys in" in reply.reasons[0].message
    assert one.wire.keys[0] == b"1" * 32
    assert two.wire.keys == (b"3" * 32,)
    assert open_key(b"short", one.wire.keys) is None


def test_a_file_that_cannot_be_written_any_more_as_the_key_is_used_is_said(tmp_path: Path) -> None:
    one = Node(tmp_path / "gone", A, b"1" * 32)
    one.path.parent.mkdir()
    name = fingerprint(b"2" * 32)
    one.keeper.carry_out(AcceptKey(seal_key(b"2" * 32, b"1" * 32), name))
    assert one.accepted == [KeyAccepted(name)]
    one.path.unlink()
    one.path.parent.rmdir()
    one.keeper.carry_out(UseKey(name))
    assert [note.code for note in one.notes] == ["key.unwritable", "key.in-use"]
    assert one.wire.keys[0] == b"2" * 32
