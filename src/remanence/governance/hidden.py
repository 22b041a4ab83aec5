"""Characters that hide text from people, or imitate other characters."""

from __future__ import annotations

import re
import unicodedata

_TAGS = re.compile("[\U000e0020-\U000e007f]")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")  # the flags of Scotland, Wales, England
_OVERRIDES = re.compile("[\u202d\u202e]")
_SELECTORS = re.compile("[\U000e0100-\U000e01ef]{4}")
_NOTHING = "\u200b\u2060\u2061\u2062\u2063\u2064\ufeff\u180e\u00ad"
_IN_A_WORD = re.compile(rf"(?<=[A-Za-z])[{_NOTHING}\u200c\u200d](?=[{_NOTHING}\u200c\u200d]{{0,8}}[A-Za-z])")
_RUN = re.compile(rf"[{_NOTHING}\u200c\u200d\u200e\u200f]{{8}}")
_SPELLED = 12  # letters one by one that are more than initials
_SPLITS = 3  # invisible characters inside words that are more than a web page's soft breaks

_LIKE = dict(zip("асеорхуіјѕԁӏһԛԝвнкмтАСЕОРХУІЈЅВНКМТԌЗοικνρυχαετωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
                 "aceopxyijsdlhqwbhkmtACEOPXYIJSBHKMTG3oiknruxaetwABEZHIKMNOPTYX", strict=True))  # fmt: skip
"""Cyrillic and Greek letters by the Latin ones that they look like."""
_MATHS = frozenset("αβγδεθκλμνπρστφχψωΑΒΔΣΩ")  # Greek in formulas and names of substances: no imitation by itself
_WORD = re.compile(r"[^\W\d_]{3,64}")
_WHOLE = 5  # letters of a word that is all look-alikes: shorter ones are often just Russian or Greek
_FOREIGN = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_LATIN = re.compile("[A-Za-z]")
_LEET = str.maketrans("013457@$", "oieastas")
_LEET_WORD = re.compile(
    r"\b(?=[a-z]{0,12}[013457@$])(?=[013457@$]{0,3}[a-z])[a-z013457@$]{4,14}(?![\w@$]|\.\w)", re.IGNORECASE
)
_SPACED = re.compile(r"(?<!\w)(?:\w[ .\-_*]){5,200}\w(?!\w)")


def hidden(text: str, *, strict: bool) -> str | None:
    """What is hidden in a text; None if nothing is."""
    if strict and any(_is_spelled(match.group()) for match in _SPACED.finditer(text)):
        return "words spelled letter by letter"
    if text.isascii():
        return None
    found = (
        ("tag characters, which nobody sees", _TAGS.search(_FLAG.sub("", text))),
        ("a run of variation selectors, which nobody sees", _SELECTORS.search(text)),
        ("a run of characters of no width", _RUN.search(text)),
        ("an override of the direction of writing", strict and _OVERRIDES.search(text)),
        ("characters of no width inside words", strict and len(_IN_A_WORD.findall(text)) >= _SPLITS),
    )  # fmt: skip
    return next((words for words, there in found if there), None)


def imitated(text: str, *, strict: bool) -> str | None:
    """A word whose letters imitate Latin ones; None if there is none.

    A word of two scripts is one, unless its Greek letters are those of formulas. In a strict tier so is a whole word of
    look-alikes in a text that is Latin otherwise.
    """
    if not _FOREIGN.search(text):
        return None
    latin = len(_LATIN.findall(text))
    mostly_latin = latin > 4 * len(_FOREIGN.findall(text))
    for match in _WORD.finditer(text):
        word = match.group()
        foreign = _FOREIGN.findall(word)
        if not foreign:
            continue
        has_latin = _LATIN.search(word) is not None
        alike = [letter for letter in foreign if letter in _LIKE]
        if has_latin and alike and not _MATHS.issuperset(foreign):
            return f"{word!r} mixes scripts to look Latin"
        if strict and not has_latin and mostly_latin and len(alike) == len(word) >= _WHOLE:
            return f"{word!r} is written in letters that only look Latin"
    return None


def revealed(text: str) -> str:
    """The text as a reader sees it: what has no width is gone, look-alikes and fullwidth letters are plain ones.

    Words spelled with gaps or digits ("i g n o r e", "1gn0re") are joined.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        text = "".join(_LIKE.get(one, one) for one in text if unicodedata.category(one) != "Cf")
        text = text.replace("’", "'").replace("‘", "'")
    text = _SPACED.sub(_joined, text)
    return _LEET_WORD.sub(lambda match: match.group().translate(_LEET), text)


def _is_spelled(run: str) -> bool:
    """Whether letters with gaps spell something: the alphabet, digits and a few initials do not."""
    letters = [one for one in run.lower() if one.isalpha()]
    return len(letters) >= _SPELLED and 2 * len(letters) > len(run) - 1 and letters != sorted(letters)


def _joined(match: re.Match[str]) -> str:
    return re.sub(r"[ .\-_*]", "", match.group())
