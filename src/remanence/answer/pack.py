"""Memories into a prompt: the best first while the budget lasts, then in reading order; what is left out is said.

Each memory is one line of JSON with a number to cite it by. Stored text is data: it cannot leave its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from remanence.answer.evidence import coverage, rarity
from remanence.cubes import Hit, MemCube, posix
from remanence.language.sentences import sentence_spans
from remanence.language.tokens import folded, stems
from remanence.models.prompts import quoted

Count = Callable[[str], int]
"""Tokens of a text: `LanguageModel.count`."""
Neighbours = Callable[[MemCube], Sequence[MemCube]]
"""The cubes before and after one in its session or document."""

Best = Callable[[str, Sequence[tuple[int, int]]], int]
"""From a text and its sentences to the place of the one that matters most."""

ALIKE = 0.8
"""Jaccard similarity of word triples from which two memories count as one."""
SHARE = 0.5
"""Share of the budget that one memory may take where there are several."""

_SHINGLE = 3  # words
_LONG_TOKEN = 16  # characters: a text with more of them than this for each token left is cut without being counted
_WORD = re.compile(r"[^\W_]+(?:['’]\w+)?")
_EXACT = re.compile(r"\d|n['’]t\Z|\A(?:no|not|never|none|nobody|nothing|without|cannot)\Z")


@dataclass(frozen=True, slots=True)
class Entry:
    """One memory in a prompt."""

    number: int
    """From 1, in reading order: what a model cites."""
    hit: Hit
    start: int
    end: int
    """The stretch of the cube's text that is shown, in characters."""
    also: tuple[str, ...] = ()
    """Days of near-duplicates that were folded into it."""

    @property
    def line(self) -> str:
        """The entry as one line of JSON."""
        cube = self.hit.cube
        origin = cube.provenance
        fields = {
            "id": self.number,
            "date": origin.observed_at.date().isoformat() if origin.observed_at else None,
            "also": list(self.also),
            "speaker": origin.author or (origin.role if origin.role == "assistant" else None),
            "title": cube.about,
            "text": cube.text[self.start : self.end],
            "excerpt": self.end - self.start < len(cube.text.strip()),
        }
        return quoted({name: value for name, value in fields.items() if value or name == "text"})


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A memory, or a part of one, that is not in the prompt."""

    cube_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Packed:
    """Memories, ready for a prompt."""

    entries: tuple[Entry, ...]
    """In reading order; `entries[i].number` is i + 1."""
    text: str
    """Their lines."""
    tokens: int
    left_out: tuple[LeftOut, ...]
    """Every memory that was handed in and is not shown in full."""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """The hits that are shown, in reading order."""
        return tuple(entry.hit for entry in self.entries)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the cubes that are shown."""
        return tuple(entry.hit.cube.id for entry in self.entries)


def pack(
    hits: Sequence[Hit], *, count: Count, budget: int, question: str = "", neighbours: Neighbours | None = None
) -> Packed:
    """Put as many memories as fit into `budget` tokens, the best first, and sort them for reading.

    Reading order: documents without a date by source and order of writing, then everything dated by time. Near-duplicates
    (`same`) are folded into the better one, which keeps their dates. A memory that is too long for its share of the budget
    is cut to a window of sentences around the one that matches the question best. With `neighbours`, the cubes around the
    hits follow once all hits had their turn. `tokens` never exceeds `budget`; what is missing stands in `left_out`.
    """
    candidates = _with_neighbours(hits, neighbours)
    share = budget if len(candidates) <= 1 else int(budget * SHARE)
    best = _best_sentence(question, candidates)
    kept: list[Entry] = []
    left_out: list[LeftOut] = []
    for hit in candidates:
        entry = _fitted(Entry(len(candidates), hit, 0, len(hit.cube.text)), share, budget, count, best)
        if entry is None:
            left_out.append(LeftOut(hit.cube.id, "nothing of it fits into the budget"))
            continue
        twin = next((at for at, other in enumerate(kept) if same(entry, other)), None)
        if twin is not None:
            folded_in = _fold(kept, twin, entry)
            if count(_text(folded_in)) <= budget:
                kept = folded_in
            left_out.append(LeftOut(hit.cube.id, f"says the same as {kept[twin].hit.cube.id}"))
        elif count(_text([*kept, entry])) <= budget:
            kept.append(entry)
            left_out.extend(_cut_note(entry))
        else:
            left_out.append(LeftOut(hit.cube.id, "over the budget"))
    entries = _in_order(kept)
    text = _text(kept)
    return Packed(tuple(entries), text, count(text) if text else 0, tuple(left_out))


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries say the same: the same speaker, the same numbers and negations, and nearly the same words."""
    if one.hit.cube.provenance.author != other.hit.cube.provenance.author:
        return False
    words, others = _words(one), _words(other)
    if sorted(filter(_EXACT.search, words)) != sorted(filter(_EXACT.search, others)):
        return False
    return jaccard(shingles(words), shingles(others)) >= ALIKE


def shingles(words: Sequence[str]) -> frozenset[tuple[str, ...]]:
    """Runs of three words; a text of fewer words is one run."""
    return frozenset(tuple(words[at : at + _SHINGLE]) for at in range(max(len(words) - _SHINGLE + 1, 1)))


def jaccard(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Shared runs over all runs, 0 to 1."""
    return len(one & other) / len(one | other)


