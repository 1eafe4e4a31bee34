from corosync_samples import settings, standing

from komainu.model.ids import Incarnation, NodeId
from komainu.model.view import Delivered, Position
from komainu.ring.corosync.agreement import agree
from komainu.ring.corosync.stream import PART_BYTES_MAX, UNDER_WAY_BYTES_MAX, Stream
from komainu.ring.corosync.words import Data
from komainu.ring.interface import Deliver
from komainu.ring.outbox import Outbox

ONE, TWO = NodeId(1), NodeId(2)


def stream(me: int = 1) -> tuple[Stream, Outbox]:
    outbox = Outbox(NodeId(me), Incarnation(me * 11))
    return Stream(agree(settings(), {ONE: standing(1), TWO: standing(2)}), outbox), outbox


def test_a_payload_comes_back_with_its_token_and_position() -> None:
    one, outbox = stream()
    (word,) = one.submit(outbox.add(b"hello", 7, is_snapshot=False))
    assert isinstance(word, Data)
    memory = Delivered(ONE, one.agreed.members[0].life, 1)
    assert one.take(ONE, word) == [Deliver(Position(1001, 1), ONE, b"hello", 7, memory)]
    other, _ = stream(me=2)
    assert other.take(ONE, word) == [Deliver(Position(1001, 1), ONE, b"hello", None, memory)]
    assert one.chain == other.chain != b""


def test_a_large_payload_goes_in_parts_and_only_so_many_at_once() -> None:
    one, outbox = stream()
    payload = bytes(range(256)) * (8 * PART_BYTES_MAX // 256)
    words = one.submit(outbox.add(payload, 1, is_snapshot=False))
    assert len(words) == UNDER_WAY_BYTES_MAX // PART_BYTES_MAX
    seen: list[Deliver] = []
    while words:
        word = words.pop(0)
        assert isinstance(word, Data)
        assert len(word.payload) <= PART_BYTES_MAX
        for out in one.take(ONE, word):
            if isinstance(out, Deliver):
                seen.append(out)
            else:
                words.append(out)
    assert [each.payload for each in seen] == [payload]


def test_a_snapshot_of_the_owner_brings_the_state() -> None:
    two, _ = stream(me=2)
    assert not two.has_state
    two.take(ONE, Data(two.key, 1, 0, 1, True, b"state"))
    assert two.has_state


def test_stable_is_what_every_member_has_stored() -> None:
    one, _ = stream()
    one.told(ONE, Position(1001, 5))
    assert one.stable() is None
    one.told(TWO, Position(1001, 3))
    assert one.stable() == Position(1001, 3)
    one.told(TWO, Position(1001, 2))
    assert one.stable() == Position(1001, 3)


def test_what_waits_is_given_again_in_the_next_view() -> None:
    one, outbox = stream()
    outbox.add(b"x", 1, is_snapshot=False)
    (word,) = one.begin()
    assert isinstance(word, Data)
    assert word.payload == b"x"
