import msgspec
from corosync_samples import FULL, settings, standing

from komainu.model.ids import Incarnation, NodeId
from komainu.model.view import Position, ViewId
from komainu.ring.corosync.agreement import agree, alone, choose_owner, judge
from komainu.ring.corosync.words import Standing
from komainu.ring.packet import Gone, Member, ViewKey

VIEW = ViewKey(ViewId(1001, NodeId(1)), Incarnation(11))
MEMBERS = tuple(Member(NodeId(node), Incarnation(node * 11)) for node in (1, 2, 3))
ONE, TWO, THREE = NodeId(1), NodeId(2), NodeId(3)


def from_view(node: int, **changes: object) -> Standing:
    return standing(node, view=VIEW, members=MEMBERS, is_quorate=True, position=Position(1001, 5), **changes)


def test_a_first_view_is_quorate_when_corosync_and_the_daemons_are() -> None:
    begun = agree(settings(), {ONE: standing(1), TWO: standing(2)}).begun
    assert begun.view.quorate
    assert begun.view.quorum_reason == "2 of 3 votes"
    assert begun.position == Position(1001, 0)
    assert (begun.owner, begun.keeps_state, begun.arrivals) == (1, (1,), (1, 2))


def test_a_majority_of_corosyncs_without_their_daemons_is_not_enough() -> None:
    begun = agree(settings(), {ONE: standing(1)}).begun
    assert not begun.view.quorate
    assert begun.view.quorum_reason == "the daemons that are here have 1 of 3 votes; 2 are needed"
    assert begun.position == Position(0, 1)


def test_one_member_without_corosyncs_quorum_takes_it_from_all() -> None:
    without = standing(2, ballot=msgspec.structs.replace(FULL, is_quorate=False))
    verdict = judge(settings(), {ONE: standing(1), TWO: without}, waiting=False)
    assert (verdict.quorate, verdict.reason) == (False, "Corosync gives no quorum on b; 2 of 3 votes")


def test_two_node_lets_a_half_go_on_but_it_is_not_the_line() -> None:
    pair = msgspec.structs.replace(FULL, expected=2, needed=1, is_two_node=True)
    begun = agree(settings(2), {ONE: standing(1, ballot=pair, position=Position(1001, 7))}).begun
    assert begun.view.quorate
    assert begun.view.quorum_reason == "two_node: 1 of 2 votes is enough"
    assert begun.position == Position(1001, 8)


def test_the_tie_breaker_and_a_quorum_device_are_corosyncs() -> None:
    half = msgspec.structs.replace(FULL, expected=4, needed=3, has_tie_breaker=True)
    verdict = judge(
        settings(4), {ONE: standing(1, ballot=half), TWO: standing(2, ballot=half)}, waiting=False
    )
    assert verdict.quorate
    assert "tie-breaker" in verdict.reason
    device = msgspec.structs.replace(FULL, expected=3, needed=2, device_votes=1)
    verdict = judge(settings(2), {ONE: standing(1, ballot=device)}, waiting=False)
    assert (verdict.quorate, verdict.reason) == (True, "2 of 3 votes, 1 of them the quorum device's")


def test_wait_for_all_names_who_was_not_seen() -> None:
    waits = {node: standing(node, waits_for_all=True) for node in (ONE, TWO)}
    begun = agree(settings(), waits).begun
    assert begun.view.quorum_reason == "wait_for_all: c was not seen since the start"
    assert not agree(settings(), {**waits, THREE: standing(3, waits_for_all=True)}).waits_for_all


def test_half_of_a_pair_that_lacks_the_state_does_not_go_on_alone() -> None:
    pair = msgspec.structs.replace(FULL, expected=2, needed=1, is_two_node=True)
    agreed = agree(settings(2), {ONE: from_view(1, ballot=pair, has_state=False)})
    assert agreed.begun.view.quorum_reason == "wait_for_all: b went before its state was here"
    assert agreed.waits_for_all
    assert agree(settings(2), {ONE: from_view(1, ballot=pair)}).begun.view.quorate


def test_who_did_not_deliver_the_same_takes_the_owners_state() -> None:
    standings = {
        ONE: from_view(1, chain=b"x"),
        TWO: from_view(2, chain=b"x"),
        THREE: from_view(3, chain=b"y"),
    }
    assert agree(settings(), standings).begun.keeps_state == (1, 2)


def test_the_quorate_line_goes_before_a_longer_one_that_was_left_behind() -> None:
    behind = standing(1, position=Position(999, 100))
    assert choose_owner({ONE: behind, TWO: from_view(2)}) == 2


def test_departures_carry_the_best_word() -> None:
    gone = (Gone(TWO, False, "Corosync lost the node"), Gone(THREE, False, "lost"))
    left = (Gone(THREE, True, "it left"),)
    begun = agree(settings(), {ONE: from_view(1, gone=(*gone, *left))}).begun
    words = {each.node: (each.clean, each.reason) for each in begun.departures}
    assert words == {2: (False, "Corosync lost the node"), 3: (True, "it left")}


def test_a_new_life_of_a_member_has_departed_and_arrived() -> None:
    fresh = standing(2, life=Incarnation(99))
    begun = agree(settings(), {ONE: from_view(1), TWO: fresh, THREE: from_view(3)}).begun
    assert [(each.node, each.clean) for each in begun.departures] == [(2, False)]
    assert begun.arrivals == (2,)


def test_without_the_engine_a_node_is_alone_and_never_quorate() -> None:
    agreed = alone(settings(), standing(1), "Corosync ended")
    assert agreed.begun.view.members == (1,)
    assert (agreed.begun.view.quorate, agreed.begun.view.quorum_reason) == (False, "Corosync ended")
