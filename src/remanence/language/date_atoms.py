"""Rules for the smallest phrases that name days: "7 May", "last week", "two days ago", "2023".

Each rule is a pattern and its reader; where two match, the earlier in the text wins, then the earlier in `_SOURCES`.
In patterns a space stands for one to three characters of white space: bounded, so that no text can make them slow.
What stands before an atom ("since", "early", "the week before") is `date_phrases`' business.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from remanence.language import calendar_words as cal
from remanence.language.calendar_words import Days, Yearly


class Frame(NamedTuple):
    """Where a reader stands. Days are ordinals; None where the moment is unknown."""

    now: int | None
    base: int | None  # what "last week" and "ago" count from; "today" and "this week" count from `now`
    years: tuple[int, ...]  # what a date without a year may mean; empty: the nearest to `now`
    is_question: bool


class Atom(NamedTuple):
    """Days that are settled (`days`), or that wait for a year (`yearly`)."""

    days: tuple[Days, ...] = ()
    yearly: Yearly | None = None
    cues: frozenset[str] | None = None  # prepositions that show a date is meant; None: no doubt


class Located(NamedTuple):
    """An atom and the characters [start, end) of its text."""

    start: int
    end: int
    atom: Atom


_MONTH_CUES = frozenset(
    {"in", "during", "of", "since", "until", "till", "by", "before", "after", "from", "between", "around", "through"}
)
_SEASON_CUES = frozenset({"in", "during", "over", "since", "until", "by", "for", "through"})  # not "after the fall"
_HOLIDAY_CUES = frozenset(
    {"in", "on", "at", "over", "for", "during", "since", "before", "after", "by", "until", "around"}
)
_FIRST_NAMES = {"april", "may", "june"}
WHICH = {"last": -1, "this past": -1, "past": -1, "this": 0, "next": 1, "coming": 1, "this coming": 1}


def plain(words: str) -> str:
    return " ".join(words.lower().split())


# ── Readers: a match and a frame give an atom, or None where the words mean something else ──


def moment_of(frame: Frame, which: int) -> int | None:
    return frame.base if which else frame.now


def _dated(match: re.Match[str], frame: Frame, yearly: Yearly, cues: frozenset[str] | None = None) -> Atom | None:
    """An atom of the year that the match names ("2023", "last year"), or of an open year."""
    if match["year"]:
        return Atom(yearly(int(match["year"])))
    if not match["which"]:
        return Atom(yearly=yearly, cues=cues)
    offset = WHICH[match["which"].lower()]
    moment = moment_of(frame, offset)
    return None if moment is None else Atom(yearly(date.fromordinal(moment).year + offset))


def _iso(match: re.Match[str], _frame: Frame) -> Atom:
    return Atom((cal.one_day(int(match["year"]), int(match["month"]), int(match["day"])),))


def _slashes(match: re.Match[str], _frame: Frame) -> Atom:
    """American order where it can be, and day-first order where it can be: often both."""
    year, a, b = int(match["year"]), int(match["a"]), int(match["b"])
    readings = [(m, d) for m, d in ((a, b), (b, a)) if m <= 12]
    return Atom(tuple(cal.one_day(year, m, d) for m, d in readings))


def _day_and_month(match: re.Match[str], frame: Frame) -> Atom | None:
    month, day = cal.month_number(match["month"]), int(match["day"])
    if match["month"] == "may" and match.start("day") == match.start() and not match["year"] and not match["th"]:
        return None  # "of those 5 may come"
    cal.one_day(2000, month, day)  # a day that no leap year has ends the reading here

    def yearly(year: int) -> tuple[Days, ...]:
        return (cal.one_day(year, month, day),)

    return _dated(match, frame, yearly)


def _days_of_month(match: re.Match[str], frame: Frame) -> Atom | None:
    """A run ("3 to 10 May"), or two days ("3 and 10 May" without "between" before it)."""
    month, low, high = cal.month_number(match["month"]), int(match["low"]), int(match["high"])
    is_list = match["joint"].strip().lower() in {"and", "or", "&"} and not match["between"]
    cal.one_day(2000, month, max(low, high))

    def yearly(year: int) -> tuple[Days, ...]:
        first, last = cal.one_day(year, month, low), cal.one_day(year, month, high)
        return (first, last) if is_list else (Days(first.first, last.stop),)

    return _dated(match, frame, yearly) if low < high else None


def _month(match: re.Match[str], frame: Frame) -> Atom | None:
    word, month = match["month"], cal.month_number(match["month"])
    name = word.lower()

    def yearly(year: int) -> tuple[Days, ...]:
        return (cal.months(year, month),)

    if not match["year"] and (word == "may" or (len(name.rstrip(".")) < 5 and name not in {"may", "june", "july"})):
        return None  # a verb, or an abbreviation that is as well a name
    doubtful = name in _FIRST_NAMES or word in {"march", "august"} or (name == "march" and _opens_sentence(match))
    return _dated(match, frame, yearly, _MONTH_CUES if doubtful else None)


def _opens_sentence(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 3) : match.start()].rstrip()
    return before == "" or before[-1] in ".!?:\"'"


def _quarter(match: re.Match[str], frame: Frame) -> Atom | None:
    n = int(match["number"] or cal.ordinal_number(match["ordinal"]))

    def yearly(year: int) -> tuple[Days, ...]:
        return (cal.months(year, 3 * n - 2, 3),)

    return _dated(match, frame, yearly, _MONTH_CUES if match["number"] else frozenset())  # games have quarters too


def _season(match: re.Match[str], frame: Frame) -> Atom | None:
    return _dated(match, frame, lambda year: cal.season(match["season"], year), _SEASON_CUES)


def _holiday(match: re.Match[str], frame: Frame) -> Atom | None:
    name = plain(match["holiday"])
    return _dated(match, frame, lambda year: (cal.holiday(name, year),), _HOLIDAY_CUES)


def _years(match: re.Match[str], _frame: Frame) -> Atom:
    year = int(match["year"])
    cues = None if match["year"][:2] in {"19", "20"} else frozenset({"in"})
    return Atom((cal.months(year, 1, 120 if match["decade"] else 12),), cues=cues)


_DAY_WORDS = {
    "day before yesterday": -2, "yesterday": -1, "last night": -1, "last evening": -1,
    "today": 0, "tonight": 0, "this morning": 0, "this afternoon": 0, "this evening": 0,
    "tomorrow": 1, "day after tomorrow": 2,
}  # fmt: skip


def _day_word(match: re.Match[str], frame: Frame) -> Atom | None:
    offset = _DAY_WORDS[plain(match["word"])]
    moment = moment_of(frame, offset)
    return None if moment is None else Atom((cal.displaced("day", moment, offset),))


def _other_day(_match: re.Match[str], frame: Frame) -> Atom | None:
    return None if frame.base is None else Atom((Days(frame.base - 7, frame.base),))


def _calendar_unit(match: re.Match[str], frame: Frame) -> Atom | None:
    which = -1 if match["the"] else WHICH[plain(match["which"])]
    moment = moment_of(frame, which)
    return None if moment is None else Atom((cal.calendar_unit(match["unit"].lower(), moment, which),))


def _weekday(match: re.Match[str], frame: Frame) -> Atom | None:
    which, weekday = plain(match["which"]), cal.weekday_number(match["weekday"])
    day = moment_of(frame, WHICH[which])
    if day is None or (which == "this" and len(match["weekday"]) < 6):  # "this sat well with me"
        return None
    if WHICH[which] < 0:
        return Atom((cal.weekday_before(weekday, day),))
    if which == "next":  # on a Wednesday, "next Friday" is not the day after tomorrow
        return Atom((cal.weekday_from(weekday, cal.calendar_unit("week", day, 1).first),))
    return Atom((cal.weekday_from(weekday, day if which == "this" else day + 1),))


def _on_weekday(match: re.Match[str], frame: Frame) -> Atom | None:
    """A question's "on Friday" may look back or ahead. In a stored text it is too loose to count."""
    if frame.base is None or not frame.is_question:
        return None
    weekday = cal.weekday_number(match["weekday"])
    return Atom((cal.weekday_before(weekday, frame.base), cal.weekday_from(weekday, frame.base)))


