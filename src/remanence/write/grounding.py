"""What a passage says, for checking what a model says that it says.

A model writes down things that a passage does not hold: because it knows better, because it guesses, or because the passage
tells it to. What is kept has to be found in the passage again, word for word or by most of its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from remanence.cubes import MemCube
from remanence.language.tokens import folded, stems
from remanence.write.windows import header_of

MOST_ITEMS = 2000
"""Items of one answer that are looked at."""

# Scripts without blanks between words, and Hangul, whose particles stick to names: their characters are compared one by one.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])[^\W_])+")
# Controls, halves of pairs, and marks that turn the direction of what is shown.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PRONOUNS = frozenset(
    """i me my mine myself you your yours yourself he him his himself she her hers herself it its itself we us our ours ourselves
    they them their theirs themselves this that these those who whom whose which what there here someone something""".split()  # noqa: SIM905
)
_CALENDAR = frozenset(
    stems(
        """January February March April May June July August September October November December Monday Tuesday Wednesday
        Thursday Friday Saturday Sunday"""
    )
)


def normal(text: str) -> str:
    """Words in lower case without accents, one blank between and none around: `O'Neill, Ana` is `o neill ana`."""
    return " ".join(_WORD.findall(folded(text)))


def tidy(value: object, most: int) -> str:
    """A text of an answer with its white space folded; empty when it is no text, too long, or holds control characters."""
    if not isinstance(value, str) or len(value) > 4 * most:
        return ""
    text = " ".join(value.split())
    return "" if len(text) > most or _UNFIT.search(text) else text


def is_pronoun(text: str) -> bool:
    """It names nobody: one pronoun, and nothing else. `US`, `IT` and `WHO` are names."""
    return normal(text) in _PRONOUNS and not (len(text) > 1 and text.isupper())


def listed(items: list[Any]) -> tuple[list[Any], int]:
    """The first `MOST_ITEMS` items of an answer's list, and how many come after."""
    return items[:MOST_ITEMS], max(0, len(items) - MOST_ITEMS)


class Ground:
    """The words of a passage and of its header (title and speaker)."""

    def __init__(self, text: str, header: Iterable[str] = ()) -> None:
        header = tuple(header)
        self._text = f" {normal(text)} "
        self._all = f"{self._text}| " + " | ".join(map(normal, header)) + " "
        self._names = frozenset(stem for one in header for stem in stems(one))
        self._stems = frozenset(stems(text))

    def holds(self, phrase: str, *, header: bool = True) -> bool:
        """The phrase stands there as whole words, case, accents and punctuation aside. Never true of a phrase without words."""
        words = normal(phrase)
        return bool(words) and f" {words} " in (self._all if header else self._text)

    def touches(self, phrase: str) -> bool:
        """At least one content word of `phrase` stands there."""
        return not (self._stems | self._names).isdisjoint(stems(phrase))

    def share(self, phrase: str) -> float:
        """How many of the distinct content words of `phrase` stand there, 0 to 1, by their stems; 1 if it has none.

        Words of the calendar and numbers do not count: a model that resolves "yesterday" has to write a new date.
        """
        return self._share(set(stems(phrase)), self._stems | self._names)

    def share_beyond_names(self, phrase: str) -> float:
        """As `share`, the words of the header left out on both sides, and 0 if nothing else is left."""
        words = {stem for stem in stems(phrase) if _counts(stem)} - self._names
        return self._share(words, self._stems) if words else 0.0

    @staticmethod
    def _share(words: set[str], known: frozenset[str]) -> float:
        words = {stem for stem in words if _counts(stem)}
        return len(words & known) / len(words) if words else 1.0


def _counts(stem: str) -> bool:
    return not stem.isdigit() and stem not in _CALENDAR


def ground_of(cube: MemCube, text: str) -> Ground:
    """The words of `text` with the title and the speaker of its cube."""
    header = header_of(cube)
    return Ground(text, [header[name] for name in ("title", "speaker") if name in header])
