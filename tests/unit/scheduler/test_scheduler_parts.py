"""The small parts: scores, keys, digests, entries, options, names."""

import pytest

from komainu.cib.digest import digest
from komainu.cib.element import Element
from komainu.scheduler import entry, nodes, options, relations
from komainu.scheduler.words import INFINITY, add_scores


def test_minus_infinity_beats_infinity() -> None:
    assert add_scores(INFINITY, -INFINITY) == -INFINITY
    assert add_scores(INFINITY, -5) == INFINITY
    assert add_scores(999_999, 5) == INFINITY


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("web_start_0", ("web", "start", 0)),
        ("my_web_monitor_10000", ("my_web", "monitor", 10_000)),
        ("web_migrate_to_0", ("web", "migrate_to", 0)),
        ("web:1_confirmed-post_notify_started_0", ("web:1", "confirmed-post_notify_started", 0)),
    ],
)
def test_operation_keys(key: str, parts: tuple[str, str, int]) -> None:
    assert relations.parse_key(key) == parts


def test_digest_of_nothing_and_of_something() -> None:
    assert digest({}) == "f2317cad3d54cec5d7d7aa7d0bf35cf8"
    assert digest({"b": '"', "a": "1"}) == digest({"a": "1", "b": '"'})


def op(call: str, changed: str, node: str, magic: str = "0:0;1:1:0:u") -> entry.Entry:
    words = {"id": f"e{call}{changed}{node}", "call-id": call, "last-rc-change": changed, "on_node": node}
    return entry.parse(Element("lrm_rsc_op", {**words, "transition-magic": magic}))


def test_entries_of_one_node_are_ordered_by_call_of_two_nodes_by_time() -> None:
    assert entry.compare(op("2", "9", "a"), op("3", "1", "a")) < 0
    assert entry.compare(op("2", "9", "a"), op("3", "1", "b")) > 0


def test_pending_entry_of_a_later_transition_is_newer() -> None:
    pending = op("-1", "0", "a", "-1:193;4:7:0:u")
    assert entry.compare(pending, op("3", "1", "a", "0:0;4:6:0:u")) > 0
    assert entry.compare(pending, op("3", "1", "a", "0:0;4:8:0:u")) < 0


def test_names_are_sorted_as_people_do() -> None:
    assert sorted(["node10", "Node9", "node1"], key=nodes.sort_key) == ["node1", "Node9", "node10"]


def test_options_know_their_old_names_and_fall_back() -> None:
    read = options.read(
        {"stonith-enabled": "false", "no-quorum-policy": "nonsense"}, may_fence_without_quorum=False
    )
    assert not read.fencing_enabled
    assert read.no_quorum_policy == "stop"
    assert (
        options.read({"no-quorum-policy": "suicide"}, may_fence_without_quorum=False).no_quorum_policy
        == "stop"
    )
