"""What a model wrote, held against what it cites: sentences keep the citations that support them, or go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remanence.answer.evidence import Embed
from remanence.answer.pack import Packed
from remanence.answer.plain import Written
from remanence.answer.question import read_question, speakers_of
from remanence.answer.support import best_stretch, check, claim, support
from remanence.cubes import Citation, Hit
from remanence.language.sentences import sentence_spans
from remanence.language.tokens import folded

MOST_OF_CANDIDATE = 3
"""Citations of a SuRe answer."""
_PLAIN_WORDS = frozenset({"yes", "no", "true", "false", "likely yes", "likely no", "probably", "probably not", "maybe"})


@dataclass(frozen=True, slots=True)
class Upheld:
    """What is left of a model's answer."""

    text: str
    citations: tuple[Citation, ...]
    removed: int
    notes: tuple[str, ...]
    confidence: float
    """Mean support of the sentences that stay, times their share of all; not calibrated."""


def uphold(question: str, written: Sequence[Written], packed: Packed, embed: Embed | None) -> Upheld:
    """Check each sentence against the memories that it cites. One without a citation left is dropped, with a note."""
    by_number = {entry.number: entry.hit.cube for entry in packed.entries}
    people = _people(question, packed.hits)
    sentences: list[str] = []
    citations: list[Citation] = []
    notes: list[str] = []
    supports: list[float] = []
    removed = 0
    for one in written:
        known = [by_number[cite] for cite in one.cites if cite in by_number]
        checked = check(one.text, known, len(sentences), question=question, people=people, embed=embed)
        removed += checked.removed + len(one.cites) - len(known)
        if checked.citations:
            sentences.append(one.text)
            citations.extend(checked.citations)
            supports.append(max(each.support for each in checked.citations))
        else:
            why = "nothing that it cites supports it" if one.cites else "it cites nothing"
            notes.append(f"A sentence of the model was dropped, because {why}: {one.text!r}")
    confidence = sum(supports) / len(written) if written else 0.0
    return Upheld(" ".join(sentences), tuple(citations), removed, tuple(notes), confidence)


def cite_candidate(
    question: str, candidate: str, rationale: str, packed: Packed, embed: Embed | None
) -> tuple[Citation, ...]:
    """Citations for a short answer: memories that hold it, those first that carry most of the rationale.

    A bare yes or no stands in no memory: it is cited by what supports a sentence of the rationale.
    """
    people = _people(question, packed.hits)
    reason = claim(rationale, question, people)
    found: list[tuple[float, Citation]] = []
    statements = [rationale[start:end] for start, end in sentence_spans(rationale)]
    bare = folded(candidate).strip(" .!") in _PLAIN_WORDS
    for entry in packed.entries:
        cube = entry.hit.cube
        for said in statements if bare else [candidate]:
            for citation in check(
                said, [cube], 0, question=question if bare else "", people=people, embed=embed
            ).citations:
                stretch = best_stretch(reason, cube)
                found.append((0.0 if stretch is None else support(reason, stretch), citation))
    found.sort(key=lambda each: (-each[0], -each[1].support))
    by_cube: dict[str, Citation] = {}
    for _, citation in found:
        by_cube.setdefault(citation.cube_id, citation)
    return tuple(by_cube.values())[:MOST_OF_CANDIDATE]


def _people(question: str, hits: Sequence[Hit]) -> frozenset[str]:
    speakers = {word for name in speakers_of(list(hits)) for word in folded(name).split()}
    named = {word for name in read_question(question, list(hits)).people for word in name.split()}
    return frozenset(speakers | named)
