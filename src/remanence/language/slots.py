"""Which of many stated facts hold: facts with one subject and one relation fill one slot.

In a slot of one value the newest takes over; a slot of many keeps all that nobody denied; see `relations.Arity`. A pair that
cannot both hold, and that time does not order, is a contradiction: both stay, and the pair is named.

Time orders two statements where the later one

- says that it replaces ("moved to", "now"), and the earlier one does not;
- comes more than `window` seconds later; or
- comes from the same source at a later time.

It never orders them where the later one is of less trust (`Stated.rank`): what is less trusted may contradict, not replace or deny.

Two values of a FIXED relation are never ordered: of two places of birth one is wrong, however late the other was named.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from remanence.cubes import Fact
from remanence.errors import InputError
from remanence.language.calendar_words import MONTH, month_number
from remanence.language.relations import Arity, arity, canonical
from remanence.language.tokens import folded
from remanence.language.topics import normalised

Value = tuple[str, ...]
"""A value as `value_key` gives it."""
WINDOW = 86400.0
"""Seconds within which two sources are taken to speak of the same time."""
NEAREST = 16
"""With how many other values a statement is compared for contradictions: those stated last before it."""


_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"
    " nineteen twenty"
)
_NUMBERS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split())}
_WORD = re.compile(r"[^\W_]+[+#]*")  # C, C++ and C# differ
_DAY = re.compile(
    rf"(?P<iso_year>\d{{4}})-(?P<iso_month>0[1-9]|1[0-2])-(?P<iso_day>\d\d)"
    rf"|(?:the )?(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?)?(?P<month>{MONTH})(?: (?P<late_day>\d{{1,2}})(?:st|nd|rd|th)?)?(?:,? (?P<year>\d{{4}}))?"
)


@dataclass(frozen=True, slots=True)
class Stated:
    """A fact with the place where it stands and the time from which it holds."""

    fact: Fact
    cube_id: str
    version: int
    seq: int
    """Order of writing; decides between statements of one time."""
    holds_from: float
    """POSIX seconds."""
    source: str
    negated: bool = False
    replaces: bool = False
    """The text marks that it takes the place of another value; see `statements.Claim`."""
    own: bool = False
    """Whoever states it speaks of themselves."""
    rank: int = 0
    """How far it is trusted, higher is more: no statement ends one of a higher rank."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """A value that held, and the statement that ended it: another value, or a denial."""

    old: Stated
    by: Stated


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two statements that cannot both hold. `first` comes before `second` in the order of time and writing."""

    first: Stated
    second: Stated


@dataclass(frozen=True, slots=True)
class Slot:
    """What is known of one relation of one subject."""

    arity: Arity
    current: tuple[Stated, ...]
    """The newest statement of each value that holds, oldest first. In a slot of one value more than one only if they contradict."""
    superseded: tuple[Superseded, ...]
    """Oldest first; of several statements of a value that one statement ended, the last."""
    contradictions: tuple[Contradiction, ...]
    """One for each pair of values, or for a value and its denial: the last pair of statements."""


class Slots(dict[tuple[str, str], Slot]):
    """Slots by `subject_key` and `relation_key`, in the order of these."""

    def about(self, subject: str, relation: str) -> Slot | None:
        """The slot of a subject and a relation, in any wording."""
        return self.get((subject_key(subject), relation_key(relation)))

    def contradictions(self) -> tuple[Contradiction, ...]:
        """Those of all slots."""
        return tuple(pair for slot in self.values() for pair in slot.contradictions)


def disputed(slots: Slots) -> tuple[Contradiction, ...]:
    """Contradictions, and what somebody said of themselves that only somebody else's later word would replace."""
    overruled = (
        Contradiction(pair.old, pair.by)
        for slot in slots.values()
        if not any(one.own for one in slot.current)
        for pair in slot.superseded
        if pair.old.own and not pair.by.own
    )
    return (*slots.contradictions(), *overruled)


def subject_key(subject: str) -> str:
    """A subject without case, accents, marks, a leading article and possessive endings: "The Costas’ house" is "costas house"."""
    words = normalised(subject).split()
    while len(words) > 1 and words[0] in _ARTICLES:
        del words[0]
    return " ".join(words) or subject.strip()


def relation_key(relation: str) -> str:
    """The one name of a relation; see `relations.canonical`."""
    return canonical(relation)


def value_key(relation: str, value: str) -> Value:
    """The parts of a value from the general to the special; a value whose parts begin another's is the same, less exactly said.

    "Lisbon" begins "Lisbon, Portugal", and "1946" begins "3 May 1946". Number words are digits, and articles do not count.
    """
    day = _DAY.fullmatch(" ".join(value.split()).lower())
    if day:
        return _day_key(relation, day)
    grouped = re.sub(r"(?<=\d)[\s().,-]{1,3}(?=\d)", "", value)  # "555 0100", "12,000"
    parts = tuple(filter(None, map(_part, grouped.split(","))))
    return parts or (value.strip(),)


