"""Read durations as the CIB writes them: `10`, `10s`, `500ms`, `2min`, `PT1M30S`.

Source: Pacemaker Explained, "Time and interval specifications": a bare number is seconds. As in the field the
T of an ISO duration may be missing where nothing is ambiguous: `P10S` is ten seconds, `P5M` five months.
"""

import re
from functools import lru_cache
from typing import Final

_UNIT_MS: Final = {
    "us": 0.001,
    "usec": 0.001,
    "ms": 1,
    "msec": 1,
    "": 1000,
    "s": 1000,
    "sec": 1000,
    "m": 60_000,
    "min": 60_000,
    "h": 3_600_000,
    "hr": 3_600_000,
}
# More digits than 15 are no duration that anybody means, and Python refuses to read some thousands of them.
_SIMPLE: Final = re.compile(r"\s*([0-9]{1,15})(?:\.[0-9]*)?\s*([a-z]*)\s*$", re.IGNORECASE)
_ISO: Final = re.compile(
    r"P(?:(?P<years>[0-9]{1,15})Y)?(?:(?P<months>[0-9]{1,15})M)?(?:(?P<weeks>[0-9]{1,15})W)?(?:(?P<days>[0-9]{1,15})D)?"
    r"(?:T?(?:(?P<hours>[0-9]{1,15})H)?(?:(?P<minutes>[0-9]{1,15})M)?(?:(?P<seconds>[0-9]{1,15})S)?)?$"
)
_ISO_SECONDS: Final = {
    "years": 365 * 86_400,
    "months": 30 * 86_400,
    "weeks": 7 * 86_400,
    "days": 86_400,
    "hours": 3_600,
    "minutes": 60,
    "seconds": 1,
}


@lru_cache(maxsize=1024)  # a configuration has few that differ, and says each many times
def parse_ms(text: str | None) -> int | None:
    """Read a duration in milliseconds; None when the text is absent or is no duration.

    Decimals are cut off, as the field's tools do.
    """
    if text is None:
        return None
    simple = _SIMPLE.match(text)
    if simple:
        unit = _UNIT_MS.get(simple[2].lower())
        return None if unit is None else int(int(simple[1]) * unit)
    iso = _ISO.match(text.strip())
    if iso and len(text.strip()) > 1:
        return 1000 * sum(int(iso[name] or 0) * seconds for name, seconds in _ISO_SECONDS.items())
    return None


def show_ms(milliseconds: int) -> str:
    """Write a duration for people: `850 ms`, `1.5 s`, `2 min`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 120_000:
        return f"{milliseconds / 1000:g} s"
    return f"{milliseconds / 60_000:g} min"
