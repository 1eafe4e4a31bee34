"""Validate a CIB: find everything that is wrong with it, each with its place and what would be right.

Decides which configurations are accepted: those without an error. Must not know what the scheduler makes of
one. The parts: elements and attributes here, by the tables of cib/vocabulary.py; what refers to what in
cib/references.py; what makes no sense together in cib/consistency.py; what leads in a circle in cib/circles.py;
what is said of roles that nothing has in cib/roles.py.
Source: see the tables. The status section is not looked at: only the cluster writes it.
"""

from komainu.cib.circles import check_circles
from komainu.cib.consistency import check_consistency
from komainu.cib.document import DEPTH_MAX, depth_of
from komainu.cib.element import Element
from komainu.cib.problem import Problems, label
from komainu.cib.references import check_references
from komainu.cib.roles import check_roles
from komainu.cib.value import Kind
from komainu.cib.vocabulary import SHAPES, Shape
from komainu.model.report import Report


def validate(cib: Element, file: str) -> tuple[Report, ...]:
    """Check a <cib> or <configuration>; return its problems, errors first, each group in document order.

    Never raises, whatever the element holds. Of each group at most PROBLEMS_MAX are returned.
    """
    problems = Problems(file)
    if cib.tag not in {"cib", "configuration"}:
        problems.error(cib, "cib.wrong-root", f"{label(cib)} is no configuration", "begin with <cib>")
    elif depth_of(cib) > DEPTH_MAX:
        problems.error(cib, "cib.too-deep", f"elements are nested deeper than {DEPTH_MAX}", "flatten them")
    else:
        _check_element(cib, problems)
        configuration = cib if cib.tag == "configuration" else cib.first("configuration")
        if configuration is not None:
            check_references(configuration, problems)
            check_consistency(configuration, problems)
            check_circles(configuration, problems)
            check_roles(configuration, problems)
    return (*sorted(problems.errors, key=_line), *sorted(problems.warnings, key=_line))


def _line(report: Report) -> int:
    return 0 if report.place is None or report.place.line is None else report.place.line


def _check_element(element: Element, problems: Problems) -> None:
    """Check one element by its shape, and those below it."""
    shape = SHAPES[element.tag]
    _check_attributes(element, shape, problems)
    _check_children(element, shape, problems)
    _check_alternatives(element, shape, problems)
    for child in element.children:
        if child.tag in shape.all_children and child.tag != "status":
            _check_element(child, problems)


def _check_attributes(element: Element, shape: Shape, problems: Problems) -> None:
    for name in shape.required:
        if name not in element.attributes:
            problems.error(
                element,
                "cib.missing-attribute",
                f'{label(element)} has no attribute "{name}"',
                f'add {name}="…": {shape.required[name].name}',
            )
    known = shape.attributes
    for name, text in element.attributes.items():
        kind = known.get(name)
        if kind is not None:
            _check_value(element, name, text, kind, problems)
        elif element.tag == "cib":
            # Every release wrote something of its own here, and nothing of it is a wish of the user.
            problems.warning(
                element, "cib.unknown-attribute", f'the attribute "{name}" of <cib> is not known', "remove it"
            )
        else:
            problems.error(
                element,
                "cib.unknown-attribute",
                f'{label(element)} cannot have an attribute "{name}"',
                problems.suggest(name, known, f"it can have {', '.join(known) or 'none'}"),
            )


def _check_value(element: Element, name: str, text: str, kind: Kind, problems: Problems) -> None:
    if not kind.accepts(text):
        problems.error(
            element,
            "cib.bad-value",
            f'{name}="{text}" of {label(element)} is not {kind.name}',
            kind.hint(text),
        )


def _check_children(element: Element, shape: Shape, problems: Problems) -> None:
    counted: dict[str, int] = {}
    for child in element.children:
        counted[child.tag] = counted.get(child.tag, 0) + 1
        if child.tag not in shape.all_children:
            problems.error(
                child,
                "cib.unknown-element",
                f"<{child.tag}> cannot stand in {label(element)}",
                _where_instead(child.tag, shape, problems),
            )
        elif child.tag in shape.single and counted[child.tag] == 2:
            problems.error(
                child,
                "cib.second-element",
                f"{label(element)} has a second <{child.tag}>",
                "keep one of them, or merge them",
            )
    for tag in shape.needs:
        if tag not in counted:
            problems.error(
                element, "cib.empty", f"{label(element)} has no <{tag}>", f"add a <{tag}> or remove it"
            )


def _where_instead(tag: str, shape: Shape, problems: Problems) -> str:
    close = problems.suggest(tag, shape.all_children)
    if close:
        return close
    homes = [home for home, other in SHAPES.items() if tag in other.all_children]
    if homes:
        return f"it belongs into {', '.join(f'<{home}>' for home in homes[:4])}"
    if not shape.all_children:
        return "nothing can stand there"
    return f"there can be {', '.join(f'<{child}>' for child in shape.all_children)}"


def _check_alternatives(element: Element, shape: Shape, problems: Problems) -> None:
    """Of each group exactly one member is there; of attributes that stand for children, too."""
    if not shape.one_of:
        return
    tags = {child.tag for child in element.children}
    for group in shape.one_of:
        present = [
            member
            for member in group
            if (member[1:] in tags if member.startswith("<") else member in element.attributes)
        ]
        words = ", ".join(f"{member}>" if member.startswith("<") else member for member in group)
        if not present:
            problems.error(
                element, "cib.missing-attribute", f"{label(element)} has none of {words}", "give one of them"
            )
        elif len(present) > 1:
            problems.error(
                element,
                "cib.conflicting-attributes",
                f"{label(element)} has more than one of {words}",
                "keep one of them",
            )