def same_values(keys: Iterable[Value]) -> dict[Value, Value]:
    """Each key with the fullest of the keys that it begins, if those all begin one another; else with itself.

    "Lisbon" is "Lisbon, Portugal" where nothing else is said, and neither of the two where "Lisbon, Ohio" is said as well.
    """
    rising = sorted(set(keys))
    stop = list(range(1, len(rising) + 1))  # the keys that begin with key i are those up to stop[i]
    same: dict[Value, Value] = {}
    for at in range(len(rising) - 1, -1, -1):
        key = rising[at]
        while stop[at] < len(rising) and rising[stop[at]][: len(key)] == key:
            stop[at] = stop[stop[at]]
        following = rising[at + 1] if at + 1 < stop[at] else key
        is_chain = following is key or (stop[at + 1] == stop[at] and same[following] == rising[stop[at] - 1])
        same[key] = same.get(following, key) if is_chain else key
    return same


def resolve(stated: Iterable[Stated], window: float = WINDOW) -> Slots:
    """Which values hold, which were superseded, and which contradict each other.

    Neither the order of the statements nor repeating one changes the result. Time grows as n log n.

    Raises
    ------
    InputError
        A time is not a finite number, or `window` is negative.
    """
    if not window >= 0:
        raise InputError(f"The window is {window} seconds.", "Give a number of seconds, 0 or more.")
    groups: dict[tuple[str, str], list[Stated]] = {}
    for one in set(stated):
        if not math.isfinite(one.holds_from):
            raise InputError(f"A fact of cube {one.cube_id} holds from {one.holds_from}.", "Give POSIX seconds.")
        groups.setdefault((subject_key(one.fact.subject), relation_key(one.fact.relation)), []).append(one)
    return Slots((key, _Timeline(key[1], groups[key], window).slot()) for key in sorted(groups))


def order(one: Stated) -> tuple[float, bool, int, str, int, str, str, str, str, bool, int]:
    """Sorts statements by time; at one time those that replace come last, then the order of writing decides."""
    fact = one.fact
    return (
        one.holds_from, one.replaces, one.seq, one.cube_id, one.version, one.source, fact.subject, fact.relation, fact.value,
        one.negated, one.rank,
    )  # fmt: skip


class _Timeline:
    """The statements of one slot in their order, and the class of equal values that each belongs to."""

    def __init__(self, relation: str, stated: Sequence[Stated], window: float) -> None:
        self.stated = sorted(stated, key=order)
        self.arity, self.window = arity(relation), window
        keys = [value_key(relation, one.fact.value) for one in self.stated]
        same = same_values(keys)
        self.values = [same[key] for key in keys]
        self.times = [one.holds_from for one in self.stated]

    def slot(self) -> Slot:
        """Put together what follows from the order."""
        ended = _Enders(self)
        current: dict[Value, int] = {}
        superseded: dict[tuple[Value, int], int] = {}
        for at, one in enumerate(self.stated):
            if one.negated:
                continue
            by = ended.first(at)
            if by is None:
                current[self.values[at]] = at
            else:
                superseded[self.values[at], by] = at
        return Slot(
            self.arity,
            tuple(self.stated[at] for at in sorted(current.values())),
            tuple(Superseded(self.stated[old], self.stated[by]) for old, by in sorted((old, by) for (_, by), old in superseded.items())),
            tuple(Contradiction(self.stated[first], self.stated[second]) for first, second in sorted(self._conflicts())),
        )  # fmt: skip

    def _conflicts(self) -> Iterable[tuple[int, int]]:
        """Pairs of statements, the last for each pair of values and for each value and its denial."""
        pairs: dict[tuple[Value, Value], tuple[int, int]] = {}
        stated: OrderedDict[Value, _Recent] = OrderedDict()
        denied: dict[Value, _Recent] = {}
        for at, one in enumerate(self.stated):
            value = self.values[at]
            opposite = (stated if one.negated else denied).get(value)
            before = opposite.unordered(self, at) if opposite else None
            if before is not None:
                pairs[value, value] = (before, at)
            if one.negated:
                denied.setdefault(value, _Recent()).add(self, at)
                continue
            if self.arity in {Arity.ONE, Arity.FIXED}:
                for other in list(islice((other for other in reversed(stated) if other != value), NEAREST)):
                    before = stated[other].unordered(self, at, fixed=self.arity is Arity.FIXED)
                    if before is not None:
                        pairs[min(value, other), max(value, other)] = (before, at)
            stated.setdefault(value, _Recent()).add(self, at)
            stated.move_to_end(value)
        return pairs.values()

    def orders(self, earlier: int, later: int) -> bool:
        """Whether time orders two statements; see the head of this module."""
        first, second = self.stated[earlier], self.stated[later]
        if second.rank < first.rank:
            return False
        if second.replaces and not first.replaces:
            return True
        if second.holds_from > first.holds_from + self.window:
            return True
        return first.source == second.source and second.holds_from > first.holds_from


