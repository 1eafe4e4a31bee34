"""Turn XML text into an Element and back: the one place that knows how a CIB is written down.

Decides which texts are no document at all: malformed, too large, with entities or namespaces. It must not know
what the elements mean; that is cib/schema.py.
A plain and sound document is read by cib/plain.py, in half the time; any other is read here, to say what is wrong with it.
Source: XML 1.0 (characters, attribute values); the layout is that of `cibadmin -Q`: one element a line.
Deviates: comments and processing instructions are dropped, since the state is a value without them.
"""

import re
from typing import Final, NoReturn, cast

from lxml import etree

from komainu.cib import plain
from komainu.cib.element import Element
from komainu.model.report import Place, Refused, Report

DOCUMENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Largest document that is read from a user; a configuration of thousands of resources takes a few megabytes."""

DEPTH_MAX: Final = 100
"""Deepest nesting of elements. The deepest that a CIB needs is a rule in a rule; libxml2 ends at 256."""

TEXT_CHARACTERS_MAX: Final = 65_536
"""Longest value of an attribute; the XML library itself ends at ten million."""

INDENT: Final = "  "

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPED: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "\t": "&#9;",
    "\n": "&#10;",
    "\r": "&#13;",
}
_TO_WRITE_OTHERWISE: Final = re.compile("[^ !#-%'-;=?-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is escaped, and what XML cannot hold."""
_HINTS: Final = {  # by the number of libxml2's error
    4: "the document begins with <cib …> or <configuration>",
    5: "a document has one root element, and nothing after it",
    23: "write &amp; for & inside a value",
    26: "write &amp; for & inside a value",
    38: "write &lt; for < inside a value",
    39: 'write attribute values in quotes: name="value"',
    41: 'write attributes with their value: name="value"',
    42: "keep one of the two attributes",
    65: "put a blank between two attributes",
    68: "write &amp; for & inside a value",
    76: "close each element before the one around it ends",
    77: "close every element: <tag …/> or <tag …> … </tag>",
}


def parse(text: str, file: str = "<stdin>", *, bytes_max: int = DOCUMENT_BYTES_MAX) -> Element:
    """Read one XML document of any root. Raises Refused with every place that is wrong.

    `file` is the name that reports carry. Line numbers are kept in the elements.
    """
    data = text.encode("utf-8", "surrogatepass")
    if len(data) > bytes_max:
        _refuse(
            "cib.too-large",
            f"the document has {len(data)} bytes, more than {bytes_max}",
            "remove history or unused objects from it",
            Place(file),
        )
    if "<!DOCTYPE" in text:
        _refuse("cib.doctype", "a document type is not allowed", "remove the <!DOCTYPE …> line", Place(file))
    element = plain.read(text, data, depth_max=DEPTH_MAX, characters_max=TEXT_CHARACTERS_MAX)
    return read_closely(data, file) if element is None else element


def read_closely(data: bytes, file: str) -> Element:
    """Read any document, with every place that is wrong."""
    # The text is decoded already: an encoding that its first line claims no longer holds.
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Refused((_syntax_report(error, file),)) from error
    reports: list[Report] = []
    element = _element(root, file, reports)
    if depth_of(element) > DEPTH_MAX:
        _refuse("cib.too-deep", f"elements are nested deeper than {DEPTH_MAX}", "flatten them", Place(file))
    if reports:
        raise Refused(tuple(reports))
    return element


def parse_cib(text: str, file: str = "<stdin>", *, bytes_max: int = DOCUMENT_BYTES_MAX) -> Element:
    """Read a document whose root is <cib> or <configuration>. Raises Refused, as `parse` does."""
    root = parse(text, file, bytes_max=bytes_max)
    if root.tag not in {"cib", "configuration"}:
        _refuse(
            "cib.wrong-root",
            f"the document is a <{root.tag}>",
            "it has to be a <cib> or a <configuration>, as `komainu config show` prints it",
            Place(file, root.line),
        )
    return root


def show(element: Element) -> str:
    """Write an element as text: one element a line, two blanks deeper for each level, a newline at the end.

    Promise: `parse(show(element))` equals the element when `is_storable` holds for its texts.
    """
    lines: list[str] = []
    _write(element, "", lines)
    lines.append("")
    return "\n".join(lines)


def depth_of(element: Element) -> int:
    """Count the levels of an element: 1 for one without children. Does not recurse."""
    levels, depth = [element], 0
    while levels:
        depth += 1
        levels = [child for parent in levels for child in parent.children]
    return depth


def is_storable(text: str) -> bool:
    """Whether a text survives being written as an attribute's value: XML has no control characters."""
    return _FORBIDDEN.search(text) is None


def storable(text: str) -> str:
    """Replace what XML cannot hold and cut what is too long, so that a state equals itself after it was stored."""
    if len(text) <= TEXT_CHARACTERS_MAX and text.isprintable():
        return text  # nearly always; what is printed can be written
    return _FORBIDDEN.sub("\ufffd", text[:TEXT_CHARACTERS_MAX])


def escape(text: str) -> str:
    """Write a text as the inside of an attribute's value."""
    return _TO_WRITE_OTHERWISE.sub(lambda found: _ESCAPED.get(found[0], "\ufffd"), text)


def _write(element: Element, indent: str, lines: list[str]) -> None:
    attributes = "".join([f' {name}="{escape(text)}"' for name, text in element.attributes.items()])
    if not element.children:
        lines.append(f"{indent}<{element.tag}{attributes}/>")
        return
    lines.append(f"{indent}<{element.tag}{attributes}>")
    for child in element.children:
        _write(child, indent + INDENT, lines)
    lines.append(f"{indent}</{element.tag}>")


def _element(node: etree._Element, file: str, reports: list[Report]) -> Element:
    """Copy one lxml element; libxml2 itself refuses documents deeper than 256."""
    line = cast("int | None", node.sourceline)
    tag = str(node.tag)
    attributes = {str(name): str(text) for name, text in node.attrib.items()}
    nodes = list(node)
    place = Place(file, line)
    if tag.startswith("{") or "{" in "".join(attributes):
        reports.append(
            Report("cib.namespace", f"<{node.tag}> uses an XML namespace", "a CIB has none: remove it", place)
        )
    if _has_text(node.text) or any(_has_text(child.tail) for child in nodes):
        reports.append(
            Report(
                "cib.text",
                f"there is text inside <{tag}>",
                "a CIB keeps everything in attributes: remove the text",
                place,
            )
        )
    for name, value in attributes.items():
        if len(value) > TEXT_CHARACTERS_MAX:
            message = f'the value of "{name}" has more than {TEXT_CHARACTERS_MAX} characters'
            reports.append(Report("cib.too-long", message, "keep long texts in a file of their own", place))
    return Element(tag, attributes, tuple([_element(child, file, reports) for child in nodes]), line)


def _has_text(text: str | None) -> bool:
    return text is not None and not text.isspace() and text != ""


def _syntax_report(error: etree.XMLSyntaxError, file: str) -> Report:
    message = (error.msg or "the text is no XML").split(", line ")[0]
    line = error.lineno or None
    return Report(
        "cib.malformed",
        f"malformed XML: {message}",
        _HINTS.get(getattr(error, "code", 0), ""),
        Place(file, line),
    )


def _refuse(code: str, message: str, hint: str, place: Place) -> NoReturn:
    raise Refused((Report(code, message, hint, place),))
