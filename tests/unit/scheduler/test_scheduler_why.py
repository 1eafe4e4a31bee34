"""Why a resource goes where it goes: each contribution to a score, what decided, what would change it, what demands."""

from itertools import pairwise
from typing import NamedTuple

import pytest

from komainu.cib import document
from komainu.cib.element import Element
from komainu.model.report import Refused
from komainu.scheduler import injection, recipe
from komainu.scheduler import plan as planning
from komainu.scheduler.ledger import Record
from komainu.scheduler.rehearse import Rehearsal
from komainu.scheduler.why import Answer, Inquiry

NOW_S = 1_767_225_600

CIB = """
<cib validate-with="pacemaker-3.9" have-quorum="1" dc-uuid="1">
  <configuration>
    <crm_config><cluster_property_set id="cib-bootstrap-options">
      <nvpair id="o" name="stonith-enabled" value="true"/>
    </cluster_property_set></crm_config>
    <nodes><node id="1" uname="a"/><node id="2" uname="b"/><node id="3" uname="c"/></nodes>
    <resources>
      <primitive id="fence" class="stonith" type="fence_x"/>
      <primitive id="db" class="ocf" provider="pacemaker" type="Dummy">
        <meta_attributes id="db-meta">
          <nvpair id="db-s" name="resource-stickiness" value="50"/>
          <nvpair id="db-m" name="migration-threshold" value="1"/>
        </meta_attributes>
        <operations><op id="m" name="monitor" interval="10s"/></operations>
      </primitive>
      <primitive id="web" class="ocf" provider="pacemaker" type="Dummy"/>
      <group id="pair">
        <primitive id="first" class="ocf" provider="pacemaker" type="Dummy"/>
        <primitive id="second" class="ocf" provider="pacemaker" type="Dummy"/>
      </group>
      <clone id="many">
        <meta_attributes id="many-meta"><nvpair id="many-x" name="clone-max" value="2"/></meta_attributes>
        <primitive id="one" class="ocf" provider="pacemaker" type="Dummy"/>
      </clone>
      <clone id="roles">
        <meta_attributes id="roles-meta"><nvpair id="roles-p" name="promotable" value="true"/></meta_attributes>
        <primitive id="role" class="ocf" provider="pacemaker" type="Stateful"/>
      </clone>
    </resources>
    <constraints>
      <rsc_location id="home" rsc="db" node="a" score="100"/>
      <rsc_location id="never" rsc="db" node="c" score="-INFINITY"/>
      <rsc_location id="red" rsc="web"><rule id="red-rule" score="-20">
        <expression id="red-e" attribute="colour" operation="eq" value="red"/></rule></rsc_location>
      <rsc_colocation id="beside" rsc="web" with-rsc="db" score="INFINITY"/>
      <rsc_order id="after" first="db" then="web"/>
      <rsc_ticket id="needs" rsc="pair" ticket="T"/>
    </constraints>
  </configuration>
  <status>
    <node_state id="1" uname="a" in_ccm="true" crmd="online" join="member" expected="member"/>
    <node_state id="2" uname="b" in_ccm="true" crmd="online" join="member" expected="member"/>
    <node_state id="3" uname="c" in_ccm="true" crmd="online" join="member" expected="member"/>
    <tickets><ticket_state id="T" granted="true"/></tickets>
  </status>
</cib>
"""


@pytest.fixture(scope="module")
def up() -> Element:
    """The cluster with everything up."""
    cib = document.parse(CIB)
    cib = injection.set_node_attribute(cib, "b", "master-role", "10")
    for _ in range(2):
        job = recipe.read(cib, NOW_S, is_simulated=True)
        rehearsal = Rehearsal(job, recipe.schedule(job), cib)
        assert rehearsal.run()
        cib = rehearsal.cib
    return cib


def ask(cib: Element, subject: str) -> Answer:
    return Inquiry(cib, NOW_S).answer(subject)


class Told(NamedTuple):
    """What is said of one node: score, why not, and the contributions."""

    score: str
    excluded: str
    texts: dict[str, str]


def told(answer: Answer, node: str, part: int = 0) -> Told:
    weighing = answer.parts[part].weighing
    assert weighing is not None
    found = next(one for one in weighing.nodes if one.node == node)
    return Told(found.score, found.excluded, {one.text: one.score for one in found.contributions})


def test_each_contribution_is_told_and_they_make_the_score(up: Element) -> None:
    answer = ask(up, "db")
    assert answer.answer == "db is active on a, and stays there."
    at_home = told(answer, "a")
    assert at_home == ("150", "", at_home.texts)
    assert at_home.texts == {
        "location constraint home": "100",
        "db is active there, and its resource-stickiness is 50": "50",
    }
    assert told(answer, "c").excluded == "location constraint never"
    (part,) = answer.parts
    assert part.weighing is not None
    assert part.weighing.decision == "a has the highest score (150; next b: 0)"


def test_what_would_change_the_choice_is_tried(up: Element) -> None:
    (part,) = ask(up, "db").parts
    assert part.weighing is not None
    assert part.weighing.to_change == "b would be chosen with 151 more, for instance by a location constraint"
    assert part.tried == "tried: then it goes to b"


