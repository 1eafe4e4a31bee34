"""Read dates and durations as rules write them, and take moments apart for date specifications.

Moments without an offset are read as UTC: a plan must not depend on the time zone of the node that makes it.
Source: ISO 8601 (calendar, ordinal and week dates); Pacemaker Explained, "Rules", date expressions.
"""

import calendar
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

_DATE: Final = re.compile(
    r"(?P<year>\d{4})(?:-?W(?P<week>\d{2})-?(?P<weekday>\d)?|-?(?P<yearday>\d{3})(?!\d)|-?(?P<month>\d{2})-?(?P<day>\d{2})?)?"
)
_TIME: Final = re.compile(r"(?P<hour>\d{1,2}):?(?P<minute>\d{2})?:?(?P<second>\d{2})?(?:[.,]\d+)?")
_OFFSET: Final = re.compile(r"(?:(?P<utc>Z)|(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?)$")
_UNITS: Final = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
_DIGITS_MAX: Final = 18
_GREATEST: Final = 10**_DIGITS_MAX
_FIRST_S: Final = int(datetime(1, 1, 2, tzinfo=UTC).timestamp())
_LAST_S: Final = int(datetime(9999, 12, 30, tzinfo=UTC).timestamp())
"""The calendar's ends, a day inside them, so that any time zone can still be reckoned with."""


def parse_moment(text: str | None, now_s: int = 0) -> int | None:
    """Read a moment as seconds since the epoch; None when the text is none. A bare time is today's."""
    if text is None:
        return None
    word = text.strip()
    if word == "epoch":
        return 0
    date_part, _, time_part = word.replace("T", " ", 1).partition(" ")
    if not time_part and ":" in date_part:
        date_part, time_part = "", date_part
    day = _parse_day(date_part) if date_part else _midnight(now_s)
    seconds = _parse_clock(time_part.strip()) if time_part else 0
    return None if day is None or seconds is None else min(max(day + seconds, _FIRST_S), _LAST_S)


def _midnight(now_s: int) -> int:
    return now_s - now_s % 86_400


def _parse_day(text: str) -> int | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year = int(found["year"])
    try:
        if found["week"]:
            day = datetime.fromisocalendar(year, int(found["week"]), int(found["weekday"] or 1))
        elif found["yearday"]:
            day = datetime(year, 1, 1) + timedelta(days=int(found["yearday"]) - 1)  # noqa: DTZ001 - see below
        else:
            day = datetime(year, int(found["month"] or 1), int(found["day"] or 1))  # noqa: DTZ001 - made UTC next
    except ValueError:
        return None
    return int(day.replace(tzinfo=UTC).timestamp())


def _parse_clock(text: str) -> int | None:
    offset_s = 0
    offset = _OFFSET.search(text)
    if offset:
        text = text[: offset.start()].strip()
        if not offset["utc"]:
            offset_s = int(offset["hours"]) * 3600 + int(offset["minutes"] or 0) * 60
            offset_s = -offset_s if offset["sign"] == "-" else offset_s
    clock = _TIME.fullmatch(text)
    if clock is None:
        return None
    seconds = int(clock["hour"]) * 3600 + int(clock["minute"] or 0) * 60 + int(clock["second"] or 0)
    return seconds - offset_s


def add_duration(start_s: int, parts: Mapping[str, str]) -> int:
    """Add a `<duration>`: calendar years and months first, then the fixed units. It ends with the calendar."""
    number = {unit: _integer(parts.get(unit)) for unit in _UNITS}
    days = 365 * number["years"] + 30 * number["months"] + 7 * number["weeks"] + number["days"]
    seconds = 3600 * number["hours"] + 60 * number["minutes"] + number["seconds"]
    try:
        return _add(datetime.fromtimestamp(start_s, UTC), number)
    except (ValueError, OverflowError):  # beyond what a calendar holds; only the direction still matters
        return _LAST_S if 86_400 * days + seconds > 0 else _FIRST_S


def _add(moment: datetime, number: Mapping[str, int]) -> int:
    months = moment.month - 1 + number["months"] + 12 * number["years"]
    year, month = moment.year + months // 12, months % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    moment = moment.replace(year=year, month=month, day=day)
    moment += timedelta(
        weeks=number["weeks"],
        days=number["days"],
        hours=number["hours"],
        minutes=number["minutes"],
        seconds=number["seconds"],
    )
    return int(moment.timestamp())


def _integer(text: str | None) -> int:
    """Read a whole number; nothing where it is none, and the greatest where it has more digits than any date needs."""
    word = (text or "0").strip()
    if len(word) > _DIGITS_MAX and word.lstrip("+-").isdecimal():
        return -_GREATEST if word.startswith("-") else _GREATEST
    try:
        return int(word)
    except ValueError:
        return 0


def fields_of(moment_s: int) -> dict[str, int]:
    """Take a moment apart into the fields that a `<date_spec>` can name."""
    moment = datetime.fromtimestamp(moment_s, UTC)
    iso = moment.isocalendar()
    return {
        "years": moment.year,
        "months": moment.month,
        "monthdays": moment.day,
        "hours": moment.hour,
        "minutes": moment.minute,
        "seconds": moment.second,
        "yeardays": moment.timetuple().tm_yday,
        "weekyears": iso.year,
        "weeks": iso.week,
        "weekdays": iso.weekday,
    }


def show_moment(moment_s: int) -> str:
    """Write a moment as the field's tools do: `2005-01-20 12:30:00Z`; beyond the calendar, its seconds."""
    if not _FIRST_S <= moment_s <= _LAST_S:
        return str(moment_s)
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