class _Recent:
    """The last statements of one value that could be left unordered with a later one: by rank and `replaces`, of the last two sources."""

    def __init__(self) -> None:
        # By rank, by replaces, and by whether it is the last, or the last of another source.
        self._last: dict[tuple[int, bool, bool], int] = {}

    def add(self, line: _Timeline, at: int) -> None:
        """Take in a later statement."""
        one = line.stated[at]
        last = self._last.get((one.rank, one.replaces, True))
        if last is not None and line.stated[last].source != one.source:
            self._last[one.rank, one.replaces, False] = last
        self._last[one.rank, one.replaces, True] = at

    def unordered(self, line: _Timeline, at: int, *, fixed: bool = False) -> int | None:
        """The last of them that time does not order with a later statement; the last of all if the relation is fixed."""
        return max((before for before in self._last.values() if fixed or not line.orders(before, at)), default=None)


@dataclass(slots=True)
class _Track:
    """Some statements of a timeline, in its order."""

    places: list[int] = field(default_factory=list[int])
    times: list[float] = field(default_factory=list[float])
    values: list[Value] = field(default_factory=list[Value])
    changes: list[int] = field(default_factory=list[int])
    """For each, where in the track the next one with another value is."""

    def add(self, line: _Timeline, at: int) -> None:
        """Append the statement at a place of the timeline."""
        self.places.append(at)
        self.times.append(line.times[at])
        self.values.append(line.values[at])

    def close(self) -> None:
        """Find the changes, from the end."""
        self.changes = [0] * len(self.places)
        for at in range(len(self.places) - 1, -1, -1):
            is_same = at + 1 < len(self.places) and self.values[at + 1] == self.values[at]
            self.changes[at] = self.changes[at + 1] if is_same else at + 1

    def first(self, start: int, value: Value | None) -> int | None:
        """The place of the first statement from `start` on in the track whose value is not `value`."""
        if start < len(self.places) and self.values[start] == value:
            start = self.changes[start]
        return self.places[start] if start < len(self.places) else None


class _Later:
    """Statements that can end others, found by each of the three ways that time orders them."""

    def __init__(self, line: _Timeline, places: Iterable[int]) -> None:
        self._line = line
        self._all, self._replacing = _Track(), _Track()
        self._by_source: dict[str, _Track] = {}
        for at in places:
            one = line.stated[at]
            self._all.add(line, at)
            self._by_source.setdefault(one.source, _Track()).add(line, at)
            if one.replaces:
                self._replacing.add(line, at)
        for track in (self._all, self._replacing, *self._by_source.values()):
            track.close()

    def first(self, at: int, value: Value | None) -> int | None:
        """The first of them that comes after a statement by time and says something else than `value`."""
        one, everything, replacing = self._line.stated[at], self._all, self._replacing
        found = [everything.first(bisect_right(everything.times, one.holds_from + self._line.window), value)]
        if not one.replaces:
            found.append(replacing.first(bisect_right(replacing.places, at), value))
        same = self._by_source.get(one.source)
        if same:
            found.append(same.first(bisect_right(same.times, one.holds_from), value))
        return min((place for place in found if place is not None), default=None)


class _Enders:
    """For each statement the first later one that ended it."""

    def __init__(self, line: _Timeline) -> None:
        self._line = line
        stated = [at for at, one in enumerate(line.stated) if not one.negated]
        if line.arity is Arity.OPEN:
            stated = [at for at in stated if line.stated[at].replaces]
        self._others = _ranked(line, stated if line.arity in {Arity.ONE, Arity.OPEN} else [])
        denials: dict[Value, list[int]] = {}
        for at, one in enumerate(line.stated):
            if one.negated:
                denials.setdefault(line.values[at], []).append(at)
        self._denials = {value: _ranked(line, places) for value, places in denials.items()}

    def first(self, at: int) -> int | None:
        """Another value that took the place, or a denial, whichever came first."""
        value, rank = self._line.values[at], self._line.stated[at].rank
        denials = self._denials.get(value)
        found = (self._others[rank].first(at, value), denials[rank].first(at, None) if denials else None)
        return min((place for place in found if place is not None), default=None)


def _ranked(line: _Timeline, places: Sequence[int]) -> dict[int, _Later]:
    """For each rank the statements that can end one of it: those of its own and of higher ranks."""
    return {
        rank: _Later(line, [at for at in places if line.stated[at].rank >= rank])
        for rank in {one.rank for one in line.stated}
    }


def _part(part: str) -> str:
    """One part of a value in normal form."""
    found: list[str] = _WORD.findall(re.sub(r"['’]s\b", "", folded(part)))
    words = [_NUMBERS.get(word, word) for word in found]
    while len(words) > 1 and words[0] in _ARTICLES:
        del words[0]
    return " ".join(words)


def _day_key(relation: str, day: re.Match[str]) -> Value:
    """Year, month, day; month and day first for a birthday, or where no year is said."""
    month = int(day["iso_month"]) if day["iso_month"] else month_number(day["month"])
    year, number = day["iso_year"] or day["year"], day["iso_day"] or day["day"] or day["late_day"]
    parts = [f"month {month}", *([f"day {int(number)}"] if number else [])]
    if not year:
        return tuple(parts)
    return (*parts, year) if canonical(relation) == "birthday" else (year, *parts)
