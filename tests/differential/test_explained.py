"""A reason is found where its cause is in the CIB, and not where it is not."""

import explained
from reference import Disagreement

from komainu.cib import document
from komainu.cib.element import Element


def _cib(resources: str, *, constraints: str = "", options: str = "", status: str = "") -> Element:
    return document.parse(
        f"<cib><configuration><crm_config>{options}</crm_config><nodes/><resources>{resources}</resources>"
        f"<constraints>{constraints}</constraints></configuration><status>{status}</status></cib>",
        "test",
    )


GROUP = '<primitive id="a"/><group id="g"><primitive id="b"/></group>'
WITH_GROUP = '<rsc_colocation id="c" rsc="a" with-rsc="g" score="{}"/>'


def test_dependents_of_a_group() -> None:
    found = [
        Disagreement("summary", ("Start a ( n1 )",), ("Start a ( n1 ) due to colocation with b (blocked)",))
    ]
    why = "dependents of a group that cannot start"
    assert explained.reason(_cib(GROUP, constraints=WITH_GROUP.format("INFINITY")), found) == why
    assert explained.reason(_cib(GROUP, constraints=WITH_GROUP.format("10")), found) is None
    alone = '<primitive id="a"/><primitive id="g"/><primitive id="b"/>'
    assert explained.reason(_cib(alone, constraints=WITH_GROUP.format("INFINITY")), found) is None


def test_the_word_for_a_live_migration() -> None:
    line = "Move a ( n1 -> n2 ) due to {} b stop"
    found = [Disagreement("summary", (line.format("unrunnable"),), (line.format("unmigrateable"),))]
    assert explained.reason(_cib(GROUP), found) == "the word for a live migration that falls through"
    moved = [Disagreement("summary", ("Move a ( n1 -> n3 ) due to unrunnable b stop",), found[0].only_ours)]
    assert explained.reason(_cib(GROUP), moved) is None
    more = [*found, Disagreement("scores", ("a allocation score on n1: 1",), ())]
    assert explained.reason(_cib(GROUP), more) is None


def test_a_collective_on_a_lost_node() -> None:
    shown = ("Resource Group: g (unmanaged):", "b (ocf:pacemaker:Dummy): FAILED n1 (UNCLEAN, unmanaged)")
    found = [Disagreement("status", (), shown)]
    lost = _cib(GROUP, status='<node_state uname="n1" in_ccm="false"/>')
    assert explained.reason(lost, found) == "a collective that is active, unmanaged, on a lost node only"
    assert explained.reason(_cib(GROUP, status='<node_state uname="n1" in_ccm="true"/>'), found) is None


def test_a_wish_and_a_demand() -> None:
    two = '<rsc_colocation id="c" rsc="d" with-rsc="{}" score="1"/>'
    two += '<rsc_colocation id="e" rsc="d" with-rsc="{}" score="INFINITY"/>'
    found = [Disagreement("scores", ("a allocation score on n1: -1",), ("a allocation score on n1: 0",))]
    resources = "".join(f'<primitive id="{name}"/>' for name in "abd")
    wish_first = _cib(resources, constraints=two.format("a", "b"))
    assert explained.reason(wish_first, found) == "a wish and a demand of one dependent"
    assert explained.reason(_cib(resources, constraints=two.format("b", "a")), found) is None


def test_room_for_instances() -> None:
    room = '<cluster_property_set id="o"><nvpair id="p" name="placement-strategy" value="minimal"/></cluster_property_set>'
    clone = '<clone id="c"><primitive id="a">{}</primitive></clone>'
    found = [Disagreement("summary", ("Move a ( n1 -> n2 )",), ("Start a ( n2 )",))]
    needs = clone.format('<utilization id="u"/>')
    assert (
        explained.reason(_cib(needs, options=room), found) == "room for instances that are active elsewhere"
    )
    assert explained.reason(_cib(needs), found) is None
    assert explained.reason(_cib(clone.format(""), options=room), found) is None


def test_what_waits_for_later_members_and_earlier_instances() -> None:
    clone = '<clone id="c"><meta_attributes id="m"><nvpair id="o" name="ordered" value="{}"/></meta_attributes><primitive id="p"/></clone>'
    skips = [Disagreement("edges", (), ("p_start_0 n1 -> p_start_0 n3",))]
    why = "instances of an ordered clone wait for all before them"
    assert explained.reason(_cib(clone.format("true")), skips) == why
    assert explained.reason(_cib(clone.format("false")), skips) is None
    other_way = [Disagreement("edges", ("p_start_0 n1 -> p_start_0 n3",), ())]
    assert explained.reason(_cib(clone.format("true")), other_way) is None

    members = '<group id="g"><primitive id="a"/><primitive id="b"/></group>'
    waits = [Disagreement("edges", (), ("b_stop_0 n1 -> a_start_0 n2",))]
    assert explained.reason(_cib(members), waits) == "a new member waits for the stop of a later one"
    waits = [Disagreement("edges", (), ("b_stop_0 n1 -> a_start_0 n2", "a_stop_0 n1 -> b_start_0 n2"))]
    assert explained.reason(_cib(members), waits) is None
    only_done = [Disagreement("actions", (), ("a_start_0 n2",))]
    assert explained.reason(_cib(members), only_done) is None


