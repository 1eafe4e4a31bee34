"""What is remembered from one plan to the next: it saves reading, and never changes a plan."""

from collections.abc import Callable

from cluster_text import cib, fence_device, history, member, monitor, pair, primitive
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cib.element import Element
from komainu.cib.tree import replace_by_id, update_at
from komainu.scheduler import recipe
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


# -- any change, in any order -----------------------------------------------------------------------------

Change = Callable[[Element], Element]


def with_part(element_id: str, part: Element) -> Change:
    """Return the change that gives the element with this id a part, in place of one with the same id."""

    def change(root: Element) -> Element:
        owner = root.find(element_id)
        return root if owner is None else replace_by_id(root, element_id, owner.with_child(part)) or root

    return change


def defaults(section: str, name: str, value: str, *rules: Element) -> Change:
    block = Element("meta_attributes", {"id": f"{section}-{name}"}, (*rules, pair(name, value)))
    return lambda root: update_at(root, ("configuration", section), lambda old: old.with_child(block))


def parameters(owner: str, value: str, *rules: Element) -> Change:
    block = Element("instance_attributes", {"id": f"{owner}-parameters"}, (*rules, pair("port", value)))
    return with_part(owner, block)


def operation(owner: str, **words: str) -> Change:
    op = Element("op", {"id": "monitor-10", "name": "monitor", "interval": "10s", **words})
    return with_part(owner, Element("operations", {}, (op,)))


def option(name: str, value: str) -> Change:
    return with_part("cib-bootstrap-options", pair(name, value))


def failed_on(node: str, number: int) -> Change:
    state = member(node, number, history("web", node, operation="monitor", rc=7), history("db", node))
    return lambda root: status_with(root, state)


def only_on(node: str) -> Element:
    words = {"id": f"on-{node}", "attribute": "#uname", "operation": "eq", "value": node}
    return Element("rule", {"id": f"rule-{node}", "score": "0"}, (Element("expression", words),))


SOON = Element(
    "rule",
    {"id": "soon", "score": "0"},
    (Element("date_expression", {"id": "then", "operation": "gt", "start": "1970-01-01 00:17:00Z"}),),
)
"""Holds from second 1020 on."""

CHANGES: tuple[Change, ...] = (
    parameters("web", "80"),
    parameters("web", "81"),
    parameters("web", "82", only_on("a")),
    parameters("many", "83"),
    parameters("group", "84", SOON),
    operation("web", timeout="30s"),
    operation("web", timeout="31s", enabled="false"),
    operation("db", **{"interval-origin": "1970-01-01 00:00:07Z"}),
    with_part("web-meta", pair("target-role", "Stopped")),
    with_part("web-meta", pair("migration-threshold", "1")),
    with_part("many-meta", pair("clone-max", "1")),
    with_part("many-meta", pair("globally-unique", "true")),
    defaults("rsc_defaults", "resource-stickiness", "100"),
    defaults("rsc_defaults", "is-managed", "false", SOON),
    defaults("op_defaults", "timeout", "40s"),
    defaults("op_defaults", "timeout", "41s", SOON),
    option("maintenance-mode", "true"),
    option("stonith-enabled", "false"),
    option("stop-all-resources", "true"),
    failed_on("a", 1),
    failed_on("b", 2),
    lambda root: status_with(root, member("b", 2, crmd="offline", in_ccm="false")),
    lambda root: replace_by_id(root, "web", None) or root,
    lambda root: root.with_attribute("have-quorum", "0"),
)


def whole() -> Element:
    clone = Element(
        "clone", {"id": "many"}, (Element("meta_attributes", {"id": "many-meta"}), primitive("m", monitor()))
    )
    group = Element("group", {"id": "group"}, (primitive("first"), primitive("second", monitor())))
    made = (fence_device(), primitive("web", monitor()), primitive("db", monitor()), clone, group)
    return cib(
        made, (member("a", 1, history("web", "a"), history("m", "a")), member("b", 2, history("db", "b")))
    )


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(range(len(CHANGES))), st.integers(0, 30)), min_size=1, max_size=8))
def test_no_change_is_missed(steps: list[tuple[int, int]]) -> None:
    remembered, root, now_s = Remembered(), whole(), NOW_S
    plan(root, now_s, remembered=remembered)
    for number, later_s in steps:
        root, now_s = CHANGES[number](root), now_s + later_s
        warm = plan(root, now_s, explain=True, remembered=remembered)
        assert warm == plan(root, now_s, explain=True)


def test_what_is_configured_is_read_once() -> None:
    remembered, root = Remembered(), whole()
    first = recipe.read(root, NOW_S, remembered=remembered)
    changed = with_part("web-meta", pair("migration-threshold", "1"))(root)
    second = recipe.read(changed, NOW_S, remembered=remembered)
    kept = {rsc for rsc in first.by_id if second.by_id[rsc].description is first.by_id[rsc].description}
    assert first.by_id.keys() - kept == {"web"}


def test_what_is_read_of_operations_is_read_once_for_all_instances() -> None:
    read = recipe.read(whole(), NOW_S).by_id
    assert read["m:0"].description.operation_meta is read["m:1"].description.operation_meta
    assert read["web"].description.operation_meta is not read["db"].description.operation_meta


def test_what_a_rule_decides_is_read_again() -> None:
    remembered, root = Remembered(), parameters("web", "80", SOON)(whole())
    first = recipe.read(root, NOW_S, remembered=remembered)
    second = recipe.read(root, NOW_S, remembered=remembered)
    assert second.by_id["web"].description is not first.by_id["web"].description
    assert second.by_id["db"].description is first.by_id["db"].description
