"""cib/membership.py: what a view, a join, a leave and a fencing make of a node's state."""

import pytest
from cib_samples import (
    AT,
    CAUSE,
    WEB_XML,
    A,
    B,
    accepted,
    attributes,
    entries,
    join,
    new_state,
    record,
    refusal,
    request,
    run,
    status_of,
    two_members,
    view_of,
)
from msgspec import structs

from komainu.cib.command import ChangeMembership, ConfirmOff, LeaveNode, RecordFencing, SetAttribute
from komainu.cib.initial import empty_cib
from komainu.cib.membership import STRUCK_MS
from komainu.cib.nodes import node_entries, node_state
from komainu.cib.state import ClusterState
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeName, WallTime
from komainu.model.view import View

DEVICES = tuple(
    f'<primitive id="{name}" class="stonith" type="{agent}"/>'
    for name, agent in (("power", "fence_lab"), ("disk", "fence_sbd"), ("dog", "fence_watchdog"))
)

DOWN = ("false", "offline", "down", "down")
LOST = ("false", "offline", "down", "member")
PENDING = ("true", "online", "pending", "member")
MEMBER = ("true", "online", "member", "member")


def fencing(
    state: FenceState, action: str = "reboot", request_id: str = "1.1", device: str = "lab"
) -> RecordFencing:
    record_ = FenceRecord(request_id, B, action, state, A, device, "b is silent", "", AT)
    return RecordFencing(CAUSE, AT, "", record_)


def test_a_member_is_pending_until_it_has_joined() -> None:
    seen = accepted(new_state(), view_of(A, B))
    assert status_of(seen, A) == PENDING
    assert status_of(accepted(seen, join(A), A), A) == MEMBER


def test_a_view_says_who_coordinates_and_whether_there_is_quorum() -> None:
    cib = accepted(new_state(), view_of(A, B)).cib
    assert (cib.get("have-quorum"), cib.get("dc-uuid")) == ("1", "1")
    cib = accepted(new_state(), view_of(B, is_quorate=False)).cib
    assert (cib.get("have-quorum"), cib.get("dc-uuid")) == ("0", "2")


def test_an_unknown_member_is_added_to_the_configuration_but_only_with_quorum() -> None:
    without = run(ClusterState(empty_cib()), view_of(A, B, is_quorate=False))
    assert not without.changes_configuration
    assert not list(node_entries(without.state.cib))
    added = run(ClusterState(empty_cib()), view_of(A, B))
    assert added.changes_configuration
    assert [(node.id, node.get("uname")) for node in node_entries(added.state.cib)] == [
        ("1", "a"),
        ("2", "b"),
    ]
    assert not run(added.state, view_of(A, B)).changes_configuration


def test_a_node_with_a_new_name_keeps_its_entry() -> None:
    state = accepted(new_state(), view_of(A))
    renamed = ChangeMembership(CAUSE, AT, "", view_of(A, B).view, (A, NodeName("c")), (), ())
    names = [(node.id, node.get("uname")) for node in node_entries(accepted(state, renamed).cib)]
    assert names == [("1", "a"), ("2", "c")]


def test_who_is_lost_has_to_be_fenced() -> None:
    state = accepted(two_members(WEB_XML), record(request(node=B)), B)
    lost = accepted(state, view_of(A, lost=(B,)))
    assert status_of(lost, B) == LOST
    assert "web_last_0" in entries(lost, B)


def test_who_is_not_named_and_not_here_is_lost() -> None:
    assert status_of(accepted(two_members(), view_of(A)), B) == LOST


def test_who_left_is_down_and_forgotten() -> None:
    state = accepted(two_members(WEB_XML), record(request("stop", node=B)), B)
    state = accepted(state, SetAttribute(CAUSE, AT, "", B, "pingd", "100"))
    left = accepted(state, view_of(A, left=(B,)))
    assert status_of(left, B) == DOWN
    assert entries(left, B) == {}
    assert attributes(left, B) == {}


def test_who_left_something_running_is_down_but_not_forgotten() -> None:
    state = accepted(two_members(WEB_XML), record(request(node=B)), B)
    left = accepted(state, view_of(A, left=(B,)))
    assert status_of(left, B) == DOWN
    assert "web_last_0" in entries(left, B)


def test_who_comes_back_from_a_clean_leave_and_is_lost_again_needs_no_fencing() -> None:
    left = accepted(two_members(), view_of(A, left=(B,)))
    back = accepted(left, view_of(A, B))
    assert status_of(back, B) == ("true", "online", "pending", "down")
    assert status_of(accepted(back, view_of(A, lost=(B,))), B) == DOWN
    assert status_of(accepted(back, join(B), B), B) == MEMBER


def test_who_comes_back_unfenced_still_counts_as_dangerous() -> None:
    lost = accepted(two_members(), view_of(A, lost=(B,)))
    back = accepted(lost, view_of(A, B))
    assert status_of(back, B) == PENDING
    assert status_of(accepted(back, view_of(A, lost=(B,))), B) == LOST


