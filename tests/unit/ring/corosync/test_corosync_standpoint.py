from corosync_samples import FULL, member, quorum, settings, standing

from komainu.model.ids import Incarnation, NodeId
from komainu.model.view import Position
from komainu.ring.corosync.agreement import agree
from komainu.ring.corosync.interface import Ending, QuorumSeen
from komainu.ring.corosync.standpoint import Standpoint
from komainu.ring.corosync.words import NO_BALLOT
from komainu.ring.interface import InstallView, LineRaised, Stable
from komainu.ring.outbox import Outbox
from komainu.ring.packet import Gone

ONE, TWO = NodeId(1), NodeId(2)


def standpoint(position: Position | None = None) -> Standpoint:
    return Standpoint(Outbox(ONE, Incarnation(11)), position or Position(), waits_for_all=False)


def test_a_life_begins_above_every_view_of_an_earlier_one() -> None:
    assert standpoint(Position(1001, 3)).seen == 3000
    assert standpoint().seen == 1000


def test_votequorums_word_is_waited_for() -> None:
    mine = standpoint()
    assert mine.ballot() == NO_BALLOT
    assert not mine.agrees_with({ONE})
    mine.quorum = quorum(1, 2)
    assert mine.agrees_with({ONE, TWO})
    mine.fates[TWO] = Gone(TWO, False, Ending.NODE_LOST.value)
    assert not mine.agrees_with({ONE})  # votequorum still has the node that was lost
    mine.quorum = quorum(1)
    assert mine.agrees_with({ONE})
    mine.standing(())
    assert not mine.has_new_ballot
    mine.quorum = quorum(1, 2)
    assert mine.has_new_ballot


def test_beside_a_stranger_two_node_does_not_count() -> None:
    mine = standpoint()
    mine.quorum = QuorumSeen(True, ((ONE, 1),), 2, 1, is_two_node=True)
    assert mine.ballot().is_two_node
    mine.speaks_with_strangers = True
    assert not mine.ballot().is_two_node


def test_a_view_begins_and_what_is_stored_in_it_is_stable_when_all_say_so() -> None:
    mine = standpoint()
    out = mine.begin(agree(settings(), {ONE: standing(1), TWO: standing(2)}))
    assert isinstance(out[0], InstallView)
    mine.store(Position(0, 0))
    assert not mine.tell_stable()
    mine.store(Position(1001, 0))
    assert mine.stream is not None
    mine.stream.told(TWO, Position(1001, 0))
    assert mine.tell_stable() == [Stable(Position(1001, 0))]
    assert mine.tell_stable() == []
    assert member(1).node == mine.standing(()).members[0].node


def test_a_half_becomes_the_line_when_its_twin_is_confirmed_off() -> None:
    mine = standpoint(Position(900, 4))
    pair = standing(1, position=Position(900, 4), ballot=FULL.__class__(True, 1, 2, 1, 0, True, False))
    mine.begin(agree(settings(2), {ONE: pair}))
    assert mine.stream is not None
    assert mine.stream.position == Position(900, 5)
    assert mine.raise_line() == [LineRaised(Position(1001, 0))]
    assert mine.raise_line() == []
