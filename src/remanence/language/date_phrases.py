"""Phrases that name days: an atom, what stands before it, and runs from one atom to another.

"Since", "the week before" or "early" are read backwards from the atom by one pattern, `_BEFORE`. Then neighbours
that a "to", an "and" or a dash joins become one run, and lend each other their year.
"""

import re
from collections.abc import Iterable
from datetime import date
from itertools import islice
from typing import NamedTuple

from remanence.language import calendar_words as cal
from remanence.language.calendar_words import Days, Yearly
from remanence.language.date_atoms import WHICH, Atom, Frame, Located, atoms, moment_of, plain

_BEFORE_CHARS = 60  # the longest run of words that still belongs to an atom, and some room
_MOST_PHRASES = 64
_MOST_ATOMS = 512  # bounds the time that a text of nothing but doubtful atoms can take
_RUN = frozenset({"to", "until", "till", "through", "-", "–", "—"})
_LIST = frozenset({"and", "or", "&"})
_LATER = frozenset({"since", "after", "starting"})


class Phrase(NamedTuple):
    """Days that a text names, at characters [start, end), after the preposition `bound` ("" if none)."""

    start: int
    end: int
    days: tuple[Days, ...]
    yearly: Yearly | None  # as long as the year is open
    bound: str


_SIDE = "before|after|following|preceding|prior to|from"
_BEFORE = re.compile(
    (
        r"(?:(?<!\w)(?P<bound>since|up until|until|till|up to|before|prior to|by|after|following|starting|in|during|of|on|at"
        r"|over|for|through|from|between|around|to|and|or|&) |(?P<dash>(?: )?[-–—](?: )?)|(?<!\w))"
        rf"(?:(?:the )?(?:last )?(?:(?P<count>{cal.NUMBER}) )?(?P<unit>day|night|week|weekend|month|year|{cal.WEEKDAY})"
        rf"(?P<plural>s)? (?P<side>{_SIDE}) |(?:shortly|soon|right|just) (?P<near>before|after) "
        r"|(?:the )?(?P<around>day|morning|evening|night|week|weekend|month|year) of )?"
        r"(?:(?:the )?(?P<part>early|earlier|mid|middle|late|later|beginning|start|end|(?:first|second|1st|2nd|latter) half"
        rf"|(?:{cal.ORDINAL}) (?:day|week|weekend|{cal.WEEKDAY}))(?: (?:of|in))?(?: |-))?"
        rf"(?:the )?(?:(?P<direction>this past|this coming|last|past|this|next|coming) )?(?:(?:{cal.WEEKDAY}),?(?: the)? )?\Z"
    ).replace(" ", r"\s{1,3}"),
    re.IGNORECASE | re.ASCII,
)


# ── What stands before an atom changes its days ──

_FRACTIONS = {
    "early": (0, 1 / 3), "beginning": (0, 1 / 3), "start": (0, 1 / 3),
    "mid": (1 / 3, 2 / 3), "middle": (1 / 3, 2 / 3),
    "late": (2 / 3, 1), "end": (2 / 3, 1),
    "first half": (0, 1 / 2), "1st half": (0, 1 / 2),
    "second half": (1 / 2, 1), "2nd half": (1 / 2, 1), "latter half": (1 / 2, 1),
}  # fmt: skip
_VAGUE_DAYS = {"day": 7, "week": 28, "month": 183, "year": 5 * 366}  # how far "a few … after" reaches


def _narrowed(part: str, days: Days, now: int | None) -> Days:
    """The part of a run that "early", "the second week of" or "earlier" means."""
    length = days.stop - days.first
    if part in _FRACTIONS:
        low, high = _FRACTIONS[part]
        if length < 6:  # "late on 7 May" is still 7 May
            return days
        return Days(days.first + round(length * low), days.first + round(length * high))
    if part in {"earlier", "later"}:
        if now is None or not days.first <= now < days.stop:
            return days
        return Days(days.first, now + 1) if part == "earlier" else Days(now, days.stop)
    rank, unit = part.split()
    return cal.nth_in(unit, cal.ordinal_number(rank), days)


def _beside(side: str, length: int, days: Days) -> Days:
    return Days(days.first - length, days.first) if side == "before" else Days(days.stop, days.stop + length)


def _related(before: re.Match[str], days: Days) -> Days:
    """What "two weeks before", "the Sunday after" or "a few days before" some days means."""
    unit, count = before["unit"].lower().replace("night", "day"), plain(before["count"] or "")
    side = "before" if plain(before["side"]) in {"before", "prior to", "preceding"} else "after"
    start, sign = (days.first, -1) if side == "before" else (days.stop - 1, 1)
    if unit not in _VAGUE_DAYS and unit != "weekend":
        weekday = cal.weekday_number(unit)
        return cal.weekday_before(weekday, start) if side == "before" else cal.weekday_from(weekday, days.stop)
    if unit == "weekend":
        edge = cal.weekday_before(6, start + 1) if side == "before" else cal.weekday_from(5, days.stop)
        return Days(edge.stop - 2, edge.stop) if side == "before" else Days(edge.first, edge.first + 2)
    if cal.is_vague(count) or (before["plural"] and not count):
        return _beside(side, _VAGUE_DAYS[unit], days)
    if unit == "week" and not count:
        return _beside(side, 7, days)
    return cal.displaced(unit, start, sign * cal.number(count or "one")[0])


def _changed(before: re.Match[str], days: Days, now: int | None) -> Days:
    if before["part"]:
        days = _narrowed(plain(before["part"]), days, now)
    if before["unit"]:
        return _related(before, days)
    if before["near"]:
        return _beside(before["near"].lower(), _VAGUE_DAYS["day"], days)
    if before["around"] and before["around"].lower() in {"week", "weekend"}:
        return cal.calendar_unit(before["around"].lower(), days.first, 0)
    return days


