"""Which of many known entities a question names: longest match, word by word, over a dictionary of their names."""

from __future__ import annotations

import re

from remanence.language.tokens import STOP_WORDS, folded

_WORD = re.compile(r"[^\W_]+")
_BRACKETS = re.compile(r"\s*\([^)]*\)\s*$")
_LONGEST = 12  # words of a name that are matched
_SHORTEST = 3  # letters of a name of one word


class Topics:
    """Names of entities, normalised, and the numbers that stand for them."""

    def __init__(self) -> None:
        self._codes: dict[str, set[int]] = {}
        self._longest = 0

    def add(self, name: str, code: int) -> None:
        """Take in a name; a trailing "(film)" is tried both with and without."""
        for form in {normalised(name), normalised(_BRACKETS.sub("", name))}:
            words = form.split()
            if not words or (len(words) == 1 and (form in STOP_WORDS or len(form) < _SHORTEST)):
                continue
            self._codes.setdefault(form, set()).add(code)
            self._longest = max(self._longest, min(len(words), _LONGEST))

    def named(self, question: str, among: frozenset[int] | None = None) -> frozenset[int]:
        """Codes of the names in a question; of overlapping names the longest wins. With `among`, no other codes are known."""
        words = normalised(question).split()
        found: set[int] = set()
        at = 0
        while at < len(words):
            for length in range(min(self._longest, len(words) - at), 0, -1):
                codes = self._codes.get(" ".join(words[at : at + length]))
                codes = codes if among is None or codes is None else codes & among
                if codes:
                    found |= codes
                    at += length
                    break
            else:
                at += 1
        return frozenset(found)


def normalised(name: str) -> str:
    """Lower case, no accents, no punctuation, no possessive s, single blanks."""
    return " ".join(_WORD.findall(re.sub(r"['’]s\b", "", folded(name))))
