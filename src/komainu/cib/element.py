"""Hold XML as an immutable value: a tag, attributes and children, shared between versions of the tree.

Decides nothing. The CIB is such a value; a change makes new elements along the path from the root and keeps
the rest, so that a command costs the depth of the tree and old states stay valid (DESIGN.md, section 2).
Reading and writing XML text is the business of cib/document.py.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Element:
    """One element. `attributes` keeps document order and is never changed in place.

    `line` is where it stood in the file that it came from, for messages; it does not take part in equality.
    """

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    children: tuple["Element", ...] = ()
    line: int | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """The element's id, or the empty text where it has none."""
        return self.attributes.get("id", "")

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return one attribute's text."""
        return self.attributes.get(name, default)

    def all(self, tag: str) -> Iterator["Element"]:
        """Give the children with this tag, in document order."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> "Element | None":
        """Return the first child with this tag."""
        for child in self.children:  # no generator: this is asked for all day
            if child.tag == tag:
                return child
        return None

    def at(self, *tags: str) -> "Element | None":
        """Follow the first child of each tag in turn: `cib.at("configuration", "resources")`."""
        here: Element | None = self
        for tag in tags:
            here = None if here is None else here.first(tag)
        return here

    def walk(self) -> Iterator["Element"]:
        """Give this element and all below it, in document order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting += element.children[::-1]

    def find(self, element_id: str) -> "Element | None":
        """Return the element with this id at or below this one."""
        return next((element for element in self.walk() if element.id == element_id), None)

    def with_attributes(self, **changes: str | None) -> "Element":
        """Return a copy with attributes set, or removed where the value is None.

        For names with a hyphen there is `with_attribute`.
        """
        merged = {**self.attributes, **{name: text for name, text in changes.items() if text is not None}}
        for name, text in changes.items():
            if text is None:
                merged.pop(name, None)
        return Element(self.tag, merged, self.children, self.line)

    def with_attribute(self, name: str, text: str | None) -> "Element":
        """Return a copy with one attribute set, or removed where the text is None."""
        merged = dict(self.attributes)
        if text is None:
            merged.pop(name, None)
        else:
            merged[name] = text
        return Element(self.tag, merged, self.children, self.line)

    def with_children(self, children: tuple["Element", ...]) -> "Element":
        """Return a copy with other children."""
        return Element(self.tag, self.attributes, children, self.line)

    def with_child(self, child: "Element") -> "Element":
        """Return a copy in which the child of the same tag and id is replaced, or the child is appended."""
        for index, other in enumerate(self.children):
            if other.tag == child.tag and other.id == child.id:
                return self.with_children((*self.children[:index], child, *self.children[index + 1 :]))
        return self.with_children((*self.children, child))

    def without(self, unwanted: Callable[["Element"], bool]) -> "Element":
        """Return a copy without the children for which the claim holds."""
        return self.with_children(tuple(child for child in self.children if not unwanted(child)))
