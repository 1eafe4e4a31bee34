"""Check how many operations a node takes, and when it says something of its processors."""

import pytest

from komainu.cib.edits import with_edits
from komainu.cib.element import Element
from komainu.cib.initial import empty_cib
from komainu.cib.nodes import update_state, with_all
from komainu.cib.pairs import set_transient
from komainu.controller.limits import NodeLimit
from komainu.model.edit import SetOption
from komainu.model.ids import NodeId, NodeName, WallTime
from komainu.node.interface import MachineSeen
from komainu.node.workload import CORES, LOAD, Workload, limits_of

A, B = NodeName("a"), NodeName("b")
WALL = WallTime(1_700_000_000_000)
JOINED = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}


def cluster(**options: str) -> Element:
    cib = empty_cib("t", ((NodeId(1), A), (NodeId(2), B)))
    cib = update_state(cib, A, lambda state: with_all(state, {**JOINED}))
    edits = tuple(
        SetOption("crm_config", "cluster_property_set", name.replace("_", "-"), value)
        for name, value in options.items()
    )
    return with_edits(cib, edits)


def said(cib: Element, **attributes: str) -> Element:
    for name, value in attributes.items():
        cib = set_transient(cib, A, f"#{name}", value)
    return cib


@pytest.mark.parametrize(
    ("cores", "load", "configured", "limit"),
    [
        ("4", None, "0", NodeLimit(8)),
        ("4", "high", "0", NodeLimit(4, "its load is high, 8 otherwise")),
        ("16", "extreme", "0", NodeLimit(8, "its load is extreme, 32 otherwise")),
        ("2", "extreme", "0", NodeLimit(2, "its load is extreme, 4 otherwise")),
        ("4", None, "3", NodeLimit(3)),
        ("4", "extreme", "1", NodeLimit(1)),
        ("4", "extreme", "20", NodeLimit(5, "its load is extreme, 20 otherwise")),
        ("nonsense", "nonsense", "-5", NodeLimit(2)),
    ],
)
def test_cores_load_and_option_make_a_nodes_limit(
    cores: str, load: str | None, configured: str, limit: NodeLimit
) -> None:
    cib = said(cluster(node_action_limit=configured), cores=cores)
    cib = cib if load is None else said(cib, load=load)
    assert limits_of(cib).nodes[A] == limit


def test_what_nobody_configured_is_not_limited() -> None:
    limits = limits_of(cluster())
    assert limits.cluster is None
    assert limits.migrations is None
    assert limits.elsewhere == NodeLimit(2)


def test_the_clusters_limits_are_read() -> None:
    limits = limits_of(cluster(batch_limit="12", migration_limit="1", node_action_limit="7"))
    assert (limits.cluster, limits.migrations, limits.elsewhere) == (12, 1, NodeLimit(7))


def words(workload: Workload, cib: Element) -> list[tuple[str, str | None]]:
    return [(command.name, command.value) for command in workload.due(cib, WALL)]


def test_a_load_is_said_once_when_its_level_changes() -> None:
    workload, cib = Workload(A), cluster()
    assert words(workload, cib) == []
    workload.saw(MachineSeen(4, 80))
    assert words(workload, cib) == [(CORES, "4")]
    cib = said(cib, cores="4")
    workload.saw(MachineSeen(4, 81))
    assert words(workload, cib) == [(LOAD, "high")]
    assert words(workload, cib) == []
    cib = said(cib, load="high")
    workload.saw(MachineSeen(4, 160))
    assert words(workload, cib) == []
    workload.saw(MachineSeen(4, 161))
    assert words(workload, cib) == [(LOAD, "extreme")]
    workload.saw(MachineSeen(4, 10))
    assert words(workload, cib) == [(LOAD, None)]


@pytest.mark.parametrize(
    ("threshold", "level"), [("200%", None), ("50%", "extreme"), ("0", None), ("x", "high")]
)
def test_the_threshold_is_an_option(threshold: str, level: str | None) -> None:
    workload, cib = Workload(A), said(cluster(load_threshold=threshold), cores="1")
    workload.saw(MachineSeen(1, 150))
    assert words(workload, cib) == ([] if level is None else [(LOAD, level)])


def test_who_has_not_joined_says_it_once_it_joins() -> None:
    workload, cib = Workload(B), cluster()
    workload.saw(MachineSeen(2, 0))
    assert words(workload, cib) == []
    assert [command.name for command in workload.after_join(cib, WALL)] == [CORES]


def test_a_join_wipes_what_was_said_before() -> None:
    workload, cib = Workload(B), set_transient(cluster(), B, CORES, "2")
    workload.saw(MachineSeen(2, 0))
    assert [command.name for command in workload.after_join(cib, WALL)] == [CORES]
