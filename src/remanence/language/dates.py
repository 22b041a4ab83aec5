"""Reads dates in English, by rules: the days a text names, and the days a question asks about.

Times are POSIX seconds. A naive `datetime` is read as UTC; days begin at midnight in the zone of the moment given,
or in UTC without one. Clock times are not read: a date with a time is its day. "07/05/2023" gives both readings,
7 May and 5 July. No text raises: what cannot be read is not a date.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from remanence.language import calendar_words as cal
from remanence.language.date_atoms import Frame
from remanence.language.date_phrases import Phrase, phrases


class Window(NamedTuple):
    """A half-open interval of time, [lo, hi), in POSIX seconds."""

    lo: float
    hi: float


_MOST_MENTIONED = 16
_MOST_ASKED = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY = 86400.0
EARLIEST = (date(1000, 1, 1).toordinal() - _EPOCH_DAY) * _DAY
"""Where "before 2023" begins when nothing else bounds it."""
LATEST = (date(3000, 1, 1).toordinal() - _EPOCH_DAY) * _DAY
"""Where "since 2023" ends when nothing else bounds it."""

# Whatever holds a date holds one of these. Lower case only: ignoring case would cost three times as much.
_GATE = re.compile(
    r"\b(?:[12]\d{3}|\d\d?/\d\d?/|q[1-4]\b|days?\b|weeks?\b|weekends?\b|months?\b|quarter\b|years?\b|yesterday|today|tonight"
    r"|tomorrow|night\b|evening\b|morning\b|afternoon\b|(?:mon|tue|wed|thu|fri|sat|sun)(?:day|sday|nesday|rsday|urday)?s?\b"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b"
    rf"|(?:{cal.FULL_MONTH}|{cal.SEASON}|{cal.HOLIDAY})\b)",
    re.ASCII,
)
_TIME_WORDS = re.compile(
    rf"\b(?:yesterday|today|tonight|tomorrow|ago|recently|lately|soon|nowadays|mornings?|afternoons?|evenings?|last\s+(?:night|time)|weekends?"
    rf"|(?:last|past|next|this|coming|few|other)\s+(?:day|week|month|year|quarter|season|{cal.SHORT_WEEKDAY})s?"
    rf"|{cal.WEEKDAY}|{cal.SEASON}|{cal.HOLIDAY}|{cal.FULL_MONTH.replace('march|', '').replace('may|', '')}"
    rf"|(?:jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec|march)\.?\s+\d{{1,4}}(?:st|nd|rd|th)?|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:may|march)"
    r"|(?:in|during|since|until|by|before|after|last|this|next|early|late|mid)[\s-]+(?:may|march)"
    r"|(?:\d+|one|two|three|four|five|six|ten|several)\s+(?:day|week|month|year)s?"
    r"|(?:19|20)\d\d(?:-\d\d-\d\d)?)\b",
    re.ASCII,
)
_LEAD = (
    r"\s*(?:(?:and|so|but|ok(?:ay)?|hey|hi|please|tell me|remind me|(?:do|can|could) you (?:know|remember|recall|tell me|say)"
    r"|i wonder|exactly|roughly|around|about|since|until|by|from|in|on|at)\b[\s,]*)*"
)
_ASKS_WHEN = re.compile(
    _LEAD
    + r"(?:when\b(?![^?]*,\s*(?:what|who|whom|whose|which|where|why|how|did|do|does|is|was|are|were|has|have|can)\b)"
    r"|(?:what|which)\s+(?:(?:exact|specific)\s+)?(?:dates?|days?|weeks?|weekends?|months?|years?|seasons?|decades?|time)\b"
    r"|how\s+(?:long\s+ago|recently|many\s+(?:days|weeks|months|years)\s+ago)\b)",
    re.ASCII,
)
_NEWEST = re.compile(
    r"\b(?:latest|newest|most[\s-]recent(?:ly)?|last\s+time|as\s+of\s+(?:today|now|right\s+now)|up[\s-]to[\s-]date)\b",
    re.ASCII,
)
_PRESENT = re.compile(
    r"\b(?:currently|(?<!ocean )(?<!air )(?<!electric )current(?!\s+(?:events|affairs))|now|nowadays|these\s+days|at\s+the\s+moment"
    r"|at\s+present|presently|any\s?more|any\s+longer|still(?!\s+(?:life|lifes|water|waters)\b))\b",
    re.ASCII,
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b", re.ASCII)


def mentioned(text: str, anchor: datetime | None) -> tuple[Window, ...]:
    """The days that a stored text names, in order and without repeats; the first 16 named.

    `anchor` is the moment the text was said. Without it, relative words ("yesterday", "two weeks ago") and dates
    without a year name nothing. With it, a date without a year is the nearest one.
    """
    text = _folded(text)
    if not _GATE.search(text.lower()):
        return ()
    zone, today = _place(anchor)
    found = phrases(text, Frame(now=today, base=today, years=(), is_question=False))
    return _distinct((_window(*days, zone) for phrase in found for days in phrase.days), _MOST_MENTIONED)


def asked(question: str, now: datetime | None, span: Window | None) -> tuple[Window, ...]:
    """The windows that a question asks about, in order and without repeats; the first 64 named.

    Relative words count from `now`, or from the one day that the question names itself ("last week, as mentioned on
    6 November 2023"). `span` holds the first and the last time in store: a date without a year gives a window for
    each of its years, or for the year of `now` without a span; only "since June" is since the last one before `now`.
    "Before 2023" opens to `span.lo` and "since 2023" to `now`, else to `span.hi`; where that is not known or would
    leave nothing, to `EARLIEST` and `LATEST`.
    """
    question = _folded(question)
    if not _GATE.search(question.lower()):
        return ()
    zone, today = _place(now)
    frame = Frame(now=today, base=today, years=_years(now, span, zone), is_question=True)
    found = phrases(question, frame._replace(base=_named_day(question) or today))
    return _distinct(
        (_opened(phrase, _window(*days, zone), now, span) for phrase in found for days in phrase.days), _MOST_ASKED
    )


def has_time_expression(text: str) -> bool:
    """Whether a text says when something happened: "yesterday", "last week", "in June", "2019", "recently"."""
    return _TIME_WORDS.search(_folded(text).lower()) is not None


def asks_when(question: str) -> bool:
    """Whether the answer is a date: "When did …", "In which month …", "How long ago …"."""
    return _ASKS_WHEN.match(_folded(question).lower()) is not None


def asks_latest(question: str) -> bool:
    """Whether the newest answer is wanted: "latest", "currently", "still". "Now" in a named year is not now."""
    lowered = _folded(question).lower()
    return bool(_NEWEST.search(lowered) or (_PRESENT.search(lowered) and not _YEAR.search(lowered)))


def _folded(text: str) -> str:
    """The same text, character for character, with plain spaces and apostrophes."""
    return text.replace("\u00a0", " ").replace("\u202f", " ").replace("’", "'")


def _place(moment: datetime | None) -> tuple[tzinfo, int | None]:
    """The zone in which days begin, and the day of a moment."""
    if moment is None:
        return UTC, None
    zone = UTC if moment.tzinfo is None or moment.utcoffset() is None else moment.tzinfo
    return zone, moment.toordinal()


def _named_day(question: str) -> int | None:
    """The day that a question names in full, where it names one and no other time in full."""
    named = {days for phrase in phrases(question, Frame(None, None, (), is_question=True)) for days in phrase.days}
    lengths = [days.stop - days.first for days in named]
    return named.pop().first if lengths == [1] else None


def _seconds(day: int, zone: tzinfo) -> float:
    if zone is UTC:
        return (day - _EPOCH_DAY) * _DAY
    return datetime.combine(date.fromordinal(day), time(), zone).timestamp()


def _window(first: int, stop: int, zone: tzinfo) -> Window | None:
    """None outside the calendar."""
    try:
        window = Window(_seconds(first, zone), _seconds(stop, zone))
    except (ValueError, OverflowError):
        return None
    return window if EARLIEST <= window.lo < window.hi <= LATEST else None


def _years(now: datetime | None, span: Window | None, zone: tzinfo) -> tuple[int, ...]:
    if span is None:
        return () if now is None else (now.year,)
    first, last = (
        (_EPOCH + timedelta(seconds=min(max(seconds, EARLIEST), LATEST))).astimezone(zone).year for seconds in span
    )
    return tuple(range(max(first, last - _MOST_ASKED + 1), last + 1))


_UNTIL_START = frozenset({"before", "prior to"})
_UNTIL_END = frozenset({"until", "till", "up until", "up to", "by"})
_FROM_START = frozenset({"since", "starting"})
_FROM_END = frozenset({"after", "following"})


def _opened(phrase: Phrase, window: Window | None, now: datetime | None, span: Window | None) -> Window | None:
    """The window, open on the side that "before" or "since" opens."""
    if window is None:
        return None
    if phrase.bound in _UNTIL_START | _UNTIL_END:
        hi = window.lo if phrase.bound in _UNTIL_START else window.hi
        return Window(span.lo if span and span.lo < hi else EARLIEST, hi)
    if phrase.bound in _FROM_START | _FROM_END:
        lo = window.lo if phrase.bound in _FROM_START else window.hi
        end = _instant(now) if now else span.hi if span else LATEST
        return Window(lo, end if lo < end else LATEST)
    return window


def _instant(moment: datetime) -> float:
    zone, _ = _place(moment)
    return moment.replace(tzinfo=zone).timestamp()


def _distinct(windows: Iterable[Window | None], most: int) -> tuple[Window, ...]:
    found: dict[Window, None] = {}
    for window in windows:
        if window is not None and window.lo < window.hi:
            found[window] = None
            if len(found) == most:
                break
    return tuple(sorted(found))