# ── Which year ──


def _each(yearly: Yearly, years: Iterable[int]) -> tuple[Days, ...]:
    """Its days in these years, without the years that have none (29 February)."""
    found: list[Days] = []
    for year in years:
        try:
            found.extend(yearly(year))
        except (ValueError, OverflowError):
            continue
    return tuple(found)


def _around(yearly: Yearly, day: int) -> tuple[Days, ...]:
    year = date.fromordinal(day).year
    return _each(yearly, range(year - 4, year + 5))  # 29 February comes every fourth year


def _gap(days: Days, day: int) -> int:
    return max(days.first - day, day - days.stop + 1, 0)


def _directed(yearly: Yearly, which: int, day: int) -> tuple[Days, ...]:
    """The last, this or next June, seen from a day. "This" is the one of the same calendar year."""
    near = _around(yearly, day)
    if which < 0:
        return (max(days for days in near if days.stop <= day),)
    if which > 0:
        return (min(days for days in near if days.first > day),)
    return (min(yearly(date.fromordinal(day).year), key=lambda days: _gap(days, day)),)


def _settled(yearly: Yearly, bound: str, frame: Frame) -> tuple[Days, ...]:
    """Its days in every year of the frame; without years, those nearest to now."""
    if frame.years:
        found = _each(yearly, frame.years)
        begun = [days for days in found if frame.now is not None and days.first <= frame.now]
        return (max(begun),) if begun and bound in _LATER else found  # "since June" is since the last one
    if frame.now is None:
        return ()
    now = frame.now
    return tuple(sorted(_around(yearly, now), key=lambda days: _gap(days, now))[:1])


# ── Phrases ──


def _is_meant(atom: Atom, before: re.Match[str], bound: str, is_joined: bool) -> bool:
    """Whether a doubtful atom ("May", "Christmas", "1066") stands where only a date can stand."""
    if atom.cues is None or bound in atom.cues or (is_joined and bound in _RUN | _LIST):
        return True
    return any(before[name] for name in ("part", "unit", "near", "around", "direction"))


def _phrase(text: str, located: Located, frame: Frame, previous_end: int) -> Phrase | None:
    start, end, atom = located
    before = _BEFORE.search(text, max(previous_end, start - _BEFORE_CHARS), start)
    if before is None:
        return None
    bound = plain(before["bound"] or before["dash"] or "")
    is_joined = previous_end > 0 and not text[previous_end : before.start()].strip()
    if not _is_meant(atom, before, bound, is_joined):
        return None

    def changed(found: tuple[Days, ...]) -> tuple[Days, ...]:
        return tuple(_changed(before, days, frame.now) for days in found)

    if atom.yearly is None:
        return Phrase(before.start(), end, changed(atom.days), None, bound)
    base_yearly = atom.yearly
    which = WHICH[plain(before["direction"])] if before["direction"] else None
    moment = None if which is None else moment_of(frame, which)
    if which is not None and moment is not None:
        return Phrase(before.start(), end, changed(_directed(base_yearly, which, moment)), None, bound)

    def yearly(year: int) -> tuple[Days, ...]:
        return changed(base_yearly(year))

    return Phrase(before.start(), end, _settled(yearly, bound, frame), yearly, bound)


def _years(days: Iterable[Days]) -> list[int]:
    return sorted({date.fromordinal(each.first).year for each in days})


def _run(first: Phrase, last: Phrase) -> Phrase | None:
    """The run between two phrases. An open year is taken from the other end, or the year beside it."""
    runs: list[Days] = []
    if first.yearly is not None:
        for end in last.days:
            year = date.fromordinal(end.first).year
            starts = [days for days in _each(first.yearly, (year - 1, year)) if days.first <= end.first]
            runs.extend(Days(max(starts).first, end.stop) for _ in starts[:1])
    elif last.yearly is not None:
        for start in first.days:
            year = date.fromordinal(start.first).year
            ends = [days for days in _each(last.yearly, (year, year + 1)) if days.stop > start.first]
            runs.extend(Days(start.first, min(ends).stop) for _ in ends[:1])
    elif first.days and last.days:
        runs.append(Days(min(first.days).first, max(last.days).stop))
    if not runs or any(days.first >= days.stop for days in runs):
        return None
    return Phrase(first.start, last.end, tuple(runs), None, "")


def _append(found: list[Phrase], phrase: Phrase, is_next: bool) -> None:
    """Adds a phrase, joined to the one before where both are one run; in a list an open year is lent the next one's."""
    if is_next and (phrase.bound in _RUN or (phrase.bound == "and" and found[-1].bound == "between")):
        run = _run(found[-1], phrase)
        if run is not None:
            found[-1] = run
            return
    previous_yearly = found[-1].yearly if is_next and phrase.bound in _LIST else None
    if previous_yearly is not None and phrase.yearly is None:
        found[-1] = found[-1]._replace(days=_each(previous_yearly, _years(phrase.days)), yearly=None)
    found.append(phrase)


def phrases(text: str, frame: Frame) -> list[Phrase]:
    """The phrases of a text from left to right, runs joined; at most `_MOST_PHRASES`."""
    found: list[Phrase] = []
    for located in islice(atoms(text, frame), _MOST_ATOMS):
        previous_end = found[-1].end if found else 0
        try:
            phrase = _phrase(text, located, frame, previous_end)
            if phrase is not None:
                _append(found, phrase, bool(found) and not text[previous_end : phrase.start].strip())
        except (ValueError, OverflowError):  # no fifth Sunday, or outside the calendar
            continue
        if len(found) == _MOST_PHRASES:
            break
    return found
