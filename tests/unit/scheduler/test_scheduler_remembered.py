"""What is remembered from one plan to the next: it saves reading, and never changes a plan."""

from cluster_text import cib, fence_device, history, member, monitor, primitive

from komainu.cib.element import Element
from komainu.cib.tree import update_at
from komainu.scheduler.plan import plan
from komainu.scheduler.remembered import Remembered

NOW_S = 1_000


def cluster() -> Element:
    states = (member("a", 1, history("web", "a")), member("b", 2, history("db", "b")))
    return cib((fence_device(), primitive("web", monitor()), primitive("db")), states)


def status_with(root: Element, state: Element) -> Element:
    return update_at(root, ("status",), lambda status: status.with_child(state))


def test_plans_with_memory_equal_plans_without() -> None:
    remembered = Remembered()
    first = cluster()
    lost = status_with(first, member("b", 2, history("db", "b"), crmd="offline", in_ccm="false"))
    failed = status_with(first, member("a", 1, history("web", "a", operation="monitor", rc=7)))
    standby = update_at(first, ("configuration", "nodes"), lambda nodes: nodes.with_children(()))
    for state in (first, lost, first, failed, standby, failed):
        assert plan(state, NOW_S, remembered=remembered) == plan(state, NOW_S)


def test_only_what_changed_is_read_again() -> None:
    remembered = Remembered()
    a, b = Element("lrm_resources", {}, (history("web", "a"),)), Element("lrm_resources")
    before = remembered.histories({"a": a, "b": b})
    more = a.with_children((*a.children, history("db", "a")))
    after = remembered.histories({"a": more, "b": b})
    assert after["b"] is before["b"]
    assert after["a"]["web"] is before["a"]["web"]
    assert sorted(after["a"]) == ["db", "web"]


def test_a_node_that_is_gone_is_forgotten() -> None:
    remembered = Remembered()
    a = Element("lrm_resources", {}, (history("web", "a"),))
    before = remembered.histories({"a": a})
    assert remembered.histories({}) == {}
    assert remembered.histories({"a": a})["a"] is not before["a"]


def test_a_configuration_is_prepared_once() -> None:
    remembered, root = Remembered(), cluster()
    again = root.with_attribute("num_updates", "2")
    assert remembered.prepare(root).first("configuration") is remembered.prepare(again).first("configuration")
