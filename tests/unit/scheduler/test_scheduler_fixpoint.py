"""What follows from actions that cannot run, or are demanded."""

from whole_text import dummy, entry, meta, past, state, whole

from komainu.scheduler.plan import plan


def _labels(*args: str, constraints: str) -> list[str]:
    nodes, resources, states = args
    return [a.label for a in plan(whole(nodes, resources, states, constraints=constraints), 1000).actions]


def test_a_group_after_a_clone_stays_when_an_instance_elsewhere_stops() -> None:
    group = f'<group id="g">{dummy("x")}{dummy("y")}</group>'
    clone = f'<clone id="c">{meta("c", interleave="false")}{dummy("base")}</clone>'
    rules = (
        '<rsc_order id="o" first="c" then="g"/><rsc_colocation id="k" rsc="g" with-rsc="c" score="INFINITY"/>'
    )
    here = (past(name, entry(name, "a", "start", 3)) for name in ("base", "x", "y"))
    states = state("a", *here) + state("b", past("base", entry("base", "b", "start", 3)), standby="on")
    labels = _labels("ab", clone + group, states, constraints=rules)
    assert "stop base on b" in labels
    assert not any("stop x" in label or "stop y" in label for label in labels)


def test_a_group_that_may_not_begin_does_not_set_off_what_waits_for_one_of_a_set() -> None:
    """It may look as if it could, since none of its members says otherwise."""
    groups = f'<group id="g">{dummy("x")}</group><group id="h">{dummy("y")}</group>'
    sets = (
        '<resource_set id="one" sequential="false" require-all="false"><resource_ref id="g"/></resource_set>'
        '<resource_set id="two"><resource_ref id="h"/></resource_set>'
    )
    rules = f'<rsc_order id="o" first="z" then="g"/><rsc_order id="p">{sets}</rsc_order>'
    states = state("a", past("z", entry("z", "a", "start", 3)))
    cib = whole("a", dummy("z") + groups, states, constraints=rules, options={"symmetric-cluster": "false"})
    labels = [action.label for action in plan(cib, 1000).actions]
    assert "stop z on a" in labels
    assert not any("one-or-more" in label for label in labels)


def test_failures_on_a_node_that_is_lost_are_not_cleared_there() -> None:
    failed = entry("x", "a", "start", 3, rc_code="5")
    counts = {"fail-count-x#start_0": "1", "last-failure-x#start_0": "103"}
    resources = '<primitive id="f" class="stonith" type="fence_x"/>' + dummy(
        "x", meta("x", failure_timeout="60s")
    )
    for is_there, expected in (("true", True), ("false", False)):
        states = state("a", past("x", failed), **counts).replace('in_ccm="true"', f'in_ccm="{is_there}"')
        cib = whole("ab", resources, states, options={"fencing-enabled": "true"})
        labels = [action.label for action in plan(cib, 1000).actions]
        assert any("clear" in label for label in labels) is expected