_UNIT_DAYS = {"day": 1, "week": 7, "month": 31, "year": 366}


def _rolling(match: re.Match[str], frame: Frame) -> Atom | None:
    """So many days up to and with today ("the past two weeks"), or from today on ("the next two weeks")."""
    if frame.base is None:
        return None
    length = cal.number(match["count"] or "one")[1] * _UNIT_DAYS[match["unit"].lower()]
    is_past = match["which"].lower() in {"last", "past"}
    return Atom((Days(frame.base - length, frame.base + 1) if is_past else Days(frame.base, frame.base + length + 1),))


def _counted(match: re.Match[str], frame: Frame, sign: int) -> Atom | None:
    if frame.base is None:
        return None
    near, far = cal.number(plain(match["count"]))
    unit = match["unit"].lower()
    ends = (cal.displaced(unit, frame.base, sign * near), cal.displaced(unit, frame.base, sign * far))
    return Atom((Days(min(ends).first, max(ends).stop),))


def _ago(match: re.Match[str], frame: Frame) -> Atom | None:
    return _counted(match, frame, -1)


_NO_PLAN = re.compile(r"n't\b|\b(?:not|never|first|best|once|twice|times)\b", re.IGNORECASE | re.ASCII)


def _ahead(match: re.Match[str], frame: Frame) -> Atom | None:
    if _NO_PLAN.search(match.string, max(0, match.start() - 40), match.start()):
        return None  # "we have not talked in three days"
    return _counted(match, frame, 1)


