"""Read a document that is plain and sound, quickly: elements and attributes, and between them nothing but white space.

Decides only whether a document is of that kind; what is none is left to cib/document.py, which reads everything and says
what is wrong. Both read the same out of a plain one.
Source: XML 1.0. Here expat reads it, which gives Python's own values at once, without a tree of its own in between.
"""

import re
from typing import Final
from xml.parsers import expat

from komainu.cib.element import Element

_TEXT: Final = re.compile(r">\s*+[^<]")
"""Found wherever there is text between elements; now and then also in a value or a comment."""

_SECTION: Final = "<!["
"""Begins a section of text."""


def read(text: str, data: bytes, *, depth_max: int, characters_max: int) -> Element | None:
    """Read a plain document, given as it is and in UTF-8; None where it is none, or deeper or with longer values than these limits allow."""
    if _SECTION in text or _TEXT.search(text) or max(map(len, text.split("<"))) > characters_max:
        return None
    names: dict[str, str] = {}
    try:
        root = _build(expat.ParserCreate("utf-8", intern=names), data, depth_max)
    except (expat.ExpatError, _TooDeepError):
        return None
    has_prefix = any(":" in name or name == "xmlns" for name in names)
    return None if has_prefix else root


class _TooDeepError(Exception):
    """There are more levels than there may be."""


def _build(parser: expat.XMLParserType, data: bytes, depth_max: int) -> Element:
    """Make each element once its end is reached, for then its children are known; return the root."""
    begun: list[tuple[dict[str, str], int]] = []  # of each open element: its attributes and its line
    children: list[list[Element]] = [[]]  # so far, of the document and of each open element

    def begin(_: str, attributes: dict[str, str]) -> None:
        if len(begun) >= depth_max:
            raise _TooDeepError
        begun.append((attributes, parser.CurrentLineNumber))
        children.append([])

    def end(tag: str) -> None:
        attributes, line = begun.pop()
        below = tuple(children.pop())
        children[-1].append(Element(tag, attributes, below, line))

    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.Parse(data, True)
    return children[0][0]
