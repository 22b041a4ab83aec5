"""The weights of the model-free answerer: fitted once, frozen here, measured on conversations that had no part in the fit.

`python benchmarks/answers.py --fit` prints `FITTED`. It fits on three conversations of LoCoMo (conv-26, conv-30, conv-41) and
reports on the others (conv-42, conv-43); docs/answers.md has the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanWeights:
    """What each feature of a span counts; `evidence.spans` computes them. The sum ranks the spans of one question."""

    rank: float = 0.0
    """1 / rank of its hit."""
    margin: float = 0.0
    """Its hit's score above the mean of the hits, in their standard deviation."""
    coverage: float = 0.0
    """Share of the question's stems that it holds, rare ones counting more."""
    around: float = 0.0
    """The same for its whole cube, with speaker and title."""
    closeness: float = 0.0
    """Dot product of its embedding and the question's; 0 without an embedder."""
    kind: float = 0.0
    """Holds the kind of thing that is asked for."""
    owner: float = 0.0
    """1 said by or naming the one person asked about, -1 said by somebody else, 0 where nobody in particular is meant."""
    asks: float = 0.0
    """Is itself a question."""
    brief: float = 0.0
    """Says little: exp(-stems / 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceWeights:
    """A logistic over what speaks for the best span: log-odds that it answers the question."""

    base: float = 0.0
    span: float = 0.0
    """The span's own score."""
    coverage: float = 0.0
    closeness: float = 0.0
    rival: float = 0.0
    """How much better the question matches what somebody else says than what the person asked about says."""
    asks: float = 0.0
    absent: float = -3.0
    """A person is named whom no evidence mentions. Chosen, not fitted: LoCoMo has no such question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How answers are chosen, and when to abstain."""

    spans: SpanWeights = field(default_factory=SpanWeights)
    confidence: ConfidenceWeights = field(default_factory=ConfidenceWeights)
    threshold: float = 0.5
    """Below this confidence the answerer abstains."""
    second: float = 1.0
    """How far below the best span a second one may score: an adjacent sentence, or a complement where a list is asked for."""


def weighted(weights: SpanWeights | ConfidenceWeights, values: dict[str, float]) -> float:
    """The sum of values times the weights of the same names."""
    return math.fsum(getattr(weights, each.name) * values.get(each.name, 0.0) for each in fields(weights))


DEFAULT = Profile()
