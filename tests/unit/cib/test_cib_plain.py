"""cib/plain.py: what it reads is what lxml reads; what is not plain is left to that."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from komainu.cib import document, plain
from komainu.cib.element import Element
from komainu.model.report import Refused

_LIMITS = {"depth_max": document.DEPTH_MAX, "characters_max": document.TEXT_CHARACTERS_MAX}


def _plain(text: str) -> Element | None:
    return plain.read(text, text.encode("utf-8", "surrogatepass"), **_LIMITS)


def _lines(element: Element) -> list[int | None]:
    return [part.line for part in element.walk()]


_PIECES = st.sampled_from(
    (
        *"<>/=&;:'\"! \n\tax-?[]",
        "<a>",
        "</a>",
        "<b/>",
        '<b c="d"/>',
        "<b c='>'/>",
        "<!-- c -->",
        "<?p q?>",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "&#10;",
        "&#0;",
        'xmlns="u"',
        "x:y",
        "\ufffe",
        "\ud800",
        "\x0b",
        "\u00a0",
        "\ufeff",
        '<?xml version="1.1"?>',
        '<?xml version="1.0" encoding="utf-16"?>',
    )
)


@settings(max_examples=300)
@given(st.lists(_PIECES, max_size=6), st.lists(_PIECES, max_size=6))
def test_what_is_read_is_what_is_read_closely(before: list[str], inside: list[str]) -> None:
    text = f"{''.join(before)}<a>{''.join(inside)}</a>"
    found = _plain(text)
    if found is None:
        return
    closely = document.read_closely(text.encode("utf-8", "surrogatepass"), "x")
    assert found == closely


@pytest.mark.parametrize(
    "text",
    [
        "<a>text</a>",
        "<a><b/>text</a>",
        "<a><![CDATA[text]]></a>",
        "<a>&#65;</a>",
        '<a xmlns="u"/>',
        '<a xml:id="u"/>',
        "<a",
        "<a/><a/>",
        "<a b='1' b='2'/>",
        "<a>" * (document.DEPTH_MAX + 1) + "</a>" * (document.DEPTH_MAX + 1),
        f"<a b='{'c' * (document.TEXT_CHARACTERS_MAX + 1)}'/>",
        "\ud800<a/>",
    ],
)
def test_what_is_not_plain_is_left(text: str) -> None:
    assert _plain(text) is None
    with contextlib.suppress(Refused):
        document.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0"?>\n<a b="c &amp; d&#10;e">\n <!-- g --> <h/>\n <h i=\'"\'/></a>\n',
        "<a>" * document.DEPTH_MAX + "</a>" * document.DEPTH_MAX,
        f"<a b='{'c' * (document.TEXT_CHARACTERS_MAX - 10)}'/>",
    ],
)
def test_what_is_plain_is_read_with_its_lines(text: str) -> None:
    found = _plain(text)
    closely = document.read_closely(text.encode(), "x")
    assert found == closely
    assert found is not None
    assert _lines(found) == _lines(closely)


def test_the_line_of_an_element_is_where_it_begins() -> None:
    found = _plain('<a>\n<b\n c="d"\n/></a>')
    assert found is not None
    assert _lines(found) == [1, 2]