def _words(entry: Entry) -> list[str]:
    return _WORD.findall(folded(entry.hit.cube.text[entry.start : entry.end]))


def _with_neighbours(hits: Sequence[Hit], neighbours: Neighbours | None) -> list[Hit]:
    found = {(hit.cube.id, hit.cube.version): hit for hit in sorted(hits, key=lambda hit: -hit.score)}
    if neighbours is not None:
        for hit in list(found.values()):
            for cube in neighbours(hit.cube):
                found.setdefault((cube.id, cube.version), Hit(cube, hit.score))
    return list(found.values())


def _best_sentence(question: str, hits: Sequence[Hit]) -> Best:
    """What finds the sentence that holds most of a question; the first of equals."""
    wanted = tuple(dict.fromkeys(stems(question)))
    weights = rarity(wanted, [frozenset(stems(hit.cube.text[:2000])) for hit in hits])

    def best(text: str, places: Sequence[tuple[int, int]]) -> int:
        return max(
            range(len(places)),
            key=lambda at: (coverage(wanted, frozenset(stems(text[slice(*places[at])])), weights), -at),
        )

    return best


def _fitted(entry: Entry, share: int, budget: int, count: Count, best: Best) -> Entry | None:
    """The entry if it is within its share, else a window of it; None if not even a few characters fit.

    A sentence is cut only where it is over the whole budget by itself.
    """
    text = entry.hit.cube.text
    if _within(entry, share, count):
        return entry
    places = sentence_spans(text)
    if not places:
        return None
    middle = best(text, places)

    def around(radius: int) -> Entry:
        first, last = max(middle - radius, 0), min(middle + radius, len(places) - 1)
        return replace(entry, start=places[first][0], end=places[last][1])

    def inside(radius: int) -> Entry:
        start, end = places[middle]
        return replace(entry, start=start, end=min(start + radius, end))

    if _within(around(0), share, count):
        return _widest(around, len(places), share, count)
    if _within(around(0), budget, count):
        return around(0)
    return _widest(inside, places[middle][1] - places[middle][0], budget, count)


def _widest(window: Callable[[int], Entry], most: int, limit: int, count: Count) -> Entry | None:
    """The window of the largest radius within the limit, by doubling and halving; None if radius 1 is over it as well."""
    fits, over = 0, 1
    while over <= most and _within(window(over), limit, count):
        fits, over = over, over * 2
    while over - fits > 1:
        middle = (fits + over) // 2
        fits, over = (middle, over) if middle <= most and _within(window(middle), limit, count) else (fits, middle)
    found = window(fits)
    return found if found.end > found.start and count(found.line) <= limit else None


def _within(entry: Entry, limit: int, count: Count) -> bool:
    return entry.end - entry.start <= limit * _LONG_TOKEN and count(entry.line) <= limit


def _fold(kept: Sequence[Entry], twin: int, entry: Entry) -> list[Entry]:
    observed = entry.hit.cube.provenance.observed_at
    own = kept[twin].hit.cube.provenance.observed_at
    day = "" if observed is None else observed.date().isoformat()
    known = {*kept[twin].also, "" if own is None else own.date().isoformat(), ""}
    also = kept[twin].also if day in known else tuple(sorted((*kept[twin].also, day)))
    return [replace(other, also=also) if at == twin else other for at, other in enumerate(kept)]


def _cut_note(entry: Entry) -> list[LeftOut]:
    text = entry.hit.cube.text
    if text[: entry.start].strip() or text[entry.end :].strip():
        return [LeftOut(entry.hit.cube.id, f"cut to characters {entry.start} to {entry.end} of {len(text)}")]
    return []


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    ordered = sorted(entries, key=_reading_order)
    return [replace(entry, number=number) for number, entry in enumerate(ordered, 1)]


def _reading_order(entry: Entry) -> tuple[float, str, str, int]:
    """Ids rise with the time of writing, so within a source they keep its order."""
    cube = entry.hit.cube
    observed = cube.provenance.observed_at
    if observed is None:
        return (float("-inf"), cube.provenance.source, cube.id, entry.start)
    return (posix(observed), "", cube.id, entry.start)


def _text(entries: Sequence[Entry]) -> str:
    return "\n".join(entry.line for entry in _in_order(entries))
