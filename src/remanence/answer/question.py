"""What a question wants: the kind of answer, one or several, and whom it names. Rules only, English."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from remanence.cubes import ROLES, Hit
from remanence.language.dates import asks_when
from remanence.language.names import named
from remanence.language.tokens import STOP_WORDS, folded, stems


class Expects(StrEnum):
    """The kind of answer that a question's words call for."""

    PERSON = "person"
    TIME = "time"
    PLACE = "place"
    NUMBER = "number"
    YES_NO = "yes or no"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, read for answering."""

    text: str
    content: str
    """The question without the names of those who speak in the evidence."""
    stems: tuple[str, ...]
    """Distinct stems of the content, in order."""
    expects: Expects
    several: bool
    """Asks for a list."""
    people: frozenset[str]
    """Folded names of persons in the question: speakers of the evidence, and other capitalised words."""
    owner: str | None
    """The one speaker of the evidence whom it is about; None for none or several."""


_PERSON = re.compile(r"\b(?:who|whom|whose)\b|\b(?:which|what)\s+(?:person|friend|relative|colleague|man|woman)\b")
_PLACE = re.compile(r"^\W*where\b|\b(?:which|what)\s+(?:place|city|town|country|state|location|street|venue)\b")
_NUMBER = re.compile(
    r"\bhow\s+(?:many|much|old|often|long|far|tall|big|high|heavy|hot|fast)\b|\bwhat\s+(?:number|percentage|price|age|temperature|score|size|speed|weight|height|distance)\b"
)
_YES_NO = re.compile(
    r"^\W*(?:is|are|was|were|am|do|does|did|has|have|had|can|could|will|would|should|may|might|isn't|aren't|doesn't|didn't|won't)\b"
)
_SEVERAL = re.compile(
    r"\b(?:which|what)\s+(?:\w+\s+){0,2}?(?!(?:is|was|does|has|his|its|this|yes|as|less)\b)\w{2,}[^s\W]s\b(?!')|\b(?:all|list|both|several)\b|^\W*(?:what|which)\s+are\b"
)
_NAME = re.compile(r"(?<![\w'’])[A-Z][\w’'-]*[a-z]\b")
_CALLED = re.compile(r"(?:\A|(?<=[.!?…,\n]))\s*(?:[A-Z][\w'’]*\s+)?[A-Z][\w'’]+(?=\s*(?:[,.!?…]|\Z))")
_NEAR = 200  # characters before a word that are looked at: the whole text before each word would be looked at again and again
CALENDAR = frozenset(
    """january february march april may june july august september october november december monday tuesday wednesday thursday
    friday saturday sunday christmas halloween thanksgiving easter""".split()  # noqa: SIM905 word lists read better as text
)
"""Words of the calendar that are written like names and are none."""
_OPENERS = STOP_WORDS | {"name", "tell", "list", "describe", "explain", "according"}


def read_question(question: str, hits: list[Hit]) -> Asked:
    """Read a question with what the hits know: who speaks in them."""
    speakers = speakers_of(hits)
    naming = named(question, speakers)
    lowered = folded(question.replace("’", "'"))
    return Asked(
        text=question,
        content=naming.rest,
        stems=tuple(dict.fromkeys(stems(naming.rest))),
        expects=_expected(question, lowered),
        several=_SEVERAL.search(lowered) is not None,
        people=frozenset(folded(name) for name in naming.people) | _persons(question, speakers),
        owner=folded(next(iter(naming.people))) if len(naming.people) == 1 else None,
    )


def speakers_of(hits: list[Hit]) -> frozenset[str]:
    """Names of those who speak in the hits; roles are no names."""
    authors = {hit.cube.provenance.author for hit in hits}
    return frozenset(author for author in authors if author and author not in ROLES)


def capitalised(text: str) -> frozenset[str]:
    """Folded words that are written like names: a capital, and not at the beginning of a sentence."""
    return frozenset(
        folded(re.sub(r"['’]s?$", "", match.group())) for match in _NAME.finditer(text) if _inside(text, match.start())
    )


def without_calls(text: str) -> str:
    """A text without the names that it calls out to: alone between marks ("So, Ann, …"), or behind one opening word ("Hey Ann!")."""
    return _CALLED.sub(" ", text)


def _inside(text: str, start: int) -> bool:
    before = text[max(start - _NEAR, 0) : start].rstrip(" \"'“‘(")
    return bool(before) and before[-1] not in ".!?…:\n"


def _expected(question: str, lowered: str) -> Expects:
    if asks_when(question):
        return Expects.TIME
    for kind, pattern in (
        (Expects.NUMBER, _NUMBER), (Expects.PERSON, _PERSON), (Expects.PLACE, _PLACE), (Expects.YES_NO, _YES_NO),
    ):  # fmt: skip
        if pattern.search(lowered):
            return kind
    return Expects.OTHER


def _persons(question: str, speakers: frozenset[str]) -> frozenset[str]:
    """Capitalised single words that could be persons: a possessive, or what stands after a helping verb or a preposition."""
    known = {folded(word) for name in speakers for word in name.split()}
    found: set[str] = set()
    for match in _NAME.finditer(question):
        word = folded(re.sub(r"['’]s?$", "", match.group()))
        if word in _OPENERS or word in CALENDAR or any(_same_name(word, name) for name in known):
            continue
        if match.group().endswith(("'s", "’s")) or _AFTER_HELPER.search(
            question[max(match.start() - _NEAR, 0) : match.start()]
        ):
            found.add(word)
    return frozenset(found)


def _same_name(word: str, name: str) -> bool:
    """A nickname of three letters or more, or a name with a stray s."""
    return word in {name, f"{name}s"} or (len(word) >= 3 and name.startswith(word))


_AFTER_HELPER = re.compile(
    r"\b(?:did|does|do|is|was|are|were|has|have|had|will|would|could|can|should)\s+$", re.IGNORECASE
)