def test_who_restarted_between_two_views_is_pending_again() -> None:
    assert status_of(accepted(two_members(), view_of(A, B, lost=(B,))), B) == PENDING


def test_who_stays_keeps_everything() -> None:
    state = accepted(two_members(), SetAttribute(CAUSE, AT, "", A, "pingd", "100"))
    stayed = accepted(state, view_of(A, lost=(B,)))
    assert node_state(stayed.cib, A) == node_state(state.cib, A)
    assert attributes(accepted(stayed, join(A), A))["pingd"] == "100"


def test_who_was_away_begins_without_attributes() -> None:
    state = accepted(two_members(), SetAttribute(CAUSE, AT, "", B, "pingd", "100"))
    back = accepted(accepted(state, view_of(A, lost=(B,))), view_of(A, B))
    assert attributes(accepted(back, join(B), B), B) == {}


def test_who_is_heard_again_while_its_fencing_runs_is_off_when_that_ends() -> None:
    """The cable was back before the device struck: the life that was heard again is the one that it ended."""
    both = accepted(two_members(), view_of(A, B, lives=("a1", "b1")))
    lost = accepted(both, view_of(A, lost=(B,), counter=2, lives=("a1",)))
    started = accepted(lost, fencing(FenceState.STARTED))
    again = accepted(started, view_of(A, B, counter=3, lives=("a1", "b1")))
    done = accepted(accepted(again, join(B), B), fencing(FenceState.DONE))
    assert status_of(done, B) == DOWN
    assert status_of(accepted(done, view_of(A, lost=(B,), counter=4, lives=("a1",))), B) == DOWN


def test_a_fencing_that_ends_after_its_target_booted_leaves_the_new_life_alone() -> None:
    both = accepted(two_members(), view_of(A, B, lives=("a1", "b1")))
    started = accepted(accepted(both, view_of(A, lost=(B,), counter=2)), fencing(FenceState.STARTED))
    back = accepted(started, view_of(A, B, counter=3, lives=("a1", "b2")))
    done = accepted(accepted(back, join(B), B), fencing(FenceState.DONE))
    assert status_of(done, B) == MEMBER
    assert status_of(accepted(done, view_of(A, lost=(B,), counter=4)), B) == LOST


def test_a_fencing_that_ends_after_its_target_booted_says_nothing_of_the_next_loss() -> None:
    both = accepted(two_members(), view_of(A, B, lives=("a1", "b1")))
    first = accepted(accepted(both, view_of(A, lost=(B,), counter=2)), fencing(FenceState.STARTED))
    back = accepted(first, view_of(A, B, counter=3, lives=("a1", "b2")))
    again = accepted(accepted(back, join(B), B), view_of(A, lost=(B,), counter=4))
    assert status_of(accepted(again, fencing(FenceState.DONE)), B) == LOST
    second = accepted(again, fencing(FenceState.STARTED, request_id="2.1"))
    late = accepted(second, fencing(FenceState.DONE))
    assert status_of(late, B) == LOST
    assert status_of(accepted(late, fencing(FenceState.DONE, request_id="2.1")), B) == DOWN


def back_while_a_fencing_runs(*resources: str) -> ClusterState:
    """Node b was lost, is being fenced for that, and has joined again in another life."""
    both = accepted(two_members(*DEVICES, *resources), view_of(A, B, lives=("a1", "b1")))
    started = accepted(accepted(both, view_of(A, lost=(B,), counter=2)), fencing(FenceState.STARTED))
    return accepted(accepted(started, view_of(A, B, counter=3, lives=("a1", "b2"))), join(B), B)


@pytest.mark.parametrize("is_missed_first", [True, False])
def test_a_slow_device_fences_a_machine_that_boots_quickly_once(is_missed_first: bool) -> None:
    events = (view_of(A, lost=(B,), counter=4), fencing(FenceState.DONE, device="power"))
    state = back_while_a_fencing_runs()
    for event in events if is_missed_first else reversed(events):
        state = accepted(state, event)
    assert status_of(state, B) == DOWN


@pytest.mark.parametrize("is_missed_first", [True, False])
def test_what_may_run_on_a_machine_is_not_taken_for_off_by_a_fencing_of_its_earlier_life(
    is_missed_first: bool,
) -> None:
    events = (view_of(A, lost=(B,), counter=4), fencing(FenceState.DONE, device="power"))
    state = accepted(back_while_a_fencing_runs(WEB_XML), record(request(node=B)), B)
    for event in events if is_missed_first else reversed(events):
        state = accepted(state, event)
    assert status_of(state, B) == LOST


@pytest.mark.parametrize("device", ["disk", "dog", "power+disk", "watchdog"])
def test_a_device_that_waits_for_a_node_to_reset_itself_says_nothing_of_its_next_life(device: str) -> None:
    state = accepted(back_while_a_fencing_runs(), fencing(FenceState.DONE, device=device))
    assert status_of(accepted(state, view_of(A, lost=(B,), counter=4)), B) == LOST


