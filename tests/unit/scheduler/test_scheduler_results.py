"""What history entries demand."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.scheduler import recipe
from komainu.scheduler.plan import plan
from komainu.scheduler.words import INFINITY

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


def test_what_a_probe_could_not_find_out_long_ago_is_asked_again() -> None:
    watched = entry("r", "a", "monitor", 3, interval="10000")
    blind = entry("r", "a", "monitor", 4, rc_code="5")

    def read(*inside: str) -> tuple[bool, bool, int]:
        text = dummy("r", "".join(inside))
        rsc = recipe.read(whole("a", text, state("a", past("r", watched, blind))), 1000).by_id["r"]
        return bool(rsc.active), "a" in rsc.known, next(iter(rsc.table.values())).score

    assert read() == (False, True, -INFINITY)
    assert read(meta("r", failure_timeout="60")) == (False, False, 0)


def test_a_failure_after_which_it_shall_stop_forbids_nodes_that_nothing_names() -> None:
    stop = '<operations><op id="m" name="monitor" interval="10s" on-fail="stop"/></operations>'
    failed = entry("r", "a", "monitor", 4, interval="10000", rc_code="1")
    states = state("a", past("r", UP, failed)) + state("b")
    job = recipe.read(whole("ab", dummy("r", stop), states, options={"symmetric-cluster": "false"}), 1000)
    assert {key: row.score for key, row in job.by_id["r"].table.items()} == {"a": -INFINITY, "b": -INFINITY}


def test_what_is_only_stopped_if_active_twice_may_go_to_no_node_that_nothing_names_either() -> None:
    only = meta("r", multiple_active="stop_only")
    states = state("a", past("r", UP)) + state("b", past("r", UP.replace('"a"', '"b"')))
    job = recipe.read(whole("abc", dummy("r", only), states, options={"symmetric-cluster": "false"}), 1000)
    assert {key: row.score for key, row in job.by_id["r"].table.items()} == dict.fromkeys("abc", -INFINITY)


def test_what_is_configured_wrongly_is_forbidden_everywhere() -> None:
    wrong = entry("r", "a", "start", 4, rc_code="6")
    found = plan(whole("ab", dummy("r"), state("a", past("r", wrong)) + state("b")), 1000)
    assert not [action for action in found.actions if action.operation == "start"]


RESTART = '<operations><op id="s" name="stop" interval="0" on-fail="restart"/></operations>'


def test_a_stop_that_failed_forbids_the_node_until_it_was_started_there_since() -> None:
    failed = entry("r", "a", "stop", 4, rc_code="1")
    again = entry("r", "a", "start", 6)

    def labels(*entries: str) -> list[str]:
        clone = f'<clone id="c">{dummy("r", RESTART)}</clone>'
        states = state("a", past("r", *entries)) + state("b", past("r", entry("r", "b", "start", 3)))
        made = plan(whole("ab", clone, states), 1000).actions
        return [action.label for action in made if action.request is not None]

    assert "stop r on a" in labels(UP, failed)
    assert labels(failed, again) == []
    assert "stop r on a" in labels(again, entry("r", "a", "stop", 7, rc_code="1"))


def test_what_did_not_arrive_is_not_taken_for_active_where_its_history_was_cleaned() -> None:
    """A probe tells; it was stopped there unseen."""
    arrival = entry("x", "b", "migrate_from", 3, rc_code="1").replace(
        "<lrm_rsc_op", '<lrm_rsc_op migrate_source="a" migrate_target="b"'
    )
    started = entry("x", "a", "start", 1)
    for known, active in ((state("a"), ["b"]), (state("a", past("x", started)), ["a", "b"])):
        job = recipe.read(whole("ab", dummy("x"), known + state("b", past("x", arrival))), 1000)
        assert sorted(node.name for node in job.resources[0].active) == active
