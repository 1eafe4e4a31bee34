"""cib/problem.py: how an element is named, and what is suggested in place of a misspelt name."""

from komainu.cib.element import Element
from komainu.cib.problem import PROBLEMS_MAX, Problems, label, suggest
from komainu.model.report import Severity


def test_names_and_suggestions() -> None:
    assert label(Element("primitive", {"id": "web"})) == '<primitive id="web">'
    assert label(Element("nodes")) == "<nodes>"
    assert suggest("primitve", ["primitive", "group"]) == 'did you mean "primitive"?'
    assert suggest("xyz", ["primitive"], "look at the list") == "look at the list"


def test_problems_have_their_place() -> None:
    problems = Problems("web.xml")
    problems.warning(Element("nodes", line=7), "x.y", "it is so", "make it so")
    assert str(problems.reports[0]) == "web.xml:7: warning: it is so\n  hint: make it so"
    problems.error(Element("nodes"), "x.y", "it is so")
    assert [one.severity for one in problems.reports] == [Severity.ERROR, Severity.WARNING]


def test_problems_end_at_a_number_but_warnings_never_hide_an_error() -> None:
    problems = Problems("web.xml")
    for _ in range(PROBLEMS_MAX + 5):
        problems.warning(Element("nodes"), "x.y", "it is so")
    assert problems.suggest("primitve", ["primitive"], "read the list") == "read the list"
    problems.error(Element("nodes"), "x.y", "it is so")
    assert len(problems.reports) == PROBLEMS_MAX + 1