def test_monitors_on_a_node_in_maintenance() -> None:
    found = [Disagreement("actions", ("a_monitor_10000 n1",), ("Cancel a_monitor_10000 n1",))]
    pair = '<nvpair id="p" name="maintenance" value="true"/>'
    why = "monitors of what is also active on a node in maintenance"
    assert explained.reason(_cib(GROUP, status=f'<node_state uname="n1">{pair}</node_state>'), found) == why
    assert explained.reason(_cib(GROUP, status='<node_state uname="n1"/>'), found) is None


def test_what_follows_a_bundle() -> None:
    bundle = '<bundle id="b"><podman/><primitive id="x"/></bundle><primitive id="a"/>'
    edges = ("b-podman-0_start_0 n1 -> a_start_0 n2",), ("x_start_0 b-0 -> a_start_0 n2",)
    why = "what follows a bundle waits for what is in it"
    assert explained.reason(_cib(bundle), [Disagreement("edges", *edges)]) == why
    other = ("y_start_0 b-0 -> a_start_0 n2",)
    assert explained.reason(_cib(bundle), [Disagreement("edges", edges[0], other)]) is None
    assert explained.reason(_cib(bundle), [Disagreement("edges", edges[0], ())]) is None


def test_guests_that_were_never_seen() -> None:
    machine = '<primitive id="{0}"><meta_attributes id="{0}-m"><nvpair id="{0}-n" name="remote-node" value="g{0}"/></meta_attributes></primitive>'
    two = machine.format("r") + machine.format("s")
    found = [
        Disagreement("scores", ("a allocation score on gr: 0",), ("a allocation score on gr: -INFINITY",))
    ]
    why = "guests that were never seen are told apart"
    assert explained.reason(_cib(two), found) == why
    assert explained.reason(_cib(two, status='<node_state uname="gr"/>'), found) is None
    assert explained.reason(_cib(machine.format("r")), found) is None


def test_a_rule_with_or_and_a_lost_node() -> None:
    rule = '<rsc_location id="l" rsc="a"><rule id="r" score="5" boolean-op="or"/></rsc_location>'
    found = [
        Disagreement("scores", ("a allocation score on n2: -INFINITY",), ("a allocation score on n2: 5",))
    ]
    lost = '<node_state uname="n2" in_ccm="false"/>'
    why = "a rule with or, and a node that is lost"
    assert explained.reason(_cib(GROUP, constraints=rule, status=lost), found) == why
    assert explained.reason(_cib(GROUP, status=lost), found) is None
    assert explained.reason(_cib(GROUP, constraints=rule), found) is None


def test_what_only_one_of_them_finishes() -> None:
    guest = '<primitive id="r"><meta_attributes id="m"><nvpair id="n" name="remote-node" value="g"/></meta_attributes></primitive>'
    unfinished = Disagreement("what cannot be finished", ("an invalid transition was produced",), ())
    found = [Disagreement("status", ("a: Stopped",), ("a: Started n1",)), unfinished]
    assert explained.reason(_cib(guest), found) == "what only one of them finishes, with guests"
    assert explained.reason(_cib(GROUP), found) is None
    assert explained.reason(_cib(guest), found[:1]) is None


def test_a_group_that_begins_and_starts_nothing() -> None:
    begun = Disagreement("actions", ("g_start_0",), ())
    edge = Disagreement("edges", ("g_stopped_0 -> g_start_0",), ())
    held = _cib(GROUP, constraints=WITH_GROUP.format("INFINITY"))
    assert explained.reason(held, [begun, edge]) == "dependents of a group that cannot start"
    assert explained.reason(_cib(GROUP), [begun, edge]) is None
    assert explained.reason(held, [Disagreement("actions", ("g_start_0", "b_start_0 n1"), ())]) is None


def test_what_leaves_a_guest_after_its_machine() -> None:
    machine = '<primitive id="r"><meta_attributes id="m"><nvpair id="n" name="remote-node" value="g"/></meta_attributes></primitive>'
    waits = Disagreement("edges", ("r_stop_0 n1 -> a_stop_0 g",), ())
    why = "an ordering between a guest's inside and its machine"
    assert explained.reason(_cib(machine), [waits]) == why
    assert (
        explained.reason(_cib(machine), [Disagreement("edges", ("r_stop_0 n1 -> a_stop_0 n2",), ())]) is None
    )
    assert explained.reason(_cib(GROUP), [waits]) is None


