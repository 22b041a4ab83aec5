"""The weights of the model-free answerer: fitted once, frozen here, measured on conversations that had no part in the fit.

`python benchmarks/answers.py --fit` prints `DEFAULT`. It fits on three conversations of LoCoMo (conv-26, conv-30, conv-41) and
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
    """1 holds the kind of thing that is asked for, -1 does not, 0 where the question's words call for none."""
    owner: float = 0.0
    """1 said by or naming the one person asked about, -1 said by somebody else, 0 where nobody in particular is meant."""
    asks: float = 0.0
    """Is itself a question."""
    brief: float = 0.0
    """Says little: exp(-stems / 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceWeights:
    """A logistic over what speaks for the best span: log-odds that it answers the question.

    Only what the span and its memory say by themselves counts here, not how they compare with other hits: an answer must not
    grow surer because a store holds more.
    """

    base: float = 0.0
    coverage: float = 0.0
    around: float = 0.0
    closeness: float = 0.0
    kind: float = 0.0
    owner: float = 0.0
    asks: float = 0.0
    brief: float = 0.0
    """As in `SpanWeights`."""
    rival: float = 0.0
    """How much better the question matches what somebody else says than what the person asked about says."""
    absent: float = -3.0
    """A person is named whom no evidence mentions. Chosen, not fitted: LoCoMo has no such question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How answers are chosen, and when to abstain."""

    spans: SpanWeights = field(default_factory=SpanWeights)
    confidence: ConfidenceWeights = field(default_factory=ConfidenceWeights)
    threshold: float = 0.5
    """Below this confidence the answerer abstains."""
    without: Profile | None = None
    """Used instead where nothing is embedded: closeness then says nothing, and words have to say more."""
    second: float = 1.0
    """How far below the best span a second one may score: an adjacent sentence, or a complement where a list is asked for."""


def weighted(weights: SpanWeights | ConfidenceWeights, values: dict[str, float]) -> float:
    """The sum of values times the weights of the same names."""
    return math.fsum(getattr(weights, each.name) * values.get(each.name, 0.0) for each in fields(weights))


WORDS = Profile(
    spans=SpanWeights(
        rank=0.55, margin=0.81, coverage=0.66, around=1.79, closeness=0.0, kind=0.26, owner=0.99, asks=-0.29, brief=-1.07
    ),
    confidence=ConfidenceWeights(
        base=-3.09, coverage=1.05, around=1.13, closeness=0.0, kind=0.78, owner=1.07, asks=-3.09, brief=-1.73, rival=-1.62
    ),
    threshold=0.24,
)  # fmt: skip
"""For words alone: printed by `--fit --no-embedder`."""

DEFAULT = Profile(
    spans=SpanWeights(
        rank=0.34, margin=0.88, coverage=-0.43, around=1.88, closeness=2.06, kind=0.22, owner=0.89, asks=-0.41, brief=-0.64
    ),
    confidence=ConfidenceWeights(
        base=-4.19, coverage=0.09, around=1.75, closeness=2.79, kind=0.7, owner=1.18, asks=-2.51, brief=-1.8, rival=-0.24
    ),
    threshold=0.32,
    without=WORDS,
)  # fmt: skip
"""With MiniLM at int8; another embedder has another scale of closeness, and wants its own fit."""