def test_a_colocation_is_named_with_where_the_other_goes(up: Element) -> None:
    assert told(ask(up, "web"), "b").excluded == (
        "it has to be with db which goes to a (colocation constraint beside, INFINITY)"
    )


def test_a_rule_is_told_by_its_conditions(up: Element) -> None:
    red = injection.set_node_attribute(up, "a", "colour", "red")
    assert told(ask(red, "web"), "a").texts["location rule red-rule: colour eq red"] == "-20"


def test_too_many_failures_move_a_resource_and_what_depends_on_it(up: Element) -> None:
    failed, _ = injection.inject(up, injection.parse_result("db_monitor_10000@a=7"), NOW_S)
    answer = ask(failed, "db")
    assert answer.answer == "db will be active on b (now on a)."
    assert "which reaches its migration-threshold of 1" in told(answer, "a").excluded
    assert answer.parts[0].failures == ('monitor of db failed on a: not running ("Simulated action result")',)
    (done,) = ask(failed, "web").parts[0].done
    assert done.action == "web moves from a to b"
    assert done.because[0] == "it has to be with db, which goes to b"
    assert done.because[1].startswith("monitor of db failed on a")


def test_a_missing_ticket_is_named(up: Element) -> None:
    lost = injection.set_ticket(up, "T", granted=False)
    answer = ask(lost, "pair")
    assert answer.answer.startswith("pair is active on")
    assert answer.answer.endswith("and is stopped.")
    weighing = answer.parts[0].weighing
    assert weighing is not None
    assert all(
        node.excluded == "ticket T is not granted (ticket constraint needs, loss-policy stop)"
        for node in weighing.nodes
    )


def test_instances_have_their_limits_and_promotions(up: Element) -> None:
    answer = ask(up, "many")
    assert "clone-max is 2, clone-node-max 1" in answer.details
    promoted = [part.promotion for part in ask(up, "roles").parts]
    assert "it is promoted: its promotion is worth 10, and promoted-max is 1" in promoted
    assert "it is not promoted: no promotion score is set for it there" in promoted


def test_what_is_not_promoted_because_others_are_is_told_so(up: Element) -> None:
    less = injection.set_node_attribute(up, "a", "master-role", "5")
    promoted = [part.promotion for part in ask(less, "roles").parts]
    why = "it is not promoted: its promotion is worth 5, and promoted-max (1) is used up by better ones"
    assert why in promoted


def test_a_lost_node_is_fenced_by_a_rule(up: Element) -> None:
    answer = ask(injection.lose(up, "a"), "a")
    assert answer.kind == "node"
    assert "peer is no longer part of the cluster" in answer.answer
    (fencing,) = answer.fencing
    assert fencing.action == "node a is fenced (reboot)"
    assert "in_ccm is false" in fencing.because[0]
    assert any(text.startswith("leaves: ") and "db" in text for text in answer.details)


def test_a_node_that_cannot_be_fenced_says_why(up: Element) -> None:
    lost = injection.set_option(injection.lose(up, "a"), "stonith-enabled", "false")
    assert "is not fenced" not in ask(lost, "b").answer
    cib = injection.set_quorum(injection.lose(up, "a"), "0")
    assert "it cannot be fenced, since this side has no quorum" in ask(cib, "a").details


def test_standby_and_target_role_exclude(up: Element) -> None:
    cib = injection.set_node_attribute(up, "a", "standby", "on")
    assert told(ask(cib, "db"), "a").excluded == "node a is in standby"
    stopped = injection.set_option(up, "stop-all-resources", "true")
    weighing = ask(stopped, "db").parts[0].weighing
    assert weighing is not None
    assert weighing.decision == "stop-all-resources is set"


def test_an_unknown_subject_is_refused_with_the_nearest(up: Element) -> None:
    with pytest.raises(Refused) as refused:
        ask(up, "wab")
    assert refused.value.reports[0].hint == 'did you mean "web"?'


def test_a_plan_carries_its_explanation_only_when_asked(up: Element) -> None:
    lost = injection.lose(up, "a")
    assert planning.plan(lost, NOW_S).explanation is None
    explained = planning.plan(lost, NOW_S, explain=True)
    assert explained.explanation is not None
    assert {weighing.resource for weighing in explained.explanation.weighings} >= {"db", "web", "first"}
    assert [demand.action for demand in explained.explanation.fencing] == ["node a is fenced (reboot)"]
    assert all(demand.because for demand in explained.explanation.demands)


def test_the_record_is_without_gaps(up: Element) -> None:
    """Each step begins where the one before it ended, and the last one ends at the score that was chosen by."""
    for cib in (up, injection.lose(up, "a"), injection.set_ticket(up, "T", granted=False)):
        record = Record()
        job = recipe.read(cib, NOW_S, is_simulated=True, ledger=record)
        recipe.schedule(job)
        for top in job.resources:
            for rsc in top.primitives():
                for ranked in record.ranking.get(rsc.id, []):
                    shifts = record.shifts(rsc, ranked.node)
                    assert all(left.after == right.before for left, right in pairwise(shifts))
                    assert shifts[-1].after == ranked.score
