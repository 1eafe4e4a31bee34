"""What history entries demand."""

from whole_text import dummy, entry, past, state, whole

from komainu.scheduler.plan import plan

UP = entry("r", "a", "start", 3)
MONITOR = '<operations><op id="m" name="monitor" interval="10s" on-fail="ignore"/></operations>'


def test_an_agent_that_is_gone_cannot_be_ignored() -> None:
    gone = entry("r", "a", "monitor", 5, interval="10000", rc_code="5", op_status="7")
    found = plan(whole("ab", dummy("r", MONITOR), state("a", past("r", UP, gone)) + state("b")), 1000)
    labels = [action.label for action in found.actions]
    assert "stop r on a" in labels
    assert "start r on b" in labels


def test_a_pending_start_is_awaited_where_the_resource_shall_be() -> None:
    pending = past("r", entry("r", "a", "start", -1, op_status="-1", rc_code="193"))
    found = plan(whole("ab", dummy("r"), state("a", pending) + state("b")), 1000)
    assert "start r on a" in [action.label for action in found.actions]


def test_a_pending_start_in_the_wrong_place_is_stopped_and_not_awaited() -> None:
    pending = past("r", entry("r", "a", "start", -1, op_status="-1", rc_code="193"))
    found = plan(whole("ab", dummy("r"), state("a", pending, standby="on") + state("b")), 1000)
    labels = [action.label for action in found.actions]
    assert "stop r on a" in labels
    assert "start r on a" not in labels
    assert "start r on b" in labels
