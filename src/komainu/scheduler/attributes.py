"""Read sets of name-value pairs: which value of a name counts where several are given.

The higher score wins, among equals the set that comes later in the document; within one set the first pair.
A set whose rule does not hold is passed over. Knows nothing of what the names mean.
Source: Pacemaker Explained, "Attribute sets", with the order that the scheduler's regression suite demands.
"""

from collections.abc import Sequence
from typing import Final

from komainu.cib.element import Element
from komainu.model import score
from komainu.scheduler import rules
from komainu.scheduler.rules import RuleContext

LEFT_TO_DEFAULT: Final = "#default"
"""The value that takes back what was given before it, so that the default holds."""


def read_sets(parent: Element, set_tag: str, context: RuleContext, *, first_id: str = "") -> dict[str, str]:
    """Read all sets with this tag below one element. The set with `first_id` goes before all others."""
    sets = [child for child in parent.children if child.tag == set_tag]
    return merge(sets, context, first_id=first_id) if sets else {}


def merge(sets: Sequence[Element], context: RuleContext, *, first_id: str = "") -> dict[str, str]:
    """Merge sets of one owner."""
    values: dict[str, str] = {}
    for block in sets if len(sets) == 1 else _in_order(sets, first_id):
        if not rules.all_hold(block, context):
            continue
        for name, value in pairs(block):
            if value.lower() == LEFT_TO_DEFAULT:
                values.pop(name, None)
            else:
                values.setdefault(name, value)
    return values


def _in_order(sets: Sequence[Element], first_id: str) -> list[Element]:
    """Put sets in the order in which their values count."""

    def rank(pair: tuple[int, Element]) -> tuple[bool, int, int]:
        index, block = pair
        return bool(first_id) and block.id != first_id, -score.parse(block.get("score")), -index

    return [block for _, block in sorted(enumerate(sets), key=rank)]


def pairs(block: Element) -> list[tuple[str, str]]:
    """Return the pairs of one set in document order; a pair without value is none."""
    holder = block.first("attributes") or block
    found = []
    for pair in holder.children:
        if pair.tag == "nvpair":
            name, value = pair.attributes.get("name"), pair.attributes.get("value")
            if name and value is not None:
                found.append((name, value))
    return found
