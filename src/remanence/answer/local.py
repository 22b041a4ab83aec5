"""Answers of a language model on this machine, which may read memories as text, from caches, or know them by its weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from remanence.answer.cite import cite_candidate
from remanence.answer.evidence import Embed
from remanence.answer.pack import Packed, pack
from remanence.cubes import Answer, Citation, Cost, FormUsed, Hit, MemCube
from remanence.language.entities import mentions
from remanence.language.tokens import folded, stems

_WORD = re.compile(r"[^\W_]+")
_SHORT = 6  # words
MOST_READ = 8
"""Memories that are given to the model, the best first."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One attempt of the model: what it said, and the forms that it said it from."""

    text: str
    forms: tuple[FormUsed, ...]
    cost: Cost
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """Attempts at an answer, the cheapest form first; each is asked for only when the one before was not borne out."""

    def attempts(self, question: str, cubes: Sequence[MemCube]) -> Sequence[Attempt]:
        """What can be tried for a question and the memories that were recalled, best first."""
        ...


class Attempt(Protocol):
    """One way to answer."""

    def __call__(self) -> Draw:
        """Answer. ContextTooLongError, ModelMismatchError and the like mean that another way has to be found; they are the reader's."""
        ...


def answer_locally(question: str, hits: Sequence[Hit], reader: Reader, embed: Embed | None) -> Answer:
    """The first attempt that memories bear out, cited; else an abstention that says what was tried.

    What the weights say counts only where a memory that was recalled says it too: a citation is a place in a text.
    """
    packed = pack(hits[:MOST_READ], count=len, budget=1_000_000, question=question)
    tried: list[FormUsed] = []
    notes: list[str] = []
    cost = Cost()
    for attempt in reader.attempts(question, [hit.cube for hit in packed.hits]):
        drawn = attempt()
        cost += drawn.cost
        tried += [one for one in drawn.forms if one not in tried]
        notes += drawn.notes
        said = drawn.text.strip()
        citations = _borne_out(question, said, packed, embed) if said else ()
        if citations:
            confidence = max(one.support for one in citations)
            return Answer(
                said,
                citations,
                confidence,
                used=packed.hits,
                cost=cost,
                method="local",
                notes=tuple(notes),
                forms=drawn.forms,
            )
        notes.append(f"No memory bears out what the model said: {said!r}." if said else "The model said nothing.")
    return Answer(
        "", abstained=True, used=packed.hits, cost=cost, method="local", notes=tuple(notes), forms=tuple(tried)
    )


def _borne_out(question: str, said: str, packed: Packed, embed: Embed | None) -> tuple[Citation, ...]:
    """The citations of an answer that count.

    A value alone may stand in a memory about somebody else: the memory has to speak of something that the question names. And a small
    model likes to say a word that is half right: of a short answer the memory has to hold every word.
    """
    asked = [{*one.name.split()} for one in mentions(question)]
    new = set(stems(said)) - set(stems(question))
    short = new if len(_WORD.findall(said)) <= _SHORT else set[str]()
    cubes = {hit.cube.id: hit.cube for hit in packed.hits}

    def counts(cube: MemCube) -> bool:
        words = {*_WORD.findall(folded(" ".join(filter(None, (cube.text, cube.about, cube.provenance.author)))))}
        return short <= set(stems(cube.text)) and (not asked or any(name <= words for name in asked))

    found = cite_candidate(question, said, "", packed, embed)
    return tuple(one for one in found if counts(cubes[one.cube_id]))
