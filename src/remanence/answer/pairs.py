"""Answers straight from question–answer pairs: the same question again, or two and more of them in a row.

After QAMAT (arXiv 2204.04581): a memory of pairs answers directly where it knows the question, and backs off to reading where
it does not. A question that holds another one ("Where was the author of X born?") is answered by filling in that one's
answer and asking again. Every hop is cited where its pair came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from remanence.answer.evidence import Embed
from remanence.cubes import Answer, Citation, Hit, MemCube
from remanence.language.qa import EXCHANGED, bridged, parse_qa
from remanence.language.tokens import stems

Find = Callable[[str], Sequence[Hit]]
"""The pairs whose questions are closest to a question, best first."""
Source = Callable[[MemCube], MemCube | None]
"""The memory that a pair was made from; None for a pair that stands for itself."""

SAME, MARGIN, MOST = 0.86, 0.02, 0.5
"""Closeness of two questions that counts as one, how far the next pair with another answer has to lie behind, and the share of
the question's words that the pair's question has to hold."""
PART = 0.5
"""Share of a pair's question that a longer question has to hold to be taken a step further."""
HOPS = 3
LONGEST = 1000
"""Characters of a question; longer ones are left to reading."""
_WORD = re.compile(r"\d[\d.,:]*|[^\W\d_][\w'’-]*")
_WH = re.compile(
    r"\b(?:who|whom|whose|what|which|when|where|why|how(?:\s+(?:many|much|old|long|often|far|tall))?)\b", re.IGNORECASE
)
_KINDS = {
    "where": re.compile(r"(?:what|which)\s+(?:city|town|village|country|place|state|street)\b", re.IGNORECASE),
    "when": re.compile(r"(?:what|which)\s+(?:year|month|day|date|time)\b", re.IGNORECASE),
    "who": re.compile(r"whom\b|(?:what|which)\s+(?:person|man|woman)\b", re.IGNORECASE),
}
_OWNING = re.compile(r"(?:['’]s|(?<=s)['’])$")


@dataclass(frozen=True, slots=True)
class _Known:
    """A pair beside the question that it was found for."""

    hit: Hit
    question: str
    answer: str
    closeness: float


def by_pairs(question: str, find: Find, source: Source, embed: Embed | None) -> Answer | None:
    """The answer that pairs give to a question, directly or in up to three hops; None where they do not know it."""
    if len(question) > LONGEST:
        return None
    steps: list[_Known] = []
    asked = question
    for _ in range(HOPS):
        known = _known(asked, find(asked), embed)
        if (same := _same(asked, known)) is not None:
            return _answer([*steps, same], source)
        past = {one.question for one in steps}
        following = (
            (one, bridged(asked, one.question, one.answer))
            for one in known
            if one.question not in past and _part(asked, one)
        )
        step, asked = next(((one, then) for one, then in following if then is not None), (None, asked))
        if step is None:
            return None
        steps.append(step)
    return None


def _known(question: str, hits: Sequence[Hit], embed: Embed | None) -> list[_Known]:
    pairs = [
        (hit, *parsed)
        for hit in hits
        if hit.cube.provenance.method != EXCHANGED and (parsed := parse_qa(hit.cube.text))
    ]
    vectors = embed([question, *(one for _, one, _ in pairs)]) if embed and pairs else None
    own = set(stems(question))
    found: list[_Known] = []
    for place, (hit, asked, answer) in enumerate(pairs, 1):
        other = set(stems(asked))
        alike = len(own & other) / max(len(own | other), 1)
        found.append(_Known(hit, asked, answer, alike if vectors is None else float(vectors[0] @ vectors[place])))
    return sorted(found, key=lambda one: -one.closeness)


def _same(question: str, known: Sequence[_Known]) -> _Known | None:
    """The pair that asks the same, of the same people and numbers, if no other answer is as close."""
    best = next((one for one in known if one.closeness >= SAME and _asks_the_same(one.question, question)), None)
    if best is None:
        return None
    rivals = [one for one in known if one.answer != best.answer and _asks_the_same(one.question, question)]
    return None if any(one.closeness > best.closeness - MARGIN for one in rivals) else best


def _part(question: str, known: _Known) -> bool:
    """Whether a longer question holds a pair's question: its names, and most of its words."""
    whole, part = set(stems(question)), set(stems(known.question))
    return bool(part) and len(part & whole) / len(part) >= PART and _names(known.question) <= _words(question)


def _asks_the_same(known: str, question: str) -> bool:
    """Whether each question holds the names and numbers of the other, and the known one the question word and most of the words.

    Closeness alone does not tell "Where was the author of X born?" from "Who was X written by?".
    """
    asked = set(stems(question))
    return (
        _names(known) <= _words(question)
        and _names(question) <= _words(known)
        and _asks_for(known) == _asks_for(question)
        and len(asked & set(stems(known))) > MOST * len(asked)
    )


def _asks_for(question: str) -> str | None:
    """The question word: who, where, when, how many …, "which city" counting as where; None for a yes-or-no question."""
    found = _WH.search(question)
    if found is None:
        return None
    kind = next((kind for kind, words in _KINDS.items() if words.match(question, found.start())), None)
    return kind or " ".join(found.group().lower().split())


def _names(question: str) -> frozenset[str]:
    """Numbers and words with a capital; the first word only if it is none that questions begin with."""
    return frozenset(
        _plain(match.group())
        for match in _WORD.finditer(question)
        if (match.group()[0].isdigit() or match.group()[0].isupper())
        and (question[: match.start()].strip() or stems(match.group()))
    )


def _words(question: str) -> frozenset[str]:
    return frozenset(_plain(match.group()) for match in _WORD.finditer(question))


def _plain(word: str) -> str:
    return _OWNING.sub("", word).casefold().rstrip(".,:")


def _answer(steps: Sequence[_Known], source: Source) -> Answer:
    text = steps[-1].answer
    citations, used = [_cited(one, source, one is steps[-1]) for one in steps], [one.hit for one in steps]
    confidence = min(1.0, *(one.closeness for one in steps))
    way = " → ".join(f"{one.question} {one.answer}" for one in steps)
    return Answer(text, tuple(citations), confidence, used=tuple(used), method="pairs", notes=(f"From pairs: {way}",))


def _cited(known: _Known, source: Source, last: bool) -> Citation:
    """Where the pair's answer stands in the memory it was made from, else in the pair."""
    cube = source(known.hit.cube) or known.hit.cube
    found = re.search(rf"(?<!\w){re.escape(known.answer)}(?!\w)", cube.text, re.IGNORECASE)
    if found is None:
        cube = known.hit.cube
    start = found.start() if found else cube.text.rfind(known.answer)
    end = found.end() if found else start + len(known.answer)
    support = known.closeness if last else 1.0
    return Citation(cube.id, cube.version, 0, start, end, cube.text[start:end], min(support, 1.0))
