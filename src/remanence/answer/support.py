"""Does a stretch of a memory carry a sentence? Without a model: words, and numbers, names and dates that have to be there.

What this cannot see: a negation, who did what to whom, a paraphrase that shares no word (unless an embedder helps).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from remanence.answer.evidence import Embed
from remanence.answer.question import CALENDAR, capitalised, without_calls
from remanence.answer.times import as_date, days_of, zone_of
from remanence.cubes import ROLES, Citation, MemCube, posix
from remanence.language.calendar_words import FULL_MONTH, WEEKDAY
from remanence.language.dates import Window
from remanence.language.sentences import sentence_spans
from remanence.language.tokens import folded, stems

ENOUGH = 0.5
"""Share of a sentence's content stems that its citations together have to hold."""
ENOUGH_IF_CLOSE = 0.25
CLOSE = 0.6
"""With an embedder: this dot product makes up for words, down to `ENOUGH_IF_CLOSE`."""
LEAST = 0.2
"""A citation that holds less than this of the sentence by itself is no support."""
ASKED = 0.5
"""Weight of a stem that the question brought along: repeating the question proves little."""

_STRETCH = 3  # sentences of a quotation at most
_NEAR = 1000  # characters on each side of a quotation in which numbers and names may stand
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_MONTHS = FULL_MONTH.replace("march|", "").replace("may|", "")
"""Without the two that are words as well. Their dates are compared all the same."""
_CALENDAR_WORD = re.compile(rf"\b(?:{_MONTHS}|{WEEKDAY})\b")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
        nineteen twenty""".split()  # noqa: SIM905 word lists read better as text
    )
} | {"once": "1", "twice": "2", "dozen": "12"}
_PRONOUNS = re.compile(r"\b(?:one|once)\b")  # mostly no numbers where a model writes them out
_WORD = re.compile(r"[^\W_]+")
_CAPITAL = re.compile(r"\b[A-Z][^\W_]+")
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What a sentence says, in parts that can be looked up."""

    text: str
    terms: tuple[str, ...]
    """Distinct stems of its content."""
    weights: dict[str, float]
    """What each of them counts."""
    numbers: frozenset[str]
    """Numbers, months and weekdays in it."""
    names: frozenset[str]
    """Names in it, folded."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of a cube's text that was compared with a sentence."""

    start: int
    end: int
    held: frozenset[str]
    """The sentence's stems that it, its speaker or its title holds."""
    closeness: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A sentence's citations after the check."""

    citations: tuple[Citation, ...]
    removed: int
    """How many of the memories it cited do not support it."""


def claim(sentence: str, question: str = "", people: frozenset[str] = frozenset()) -> Claim:
    """Take a sentence apart.

    Names are words with a capital that do not begin the sentence, and those of `people` (folded) wherever they stand.
    """
    asked = set(stems(question))
    terms = tuple(dict.fromkeys(stems(sentence)))
    words = folded(sentence)
    return Claim(
        sentence, terms, {term: ASKED if term in asked else 1.0 for term in terms},
        frozenset(_numbers(_PRONOUNS.sub(" ", words))),
        frozenset(name for name in capitalised(sentence) if name not in CALENDAR) | (people & set(_WORD.findall(words))),
    )  # fmt: skip


def check(
    sentence: str, cubes: Sequence[MemCube], number: int, *, question: str = "", people: frozenset[str] = frozenset(), embed: Embed | None = None
) -> Checked:  # fmt: skip
    """Keep those of the cited cubes that support a sentence, with the stretch to quote; `number` is the sentence's.

    The citations that are kept hold, together, at least `ENOUGH` of its content and every number, name and date in it;
    otherwise none is kept. A repeated cube counts once.
    """
    cited = list({(cube.id, cube.version): cube for cube in cubes}.values())
    said = claim(sentence, question, people)
    found = [(cube, stretch) for cube in cited if (stretch := best_stretch(said, cube, embed)) is not None]
    found = [
        (cube, stretch) for cube, stretch in found if _share(said, stretch.held) >= LEAST or stretch.closeness >= CLOSE
    ]
    if not found or not _together(said, found):
        return Checked((), len(cited))
    citations = tuple(
        Citation(
            cube.id, cube.version, number, stretch.start, stretch.end, cube.text[stretch.start : stretch.end],
            round(support(said, stretch), 4),
        )
        for cube, stretch in found
    )  # fmt: skip
    return Checked(citations, len(cited) - len(citations))


def support(said: Claim, stretch: Stretch) -> float:
    """0 to 1: the share of the content, or its mean with the closeness where that is higher."""
    share = _share(said, stretch.held)
    return min(max(share, (share + stretch.closeness) / 2), 1.0)


def best_stretch(said: Claim, cube: MemCube, embed: Embed | None = None) -> Stretch | None:
    """The shortest run of at most three sentences of a cube that holds most of a claim; None for a cube without text."""
    places = sentence_spans(cube.text)
    if not places:
        return None
    terms = [frozenset(stems(cube.text[start:end])) for start, end in places]
    wanted = frozenset(said.terms)
    context = frozenset(stems(f"{cube.provenance.author or ''} {cube.about or ''}")) | _dated(said, cube)

    def held(first: int, count: int) -> frozenset[str]:
        return wanted & frozenset().union(context, *terms[first : first + count])

    runs = [
        (first, count)
        for first in range(len(places))
        for count in range(1, _STRETCH + 1)
        if first + count <= len(places)
    ]
    first, count = max(runs, key=lambda run: (_share(said, held(*run)), -run[1], -run[0]))
    start, end = places[first][0], places[first + count - 1][1]
    return Stretch(start, end, held(first, count), _closeness(said.text, cube.text[start:end], embed))


