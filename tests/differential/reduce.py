"""Make a CIB on which the two disagree as small as it gets: take elements and attributes away while they still do.

python tests/differential/reduce.py found.xml > small.xml
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import explained
import reference

from komainu.cib import document
from komainu.cib.element import Element

_KEPT_TAGS = frozenset({"cib", "configuration", "status", "crm_config", "nodes", "resources", "constraints"})
_KEPT = frozenset(
    {"id", "name", "value", "class", "provider", "type", "uname", "rsc", "with-rsc", "first", "then"}
)
_OPEN_TAGS = frozenset({"rsc_order", "rsc_colocation", "rsc_location", "op", "rsc_ticket"})
Claim = Callable[[Element], bool]


def reduce(cib: Element, still: Claim) -> Element:
    """Take away what can be taken away while the claim holds, until nothing can."""
    while True:
        smaller = _less(cib, lambda whole: whole, still)
        if smaller == cib:
            return cib
        cib = smaller


def _less(element: Element, rebuild: Callable[[Element], Element], still: Claim) -> Element:
    """Take children away, last first, whole where it can be; then attributes that may be missing."""
    for index in reversed(range(len(element.children))):
        child = element.children[index]
        without = element.with_children((*element.children[:index], *element.children[index + 1 :]))
        if child.tag not in _KEPT_TAGS and still(rebuild(without)):
            element = without
            continue

        def around(less: Element, at: int = index, whole: Element = element) -> Element:
            return rebuild(whole.with_children((*whole.children[:at], less, *whole.children[at + 1 :])))

        less = _less(child, around, still)
        element = element.with_children((*element.children[:index], less, *element.children[index + 1 :]))
    for name in element.attributes if element.tag in _OPEN_TAGS else ():
        without = element.with_attribute(name, None)
        if name not in _KEPT and still(rebuild(without)):
            element = without
    return element


def signature(found: list[reference.Disagreement]) -> frozenset[str]:
    return frozenset(one.part for one in found)


def disagree(part: str, folder: Path, *, without_reason: bool) -> Claim:
    """Make the claim that both disagree in this part; without a reason, lest it become another disagreement."""

    def still(cib: Element) -> bool:
        parts = [cib.at("configuration", name) for name in ("nodes", "resources")]
        if not all(section is not None and section.children for section in parts):
            return False  # both write down nothing in their own ways
        try:
            question = reference.Question(cib, folder, parts=(part,))
            if part not in signature(question.disagreements()):
                return False
            return not without_reason or explained.reason(cib, question.disagreements) is None
        except (reference.ReferenceRefusesError, KeyError, ValueError):
            return False

    return still


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cib = document.parse(Path(sys.argv[1]).read_text(encoding="utf-8"))
        question = reference.Question(cib, folder)
        parts = signature(question.disagreements())
        part = next(one for one in reference.PARTS if one in parts)
        has_reason = explained.reason(cib, question.disagreements) is not None
        cib = reduce(cib, disagree(part, folder, without_reason=not has_reason))
        print(document.show(cib))
        print("<!--", *reference.compare(cib, folder), "-->", sep="\n")


if __name__ == "__main__":
    main()
