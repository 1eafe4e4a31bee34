"""Constraints that cannot be heeded are said to be passed over."""

from whole_text import dummy, state, whole

from komainu.cib import document as reader
from komainu.scheduler.plan import plan

TAGS = (
    '<tag id="one"><obj_ref id="x"/></tag>',
    '<tag id="two"><obj_ref id="y"/></tag>',
)


def test_two_tags_cannot_be_colocated_and_the_plan_says_so() -> None:
    rule = '<rsc_colocation id="c" rsc="one" with-rsc="two" score="INFINITY"/>'
    document = whole("a", dummy("x") + dummy("y"), state("a"), constraints=rule)
    configuration = document.first("configuration")
    assert configuration is not None
    block = reader.parse(f"<tags>{''.join(TAGS)}</tags>", "test")
    with_tags = document.with_child(configuration.with_child(block))
    found = plan(with_tags, 1000)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("c: two templates or tags cannot be colocated")
    assert "start x on a" in [action.label for action in found.actions]