# ── Rules ──

_COUNTED_THINGS = (
    "people|persons?|m[ae]n|women|guests?|participants?|users?|customers?|followers?|subscribers?|dollars?|euros?|bucks?"
    "|usd|eur|kms?|kilomet(?:er|re)s?|miles?|m|met(?:er|re)s?|ft|feet|kg|lbs?|mg|ml|calories|kcal|steps?|words?|points?"
    "|pages?|copies|pieces?|times|votes?|hours?|hrs|minutes?|seconds?|items?|tokens?|lines?|rows?|files?|square|watts?"
)
_YEAR = rf"(?P<year>[12]\d{{3}})(?![\d%]|[.,:/]\d|[\s-](?:{_COUNTED_THINGS})\b)"
_OF_YEAR = rf"(?:(?:,(?: )?|-| )(?:of )?{_YEAR}|,?(?: of)? (?P<which>last|this|next) year)?"
_TH = r"(?P<th>st|nd|rd|th)?"
_JOINT = r"(?P<joint>(?: )?[-–—](?: )?| (?:to|and|or|through|until|till|&) )"
_BETWEEN = r"(?P<between>between )?(?:the )?"
_NOT_OF = rf"(?! (?:of|before|after) (?:\d|the \d|{cal.MONTH}\b))"
_UNIT = "(?P<unit>day|week|month|year)"

