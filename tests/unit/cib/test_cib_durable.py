"""cib/durable.py: a stored state is read back whole, or it is refused."""

import hashlib

import pytest
from cib_samples import AT, CAUSE, WEB_XML, A, B, accepted, record, request, two_members, view_of
from hypothesis import given
from hypothesis import strategies as st

from komainu.cib.command import ConfirmOff
from komainu.cib.durable import load, store, without_marks_of, without_status
from komainu.cib.initial import empty_cib
from komainu.cib.nodes import node_states
from komainu.cib.state import ClusterState
from komainu.model.ids import Incarnation, NodeId
from komainu.model.report import Refused
from komainu.model.view import Delivered


def rich_state() -> ClusterState:
    state = accepted(two_members(WEB_XML), record(request(), 1, reason='a "bad" <disk>\n\x01 & 狛犬'))
    return accepted(accepted(state, view_of(A, lost=(B,))), ConfirmOff(CAUSE, AT, "root", B))


STORED = store(rich_state())


def test_what_was_stored_is_loaded() -> None:
    assert load(STORED) == rich_state()
    assert load(STORED).fencing
    assert store(load(STORED)) == STORED


@given(st.integers(0, len(STORED) - 1), st.characters(codec="ascii"))
def test_any_damaged_character_is_noticed(place: int, character: str) -> None:
    damaged = STORED[:place] + character + STORED[place + 1 :]
    if damaged != STORED:
        with pytest.raises(Refused):
            load(damaged)


@given(st.integers(0, len(STORED) - 1))
def test_a_text_that_was_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(Refused) as refused:
        load(STORED[:length], "state")
    report = refused.value.reports[0]
    assert report.code == "state.damaged"
    assert report.place is not None
    assert report.place.file == "state"
    assert report.hint


@given(st.text())
def test_nothing_but_refused_is_raised(text: str) -> None:
    with pytest.raises(Refused):
        load(text)


def test_another_form_is_refused_with_its_number() -> None:
    with pytest.raises(Refused, match="form 4"):
        load(STORED.replace("komainu-state 1 ", "komainu-state 4 "))


def test_the_position_is_guarded_too() -> None:
    position = str(rich_state().position)
    with pytest.raises(Refused, match="checksum"):
        load(STORED.replace(f" {position} ", " 9.9 ", 1))


def test_a_crash_of_all_leaves_the_configuration_and_the_fencing_history() -> None:
    left = without_status(rich_state())
    assert left.cib.first("status") is None
    assert left.cib.first("configuration") == rich_state().cib.first("configuration")
    assert left.fencing == rich_state().fencing
    assert (left.cib.get("have-quorum"), left.cib.get("dc-uuid")) == ("0", None)


def test_who_left_in_order_is_remembered_where_majorities_meet() -> None:
    left = accepted(two_members(WEB_XML), view_of(A, left=(B,)))
    kept = without_status(load(store(left)), keeps_down=True)
    assert [each.get("uname") for each in node_states(kept.cib)] == [B]
    assert without_status(left).cib.first("status") is None
    # As a view with b begins, the disk must not say any more that b is down: it may run something soon.
    assert without_status(without_marks_of(left, {A, B}), keeps_down=True).cib.first("status") is None
    assert without_marks_of(left, {A}) is left
    lost = accepted(two_members(WEB_XML), view_of(A, lost=(B,)))
    assert without_status(lost, keeps_down=True).cib.first("status") is None


def test_a_state_without_status_takes_views_again() -> None:
    accepted(without_status(rich_state()), view_of(A, B))


def test_the_last_command_of_each_node_is_kept_with_what_it_made() -> None:
    """Else whoever starts anew takes a command in twice: its sender may not have learned that it was ordered."""
    b, a = Delivered(NodeId(2), Incarnation(20), 7), Delivered(NodeId(1), Incarnation(10), 3)
    state = rich_state().after(b).after(a).after(None).after(Delivered(NodeId(2), Incarnation(20), 8))
    assert state.taken == (a, Delivered(NodeId(2), Incarnation(20), 8))
    assert load(store(state)) == state
    assert without_status(load(store(state))).taken == state.taken  # they hold for the configuration


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_line_that_cannot_be_read_is_named(line: int) -> None:
    state = rich_state().after(Delivered(NodeId(1), Incarnation(10), 3))
    _, *lines = store(state).split("\n")
    lines[line - 1] = "{"
    body = "\n".join(lines)
    checksum = hashlib.sha256(f"{state.position}\n{body}".encode("utf-8", "surrogatepass")).hexdigest()
    with pytest.raises(Refused) as refused:
        load(f"komainu-state 3 {state.position} sha256={checksum}\n{body}", "state")
    place = refused.value.reports[0].place
    assert place is not None
    assert place.line == line + 1


def test_first_states_are_alike() -> None:
    assert store(ClusterState(empty_cib())) == store(ClusterState(empty_cib()))
