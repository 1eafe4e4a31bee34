"""cib/schema.py: all that is wrong is found, each with its line and what would be right; nothing else is."""

from pathlib import Path

import pytest
from cib_samples import configuration
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cib.document import DEPTH_MAX, parse, parse_cib
from komainu.cib.element import Element
from komainu.cib.schema import validate
from komainu.cib.vocabulary import SHAPES
from komainu.model.report import Report, Severity

SUITE = Path(__file__).parents[4] / "shared" / "scheduler-suite" / "xml"
WEB = '<primitive id="web" class="ocf" provider="heartbeat" type="apache"/>'
FENCE = '<primitive id="f" class="stonith" type="fence_lab"/>'

REALLY_WRONG = {
    "colocation-influence.xml": 'influence="invalid"',
    "intervals.xml": 'timeout="bad", and a monitor twice: interval 40s and P40S',
    "one-or-more-unrunnable-instances.xml": "the operation start twice",
    "order-wrong-kind.xml": 'kind="foo"',
    "promoted-probed-score.xml": "the operation start twice",
}
"""All configurations of the suite that have errors, each read: the mistake is there, mostly on purpose."""


def errors(body: str) -> list[tuple[str, str]]:
    """Return code and hint of each error in a configuration."""
    found = validate(configuration(body), "x")
    return [(one.code, one.hint) for one in found if one.severity is Severity.ERROR]


def resources(body: str) -> list[tuple[str, str]]:
    return errors(f"<resources>{FENCE}{body}</resources>")


@pytest.mark.skipif(not SUITE.is_dir(), reason="the scheduler suite is not beside the project")
def test_the_configurations_of_the_field_are_valid() -> None:
    wrong = set()
    for file in [*sorted(SUITE.glob("*.xml"))[::8], *(SUITE / name for name in REALLY_WRONG)]:
        cib = parse_cib(file.read_text(), file.name)
        # The status is not validated, and is most of each file.
        cib = cib.without(lambda child: child.tag == "status")
        if any(report.severity is Severity.ERROR for report in validate(cib, file.name)):
            wrong.add(file.name)
    assert wrong == set(REALLY_WRONG)  # of all 598, when the step of 8 above is left out


def test_each_problem_has_its_line_and_all_are_found() -> None:
    text = """<cib>
 <configuration>
  <resources>
   <primitve id="web"/>
   <primitive id="db" clas="ocf" type="x"/>
   <primitive id="db" class="lsb" type="x">
    <operations>
     <op id="m" name="monitor" interval="ten"/>
    </operations>
   </primitive>
  </resources>
 </configuration>
</cib>"""
    found = [report for report in validate(parse(text), "web.xml") if report.severity is Severity.ERROR]
    assert [(str(one.place), one.code) for one in found] == [
        ("web.xml:4", "cib.unknown-element"),
        ("web.xml:5", "cib.unknown-attribute"),
        ("web.xml:6", "cib.duplicate-id"),
        ("web.xml:8", "cib.bad-value"),
    ]
    assert [one.hint for one in found[:2]] == ['did you mean "primitive"?', 'did you mean "class"?']
    assert "line 5" in found[2].message