# A reader asks for its groups by name: a pattern with nothing to say there has the group empty.
_SOURCES: tuple[tuple[str, Callable[[re.Match[str], Frame], Atom | None]], ...] = (
    (r"(?P<year>[12]\d{3})[-/.](?P<month>[01]?\d)[-/.](?P<day>[0-3]?\d)(?:t\d\d[\w:.+-]{0,24})?", _iso),
    (r"(?P<a>[0-3]?\d)/(?P<b>[0-3]?\d)/(?P<year>[12]\d{3})", _slashes),
    (
        rf"{_BETWEEN}(?P<low>[0-3]?\d)(?:st|nd|rd|th)?{_JOINT}(?:the )?(?P<high>[0-3]?\d)(?:st|nd|rd|th)?(?: of)? (?P<month>{cal.MONTH}){_OF_YEAR}",
        _days_of_month,
    ),
    (
        rf"{_BETWEEN}(?P<month>{cal.MONTH}) (?P<low>[0-3]?\d)(?:st|nd|rd|th)?{_JOINT}(?P<high>[0-3]?\d)(?:st|nd|rd|th)?(?![/:\w]|(?: of)? {cal.MONTH}\b){_OF_YEAR}",
        _days_of_month,
    ),
    (rf"(?P<day>[0-3]?\d){_TH}(?: of | |-)(?P<month>{cal.MONTH}){_OF_YEAR}", _day_and_month),
    (
        rf"(?P<month>{cal.MONTH}) (?:the )?(?P<day>[0-3]?\d){_TH}(?![\d:%]|\.\d|,\d{{3}}(?!\d)| (?:{_COUNTED_THINGS}|of (?:us|you|them))\b){_OF_YEAR}",
        _day_and_month,
    ),
    (rf"(?P<month>{cal.MONTH}){_OF_YEAR}", _month),
    (rf"(?:q(?P<number>[1-4])|(?P<ordinal>first|second|third|fourth|1st|2nd|3rd|4th) quarter){_OF_YEAR}", _quarter),
    (rf"(?P<season>{cal.SEASON}){_OF_YEAR}", _season),
    (rf"(?P<holiday>{cal.HOLIDAY}){_OF_YEAR}", _holiday),
    (rf"(?:the )?(?P<word>{'|'.join(_DAY_WORDS)})", _day_word),
    (r"the other (?:day|night)", _other_day),
    (rf"(?:(?:the|this) )?(?P<which>last|past|next|coming) (?P<count>{cal.NUMBER}) {_UNIT}s?(?! of\b)", _rolling),
    (rf"(?:the|this) (?P<which>last|past)(?P<count>) (?P<unit>week|month|year){_NOT_OF}", _rolling),
    (rf"(?P<count>{cal.NUMBER}) (?P<unit>day|week|weekend|month|year)s? ago", _ago),
    (rf"(?P<count>{cal.NUMBER}) (?P<unit>month|year)s? back(?! (?:in|to|at|from|home)\b)", _ago),
    (rf"in (?!an? day)(?P<count>{cal.NUMBER}) {_UNIT}s?(?! of\b)", _ahead),
    (rf"(?P<count>{cal.NUMBER}) {_UNIT}s? from (?:now|today)", _ahead),
    (
        rf"(?P<which>this past|this coming|last|this|next|coming)(?P<the>) (?P<unit>week|weekend|month|quarter|year){_NOT_OF}",
        _calendar_unit,
    ),
    (rf"(?P<the>the) (?P<unit>weekend)(?P<which>){_NOT_OF}", _calendar_unit),
    (
        rf"(?P<which>this past|this coming|last|this|next|coming) (?P<weekday>{cal.WEEKDAY}|{cal.SHORT_WEEKDAY}){_NOT_OF}",
        _weekday,
    ),
    (rf"on (?P<weekday>{cal.WEEKDAY})(?!,?(?: the)? (?:\d|{cal.MONTH}\b)){_NOT_OF}", _on_weekday),
    (r"(?P<year>[12]\d{2}0)(?P<decade>'?s)", _years),
    (rf"(?:(?<!\d-)|(?<=\d{{4}}-)){_YEAR}(?P<decade>)", _years),
)


def _compiled(pattern: str) -> re.Pattern[str]:
    spaced = pattern.replace(" ", r"\s{1,3}")
    return re.compile(rf"(?<![\w$€£#])(?<!\d[.,:/])(?:{spaced})(?!\w)", re.IGNORECASE | re.ASCII)


_RULES = tuple((_compiled(pattern), read) for pattern, read in _SOURCES)
_ANY = _compiled("|".join(f"({re.sub(r'[(][?]P<[a-z]+>', '(?:', pattern)})" for pattern, _ in _SOURCES))


def atoms(text: str, frame: Frame) -> Iterator[Located]:
    """Every atom of a text, from left to right."""
    for hit in _ANY.finditer(text):
        pattern, read = _RULES[(hit.lastindex or 1) - 1]
        match = pattern.match(text, hit.start())
        try:
            atom = read(match, frame) if match else None
        except (ValueError, OverflowError):  # a day that does not exist, or one outside the calendar
            continue
        if atom is not None:
            yield Located(hit.start(), hit.end(), atom)
