"""Read the few cluster options and scalars that applying a command depends on.

Must not know what the scheduler makes of the rest. Source: Pacemaker Explained, "Cluster Options": the set
`cib-bootstrap-options` counts first, then the sets by score; the first value of a name counts.
"""

from typing import Final

from komainu.cib.element import Element
from komainu.model.score import parse as parse_score

FIRST_SET: Final = "cib-bootstrap-options"

TRUE_WORDS: Final = frozenset({"true", "on", "yes", "y", "1"})
FALSE_WORDS: Final = frozenset({"false", "off", "no", "n", "0"})

_DIGITS_MAX: Final = 18  # what fits into the 64 bits that every other reader of a CIB uses


def cluster_option(cib: Element, name: str) -> str | None:
    """Return a cluster option's text as configured; None when it is not. Sets with rules are left out."""
    section = cib.at("configuration", "crm_config")
    sets = [] if section is None else list(section.all("cluster_property_set"))
    sets.sort(key=lambda block: (block.id != FIRST_SET, -parse_score(block.get("score"))))
    for block in sets:
        if block.first("rule") is not None:
            continue
        for pair in block.all("nvpair"):
            if pair.get("name") == name and pair.get("value") is not None:
                return pair.get("value")
    return None


def is_true(text: str | None, *, default: bool) -> bool:
    """Read a boolean of the CIB; a text that is none gives the default."""
    word = "" if text is None else text.strip().lower()
    if word in TRUE_WORDS:
        return True
    return False if word in FALSE_WORDS else default


def read_int(text: str | None, default: int = 0) -> int:
    """Read a whole number; a text that is none, or is too long for one, gives the default."""
    word = "" if text is None else text.strip()
    digits = word[1:] if word[:1] in {"-", "+"} else word
    if not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        return default
    return int(word)
