"""Made-up events: what they write into a CIB, and how a name that does not exist is answered."""

import pytest

from komainu.cib import document
from komainu.cib.element import Element
from komainu.model.report import Refused
from komainu.scheduler import injection
from komainu.scheduler.injection import Result

NOW_S = 1_767_225_600

CIB = """
<cib have-quorum="1">
  <configuration>
    <crm_config/>
    <nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
    <resources>
      <primitive id="web" class="ocf" provider="pacemaker" type="Dummy"/>
      <clone id="many"><primitive id="one" class="ocf" provider="pacemaker" type="Dummy"/></clone>
    </resources>
    <constraints><rsc_ticket id="needs" rsc="web" ticket="T"/></constraints>
  </configuration>
  <status>
    <node_state id="1" uname="a" in_ccm="true" crmd="online" join="member" expected="member">
      <lrm id="1"><lrm_resources>
        <lrm_resource id="web" class="ocf" provider="pacemaker" type="Dummy">
          <lrm_rsc_op id="web_last_0" operation="start" call-id="4" rc-code="0" op-digest="abc"/>
        </lrm_resource>
      </lrm_resources></lrm>
    </node_state>
  </status>
</cib>
"""


@pytest.fixture
def cib() -> Element:
    return document.parse(CIB)


def state(cib: Element, node: str) -> Element:
    status = cib.first("status")
    assert status is not None
    return next(one for one in status.all("node_state") if one.get("uname") == node)


def entries(cib: Element, node: str, name: str) -> dict[str, Element]:
    history = state(cib, node).find(name)
    assert history is not None
    return {op.id: op for op in history.all("lrm_rsc_op")}


def test_a_node_that_is_lost_keeps_its_history_and_one_that_is_down_does_not(cib: Element) -> None:
    lost, down = state(injection.lose(cib, "a"), "a"), state(injection.take_down(cib, "a"), "a")
    assert (lost.get("in_ccm"), lost.get("expected"), len(lost.children)) == ("false", "member", 1)
    assert (down.get("in_ccm"), down.get("expected"), len(down.children)) == ("false", "down", 0)


def test_a_node_that_comes_up_is_configured_if_need_be(cib: Element) -> None:
    up = injection.bring_up(cib, "new")
    nodes = up.at("configuration", "nodes")
    assert nodes is not None
    assert [node.get("uname") for node in nodes.children] == ["a", "b", "new"]
    assert state(up, "new").get("crmd") == "online"


def test_a_failed_operation_is_recorded_and_counted(cib: Element) -> None:
    once, said = injection.inject(cib, injection.parse_result("web_monitor_10000@a=7"), NOW_S)
    assert said == (
        "  * Injecting attribute fail-count-web#monitor_10000=value++ into /node_state '1'",
        f"  * Injecting attribute last-failure-web#monitor_10000={NOW_S} into /node_state '1'",
    )
    failure = entries(once, "a", "web")["web_last_failure_0"]
    assert (failure.get("call-id"), failure.get("rc-code")) == ("5", "7")
    twice, _ = injection.inject(once, injection.parse_result("web_monitor_10000@a=7"), NOW_S)
    pairs = state(twice, "a").at("transient_attributes", "instance_attributes")
    assert pairs is not None
    assert [pair.get("value") for pair in pairs.children] == ["2", str(NOW_S)]


def test_a_probe_that_finds_nothing_is_no_failure(cib: Element) -> None:
    changed, said = injection.inject(cib, injection.parse_result("web_monitor_0@b=7"), NOW_S)
    assert said == ()
    assert "web_last_0" in entries(changed, "b", "web")


def test_a_result_in_the_place_of_another_keeps_the_digest_of_the_parameters(cib: Element) -> None:
    changed, _ = injection.inject(cib, injection.parse_result("web_stop_0@a=0"), NOW_S)
    last = entries(changed, "a", "web")["web_last_0"]
    assert (last.get("operation"), last.get("op-digest")) == ("stop", "abc")


def test_an_instance_has_its_own_history(cib: Element) -> None:
    changed, _ = injection.inject(cib, injection.parse_result("one:1_start_0@b=1"), NOW_S)
    assert set(entries(changed, "b", "one:1")) == {"one:1_last_0", "one:1_last_failure_0"}


def test_tickets_quorum_options_attributes_and_constraints(cib: Element) -> None:
    changed = injection.set_ticket(cib, "T", granted=True, standby=False)
    changed = injection.set_quorum(changed, "0")
    changed = injection.set_option(changed, "have-watchdog", "true")
    changed = injection.set_node_attribute(changed, "b", "standby", "on")
    changed = injection.remove_constraint(changed, "needs")
    text = document.show(changed)
    assert '<ticket_state id="T" granted="true" standby="false"/>' in text
    assert 'have-quorum="0"' in text
    assert 'name="have-watchdog" value="true"' in text
    assert 'name="standby" value="on"' in text
    assert "rsc_ticket" not in text


def test_an_operation_is_read() -> None:
    assert injection.parse_result("vm:2_migrate_to_0@n1=1") == Result("vm:2", "migrate_to", 0, "n1", 1)


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("garbage", "names no operation", "web_monitor_10000@a=7"),
        ("web_monitor_10000@a", "names no operation", "web_monitor_10000@a=7"),
        ("web_monitor_10000@a=x", "names no operation", "web_monitor_10000@a=7"),
        ("web_montor_10000@a=7", '"montor" is no operation', 'did you mean "monitor"?'),
        ("web_monitor_10000@a=999", "999 is no exit code", "web_monitor_10000@a=7"),
        ("web_monitor_10000@c=7", 'there is no node "c"', "there are: a, b"),
        ("wb_monitor_10000@a=7", 'there is no resource "wb"', 'did you mean "web"?'),
        ("many_monitor_10000@a=7", '"many" is a clone', 'such as "one"'),
    ],
)
def test_an_operation_that_cannot_be_is_refused(cib: Element, spec: str, message: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        injection.inject(cib, injection.parse_result(spec), NOW_S)
    assert message in refused.value.reports[0].message
    assert hint in refused.value.reports[0].hint


def test_names_that_do_not_exist_are_refused(cib: Element) -> None:
    with pytest.raises(Refused):
        injection.lose(cib, "c")
    with pytest.raises(Refused):
        injection.take_down(cib, "c")
    with pytest.raises(Refused):
        injection.set_ticket(cib, "U", granted=True)
    with pytest.raises(Refused):
        injection.set_node_attribute(cib, "c", "x", "y")
    with pytest.raises(Refused):
        injection.remove_constraint(cib, "need")
