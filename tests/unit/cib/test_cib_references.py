"""cib/references.py: what is named exists, under whatever name it may be named by."""

import pytest
from cib_samples import configuration

from komainu.cib.problem import Problems
from komainu.cib.references import check_references

RESOURCES = """<resources>
<primitive id="web" class="lsb" type="w"><operations id="web-ops"><op id="m" name="monitor"/></operations>
 <meta_attributes id="web-meta"><nvpair id="rn" name="remote-node" value="guest"/></meta_attributes></primitive>
<primitive id="far" class="ocf" provider="pacemaker" type="remote"/>
<primitive id="db" class="lsb" type="d"><operations id-ref="web-ops"/><meta_attributes id-ref="web-meta"/></primitive>
</resources><nodes><node id="1" uname="a"/></nodes><tags><tag id="both"><obj_ref id="web"/></tag></tags>"""


def codes(body: str) -> list[str]:
    problems = Problems("x")
    cib = configuration(RESOURCES + body)
    check_references(cib.children[0], problems)
    return [report.code for report in problems.reports]


@pytest.mark.parametrize(
    "constraint",
    [
        '<rsc_location id="l" rsc="both" node="a" score="1"/>',
        '<rsc_location id="l" rsc="web" node="far" score="1"/>',
        '<rsc_location id="l" rsc="web" node="guest" score="1"/>',
        '<rsc_order id="o" first="web" then="both"/>',
    ],
)
def test_tags_stand_for_resources_and_resources_make_nodes(constraint: str) -> None:
    assert codes(f"<constraints>{constraint}</constraints>") == []


def test_an_id_ref_names_an_element_of_its_own_kind() -> None:
    wrong = (
        '<constraints><rsc_location id="l" rsc="web"><rule id-ref="web-meta"/></rsc_location></constraints>'
    )
    assert codes(wrong) == ["cib.unknown-reference"]


def test_ids_of_nodes_and_users_are_their_own() -> None:
    fine = '<acls><acl_target id="web"/><acl_target id="1"/></acls>'
    assert codes(fine) == []
    assert codes('<acls><acl_target id="joe"/><acl_target id="joe"/></acls>') == ["cib.duplicate-id"]
