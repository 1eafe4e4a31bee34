"""Small things in which the real crm_simulate showed this scheduler to be wrong; each case is what was left of one."""

import pytest

from komainu.cib import document
from komainu.cib.element import Element
from komainu.scheduler import recipe, status_text

NOW_S = 1_767_225_600
CIB = """
<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1">
  <configuration>
    <crm_config><cluster_property_set id="cib-bootstrap-options">
      <nvpair id="o" name="stonith-enabled" value="false"/>
      <nvpair id="s" name="symmetric-cluster" value="{symmetric}"/>
    </cluster_property_set></crm_config>
    <nodes><node id="1" uname="a"/><node id="2" uname="b"/></nodes>
    <resources>{resources}</resources>
    <constraints>{constraints}</constraints>
  </configuration>
  <status>
    <node_state id="2" uname="b" in_ccm="true" crmd="online" join="member" expected="member"/>
  </status>
</cib>
"""


@pytest.fixture
def group_with_exclusive_member() -> Element:
    return document.parse(
        CIB.format(
            symmetric="true",
            resources='<group id="g"><primitive id="m" class="ocf" provider="pacemaker" type="Dummy"/></group>',
            constraints='<rsc_location id="x" rsc="m" node="a" score="INFINITY" resource-discovery="exclusive"/>',
        )
    )


def test_exclusive_discovery_of_a_member_alone_does_not_bind_it(group_with_exclusive_member: Element) -> None:
    job = recipe.read(group_with_exclusive_member, NOW_S)
    recipe.schedule(job)
    assert {row.node.name: row.score for row in job.by_id["m"].table.values()}["b"] == 0


def test_a_clone_that_no_node_may_run_is_not_shown_as_stopped_everywhere() -> None:
    clone = '<clone id="c"><primitive id="i" class="ocf" provider="pacemaker" type="Dummy"/></clone>'
    cib = document.parse(CIB.format(symmetric="false", resources=clone, constraints=""))
    lines = status_text.write(recipe.read(cib, NOW_S))
    assert not [line for line in lines if "Stopped:" in line]
