"""The answer without a model: the best supported sentence or two of the hits, quoted, or an abstention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from remanence.answer.evidence import SPAN_FEATURES, Embed, Span, concerns, spans
from remanence.answer.profile import DEFAULT, Profile, weighted
from remanence.answer.question import Asked, Expects, read_question
from remanence.answer.times import day_of, days_of, resolved
from remanence.cubes import Answer, Citation, Hit

_ALIKE = 0.5  # Jaccard of the stems that the question did not bring, from which a second sentence says the same again


@dataclass(frozen=True, slots=True)
class Found:
    """The best spans for a question, and how sure they make the answerer."""

    asked: Asked
    chosen: tuple[Span, ...]
    """In the order of hits and text; empty where the hits hold no text."""
    best: Span | None
    features: dict[str, float]
    """What the confidence rests on, by the names of `ConfidenceWeights`."""
    confidence: float
    threshold: float = 1.0
    """The confidence that is asked for."""


def find(question: str, hits: Sequence[Hit], embed: Embed | None = None, profile: Profile = DEFAULT) -> Found:
    """Choose the best supported sentence or two of the hits."""
    asked = read_question(question, list(hits))
    candidates = spans(asked, hits, embed)
    if not candidates:
        return Found(asked, (), None, {}, 0.0)
    profile = effective(profile, candidates)
    scores = [score(span, profile) for span in candidates]
    top = max(range(len(candidates)), key=lambda at: (scores[at], -at))
    features = evidence_features(asked, hits, candidates, candidates[top])
    confidence = logistic(weighted(profile.confidence, features))
    second = _second(asked, candidates, scores, top, profile)
    chosen = sorted([top] if second is None else [top, second])
    return Found(
        asked, tuple(candidates[at] for at in chosen), candidates[top], features, confidence, profile.threshold
    )


def extract(question: str, hits: Sequence[Hit], *, embed: Embed | None = None, profile: Profile = DEFAULT) -> Answer:
    """Answer a question with the best supported sentence or two of the hits, each with its citation.

    Where the question asks when, a time that the text gives only from where it stands ("yesterday") follows in brackets
    as a date; a text that names no time gets the day it was said. Abstains below `profile.threshold`.
    """
    found = find(question, hits, embed, profile)
    used = tuple(hits)
    if not found.chosen:
        return Answer("", abstained=True, used=used, notes=("There is no text to answer from.",))
    if found.confidence < found.threshold:
        return Answer("", confidence=found.confidence, abstained=True, used=used)
    pieces: list[str] = []
    citations: list[Citation] = []
    for number, span in enumerate(found.chosen):
        cube = hits[span.place].cube
        pieces.append(span.text + _dates(found, hits[span.place], span))
        citations.append(Citation(cube.id, cube.version, number, span.start, span.end, span.text, 1.0))
    return Answer(" ".join(pieces), tuple(citations), found.confidence, used=used)


def effective(profile: Profile, candidates: Sequence[Span]) -> Profile:
    """The profile, or its twin for words alone where no span was embedded."""
    embedded = any(span.feature("closeness") for span in candidates)
    return profile if embedded or profile.without is None else profile.without


def score(span: Span, profile: Profile) -> float:
    """The weighted sum of a span's features."""
    return weighted(profile.spans, dict(zip(SPAN_FEATURES, span.features, strict=True)))


def evidence_features(asked: Asked, hits: Sequence[Hit], candidates: Sequence[Span], best: Span) -> dict[str, float]:
    """What the confidence in the best span rests on, by the names of `ConfidenceWeights`."""
    return dict(zip(SPAN_FEATURES, best.features, strict=True)) | {
        "base": 1.0,
        "rival": _rival(asked, candidates),
        "absent": float(any(not any(concerns(name, hit, hit.cube.text) for hit in hits) for name in asked.people)),
    }


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), for any finite value."""
    return 1.0 / (1.0 + math.exp(-value)) if value >= 0 else math.exp(value) / (1.0 + math.exp(value))


def _rival(asked: Asked, candidates: Sequence[Span]) -> float:
    """Best match among what others say, less the best among what concerns the one person asked about; 0 without one."""
    if asked.owner is None:
        return 0.0
    best = {True: 0.0, False: 0.0}
    for span in candidates:
        mine = bool(span.mine)
        best[mine] = max(best[mine], 0.6 * span.feature("closeness") + 0.4 * span.feature("coverage"))
    return best[False] - best[True]


def _second(
    asked: Asked, candidates: Sequence[Span], scores: Sequence[float], top: int, profile: Profile
) -> int | None:
    """A second sentence: beside the best one, or from another memory where a list is asked for. None if none comes close."""
    best = candidates[top]
    known = frozenset(asked.stems)
    if asked.several:
        places = [
            at
            for at, span in enumerate(candidates)
            if span.place != best.place
            and span.mine is not False
            and _alike(span.terms - known, best.terms - known) < _ALIKE
        ]
    else:
        places = [at for at in (top - 1, top + 1) if 0 <= at < len(candidates) and candidates[at].place == best.place]
    close = [at for at in places if scores[at] >= scores[top] - profile.second]
    return max(close, key=lambda at: (scores[at], -at)) if close else None


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def _dates(found: Found, hit: Hit, span: Span) -> str:
    """What follows a sentence in brackets where a time is asked for.

    The day it was said only stands in where no chosen sentence of the memory names a time.
    """
    observed = hit.cube.provenance.observed_at
    if found.asked.expects is not Expects.TIME or observed is None:
        return ""
    dates = resolved(span.text, hit.cube)
    if dates:
        return f" [{'; '.join(dates)}]"
    together = [other for other in found.chosen if other.place == span.place]
    if any(days_of(other.text, hit.cube) for other in together) or span is not together[-1]:
        return ""
    return f" [said on {day_of(observed)}]"
