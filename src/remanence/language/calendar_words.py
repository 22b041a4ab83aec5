"""Words of the calendar, and the runs of days they stand for.

Days are proleptic Gregorian ordinals (`date.toordinal`): whole numbers know no time zone and no summer time.
Weeks run from Monday to Sunday. Seasons are those of the northern hemisphere, in whole months; holidays are
those of the United States. A day that does not exist (31 June) raises `ValueError`.
"""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple


class Days(NamedTuple):
    """A half-open run of days, [first, stop)."""

    first: int
    stop: int


Yearly = Callable[[int], tuple[Days, ...]]
"""What comes back every year (June, 7 May, summer, Christmas): from a year to its days."""

_MONTH_NAMES = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_WEEKDAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBER_NAMES = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SEASON_STARTS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_HOLIDAYS = {
    "christmas": (12, 25), "christmas day": (12, 25), "christmas eve": (12, 24), "xmas": (12, 25),
    "boxing day": (12, 26), "new year": (1, 1), "new year's day": (1, 1), "new year's eve": (12, 31),
    "halloween": (10, 31), "valentine's day": (2, 14), "independence day": (7, 4),
}  # fmt: skip

# Spaces in these fragments stand for any short run of white space; see `date_phrases`.
FULL_MONTH = "|".join(_MONTH_NAMES)
MONTH = rf"(?:{FULL_MONTH}|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)"
WEEKDAY = "|".join(_WEEKDAY_NAMES)
SHORT_WEEKDAY = "mon|tues?|wed|thu(?:rs?)?|fri|sat|sun"
SEASON = "|".join(_SEASON_STARTS)
HOLIDAY = (
    "christmas(?: eve| day)?|xmas|boxing day|new year(?:'?s)?(?: eve| day)?|hallowe'?en"
    "|valentine'?s(?: day)?|thanksgiving(?: day)?|independence day"
)
NUMBER = rf"\d{{1,3}}|(?:a )?couple(?: of)?|(?:a )?few|several|an?|{'|'.join(_NUMBER_NAMES)}"
ORDINAL = "first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th"

_NUMBERS = {name: (n, n) for n, name in enumerate(_NUMBER_NAMES, 1)} | {
    "a": (1, 1), "an": (1, 1), "couple": (2, 2), "few": (3, 3), "several": (3, 7),
}  # fmt: skip
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}
_WEEKDAYS = {name[:3]: n for n, name in enumerate(_WEEKDAY_NAMES)}


def month_number(word: str) -> int:
    """1..12 for a month's name or its abbreviation, in any case."""
    return next(n for n, name in enumerate(_MONTH_NAMES, 1) if name.startswith(word[:3].lower()))


def weekday_number(word: str) -> int:
    """0 (Monday) .. 6 for a weekday's name or its abbreviation, in any case."""
    return _WEEKDAYS[word[:3].lower()]


def number(word: str) -> tuple[int, int]:
    """The least and the greatest count that a word from `NUMBER` stands for: "several" is 3 to 7."""
    plain = word.lower().removesuffix(" of").split()[-1]
    return (int(plain), int(plain)) if plain.isdigit() else _NUMBERS[plain]


def is_vague(word: str) -> bool:
    """Whether a count is meant loosely ("a few", "several")."""
    return word.lower().endswith(("few", "several"))


def ordinal_number(word: str) -> int:
    """1..5, or -1 for "last"."""
    return int(word[0]) if word[0].isdigit() else _ORDINALS[word.lower()]


def one_day(year: int, month: int, day: int) -> Days:
    first = date(year, month, day).toordinal()
    return Days(first, first + 1)


def months(year: int, month: int, count: int = 1) -> Days:
    """`count` calendar months from the given one; months below 1 or over 12 belong to other years."""
    start, stop = year * 12 + month - 1, year * 12 + month - 1 + count
    return Days(date(start // 12, start % 12 + 1, 1).toordinal(), date(stop // 12, stop % 12 + 1, 1).toordinal())


def season(word: str, year: int) -> tuple[Days, ...]:
    """The three months of a season. A year touches two winters, so winter gives both."""
    start = _SEASON_STARTS[word.lower()]
    return tuple(months(y, start, 3) for y in ((year - 1, year) if start == 12 else (year,)))


def holiday(name: str, year: int) -> Days:
    """The day of a holiday from `HOLIDAY`, with or without its apostrophe."""
    if name.lower().startswith("thanksgiving"):
        return nth_in("thursday", 4, months(year, 11))
    return one_day(year, *_HOLIDAYS_PLAIN[_plain(name)])


def _plain(name: str) -> str:
    words = name.lower().replace("'", "").removesuffix(" day").split()
    return " ".join(word.rstrip("s") for word in words)


_HOLIDAYS_PLAIN = {_plain(name): day for name, day in _HOLIDAYS.items()}


def calendar_unit(unit: str, day: int, offset: int) -> Days:
    """The calendar week, weekend, month, quarter or year that is `offset` units from the one around `day`."""
    if unit in {"week", "weekend"}:
        monday = day - (day - 1) % 7 + 7 * offset  # ordinal 1 was a Monday
        return Days(monday, monday + 7) if unit == "week" else Days(monday + 5, monday + 7)
    here = date.fromordinal(day)
    length = {"month": 1, "quarter": 3, "year": 12}[unit]
    return months(here.year, (here.month - 1) // length * length + 1 + offset * length, length)


def displaced(unit: str, day: int, offset: int) -> Days:
    """What "`offset` units from `day`" means: a day, seven days around that date, or a calendar unit."""
    if unit == "day":
        return Days(day + offset, day + offset + 1)
    if unit == "week":
        return Days(day + 7 * offset - 3, day + 7 * offset + 4)
    return calendar_unit(unit, day, offset)


def weekday_before(weekday: int, day: int) -> Days:
    """The last such weekday strictly before `day`."""
    first = day - 1 - (day - 2 - weekday) % 7
    return Days(first, first + 1)


def weekday_from(weekday: int, day: int) -> Days:
    """The first such weekday on or after `day`."""
    first = day + (weekday - (day - 1)) % 7
    return Days(first, first + 1)


def nth_in(unit: str, n: int, days: Days) -> Days:
    """The n-th day, week, weekend or weekday in a run of days; n = -1 is the last. Weeks count from its first day."""
    step, length = (1, 1) if unit == "day" else (7, 7 if unit == "week" else 2 if unit == "weekend" else 1)
    if unit in {"day", "week"}:
        start = days.first if n > 0 else days.stop - length
    else:
        weekday = 5 if unit == "weekend" else weekday_number(unit)
        start = (weekday_from(weekday, days.first) if n > 0 else weekday_before(weekday, days.stop)).first
    first = start + step * (max(n, 1) - 1)
    if not days.first <= first < days.stop:
        raise ValueError(f"no {unit} {n} in these days")
    return Days(first, first + length)
