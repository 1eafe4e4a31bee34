"""cib/document.py: what is read equals what was written, and what is no document is refused with its place."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cib.document import (
    DEPTH_MAX,
    DOCUMENT_BYTES_MAX,
    depth_of,
    is_storable,
    parse,
    parse_cib,
    show,
    storable,
)
from komainu.cib.element import Element
from komainu.model.report import Refused

_NAMES = st.sampled_from(["id", "a-b", "_c", "x.y"])
_VALUES = st.text().map(storable)
_ELEMENTS = st.recursive(
    st.builds(Element, st.sampled_from(["cib", "op", "node"]), st.dictionaries(_NAMES, _VALUES)),
    lambda children: st.builds(
        Element,
        st.sampled_from(["cib", "group"]),
        st.dictionaries(_NAMES, _VALUES),
        st.lists(children, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(_ELEMENTS)
def test_what_was_written_is_read(element: Element) -> None:
    assert parse(show(element)) == element


def test_one_element_a_line_two_blanks_a_level() -> None:
    text = '<cib epoch="1"><configuration><nodes/></configuration></cib>'
    assert show(parse(text)) == (
        '<cib epoch="1">\n  <configuration>\n    <nodes/>\n  </configuration>\n</cib>\n'
    )


def test_line_numbers_are_kept() -> None:
    root = parse("<cib>\n<!-- a comment -->\n  <configuration/>\n</cib>")
    assert [element.line for element in root.walk()] == [1, 3]


@pytest.mark.parametrize(
    ("text", "code", "line", "hint"),
    [
        ("", "cib.malformed", 1, "begins with <cib"),
        ("<cib>\n<a>\n</cib>", "cib.malformed", 3, "close each element"),
        ("<cib>\n<a>", "cib.malformed", 2, "close every element"),
        ("<cib epoch=1/>", "cib.malformed", 1, "in quotes"),
        ('<cib\na="1"\na="2"/>', "cib.malformed", 3, "keep one"),
        ('<cib a="you & me"/>', "cib.malformed", 1, "&amp;"),
        ('<cib a="&lol;"/>', "cib.malformed", 1, "&amp;"),
        ("<cib/><cib/>", "cib.malformed", 1, "one root"),
        ('<!DOCTYPE cib [<!ENTITY l "x">]><cib/>', "cib.doctype", None, "remove"),
        ("<cib>\n<a>text</a></cib>", "cib.text", 2, "attributes"),
        ('<cib xmlns="urn:x"/>', "cib.namespace", 1, "remove"),
        (f'<cib a="{"x" * 70_000}"/>', "cib.too-long", 1, "file"),
        ("<nodes/>", "cib.wrong-root", 1, "<configuration>"),
        ("<cib" + "\x00" + "/>", "cib.malformed", 1, ""),
        ("<a>" * (DEPTH_MAX + 1) + "</a>" * (DEPTH_MAX + 1), "cib.too-deep", None, "flatten"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(
    text: str, code: str, line: int | None, hint: str
) -> None:
    with pytest.raises(Refused) as refused:
        parse_cib(text, "web.xml")
    report = refused.value.reports[0]
    assert report.place is not None
    assert (report.code, report.place.file, report.place.line) == (code, "web.xml", line)
    assert hint in report.hint


def test_a_document_has_a_greatest_size() -> None:
    with pytest.raises(Refused, match="bytes"):
        parse("<cib/>" + " " * DOCUMENT_BYTES_MAX)


def test_a_claimed_encoding_does_not_count_since_the_text_is_decoded() -> None:
    assert parse('<?xml version="1.0" encoding="iso-8859-1"?><cib a="狛犬"/>').get("a") == "狛犬"


@given(st.text())
def test_nothing_but_refused_is_raised(text: str) -> None:
    with contextlib.suppress(Refused):
        parse(text)


@given(st.text())
def test_storable_text_is_storable(text: str) -> None:
    assert is_storable(storable(text))
    assert storable(text) == text or not is_storable(text)


def test_depth_counts_levels() -> None:
    assert depth_of(parse("<a/>")) == 1
    assert depth_of(parse("<a><b/><c><d/></c></a>")) == 3
