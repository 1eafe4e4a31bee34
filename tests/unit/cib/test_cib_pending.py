"""cib/pending.py: what is waited for."""

from cib_samples import WEB_XML, A, B, accepted, record, request, start_action, two_members, view_of

from komainu.cib.pending import pending_operations


def test_what_was_handed_out_is_waited_for_until_its_result() -> None:
    asked = request("monitor", interval_ms=10_000)
    state = accepted(two_members(WEB_XML), start_action(asked))
    assert pending_operations(state.cib) == ((A, "web", "monitor", 10_000, asked.transition_key),)
    assert pending_operations(accepted(state, record(asked)).cib) == ()
    assert pending_operations(accepted(state, record(asked, 1)).cib) == ()


def test_a_node_that_is_gone_is_not_waited_for() -> None:
    state = accepted(two_members(WEB_XML), start_action(request(node=B)))
    assert len(pending_operations(state.cib)) == 1
    assert pending_operations(accepted(state, view_of(A, lost=(B,))).cib) == ()
