"""Add and read scores as the CIB means them, where INFINITY is a number with rules of its own.

Source: Pacemaker Explained, "Scores"; the rules of addition stand in SCHEDULER facts, section 2.
"""

from typing import Final, NewType

Score = NewType("Score", int)

INFINITY: Final = Score(1_000_000)
MINUS_INFINITY: Final = Score(-1_000_000)
ZERO: Final = Score(0)

_DIGITS: Final = "0123456789"
_WORDS: Final = {
    "INFINITY": INFINITY,
    "+INFINITY": INFINITY,
    "-INFINITY": MINUS_INFINITY,
}


def add(left: Score, right: Score) -> Score:
    """Add two scores; minus INFINITY beats INFINITY, and INFINITY beats any number."""
    if left <= MINUS_INFINITY or right <= MINUS_INFINITY:
        return MINUS_INFINITY
    if left >= INFINITY or right >= INFINITY:
        return INFINITY
    return clamp(left + right)


def clamp(number: int) -> Score:
    """Bring a number into the range of scores."""
    return Score(max(int(MINUS_INFINITY), min(int(INFINITY), number)))


def parse(text: str | None, default: Score = ZERO) -> Score:
    """Read a score; a text that is none gives the default, trailing characters are ignored.

    A misspelt number is the validator's to refuse, with its place (cib/schema.py). By the time a score is
    read here the document was accepted, so this never raises.
    """
    if text is None:
        return default
    word = text.strip()
    if word in _WORDS:
        return _WORDS[word]
    sign = word[:1] in {"+", "-"}
    digits = ""
    for character in word[1:] if sign else word:
        if character not in _DIGITS:
            break
        digits += character
    if not digits:
        return default
    # A score ends at a million: more than nine digits say no more, and Python refuses to read thousands.
    number = int(digits.lstrip("0")[:9] or "0")
    return clamp(-number if word[:1] == "-" else number)


def show(score: int) -> str:
    """Write a score as the CIB writes it."""
    if score >= INFINITY:
        return "INFINITY"
    if score <= MINUS_INFINITY:
        return "-INFINITY"
    return str(int(score))
