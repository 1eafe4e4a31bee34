"""cib/tree.py: one place changes, the rest is shared."""

from komainu.cib.document import parse
from komainu.cib.tree import replace_by_id, replace_child, update_at


def test_only_the_path_is_new() -> None:
    root = parse("<cib><a><b/></a><c/></cib>")
    changed = update_at(root, ("a", "b"), lambda b: b.with_attributes(x="1"))
    assert changed == parse('<cib><a><b x="1"/></a><c/></cib>')
    assert changed.children[1] is root.children[1]
    assert update_at(root, ("a", "b"), lambda b: b) is root


def test_what_is_missing_is_made() -> None:
    assert update_at(parse("<cib/>"), ("a", "b"), lambda b: b.with_attributes(x="1")) == parse(
        '<cib><a><b x="1"/></a></cib>'
    )


def test_children_are_replaced_by_identity_and_by_id() -> None:
    root = parse('<a><b/><b/><c id="x"><d id="y"/></c></a>')
    second = root.children[1]
    assert len(replace_child(root, second, None).children) == 2
    assert replace_child(root, second, None).children[0] is root.children[0]
    changed = replace_by_id(root, "y", parse('<e id="z"/>'))
    assert changed is not None
    assert changed.find("z") is not None
    assert replace_by_id(root, "nothing", None) is None
