from corosync_samples import member, standing

from komainu.model.ids import Instant, NodeId
from komainu.model.view import Position
from komainu.ring.corosync.interface import Ending, GroupChanged
from komainu.ring.corosync.rollcall import RollCall
from komainu.ring.corosync.words import Accuse, Process, Standing, Told

NOBODY_GONE = ()


def roll_of(*nodes: int, me: int = 1) -> RollCall:
    roll = RollCall(NodeId(me), frozenset(NodeId(node) for node in (1, 2, 3)))
    roll.change(GroupChanged(tuple(member(node) for node in nodes), NOBODY_GONE), Instant(0))
    return roll


def stand(roll: RollCall, node: int, number: int = 0) -> bool:
    said = standing(node, group=roll.live, number=number)
    roll.heard(member(node), Instant(1))
    return roll.is_fresh(member(node), said) and roll.stand(NodeId(node), said)


def test_the_last_standing_ends_the_roll_call() -> None:
    roll = roll_of(1, 2)
    assert not stand(roll, 2)
    assert stand(roll, 1)
    assert not roll.is_open


def test_a_standing_of_another_group_or_from_before_a_change_does_not_count() -> None:
    roll = roll_of(1, 2)
    roll.heard(member(2), Instant(1))
    assert not roll.is_fresh(member(2), standing(2, group=(Process(NodeId(2), 102),), number=0))
    roll.heard(member(2), Instant(1))
    assert not roll.is_fresh(member(2), standing(2, group=roll.live, number=0))
    roll.heard(member(2), Instant(1))
    assert roll.is_fresh(member(2), standing(2, group=roll.live, number=2))


def test_our_own_words_are_numbered_from_the_change_with_those_in_flight() -> None:
    roll = roll_of(1, 2)
    told = Told(None, Position(), (), ())
    roll.numbered(told)
    roll.numbered(told)
    roll.heard(member(1), Instant(1))
    roll.change(GroupChanged((member(1), member(2), member(3)), NOBODY_GONE), Instant(2))
    assert roll.numbered(standing(1)) == standing(1, number=1, change=2)  # one is still on its way


def test_our_own_standing_that_does_not_count_is_given_again_with_the_right_number() -> None:
    roll = roll_of(1, 2)
    roll.has_called = True
    told = Told(None, Position(), (), ())
    roll.numbered(told)
    roll.numbered(told)  # both are lost
    word = roll.numbered(standing(1, group=roll.live))
    assert isinstance(word, Standing)
    roll.heard(member(1), Instant(1))
    assert not roll.is_fresh(member(1), word)
    assert not roll.has_called
    assert roll.numbered(standing(1)) == standing(1, number=1, change=1)


def test_nodes_that_the_settings_do_not_know_do_not_count() -> None:
    roll = roll_of(1, 2, 7)
    assert [process.node for process in roll.live] == [1, 2]
    assert roll.strangers == (7,)
    assert not roll.counts(member(7))


def test_words_on_who_is_gone() -> None:
    roll = roll_of(1, 2, 3)
    gone = roll.change(
        GroupChanged((member(1),), ((member(2), Ending.LEFT), (member(3), Ending.NODE_LOST))), Instant(5)
    )
    assert [(each.node, each.clean) for each in gone] == [(2, True), (3, False)]


def test_who_is_silent_is_accused_once_and_only_by_what_was_heard() -> None:
    roll = roll_of(1, 2)
    stand(roll, 1)
    stand(roll, 2)
    assert not roll.silent(Instant(900), view_ms=1000, roll_ms=4000)
    ((process, heard, ms),) = roll.silent(Instant(1001), view_ms=1000, roll_ms=4000)
    assert (process, heard, ms) == (Process(NodeId(2), 102), 1, 1000)
    assert not roll.silent(Instant(1200), view_ms=1000, roll_ms=4000)
    assert roll.holds(Accuse(process, heard, ""))
    roll.heard(member(2), Instant(1300))
    assert not roll.holds(Accuse(process, heard, "it spoke meanwhile"))


def test_who_does_not_answer_a_roll_call_is_accused_too_and_taken_out() -> None:
    roll = roll_of(1, 2)
    stand(roll, 1)
    ((process, heard, _),) = roll.silent(Instant(4000), view_ms=1000, roll_ms=4000)
    assert roll.holds(Accuse(process, heard, ""))
    roll.take_out(member(2), Instant(4001))
    assert roll.live == (Process(NodeId(1), 101),)
    assert not roll.counts(member(2))


def test_a_stall_of_ours_spares_everybody() -> None:
    roll = roll_of(1, 2)
    stand(roll, 1)
    stand(roll, 2)
    roll.spare(Instant(5000))
    assert not roll.silent(Instant(5900), view_ms=1000, roll_ms=4000)
