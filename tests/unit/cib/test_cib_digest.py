"""cib/digest.py: the digests are those that the field's histories hold."""

from pathlib import Path

import pytest

from komainu.cib.digest import op_digest
from komainu.cib.document import parse
from komainu.cib.element import Element

SUITE = Path(__file__).parents[4] / "shared" / "scheduler-suite" / "xml"


def test_an_agent_without_parameters() -> None:
    # The digest that every Dummy resource of the field has.
    assert op_digest(()) == "f2317cad3d54cec5d7d7aa7d0bf35cf8"


def test_what_the_cluster_adds_does_not_count_but_a_recurring_timeout_does() -> None:
    plain = op_digest((("b", "2"), ("a", "1")))
    assert plain == op_digest((("a", "1"), ("b", "2"), ("CRM_meta_name", "start"), ("crm_feature_set", "3")))
    assert plain != op_digest((("a", "1"), ("b", "2")), recurring_timeout_ms=20_000)


def test_values_are_escaped_as_xml() -> None:
    assert op_digest((("a", '<&">\n'),)) != op_digest((("a", "x"),))


def primitives_without_rules(cib: Element) -> dict[str, dict[str, str]]:
    """Return the parameters of plain primitives at the top level: nothing is inherited there."""
    resources = cib.at("configuration", "resources")
    found: dict[str, dict[str, str]] = {}
    for one in () if resources is None else resources.all("primitive"):
        blocks = list(one.all("instance_attributes"))
        if one.get("template") is not None or len(blocks) > 1:
            continue
        if any(block.first("rule") is not None or block.get("id-ref") is not None for block in blocks):
            continue
        found[one.id] = {
            pair.get("name") or "": pair.get("value") or ""
            for block in blocks
            for pair in block.all("nvpair")
        }
    return found


@pytest.mark.skipif(not SUITE.is_dir(), reason="the scheduler suite is not beside the project")
def test_digests_of_the_suite() -> None:
    """Most starts in the suite's histories have the digest of what is configured; the rest was changed."""
    equal = total = 0
    for file in sorted(SUITE.glob("[cr]*.xml")):
        cib = parse(file.read_text())
        known = primitives_without_rules(cib)
        for home in cib.walk():
            if home.tag != "lrm_resource" or home.id not in known:
                continue
            for entry in home.all("lrm_rsc_op"):
                if entry.get("operation") == "start" and entry.get("op-digest"):
                    total += 1
                    equal += entry.get("op-digest") == op_digest(known[home.id].items())
    assert total > 50
    assert equal / total > 0.8