@pytest.mark.parametrize(
    ("body", "code", "hint"),
    [
        ('<group id="g"/>', "cib.empty", "<primitive>"),
        ('<clone id="c"/>', "cib.missing-attribute", "give one"),
        (f'<clone id="c">{WEB}<group id="g"><primitive id="z" class="lsb" type="z"/></group></clone>',
         "cib.conflicting-attributes", "keep one"),
        (f'<clone id="c">{WEB}<primitive id="z" class="lsb" type="z"/></clone>', "cib.second-element", "keep one"),
        ('<bundle id="b"/>', "cib.missing-attribute", "give one"),
        ('<primitive id="1x" class="lsb" type="x"/>', "cib.bad-value", ""),
        ('<primitive id="x" class="lsb"/>', "cib.missing-attribute", ""),
        ('<primitive id="x" class="lbs" type="x"/>', "cib.unknown-class", 'did you mean "lsb"?'),
        ('<primitive id="x" class="ocf" type="x"/>', "cib.no-provider", "heartbeat"),
        ('<primitive id="x" class="lsb" provider="p" type="x"/>', "cib.needless-provider", "remove"),
        ('<rsc_order id="o"/>', "cib.unknown-element", "<constraints>"),
        ('<primitive id="x" template="t"/>', "cib.unknown-template", "define"),
        ('<primitive id="x" class="lsb" type="x"><meta_attributes id-ref="m"/></primitive>',
         "cib.unknown-reference", "define"),
        (('<primitive id="x" class="lsb" type="x"><meta_attributes id="m">'
         '<nvpair id="n" name="target-role" value="Stoped"/></meta_attributes></primitive>'),
         "cib.bad-value", 'did you mean "Stopped"?'),
        (('<primitive id="x" class="lsb" type="x"><operations><op id="p" name="monitor" interval="5"/>'
         '<op id="q" name="monitor" interval="5s"/></operations></primitive>'),
         "cib.duplicate-operation", "interval"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_resources(body: str, code: str, hint: str) -> None:
    found = resources(body)
    assert [one[0] for one in found] == [code]
    assert hint in found[0][1]


@pytest.mark.parametrize(
    ("constraint", "code"),
    [
        ('<rsc_location id="l" rsc="web"/>', "cib.missing-attribute"),
        ('<rsc_location id="l" rsc="wbe" node="a" score="1"/>', "cib.unknown-resource"),
        ('<rsc_location id="l" rsc="web" rsc-pattern="w.*" node="a" score="1"/>', "cib.conflicting-attributes"),
        ('<rsc_location id="l" rsc="web" node="a" score="infinity"/>', "cib.bad-value"),
        ('<rsc_order id="o" first="web" then="web"/>', "cib.order-with-itself"),
        ('<rsc_order id="o" first="web"/>', "cib.missing-attribute"),
        ('<rsc_colocation id="c" rsc="web" with-rsc="web" score="1"/>', "cib.colocation-with-itself"),
        (('<rsc_colocation id="c" rsc="web"><resource_set id="s"><resource_ref id="web"/></resource_set>'
         "</rsc_colocation>"), "cib.conflicting-attributes"),
        ('<rsc_ticket id="t" rsc="web"/>', "cib.missing-attribute"),
        ('<rsc_order id="o"><resource_set id="s"/></rsc_order>', "cib.empty"),
        ('<rsc_order id="o"><resource_set id="s"><resource_ref id="x"/></resource_set></rsc_order>',
         "cib.unknown-resource"),
        (('<rsc_location id="l" rsc="web"><rule id="r" score="1"><expression id="e" attribute="#uname" '
         'operation="eq"/></rule></rsc_location>'), "cib.missing-attribute"),
        (('<rsc_location id="l" rsc="web"><rule id="r" score="1"><date_expression id="e" operation="gt"/>'
         "</rule></rsc_location>"), "cib.missing-attribute"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_constraints(constraint: str, code: str) -> None:
    body = f"<resources>{FENCE}{WEB}</resources><constraints>{constraint}</constraints>"
    assert code in [one[0] for one in errors(body)]


@pytest.mark.parametrize(
    ("section", "code"),
    [
        ('<fencing-topology><fencing-level id="l" index="0" target="a" devices="f"/></fencing-topology>',
         "cib.bad-value"),
        ('<fencing-topology><fencing-level id="l" index="1" devices="f"/></fencing-topology>',
         "cib.missing-attribute"),
        (('<fencing-topology><fencing-level id="l" index="1" target-attribute="rack" devices="f"/>'
         "</fencing-topology>"), "cib.missing-attribute"),
        ('<acls><acl_target id="joe"><role id="operator"/></acl_target></acls>', "cib.unknown-reference"),
        ('<acls><acl_role id="r"><acl_permission id="p" kind="read"/></acl_role></acls>',
         "cib.missing-attribute"),
        ('<tags><tag id="t"/></tags>', "cib.empty"),
        ('<tags><tag id="t"><obj_ref id="x"/></tag></tags>', "cib.unknown-reference"),
        ('<alerts><alert id="a"/></alerts>', "cib.missing-attribute"),
        ("<nodes/><nodes/>", "cib.second-element"),
        ('<nodes><node id="1" uname="a"/><node id="1" uname="b"/></nodes>', "cib.duplicate-id"),
        ('<nodes><node id="1" uname="a"/><node id="2" uname="a"/></nodes>', "cib.duplicate-node"),
    ],
)  # fmt: skip
def test_what_is_wrong_elsewhere(section: str, code: str) -> None:
    assert code in [one[0] for one in errors(section)]


def warnings(body: str) -> dict[str, Report]:
    return {one.code: one for one in validate(configuration(body), "x") if one.severity is Severity.WARNING}


def test_misspelt_options_are_warned_of() -> None:
    body = (
        '<crm_config><cluster_property_set id="o"><nvpair id="n" name="no_quorum-policy" value="x"/>'
        "</cluster_property_set></crm_config>"
    )
    assert warnings(body)["cib.unknown-option"].hint == 'did you mean "no-quorum-policy"?'


def test_what_may_be_right_after_all_is_a_warning() -> None:
    body = (
        f'<nodes><node id="1" uname="alpha"/></nodes><resources>{FENCE}{WEB}</resources>'
        '<constraints><rsc_location id="l" rsc="web" node="alhpa" score="1"/></constraints>'
        '<fencing-topology><fencing-level id="v" index="1" target="alpha" devices="f,g"/></fencing-topology>'
    )
    found = warnings(body)
    assert found["cib.unknown-node"].hint == 'did you mean "alpha"?'
    assert '"g"' in found["cib.unknown-device"].message
    assert errors(body) == []


def test_resources_without_a_fence_device_are_warned_of_unless_fencing_is_off() -> None:
    off = (
        '<crm_config><cluster_property_set id="o"><nvpair id="n" name="stonith-enabled" value="false"/>'
        "</cluster_property_set></crm_config>"
    )
    body = f"<resources>{WEB}</resources>"
    assert "cib.no-fence-device" in warnings(body)
    assert "cib.no-fence-device" not in warnings(off + body)


def test_the_whole_vocabulary_is_accepted() -> None:
    body = """
<rsc_defaults><meta_attributes id="rd"><rule id="rdr"><rsc_expression id="re" class="ocf"/></rule>
 <nvpair id="rd-s" name="resource-stickiness" value="INFINITY"/></meta_attributes></rsc_defaults>
<op_defaults><meta_attributes id="od"><rule id="odr"><op_expression id="oe" name="start" interval="0"/></rule>
 <nvpair id="od-t" name="timeout" value="30s"/></meta_attributes></op_defaults>
<resources>
 <template id="tpl" class="ocf" provider="heartbeat" type="Dummy"/>
 <primitive id="one" template="tpl"><utilization id="u"><nvpair id="u-c" name="cpu" value="2"/></utilization>
 </primitive>
 <primitive id="fence" class="stonith" type="fence_lab"/>
 <master id="old"><primitive id="m" class="ocf" provider="linbit" type="drbd"/></master>
 <bundle id="b"><podman image="i" replicas="2" promoted-max="1" run-command="x" network="n" options="o"/>
  <network ip-range-start="10.0.0.1" control-port="9999" host-interface="eth0" host-netmask="24" add-host="true">
   <port-mapping id="pm" port="80" internal-port="81"/><port-mapping id="pr" range="1000-2000"/></network>
  <storage><storage-mapping id="sm" source-dir="/a" target-dir="/b" options="rw"/></storage>
  <primitive id="in" class="ocf" provider="heartbeat" type="apache"/></bundle>
</resources>
<constraints>
 <rsc_location id="l1" rsc-pattern="^o" resource-discovery="never" role="Started">
  <rule id="r" score-attribute="pingd" boolean-op="or" role="Promoted">
   <expression id="e" attribute="pingd" operation="lt" value="5" type="integer" value-source="literal"/>
   <date_expression id="d" operation="date_spec"><date_spec id="ds" weekdays="1-5" hours="9-16"/>
   </date_expression>
   <date_expression id="d2" operation="in_range" start="2026-01-01"><duration id="du" months="1"/>
   </date_expression>
   <rule id="r2"><expression id="e2" attribute="x" operation="defined"/></rule></rule></rsc_location>
 <rsc_ticket id="t" rsc="one" ticket="north" loss-policy="fence" rsc-role="Started"/>
 <rsc_order id="o" kind="Serialize" symmetrical="false"><resource_set id="s1" sequential="false"
  require-all="false" action="start"><resource_ref id="one"/><resource_ref id="b"/></resource_set></rsc_order>
</constraints>
<fencing-topology><fencing-level id="f1" index="1" target-attribute="rack" target-value="1" devices="fence"/>
 <fencing-level id="f2" index="2" target-pattern="a.*" devices="fence"/></fencing-topology>
<acls><acl_role id="ro"><acl_permission id="p1" kind="read" xpath="/cib"/>
 <acl_permission id="p2" kind="deny" object-type="nvpair" attribute="value"/>
 <acl_permission id="p3" kind="write" reference="one"/></acl_role>
 <acl_target id="joe"><role id="ro"/></acl_target><acl_group id="ops"><role id="ro"/></acl_group></acls>
<tags><tag id="tag"><obj_ref id="one"/><obj_ref id="b"/></tag></tags>
<alerts><alert id="al" path="/x"><select><select_nodes/><select_fencing/><select_resources/>
 <select_attributes><attribute id="at" name="standby"/></select_attributes></select>
 <meta_attributes id="am"><nvpair id="am-t" name="timeout" value="5s"/></meta_attributes>
 <recipient id="rec" value="joe@example.org"/></alert></alerts>"""
    assert validate(configuration(body), "x") == ()


_NAMES = st.sampled_from(
    sorted({name for shape in SHAPES.values() for name in (*shape.required, *shape.optional)})
)
_ELEMENTS = st.recursive(
    st.builds(
        Element, st.sampled_from(sorted(SHAPES)), st.dictionaries(_NAMES, st.text(max_size=4), max_size=3)
    ),
    lambda children: st.builds(
        Element,
        st.sampled_from(sorted(SHAPES)) | st.text(max_size=3),
        st.dictionaries(_NAMES, st.text(max_size=4), max_size=3),
        st.lists(children, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.lists(_ELEMENTS, max_size=3), st.sampled_from(sorted(SHAPES)))
def test_it_never_raises(children: list[Element], home: str) -> None:
    inside = Element(home, {}, tuple(children))
    for tag in ("resources", "constraints", home):
        validate(Element("cib", {}, (Element("configuration", {}, (Element(tag, {}, (inside,)),)),)), "x")


def test_it_does_not_go_too_deep() -> None:
    deep = Element("rule")
    for _ in range(50 * DEPTH_MAX):
        deep = Element("rule", {}, (deep,))
    assert [one.code for one in validate(Element("cib", {}, (deep,)), "x")] == ["cib.too-deep"]


def test_every_child_has_a_shape() -> None:
    children = {child for shape in SHAPES.values() for child in shape.all_children}
    assert children - set(SHAPES) == {"status"}
