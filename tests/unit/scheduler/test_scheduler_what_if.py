"""What a change would make different: the plans without and with it, side by side."""

import pytest

from komainu.cib import document
from komainu.cib.element import Element
from komainu.model.report import Refused
from komainu.scheduler import recipe, what_if
from komainu.scheduler.rehearse import Rehearsal
from komainu.scheduler.what_if import Difference

NOW_S = 1_767_225_600

CIB = """
<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1">
  <configuration>
    <crm_config><cluster_property_set id="cib-bootstrap-options">
      <nvpair id="o" name="stonith-enabled" value="true"/>
    </cluster_property_set></crm_config>
    <nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
    <resources>
      <primitive id="fence" class="stonith" type="fence_x"/>
      <primitive id="web" class="ocf" provider="pacemaker" type="Dummy">
        <operations><op id="m" name="monitor" interval="10s"/></operations>
      </primitive>
      <clone id="many"><primitive id="one" class="ocf" provider="pacemaker" type="Dummy"/></clone>
    </resources>
    <constraints>
      <rsc_location id="home" rsc="web" node="a" score="100"/>
      <rsc_location id="away" rsc="web" node="b" score="10"/>
      <rsc_ticket id="needs" rsc="web" ticket="T"/>
    </constraints>
  </configuration>
  <status>
    <node_state id="1" uname="a" in_ccm="true" crmd="online" join="member" expected="member"/>
    <node_state id="2" uname="b" in_ccm="true" crmd="online" join="member" expected="member"/>
    <tickets><ticket_state id="T" granted="true"/></tickets>
  </status>
</cib>
"""


@pytest.fixture(scope="module")
def cib() -> Element:
    """The cluster with everything up, as it is once its first transition is done."""
    text = document.parse(CIB)
    job = recipe.read(text, NOW_S, is_simulated=True)
    rehearsal = Rehearsal(job, recipe.schedule(job), text)
    assert rehearsal.run()
    return rehearsal.cib


def ask(cib: Element, text: str) -> Difference:
    return what_if.compare(cib, what_if.apply(cib, text, NOW_S), NOW_S)


def places(difference: Difference) -> dict[str, tuple[str, ...]]:
    return {rsc.resource: rsc.with_change for rsc in difference.resources}


def test_a_lost_node_is_fenced_and_what_ran_there_goes_elsewhere(cib: Element) -> None:
    difference = ask(cib, "node lost a")
    assert [(node.node, node.only_with_change) for node in difference.nodes] == [("a", True)]
    assert "peer is no longer part of the cluster" in difference.nodes[0].reason
    assert places(difference)["web"] == ("b",)
    assert difference.instead.index("fence a (reboot)") < difference.instead.index("start web on b")


def test_a_failed_resource_is_recovered_where_it_is(cib: Element) -> None:
    difference = ask(cib, "resource failed web")
    (web,) = difference.resources
    assert (web.without, web.with_change) == (("a",), ("a",))
    assert "failed and is recovered on a" in web.reason
    assert web.reason_without == ""


def test_without_its_constraint_a_resource_likes_another_node(cib: Element) -> None:
    assert places(ask(cib, "constraint removed home")) == {"web": ("b",)}


def test_a_revoked_ticket_stops_what_needs_it(cib: Element) -> None:
    assert places(ask(cib, "ticket revoked T")) == {"web": ()}


def test_attributes_options_and_quorum(cib: Element) -> None:
    assert places(ask(cib, "attribute standby=on on a"))["web"] == ("b",)
    assert places(ask(cib, "option stop-all-resources=true"))["web"] == ()
    assert places(ask(cib, "quorum lost"))["web"] == ()


def test_a_change_that_changes_nothing_is_an_empty_difference(cib: Element) -> None:
    assert ask(cib, "ticket granted T").is_empty
    assert ask(cib, "constraint removed away").is_empty


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("node lost", "is no change", "node lost NODE"),
        ("node lost c", 'there is no node "c"', "a, b"),
        ("resource failed wb", 'no resource "wb"', 'did you mean "web"?'),
        ("resource failed web on b", "not active on b", "it is active: a"),
        ("resource failed one", "active on", "resource failed one on NODE"),
        ("constraint removed hom", 'no constraint "hom"', 'did you mean "home"?'),
        ("ticket revoked U", 'a ticket "U"', "T"),
    ],
)
def test_a_change_that_cannot_be_is_refused(cib: Element, text: str, message: str, hint: str) -> None:
    with pytest.raises(Refused) as refused:
        what_if.apply(cib, text, NOW_S)
    assert message in refused.value.reports[0].message
    assert hint in refused.value.reports[0].hint
