"""Spans of the hits and what speaks for each: the features of the model-free answerer.

Every feature is about the evidence in front of it: words, meaning, who speaks, what kind of thing is said. None is about
a data set.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from remanence.answer.question import Asked, Expects, without_calls
from remanence.cubes import Hit
from remanence.language.dates import has_time_expression
from remanence.language.sentences import sentence_spans
from remanence.language.tokens import folded, stems

Embed = Callable[[Sequence[str]], "NDArray[np.float32] | None"]
"""Unit vectors of texts, shape (n, dimensions), float32; None where there is no embedder."""

SPAN_FEATURES = ("rank", "margin", "coverage", "around", "closeness", "kind", "owner", "asks", "brief")
"""Names of `Span.features`, in order."""

MOST_EMBEDDED = 48
"""Spans that are embedded for one question: those with the best words first, and every hit's first ones."""

_DIGIT = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|once|twice|hundred|thousand)\b"
)
_PLACE = re.compile(
    r"\b(?:in|at|to|from|near|by|around|visit(?:ed|ing)?)\s+(?:the\s+|a\s+|an\s+|my\s+|our\s+)?[A-Za-z]"
)
_PROPER_PLACE = re.compile(r"\b(?:in|at|to|from|near|around|visit(?:ed|ing)?|called)\s+(?:the\s+)?[A-Z]")
_NAME = re.compile(r"\b[A-Z][a-z]+\b(?<!\bThe)(?<!\bShe)(?<!\bMy)(?<!\bYou)(?<!\bWe)(?<!\bIt)(?<!\bHe)(?<!\bThey)")
_OPINION = re.compile(r"\b(?:yes|yeah|yep|no|nope|not|never|always|definitely|sure|love|like|want|hate)\b|n't\b")
_BRIEF_STEMS = 3.0
_MOST = 20_000  # sentences of one memory that are looked at
_IMAGINED = 10


@dataclass(frozen=True, slots=True)
class Span:
    """A sentence of a hit and what speaks for it."""

    place: int
    """Which hit, from 0."""
    start: int
    end: int
    text: str
    """`text[start:end]` of the hit's cube."""
    terms: frozenset[str]
    """Its stems."""
    mine: bool | None
    """Said by, or naming, the one person asked about; None where the question is about nobody in particular."""
    features: tuple[float, ...]
    """Values of `SPAN_FEATURES`."""

    def feature(self, name: str) -> float:
        """One feature by its name."""
        return self.features[SPAN_FEATURES.index(name)]


def rarity(terms: Iterable[str], documents: Sequence[frozenset[str]]) -> dict[str, float]:
    """How much each stem tells: ln((n + 11) / (df + 0.5)) over n hits. A stem that no hit holds tells most.

    Ten memories without the stem are imagined beside the hits: of a single hit, what it holds counts nearly as much as what
    it lacks.
    """
    frequency = Counter(term for document in documents for term in document)
    return {term: math.log((len(documents) + _IMAGINED + 1) / (frequency[term] + 0.5)) for term in terms}


def coverage(wanted: Iterable[str], held: frozenset[str], weights: dict[str, float]) -> float:
    """Share of the wanted stems' weight that is held, 0 to 1; 0 where nothing is wanted."""
    terms = list(wanted)
    total = sum(weights[term] for term in terms)
    return sum(weights[term] for term in terms if term in held) / total if total else 0.0


