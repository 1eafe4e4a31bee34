"""cib/pairs.py: which set a pair goes into and what it is called."""

import pytest

from komainu.cib.document import parse
from komainu.cib.pairs import make_id, pair_value, set_pair


@pytest.mark.parametrize(
    ("parts", "made"),
    [
        (("web", "meta_attributes"), "web-meta_attributes"),
        (("status-1", "fail-count-web#start_0"), "status-1-fail-count-web.start_0"),
        (("1", "x"), "_1-x"),
    ],
)
def test_ids_are_ids(parts: tuple[str, ...], made: str) -> None:
    assert make_id(*parts) == made


def test_a_set_with_a_rule_is_left_alone() -> None:
    owner = parse(
        '<primitive><meta_attributes id="m"><rule id="r"/><nvpair id="p" name="x" value="1"/></meta_attributes>'
        "</primitive>"
    )
    changed = set_pair(owner, "meta_attributes", "own", "x", "2")
    assert changed.children[0] == owner.children[0]
    assert changed.children[1].id == "own"


def test_nothing_new_gives_the_same_element() -> None:
    owner = parse(
        '<node><instance_attributes id="i"><nvpair id="p" name="x" value="1"/></instance_attributes></node>'
    )
    assert set_pair(owner, "instance_attributes", "i", "x", "1") is owner
    assert set_pair(owner, "instance_attributes", "i", "y", None) is owner
    assert pair_value(owner, "instance_attributes", "x") == "1"
    assert pair_value(owner, "instance_attributes", "y") is None