def test_colocations_through_tags_and_templates() -> None:
    found = [
        Disagreement("summary", ("Start a ( n1 )",), ("Start a ( n1 ) due to colocation with g (blocked)",))
    ]
    inside = '<primitive id="a" template="t"/><group id="g"><primitive id="b"/></group><template id="t"/>'
    cib = _cib(inside, constraints='<rsc_colocation id="c" rsc="t" with-rsc="b" score="INFINITY"/>')
    assert explained.reason(cib, found) == "dependents of a group that cannot start"
    other = _cib(inside, constraints='<rsc_colocation id="c" rsc="u" with-rsc="b" score="INFINITY"/>')
    assert explained.reason(other, found) is None


def test_a_circle_through_a_group() -> None:
    found = [Disagreement("summary", ("Start d ( n1 )",), ())]
    sets = "".join(
        f'<rsc_colocation id="{one}{other}" rsc="{one}" with-rsc="{other}" score="INFINITY"/>'
        for one, other in ("gd", "db")
    )
    resources = GROUP + '<primitive id="d"/>'
    assert explained.reason(_cib(resources, constraints=sets), found) == "mandatory colocations in a circle"
    one_way = sets.replace('with-rsc="b"', 'with-rsc="a"')
    assert explained.reason(_cib(resources, constraints=one_way), found) is None


def test_a_resource_with_itself() -> None:
    found = [Disagreement("actions", ("g_start_0",), ())]
    rule = '<rsc_colocation id="c" rsc="g" with-rsc="{}" score="-INFINITY"/>'
    why = "a resource that must be with itself"
    assert explained.reason(_cib(GROUP, constraints=rule.format("b")), found) == why
    assert explained.reason(_cib(GROUP, constraints=rule.format("a")), found) is None
    elsewhere = [Disagreement("actions", ("a_start_0 n1",), ())]
    assert explained.reason(_cib(GROUP, constraints=rule.format("b")), elsewhere) is None


def test_clones_in_series() -> None:
    clones = "".join(f'<clone id="{name}"><primitive id="{name}i"/></clone>' for name in "xy")
    found = [Disagreement("edges", ("xi_start_0 n1 -> yi_start_0 n1",), ())]
    order = '<rsc_order id="o" first="x" then="y" kind="{}"/>'
    why = "instances of clones that are put in series"
    assert explained.reason(_cib(clones, constraints=order.format("Serialize")), found) == why
    assert explained.reason(_cib(clones, constraints=order.format("Optional")), found) is None


def test_what_is_behind_a_dependent_of_a_group() -> None:
    found = [Disagreement("actions", ("b_monitor_0 a",), ())]
    why = "dependents of a group that cannot start"
    assert explained.reason(_cib(GROUP, constraints=WITH_GROUP.format("INFINITY")), found) == why
    assert explained.reason(_cib(GROUP, constraints=WITH_GROUP.format("5")), found) is None


def test_scores_of_a_group_whose_member_is_named() -> None:
    found = [Disagreement("scores", ("b allocation score on n1: 0",), ("b allocation score on n1: 5",))]
    why = "colocations of a group's members count for the group"
    named = '<rsc_colocation id="c" rsc="{}" with-rsc="a" score="INFINITY"/>'
    assert explained.reason(_cib(GROUP, constraints=named.format("b")), found) == why
    assert explained.reason(_cib(GROUP, constraints=named.format("g")), found) is None
    more = [*found, Disagreement("actions", ("b_start_0 n1",), ())]
    assert explained.reason(_cib(GROUP, constraints=named.format("b")), more) is None


def test_a_set_after_one_that_goes_down() -> None:
    found = [Disagreement("summary", ("Start b ( n1 ) due to unrunnable a demote (blocked)",), ())]
    sets = "".join(
        f'<resource_set id="s{name}" {action}><resource_ref id="{name}"/></resource_set>'
        for name, action in (("a", 'action="demote"'), ("b", ""))
    )
    order = f'<rsc_order id="o">{sets}</rsc_order>'
    assert explained.reason(_cib(GROUP, constraints=order), found) == "sets after a set that goes down"
    assert explained.reason(_cib(GROUP, constraints=order.replace("demote", "start")), found) is None


def test_an_instance_after_the_probe_of_another() -> None:
    line = "Start b ( n1 ) due to unrunnable b monitor (blocked)"
    found = [Disagreement("summary", ("Start b ( n1 )",), (line,))]
    clone = '<clone id="c"><primitive id="b"/></clone>'
    why = "instances that are not up wait for a probe that cannot be done"
    assert explained.reason(_cib(clone), found) == why
    assert explained.reason(_cib(GROUP), found) is None


def test_scores_on_the_nodes_of_a_bundle() -> None:
    found = [
        Disagreement("scores", ("a allocation score on x-0: 5",), ("a allocation score on x-0: -INFINITY",))
    ]
    rule = '<rsc_location id="l" rsc="a"><rule id="r"/></rsc_location>'
    bundle = GROUP + '<bundle id="x"/>'
    assert (
        explained.reason(_cib(bundle, constraints=rule), found)
        == "a rule that holds for the nodes of a bundle"
    )
    assert explained.reason(_cib(bundle), found) is None
    assert explained.reason(_cib(GROUP, constraints=rule), found) is None