def spans(asked: Asked, hits: Sequence[Hit], embed: Embed | None) -> list[Span]:
    """Every sentence of the hits with its features, in the order of the hits."""
    stretches = [
        (place, start, end)
        for place, hit in enumerate(hits)
        for start, end in islice(sentence_spans(hit.cube.text), _MOST)
    ]
    terms = [frozenset(stems(hits[place].cube.text[start:end])) for place, start, end in stretches]
    context = [frozenset(stems(f"{hit.cube.about or ''} {hit.cube.provenance.author or ''}")) for hit in hits]
    documents = [context[place] for place in range(len(hits))]
    for (place, _, _), own in zip(stretches, terms, strict=True):
        documents[place] = documents[place] | own
    weights = rarity(asked.stems, documents)
    covered = [coverage(asked.stems, own, weights) for own in terms]
    close = _closeness(asked, hits, stretches, covered, embed)
    scores = _margins(hits)
    return [
        _span(asked, hits[place], (place, start, end), own, (
            1.0 / (1 + place), scores[place], covered[at], coverage(asked.stems, documents[place], weights), close[at],
        ))
        for at, ((place, start, end), own) in enumerate(zip(stretches, terms, strict=True))
    ]  # fmt: skip


def _span(
    asked: Asked, hit: Hit, stretch: tuple[int, int, int], own: frozenset[str], scored: tuple[float, ...]
) -> Span:
    place, start, end = stretch
    text = hit.cube.text[start:end]
    mine = None if asked.owner is None else concerns(asked.owner, hit, text)
    features = (
        *scored,
        fits(asked.expects, text),
        0.0 if mine is None else 1.0 if mine else -1.0,
        1.0 if text.rstrip("\"'”’)").endswith("?") else 0.0,
        math.exp(-len(own) / _BRIEF_STEMS),
    )
    return Span(place, start, end, text, own, mine, features)


def concerns(person: str, hit: Hit, text: str) -> bool:
    """Whether a person, folded, speaks in the hit or is spoken of in the text or the title; being called out to is not enough."""
    author = folded(hit.cube.provenance.author or "")
    return person in {author, *author.split()} or person in folded(f"{without_calls(text)} {hit.cube.about or ''}")


def fits(expects: Expects, text: str) -> float:
    """1 where a text holds the kind of thing that is asked for, -1 where it does not, 0 for a weak sign, or no kind to look for."""
    test = _KINDS.get(expects)
    return 0.0 if test is None else test(text)


def _place(text: str) -> float:
    return 1.0 if _PROPER_PLACE.search(text) else 0.0 if _PLACE.search(text) else -1.0


def _sign(found: object) -> float:
    return 1.0 if found else -1.0


_KINDS: dict[Expects, Callable[[str], float]] = {
    Expects.TIME: lambda text: _sign(has_time_expression(text)),
    Expects.NUMBER: lambda text: _sign(_DIGIT.search(folded(text))),
    Expects.PERSON: lambda text: _sign(_NAME.search(text)),
    Expects.PLACE: _place,
    Expects.YES_NO: lambda text: _sign(_OPINION.search(folded(text))),
}


def _margins(hits: Sequence[Hit]) -> list[float]:
    """How far each hit's score lies above the mean of all, in their standard deviation; 0 where they do not differ."""
    scores = np.array([hit.score for hit in hits], np.float64)
    spread = float(scores.std()) if len(scores) else 0.0
    if not math.isfinite(spread) or spread == 0.0:
        return [0.0] * len(scores)
    return [float(value) for value in (scores - scores.mean()) / spread]


def _closeness(
    asked: Asked, hits: Sequence[Hit], stretches: Sequence[tuple[int, int, int]], covered: Sequence[float], embed: Embed | None
) -> list[float]:  # fmt: skip
    """Dot products of question and spans; 0 for spans beyond `MOST_EMBEDDED`, and without an embedder."""
    close = [0.0] * len(stretches)
    if embed is None or not stretches:
        return close
    chosen = sorted(range(len(stretches)), key=lambda at: (-covered[at], stretches[at][0], at))[:MOST_EMBEDDED]
    texts = [hits[place].cube.text[start:end] for place, start, end in (stretches[at] for at in chosen)]
    vectors = embed([asked.content, *texts])
    if vectors is None:
        return close
    for at, value in zip(chosen, vectors[1:] @ vectors[0], strict=True):
        close[at] = float(value)
    return close
