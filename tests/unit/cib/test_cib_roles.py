"""cib/roles.py: a role of what is never promoted is told, with the constraint and the name."""

import pytest
from cib_samples import configuration

from komainu.cib.problem import Problems
from komainu.cib.roles import check_roles

RESOURCES = (
    '<primitive id="a"/><group id="g"><primitive id="b"/></group><clone id="c"><primitive id="d"/></clone>'
    '<clone id="p"><meta_attributes id="m"><nvpair id="n" name="promotable" value="true"/></meta_attributes>'
    '<primitive id="q"/></clone><bundle id="x"><podman image="i" promoted-max="1"/><primitive id="y"/></bundle>'
    '<master id="o"><primitive id="r"/></master><template id="t"/>'
)


def found(constraint: str) -> list[str]:
    problems = Problems("x")
    text = f"<resources>{RESOURCES}</resources><constraints>{constraint}</constraints>"
    check_roles(configuration(text).children[0], problems)
    assert problems.errors == []
    assert all(one.hint == "name a promotable clone, or leave the role out" for one in problems.warnings)
    return [one.message for one in problems.warnings]


@pytest.mark.parametrize(
    ("constraint", "told"),
    [
        ('<rsc_location id="k" rsc="a" role="Promoted" node="n" score="1"/>', '"Promoted" of "a"'),
        (
            '<rsc_location id="k" rsc="g"><rule id="r" role="Master" score="1"/></rsc_location>',
            '"Master" of "g"',
        ),
        ('<rsc_colocation id="k" rsc="b" with-rsc="p" rsc-role="Unpromoted"/>', '"Unpromoted" of "b"'),
        ('<rsc_colocation id="k" rsc="a" with-rsc="c" with-rsc-role="promoted"/>', '"promoted" of "c"'),
        ('<rsc_order id="k" first="d" then="a" first-action="promote"/>', '"promote" of "d"'),
        ('<rsc_ticket id="k" rsc="a" ticket="T" rsc-role="Promoted"/>', '"Promoted" of "a"'),
        (
            '<rsc_order id="k"><resource_set id="s" action="demote"><resource_ref id="a"/></resource_set></rsc_order>',
            '"demote" of "a"',
        ),
    ],
)
def test_a_role_of_what_is_never_promoted(constraint: str, told: str) -> None:
    tag = constraint[1 : constraint.index(" ")]
    assert found(constraint) == [f'<{tag} id="k"> says {told}, which is never promoted']


@pytest.mark.parametrize("name", ["p", "q", "x", "y", "o", "r", "t", "nobody"])
def test_what_has_roles_or_is_not_known_here_is_left_alone(name: str) -> None:
    assert found(f'<rsc_colocation id="k" rsc="{name}" with-rsc="a" rsc-role="Promoted"/>') == []


def test_started_is_no_role_of_promotion() -> None:
    assert found('<rsc_location id="k" rsc="a" role="Started" node="n" score="1"/>') == []
    assert found('<rsc_order id="k" first="a" then="g" first-action="stop" then-action="start"/>') == []
