"""cib/fencing.py: the history of fencing is bounded, and one request is one entry."""

from cib_samples import AT, CAUSE, A, B, accepted, attributes, refusal, two_members, view_of

from komainu.cib.command import RecordFencing
from komainu.cib.fencing import record_history
from komainu.cib.state import FENCING_HISTORY_MAX
from komainu.model.fencing import FenceRecord, FenceState
from komainu.model.ids import NodeName


def entry(request: str, state: FenceState = FenceState.STARTED, action: str = "off") -> FenceRecord:
    return FenceRecord(request, B, action, state, A, "lab", "silent", "", AT)


def test_one_request_is_one_entry() -> None:
    history = record_history((), entry("1"))
    history = record_history(history, entry("2"))
    history = record_history(history, entry("1", FenceState.DONE))
    assert [(one.request, one.state) for one in history] == [
        ("1", FenceState.DONE),
        ("2", FenceState.STARTED),
    ]


def test_what_a_delegate_had_begun_ends_with_it() -> None:
    both = accepted(two_members(), view_of(A, B))
    begun = accepted(both, RecordFencing(CAUSE, AT, "", entry("1")))
    assert accepted(begun, view_of(A, counter=2)).fencing == begun.fencing
    (ended,) = accepted(begun, view_of(B, counter=2)).fencing
    assert (ended.state, ended.outcome) == (
        FenceState.FAILED,
        "a, which ran the devices, went before it said what came of it",
    )


def test_a_delegate_that_is_back_may_say_that_it_was_done() -> None:
    begun = accepted(accepted(two_members(), view_of(A, B)), RecordFencing(CAUSE, AT, "", entry("1")))
    alone = accepted(begun, view_of(B, counter=2))
    done = RecordFencing(CAUSE, AT, "", entry("1", FenceState.DONE))
    assert [one.state for one in accepted(alone, done).fencing] == [FenceState.DONE]


def test_the_oldest_go_when_there_are_too_many() -> None:
    history: tuple[FenceRecord, ...] = ()
    for number in range(FENCING_HISTORY_MAX + 3):
        history = record_history(history, entry(str(number)))
    assert len(history) == FENCING_HISTORY_MAX
    assert history[0].request == "3"


def test_unfencing_is_noted_on_the_node() -> None:
    done = RecordFencing(CAUSE, AT, "", entry("1", FenceState.DONE, "on"))
    state = accepted(two_members(), done)
    assert attributes(state, B)["#node-unfenced"] == "1800000000"
    assert state.fencing == (done.record,)


def test_an_unknown_node_is_refused() -> None:
    stranger = FenceRecord("1", NodeName("z"), "off", FenceState.DONE, A, "", "", "", AT)
    assert refusal(two_members(), RecordFencing(CAUSE, AT, "", stranger)) == "cib.unknown-node"