def test_a_node_that_was_struck_and_lived_on_is_lost_like_any_other() -> None:
    state = accepted(back_while_a_fencing_runs(), fencing(FenceState.DONE, device="power"))
    late = structs.replace(view_of(A, lost=(B,), counter=4), at=WallTime(AT + STRUCK_MS + 1))
    assert status_of(accepted(state, late), B) == LOST
    assert status_of(accepted(state, structs.replace(late, at=WallTime(AT + STRUCK_MS))), B) == DOWN


def test_of_two_fencings_of_one_life_either_counts() -> None:
    lost = accepted(two_members(), view_of(A, lost=(B,)))
    first = accepted(lost, fencing(FenceState.STARTED))
    both = accepted(first, fencing(FenceState.STARTED, request_id="2.1"))
    assert status_of(accepted(both, fencing(FenceState.DONE)), B) == DOWN
    failed = accepted(both, fencing(FenceState.FAILED, request_id="2.1"))
    assert status_of(accepted(failed, fencing(FenceState.DONE)), B) == DOWN


def test_a_view_that_does_not_name_its_members_is_refused() -> None:
    view: View = view_of(A, B).view
    assert refusal(new_state(), ChangeMembership(CAUSE, AT, "", view, (A,), (), ())) == "cib.bad-view"
    assert refusal(new_state(), ChangeMembership(CAUSE, AT, "", view, (), (), ())) == "cib.bad-view"


def test_a_view_that_is_over_is_refused() -> None:
    state = accepted(two_members(), view_of(A, lost=(B,), counter=7))
    assert refusal(state, view_of(A, B, counter=6)) == "cib.stale-view"
    assert accepted(state, view_of(A, lost=(B,), counter=7)).cib == state.cib
    accepted(state, view_of(A, B, counter=8))


def test_a_view_without_quorum_now_has_none_whatever_it_had_when_it_was_written() -> None:
    applied = run(new_state(), view_of(A, B), is_quorate=False)
    assert applied.state.cib.get("have-quorum") == "0"
    assert not applied.changes_configuration


def test_only_members_join_and_leave() -> None:
    assert refusal(new_state(), join(A)) == "cib.not-a-member"
    assert refusal(new_state(), LeaveNode(CAUSE, AT, "", A)) == "cib.not-a-member"
    leaving = accepted(two_members(), LeaveNode(CAUSE, AT, "", A))
    assert attributes(leaving)["shutdown"] == "1800000000"


# -- fencing --------------------------------------------------------------------------------------------


def test_a_fenced_node_is_cleanly_down() -> None:
    state = accepted(two_members(WEB_XML), record(request(node=B)), B)
    lost = accepted(state, view_of(A, lost=(B,)))
    fenced = accepted(accepted(lost, fencing(FenceState.STARTED)), fencing(FenceState.DONE))
    assert status_of(fenced, B) == DOWN
    assert entries(fenced, B) == {}
    here = node_state(fenced.cib, B)
    assert here is not None
    assert here.get("fence-request") is None


def test_a_fencing_that_failed_changes_nothing() -> None:
    lost = accepted(two_members(), view_of(A, lost=(B,)))
    failed = accepted(accepted(lost, fencing(FenceState.STARTED)), fencing(FenceState.FAILED))
    assert status_of(failed, B) == LOST
    assert node_state(failed.cib, B) == node_state(lost.cib, B)


def test_a_member_that_is_fenced_is_down_before_the_ring_misses_it() -> None:
    started = accepted(two_members(), fencing(FenceState.STARTED))
    done = accepted(started, fencing(FenceState.DONE))
    assert status_of(done, B) == DOWN
    assert status_of(accepted(done, view_of(A, lost=(B,))), B) == DOWN


def test_a_fencing_that_ends_after_its_target_came_back_is_about_an_earlier_life() -> None:
    lost = accepted(accepted(two_members(), view_of(A, lost=(B,))), fencing(FenceState.STARTED))
    back = accepted(lost, view_of(A, B))
    assert status_of(accepted(back, fencing(FenceState.DONE)), B) == PENDING
    joined = accepted(back, join(B), B)
    assert status_of(accepted(joined, fencing(FenceState.DONE)), B) == MEMBER


def test_an_operator_is_believed_of_a_lost_node_and_not_of_a_member() -> None:
    confirm = ConfirmOff(CAUSE, AT, "root", B)
    assert refusal(two_members(), confirm) == "cib.node-is-here"
    confirmed = accepted(accepted(two_members(), view_of(A, lost=(B,))), confirm)
    assert status_of(confirmed, B) == DOWN
    assert confirmed.fencing[0].device == "operator"
    assert refusal(two_members(), ConfirmOff(CAUSE, AT, "root", NodeName("z"))) == "cib.unknown-node"
