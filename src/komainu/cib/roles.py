"""Find constraints about the role of something that has no roles.

Decides that this is a warning: a plan is made, but what the constraint says of a promotion never comes true. Must not
know how the scheduler chooses what is promoted. Tags and templates stand for others, and are not followed.
Source: Pacemaker Explained, "Promotable Clones" (roles are those of their instances), "Bundles" (promoted-max).
"""

from typing import Final

from komainu.cib.element import Element
from komainu.cib.options import is_true
from komainu.cib.problem import Problems, label

_ROLES: Final = frozenset({"promoted", "unpromoted", "master", "slave"})
_ACTIONS: Final = frozenset({"promote", "demote"})
_SAID: Final = {
    "rsc_location": (("rsc", "role"),),
    "rsc_colocation": (("rsc", "rsc-role"), ("with-rsc", "with-rsc-role")),
    "rsc_order": (("first", "first-action"), ("then", "then-action")),
    "rsc_ticket": (("rsc", "rsc-role"),),
}
"""Which attribute says a role, or an action that only roles have, of the resource that another names."""


def check_roles(configuration: Element, problems: Problems) -> None:
    """Report each role that is demanded of a resource which is not in a promotable clone or bundle."""
    plain = _without_roles(configuration)
    for constraint in configuration.walk():
        for about, said in _SAID.get(constraint.tag, ()):
            _check(constraint, constraint.get(about), constraint.get(said), plain, problems)
        if constraint.tag == "rsc_location":
            for rule in constraint.all("rule"):
                _check(constraint, constraint.get("rsc"), rule.get("role"), plain, problems)
        for members in constraint.all("resource_set"):
            for reference in members.all("resource_ref"):
                word = members.get("role") or members.get("action")
                _check(constraint, reference.id, word, plain, problems)


def _check(
    constraint: Element, name: str | None, word: str | None, plain: frozenset[str], problems: Problems
) -> None:
    if name in plain and word is not None and word.lower() in _ROLES | _ACTIONS:
        problems.warning(
            constraint,
            "cib.no-roles",
            f'{label(constraint)} says "{word}" of "{name}", which is never promoted',
            "name a promotable clone, or leave the role out",
        )


def _without_roles(configuration: Element) -> frozenset[str]:
    resources = configuration.first("resources")
    found: set[str] = set()
    for top in () if resources is None else resources.children:
        if top.tag in {"primitive", "group", "clone", "bundle"} and not _has_roles(top):
            found.update(one.id for one in top.walk() if one.tag in {"primitive", "group", "clone", "bundle"})
    return frozenset(found)


def _has_roles(top: Element) -> bool:
    """Tell whether it has roles, or may get them from elsewhere: by reference, or by a rule."""
    if top.tag == "bundle":
        return any(child.get("promoted-max") or child.get("masters") for child in top.children)
    for block in top.all("meta_attributes") if top.tag == "clone" else ():
        if block.get("id-ref") is not None or any(pair.get("id-ref") is not None for pair in block.children):
            return True
        if any(
            is_true(p.get("value"), default=False)
            for p in block.all("nvpair")
            if p.get("name") == "promotable"
        ):
            return True
    return False
