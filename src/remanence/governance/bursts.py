"""Many texts that say the same, or that share one rare phrase, from one writer: the shape of planted entries.

AgentPoison plants a few entries that all hold one trigger phrase, so that a question with it finds them; a flood repeats one text
until it fills every answer. Both show as overlap among the last texts of one writer.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from remanence.governance.screen import Suspicion
from remanence.language.tokens import STOP_WORDS, folded
from remanence.policies import Trust

RECENT = 256
"""How many earlier texts of a writer, and of others, are compared."""

_WORD = re.compile(r"[^\W_]+")
_READ = 4000  # characters of a text that are compared
_SHORTEST = 8  # words: "Thank you so much!" may be said often
_ALIKE = 0.5  # share of shingles in common that makes two texts near-identical
_SHINGLE = 3  # words
_PHRASE = 5  # words of a phrase that is looked for
_TELLING = 3  # words of it that are not stop words
_SHARE = 0.2  # of the writer's texts that hold the phrase
LEAST = 6
"""Texts that make a burst."""
REPEATING = frozenset({Trust.USER, Trust.TOOL})
"""People and tools rightly say the same many times: nothing of theirs is a burst."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text by its hashed runs of words."""

    shingles: frozenset[int]
    phrases: frozenset[int]


def bursts(
    texts: Sequence[str], trust: Trust, recent: Sequence[str] = (), others: Sequence[str] = ()
) -> dict[int, Suspicion]:
    """Which of some new texts of one writer are part of a burst, by their place.

    `recent` are earlier texts of this writer, `others` are recent texts of everybody else: a phrase that others use is no
    trigger. Time grows with the total length, at most `RECENT` texts of each kind.
    """
    if trust in REPEATING or len(texts) + len(recent) < LEAST:
        return {}
    new = [_read(text) for text in texts]
    before = [_read(text) for text in recent[:RECENT]]
    found: dict[int, Suspicion] = {}
    for place, count in _crowded(new, before, LEAST).items():
        found[place] = Suspicion("burst", f"one of {count} near-identical texts of one writer")
    common = frozenset[int]().union(*(_read(text).phrases for text in others[:RECENT]))
    holders = Counter(phrase for text in (*new, *before) for phrase in text.phrases)
    enough = max(LEAST, _SHARE * (len(new) + len(before)))
    rare = {phrase for phrase, count in holders.items() if count >= enough and phrase not in common}
    for place, text in enumerate(new):
        if place not in found and (shared := text.phrases & rare):
            count = max(holders[phrase] for phrase in shared)
            found[place] = Suspicion("burst", f"one of {count} texts of one writer with one rare phrase")
    return found


def near(one: str, other: str) -> bool:
    """Whether two texts are near-identical: half of their runs of three words are the same."""
    return _overlap(_read(one).shingles, _read(other).shingles) >= _ALIKE


def _crowded(new: Sequence[_Text], before: Sequence[_Text], least: int) -> dict[int, int]:
    """Places of new texts with many near-identical ones, and how many these are.

    Texts are compared with those that share a shingle that is not everybody's, the last `RECENT` of them.
    """
    texts = [*before, *new]
    by_shingle: dict[int, list[int]] = {}
    for at, text in enumerate(texts):
        for shingle in _sample(text.shingles):
            by_shingle.setdefault(shingle, []).append(at)
    found: dict[int, int] = {}
    for place, text in enumerate(new):
        at = place + len(before)
        close = {other for shingle in _sample(text.shingles) for other in by_shingle[shingle][-RECENT:]} - {at}
        alike = sum(_overlap(text.shingles, texts[other].shingles) >= _ALIKE for other in sorted(close)[-RECENT:])
        if alike + 1 >= least:
            found[place] = alike + 1
    return found


def _sample(shingles: frozenset[int]) -> list[int]:
    """A few shingles, the same ones for texts that share them: the smallest hashes (min-wise sampling, Broder 1997)."""
    return sorted(shingles)[:8]


def _overlap(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def _read(text: str) -> _Text:
    """The runs of a text; none of a short one, nor phrases that are mostly names."""
    words = _WORD.findall(text[:_READ])
    if len(words) < _SHORTEST:
        return _Text(frozenset(), frozenset())
    plain = [folded(word) for word in words]
    shingles = frozenset(_hash(plain[at : at + _SHINGLE]) for at in range(len(plain) - _SHINGLE + 1))
    telling = [word not in STOP_WORDS and not word.isdigit() for word in plain]
    small = [raw[0].islower() for raw in words]
    phrases = frozenset(
        _hash(plain[at : at + _PHRASE])
        for at in range(len(plain) - _PHRASE + 1)
        if sum(telling[at : at + _PHRASE]) >= _TELLING and 2 * sum(small[at : at + _PHRASE]) > _PHRASE
    )
    return _Text(shingles, phrases)


def _hash(words: Sequence[str]) -> int:
    return zlib.crc32(" ".join(words).encode())