def _together(said: Claim, found: Sequence[tuple[MemCube, Stretch]]) -> bool:
    share = _share(said, frozenset().union(*(stretch.held for _, stretch in found)))
    close = max(stretch.closeness for _, stretch in found)
    if share < ENOUGH and not (close >= CLOSE and share >= ENOUGH_IF_CLOSE):
        return False
    return _numbers_hold(said, found) and _names_hold(said, found) and _dates_hold(said, found)


def _share(said: Claim, held: frozenset[str]) -> float:
    """Share of the claim's weight that is held; 1 for a claim without content, which has nothing to prove."""
    total = sum(said.weights.values())
    return sum(said.weights[term] for term in said.terms if term in held) / total if total else 1.0


def _numbers_hold(said: Claim, found: Sequence[tuple[MemCube, Stretch]]) -> bool:
    known: set[str] = set()
    for cube, stretch in found:
        known |= _numbers(folded(f"{_nearby(cube, stretch)} {cube.about or ''} {_days_in_words(cube, stretch)}"))
    return said.numbers <= known


def _names_hold(said: Claim, found: Sequence[tuple[MemCube, Stretch]]) -> bool:
    known: set[str] = set()
    names: set[str] = set()
    for cube, stretch in found:
        text = f"{_spoken_of(said, cube, stretch)} {cube.about or ''} {cube.provenance.author or ''}"
        known |= set(_WORD.findall(folded(text))) | set(stems(text))
        names |= {folded(word) for word in _CAPITAL.findall(text)}
    return all(
        part in known or set(stems(part)) <= known or _nickname(part, names)
        for name in said.names
        for part in _WORD.findall(name)
    )


def _spoken_of(said: Claim, cube: MemCube, stretch: Stretch) -> str:
    """The text around a quotation; without the names it only calls out to, where the sentence does not name its speaker.

    "I lost my job, Ann!" said by Bob is about Bob. It supports "Bob told Ann that he lost his job", and not "Ann lost her job".
    """
    text = _nearby(cube, stretch)
    author = cube.provenance.author
    if not author or author in ROLES or _nickname_of_any(author, said.text):
        return text
    return without_calls(text)


def _nickname_of_any(author: str, text: str) -> bool:
    names = {folded(word) for word in _CAPITAL.findall(text)}
    return any(_nickname(folded(part), names) for part in _WORD.findall(author))


def _nickname(part: str, names: set[str]) -> bool:
    """One name is the beginning of the other, three letters or more: Mel and Melanie."""
    return any(min(len(part), len(name)) >= 3 and (name.startswith(part) or part.startswith(name)) for name in names)


def _dates_hold(said: Claim, found: Sequence[tuple[MemCube, Stretch]]) -> bool:
    """Every day that the sentence names, read from one of the cubes, contains one that a quotation names.

    A quotation that names no day stands for the day it was said.
    """
    known = [day for cube, stretch in found for day in _days(cube, stretch)]
    return any(
        all(any(window.lo <= day.lo and day.hi <= window.hi for day in known) for window in days_of(said.text, cube))
        for cube, _ in found
    )


def _days(cube: MemCube, stretch: Stretch) -> tuple[Window, ...]:
    named = days_of(cube.text[stretch.start : stretch.end], cube)
    observed = cube.provenance.observed_at
    if named or observed is None:
        return named
    midnight = posix(observed.replace(hour=0, minute=0, second=0, microsecond=0))
    return (Window(midnight, midnight + _DAY),)


def _days_in_words(cube: MemCube, stretch: Stretch) -> str:
    """The days that a stretch stands for, with their weekdays: what a sentence may say of them in figures and names."""
    zone = zone_of(cube)
    words: list[str] = []
    for window in _days(cube, stretch):
        words.append(as_date(window, zone))
        if window.hi - window.lo <= _DAY * 7:
            days = range(int((window.hi - window.lo + _DAY / 2) // _DAY))
            words.extend(_in_figures(datetime.fromtimestamp(window.lo + (day + 0.5) * _DAY, zone)) for day in days)
    return " ".join(words)


def _in_figures(day: datetime) -> str:
    return f"{WEEKDAY.split('|')[day.weekday()]} {day.year} {day.month} {day.day}"


def _dated(said: Claim, cube: MemCube) -> frozenset[str]:
    """Stems of the claim that are only the date the cube was said on, or that its text names from there."""
    if not (said.numbers or days_of(said.text, cube)):
        return frozenset()
    whole = Stretch(0, min(len(cube.text), 2 * _NEAR), frozenset(), 0.0)
    return frozenset(said.terms) & frozenset(stems(_days_in_words(cube, whole)))


def _nearby(cube: MemCube, stretch: Stretch) -> str:
    return cube.text[max(stretch.start - _NEAR, 0) : stretch.end + _NEAR]


def _numbers(words: str) -> set[str]:
    """Numbers in figures, number words as figures, months and weekdays of a folded text."""
    found = {number.replace(",", "").lstrip("0") or "0" for number in _NUMBER.findall(words)}
    found |= {_NUMBER_WORDS[word] for word in _WORD.findall(words) if word in _NUMBER_WORDS}
    return found | set(_CALENDAR_WORD.findall(words))


def _closeness(sentence: str, quote: str, embed: Embed | None) -> float:
    vectors = None if embed is None else embed([sentence, quote])
    return 0.0 if vectors is None else float(vectors[0] @ vectors[1])
